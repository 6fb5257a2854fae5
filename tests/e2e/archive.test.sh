#!/bin/bash
# Rotated logs in an object store, before s3rver (npm), and before a server of ours that checks signatures and misbehaves.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq openssl
NPM=$top/build/npm/node_modules
if ! command -v node >/dev/null || ! [ -d "$NPM/s3rver" ]; then
	[ -z "${STRICT:-}" ] || { echo "no s3rver here"; exit 1; }
	skip_all "no s3rver here"
fi
engine_root
printf 'access-key-id = S3RVER\nsecret-access-key = S3RVER\n' >"$ROOT.t/key"; chmod 600 "$ROOT.t/key"
printf 'log-archive-key = %s\nLOG_ARCHIVE_GRACE = 2\n' "$ROOT.t/key" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image

adm() { "$BIN/sdc-dockeradm" --root "$ROOT" "$@"; }
set_meta() { while [ $# -gt 0 ]; do adm metadata set "$1" "$2" || fail "metadata set $1 $2"; shift 2; done; }
unset_meta() { for k; do adm metadata delete "$k" || fail "metadata delete $k"; done; }
listens() { [ -n "$(ss -Hlnt "sport = :$1")" ]; }
s3rver() { # PORT DIR
	NODE_PATH=$NPM node "$top/tests/e2e/s3.js" "$@" >>"$ROOT.t/node.log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	UNTIL=20 until_ok listens "$1" || fail "no s3rver: $(tail -3 "$ROOT.t/node.log")"
}
unsink() { end_ours KILL "$SINK"; wait "$SINK" 2>/dev/null; }
owner() { jq -r .owner "$ROOT/zones/$1/config/log.json"; }
index() { echo "$ROOT/zones/$1/logs/archive.index"; }
n_index() { [ "$(wc -l <"$(index "$1")" 2>/dev/null || echo 0)" -ge "$2" ]; }
n_objects() { find "$1" -name '*stdio.log.*._S3rver_object' | wc -l; }
talker() { out D run -d --name "$C" "$@" busybox sh -c 'for i in $(seq 1 3000); do echo line-$i; done; sleep 1000'; }

pending() { adm logs --json | jq -r ".[]|select(.uuid==\"$1\").archive.pending"; }
archived() { # all rotated files of C but those that are here are in the store
	local u; u=$(uuid_of "$C"); [ "$(ls "$ROOT/zones/$u/logs" | grep -c '^stdio.log.2')" -le "$1" ] && n_index "$u" 1
}
shows() { diff <(seq -f line-%.0f "$1" "$2") - >"$T/diff" || fail "want line-$1 to line-$2: $(head -3 "$T/diff")"; }

# names, content and checksums of what is in the store; the files here go when they are there; --since reads both
t_upload() {
	s3rver 4568 "$T/s3"
	set_meta LOG_ARCHIVE_BUCKET logs/x LOG_ARCHIVE_URL http://localhost:4568
	talker --log-opt max-size=20k --log-opt max-file=3
	local u d f; u=$(uuid_of "$C"); d=$T/s3/logs/x/$(owner "$u")/zones/$u
	UNTIL=20 until_ok n_index "$u" 9 || fail "not uploaded: $(tail -5 "$ROOT.t/apiserver.log")"
	UNTIL=20 until_ok archived 2 || fail "not removed: $(ls "$ROOT/zones/$u/logs")"
	eq "$(ls "$d" | grep -c '^stdio\.log\.20[0-9]\{6\}T[0-9]\{6\}Z\.gz\._S3rver_object$')" "$(wc -l <"$(index "$u")")" "objects"
	jq -r '[.object,.sha256,.bytes]|@tsv' "$(index "$u")" | while read -r o sum bytes; do
		f=$T/s3/logs/x${o}._S3rver_object
		eq "$(sha256sum <"$f" | cut -d' ' -f1)" "$sum" "sum of $o"; eq "$(gzip -dc <"$f" | wc -c)" "$bytes" "size of $o"
	done || exit 1
	{ for f in "$d"/*object; do gzip -dc <"$f"; done; for f in "$ROOT/zones/$u/logs"/stdio.log.*gz; do gzip -dc "$f"; done; cat "$ROOT/zones/$u/logs/stdio.log"; } |
		jq -j .log | awk '!s[$0]++' | shows 1 3000
	D logs "$C" >"$T/local"; ne "$(head -1 "$T/local")" line-1 "what is here"; eq "$(tail -1 "$T/local")" line-3000
	D logs --since 1h "$C" | shows 1 3000
	timeout 3 docker logs -f --since 1h "$C" | shows 1 3000
	local ts; ts=$(D logs --since 1h -t "$C" | sed -n '500s/ .*//p'); D logs --since "$ts" "$C" >"$T/l"; eq "$(grep -cx line-500 "$T/l")" 1; eq "$(tail -1 "$T/l")" line-3000
	eq "$(D logs --since 1h --until "$(D logs --since 1h -t "$C" | sed -n '1s/ .*//p')" "$C" | head -1)" line-1
	unsink
	rc 1 D logs --since 1h "$C"; has "$ERR" "Error grabbing logs: archived log stdio.log.20"; has "$ERR" "Z.gz cannot be read"; eq "$OUT" ""
	hasnt "$ERR" localhost "what is the operator's"
	grep -q "archived log not read.*Failed to connect to localhost port 4568" "$ROOT.t/apiserver.log" || fail "the operator is not told"
	no_store
}
no_store() { unset_meta LOG_ARCHIVE_URL LOG_ARCHIVE_STYLE LOG_ARCHIVE_TYPE; D rm -f "$C" >/dev/null 2>&1; }
store() { # s3|manta PORT [KEY]: our own
	mkdir -p "$T/st"
	python3 "$top/tests/e2e/store.py" "$1" "$2" "$T/st" "${@:3}" >>"$ROOT.t/store.log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	UNTIL=20 until_ok listens "$2" || fail "no store: $(tail -3 "$ROOT.t/store.log")"
}
s3_key() { printf 'access-key-id = AK\nsecret-access-key = SK\n' >"$ROOT.t/key"; set_meta LOG_ARCHIVE_REGION eu-test-1 LOG_ARCHIVE_BUCKET logs; }
all_stored() { [ "$(pending "$(uuid_of "$C")")" = 0 ]; }
no_complaints() { [ ! -e "$T/st/complaints" ] || fail "$(head -3 "$T/st/complaints")"; ! grep -q 'other content' "$T/st/requests" || fail "another content under the same name"; }
written() { UNTIL=${UNTIL:-20} until_ok sh -c "docker logs --tail 1 ${2:-$C} | grep -qx line-$1" || fail "line-$1 is not in the log"; }
rotated() { ls "$(dirname "$(log_of "${1:-$C}")")" | grep -c '^stdio.log.2'; }

t_virtual_host() {
	s3rver 4569 "$T/s3"; printf 'access-key-id = S3RVER\nsecret-access-key = S3RVER\n' >"$ROOT.t/key"
	set_meta LOG_ARCHIVE_BUCKET logs/y LOG_ARCHIVE_STYLE virtual-host LOG_ARCHIVE_URL http://s3.localhost:4569
	talker --log-opt max-size=40k; written 3000; UNTIL=20 until_ok all_stored || fail "not stored: $(tail -3 "$ROOT.t/apiserver.log")"
	[ -d "$T/s3/logs/y/$(owner "$(uuid_of "$C")")/zones" ] || fail "$(find "$T/s3" | head -3)"
	D logs --since 1h "$C" | shows 1 3000
	unsink; no_store
}
# signatures by one who checks all of them; each kind of bad answer, and then what it was about
t_bad_answers() {
	mkdir -p "$T/st"; echo "500 403 503@3 cut lie 200 short 200 301 endless 404" >"$T/st/answers"; store s3 4570; s3_key
	set_meta LOG_ARCHIVE_URL http://127.0.0.1:4570
	talker --log-opt max-size=100k --log-opt max-file=20; written 3000
	local u k; u=$(uuid_of "$C")
	for k in $(seq 60); do [ -s "$T/st/answers" ] || break; adm logs archive --keep 20 "$C" >/dev/null 2>&1; sleep 0.3; done
	UNTIL=40 until_ok all_stored || fail "not stored: $(cat "$T/st/answers") $(tail -3 "$ROOT.t/apiserver.log")"
	[ ! -e "$T/st/complaints" ] || fail "$(head -3 "$T/st/complaints")"
	D logs --since 1h "$C" | shows 1 3000
	grep -q 'endless answer ended' "$T/st/requests" || fail "an answer without end is read on"
	[ "$(adm logs --json | jq -r ".[]|select(.uuid==\"$u\").archive.failures")" -ge 6 ] || fail "failures are not counted"
	unsink; no_store
}
# what comes back is not what was stored
t_damaged_object() {
	store s3 4571; s3_key; set_meta LOG_ARCHIVE_URL http://127.0.0.1:4571
	talker --log-opt max-size=20k --log-opt max-file=2; written 3000; UNTIL=20 until_ok archived 1 || fail "not uploaded"
	local o; o=$(find "$T/st/objects" -type f | sort | sed -n 3p)
	cp "$o" "$T/keep"; printf 'x' | dd of="$o" bs=1 seek=300 conv=notrunc 2>/dev/null
	rc 1 D logs --since 1h "$C"; has "$ERR" "archived log $(basename "$o") is damaged"; ne "$OUT" ""; hasnt "$OUT" "$(gzip -dc "$T/keep" | sed -n 2p | jq -j .log)"
	truncate -s 200 "$o"; rc 1 D logs --since 1h "$C"; has "$ERR" "is damaged"
	yes | head -c 100000 >>"$o"; rc 1 D logs --since 1h "$C"; has "$ERR" "is damaged"
	rm "$o"; rc 1 D logs --since 1h "$C"; has "$ERR" "cannot be read"
	cp "$T/keep" "$o"; D logs --since 1h "$C" | shows 1 3000
	unsink; no_store
}
t_down_for_a_while() {
	s3_key; set_meta LOG_ARCHIVE_URL http://127.0.0.1:4572
	talker --log-opt max-size=20k --log-opt max-file=3; written 3000
	[ "$(rotated)" -ge 9 ] || fail "removed before it was stored"; D logs "$C" | shows 1 3000
	until_ok grep -q "log not stored; it is tried again" "$ROOT.t/apiserver.log" || fail "not told"
	store s3 4572; UNTIL=30 until_ok archived 2 || fail "not stored afterwards"; no_complaints
	D logs --since 1h "$C" | shows 1 3000; unsink; no_store
}
manta() { # CASE PORT KEY
	openssl pkey -in "$3" -pubout -out "$T/pub" 2>/dev/null; chmod 600 "$3"; store manta "$2" "$T/pub"
	printf 'key-id = /op/keys/aa:bb\nprivate-key = %s\n' "$3" >"$ROOT.t/key"
	set_meta LOG_ARCHIVE_TYPE manta LOG_ARCHIVE_BUCKET op/stor/logs LOG_ARCHIVE_URL "http://127.0.0.1:$2"
	talker --log-opt max-size=40k --log-opt max-file=2; written 3000
	UNTIL=20 until_ok archived 1 || fail "$1: not uploaded: $(cat "$T/st/complaints" 2>&1) $(tail -3 "$ROOT.t/apiserver.log")"
	no_complaints; [ -d "$T/st/objects/op/stor/logs/$(owner "$(uuid_of "$C")")/zones/$(uuid_of "$C")" ] || fail "names"
	D logs --since 1h "$C" | shows 1 3000; no_complaints
	unsink; no_store; rm -rf "$T/st"
}
t_manta() {
	openssl genrsa -out "$T/rsa" 2048 2>/dev/null; manta rsa 4573 "$T/rsa"
	openssl ecparam -name prime256v1 -genkey -noout -out "$T/ec" 2>/dev/null; manta ec 4574 "$T/ec"
}
t_key_file() {
	store s3 4575; s3_key; chmod 644 "$ROOT.t/key"; set_meta LOG_ARCHIVE_URL http://127.0.0.1:4575
	talker --log-opt max-size=100k; written 3000
	rc 1 adm logs archive "$C"; has "$ERR" "key must be a file of root's that nobody else may read"
	[ ! -e "$T/st/requests" ] || fail "asked without a key"
	chmod 600 "$ROOT.t/key"; echo 'access-key-id' >"$ROOT.t/key"; adm logs archive "$C" 2>&1 | grep -q 'line 1: expected name = value' || fail "not told"
	s3_key; adm metadata set LOG_ARCHIVE_URL http://localhost:4575
	UNTIL=20 until_ok all_stored || fail "not stored"; ! grep -q 'AWS4\|= SK' "$ROOT.t/apiserver.log" || fail "a secret in the log"
	unsink; no_store
}
t_command() {
	rc 1 adm logs archive; has "$ERR" "no object store is configured: LOG_ARCHIVE_URL is empty"
	store s3 4576; s3_key; set_meta LOG_ARCHIVE_URL http://127.0.0.1:4576
	talker --log-opt max-size=40k --log-opt max-file=10; written 3000; UNTIL=20 until_ok all_stored || fail "not stored"
	local n; n=$(rotated); [ "$n" -ge 4 ] || fail "$n files"
	out adm logs archive --dry-run --keep 1 --json "$C"; eq "$(jq -r '.zones[0].files' <<<"$OUT")" $((n - 1)); eq "$(jq -r '.zones[0].name' <<<"$OUT")" "$C"
	out adm logs archive --older-than 1h; has "$OUT" "Total reclaimed space: 0B"; eq "$(rotated)" "$n"
	out adm logs archive --keep 1 "$C"; like "$OUT" "$C +$((n - 1)) files"; eq "$(rotated)" 1
	D logs --since 1h "$C" | shows 1 3000; like "$(adm logs | head -1)" "STORED PENDING FAILED"
	out adm logs rotate "$C"; out adm logs archive; eq "$(rotated)" 0; D logs --since 1h "$C" | shows 1 3000
	D logs -t --since 1h "$C" | cut -d' ' -f1 | sort -c || fail "out of order"
	unsink; D exec "$C" true; D restart -t 0 "$C" >/dev/null; written 3000; out adm logs rotate "$C"; rc 1 adm logs archive "$C"; has "$ERR" "Failed to connect"
	no_store
}
gone_zone() { [ ! -e "$ROOT/zones/$1" ]; }
# docker rm: what is not stored yet, the live file too, is stored before the zone's folder goes
t_removed() {
	s3_key; set_meta LOG_ARCHIVE_GRACE 60 LOG_ARCHIVE_URL http://127.0.0.1:4577
	talker --log-opt max-size=40k; local u; u=$(uuid_of "$C"); written 3000
	out D rm -f "$C"; [ -d "$ROOT/zones/$u/logs" ] || fail "the log has gone"
	kill -9 $(pids_of logsvc); sleep 0.3
	store s3 4577; UNTIL=40 until_ok gone_zone "$u" || fail "kept: $(ls "$ROOT/zones/$u/logs") $(tail -3 "$ROOT.t/apiserver.log")"
	find "$T/st/objects" -type f | sort | xargs gzip -dc | jq -j .log | shows 1 3000; no_complaints
	unsink; set_meta LOG_ARCHIVE_GRACE 1; talker; u=$(uuid_of "$C"); written 3000
	out D rm -f "$C"; UNTIL=30 until_ok gone_zone "$u" || fail "kept beyond its grace"
	grep -q "a removed container's log goes before it was stored zone=$u" "$ROOT.t/apiserver.log" || fail "not told"
	until_ok grep -q "output was lost zone=$u .*bytes=[0-9]\{6\} cause=\"removed before it was stored\"" "$ROOT.t/apiserver.log" || fail "no event"
	unset_meta LOG_ARCHIVE_GRACE; no_store
}
# everybody is killed while numbered lines are written: each is here or there, and nothing went before it was there
t_killed() {
	store s3 4578; s3_key; set_meta LOG_ARCHIVE_URL http://127.0.0.1:4578
	out D run -d --name "$C" --log-opt max-size=20k --log-opt max-file=3 busybox sh -c 'i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo line-$i; [ $((i % 50)) != 0 ] || usleep 50000; done; sleep 1000'
	local k p; for k in $(seq 1 14); do
		sleep "0.$((RANDOM % 5 + 2))"
		for p in $(pids_of logsvc); do [ $((k % 3)) = 0 ] || kill -9 "$p"; done
		for p in $(pids_of archiver); do [ $((k % 3)) = 1 ] || kill -9 "$p"; done
	done
	UNTIL=40 written 6000; UNTIL=40 until_ok archived 2 || fail "not stored: $(tail -3 "$ROOT.t/apiserver.log")"
	no_complaints; D logs --since 1h "$C" | shows 1 6000
	eq "$(jq -r .name "$(index "$(uuid_of "$C")")" | sort | uniq -d)" "" "named twice"
	unsink; no_store
}
# each step of an upload is the last one of somebody's life, again and again
lives() { grep -c 'logclient logsvc started' "$ROOT.t/apiserver.log"; }
t_killed_at_each_step() {
	store s3 4579; s3_key
	local n; n=$(lives); engine_kill; kill -9 $(pids_of logsvc) 2>/dev/null
	SDC_FAILPOINTS="archiver.read=5*kill;archiver.stored=3*kill;uploads.answered=2*kill;index.before=3*kill;index.after=4*kill;uploads.noted=5*kill" \
		engine_start --conf "$ROOT.t/conf"
	set_meta LOG_ARCHIVE_URL http://127.0.0.1:4579
	talker --log-opt max-size=20k --log-opt max-file=2; UNTIL=60 until_ok archived 1 || fail "not stored: $(tail -3 "$ROOT.t/apiserver.log")"
	D logs --since 1h "$C" | shows 1 3000; no_complaints
	[ $(($(lives) - n)) -ge 4 ] || fail "logsvc was killed $(($(lives) - n)) times"
	find "$T/st/objects" -name '*.gz' | sort | xargs gzip -dc | jq -j .log | awk '!s[$0]++' | head -2000 | shows 1 2000
	engine_kill; kill -9 $(pids_of logsvc) 2>/dev/null; engine_start --conf "$ROOT.t/conf"
	unsink; no_store
}
total() { adm logs --json | jq '[.[].bytes]|add'; }
fits() { [ "$(total)" -le "$1" ]; }
t_budget() {
	local n; for n in "" b c; do out D run -d --name "$C$n" --log-opt max-size=20k --log-opt max-file=100 busybox sh -c 'for i in $(seq 1 3000); do echo line-$i; done; sleep 1000'; done
	for n in "" b c; do written 3000 "$C$n"; done
	D stop -t 0 "$C" >/dev/null; [ "$(total)" -gt 400000 ] || fail "$(total)"
	set_meta MAX_TOTAL_LOG_SIZE 200k; UNTIL=15 until_ok fits 200000 || fail "$(total) bytes"
	for n in "" b c; do D logs "$C$n" >"$T/l"; eq "$(tail -1 "$T/l")" line-3000; shows "$(head -1 "$T/l" | cut -d- -f2)" 3000 <"$T/l"; done
	[ "$(total)" -gt 140000 ] || fail "more than needed went: $(total)"
	set_meta MAX_TOTAL_LOG_SIZE 1k; only_live() { [ "$(rotated "$C")$(rotated "${C}b")$(rotated "${C}c")" = 000 ]; }
	until_ok only_live || fail "rotated files stay"; for n in "" b c; do eq "$(D logs --tail 1 "$C$n")" line-3000; done
	unset_meta MAX_TOTAL_LOG_SIZE
}
# the store is away and the budget small: what goes unstored is counted, and told
t_forced() {
	local since id u n; since=$(date +%s); s3_key
	set_meta LOG_ARCHIVE_URL http://127.0.0.1:4580
	talker --log-opt max-size=20k --log-opt max-file=100; written 3000; u=$(uuid_of "$C"); id=$(i "$C" '{{.Id}}'); n=$(rotated)
	set_meta MAX_TOTAL_LOG_SIZE 1k; UNTIL=15 until_ok only_live_of "$C" || fail "rotated files stay"
	D logs "$C" >"$T/l"; shows "$(head -1 "$T/l" | cut -d- -f2)" 3000 <"$T/l"
	eq "$(adm logs --json | jq ".[]|select(.uuid==\"$u\").archive.unstored")" "$n" "files"
	lost_lines() { D events --since "$since" --until "$(($(date +%s) + 1))" --filter event=log_lost --format '{{json .Actor}}' |
		jq -s "[.[]|select(.ID==\"$id\" and .Attributes.cause==\"removed before it was stored\" and (.Attributes.bytes|tonumber)>1000).Attributes.lines|tonumber]|add"; }
	told() { [ "$(lost_lines)" = $((3000 - $(wc -l <"$T/l"))) ]; }
	UNTIL=15 until_ok told || fail "told: $(lost_lines), missing $((3000 - $(wc -l <"$T/l")))"
	eq "$(grep -c "dropped before it was stored zone=$u .*lines=" "$ROOT.t/apiserver.log")" "$n" "lines of the diagnostics"
	no_store
}
only_live_of() { [ "$(rotated "$1")" = 0 ]; }
fewer() { [ "$(rotated)" -lt "$1" ]; }
t_age() {
	talker --log-opt max-size=20k --log-opt max-file=100; written 3000
	local n; n=$(rotated); D stop -t 0 "$C" >/dev/null
	rc 1 adm metadata set MAX_LOG_AGE 5x; has "$ERR" "not a duration such as 12h or 30d"
	set_meta MAX_LOG_AGE 1h; sleep 1.5; eq "$(rotated)" "$n" "young files went"
	sleep 1; set_meta MAX_LOG_AGE 1s; UNTIL=15 until_ok fewer "$n" || fail "old files stay"; eq "$(D logs --tail 1 "$C")" line-3000
	unset_meta MAX_LOG_AGE
}
refused() { rc 1 adm metadata set "$1" "$2"; has "$ERR" "$3"; }
t_settings() {
	refused LOG_ARCHIVE_URL ftp://h "LOG_ARCHIVE_URL: must begin with http:// or https://"; refused LOG_ARCHIVE_URL http://u:p@h "LOG_ARCHIVE_URL: no"
	refused LOG_ARCHIVE_TYPE gcs "must be s3 or manta"; refused LOG_ARCHIVE_STYLE dns "must be path or virtual-host"
	refused LOG_ARCHIVE_BUCKET 'a b' LOG_ARCHIVE_BUCKET; refused LOG_ARCHIVE_BUCKET ../x LOG_ARCHIVE_BUCKET; refused LOG_ARCHIVE_GRACE -1 "must not be negative"
	unset_meta LOG_ARCHIVE_BUCKET; refused LOG_ARCHIVE_URL http://h "LOG_ARCHIVE_BUCKET: must be names"; refused MAX_TOTAL_LOG_SIZE x "not a size"
}

plain() { # CASE: without a store, and whatever the one before left
	for k in LOG_ARCHIVE_URL LOG_ARCHIVE_STYLE LOG_ARCHIVE_TYPE LOG_ARCHIVE_GRACE MAX_TOTAL_LOG_SIZE MAX_LOG_AGE; do adm metadata delete $k; done
	chmod 600 "$ROOT.t/key"; "$@"
}
check "upload, removal, --since" plain t_upload
check "virtual-host style" plain t_virtual_host
check "bad answers" plain t_bad_answers
check "an object that is not what was stored" plain t_damaged_object
check "down for a while" plain t_down_for_a_while
check "manta" plain t_manta
check "the key file" plain t_key_file
check "logs archive" plain t_command
check "a removed container" plain t_removed
check "killed" plain t_killed
check "killed at each step" plain t_killed_at_each_step
check "budget of all zones" plain t_budget
check "budget, and the store is away" plain t_forced
check "age" plain t_age
check "settings are checked" plain t_settings
# shellcheck disable=SC2046 # a list of words
end_ours KILL $(cat "$ROOT.t/sinks")
