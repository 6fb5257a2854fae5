# shellcheck shell=bash disable=SC2154 # top and ROOT are lib.sh's
# sinks.sh - receivers of forwarded logs (sink.py), and what must be in them. Sourced after engine_root.

listens() { [ -n "$(ss -Hln "sport = :$1")" ]; }
sink() {
	python3 "$top/tests/e2e/sink.py" "$@" >>"$ROOT.t/sink.log" 2>&1 & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	until_ok listens "$2" || fail "no sink on $2: $(tail -1 "$ROOT.t/sink.log")"
}
no_loggers() { [ -z "$(pids_of logger)" ]; }
no_logger_of() { ! for p in $(pids_of logger); do tr '\0' ' ' <"/proc/$p/cmdline"; done 2>/dev/null | grep -q -- "--uuid $1"; }
uuid_in() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' "$1"; } # of a --cidfile
unsink() { end_ours KILL "$SINK"; wait "$SINK" 2>/dev/null; return 0; }
holds() { [ -e "$1" ] && [ "$(grep -c "$2" "$1")" -ge "$3" ]; }
got() { UNTIL=${UNTIL:-20} until_ok holds "$@" || fail "want $3 of '$2' in the sink, got $(grep -c "$2" "$1"); $(tail -3 "$ROOT.t/apiserver.log")"; }
# every number once or more, in order of its first appearance
in_order() {
	python3 - "$1" "$2" <<'P' || fail "numbers"
import re, sys
last, seen = 0, set()
for l in open(sys.argv[1], errors='replace'):
    m = re.search(r'line-(\d+)\b', l)
    if not m: continue
    n = int(m.group(1))
    if n not in seen:
        assert n == last + 1, (n, last)
        last = n; seen.add(n)
assert last == int(sys.argv[2]), last
P
}
# shellcheck disable=SC2046 # a list of words
unsink_all() { end_ours KILL $(cat "$ROOT.t/sinks"); }
