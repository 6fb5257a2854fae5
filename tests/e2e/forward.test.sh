#!/bin/bash
# Log drivers that forward: every line reaches the sink, in order, whatever was down meanwhile. Other people's receivers:
# receivers.test.sh.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
engine_root; echo "FORWARD_GRACE = 15" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image

. "$(dirname "$0")/sinks.sh"

t_syslog_tcp() {
	sink tcp 5514 "$T/out"
	out D run --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5514 --log-opt tag=web busybox \
		sh -c 'echo one; echo two >&2; echo; printf tail'
	got "$T/out" 'web\[' 3; unsink
	like "$(sed -n 1p "$T/out")" '^<30>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} web\[[0-9]+\]: one$'
	grep -q '^<27>.*: two$' "$T/out" || fail "stderr's severity"
	grep -q ': tail$' "$T/out" || fail "what has no newline"
	eq "$(D logs "$C" 2>/dev/null)" $'one\n\ntail' "docker logs"
}
t_syslog_udp() {
	sink udp 5515 "$T/out"
	out D run --network host --name "$C" --log-driver syslog --log-opt syslog-address=udp://127.0.0.1:5515 --log-opt syslog-format=rfc5424micro \
		--log-opt syslog-facility=local3 busybox sh -c 'for i in 1 2 3; do echo line-$i; done'
	got "$T/out" line- 3; unsink
	in_order "$T/out" 3; like "$(head -1 "$T/out")" '^<158>1 20[0-9T:.-]*(Z|[+-][0-9:]*) [^ ]+ [0-9a-f]{12} [0-9]+ [0-9a-f]{12} - line-1$'
}
t_framing() {
	sink tcp 5516 "$T/out"
	out D run --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5516 --log-opt syslog-format=rfc5424 \
		--log-opt syslog-framing=octet --log-opt tag=t busybox echo hello
	got "$T/out" hello 1; unsink
	local l text; l=$(head -1 "$T/out"); text=${l#* }
	eq "${l%% *}" $((${#text} + 1)) "octets: the count has the newline"
}
t_inside_the_network() {
	out D run -d --name "$C" busybox sh -c 'mkdir /r; sleep 1000 | nc -l -p 7000 >/r/out & for i in 1 2 3; do sleep 1; echo line-$i; done; sleep 100'
	out D run -d --name "${C}b" --network "container:$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7000 busybox \
		sh -c 'for i in 1 2 3; do echo line-$i; done; sleep 100'
	UNTIL=15 until_ok sh -c "docker exec $C grep -q line-3 /r/out" || fail "nothing over the zone's own loopback"
}
t_down_then_up() {
	# shellcheck disable=SC2086 # options
	out D run -d --network host --name "$C" --log-driver "$1" $2 --log-opt cache-max-size=20k --log-opt cache-max-file=2 busybox \
		sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line-$i; done; sleep 100'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-3000" || fail "the container waits for its sink"
	until_ok told_unreached "$(uuid_of "$C")" || fail "its sink is not missed"; sink "$3" "$4" "$T/out"
	got "$T/out" 'line-3000\b' 1; unsink; in_order "$T/out" 3000
}
t_kill() { # DRIVER OPTS KIND PORT
	sink "$3" "$4" "$T/out"
	# shellcheck disable=SC2086 # options
	out D run -d --network host --name "$C" --log-driver "$1" $2 --log-opt cache-max-size=100k --log-opt cache-max-file=3 busybox \
		sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line-$i; [ $((i % 100)) = 0 ] && sleep 0.02; done; sleep 100'
	local k p
	for k in 1 2 3; do
		sleep 0.5; for p in $(pids_of logger); do kill -9 "$p"; done
		sleep 0.5; for p in $(pids_of logsvc); do kill -9 "$p"; done
	done
	UNTIL=60 got "$T/out" 'line-20000\b' 1; unsink; in_order "$T/out" 20000
}
t_sink_dies() {
	sink tcp 5518 "$T/out"
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5518 busybox \
		sh -c 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line-$i; sleep 0.01; done; sleep 100'
	got "$T/out" line- 100; unsink; until_ok told_unreached "$(uuid_of "$C")" || fail "its sink is not missed"; sink tcp 5518 "$T/out"; got "$T/out" 'line-400\b' 1; unsink; in_order "$T/out" 400
}
t_fluentd() {
	sink fluentd 5520 "$T/out"
	out D run --network host --name "$C" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:5520 --log-opt fluentd-request-ack=true \
		--log-opt tag=a.b --log-opt env=E -e E=v busybox sh -c 'echo one; echo two >&2; head -c 20000 /dev/zero | tr "\0" x; echo'
	got "$T/out" '"tag": "a.b"' 4; unsink
	eq "$(sed -n 1p "$T/out" | jq -r '[.log,.source,.container_name,.E,(.container_id|length)]|@csv')" "\"one\",\"stdout\",\"/$C\",\"v\",64"
	eq "$(grep partial_id "$T/out" | jq -r '[(.log|length),.partial_ordinal,.partial_last]|@csv')" $'16384,"1","false"\n3616,"2","true"'
	eq "$(grep partial_id "$T/out" | jq -r .partial_id | sort -u | wc -l)" 1
}
t_udp_slow() { # more at once than its receive buffer holds: what it has no room for waits in the log
	sink udp 5516 "$T/out" 127.0.0.1 slow
	out D run --network host --name "$C" --log-driver syslog --log-opt syslog-address=udp://127.0.0.1:5516 --log-opt syslog-format=rfc5424 \
		busybox sh -c 'for i in $(seq 1 3000); do echo line-$i; done'
	got "$T/out" line- 3000; in_order "$T/out" 3000; unsink
}
# Nobody answers for the sink's address yet: what the kernel holds for it, and drops when that is much, or after three seconds, is not sent.
t_udp_absent_host() {
	local x k n
	x=$(head -c 900 /dev/zero | tr '\0' x)
	out D network create --subnet 10.77.1.0/24 "n$C"
	for k in "$C 5531 20 " "${C}b 5532 1500 $x"; do
		# shellcheck disable=SC2086 # words
		set -- $k; out D run -d --network "n$C" --name "$1" --log-driver syslog --log-opt "syslog-address=udp://10.77.1.9:$2" busybox \
			sh -c "i=0; while [ \$i -lt $3 ]; do i=\$((i+1)); echo \"${4:-} line-\$i\"; done; sleep 100"
	done
	for k in "$C" "${C}b"; do until_ok told_unreached "$(uuid_of "$k")" || fail "$(tail -3 "$ROOT.t/apiserver.log")"; done
	out D run -d --network "n$C" --ip 10.77.1.9 --name "${C}c" busybox sleep 100
	for k in 5531 5532; do
		nsenter -t "$(i "${C}c" '{{.State.Pid}}')" -n python3 "$top/tests/e2e/sink.py" udp $k "$T/$k" 10.77.1.9 & echo "$!" >>"$ROOT.t/sinks"
	done
	got "$T/5531" 'line-20\b' 1; got "$T/5532" 'line-1500\b' 1; in_order "$T/5531" 20; in_order "$T/5532" 1500
	D rm -f "$C" "${C}b" "${C}c" >/dev/null; out D network rm "n$C"
}
told_unreached() { grep "sink not reached.*$1" "$ROOT.t/apiserver.log"; }
t_gelf() {
	sink gelf 5521 "$T/out"
	out D run --network host --name "$C" --log-driver gelf --log-opt gelf-address=udp://127.0.0.1:5521 busybox \
		sh -c 'echo one; echo two >&2; head -c 9000 /dev/urandom | base64 -w 0; echo'
	got "$T/out" short_message 3; unsink
	# no order is promised between the two streams
	eq "$(grep '"one"' "$T/out" | jq -r '[.version,.short_message,.level,._container_name]|@csv')" "\"1.1\",\"one\",6,\"$C\""
	eq "$(jq -r '.short_message|length' "$T/out" | sort -n | tr '\n' ' ')" "3 3 12000 "; eq "$(grep '"two"' "$T/out" | jq -r .level)" 3
}
t_gelf_tcp() {
	sink gelftcp 5522 "$T/out"
	out D run --network host --name "$C" --log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:5522 busybox sh -c 'for i in 1 2 3; do echo line-$i; done'
	got "$T/out" line- 3; unsink; in_order "$T/out" 3; eq "$(jq -r .level "$T/out" | sort -u)" 6
}
t_rm() {
	sink tcp 5523 "$T/out"
	out D run --rm --cidfile "$T/cid1" --network host --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5523 busybox \
		sh -c 'for i in $(seq 1 2000); do echo line-$i; done'
	got "$T/out" 'line-2000\b' 1; until_ok no_logger_of "$(uuid_in "$T/cid1")" || fail "its logger goes on"; unsink; in_order "$T/out" 2000
	local a=$SECONDS u; out D run --rm --cidfile "$T/cid" --network host --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5523 busybox \
		sh -c 'for i in $(seq 1 3000); do echo line-$i; done'
	[ $((SECONDS - a)) -le 3 ] || fail "a sink that is away holds the container for $((SECONDS - a)) s"
	u=$(uuid_in "$T/cid"); eq "$(ls "$ROOT/zones/$u" | tr '\n' ' ')" "config logs " "what is left"
	local p; for p in $(pids_of logger) $(pids_of logsvc); do kill -9 "$p"; done
	sink tcp 5523 "$T/late"; got "$T/late" 'line-3000\b' 1; unsink; in_order "$T/late" 3000
	UNTIL=25 until_ok test ! -e "$ROOT/zones/$u" || fail "the log is left"; UNTIL=25 until_ok test ! -e "$ROOT/run/zones/$u" || fail "the run folder is left"
}
# events of a container, SINCE ID CAUSE: the sums of their lines and bytes
lost_sums() { # a removed container's events have the first half of its id
	D events --since "$1" --until "$(($(date +%s) + 1))" --filter event=log_lost --format '{{json .Actor}}' |
		jq -rs "[.[]|select(.ID[0:32]==\"${2:0:32}\" and .Attributes.cause==\"$3\").Attributes]|[(map(.lines//0|tonumber)|add),(map(.bytes//0|tonumber)|add)]|@tsv"
}
few_kb() { [ "$(du -sk "$(dirname "$(log_of "$C")")" | cut -f1)" -lt "$1" ]; }
t_dropped() { # the engine that this needs is started with a small FORWARD_MAX_BACKLOG
	local since id; since=$(date +%s)
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5530 --log-opt cache-max-size=100k \
		--log-opt cache-max-file=2 busybox sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line-$i; done; sleep 100'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-20000" || fail "the container waits for its sink"
	until_ok few_kb 1500 || fail "$(ls -l "$(dirname "$(log_of "$C")")")"
	sink tcp 5530 "$T/out"; UNTIL=40 got "$T/out" 'line-20000\b' 1; unsink
	python3 - "$T/out" <<'P' || fail "dropped"
import re, sys
text = open(sys.argv[1]).read()
ns = sorted(set(int(n) for n in re.findall(r'line-(\d+)\b', text)))
dropped = re.findall(r'logsvc: (\d+) messages \((\d+) bytes\) dropped', text)
assert ns[-1] == 20000 and ns[0] > 1, ns[:2]
assert ns == list(range(ns[0], 20001)), 'a hole'
assert sum(int(d[0]) for d in dropped) == ns[0] - 1, (dropped, ns[0])
print(sum(int(d[0]) for d in dropped), sum(int(d[1]) for d in dropped), sep='\t', file=open(sys.argv[1] + '.sum', 'w'))
P
	id=$(i "$C" '{{.Id}}'); D rm -f "$C" >/dev/null; told() { [ "$(lost_sums "$since" "$id" "not forwarded")" = "$(cat "$T/out.sum")" ]; }
	until_ok told || fail "events: $(lost_sums "$since" "$id" "not forwarded"), the sink was told $(cat "$T/out.sum")"
}
# the zone pays for its logger's time, and neither its pause nor its end is the logger's
t_cpu() {
	[ -d /sys/fs/cgroup/cpu ] || return 0
	local p g; sink tcp 5532 "$T/out"
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5532 busybox sh -c 'i=0; while [ ! -e /end ]; do i=$((i+1)); echo line-$i; usleep 20000; done'
	got "$T/out" line- 1; g=$(grep ':cpu:\|:cpu,' "/proc/$(i "$C" '{{.State.Pid}}')/cgroup"); has "$g" "$(D inspect -f '{{slice .Id 0 32}}' "$C")"
	for p in $(pids_of "logger --uuid $(uuid_of "$C")"); do eq "$(grep ':cpu:\|:cpu,' "/proc/$p/cgroup")" "$g"; done
	unsink; sleep 0.3; D pause "$C" >/dev/null; sink tcp 5532 "$T/out"; p=$(D logs --tail 1 "$C"); got "$T/out" "$p\\b" 1; D unpause "$C" >/dev/null; unsink
	D kill "$C" >/dev/null; [ ! -e "/sys/fs/cgroup/cpu${g##*:}" ] || fail "the control group is left"; [ -n "$(pids_of "logger --uuid $(uuid_of "$C")")" ] || fail "the logger died with its zone"
	p=$(D logs --tail 1 "$C"); sink tcp 5532 "$T/out"; got "$T/out" "$p\\b" 1; unsink; in_order "$T/out" "${p#line-}"
}
# what is removed before its sink has it is told
t_grace_over() {
	local since id; since=$(date +%s)
	out D run --rm --cidfile "$T/cid" --network host --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5531 --log-opt cache-max-size=10k busybox \
		sh -c 'for i in $(seq 1 500); do echo line-$i; done'
	id=$(cut -c1-32 "$T/cid"); UNTIL=20 until_ok lost "$since" "$id" || fail "no event: $(D events --since "$since" --until "$(date +%s)" --filter event=log_lost)"
	[ -z "$(ls "$ROOT/run/zones")" ] || fail "$(ls "$ROOT/run/zones")"
	lost_sums "$since" "$id" "removed before delivery" | awk '{ok = $1 == 500 && $2 > 38000 && $2 < 41000} END {exit !ok}' || fail "not the bytes of all files: $(lost_sums "$since" "$id" "removed before delivery")"
}
# what its sink is in the middle of taking: lines and bytes are of one place
t_grace_over_midway() {
	local since id; since=$(date +%s); sink fluentd 5535 "$T/out" 127.0.0.1 slow
	out D run --rm --cidfile "$T/cid" --network host --log-driver fluentd --log-opt fluentd-address=127.0.0.1:5535 --log-opt fluentd-request-ack=true busybox \
		sh -c 'i=10000; while [ $i -lt 12800 ]; do i=$((i+1)); echo "0123456789012345678901234567890123456789 line-$i"; done'
	id=$(cut -c1-32 "$T/cid"); UNTIL=20 until_ok lost "$since" "$id"
	lost_sums "$since" "$id" "removed before delivery" >"$T/sums"; unsink
	awk '{ok = $1 > 50 && $1 < 2700 && $2 / $1 > 110 && $2 / $1 < 130} END {exit !ok}' "$T/sums" || fail "$(cat "$T/sums")" # 123 bytes a record, or a little less
}
lost() { D events --since "$1" --until "$(($(date +%s) + 1))" --filter event=log_lost | grep "log_lost $2" | grep "cause=removed before delivery" | grep -qE "bytes=[0-9]{5}"; }
# a zone that fills its memory meets its killer; its logger is not among whom that finds
t_memory() {
	local before
	sink tcp 5533 "$T/out"
	out D run -di --network host --name "$C" --memory 24m --memory-swap 24m --shm-size 64m --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5533 \
		busybox sh -c 'i=0; while :; do i=$((i+1)); echo line-$i; read -t 0.02 x; done'
	got "$T/out" line- 1; before=$(pids_of logger)
	D exec "$C" dd if=/dev/zero of=/dev/shm/fill bs=1M count=60 >/dev/null 2>&1; [ $? = 137 ] || fail "its memory has no end"
	sleep 1; eq "$(pids_of logger)" "$before" "logger"
	D kill "$C" >/dev/null; D wait "$C" >/dev/null; D logs "$C" >"$T/log"; got "$T/out" "$(tail -1 "$T/log")\$" 1
	in_order "$T/out" "$(wc -l <"$T/log")"; unsink
}
# a container that is removed long after its logger has ended, by a logsvc that has never heard of it
t_removed_later() {
	local since id dir n; since=$(date +%s)
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5534 busybox sh -c 'for i in $(seq 1 500); do echo line-$i; done'
	D wait "$C" >/dev/null; UNTIL=20 until_ok no_loggers || fail "the logger does not end"
	for n in $(pids_of logsvc); do kill -9 "$n"; done; until_ok docker logs "$C"; eq "$(pids_of logger)" "" loggers
	id=$(i "$C" '{{.Id}}'); n=$(stat -c %s "$(log_of "$C")"); dir=$(dirname "$(dirname "$(log_of "$C")")")
	out D rm "$C"; [ ! -e "$dir" ] || fail "its folder is left"
	told() { [ "$(lost_sums "$since" "$id" "removed before delivery")" = "500	$n" ]; }
	until_ok told || fail "want 500 $n, told $(lost_sums "$since" "$id" "removed before delivery")"
	# and one that has delivered all says nothing
	sink tcp 5534 "$T/out"; since=$(date +%s)
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5534 busybox sh -c 'for i in $(seq 1 500); do echo line-$i; done'
	got "$T/out" 'line-500\b' 1; D wait "$C" >/dev/null; UNTIL=20 until_ok no_loggers; for n in $(pids_of logsvc); do kill -9 "$n"; done; until_ok docker logs "$C"
	id=$(i "$C" '{{.Id}}'); out D rm "$C"; eq "$(lost_sums "$since" "$id" "removed before delivery")" "	"; unsink
}
t_refused() {
	rc 125 D run --log-driver syslog --log-opt syslog-address=http://x busybox true; has "$ERR" "unsupported scheme: 'http'"
	rc 125 D run --log-driver syslog --log-opt syslog-address=udp://x --log-opt syslog-format=x busybox true; has "$ERR" "Invalid syslog format"
	rc 125 D run --log-driver gelf busybox true; has "$ERR" "gelf-address is a required parameter"
	rc 125 D run --log-driver fluentd --log-opt fluentd-address=http://h busybox true; has "$ERR" "invalid fluentd-address (http://h): unsupported scheme: 'http'"
}
check "syslog over tcp" t_syslog_tcp
check "syslog over udp" t_syslog_udp
check "octet framing" t_framing
check "a sink that only the zone can reach" t_inside_the_network
check "syslog: down, then up" t_down_then_up syslog "--log-opt syslog-address=tcp://127.0.0.1:5517" tcp 5517
check "syslog udp: a slow receiver" t_udp_slow
check "syslog udp: a host that is not there yet" t_udp_absent_host
check "syslog udp: down, then up" t_down_then_up syslog "--log-opt syslog-address=udp://127.0.0.1:5525" udp 5525
check "syslog: logger and logsvc killed" t_kill syslog "--log-opt syslog-address=tcp://127.0.0.1:5519" tcp 5519
check "a sink that dies" t_sink_dies
check "fluentd with acks" t_fluentd
check "fluentd: down, then up" t_down_then_up fluentd "--log-opt fluentd-address=127.0.0.1:5527 --log-opt fluentd-request-ack=true" fluentd 5527
check "fluentd: logger and logsvc killed" t_kill fluentd "--log-opt fluentd-address=127.0.0.1:5529 --log-opt fluentd-request-ack=true" fluentd 5529
check "gelf over udp" t_gelf
check "gelf over tcp" t_gelf_tcp
check "--rm: the log outlives the container until the sink has it" t_rm
check "the zone pays for its logger" t_cpu
check "a zone out of memory" t_memory
check "options are checked" t_refused
# shellcheck disable=SC2046 # a list of words
docker rm -fv $(docker ps -aq) >/dev/null 2>&1; engine_term; until_ok no_daemons
printf "FORWARD_MAX_BACKLOG = 400k\nFORWARD_GRACE = 3\n" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"
check "too much waits: the oldest is dropped, and told" t_dropped
check "removed later, with a backlog and without" t_removed_later
check "a removed container's backlog is given up after the grace, and told" t_grace_over
check "it is given up while the sink takes it" t_grace_over_midway
unsink_all
