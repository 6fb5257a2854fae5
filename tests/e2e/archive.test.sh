#!/bin/bash
# Rotated logs in an object store, before s3rver (npm), and before a server of ours that checks signatures and misbehaves.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
NPM=$top/build/npm/node_modules
if ! command -v node >/dev/null || ! [ -d "$NPM/s3rver" ]; then
	[ -z "${STRICT:-}" ] || { echo "no s3rver here"; exit 1; }
	skip_all "no s3rver here"
fi
engine_root
printf 'access-key-id = S3RVER\nsecret-access-key = S3RVER\n' >"$ROOT.t/key"; chmod 600 "$ROOT.t/key"
printf 'log-archive-key = %s\n' "$ROOT.t/key" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image

adm() { "$BIN/sdc-dockeradm" --root "$ROOT" "$@"; }
set_meta() { while [ $# -gt 0 ]; do adm metadata set "$1" "$2" || fail "metadata set $1 $2"; shift 2; done; }
unset_meta() { for k; do adm metadata delete "$k" || fail "metadata delete $k"; done; }
listens() { [ -n "$(ss -Hlnt "sport = :$1")" ]; }
s3rver() { # PORT DIR
	NODE_PATH=$NPM node "$top/tests/e2e/s3.js" "$@" >>"$ROOT.t/node.log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	UNTIL=20 until_ok listens "$1" || fail "no s3rver: $(tail -3 "$ROOT.t/node.log")"
}
unsink() { kill -9 "$SINK" 2>/dev/null; wait "$SINK" 2>/dev/null; }
owner() { jq -r .owner "$ROOT/zones/$1/config/log.json"; }
index() { echo "$ROOT/zones/$1/logs/archive.index"; }
n_index() { [ "$(wc -l <"$(index "$1")" 2>/dev/null || echo 0)" -ge "$2" ]; }
n_objects() { find "$1" -name '*stdio.log.*._S3rver_object' | wc -l; }
talker() { out D run -d --name "$C" "$@" busybox sh -c 'for i in $(seq 1 3000); do echo line-$i; done; sleep 1000'; }

t_upload() {
	s3rver 4568 "$T/s3"
	set_meta LOG_ARCHIVE_BUCKET logs/x LOG_ARCHIVE_URL http://localhost:4568
	talker --log-opt max-size=20k --log-opt max-file=3
	local u; u=$(uuid_of "$C")
	UNTIL=20 until_ok n_index "$u" 9 || fail "not uploaded: $(tail -5 "$ROOT.t/apiserver.log")"
	find "$T/s3" | head; ls "$ROOT/zones/$u/logs"; cat "$(index "$u")" | head -2
	unsink; unset_meta LOG_ARCHIVE_URL
}
check "upload" t_upload
