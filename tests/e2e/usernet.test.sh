#!/bin/bash
# User-defined networks: their names for zones, isolation, connect and disconnect, the name server through the deaths of
# both daemons.
. "$(dirname "$0")/lib.sh"
need docker curl busybox nft
engine_start; busybox_image
ip_in() { i "$1" "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}"; }
net() { out D network create "$@"; }
gone_nets() { D network rm "${C}n" "${C}m" >/dev/null 2>&1; }
names() { out D exec "$C" nslookup "$1"; has "$OUT" "$2"; }

t_hostname_is_a_name() {
	net "${C}n"; out D run -d --name "$C" -h "foo$C" --network "${C}n" busybox sleep 300; out D run -d --name "${C}b" --network "${C}n" busybox sleep 300; out D exec "${C}b" ping -c1 -W2 "foo$C"
	out D network create "${C}m"; out D network connect "${C}m" "$C"; out D run --rm --network "${C}m" busybox ping -c1 -W2 "foo$C"; eq "$(i "$C" "{{json (index .NetworkSettings.Networks \"${C}m\").DNSNames}}")" "[\"$C\",\"$(i "$C" '{{slice .Id 0 12}}')\",\"foo$C\"]"
	D rm -f "$C" "${C}b" >/dev/null; gone_nets
}
t_endpoint_options() { # the interface's name and its sysctls
	net "${C}n"; net "${C}m"; local o=com.docker.network.endpoint
	out D run -d --name "$C" --network "name=${C}n,driver-opt=$o.ifname=eth1,\"driver-opt=$o.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.rp_filter=2\"" --network "${C}m" busybox sleep 300
	out D exec "$C" ip -o -4 addr; like "$OUT" "eth1 .*$(ip_in "$C" "${C}n")"; like "$OUT" "eth0 .*$(ip_in "$C" "${C}m")"; out D exec "$C" cat /proc/sys/net/ipv4/conf/eth1/log_martians /proc/sys/net/ipv4/conf/eth1/rp_filter; eq "$OUT" $'1\n2'
	eq "$(cat /proc/sys/net/ipv4/conf/all/log_martians)" 0; D network disconnect "${C}m" "$C"; rc 1 D network connect --driver-opt "$o.ifname=eth1" "${C}m" "$C"; has "$ERR" "error renaming interface"; out D network connect --driver-opt "$o.ifname=web0" "${C}m" "$C"; out D exec "$C" ip -o -4 addr show web0
	local s; for s in net.ipv4.conf.eth0.x=1 net.ipx.conf.IFNAME.x=1 net.ipv4.../x.IFNAME.y=1 kernel.a.b.IFNAME.c=1; do rc 125 D run --rm --network "name=${C}n,driver-opt=$o.sysctls=$s" busybox true; has "$ERR" "unrecognised network interface sysctl '"; done
	rc 125 D run --rm --network "name=${C}n,driver-opt=$o.sysctls=net.ipv4.conf.IFNAME.nosuch=1" busybox true; has "$ERR" "is not a sysctl file"; rc 125 D run --rm --network "name=${C}n,driver-opt=$o.ifname=a/b" busybox true; has "$ERR" "invalid interface name 'a/b'"
	D rm -f "$C" >/dev/null; gone_nets
}
t_link_local() { # addresses besides the network's own; all that is wrong is told at once
	net "${C}n"; out D run -d --name "$C" --network "${C}n" --link-local-ip 169.254.7.8 --link-local-ip 169.254.7.9 busybox sleep 300; out D exec "$C" ip -o addr show eth0; has "$OUT" "169.254.7.8/16"; has "$OUT" "169.254.7.9/16"
	eq "$(i "$C" "{{json (index .NetworkSettings.Networks \"${C}n\").IPAMConfig.LinkLocalIPs}}")" '["169.254.7.8","169.254.7.9"]'; engine_kill; engine_start; out D restart -t 0 "$C"; out D exec "$C" ip -o addr show eth0; has "$OUT" "169.254.7.9/16"
	rc 125 D run --rm --network "${C}n" --link-local-ip 10.1.2.3 busybox true; has "$ERR" "invalid link local IP address: 10.1.2.3"; rc 125 D run --rm --network "${C}n" --link-local-ip fe80::7 busybox true; has "$ERR" "has no IPv6"
	api POST /containers/create -H 'Content-Type: application/json' -d '{"Image":"busybox","HostConfig":{"NetworkMode":"bridge"},"NetworkingConfig":{"EndpointsConfig":{"bridge":{"IPAMConfig":{"IPv4Address":"0.0.0.0","IPv6Address":"::ffff:1.2.3.4","LinkLocalIPs":["x"]}}}}}' >/dev/null
	has "$(cat "$T/body")" 'invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* invalid IPv4 address: 0.0.0.0\n* invalid IPv6 address: ::ffff:1.2.3.4\n* invalid link-local IP address: x"'; eq "$(status)" 400
	D rm -f "$C" >/dev/null; D network rm "${C}n" >/dev/null
}
t_fixed_address() { # is in the network's own subnet, or there is no such container and no such endpoint
	net --subnet 10.66.0.0/24 "${C}n"; net "${C}m"; local outside="no configured subnet or ip-range contain the IP address 10.67.0.1" fixed="user specified IP address is supported only when connecting to networks with user configured subnets"
	rc 1 D create --network "${C}n" --ip 10.67.0.1 busybox; has "$ERR" "invalid config for network ${C}n: invalid endpoint settings:"; has "$ERR" "$outside"; rc 1 D create --network "${C}m" --ip 10.67.0.1 busybox; has "$ERR" "$fixed"; rc 1 D create --network "${C}n" --ip6 fd00::7 busybox; has "$ERR" "$fixed"
	out D create --name "$C" busybox sleep 300; rc 1 D network connect --ip 10.67.0.1 "${C}n" "$C"; has "$ERR" "invalid endpoint settings:"; has "$ERR" "$outside"; hasnt "$ERR" "invalid config"; rc 1 D network connect --ip 10.67.0.1 "${C}m" "$C"; has "$ERR" "$fixed"
	out D network connect --ip 10.66.0.9 "${C}n" "$C"; D network rm "${C}n" >/dev/null; net --subnet 10.67.0.0/24 "${C}n"; rc 1 D start "$C"; has "$ERR" "failed to set up container networking: invalid endpoint settings:"; has "$ERR" "contain the IP address 10.66.0.9"
	D rm -f "$C" >/dev/null; gone_nets
}
t_names() {
	net "${C}n"; out D run -d --name "$C" --network "${C}n" busybox sleep 300
	out D run -d --name "${C}b" --network "${C}n" --network-alias db --network-alias both busybox sleep 300
	out D run -d --name "${C}c" --network "${C}n" --network-alias both --link "${C}b:mine" busybox sleep 300
	local b c; b=$(ip_in "${C}b" "${C}n"); c=$(ip_in "${C}c" "${C}n")
	names "${C}b" "$b"; names "${C}b.${C}n" "$b"; names db "$b"; names "$(i "${C}b" '{{slice .Id 0 12}}')" "$b"
	names both "$b"; names both "$c"; names "$b" "${C}b.${C}n"; out D exec "${C}c" nslookup mine; has "$OUT" "$b"
	out D rm -f "${C}b"; rc 1 D exec "$C" nslookup db; out D exec "$C" nslookup both; has "$OUT" "$c"; hasnt "$OUT" "$b"
	out D exec "$C" cat /etc/resolv.conf; has "$OUT" "nameserver 127.0.0.11"; has "$OUT" "ndots:0"
	out D restart -t 0 "$C"; names both "$c"; out D rename "${C}c" "${C}b"; names "${C}b" "$c"; rc 1 D exec "$C" nslookup "${C}c"
	out D rm -f "$C" "${C}b"; out D network rm "${C}n"
}
t_own_port_53() { # a zone can have a name server of its own
	net "${C}n"; out D run -d --name "$C" --network "${C}n" busybox sh -c 'nc -lp 53 -e true & nc -u -lp 53 & sleep 300'
	until_ok D exec "$C" sh -c 'netstat -lnut | grep -q ":53 "'; out D exec "$C" netstat -lnut; like "$OUT" '(0.0.0.0|::):53 '; names "$C" "$(ip_in "$C" "${C}n")"; out D rm -f "$C"; out D network rm "${C}n"
}
t_survives() { # names are there while apiserver is dead, and again when the resolver was killed
	net "${C}n"; out D run -d --name "${C}b" --network "${C}n" --network-alias db -p 8091:80 busybox httpd -f -p 80 -h /etc
	out D run -d --name "$C" --network "${C}n" busybox sh -c 'while sleep 0.05; do nslookup db >/dev/null 2>&1 && echo ok || echo bad; done'
	local pid r; r=$(pids_of 'apiserver --resolver'); [ -n "$r" ] || fail "no resolver process"
	pid=$(i "$C" '{{.State.Pid}}'); engine_kill
	nsenter -t "$pid" -n busybox nslookup db 127.0.0.11 >/dev/null || fail "no names while apiserver is dead"
	until_ok curl -sf -m 2 http://127.0.0.1:8091/hostname || fail "no port while apiserver is dead"
	engine_start; eq "$(pids_of 'apiserver --resolver')" "$r" "same resolver"
	until_ok curl -sf -m 2 http://127.0.0.1:8091/hostname || fail "port after"; names db "$(ip_in "${C}b" "${C}n")"
	kill -9 "$r"; until_ok D exec "$C" nslookup db || fail "no names after the resolver's death"; ne "$(pids_of 'apiserver --resolver')" "$r"
	sleep 0.3; [ "$(D logs "$C" | grep -c bad)" -le 60 ] || fail "names failed $(D logs "$C" | grep -c bad) times"
	net "${C}m"; out D network connect --alias later "${C}m" "${C}b"; out D network connect "${C}m" "$C"; names later "$(ip_in "${C}b" "${C}m")"
	out D rm -f "$C" "${C}b"; out D network rm "${C}n" "${C}m"
}
t_connect() {
	net "${C}n"; net "${C}m"; out D run -d --name "$C" --network "${C}n" -p 127.0.0.1:8092:80 busybox httpd -f -p 80 -h /etc
	out D run -d --name "${C}b" busybox sleep 300
	out D network connect --alias web "${C}m" "$C"; out D network connect "${C}m" "${C}b"; out D exec "${C}b" cat /etc/resolv.conf; has "$OUT" 127.0.0.11
	out D exec "${C}b" wget -qO- http://web/hostname; eq "$OUT" "$(i "$C" '{{.Config.Hostname}}')"
	rc 1 D network connect "${C}m" "$C"; has "$ERR" "endpoint with name $C already exists in network ${C}m"
	has "$(D network inspect -f '{{json .Containers}}' "${C}m")" "\"$C\""; out D exec "$C" ip -o -4 addr; has "$OUT" eth1
	out D network disconnect "${C}n" "$C"; out D exec "$C" ip route; has "$OUT" "default via"; until_ok curl -sf -m 2 http://127.0.0.1:8092/hostname || fail "the port did not move"
	out D network disconnect "${C}m" "$C"; out D exec "$C" ip -o -4 addr; hasnt "$OUT" eth; rc 1 D network disconnect "${C}m" "$C"; has "$ERR" "is not connected to"
	out D network connect "${C}n" "$C"; out D restart -t 0 "$C"; out D exec "$C" ip -o -4 addr; has "$OUT" eth0
	out D rm -f "$C" "${C}b"; out D network rm "${C}n" "${C}m"
}
t_isolation() {
	net "${C}n"; net --internal "${C}m"; out D run -d --name "$C" --network "${C}n" -p 8093:80 busybox httpd -f -p 80 -h /etc
	out D run -d --name "${C}b" --network "${C}m" busybox sleep 300; local a b; a=$(ip_in "$C" "${C}n"); b=$(ip_in "${C}b" "${C}m")
	rc 1 D run --rm busybox ping -c1 -W1 "$a"; rc 1 D run --rm busybox ping -c1 -W1 "$b"; out D run --rm --network "${C}n" busybox ping -c1 -W2 "$a"
	out D run --rm busybox wget -qO- "http://$(D network inspect -f '{{(index .IPAM.Config 0).Gateway}}' bridge):8093/hostname"
	out D exec "${C}b" ip route; hasnt "$OUT" default; out D run --rm --network "${C}m" busybox ping -c1 -W2 "${C}b"
	rc 1 D exec "${C}b" ping -c1 -W1 "$a"; out D rm -f "$C" "${C}b"; out D network rm "${C}n" "${C}m"
}
t_no_icc() {
	net -o com.docker.network.bridge.enable_icc=false "${C}n"; out D run -d --name "$C" --network "${C}n" -p 8094:80 busybox httpd -f -p 80 -h /etc
	rc 1 D run --rm --network "${C}n" busybox ping -c1 -W1 "$(ip_in "$C" "${C}n")"; until_ok curl -sf -m 2 http://127.0.0.1:8094/hostname || fail "published port"; out D rm -f "$C"; out D network rm "${C}n"
}
t_addresses() {
	net --subnet 10.123.4.0/24 --ip-range 10.123.4.128/25 --gateway 10.123.4.9 --aux-address h=10.123.4.130 "${C}n"
	out D run --rm --network "${C}n" busybox sh -c 'hostname -i; ip route'; has "$OUT" "via 10.123.4.9"; like "$OUT" '^10\.123\.4\.1(29|28)'
	out D run -d --name "$C" --network "${C}n" --ip 10.123.4.77 --mac-address 02:00:00:00:00:77 busybox sleep 300; eq "$(ip_in "$C" "${C}n")" 10.123.4.77; out D exec "$C" ip link show eth0; has "$OUT" 02:00:00:00:00:77
	rc 125 D run --rm --network "${C}n" --ip 10.123.4.77 busybox true; has "$ERR" "Address already in use"; rc 125 D run --rm --network "${C}n" --ip 10.9.9.9 busybox true
	local o=com.docker.network.driver.mtu; while read -r a b; do rc 1 D network create $a "${C}m"; has "$ERR" "$b" "$a"; done <<-X
		--ipam-driver=x plugin "x" not found
		--opt=$o=x failed to parse $o value: x (strconv.Atoi: parsing "x": invalid syntax)
		--opt=$o=-5 invalid MTU number: -5
		--ingress Ingress network can only be global scope network
		--config-from=x configuration network "x" does not exist
		--config-only config-only networks are not supported
	X
	rc 1 D network create --subnet 10.123.4.0/25 "${C}m"; has "$ERR" "Pool overlaps with other one on this address space"; rc 1 D network create "${C}n"; has "$ERR" "network with name ${C}n already exists"
	rc 1 D network create bridge; has "$ERR" "operation is not permitted on predefined bridge network"; rc 1 D network rm "${C}n"; has "$ERR" "has active endpoints"
	out D rm -f "$C"; out D network prune -f; has "$OUT" "${C}n"; rc 1 D network inspect "${C}n"
}
t_comes_back() { # networks are there after a restart of the engine, and their bridges
	net --label k=v "${C}n"; local id; id=$(D network inspect -f '{{.Id}} {{json .IPAM.Config}} {{json .Labels}}' "${C}n"); engine_term; ip link show "br-${id:0:12}" 2>/dev/null && fail "bridge is left"
	engine_start; eq "$(D network inspect -f '{{.Id}} {{json .IPAM.Config}} {{json .Labels}}' "${C}n")" "$id"; out D run --rm --network "${C}n" busybox ip route; has "$OUT" default; out D network rm "${C}n"
}
ip6_in() { i "$1" "{{(index .NetworkSettings.Networks \"$2\").GlobalIPv6Address}}"; }
t_ipv6() { # both families: addresses, names, fixed ones, the way out, published ports, and all of it after our death
	ip -6 addr add fd99::1/128 dev lo
	net --ipv6 --subnet fd98:1::/64 --gateway fd98:1::9 --ip-range fd98:1::f0/124 "${C}n"; net --ipv6 "${C}m"
	like "$(D network inspect -f '{{.EnableIPv6}} {{json .IPAM.Config}}' "${C}m")" '^true .*"Subnet":"fd[0-9a-f:]*::/64","Gateway":"fd[0-9a-f:]*::1"'
	out D run -d --name "$C" --network "${C}n" --ip6 fd98:1::77 -p 8095:80 -p 80 busybox httpd -f -p 80 -h /etc; eq "$(ip6_in "$C" "${C}n")" fd98:1::77
	has "$(D network inspect -f '{{json .Containers}}' "${C}n")" '"IPv6Address":"fd98:1::77/64"'; out D exec "$C" cat /etc/hosts; has "$OUT" fd98:1::77
	like "$(D port "$C" 80/tcp | tr '\n' ' ')" '0.0.0.0:8095 0.0.0.0:([0-9]+) \[::\]:8095 \[::\]:([0-9]+) $'; eq "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "one port for both families"
	out D run -d --name "${C}b" --network "${C}n" busybox sleep 300; eq "$(ip6_in "${C}b" "${C}n")" fd98:1::f0
	out D exec "${C}b" nslookup -type=aaaa "$C"; has "$OUT" fd98:1::77; out D exec "${C}b" wget -qO- "http://[fd98:1::77]/hostname"; eq "$OUT" "$(i "$C" '{{.Config.Hostname}}')"
	out D exec "${C}b" ping -6 -c1 -W2 fd99::1; out D exec "${C}b" ip -6 route; has "$OUT" "default via fd98:1::9"
	until_ok curl -sf -m 2 'http://[fd99::1]:8095/hostname' || fail "published port by IPv6"; until_ok curl -sf -m 2 http://127.0.0.1:8095/hostname || fail "published port by IPv4"
	out D run --rm --network "${C}m" busybox timeout 3 wget -qO- 'http://[fd99::1]:8095/hostname'; rc 1 D run --rm --network "${C}m" busybox ping -6 -c1 -W1 fd98:1::77
	rc 125 D run --rm --network "${C}n" --ip6 fd98:1::77 busybox true; has "$ERR" "Address already in use"; rc 125 D run --rm --network "${C}m" --ip6 fd00::5 busybox true; has "$ERR" "user configured subnets"
	rc 1 D network create --ipv6 --subnet fd98:1:0:0:1::/80 "${C}x"; has "$ERR" "Pool overlaps"; rc 1 D network create --subnet fd97::/64 "${C}x"; has "$ERR" "IPv6 is not enabled"
	rc 125 D run --rm -p '[::1]:8096:80' busybox true; has "$ERR" "has no IPv6"
	engine_kill; until_ok curl -sf -m 2 'http://[fd99::1]:8095/hostname' || fail "while apiserver is dead"; engine_start
	until_ok curl -sf -m 2 'http://[fd99::1]:8095/hostname' || fail "after"; eq "$(ip6_in "$C" "${C}n")" fd98:1::77; rc 125 D run --rm --network "${C}n" --ip6 fd98:1::77 busybox true
	out D network connect "${C}m" "$C"; out D network disconnect "${C}n" "$C"; out D exec "$C" ip -6 route; like "$OUT" 'default via fd[0-9a-f:]*::1 '
	until_ok curl -sf -m 2 'http://[fd99::1]:8095/hostname' || fail "the port did not move"; out D network disconnect "${C}m" "$C"
	out D network connect bridge "$C"; until_ok curl -sf -m 2 http://127.0.0.1:8095/hostname || fail "the port did not move on"; hasnt "$(D port "$C")" '[::]'
	out D rm -f "$C" "${C}b"; out D network rm "${C}n" "${C}m"; ip -6 addr del fd99::1/128 dev lo
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; C=${C:-} gone_nets; done
true
