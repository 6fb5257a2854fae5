#!/bin/bash
# Old registries: manifests of schema 1, and the registry protocol v1.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/registries.sh"
need docker-registry curl jq
R=127.0.0.1:5070 V=127.0.0.1:5074
SIGNED=application/vnd.docker.distribution.manifest.v1+prettyjws
requests() { grep -c -- "$1" "$ROOT.t/v1.log"; }
signed() { curl -s "http://$R/v2/$1/manifests/$2"; } # the registry makes one of schema 1, signed, for clients that name no type
put_signed() { curl -s -o "$T/put" -w '%{http_code}' -X PUT -H "Content-Type: $SIGNED" --data-binary @"$3" "http://$R/v2/$1/manifests/$2"; }

two_layers() { # two_layers NAME: an image of two layers, pushed
	D run --name "$C" busybox sh -c "echo $RANDOM$RANDOM >/n; echo two >/two; rm /etc/group"; D commit -c 'ENV A=b<c' -c 'CMD ["cat", "/two"]' "$C" "$1" >/dev/null; D rm "$C" >/dev/null
	out D push -q "$1"
}
t_schema1() {
	two_layers $R/s/one:x; local was; was=$(D image inspect -f '{{json .RootFS.Layers}} {{json .Config.Env}}' $R/s/one:x)
	signed s/one x >"$T/m"; has "$(cat "$T/m")" '"schemaVersion": 1'; eq "$(put_signed s/one x "$T/m")" 201
	D rmi $R/s/one:x >/dev/null; out D pull $R/s/one:x; has "$OUT" "x: Pulling from s/one"; has "$OUT" "Downloaded newer image for $R/s/one:x"
	eq "$(D image inspect -f '{{json .RootFS.Layers}} {{json .Config.Env}}' $R/s/one:x)" "$was"
	local dg; dg=$(curl -sI "http://$R/v2/s/one/manifests/x" | tr -d '\r' | sed -n 's/^Docker-Content-Digest: //p'); has "$OUT" "Digest: $dg"; eq "$(digests $R/s/one:x)" "[\"$R/s/one@$dg\"]"
	out D run --rm $R/s/one:x; eq "$OUT" two; rc 1 D run --rm $R/s/one:x ls /etc/group; has "$(D history --no-trunc --format '{{.CreatedBy}}' $R/s/one:x)" "echo two >/two"
	out D pull $R/s/one:x; has "$OUT" "Image is up to date"; out D pull "$R/s/one@$dg"; D tag $R/s/one:x $R/s/again; out D push -q $R/s/again; D rmi $R/s/again >/dev/null; D rmi $R/s/one:x "$R/s/one@$dg" >/dev/null 2>&1; no_tmp || fail "stages"
}
t_schema1_shared() { # by schema 1 after schema 2: the layers are here, whatever names them
	two_layers $R/s/two:x; signed s/two x >"$T/m"; put_signed s/two y "$T/m" >/dev/null; out D pull $R/s/two:y; hasnt "$OUT" "Verifying"; out D pull $R/s/two:x; D rmi $R/s/two:{x,y} >/dev/null
	out D pull $R/s/two:y; has "$OUT" "Verifying"; out D run --rm $R/s/two:y; eq "$OUT" two; D rmi $R/s/two:y
}
t_schema1_bad() { # what is signed is what counts; what does not hang together is refused
	local d before; before=$(on_disk)
	bad() { # bad WORDS JQ: an unsigned manifest, changed
		jq "del(.signatures) | $2" "$T/m" >"$T/b"; rm -rf "$T/www"; mkdir -p "$T/www/v2/s/bad/manifests"; cp "$T/b" "$T/www/v2/s/bad/manifests/latest"; rc 1 D pull 127.0.0.1:5075/s/bad; has "$ERR" "$1"
	}
	two_layers $R/s/bad:x; signed s/bad x >"$T/m"; D rmi $R/s/bad:x >/dev/null; cd "$T" || exit; mkdir -p www/v2
	run_server www $PY -m http.server --bind 127.0.0.1 --directory "$T/www" 5075; await http://127.0.0.1:5075/
	bad "length of history not equal to number of layers" '.history |= .[1:]'; bad "no FSLayers in manifest" '.history = [] | .fsLayers = []'
	bad "invalid parent ID. Expected" '.history[0].v1Compatibility |= (fromjson | .parent = "'"$(printf 'a%.0s' {1..64})"'" | tojson)'; bad "invalid parent ID in the base layer" '.history[1].v1Compatibility |= (fromjson | .parent = "'"$(printf 'a%.0s' {1..64})"'" | tojson)'
	bad "is invalid" '.history[0].v1Compatibility |= (fromjson | .id = "../x" | tojson)'; bad "bad digest" '.fsLayers[0].blobSum = "sha256:../../x"'; bad "it is not one of schema 1 only" '.layers = []'
	sed 's/"architecture": "amd64"/"architecture": "amd65"/' "$T/m" >"$T/www/v2/s/bad/manifests/latest"; rc 1 D pull 127.0.0.1:5075/s/bad; has "$ERR" "image verification failed: the signature does not fit"
	d=$(jq -r '.signatures[0].signature' "$T/m"); sed "s/$d/${d:4}AAAA/" "$T/m" >"$T/www/v2/s/bad/manifests/latest"; rc 1 D pull 127.0.0.1:5075/s/bad; has "$ERR" "the signature does not fit"
	eq "$(on_disk)" "$before"; no_tmp || fail "stages"; kill "$SERVER"
}
t_v1() {
	out D pull $V/plain/x:one; has "$OUT" "Pulling repository $V/plain/x"; has "$OUT" "Pulling image (one) from $V/plain/x"; has "$OUT" "registry of protocol v1"; has "$OUT" "Downloaded newer image for $V/plain/x:one"
	eq "$(D image inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{len .RootFS.Layers}} {{json .RepoDigests}}' $V/plain/x:one)" '["/hello"] ["A=<b>"] 3 []'; eq "$(D history --no-trunc --format '{{.CreatedBy}}' $V/plain/x:one | head -2)" $'/bin/sh -c step top\n/bin/sh -c step middle'
	D create --name "$C" $V/plain/x:one >/dev/null; eq "$(D export "$C" | tar tf - | grep -cE '^(base|middle|top|hello)$')" 4; D rm "$C" >/dev/null
	: >"$ROOT.t/v1.log"; out D pull $V/plain/x:one; has "$OUT" "Image is up to date"; out D pull $V/plain/x:two; eq "$(requests /layer)" 0 "layers fetched again"; out D pull -a $V/plain/x; eq "$(D images -q $V/plain/x | wc -l)" 2
	D rmi $V/plain/x:one $V/plain/x:two >/dev/null; no_tmp || fail "stages"
}
t_v1_once() { : >"$ROOT.t/v1.log"; for x in 1 2 3; do D pull -q $V/plain/x:one & done; wait; eq "$(requests /layer)" 3 "layers"; D rmi $V/plain/x:one; }
t_v1_auth() {
	rc 1 D pull $V/tok/x; has "$ERR" "unauthorized: authentication required"; echo "{\"auths\":{\"$V\":{\"auth\":\"dTpwYXNz\"}}}" >"$T/config.json"; export DOCKER_CONFIG=$T; : >"$ROOT.t/v1.log"
	out D pull -q $V/tok/x; grep -q "/layer - Token signature=abc" "$ROOT.t/v1.log" || fail "no token"; eq "$(grep -c Basic "$ROOT.t/v1.log")" 1; D rmi $V/tok/x; out D pull -q $V/pw/x; D rmi $V/pw/x
	: >"$ROOT.t/v1.log"; out D pull -q $V/other/x; grep -q "127.0.0.2:5074/v1/images" "$ROOT.t/v1.log" || fail "not by its endpoint"; eq "$(grep '127.0.0.2' "$ROOT.t/v1.log" | grep -c Basic)" 0; D rmi $V/other/x
}
t_v1_bad() {
	local before; before=$(on_disk)
	rc 1 D pull $V/plain/x:no; has "$ERR" "Tag no not found in repository $V/plain/x"; rc 1 D pull $V/none/x; has "$ERR" "Error: image none/x not found"; rc 1 D pull "$V/plain/x@sha256:$(printf 'a%.0s' {1..64})"; has "$ERR" "Cannot pull by digest with v1 registry"
	rc 1 D pull $V/badid/x; has "$ERR" "no valid image ID"; rc 1 D pull $V/notar/x; rc 1 D pull $V/nolayer/x; has "$ERR" "Status 404 while fetching image layer"; rc 1 D pull $V/endless/x; has "$ERR" "layer is larger than"
	out D pull $V/cut/x; grep -q '/layer bytes=' "$ROOT.t/v1.log" || fail "no Range"; D rmi $V/cut/x >/dev/null; D tag busybox $V/push/x; rc 1 D push $V/push/x; has "$ERR" "registry of protocol v1"; D rmi $V/push/x >/dev/null
	no_tmp || fail "stages"; eq "$(on_disk)" "$before"
}
t_v1_search() {
	out D search --format '{{.Name}} {{.StarCount}} {{.IsOfficial}}' $V/plain; eq "$OUT" "plain/x 60 "; eq "$(D search --limit 3 --format '{{.Name}}' $V/x | wc -l)" 3; eq "$(D search -f stars=50 --format '{{.Name}}' $V/x | wc -l)" 4
	eq "$(D search -f is-official=true --format '{{.Name}}' $V/x | wc -l)" 1; eq "$(D search -f is-official=false --format '{{.Name}}' $V/x | wc -l)" 8; eq "$(D search -f is-automated=true --format '{{.Name}}' $V/x | wc -l)" 0
	rc 1 D search --limit 101 $V/x; has "$ERR" "limit 101 is outside the range of [1, 100]"; api GET "/images/search?term=$V/x&limit=-1" >/dev/null; eq "$(status)" 400; rc 1 D search -f stars=a $V/x; has "$ERR" "invalid filter 'stars=a'"; rc 1 D search -f is-official=2 $V/x; has "$ERR" "invalid filter 'is-official="
	rc 1 D search -f no=1 $V/x; has "$ERR" "invalid filter 'no'"; rc 1 D search http://x/y; has "$ERR" "should not have a scheme"
}

engine_root
trap stop_all EXIT
mkdir -p "$ROOT.t/etc"; echo "max-layer-size = 20m" >"$ROOT.t/etc/engine.conf"
serve $R plain '' 'compatibility: {schema1: {enabled: true}}'
: >"$ROOT.t/v1.log"
run_server v1 $PY "$(dirname "$0")/v1_registry.py" 5074 "$ROOT.t/v1.log"
await http://$R/v2/ http://$V/v1/_ping
engine_start --conf "$ROOT.t/etc/engine.conf"
busybox_image

check "schema 1: an image, signed, by tag and digest" t_schema1
check "schema 1: its layers are those of schema 2" t_schema1_shared
check "schema 1: what does not hang together is refused" t_schema1_bad
check "v1: an image of three layers" t_v1
check "v1: what is pulled thrice at once is fetched once" t_v1_once
check "v1: credentials, tokens, endpoints" t_v1_auth
check "v1: refusals, and nothing is left" t_v1_bad
check "search: filters and limit" t_v1_search
