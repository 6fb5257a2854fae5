#!/bin/bash
# The default bridge, none, host, container:X, published ports, names; one firewall table of our own.
. "$(dirname "$0")/lib.sh"
need docker curl busybox nft
engine_start; busybox_image
port_of() { docker port "$1" "$2" | sed -n '1s/.*://p'; }

t_bridge() {
	out D run -d --name "$C" busybox sleep 300; local ip; ip=$(i "$C" '{{.NetworkSettings.IPAddress}}'); like "$ip" '^[0-9.]+$'
	eq "$(i "$C" '{{.NetworkSettings.Networks.bridge.IPAddress}}')" "$ip"; like "$(i "$C" '{{.NetworkSettings.MacAddress}}')" '^([0-9a-f]{2}:){5}[0-9a-f]{2}$'
	out D run --rm busybox ping -c1 -W2 "$ip"; ping -c1 -W2 "$ip" >/dev/null 2>&1 || busybox ping -c1 -W2 "$ip" >/dev/null || fail "host cannot reach"
	out D run --rm busybox ip route; has "$OUT" "default via $(i "$C" '{{.NetworkSettings.Gateway}}')"
	has "$(D network inspect -f '{{json .Containers}}' bridge)" "$C"
}
t_ports() {
	out D run -d --name "$C" -p 127.0.0.1::80 -p 8081:81 busybox sh -c 'httpd -p 80 -h /etc; httpd -p 81 -h /etc; sleep 300'
	local p; p=$(port_of "$C" 80); like "$p" '^[0-9]+$'; until_ok curl -sf -m 2 "http://127.0.0.1:$p/hostname" || fail "127.0.0.1:$p"
	until_ok curl -sf -m 2 "http://127.0.0.1:8081/hostname" || fail "127.0.0.1:8081"; local gw; gw=$(i "$C" '{{.NetworkSettings.Gateway}}'); until_ok curl -sf -m 2 "http://$gw:8081/hostname" || fail "host address"
	out D run --rm busybox wget -qO- "http://$gw:8081/hostname"
	rc 125 D run --rm -p 8081:81 busybox true; has "$ERR" "failed to set up container networking: driver failed programming external connectivity"; has "$ERR" "port is already allocated"; out D stop -t 0 "$C"; out D run --rm -p 8081:81 busybox true
	rc 125 D run --rm -p 99999:1 busybox true; has "$ERR" "nvalid"; out D run -d --name "${C}b" -p 8083:80 -p 8084:81 busybox sleep 300; rc 125 D run --rm -p 8083-8084:80 busybox true; has "$ERR" "all ports are allocated"
}
t_named_port_first() { # a port that is named is not given to another binding by chance
	out D run -d --name "$C" -p 80 busybox sleep 300; local next=$(($(port_of "$C" 80) + 1))
	out D run -d --name "${C}b" -p 80 -p $next:81 busybox sleep 300; eq "$(port_of "${C}b" 81)" $next
}
t_link_to_come() { # in a user's network a link names what may come later; on the default bridge it must be there
	out D network create "$C"; out D run -d --net "$C" --link "${C}b:bar" --name "$C" busybox sleep 300
	rc 1 D exec "$C" nslookup bar; out D run -d --net "$C" --name "${C}b" busybox sleep 300; out D exec "$C" nslookup bar
	rc 125 D run --rm --link nosuch:x busybox true; has "$ERR" "could not get container for nosuch"; D run -d --name "${C}h" --network host busybox sleep 300 >/dev/null; rc 125 D run --rm --link "${C}h:x" busybox true; has "$ERR" "host type networking can't be used with links"; D rm -f "${C}h" >/dev/null; D rm -f "$C" "${C}b" >/dev/null; D network rm "$C" >/dev/null
}
t_legacy_links() { # on the default bridge a link keeps its container by ID, gives it three names, follows its address, is a name itself and can be taken away
	out D run -d --name "$C" -h hostb busybox sleep 300; out D run -d --name "${C}b" --link "$C:db" --link "$C" busybox sleep 300
	out D exec "${C}b" cat /etc/hosts; has "$OUT" $'\tdb hostb '"$C"; like "$OUT" $'\t'"$C hostb"$'\n'
	eq "$(i "${C}b/db" '{{.Name}}')" "/$C"; eq "$(i "${C}b" '{{.HostConfig.Links}}')" "[/$C:/${C}b/db /$C:/${C}b/$C]"; has "$(D ps --no-trunc --format '{{.Names}}')" "${C}b/db"
	local old; old=$(i "$C" '{{.NetworkSettings.IPAddress}}'); D rename "$C" "${C}x"; D stop -t 0 "${C}x" >/dev/null; out D run -d --name "${C}c" --ip '' busybox sleep 300; out D start "${C}x"
	ne "$(i "${C}x" '{{.NetworkSettings.IPAddress}}')" "$old"; out D exec "${C}b" cat /etc/hosts; has "$OUT" "$(i "${C}x" '{{.NetworkSettings.IPAddress}}')"$'\tdb hostb'; hasnt "$OUT" "$old"$'\t'
	out D restart -t 0 "${C}b"; out D exec "${C}b" ping -c1 -W2 db; eq "$(i "${C}b" '{{.HostConfig.Links}}')" "[/${C}x:/${C}b/db /${C}x:/${C}b/$C]"
	rc 1 D rm --link "${C}x"; has "$ERR" "Conflict, cannot remove the default link name of the container"
	out D rm --link "/${C}b/db"; out D exec "${C}b" cat /etc/hosts; hasnt "$OUT" $'\tdb '; has "$OUT" $'\t'"$C hostb"; eq "$(i "${C}b" '{{.HostConfig.Links}}')" "[/${C}x:/${C}b/$C]"; rc 1 D rm --link "${C}b/db"; has "$ERR" "No such container: ${C}b/db"
	engine_kill; engine_start; D rm -f "${C}x" >/dev/null; rc 1 D restart -t 0 "${C}b"; has "$ERR" "Cannot link to a non running container: /$C AS /${C}b/$C"; D rm -f "${C}b" "${C}c" >/dev/null
	D network create "$C" >/dev/null; D run -d --net "$C" --name "$C" busybox sleep 300 >/dev/null; rc 125 D run --rm --link "$C" busybox true; has "$ERR" "Cannot link to /$C, as it does not belong to the default network"; D rm -f "$C" >/dev/null; D network rm "$C" >/dev/null
}
t_link_after_restart() { # the other's address may be another one then
	out D network create "$C"; out D run -d --net "$C" --name "${C}b" busybox sleep 300; out D run -d --net "$C" --link "${C}b:foo" --name "$C" busybox sleep 300
	out D exec "$C" ping -c1 -W2 foo; out D stop -t 0 "${C}b"; out D run -d --net "$C" --name "${C}c" busybox sleep 300; out D start "${C}b"
	out D exec "$C" ping -c1 -W2 foo; D rm -f "$C" "${C}b" "${C}c" >/dev/null; D network rm "$C" >/dev/null
}
t_mac_in_capitals() { out D run --rm --mac-address 92:D0:C6:0A:29:33 busybox cat /sys/class/net/eth0/address; eq "$OUT" 92:d0:c6:0a:29:33; }
t_ipam_options_as_sent() {
	api POST /networks/create -H 'Content-Type: application/json' -d '{"Name":"'"$C"'"}' >/dev/null; eq "$(D network inspect -f '{{json .IPAM.Options}}' "$C")" null; D network rm "$C" >/dev/null
	out D network create "$C"; eq "$(D network inspect -f '{{json .IPAM.Options}}' "$C")" "{}"; D network rm "$C" >/dev/null
}
t_driver_options() { # what has no effect is refused by name; what Docker does not know is a note
	local p=com.docker.network o rest
	while read -r o rest; do
		rc 1 D network create -o "$p.$o" opts; has "$ERR" "${rest//@/$p}"
	done <<-'X'
		bridge.gateway_mode_ipv4=routed network option @.bridge.gateway_mode_ipv4=routed is not supported
		bridge.gateway_mode_ipv6=bogus failed to parse @.bridge.gateway_mode_ipv6 value: bogus (unknown gateway mode bogus)
		bridge.inhibit_ipv4=true network option @.bridge.inhibit_ipv4=true is not supported
		bridge.inhibit_ipv4=x failed to parse @.bridge.inhibit_ipv4 value: x (strconv.ParseBool: parsing "x": invalid syntax)
		bridge.trusted_host_interfaces=eth0 network option @.bridge.trusted_host_interfaces=eth0 is not supported
		advertise_addr_nmsgs=2 network option @.advertise_addr_nmsgs=2 is not supported
		advertise_addr_nmsgs=5 @.advertise_addr_nmsgs must be in the range 0 to 3
		advertise_addr_ms=x value for option @.advertise_addr_ms "x" must be an integer
		host_ipv4=192.0.2.1 network option @.host_ipv4=192.0.2.1 is not supported
		bridge.host_binding_ipv4=x failed to parse @.bridge.host_binding_ipv4 value: x (nil ip)
	X
	out D network create -o $p.bridge.gateway_mode_ipv4=nat -o $p.bridge.inhibit_ipv4=false -o $p.advertise_addr_nmsgs=0 -o note=kept opts
	eq "$(D network inspect -f '{{.Options.note}}' opts)" kept; D network rm opts >/dev/null
}
t_port_forms() {
	out D run -d --name "$C" -p 127.0.0.1:47000-47002:7000-7002 -p 127.0.0.1::5353/udp --expose 99 -P busybox sleep 300
	out D port "$C"; has "$OUT" "7001/tcp -> 127.0.0.1:47001"; has "$OUT" "5353/udp -> 127.0.0.1:"; like "$OUT" '99/tcp -> 0.0.0.0:[0-9]+'
}
t_external_client() { # a host that is not this one reaches the port, and the zone gets out through NAT
	ip netns add "ext$$" && ip link add "ve$$" type veth peer name "vp$$" netns "ext$$" && ip addr add 10.222.0.1/24 dev "ve$$" && ip link set "ve$$" up || fail netns
	ip -n "ext$$" addr add 10.222.0.2/24 dev "vp$$"; ip -n "ext$$" link set "vp$$" up; ip -n "ext$$" link set lo up
	out D run -d --name "$C" -p 8082:80 busybox httpd -f -p 80 -h /etc
	UNTIL=5 until_ok ip netns exec "ext$$" curl -sf -m 2 http://10.222.0.1:8082/hostname; local a=$?
	out D run --rm busybox ping -c1 -W2 10.222.0.2; local b=$?
	ip netns del "ext$$"; ip link del "ve$$" 2>/dev/null; eq "$a $b" "0 0"
}
t_modes() {
	out D run --rm --network none busybox ip -o addr; hasnt "$OUT" eth0; out D run --rm --network host busybox ip -o link; has "$OUT" "$(ip -o link | awk -F': ' 'NR==2{print $2}' | cut -d@ -f1)"
	out D run -d --name "$C" --hostname shared --domainname ex.test busybox httpd -f -p 8123 -h /etc; out D run --rm --network "container:$C" busybox sh -c 'hostname; wget -qO- http://127.0.0.1:8123/hostname'; eq "$OUT" $'shared\nshared'
	rc 125 D run --rm --network nosuch busybox true; has "$ERR" "failed to set up container networking: network nosuch not found"
	rc 125 D run --rm --network container:nosuch busybox true; has "$ERR" "joining network namespace of container: No such container: nosuch"
	rc 125 D run --rm --network host --network none busybox true; has "$ERR" "host cannot be connected to any other network"; rc 125 D run --rm --network none --network bridge busybox true; has "$ERR" "private (none) mode"; rc 125 D run --rm --network bridge --network host busybox true; has "$ERR" "cannot connect container to host network"
}
t_names() {
	out D run --rm -h web --add-host db:10.9.8.7 --add-host gw:host-gateway busybox cat /etc/hosts; like "$OUT" $'10.9.8.7[\t ]+db'; like "$OUT" $'[0-9.]+[\t ]+web'; like "$OUT" $'[0-9.]+[\t ]+gw'
	out D run --rm --dns 10.1.2.3 --dns-search ex.test --dns-option ndots:3 busybox cat /etc/resolv.conf; has "$OUT" "nameserver 10.1.2.3"; has "$OUT" "search ex.test"; has "$OUT" "options ndots:3"
	out D run -d --name "$C" busybox sleep 300; out D run --rm --link "$C:peer" busybox ping -c1 -W2 peer
}
t_list_filters() { # names and ids are expressions
	out D network create "${C}n"; out D network create "${C}nn"; eq "$(D network ls -f "name=^${C}n\$" --format '{{.Name}}')" "${C}n"; eq "$(D network ls -f "name=${C}n" -q | wc -l)" 2; eq "$(D network ls --no-trunc -q -f "id=^$(D network inspect -f '{{slice .Id 0 9}}' "${C}n")")" "$(D network inspect -f '{{.Id}}' "${C}n")"
	out D network prune -f --filter until=2010-01-01; eq "$OUT" ""; out D create --name "$C" busybox; rc 1 D network disconnect host "$C"; has "$ERR" "is not connected to network host"; D network rm "${C}n" "${C}nn" >/dev/null
}
t_list() { out D network ls --format '{{.Name}}'; eq "$(sort <<<"$OUT" | tr '\n' ' ')" "bridge host none "; rc 1 D network rm bridge; has "$ERR" "is a pre-defined network and cannot be removed"; rc 1 D network inspect nosuch; like "$ERR" "(network nosuch not found|No such network: nosuch)"; }
t_address_is_reused_and_kept() {
	local k ips=; for k in 1 2 3; do out D run --rm busybox hostname -i; ips="$ips $OUT"; done
	out D run -d --name "$C" -p 8083:80 busybox httpd -f -p 80 -h /etc; out D restart -t 0 "$C"; until_ok curl -sf -m 2 http://127.0.0.1:8083/hostname || fail "after restart"
}
t_own_table_only() { nft add table ip other_test; nft list tables | grep -q sdc || fail "no table"; nft list table ip other_test >/dev/null || fail gone; nft delete table ip other_test; }
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
