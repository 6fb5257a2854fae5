#!/bin/bash
# Options of the log drivers that forward: waits, limits, names, sockets of the host.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 ss
engine_root
printf 'FORWARD_GRACE = 2\nlog-unix-sockets = %s, %s\n' "$ROOT.t/dg" "$ROOT.t/st" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image

. "$(dirname "$0")/sinks.sh"

says() { grep -F "zone=$ZONE" "$ROOT.t/apiserver.log" | grep -qE "$1"; }
told() { UNTIL=${UNTIL:-10} until_ok says "$1" || fail "not told: $1; $(tail -3 "$ROOT.t/apiserver.log")"; }
run() { SINCE=$(date +%s); out D run -d --network host --name "$C" --log-driver "$@"; ZONE=$(uuid_of "$C"); CID=$(i "$C" '{{.Id}}'); }
# what was dropped is told, and what is left has no hole
only_newest() { # FILE LAST
	python3 - "$1" "$2" <<'P' || fail "$(head -c 300 "$1")"
import re, sys
text, last = open(sys.argv[1]).read(), int(sys.argv[2])
ns = sorted(set(int(n) for n in re.findall(r'line-(\d+)\b', text)))
assert ns and ns[-1] == last and ns == list(range(ns[0], last + 1)), (ns[:1], ns[-1:])
assert ns[0] > 1 and sum(int(n) for n in re.findall(r'logsvc: (\d+) messages \(\d+ bytes\) dropped', text)) == ns[0] - 1, ns[0]
P
}
event_lost() { D events --since "$((SINCE - 1))" --until "$(($(date +%s) + 1))" --filter event=log_lost --format '{{.ID}} {{.Actor.Attributes.cause}} {{.Actor.Attributes.lines}}' | grep -E "${CID}[0-9a-f]* $1 [0-9]+"; }
t_buffer() { # DRIVER PORT KIND OPTIONS...
	local d=$1 port=$2 kind=$3; shift 3
	run "$d" "$@" busybox sh -c 'i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo line-$i; done; sleep 100'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-5000" || fail "the container waits for its sink"
	told "too much waits for the sink.* lines=[0-9]+"; until_ok event_lost "not forwarded" || fail "no event"
	sink "$kind" "$port" "$T/out"; got "$T/out" 'line-5000\b' 1; unsink; only_newest "$T/out" 5000
	[ "$(stat -c %s "$T/out")" -lt 400000 ] || fail "more than the buffer: $(stat -c %s "$T/out")"
	eq "$(D logs "$C" | md5sum)" "$(seq 1 5000 | sed 's/^/line-/' | md5sum)" "docker logs has all"
}
t_retries() { # DRIVER PORT KIND OPTIONS...
	local d=$1 port=$2 kind=$3; shift 3
	run "$d" "$@" busybox sh -c 'echo line-1; while [ ! -e /go ]; do sleep 0.1; done; echo line-2; sleep 100'
	told "tried as often as its options say: what waits is dropped zone=[^ ]* lines=1 bytes=6"
	sink "$kind" "$port" "$T/out"; out D exec "$C" touch /go; got "$T/out" '"line-2"' 1; unsink
	! grep -q '"line-1"' "$T/out" || fail "it was given up"; grep -q 'logsvc: 1 messages (6 bytes) dropped' "$T/out" || fail "not told: $(cat "$T/out")"
}
source_port() { ss -Hnt "dport = :$1" | awk '{print $4}' | head -1; }
moved() { local p; p=$(source_port 6603); [ -n "$p" ] && [ "$p" != "$1" ]; }
t_reconnect() {
	sink fluentd 6603 "$T/out"
	run fluentd --log-opt fluentd-address=127.0.0.1:6603 --log-opt fluentd-async-reconnect-interval=500ms busybox \
		sh -c 'for i in $(seq 1 40); do echo line-$i; sleep 0.1; done; sleep 100'
	got "$T/out" line- 1; local p; p=$(source_port 6603); until_ok moved "$p" || fail "the connection is still $p"
	got "$T/out" line-40 1; unsink
	eq "$(jq -r .log "$T/out" | xargs)" "$(seq 1 40 | sed 's/^/line-/' | xargs)" "each line once"
}
t_write_timeout() { # takes connections and reads nothing
	sink fluentd 6604 "$T/out" 127.0.0.1 stall
	run fluentd --log-opt fluentd-address=127.0.0.1:6604 --log-opt fluentd-write-timeout=300ms busybox sh -c 'yes 0123456789012345678901234567890123456789 | head -n 300000; sleep 100'
	told "sink not reached.*write to 127.0.0.1:6604: (connection timed out|i/o timeout)"; unsink
}
t_hostname() {
	sink udp 6605 "$T/out"
	run syslog --log-opt syslog-address=udp://127.0.0.1:6605 --log-opt syslog-format=rfc5424 --log-opt 'syslog-hostname=z-{{.Name}}' --log-opt syslog-tag='t.{{.ID}}' busybox echo hello
	got "$T/out" hello 1; unsink; like "$(cat "$T/out")" "Z z-$C t.[0-9a-f]{12} |[+-][0-9:]* z-$C t.[0-9a-f]{12} "
}
t_unix() {
	cat >"$T/u.py" <<'P'
import os, socket, sys
kind, path, out = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == 'dg' else socket.SOCK_STREAM)
if os.path.exists(path): os.unlink(path)
s.bind(path); os.chmod(path, 0o666)
f = open(out, 'ab', buffering=0)
if kind == 'st':
    s.listen(1); s = s.accept()[0]
