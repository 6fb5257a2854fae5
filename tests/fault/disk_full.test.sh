#!/bin/bash
# A full disk: zones wait, then run on; what is dropped is counted, marked in the log, sent to the sink and told as an event;
# what is not dropped is there once, whole and in order; also when logsvc is killed meanwhile.
[ -n "${SDC_DISK_NS:-}" ] || { export SDC_DISK_NS=1; exec unshare --mount --propagation private bash "$0" "$@"; }
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox python3 ss
engine_root
printf 'LOG_FULL_WAIT = 1\nFORWARD_GRACE = 20\n' >"$ROOT.t/conf"
mkdir "$ROOT/zones"
img=$ROOT.t/disk.img
if truncate -s 96M "$img" && mkfs.ext4 -q -O ^has_journal "$img" 2>/dev/null && mount -o loop "$img" "$ROOT/zones" 2>/dev/null; then rmdir "$ROOT/zones/lost+found"
else mount -t tmpfs -o size=96m none "$ROOT/zones" || skip_all "no small file system"; fi
disk_end() { # before lib.sh looks for what is left
	local r=$?
	# shellcheck disable=SC2046 # a list of words
	rm -rf "$ROOT/zones/ballast" "$ROOT/zones/inodes"; docker rm -fv $(docker ps -aq) >/dev/null 2>&1; engine_term; until_ok no_daemons; umount -l "$ROOT/zones"
	return $r
}
trap 'disk_end; engine_end' EXIT
engine_start --conf "$ROOT.t/conf"; busybox_image
. "$(dirname "$0")/../e2e/sinks.sh"

