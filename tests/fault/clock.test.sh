#!/bin/bash
# The clock is set back and forth while a container logs, rotates and forwards, and logsvc and loggers are killed: the log
# has every line once and in order, the sink has them in order, no rotated file takes another one's name, and a removed
# container's backlog is not given up before its time.
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox python3
engine_root
. "$top/tests/e2e/sinks.sh"
clock() { python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("q", int(float(sys.argv[2]) * 1e9)))' "$ROOT.t/clock" "$1"; }
head -c 8 /dev/zero >"$ROOT.t/clock"; export SDC_CLOCK=$ROOT.t/clock
engine_start; busybox_image
kill_all() { local p; for p in $(pids_of "$1"); do kill -9 "$p"; done; }

t_steps() {
	local s dir
	sink tcp 7201 "$T/out"
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7201 \
		--log-opt cache-max-size=10k --log-opt cache-max-file=100000 busybox \
		sh -c 'i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo line-$i; [ $((i % 100)) = 0 ] && sleep 0.1; done; sleep 1000'
	dir=$ROOT/zones/$(uuid_of "$C")/logs
	for s in -3600 7200 -86400 0 -1 5 -31536000 0.5 -0.5; do
		clock "$s"; sleep 0.4
		case $s in 7200) kill_all logsvc ;; -86400) kill_all logger ;; 5) kill_all logsvc; kill_all logger ;; esac
	done
	clock 0; got "$T/out" 'line-6000\b' 1; in_order "$T/out" 6000
	eq "$(D logs "$C" | md5sum)" "$(seq 1 6000 | sed 's/^/line-/' | md5sum)" "docker logs"
	eq "$(D logs --tail 3 "$C" | xargs)" "line-5998 line-5999 line-6000"
	eq "$(D logs -t "$C" | cut -dZ -f1 | cut -c1-4 | sort -u | wc -l)" 2 "years: the records have the time as it was told"
	[ "$(find "$dir" -name 'stdio.log.2*' | wc -l)" -gt 20 ] || fail "rotated: $(ls "$dir")"
	# in the order of their names, whatever the clock said
	eq "$(for f in $(find "$dir" -name 'stdio.log.2*' | sort) "$dir/stdio.log"; do python3 -c 'import json, sys
for l in open(sys.argv[1]): print(json.loads(l)["log"], end="")' "$f"; done | md5sum)" "$(seq 1 6000 | sed 's/^/line-/' | md5sum)" "files"
	out D rm -f "$C"; UNTIL=20 until_ok no_loggers || fail "the logger goes on"; unsink
}
t_grace() { # an hour of grace is not over because the clock says so
	out D run --rm --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7202 busybox \
		sh -c 'for i in $(seq 1 100); do echo line-$i; done'
	clock 86400; kill_all logsvc; sleep 0.5; kill_all logger
	sink tcp 7202 "$T/out"; got "$T/out" 'line-100\b' 1; in_order "$T/out" 100
	UNTIL=20 until_ok no_loggers; unsink; clock 0
}
check "lines and files when the clock is set" t_steps
check "the grace of a removed container's log" t_grace
unsink_all
