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

newest() { D logs --tail 1 "$C"; }
all_printed() { [[ $(newest) = end-* ]]; }
newer() { [ "$(newest)" != "$1" ]; }
t_steps() {
	local s dir n
	sink tcp 7201 "$T/out"
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7201 \
		--log-opt cache-max-size=10k --log-opt cache-max-file=100000 busybox \
		sh -c 'i=0; while [ $i -lt 4000 ] || ! [ -e /enough ]; do i=$((i+1)); echo line-$i; [ $((i % 100)) = 0 ] && sleep 0.1; done; echo end-$i; sleep 1000'
	dir=$ROOT/zones/$(uuid_of "$C")/logs
	for s in -3600 7200 -86400 0 -1 5 -31536000 0.5 -0.5; do
		clock "$s"; n=$(newest); until_ok newer "$n" || fail "no line at $s"
		case $s in 7200) kill_all logsvc ;; -86400) kill_all logger ;; 5) kill_all logsvc; kill_all logger ;; esac
	done
	clock 0; out D exec "$C" touch /enough; until_ok all_printed || fail "it goes on"
	n=$(newest); n=${n#end-}; got "$T/out" "end-$n\b" 1; in_order "$T/out" "$n"
	eq "$(D logs "$C" | grep -v end | md5sum)" "$(seq 1 "$n" | sed 's/^/line-/' | md5sum)" "docker logs"
	eq "$(D logs --tail 3 "$C" | xargs)" "line-$((n - 1)) line-$n end-$n"
	eq "$(D logs -t "$C" | cut -dZ -f1 | cut -c1-4 | sort -u | wc -l)" 2 "years: the records have the time as it was told"
	[ "$(find "$dir" -name 'stdio.log.2*' | wc -l)" -gt 20 ] || fail "rotated: $(ls "$dir")"
	# in the order of their names, whatever the clock said
	eq "$(for f in $(find "$dir" -name 'stdio.log.2*' | sort) "$dir/stdio.log"; do python3 -c 'import json, sys
for l in open(sys.argv[1]): print(json.loads(l)["log"], end="")' "$f"; done | grep -v end | md5sum)" "$(seq 1 "$n" | sed 's/^/line-/' | md5sum)" "files"
	out D rm -f "$C"; UNTIL=20 until_ok no_loggers || fail "the logger goes on"; unsink
}
t_grace() { # an hour of grace is not over because the clock says so
	out D run --rm --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7202 busybox \
		sh -c 'for i in $(seq 1 100); do echo line-$i; done'
	clock 86400; kill_all logsvc; sleep 0.5; kill_all logger
	sink tcp 7202 "$T/out"; got "$T/out" 'line-100\b' 1; in_order "$T/out" 100
	UNTIL=20 until_ok no_loggers; unsink; clock 0
}
# what docker logs shows of a span of time is what the records say, wherever the clock went between them
t_spans() {
	local dir n=0 s
	out D run -d --name "$C" --log-opt max-size=3m --log-opt max-file=1000 busybox sh -c \
		'for k in 1 2 3 4 5 6 7; do until [ -e /$k ]; do usleep 20000; done; seq $((k * 100000)) $((k * 100000 + 12000)) | sed "s/$/ xxxxxxxxxxxxxxxxxxxx/"; done; sleep 1000'
	dir=$ROOT/zones/$(uuid_of "$C")/logs
	for s in 0 -3600 1800 -600 0 -86400 7200; do
		n=$((n + 1)); clock "$s"; out D exec "$C" touch "/$n"; until_ok sh -c "docker logs --tail 1 $C | grep -q ^${n}12000" || fail "phase $n"
		[ $n != 3 ] || kill_all logsvc # the next one knows what this one knew
	done
	clock 0; [ -e "$dir/clock.steps" ] || fail "no steps are known"
	timeout 100 python3 - "$dir" "$C" <<'P' || fail "spans"
import calendar, glob, json, subprocess, sys, time
def ns(t):
    a, _, b = t.rstrip('Z').partition('.')
    return calendar.timegm(time.strptime(a, '%Y-%m-%dT%H:%M:%S')) * 10**9 + int((b + '0' * 9)[:9])
dir, c = sys.argv[1:]
files = sorted(glob.glob(dir + '/stdio.log.2*')) + [dir + '/stdio.log']
assert len(files) > 2, files
recs = [(ns(r['time']), r['log']) for f in files for r in map(json.loads, open(f))]
assert len(recs) == 7 * 12001, len(recs)
edges = sorted({recs[i][0] for i in range(0, len(recs), 4000)} | {recs[i * 12001][0] for i in range(7)} | {recs[i * 12001 - 1][0] + 1 for i in range(1, 8)})
def logs(*args):
    return subprocess.run(['docker', 'logs', *args, c], stdout=subprocess.PIPE, check=True, timeout=60).stdout
def unix(t): return '%d.%09d' % divmod(t, 10**9)
def want(since, until, tail=None):
    return ''.join(l for t, l in (recs[-tail:] if tail else recs) if t >= since and (not until or t <= until)).encode()
for k, e in enumerate(edges):
    assert logs('--since', unix(e)) == want(e, 0), ('since', unix(e))
    if k % 2: assert logs('--until', unix(e)) == want(0, e), ('until', unix(e))
    if k % 3 == 0: assert logs('--since', unix(e), '--until', unix(e + 40 * 10**9)) == want(e, e + 40 * 10**9), ('span', unix(e))
    if k % 4 == 0: assert logs('--since', unix(e), '--tail', '30000') == want(e, 0, 30000), ('tail', unix(e))
P
}
t_follow_until() { # ends when the clock says so, and not before
	local t
	out D run -d --name "$C" busybox sh -c 'i=0; while :; do i=$((i+1)); echo line-$i; sleep 0.1; done'
	t=$(($(date +%s) + 3)); timeout 30 docker logs -f --until "$t" "$C" >"$T/o" & t=$!
	until_ok holds "$T/o" line-2 1; clock -60; sleep 3.5
	kill -0 "$t" 2>/dev/null || fail "ended, though its time has not come"
	clock 60; until_ok gone "$t" || fail "does not end"; wait "$t"; eq $? 0
	[ "$(grep -c line- "$T/o")" -ge 30 ] || fail "lines of before its end: $(tail -1 "$T/o")"; clock 0
}
check "spans of time when the clock is set" t_spans
check "follow until, and the clock is set" t_follow_until
check "lines and files when the clock is set" t_steps
check "the grace of a removed container's log" t_grace
unsink_all