fill() { cat /dev/zero >"$ROOT/zones/ballast" 2>/dev/null; sync -f "$ROOT/zones"; cat /dev/zero >>"$ROOT/zones/ballast" 2>/dev/null; true; }
room() { rm -f "$ROOT/zones/ballast"; }
says() { grep -F "zone=$(uuid_of "$C")" "$ROOT.t/apiserver.log" | grep -q "$1"; }
told() { UNTIL=${UNTIL:-20} until_ok says "$1" || fail "not told: $1"; }
printed() { cat "$T/told/n" 2>/dev/null; }
talk() { rm -rf "$T/told"; mkdir "$T/told"; out D run -d --name "$C" -v "$T/told:/told" "$@" busybox sh -c "$TALK"; }
went_on() { local n; n=$(printed); [ "${n:-0}" -gt "$1" ]; }
# Numbered lines; the count of what is printed, and the end, are told on a disk that has room.
TALK='i=0; while [ ! -e /told/end ]; do k=0; while [ $k -lt 400 ]; do i=$((i+1)); k=$((k+1)); echo "line-$i some text that makes it longer than its number is"; done; echo $i >/told/new; mv /told/new /told/n; usleep 15000; done; echo "line-$((i+1)) the last"'
ends_with_last() { D logs --tail 1 "$C" 2>&1 | grep -q 'the last$'; }
# all numbers from 1 to the last one, but for gaps that are told at their place with their exact size
exact() { # FILE [DUPLICATES]
	python3 - "$1" "${2:-}" <<'P' || fail "$1"
import re, sys
n, gap, gaps, seen = 0, 0, 0, set()
for l in open(sys.argv[1], errors='replace'):
    g = re.search(r'logsvc: (\d+) messages \((\d+) bytes\) dropped', l)
    m = re.search(r'line-(\d+) (some text that makes it longer than its number is|the last)$', l.rstrip())
    if g: gap += int(g[1]); gaps += 1; continue
    assert m, l[:200]
    v = int(m[1])
    if sys.argv[2] and v in seen: continue
    seen.add(v)
    assert v == n + 1 + gap, (n, gap, v)
    n, gap = v, 0
assert 'the last' in l and not gap, l
assert gaps >= 1, 'no gap'
print('lines', n, 'gaps', gaps)
P
}
kill_logsvc() { local p; until_ok alive logsvc; p=$(pids_of logsvc | head -1); kill -9 "$p" && until_ok gone "$p"; }
alive() { [ -n "$(pids_of "$1")" ]; }
goes_on() { local n; n=$(printed); UNTIL=10 until_ok went_on $((n + $1)) || fail "the container waits at $n"; }
events() { D events --since "$1" --until "$(($(date +%s) + 1))" --filter event=log_lost --format '{{.Actor.Attributes.name}} {{.Actor.Attributes.cause}} {{.Actor.Attributes.lines}}'; }
event_told() { events "$1" | grep -qE "$C log not writable [0-9]+"; }
whole() { python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1], "rb")]' "$(log_of "$C")" || fail "a torn record"; }
t_gap() { # HOW: nothing, kill (logsvc meanwhile), or twice (two gaps)
	talk
	until_ok went_on 500 || fail "does not print"; local since k p; since=$(date +%s)
	for k in 1 $([ "$1" = twice ] && echo 2); do
		fill; told "the zone goes on"; goes_on 40000 # more than pipe and ring hold
		if [ "$1" = kill ]; then for p in 1 2 3 4 5 6; do kill_logsvc; sleep "0.$p"; done; goes_on 40000; fi
		room; UNTIL=20 until_ok rewritten "$k" || fail "not written again"; goes_on 1000
	done
	touch "$T/told/end"; until_ok ends_with_last || fail "no end: $(i "$C" "{{.State.Status}}") $(printed) $(D logs --tail 2 "$C" 2>&1)"; D logs "$C" >"$T/log" 2>&1; exact "$T/log"; whole
	UNTIL=15 until_ok event_told "$since" || fail "no event: $(events "$since")"
}
rewritten() { D logs "$C" 2>&1 | grep -c 'messages (.*) dropped' | grep -qx "$1"; }
# the zone ends while the disk is full; its log says what is missing, whoever was killed meanwhile
t_ended() {
	talk
	until_ok went_on 500; fill; told "the zone goes on"; goes_on 1000; touch "$T/told/end"
	local a=$SECONDS; out D wait "$C"; [ $((SECONDS - a)) -le 9 ] || fail "the end took $((SECONDS - a)) s"; eq "$(i "$C" '{{.State.Status}} {{.State.ExitCode}}')" "exited 0"
	[ "$1" = kill ] && { kill_logsvc; sleep 0.5; kill_logsvc; sleep 0.5; }
	room; UNTIL=20 until_ok rewritten 1 || fail "the log does not say it"; D logs "$C" >"$T/log" 2>&1; cp "$T/told/n" "$T/n"
	python3 - "$T/log" "$T/n" <<'P' || fail "$(tail -2 "$T/log")"
import re, sys
ls = open(sys.argv[1]).read().splitlines(); printed = int(open(sys.argv[2]).read()) + 1
assert [int(re.match(r'line-(\d+) ', l)[1]) for l in ls[:-1]] == list(range(1, len(ls))), ls[-3:]
assert int(re.match(r'logsvc: (\d+) messages', ls[-1])[1]) == printed - (len(ls) - 1), (ls[-1], printed)
P
	whole; [ ! -e "$ROOT/run/zones/$(uuid_of "$C")/loggap" ] || fail "it may be told again"
	out D start "$C"; until_ok ends_with_last; eq "$(D logs "$C" 2>&1 | grep -c dropped)" 1; out D logs --tail 1 "$C"
}
t_sink() { # its sink gets all but the gap, and the gap's line
	sink fluentd 7201 "$T/out"
	talk --network host --log-driver fluentd --log-opt fluentd-address=127.0.0.1:7201 --log-opt fluentd-request-ack=true
	until_ok went_on 500; fill; told "the zone goes on"; goes_on 1000; room; until_ok rewritten 1; goes_on 1000; touch "$T/told/end"
	got "$T/out" 'the last' 1; unsink; jq -r 'select(.log)|.log' "$T/out" >"$T/sunk"; exact "$T/sunk" dups; D logs "$C" >"$T/log" 2>&1; exact "$T/log"
}
# where the sink is comes to be known on the full disk: who takes over from a killed logger sends nothing twice
t_cursor() {
	mkdir "$T/go"; out D run -d --name "$C" --network host -v "$T/go:/go:ro" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:7202 --log-opt fluentd-request-ack=true \
		busybox sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line-$i; done; until [ -e /go/go ]; do sleep 0.05; done; echo line-2001; sleep 1000'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-2000" && told "sink not reached"; fill
	sink fluentd 7202 "$T/out"; got "$T/out" '"line-2000"' 1; until_ok acked_all || fail "no acknowledgement"
	local k p; for k in 1 2; do until_ok alive logger; for p in $(pids_of logger); do kill -9 "$p"; done; done
	room; touch "$T/go/go"; got "$T/out" '"line-2001"' 1; unsink
	eq "$(jq -r 'select(.log)|.log' "$T/out" | md5sum)" "$(seq 2001 | sed 's/^/line-/' | md5sum)" "each line once: $(grep -c '"log"' "$T/out")"
}
acked_all() { tail -1 "$T/out" | grep -q acked; }
rotated() { find "$(dirname "$(log_of "$C")")" -name 'stdio.log.*' -newer "$T/full" | grep -q .; }
t_inodes() { # no inode is left for a new file: old ones make room for it, and nothing that is kept lacks a line
	talk --log-opt max-size=64k --log-opt max-file=20 --log-opt compress=false
	until_ok went_on 8000; mkdir "$ROOT/zones/inodes"
	python3 - "$ROOT/zones/inodes" <<'P'
import errno, os, sys
try:
    for k in range(1 << 20): os.close(os.open('%s/%d' % (sys.argv[1], k), os.O_CREAT))
except OSError as e: assert e.errno == errno.ENOSPC, e
P
	touch -c "$ROOT/zones/inodes/0"; touch "$T/full"; goes_on 20000; UNTIL=15 until_ok rotated || fail "not rotated"; touch "$T/told/end"; until_ok ends_with_last
	rm -rf "$ROOT/zones/inodes"; D logs "$C" >"$T/log" 2>&1; whole; eq "$(tail -1 "$T/log" | tr -dc 0-9)" "$(($(printed) + 1))"
	python3 -c 'import re,sys; n=[int(re.match(r"line-(\d+) ", l)[1]) for l in open(sys.argv[1])]; assert n == list(range(n[0], n[-1]+1)), n[:3]' "$T/log" || fail "lines are missing"
}
check "no inodes" t_inodes
check "a disk that is full twice" t_gap twice
check "a full disk while logsvc is killed" t_gap kill
check "a zone that ends on a full disk, and logsvc is killed" t_ended kill
check "a full disk and a sink" t_sink
check "a full disk, and a logger that is killed" t_cursor
[ ! -e "$ROOT.t/sinks" ] || unsink_all
