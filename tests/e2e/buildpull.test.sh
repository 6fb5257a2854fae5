#!/bin/bash
# Building from images of registries: pulled when they are missing, with --pull always, of the platform asked for, with passwords.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/registries.sh"
need docker-registry htpasswd openssl python3
R=127.0.0.1:5070 A=127.0.0.1:5071 B=127.0.0.1:5073

ctx() { mkdir -p "$T/ctx"; cat >"$T/ctx/Dockerfile"; } # a context with the Dockerfile on standard input
build() { out D build -t "$C" "$@" "$T/ctx"; }
img() { docker image inspect -f "$2" "$1"; }
put() { ctx <<<$'FROM busybox\nRUN echo '"$2"' >/what'; out D build -t "$1" "$T/ctx"; out D push -q "$1"; } # put NAME TEXT: an image with a file that says so

t_missing() {
	put $R/m/one first; D rmi $R/m/one >/dev/null; ctx <<<"FROM $R/m/one"$'\nRUN cat /what'; build; has "$OUT" "Pulling from m/one"; has "$OUT" "Status: Downloaded newer image for $R/m/one:latest"; has "$OUT" $'\nfirst\n'; img $R/m/one '{{.Id}}' >/dev/null || fail "it has no name here"
	build; hasnt "$OUT" Pulling; D rmi $R/m/one >/dev/null; ctx <<<$'FROM busybox\nCOPY --from='$R$'/m/one /what /w\nRUN cat /w'; build; has "$OUT" "Pulling from m/one"; has "$OUT" $'\nfirst\n'
	ctx <<<"FROM $R/no/such"; rc 1 D build "$T/ctx"; has "$ERR" "manifest for $R/no/such:latest not found"; ctx <<<"FROM $B/denied"; rc 1 D build "$T/ctx"; has "$ERR" "pull access denied for $B/denied"
	ctx <<<$'FROM busybox\nCOPY --from='$R$'/no/such /x /x'; rc 1 D build "$T/ctx"; has "$ERR" "invalid from flag value $R/no/such"; hasnt "$ERR" failed; ctx <<<'FROM x:B@d'; rc 1 D build "$T/ctx"; has "$ERR" "invalid reference format"
}
t_pull() {
	put $R/p/x old; ctx <<<"FROM $R/p/x"$'\nRUN cat /what'; cp "$T/ctx/Dockerfile" "$T/df"; build; has "$OUT" old
	put $R/p/x new; D image rm $R/p/x >/dev/null; D tag "$(D build -q - <<<$'FROM busybox\nRUN echo old >/what')" $R/p/x; cp "$T/df" "$T/ctx/Dockerfile"; build; hasnt "$OUT" $'\nnew\n'; build --pull; has "$OUT" "Pulling from p/x"; has "$OUT" $'\nnew\n'
	build --pull; has "$OUT" "Image is up to date"; has "$OUT" "Using cache"
}
t_platform() {
	ctx <<<$'FROM --platform=linux/arm64 '$B$'/index\nENV A=1'; build; eq "$(img "$C" '{{.Architecture}}')" arm64; ctx <<<"FROM $B/index"$'\nENV A=2'; build --platform linux/amd64; eq "$(img "$C" '{{.Architecture}}')" amd64
	build --platform linux/arm64; eq "$(img "$C" '{{.Architecture}}')" arm64; rc 1 D build --platform linux/s390x "$T/ctx"; has "$ERR" "no matching manifest for linux/s390x"
}
t_password() {
	echo pass | D login -u u --password-stdin $A >/dev/null 2>&1 || fail login; D tag busybox $A/pw/x; out D push -q $A/pw/x; D rmi $A/pw/x >/dev/null; ctx <<<"FROM $A/pw/x"$'\nENV A=1'; build; D rmi "$C" $A/pw/x >/dev/null; D logout $A >/dev/null
	rc 1 D build "$T/ctx"; has "$ERR" "no basic auth credentials"
}
t_gone() { # a build that waits for a registry which does not answer
	python3 -c 'import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",5099)); s.listen(8); time.sleep(60)' & local d=$! p
	until_ok bash -c ": </dev/tcp/127.0.0.1/5099"; ctx <<<'FROM 127.0.0.1:5099/x'; docker build "$T/ctx" >"$T/o" 2>&1 & p=$!
	until_ok grep -q "Step 1" "$T/o"; kill -9 $p; UNTIL=15 until_ok no_zone_dirs || fail "left"; kill $d
}
no_zone_dirs() { [ -z "$(ls "$ROOT/zones")" ]; }
engine_root; trap stop_all EXIT
htpasswd -Bbn u pass >"$ROOT.t/htpasswd" 2>/dev/null
serve $R plain
serve $A auth '' "auth: {htpasswd: {realm: r, path: $ROOT.t/htpasswd}}"
run_server bad python3 "$(dirname "$0")/bad_registry.py" 5073 "$ROOT.t/bad.log"
await http://$R/v2/ http://$A/v2/ http://$B/v2/
engine_start; busybox_image
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
