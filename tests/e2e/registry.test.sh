#!/bin/bash
# Registries: pull, push, search, login; a real one in four dresses, and one that misbehaves.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/registries.sh"
need docker-registry htpasswd openssl python3 zstd
R=127.0.0.1:5070 A=127.0.0.1:5071 S=10.77.0.1:5072 B=127.0.0.1:5073
requests() { grep -c -- "$1" "$ROOT.t/bad.log"; }

t_push_pull() {
	D tag busybox $R/a/b:1; out D push $R/a/b:1; has "$OUT" "The push refers to repository [$R/a/b]"; like "$OUT" '[0-9a-f]{12}: Pushed'; like "$OUT" '1: digest: sha256:[0-9a-f]{64} size: [0-9]+'
	local dg was; dg=$(grep -o 'sha256:[0-9a-f]*' <<<"$OUT"); was=$(id busybox); has "$(digests $R/a/b:1)" "$R/a/b@$dg"
	eq "$(curl -s -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' http://$R/v2/a/b/manifests/1 | sha256sum | cut -d' ' -f1)" "${dg#sha256:}"
	out D push $R/a/b:1; has "$OUT" "Layer already exists"; D tag busybox $R/c:x; out D push $R/c:x; has "$OUT" "Mounted from a/b"
	D rmi -f "$was" >/dev/null; out D pull $R/a/b:1; like "$OUT" "Pulling from a/b"; has "$OUT" "Pull complete"; has "$OUT" "Digest: $dg"; has "$OUT" "Status: Downloaded newer image for $R/a/b:1"; eq "$(id $R/a/b:1)" "$was"
	out D pull $R/a/b:1; has "$OUT" "Status: Image is up to date for $R/a/b:1"; out D pull "$R/a/b@$dg"; eq "$(digests "$R/a/b@$dg")" "[\"$R/a/b@$dg\"]"
	out D run --rm $R/a/b:1 echo hi; eq "$OUT" hi; out D create --pull always --name "$C" $R/c:x; D rm "$C" >/dev/null
	D tag $R/a/b:1 busybox; eq "$(tmp_layers)" 0
}
t_layers() { # whiteouts, two layers; the same layers again are not moved
	D run --name "$C" busybox sh -c 'rm /etc/group; head -c 3000000 /dev/urandom >/big; ln /big /hard'; D commit "$C" $R/l/two >/dev/null; D rm "$C" >/dev/null
	out D push -q $R/l/two; local was; was=$(id $R/l/two); D rmi $R/l/two >/dev/null; out D pull $R/l/two; has "$OUT" "Already exists"; has "$OUT" "Pull complete"; eq "$(id $R/l/two)" "$was"
	out D run --rm $R/l/two sh -c '[ ! -e /etc/group ] && [ /big -ef /hard ] && stat -c %s /big'; eq "$OUT" 3000000
	if command -v skopeo >/dev/null; then out skopeo copy --src-tls-verify=false docker://$R/l/two "oci:$T/oci:x"; out skopeo copy --dest-tls-verify=false "oci:$T/oci:x" docker://$R/l/oci:x; out D pull $R/l/oci:x; out D run --rm $R/l/oci:x stat -c %s /hard; eq "$OUT" 3000000; D rmi $R/l/oci:x; fi
	D rmi $R/l/two
}
t_all_tags() { for x in a b c; do D tag busybox $R/t/all:$x; done; out D push -a $R/t/all; D rmi $R/t/all:{a,b,c} >/dev/null; out D pull -a $R/t/all; eq "$(grep -c "Pulling from t/all" <<<"$OUT")" 3; out D image inspect $R/t/all:{a,b,c}; D rmi $R/t/all:{a,b,c}; rc 1 D push -a $R/t/none; has "$ERR" "An image does not exist locally with the tag: $R/t/none"; }
t_errors() {
	rc 1 D pull $R/a/b:nope; has "$ERR" "manifest for $R/a/b:nope not found: manifest unknown: manifest unknown"; api POST "/images/create?fromImage=$R/a/b&tag=nope" >/dev/null; eq "$(status)" 404
	rc 1 D pull 127.0.0.1:1/x; has "$ERR" 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'; rc 1 D pull nosuch.invalid/x; has "$ERR" 'Get "https://nosuch.invalid/v2/": dial tcp: lookup nosuch.invalid'
	rc 1 D push $R/not/there; has "$ERR" "An image does not exist locally with the tag: $R/not/there"; api POST "/images/$R/not/there/push?tag=x" -H 'X-Registry-Auth: e30=' >/dev/null; eq "$(status)" 200
	rc 1 D push $R/a/b:zzz; has "$ERR" "tag does not exist: $R/a/b:zzz"; rc 1 D pull "Bad/x y"; has "$ERR" "invalid reference format"
	rc 1 D pull $B/denied; has "$ERR" "pull access denied for $B/denied, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"; rc 1 D pull $B/unknown; has "$ERR" "repository $B/unknown not found: name unknown"; rc 1 D pull $B/broken; has "$ERR" "received unexpected HTTP status: 500 Internal Server Error"; rc 1 D pull scratch; has "$ERR" "'scratch' is a reserved name"; api POST "/images/create?fromImage=scratch" >/dev/null; eq "$(status)" 403
	eq "$(tmp_layers)" 0
}
t_basic() {
	D tag busybox $A/p/q; rc 1 D push $A/p/q; eq "$ERR" "no basic auth credentials"; rc 1 D login -u u -p x 127.0.0.1:1; has "$ERR" 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'; api POST /auth -H "Content-Type: application/json" -d '{"serveraddress":"%zz"}' >/dev/null; eq "$(status)" 400; rc 1 D login -u u -p wrong $A; has "$ERR" "login attempt to http://$A/v2/ failed with status: 401 Unauthorized"; out D login -u u -p pass $A; has "$OUT" "Login Succeeded"
	out D push -q $A/p/q; D rmi $A/p/q >/dev/null; out D pull -q $A/p/q; D logout $A >/dev/null; rc 1 D pull $A/p/q:other; has "$ERR" "no basic auth credentials"; D rmi $A/p/q
}
t_tls() { # an unknown authority, then certs.d
	rc 1 D pull $S/a/b:1; has "$ERR" "certificate signed by unknown authority"; rc 1 D search $S/x; has "$ERR" "add it to insecure-registries"; mkdir -p "$ROOT.t/etc/certs.d/$S"; cp "$ROOT.t/ca.crt" "$ROOT.t/etc/certs.d/$S/"
	D tag busybox $S/s/t; out D push -q $S/s/t; D rmi $S/s/t >/dev/null; out D pull -q $S/s/t; D rmi $S/s/t
}
t_mirror() { rc 1 D pull library/good:nope; has "$ERR" "registry-1.docker.io"; out D push -q $R/a/b:1; D tag busybox $R/library/mir; out D push -q $R/library/mir; D rmi $R/library/mir >/dev/null; out D pull mir; has "$OUT" "docker.io/library/mir:latest"; D rmi mir; }
t_distribution() {
	out api GET /distribution/$B/index/json; eq "$(jq -c '[.Platforms[].architecture]' <<<"$OUT")" '["amd64","arm64","arm"]'; eq "$(jq -r .Descriptor.mediaType <<<"$OUT")" application/vnd.oci.image.index.v1+json
	out api GET /distribution/$R/a/b:1/json; eq "$(jq -r '.Platforms[0].os' <<<"$OUT")" linux; api GET /distribution/$R/a/b:no/json >/dev/null; eq "$(status)" 404; api GET "/distribution/B%20d/json" >/dev/null; eq "$(status)" 400
}
t_search() {
	out D search $B/busybox --format '{{.Name}} {{.StarCount}}'; eq "$OUT" $'busybox 9\nme/busybox 1'; out D search --filter is-official=true $B/busybox --format '{{.Name}}'; eq "$OUT" busybox
	out D search --filter stars=5 $B/busybox --format '{{.Name}}'; eq "$OUT" busybox; rc 1 D search nosuch; has "$ERR" "index.docker.io"; rc 1 D search 127.0.0.1:1/x; has "$ERR" 'invalid registry endpoint "http://127.0.0.1:1/v1/". HTTPS attempt: Get "https://127.0.0.1:1/'; api GET '/images/search?term=x&limit=101' >/dev/null; eq "$(status)" 400; api GET '/images/search?term=x&filters=%7B%22no%22%3A%5B%22x%22%5D%7D' >/dev/null; eq "$(status)" 400
	# an identity token is exchanged for one that may search
	api GET '/images/search?term=127.0.0.1:5074/x' >/dev/null; ne "$(status)" 200; out api GET '/images/search?term=127.0.0.1:5074/x' -H "X-Registry-Auth: $(printf '{"username":"u","identitytoken":"identity"}' | base64 -w0)"; eq "$(status)" 200; eq "$(jq -r '.[0].name' <<<"$OUT")" busybox; has "$(grep 'POST /token' "$ROOT.t/closed.log")" "scope=registry%3Acatalog%3Asearch"
	out api GET '/images/search?term=127.0.0.1:5074/x' -H "X-Registry-Auth: $(printf '{"username":"u","identitytoken":"bad"}' | base64 -w0)"; eq "$(status)" 500; has "$OUT" "no such identity"; hasnt "$OUT" HTTPS
}
t_platform() {
	out D pull $B/index; eq "$(D image inspect -f '{{.Architecture}}' $B/index)" amd64; out D pull --platform linux/arm64 $B/index; eq "$(D image inspect -f '{{.Architecture}}' $B/index)" arm64; out D pull --platform linux/arm/v7 $B/index; eq "$(D image inspect -f '{{.Architecture}}' $B/index)" arm
	rc 1 D pull --platform linux/s390x $B/index; has "$ERR" "no matching manifest for linux/s390x in the manifest list entries"; D rmi $B/index; D image prune -f >/dev/null
}
pull_rm() { out D pull "$B/$1"; D rmi "$B/$1" >/dev/null || fail "no $1"; }
t_formats() { pull_rm plain; pull_rm zstd; out D pull $B/tags:one; D rmi $B/tags:one >/dev/null; out D pull -a $B/tags; out D rmi $B/tags:one $B/tags:two; }
t_tokens() { # each is good for two requests: a pull needs two or more
	pull_rm bearer/x; [ "$(requests 'GET /token')" -ge 2 ] || fail "no second token"; has "$(grep 'GET /token' "$ROOT.t/bad.log" | head -1)" "scope=repository%3Abearer%2Fx%3Apull"; has "$(grep 'GET /token' "$ROOT.t/bad.log" | head -1)" "service=a%2C%20%22b%22"
	echo "{\"auths\":{\"$B\":{\"auth\":\"dTpw\"}}}" >"$T/config.json"; out env DOCKER_CONFIG="$T" docker pull -q $B/basic/x; D rmi $B/basic/x >/dev/null
	auth_is() { printf %s "$1" | base64 -w0 | tr '+/' '-_'; }
	api POST "/images/create?fromImage=$B/bearer/id&tag=latest" -H "X-Registry-Auth: $(auth_is '{"identitytoken":"identity"}')" >/dev/null; out D image inspect $B/bearer/id; D rmi $B/bearer/id >/dev/null; grep -q "POST /token grant_type=refresh_token&service=.*refresh_token=identity -" "$ROOT.t/bad.log" || fail "no refresh"
	out api POST "/images/create?fromImage=$B/bearer/id&tag=latest" -H "X-Registry-Auth: $(auth_is '{"identitytoken":"bad"}')"; has "$OUT" "no such identity"; eq "$(status)" 500
}
t_redirect() { echo "{\"auths\":{\"$B\":{\"auth\":\"dTpw\"}}}" >"$T/config.json"; export DOCKER_CONFIG=$T; pull_rm basic/redirect; grep -q "/v2/basic/redirect/blobs.*Basic" "$ROOT.t/bad.log" || fail "no credentials at all"; eq "$(grep elsewhere "$ROOT.t/bad.log" | grep -c ' -$')" 1; eq "$(grep -c elsewhere "$ROOT.t/bad.log")" 1; }
t_cut() { pull_rm cut; [ "$(requests '/v2/cut/blobs/.* bytes=')" -ge 1 ] || fail "no Range"; pull_rm norange; }
t_upload() { # a cut upload goes on where it was; where the registry forgot it, anew; pieces where it takes no large one
	D create --name "$C" busybox >/dev/null; mkdir "$T/d"; head -c 9000000 /dev/urandom >"$T/d/big"; D cp "$T/d/big" "$C:/big"; D commit "$C" $B/up/cut >/dev/null; D rm "$C" >/dev/null
	: >"$ROOT.t/bad.log"; out D push -q $B/up/cut; like "$(grep 'PATCH /v2/up/cut' "$ROOT.t/bad.log")" ' [0-9]{7} [0-9]{7}-[0-9]{7}$'; eq "$(requests 'POST /v2/up/cut')" 3 "uploads begun"
	D tag $B/up/cut $B/up/limit; curl -s http://$B/forget; : >"$ROOT.t/bad.log"; out D push -q $B/up/limit; eq "$(requests 'PATCH /v2/up/limit/blobs/uploads/u 8388608 0-8388607')" 1; like "$(grep 'PATCH /v2/up/limit' "$ROOT.t/bad.log" | tail -1)" ' 8388608-[0-9]+$'
	D tag $B/up/cut $B/up/forget; curl -s http://$B/forget; : >"$ROOT.t/bad.log"; out D push -q $B/up/forget; eq "$(requests 'PATCH /v2/up/forget')" 0
	local was; was=$(id $B/up/cut); D rmi $B/up/cut $B/up/limit $B/up/forget >/dev/null; out D pull -q $B/up/forget; eq "$(id $B/up/forget)" "$was"; D rmi $B/up/forget; eq "$(tmp_layers)" 0
}
t_digests_stay() { # what an index's digest named first it goes on naming, until it is pulled by that digest
	out D pull -q $B/index; local dg amd; dg=$(digests $B/index | tr -d '[]"'); amd=$(id $B/index); out D pull -q --platform linux/arm64 $B/index; ne "$(id $B/index)" "$amd"; eq "$(id "$dg")" "$amd"; eq "$(D images -q --no-trunc --digests $B/index | sort -u | wc -l)" 2
	out D pull --platform linux/arm/v7 "$dg"; has "$OUT" "$dg: Pulling from index"; hasnt "$OUT" WARNING; eq "$(D image inspect -f '{{.Architecture}}' "$dg")" arm; out D pull --platform linux/arm64 $B/good; like "$OUT" "Status: .*"$'\n'"WARNING: image with reference $B/good:latest was found but its platform \(linux/amd64\) does not match the specified platform \(linux/arm64\)"
	D rmi $B/index "$dg" $B/good >/dev/null; D image prune -f >/dev/null; rc 1 D pull --platform a/b/c/d $B/good; has "$ERR" "cannot parse platform specifier"
}
t_lies() {
	rc 1 D pull $B/wrong; has "$ERR" "filesystem layer verification failed for digest sha256:"; rc 1 D pull $B/flip; has "$ERR" "filesystem layer verification failed for digest sha256:"; has "$OUT" "Pulling fs layer"; rc 1 D pull $B/short; has "$ERR" "is longer than"; rc 1 D pull $B/baddiff; has "$ERR" "layers from manifest don't match image configuration"
	rc 1 D pull $B/count; has "$ERR" "layers from manifest don't match"; rc 1 D pull $B/endlessblob; rc 1 D pull $B/hugemanifest; has "$ERR" "longer than"
	eq "$(tmp_layers)" 0; eq "$(D images -q $B/wrong)$(D images -q $B/flip)" ""
}
t_hostile() { # loops, headers without an end, a byte now and then, depth; and what is no image
	rc 1 D pull $B/loop; has "$ERR" "stopped after 10 redirects"; rc 1 D pull $B/headers; has "$ERR" "Head \"http://$B/v2/headers/manifests/latest\": "; rc 1 D pull $B/loris; has "$ERR" "Client.Timeout exceeded"; rc 1 D pull $B/deep; has "$ERR" "invalid manifest"
	rc 1 D pull $B/plugin; has "$ERR" 'Encountered remote "application/vnd.docker.plugin.v1+json"(plugin) when fetching'; rc 1 D pull $B/model; has "$ERR" "AI models are not yet supported by the Engine"; rc 1 D pull $B/artifact; has "$ERR" "unsupported media type application/x-whatever"; eq "$(tmp_layers)" 0
}
t_push_ends() { # when the client goes, and when the engine is killed: nothing is left, and the next push is as any
	D create --name "$C" busybox >/dev/null; head -c 12000000 /dev/urandom >"$T/big"; D cp "$T/big" "$C:/big"; D commit "$C" $B/up/slow >/dev/null; D rm "$C" >/dev/null; : >"$ROOT.t/bad.log"
	docker push -q $B/up/slow & until_ok grep -q "PUT /v2/up/slow.* 1[0-9]\{7\} " "$ROOT.t/bad.log" || fail "no upload"; kill $!; UNTIL=5 until_ok grep -q "broken off" "$ROOT.t/bad.log" || fail "it goes on without a client"
	: >"$ROOT.t/bad.log"; D push -q $B/up/slow & until_ok grep -q "PUT /v2/up/slow.* 1[0-9]\{7\} " "$ROOT.t/bad.log" || fail "no upload"; engine_kill; wait $!; engine_start --conf "$ROOT.t/etc/engine.conf"; eq "$(tmp_layers)" 0
	D tag $B/up/slow $R/up/slow; out D push -q $R/up/slow; hasnt "$(cat "$ROOT.t/bad.log")" whole; D rmi $R/up/slow $B/up/slow
}
t_bomb() { curl -s http://$B/bomb; rc 1 D pull $B/bomb; eq "$(tmp_layers)" 0; }
six_layers() { # six_layers NAME: an image that no registry has a blob of
	mkdir "$T/$1"; echo "FROM scratch" >"$T/$1/Dockerfile"; local i; for i in 1 2 3 4 5 6; do echo $RANDOM$RANDOM >"$T/$1/$i"; echo "COPY $i /$i" >>"$T/$1/Dockerfile"; done
	docker build -q -t "$B/up/$1" "$T/$1" >/dev/null 2>&1 || fail "no image"
}
t_parallel() { # of all pulls together
	curl -s http://$B/most >/dev/null; D pull -q $B/many >"$T/1" & out D pull $B/many2; wait; eq "$(curl -s http://$B/most)" "3 0"; like "$OUT" "[0-9a-f]{12}: Waiting"; six_layers many; out D push -q $B/up/many; eq "$(curl -s http://$B/most)" "0 5"; D rmi $B/many $B/many2 $B/up/many
}
t_limits() {
	local start c=$ROOT.t/etc/engine.conf; printf 'max-concurrent-downloads = 2\nmax-concurrent-uploads = 1\nmax-download-attempts = 2\n' | cat "$c" - >"$T/c"; engine_term; engine_start --conf "$T/c"
	out D pull -q $B/many; six_layers few; out D push -q $B/up/few; eq "$(curl -s http://$B/most)" "2 1"; D rmi $B/many $B/up/few
	: >"$ROOT.t/bad.log"; rc 1 D pull $B/alwayscut; has "$ERR" "unexpected EOF"; eq "$(requests 'GET /v2/alwayscut/blobs/.* [-b]')" 3 "its configuration once, its layer twice"
	printf 'max-concurrent-downloads = 0\nmax-download-attempts = 0\n' | cat "$c" - >"$T/c"; engine_term; engine_start --conf "$T/c"; out D pull -q $B/many; [ "$(curl -s http://$B/most | cut -d' ' -f1)" -gt 3 ] || fail "still a limit"; D rmi $B/many; : >"$ROOT.t/bad.log"; rc 1 D pull $B/alwayscut; eq "$(requests 'GET /v2/alwayscut/blobs/.* [-b]')" 2
	engine_term; echo "max-concurrent-uploads = -1" >"$T/c"; rc 1 "$BIN/apiserver" --root "$ROOT" --conf "$T/c"; has "$ERR" "max-concurrent-uploads: must not be negative: '-1'"; engine_start --conf "$c"
}
t_head() { # what is here already is not asked for: registries count manifests that are fetched
	: >"$ROOT.t/bad.log"; out D pull -q $B/good; eq "$(requests 'HEAD /v2/good/manifests/latest')" 1; eq "$(requests 'GET /v2/good/manifests/sha256')" 1; eq "$(requests 'GET /v2/good/manifests/latest')" 0
	: >"$ROOT.t/bad.log"; out D pull $B/good; has "$OUT" "Status: Image is up to date for $B/good:latest"; like "$OUT" "Digest: sha256:[0-9a-f]{64}"; eq "$(requests 'HEAD /v2/good/manifests/latest')" 1; eq "$(requests GET.*good)" 0
	local dg; dg=$(digests $B/good | tr -d '[]"'); : >"$ROOT.t/bad.log"; out D pull "$dg"; has "$OUT" "up to date"; eq "$(requests /v2/good/)" 0; out D pull --platform linux/arm64 $B/good; eq "$(requests 'GET /v2/good/manifests')" 1 "for another platform"; D rmi $B/good >/dev/null
	: >"$ROOT.t/bad.log"; pull_rm nohead; eq "$(requests 'GET /v2/nohead/manifests/latest')" 1; out D pull -q $B/index; : >"$ROOT.t/bad.log"; out D pull $B/index; eq "$(requests GET.*index)" 0; out D pull -q --platform linux/arm $B/index; eq "$(D image inspect -f '{{.Architecture}}' $B/index)" arm; D rmi $B/index >/dev/null; D image prune -f >/dev/null
}
t_once() { # two pulls of one layer at once: one download
	: >"$ROOT.t/bad.log"; for x in 1 2 3; do D pull -q $B/good & done; wait; out D image inspect $B/good; local l; l=$(curl -s -H 'Accept: */*' http://$B/v2/good/manifests/latest | jq -r '.layers[0].digest'); eq "$(requests "GET /v2/good/blobs/$l")" 1 downloads; D rmi $B/good; }
t_cancel() {
	curl -s -m 2 --unix-socket "$SOCK" -X POST "http://d/images/create?fromImage=$B/slow&tag=latest" >"$T/o"; has "$(cat "$T/o")" "Downloading"; UNTIL=5 until_ok no_tmp || fail "the pull goes on"; D images -q $B/slow >"$T/i"; eq "$(cat "$T/i")" ""
}
t_killed() { # nothing is left after the next start
	curl -s -m 20 --unix-socket "$SOCK" -X POST "http://d/images/create?fromImage=$B/slow&tag=latest" >"$T/o" & sleep 1; ne "$(tmp_layers)" 0; engine_kill; wait; engine_start --conf "$ROOT.t/etc/engine.conf"; eq "$(tmp_layers)" 0; out D run --rm busybox echo on; eq "$OUT" on
}
t_events() {
	local s; s=$(date +%s.%N); D pull -q $R/a/b:1 >/dev/null; D push -q $R/a/b:1 >/dev/null; sleep 1.1
	eq "$(D events --since "$s" --until "$(date +%s)" --filter type=image --format '{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}')" "pull $R/a/b:1 $R/a/b"$'\n'"push $R/a/b:1 $R/a/b"
}

engine_root
trap stop_all EXIT
mkdir -p "$ROOT.t/etc"
certificate ca /CN=registry -addext subjectAltName=IP:10.77.0.1
htpasswd -Bbn u pass >"$ROOT.t/htpasswd" 2>/dev/null
serve $R plain
serve $A auth '' "auth: {htpasswd: {realm: r, path: $ROOT.t/htpasswd}}"
ip addr add 10.77.0.1/32 dev lo
serve $S tls "  tls: {certificate: $ROOT.t/ca.crt, key: $ROOT.t/ca.key}"
: >"$ROOT.t/bad.log"
run_server closed python3 "$(dirname "$0")/bad_registry.py" 5074 "$ROOT.t/closed.log" closed
run_server bad python3 "$(dirname "$0")/bad_registry.py" 5073 "$ROOT.t/bad.log"
printf 'registry-mirrors = http://%s\nregistry-timeout = 3\n' $R >"$ROOT.t/etc/engine.conf"
await http://$R/v2/ http://$B/v2/ http://127.0.0.1:5074/v2/
engine_start --conf "$ROOT.t/etc/engine.conf"
busybox_image

check "push, pull, mount, digests" t_push_pull
check "layers: whiteouts, links, what is there is not moved" t_layers
check "all tags" t_all_tags
check "refusals have Docker's words and statuses" t_errors
check "Basic: login, push, pull" t_basic
check "TLS with an authority of certs.d" t_tls
check "mirrors come first" t_mirror
check "distribution inspect" t_distribution
check "search" t_search
check "indexes: the platform is chosen" t_platform
check "uncompressed, zstd, pages of tags" t_formats
check "tokens are renewed" t_tokens
check "a redirect gets no credentials" t_redirect
check "a cut download goes on by Range" t_cut
check "a cut upload goes on" t_upload
check "digests name what they named" t_digests_stay
check "what is not what its digest says is refused" t_lies
check "hostile answers" t_hostile
check "a bomb is refused" t_bomb
check "three layers come at a time, five go" t_parallel
check "other limits, and attempts" t_limits
check "HEAD, and what is here is not fetched" t_head
check "a layer pulled thrice at once is fetched once" t_once
check "a client that goes away ends its pull" t_cancel
check "events" t_events
check "killed while pulling" t_killed
check "pushes that end early" t_push_ends