while True:
    b = s.recv(65536)
    if not b: break
    f.write(b)
P
	chmod 755 "$ROOT.t" # the logger is nobody
	local k
	for k in dg st; do
		python3 "$T/u.py" $k "$ROOT.t/$k" "$T/$k.out" & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
		until_ok test -S "$ROOT.t/$k"
		out D run --rm --log-driver syslog --log-opt "syslog-address=unix$([ $k = dg ] && echo gram)://$ROOT.t/$k" busybox sh -c 'echo one; echo two'
		got "$T/$k.out" ': two' 1; unsink
	done
	rc 125 D run --log-driver syslog --log-opt syslog-address=unix:///run/other busybox true
	has "$ERR" "unix socket /run/other: sockets of the host's file system need the operator's consent (log-unix-sockets)"
	rm -f "$ROOT.t/st"; rc 127 D run --log-driver fluentd --log-opt "fluentd-address=unix://$ROOT.t/st" busybox true
	has "$ERR" "stat $ROOT.t/st: no such file or directory"
}
# a start that waits for its sink, where that is asked for
t_async_false() {
	local o="--log-driver fluentd --log-opt fluentd-address=127.0.0.1:6607 --network host" k a
	for k in fluentd-async fluentd-async-connect; do
		# shellcheck disable=SC2086 # options
		rc 125 D run -d --name "$C$k" $o --log-opt $k=false busybox sleep 100
		has "$ERR" "failed to create task for container: failed to initialize logging driver: dial tcp 127.0.0.1:6607: connect: connection refused"
		eq "$(i "$C$k" '{{.State.Status}} {{.State.ExitCode}}')" "created 128"; D rm "$C$k" >/dev/null
	done
	# shellcheck disable=SC2086
	out D create --name "$C" $o --log-opt fluentd-async=false busybox sh -c 'echo line-1; sleep 100'
	rc 1 D start "$C"; has "$ERR" "failed to initialize logging driver: dial tcp"
	sink fluentd 6607 "$T/out"; out D start "$C"; got "$T/out" '"line-1"' 1; out D restart -t 0 "$C"; got "$T/out" '"line-1"' 2; unsink
	D kill "$C" >/dev/null; rc 1 D start "$C"; has "$ERR" "failed to initialize logging driver: "
	a=$SECONDS # in a network of its own, where packets get no answer
	rc 125 D run -d --name "${C}b" --log-driver fluentd --log-opt fluentd-address=192.0.2.1:1 --log-opt fluentd-async=false busybox sleep 100
	like "$ERR" "failed to initialize logging driver: (dial tcp 192.0.2.1:1: connect: |i/o timeout)"; [ $((SECONDS - a)) -lt 15 ] || fail "$((SECONDS - a)) s"
	# shellcheck disable=SC2086
	for k in true 1; do out D run -d --name "${C}c" $o --log-opt fluentd-async=$k busybox sleep 100; D rm -f "${C}c" >/dev/null; done
}
printed() { D exec "$1" cat /n 2>/dev/null | tail -1; }
stands() { local n; n=$(printed "$1"); sleep 0.7; [ -n "$n" ] && [ "$n" = "$(printed "$1")" ]; }
# nothing is dropped: the container waits for a sink that is away, and only this one
t_block() { # DRIVER PORT KIND OPTIONS...
	local d=$1 port=$2 kind=$3 n a since; shift 3; since=$(date +%s)
	local talk='i=0; while [ $i -lt 60000 ]; do k=0; while [ $k -lt 200 ]; do i=$((i+1)); k=$((k+1)); echo "line-$i 0123456789012345678901234567890123456789012345678"; done; echo $i >/n; done; echo line-$((i+1)); exec sleep 100'
	run "$d" "$@" --log-opt spool-full=block busybox sh -c "$talk"
	out D run -d --network host --name "${C}b" --log-driver "$d" "${@/:66/:69}" --log-opt mode=non-blocking --log-opt spool-full=drop busybox sh -c "$talk"
	until_ok stands "$C" || fail "does not wait"; n=$(printed "$C"); [ "$n" -lt 60000 ] || fail "all $n are out"
	until_ok sh -c "docker logs --tail 1 ${C}b | grep -q line-60001" || fail "the other one waits, too"
	has "$("$BIN/sdc-dockeradm" --root "$ROOT" logs --json | jq -c ".[]|select(.name==\"$C\")|.waits")" true; D rm -f "${C}b" >/dev/null
	[ "$(du -sb "$(dirname "$(log_of "$C")")" | cut -f1)" -lt 900000 ] || fail "$(ls -l "$(dirname "$(log_of "$C")")")"
	local p; for p in $(pids_of logger) $(pids_of logsvc); do kill -9 "$p" 2>/dev/null; done; until_ok stands "$C" || fail "does not wait after a kill"
	sink "$kind" "$port" "$T/out"; got "$T/out" 'line-60001\b' 1; in_order "$T/out" 60001; unsink
	! grep -q dropped "$T/out" || fail "$(grep dropped "$T/out")"; eq "$(D logs "$C" | sed 's/ 0.*//' | md5sum)" "$(seq 60001 | sed 's/^/line-/' | md5sum)"
	eq "$(D events --since "$since" --until "$(date +%s)" --filter event=log_lost --filter container="$C" | grep "name=$C)")" ""
	out D run -d --network host --name "${C}c" --log-driver "$d" "$@" --log-opt spool-full=block busybox sh -c "trap 'exit 7' TERM; $talk"
	until_ok stands "${C}c"; a=$SECONDS; D stop -t 2 "${C}c" >/dev/null; D wait "${C}c" >/dev/null; [ $((SECONDS - a)) -le 5 ] || fail "stop took $((SECONDS - a)) s"
}
refused() { rc 125 D run --log-driver "${@:2}" busybox true; has "$ERR" "$1"; }
t_refused() {
	local f="fluentd --log-opt fluentd-address=h" g="gelf --log-opt gelf-address=udp://h:1" t="gelf --log-opt gelf-address=tcp://h:1"
	# shellcheck disable=SC2086 # options
	{
	refused "cannot specify both 'fluentd-async' and 'fluentd-async-connect'" $f --log-opt fluentd-async=true --log-opt fluentd-async-connect=true
	refused "must be between 100ms and 10s" $f --log-opt fluentd-async-reconnect-interval=50ms
	refused "invalid fluentd-max-retries: value out of range" $f --log-opt fluentd-max-retries=2147483648
	refused 'strconv.ParseUint: parsing "99999999999": value out of range' $f --log-opt fluentd-max-retries=99999999999
	refused 'invalid fluentd-address (h:99999): invalid port: strconv.ParseUint: parsing "99999": value out of range' $f:99999
	refused 'time: missing unit in duration "10"' $f --log-opt fluentd-retry-wait=10
	refused "invalid value for fluentd-write-timeout: value must be a duration that is non-negative" $f --log-opt fluentd-write-timeout=-1s
	refused 'strconv.ParseBool: parsing "x": invalid syntax' $f --log-opt fluentd-request-ack=x
	refused "invalid suffix: 'q'" $f --log-opt fluentd-buffer-limit=1q
	refused "compression is only supported on UDP" $t --log-opt gelf-compression-type=gzip
	refused '"gelf-tcp-max-reconnect" is only valid for TCP' $g --log-opt gelf-tcp-max-reconnect=1
	refused '"gelf-tcp-reconnect-delay" must be a positive integer' $t --log-opt gelf-tcp-reconnect-delay=-1
	refused 'unknown value "lz4" for log opt "gelf-compression-type" for gelf log driver' $g --log-opt gelf-compression-type=lz4
	refused 'unknown log opt "foo" for gelf log driver' $g --log-opt foo=1
	refused "unknown log opt 'cache-foo' for fluentd log driver" $f --log-opt cache-foo=1
	refused "invalid size: 'x'" $f --log-opt cache-max-size=x
	}
	refused "invalid value for option spool-full: wait: must be drop or block" $f --log-opt spool-full=wait
	refused "unknown log opt 'spool-full' for json-file log driver" json-file --log-opt spool-full=block
	refused "template: log-tag:1: unclosed action" syslog --log-opt syslog-address=udp://h --log-opt 'syslog-hostname={{.Name'
	refused 'error parsing regexp: missing closing ): `(`' syslog --log-opt syslog-address=udp://h --log-opt 'env-regex=('
}
check "max-buffer-size: the newest are kept" t_buffer syslog 6600 tcp --log-opt syslog-address=tcp://127.0.0.1:6600 --log-opt mode=non-blocking --log-opt max-buffer-size=100k
check "spool-full=block" t_block syslog 6610 tcp --log-opt syslog-address=tcp://127.0.0.1:6610 --log-opt max-buffer-size=200k --log-opt cache-max-size=60k --log-opt cache-max-file=2
check "spool-full=block with acks" t_block fluentd 6611 fluentd --log-opt fluentd-address=127.0.0.1:6611 --log-opt fluentd-request-ack=true --log-opt fluentd-buffer-limit=200k --log-opt fluentd-max-retries=2 --log-opt fluentd-retry-wait=100ms
check "fluentd-buffer-limit" t_buffer fluentd 6606 fluentd --log-opt fluentd-address=127.0.0.1:6606 --log-opt fluentd-buffer-limit=100k
check "fluentd-max-retries, fluentd-retry-wait" t_retries fluentd 6601 fluentd --log-opt fluentd-address=127.0.0.1:6601 --log-opt fluentd-retry-wait=100ms --log-opt fluentd-max-retries=2
check "gelf-tcp-max-reconnect, gelf-tcp-reconnect-delay" t_retries gelf 6602 gelftcp --log-opt gelf-address=tcp://127.0.0.1:6602 --log-opt gelf-tcp-max-reconnect=1 --log-opt gelf-tcp-reconnect-delay=1
check "fluentd-async-reconnect-interval" t_reconnect
check "fluentd-write-timeout" t_write_timeout
check "syslog-hostname, syslog-tag" t_hostname
check "unix sockets that the operator lists" t_unix
check "fluentd-async=false: a start waits for its sink" t_async_false
check "options are checked" t_refused
UNTIL=25 until_ok no_loggers
unsink_all
