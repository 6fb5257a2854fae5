#!/bin/bash
# docker logs: every line, as written, wherever it is by now.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
engine_start; busybox_image

t_file_format() {
	out D run --name "$C" busybox sh -c 'printf "a<b>&\"\\\\\t\n\n"; printf "\377\303(\n"; echo err >&2; printf end'
	python3 - "$(log_of "$C")" <<'P' || fail "format"
import json, re, sys
raw = open(sys.argv[1], 'rb').read()
lines = raw.split(b'\n')
assert lines[-1] == b'', lines[-1]
out = [l for l in lines[:-1] if b'"stream":"stdout"' in l]
for l in lines[:-1]:
    assert re.fullmatch(rb'\{("log":".*",)?"stream":"(stdout|stderr)","time":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"\}', l), l
assert out[0].startswith(rb'{"log":"a\u003cb\u003e\u0026\"\\\u0009\n","stream":"stdout"'), out[0]
assert out[1].startswith(rb'{"log":"\n","stream"'), out[1]
assert out[2].startswith(rb'{"log":"\ufffd\ufffd(\n","stream"'), out[2]
assert out[3].startswith(rb'{"log":"end","stream"'), out[3]
P
	eq "$(stat -c %a "$(log_of "$C")")" 600; eq "$(stat -c %a "$(dirname "$(log_of "$C")")")" 700
	eq "$(i "$C" '{{.LogPath}}')" "$(log_of "$C")"
}
t_streams() {
	out D run --name "$C" busybox sh -c 'echo o; echo e >&2' ; out D logs "$C"; eq "$OUT" o; eq "$ERR" e
	api GET "/containers/$C/logs?stdout=1" | od -An -tx1 | tr -d ' \n' >"$T/x"; eq "$(cat "$T/x")" 01000000000000026f0a
	api GET "/containers/$C/logs" >/dev/null; eq "$(status)" 400; has "$(cat "$T/body")" "at least one stream"
}
t_partials() {
	out D run --name "$C" busybox sh -c 'head -c 16383 /dev/zero | tr "\0" a; echo; head -c 16384 /dev/zero | tr "\0" b; echo; head -c 40000 /dev/zero | tr "\0" c; echo'
	python3 - "$(log_of "$C")" <<'P' || fail "pieces"
import json, sys
got = [(len(r.get('log', '')), r.get('log', '').endswith('\n')) for r in map(json.loads, open(sys.argv[1]))]
assert got == [(16384, True), (16384, False), (1, True), (16384, False), (16384, False), (7233, True)], got
P
	eq "$(D logs "$C" | wc -lc | tr -s ' ')" " 3 72770"; eq "$(D logs --tail 1 "$C" | wc -c)" 40001
}
t_no_newline() { out D run --name "$C" busybox printf abc; eq "$(D logs "$C" | od -An -c | tr -d ' ')" abc; }
t_binary() { out D run --name "$C" busybox sh -c 'printf "a\000b\n"'; eq "$(D logs "$C" | od -An -tx1 | tr -d ' ')" 6100620a; }
t_tail() {
	out D run --name "$C" busybox seq 1 5000
	eq "$(D logs --tail 3 "$C")" $'4998\n4999\n5000'; eq "$(D logs --tail 0 "$C")" ""; eq "$(D logs --tail all "$C" | md5sum)" "$(seq 1 5000 | md5sum)"
	eq "$(D logs --tail 99999 "$C" | wc -l)" 5000; eq "$(D logs "$C" | md5sum)" "$(seq 1 5000 | md5sum)"
}
t_since_until() {
	out D run --name "$C" busybox sh -c 'echo one; sleep 1.2; echo two; sleep 1.2; echo three'
	local ts; ts=$(D logs -t "$C" | sed -n '2s/ .*//p'); like "$ts" '^20[0-9T:-]*\.[0-9]{9}Z$'
	eq "$(D logs --since "$ts" "$C")" $'two\nthree'; eq "$(D logs --until "$ts" "$C")" $'one\ntwo'; eq "$(D logs --since "$ts" --until "$ts" "$C")" two
	eq "$(D logs --since 1h "$C")" $'one\ntwo\nthree'; eq "$(D logs --since 2099-01-01T00:00:00Z "$C")" ""
	eq "$(api GET "/containers/$C/logs?stdout=1&since=x" | jq -r .message)" 'invalid value for "since": invalid timestamp "x": invalid seconds "x": invalid syntax'; eq "$(status)" 400
	eq "$(api GET "/containers/$C/logs?stdout=1&until=1.x" | jq -r .message)" 'invalid value for "until": invalid timestamp "1.x": invalid nanoseconds "x": invalid syntax'
}
# More than one rotation a second: the names run ahead of the records, and say nothing of what can be passed over.
t_since_reads_what_it_needs() {
	local p before ts more k; p=$(pgrep -f "logsvc --root $ROOT")
	for k in "$C" "${C}b"; do
		out D run -d --name "$k" --log-opt max-size=6k --log-opt max-file=4000 --log-opt compress=$([ "$k" = "$C" ] && echo false || echo true) busybox sh -c 'seq 1 30000; sleep 3; echo end'
	done
	for k in "$C" "${C}b"; do
		out D wait "$k"; D logs -t "$k" >"$T/l"; ts=$(tail -n 1 "$T/l" | cut -d" " -f1); [ "$(find "$(dirname "$(log_of "$k")")" -name 'stdio.log.*' | wc -l)" -gt 300 ] || fail "few files"
		[ "$k" = "$C" ] || until_ok all_packed "$k" || fail "not packed"
		before=$(rchar "$p"); eq "$(D logs --since "$ts" "$k")" end; more=$(($(rchar "$p") - before))
		[ "$more" -lt 300000 ] || fail "$more bytes read for one line"
		ts=$(sed -n '15000s/ .*//p' "$T/l"); cut -d" " -f2 "$T/l" | sed -n "$(grep -n -m1 "^$ts" "$T/l" | cut -d: -f1),\$p" >"$T/want"; D logs --since "$ts" "$k" | cmp - "$T/want" || fail "from the middle"
	done
}
rchar() { awk '/^rchar/ {print $2}' "/proc/$1/io"; }
all_packed() { [ -z "$(find "$(dirname "$(log_of "$1")")" -name 'stdio.log.*Z')" ]; }
t_details() { out D run --name "$C" --log-opt labels=k,l --log-opt env=E --label k=v -e E=a\ b busybox echo x; eq "$(D logs --details "$C")" "E=a+b,k=v x"; }
t_follow() {
	out D run -d --name "$C" busybox sh -c 'for k in 1 2 3 4 5; do echo $k; sleep 0.2; done'
	eq "$(timeout 20 docker logs -f "$C")" $'1\n2\n3\n4\n5'
	eq "$(timeout 5 docker logs -f "$C" | wc -l)" 5 "follow of a stopped one ends"
}
t_run_then_follow_misses_nothing() {
	local k; for k in 1 2 3 4 5 6; do
		out D run -d --name "$C$k" busybox seq 1 3000; eq "$(timeout 20 docker logs -f "$C$k" | md5sum)" "$(seq 1 3000 | md5sum)"; out D rm -f "$C$k"
	done
}
t_restarted() { out D run --name "$C" busybox echo run; out D start -a "$C"; eq "$(D logs "$C")" $'run\nrun'; }
t_rotation() {
	out D run --name "$C" --log-opt max-size=20k --log-opt max-file=3 busybox seq 1 2000
	local d; d=$(dirname "$(log_of "$C")")
	eq "$(ls "$d" | grep -c '^stdio.log')" 3 "files"
	ls "$d" | grep '^stdio.log' | grep -vE '^stdio\.log(\.[0-9]{8}T[0-9]{6}Z)?$' && fail "names"
	for f in "$d"/stdio.log*; do [ "$(stat -c %s "$f")" -le 20000 ] || fail "$f is too large"; done
	D logs "$C" >"$T/l"; eq "$(tail -1 "$T/l")" 2000; eq "$(seq "$(head -1 "$T/l")" 2000 | md5sum)" "$(md5sum <"$T/l")" "no gap"
}
t_rotation_keeps_all_and_compresses() {
	out D run --name "$C" --log-opt max-size=20k --log-opt max-file=1000 --log-opt compress=true busybox seq 1 3000
	eq "$(D logs "$C" | md5sum)" "$(seq 1 3000 | md5sum)"
	local d; d=$(dirname "$(log_of "$C")"); until_ok sh -c "ls $d | grep -q 'Z.gz$'" || fail "nothing is compressed"
	eq "$(D logs "$C" | md5sum)" "$(seq 1 3000 | md5sum)"; eq "$(D logs --tail 2500 "$C" | md5sum)" "$(seq 501 3000 | md5sum)"
	gzip -t "$d"/*.gz || fail gzip
}
t_follow_across_rotation() {
	out D run -d --name "$C" --log-opt max-size=20k --log-opt max-file=100 busybox sh -c 'for k in $(seq 1 3000); do echo $k; [ $((k % 500)) != 0 ] || sleep 0.1; done'
	eq "$(timeout 30 docker logs -f "$C" | md5sum)" "$(seq 1 3000 | md5sum)"
}
t_operator_default_size() { # DEFAULT_MAX_LOG_SIZE rules where the user asked for nothing
	out D run --name "$C" busybox true; eq "$(i "$C" '{{.HostConfig.LogConfig.Type}} {{json .HostConfig.LogConfig.Config}}')" "json-file {}"
}
t_none() {
	out D run --name "$C" --log-driver none busybox echo seen; eq "$OUT" seen; rc 1 D logs "$C"; has "$ERR" "configured logging driver does not support reading"
	[ ! -e "$(log_of "$C")" ] || fail "a file for none"
}
t_local() { # Docker's defaults: 20 MiB, 5 files, compressed
	out D run --name "$C" --log-driver local busybox echo x; eq "$(D logs "$C")" x
	eq "$(jq -c '[.max_size, .max_file, .compress]' "$ROOT/zones/$(uuid_of "$C")/config/log.json")" '[20971520,5,true]'
	out D run --name "${C}b" --log-driver local --log-opt max-file=1 --log-opt compress=false busybox true; eq "$(jq -c '[.max_size, .max_file, .compress]' "$ROOT/zones/$(uuid_of "${C}b")/config/log.json")" '[20971520,1,false]'
	rc 125 D run --log-driver local --log-opt max-file=1 busybox true; has "$ERR" "compression cannot be enabled when max file count is 1"
	eq "$(i "$C" '{{.HostConfig.LogConfig.Type}}')" local
}
t_bad_options() {
	rc 125 D run --rm --log-driver nosuch busybox true; has "$ERR" nosuch
	rc 125 D run --rm --log-opt foo=1 busybox true; has "$ERR" "unknown log opt 'foo' for json-file log driver"
	rc 125 D run --rm --log-opt max-size=10q busybox true; has "$ERR" "invalid suffix: 'q'" || has "$ERR" "invalid size: '10q'"
	rc 125 D run --rm --log-opt max-file=0 busybox true; has "$ERR" "max-file cannot be less than 1"
	rc 125 D run --rm --log-opt max-file=x busybox true; has "$ERR" 'parsing "x": invalid syntax'
	rc 125 D run --rm --log-opt compress=true busybox true; has "$ERR" "compress cannot be true when max-file is less than 2 or max-size is not set"
	rc 125 D run --rm --log-opt mode=fast busybox true; has "$ERR" "logging mode not supported: fast"
	eq "$(D ps -aq --filter status=created | wc -l)" 0
}
# since and until as clients may send them; what is shown is what dockerd 20.10 shows of the same file
t_since_values() {
	local l q want; out D create --name "$C" busybox true; l=$(log_of "$C"); mkdir -p "${l%/*}"
	while read -r c t; do echo "{\"log\":\"$c\\n\",\"stream\":\"stdout\",\"time\":\"$t\"}"; done >"$l" <<-E
		a 1969-12-31T23:59:58.5Z
		b 1970-01-01T00:00:00Z
		c 1970-01-01T00:00:00.5Z
		d 2026-08-22T12:34:56.000000001Z
		e 2026-08-22T12:34:56.5Z
		f 2026-08-22T12:34:57Z
		g 2250-01-01T00:00:00Z
	E
	while read -r want q; do
		eq "$(api GET "/containers/$C/logs?stdout=1&$q" | tr -cd a-g)" "${want#-}" "$q"; eq "$(status)" 200 "$q"
	done <<-E
		abcdefg until=0
		abcdefg since=&until=
		ab until=0.000000000
		bcdefg since=0.000000000
		ab until=-0
		bcdefg since=-1
		abcdefg since=-2
		bcdefg since=-1.5
		a until=-1
		- until=-2
		a until=-1.6
		cdefg since=-0.5
		defg since=1
		defg since=%2B1
		defg since=00000001
		cdefg since=0.5
		cdef since=0.50000000001&until=4000000000
		defg since=1787402096.000000001
		efg since=1787402096.000000002
		efg since=1787402096.5
		efg since=1787402096.50
		fg since=1787402096.500000001
		abcde until=1787402096.5
		abcd until=1787402096.4999999999
		abcdef until=1787402097
		e since=1787402096.5&until=1787402096.5
		- since=1787402097&until=1787402096
		- since=9223372036
		abcdefg until=9223372036
		abcdefg until=9223372037&follow=1
		- since=9223372036854775807
		abcdefg since=-9223372036854775808
		- until=-9223372036854775808&follow=1
	E
	while read -r q; do
		has "$(api GET "/containers/$C/logs?stdout=1&since=$q")" "invalid value for \\\"since\\\": invalid timestamp \\\"$q\\\": invalid " "$q"; eq "$(status)" 400 "$q"
	done <<-E
		.5
		1.
		1.x
		1.-5
		1e3
		x
		0x10
		1_000
		10m
		2026-08-22T12:34:56Z
		1787402096.1234567890123456789012
	E
	has "$(api GET "/containers/$C/logs?stdout=1&until=9223372036854775808")" 'invalid seconds \"9223372036854775808\": value out of range'
	has "$(api GET "/containers/$C/logs?stdout=1&until=-9223372036854775809")" 'value out of range'
	while read -r want q; do # what the client makes of dates and durations
		# shellcheck disable=SC2086 # words
		eq "$(D logs $q "$C" | tr -cd a-g)" "$want" "$q"
	done <<-E
		efg --since 2026-08-22T12:34:56.5Z
		efg --since 2026-08-22T14:34:56.5+02:00
		abcde --until 2026-08-22T05:34:56.5-07:00
		defg --since 2026-08-22
		defg --since 1969-12-31T23:59:59Z --since 2026-08-22T12:34
		ab --until 1970-01-01T00:00:00Z
		g --since -1h
	E
}
t_tag() {
	out D run --name "$C" --label s=web-1 --log-opt 'tag={{with index .ContainerLabels "s"}}{{index (split . "-") 0 | upper}}{{end}}/{{.Name}}' busybox echo x
	eq "$(D logs --details "$C")" "tag=WEB%2F$C x"; has "$(cat "$(log_of "$C")")" "\"attrs\":{\"tag\":\"WEB/$C\"}"
	rc 125 D run --log-opt 'tag={{.Foo}}' busybox true; has "$ERR" "template: log-tag:1:2: executing \"log-tag\" at <.Foo>: can't evaluate field Foo in type *logger.Info"
	rc 125 D run --log-opt 'tag={{if .ID}}x' busybox true; has "$ERR" "template: log-tag:1: unexpected EOF"
	rc 1 D create --log-opt 'tag={{index .ContainerArgs 5}}' busybox true; has "$ERR" "error calling index: index out of range: 5"
}
t_tty() { out D run -t --name "$C" busybox sh -c 'echo a; echo b >&2'; eq "$(D logs "$C" | od -An -c | tr -d ' \n')" 'a\r\nb\r\n'; }
t_removed() { out D run --name "$C" busybox true; local l; l=$(dirname "$(dirname "$(log_of "$C")")"); out D rm "$C"; [ ! -e "$l" ] || fail "$l is still there"; rc 1 D logs "$C"; has "$ERR" "No such container"; }
t_two_streams_large() {
	out D run -d --name "$C" busybox sh -c 'seq 1 100000 & seq 1 100000 >&2; wait'; out D wait "$C"
	D logs "$C" >"$T/o" 2>"$T/e"; eq "$(md5sum <"$T/o")" "$(seq 1 100000 | md5sum)"; eq "$(md5sum <"$T/e")" "$(seq 1 100000 | md5sum)"
}
t_held_pipe() { # busybox cat splices from a socket into its output: its pipe is locked for as long as the socket is silent
	out D run -d --name "$C" --network none busybox sh -c 'nc -ll -p 601 -e sh -c "cat >&2"'
	docker exec "$C" sh -c '(echo held; sleep 100) | nc 127.0.0.1 601' >/dev/null 2>&1 &
	local client=$! a n; until_ok holds_pipe || fail "nothing is spliced"
	a=$SECONDS
	for n in 1 2 3; do out D run --rm busybox echo "line $n"; eq "$OUT" "line $n"; done
	[ $((SECONDS - a)) -le 10 ] || fail "others wait for $((SECONDS - a)) s"
	out D kill "$C"; wait "$client"; until_ok sh -c "docker logs $C 2>&1 | grep -qx held" || fail "$(D logs "$C" 2>&1)"
}
holds_pipe() { # 40: sendfile
	local p; for p in $(D top "$C" -o pid,args | awk '$2 == "cat" {print $1}'); do [ "$(cut -d' ' -f1 "/proc/$p/syscall")" = 40 ] && return 0; done
	return 1
}
t_slow_client_costs_no_memory() { # all that it has not read stays in the file
	out D run --name "$C" busybox sh -c 'yes "$(head -c 999 /dev/zero | tr "\0" x)" | head -n 48000'
	local p before more; p=$(pids_of logsvc); before=$(awk '/^VmHWM/ {print $2}' "/proc/$p/status")
	eq "$(curl -sN --limit-rate 24M --unix-socket "$SOCK" "http://d/v1.41/containers/$C/logs?stdout=1" | wc -c)" 48384000
	eq "$(pids_of logsvc)" "$p"; more=$(($(awk '/^VmHWM/ {print $2}' "/proc/$p/status") - before))
	[ "$more" -lt 8000 ] || fail "$more KiB for one client"
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
