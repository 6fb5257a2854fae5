#!/bin/bash
# Registries that want to know who asks: tokens, client certificates; and ways to them: proxies, self-signed certificates.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/registries.sh"
need docker-registry openssl curl jq
T1=127.0.0.1:5081 T2=127.0.0.1:5082 S=10.77.0.1:5083 P=10.77.0.1:5084 SELF=10.77.0.1:5085 NET=10.78.0.9:5089
asked() { grep -c -- "$1" "$ROOT.t/token.log"; }
as() { # as HOST USER:PASSWORD COMMAND...: with these credentials in the client's configuration
	mkdir -p "$T/c"; echo "{\"auths\":{\"$1\":{\"auth\":\"$(printf %s "$2" | base64)\"}}}" >"$T/c/config.json"; local h=$3; shift 3
	DOCKER_CONFIG=$T/c "$h" "$@"
}
meta() { # meta KEY VALUE
	local u; u=$(curl -s --unix-socket "$ROOT/run/admin.sock" 'http://d/services?name=docker' | jq -r '.[0].uuid'); curl -s -o "$T/meta" -w '%{http_code}' --unix-socket "$ROOT/run/admin.sock" -X PUT -d "{\"metadata\":{\"$1\":\"$2\"}}" "http://d/services/$u"
}

t_login() {
	rc 1 D login -u u -p wrong $T1; has "$ERR" "unauthorized: incorrect username or password"; out D login -u u -p pass $T1; has "$OUT" "Login Succeeded"
	grep -q 'GET /token?.*offline_token=true.* u:pass' "$ROOT.t/token.log" || fail "no refresh token was asked for"; eq "$(jq -r '.auths["'$T1'"].identitytoken' "$DOCKER_CONFIG/config.json")" refresh-u
	D tag busybox $T1/login/x; : >"$ROOT.t/token.log"; out D push -q $T1/login/x; has "$(cat "$ROOT.t/token.log")" "POST /token grant_type=refresh_token"; eq "$(asked u:pass)" 0; D rmi $T1/login/x >/dev/null; out D pull -q $T1/login/x; D rmi $T1/login/x >/dev/null; D logout $T1 >/dev/null
}
t_scopes() {
	D tag busybox $T1/team/a; D tag busybox $T1/team/b; : >"$ROOT.t/token.log"; as $T1 u:pass out D push -q $T1/team/a; has "$(cat "$ROOT.t/token.log")" "scope=repository%3Ateam%2Fa%3Apull%2Cpush"
	as $T1 u:pass out D push $T1/team/b; has "$OUT" "Mounted from team/a"; has "$(tail -1 "$ROOT.t/token.log")" "scope=repository%3Ateam%2Fa%3Apull&"
	as $T1 r:only rc 1 D push $T1/team/a:2; D tag busybox $T1/team/a:2; as $T1 r:only rc 1 D push $T1/team/a:2; has "$ERR" "denied: requested access to the resource is denied"
	D rmi $T1/team/a $T1/team/a:2 $T1/team/b >/dev/null; as $T1 r:only out D pull -q $T1/team/a; D rmi $T1/team/a >/dev/null; rc 1 D pull $T1/team/a; has "$ERR" "pull access denied for $T1/team/a, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
	api POST "/images/create?fromImage=$T1/team/a&tag=latest" >/dev/null; eq "$(status)" 404; as $T1 u:wrong rc 1 D pull $T1/team/a; has "$ERR" "unauthorized: incorrect username or password"
}
t_anonymous() { D tag busybox $T1/public/x; as $T1 u:pass out D push -q $T1/public/x; D rmi $T1/public/x >/dev/null; : >"$ROOT.t/token.log"; out D pull -q $T1/public/x; eq "$(grep -c -- ' - -$' "$ROOT.t/token.log")" 1; D rmi $T1/public/x >/dev/null; rc 1 D push $T1/public/x; }
t_expiry() { # a token that has ended before anybody expected it, and one whose end is known
	D tag busybox $T2/ended/x; : >"$ROOT.t/token2.log"; as $T2 u:pass out D push -q $T2/ended/x; [ "$(grep -c GET "$ROOT.t/token2.log")" -ge 2 ] || fail "no second token"
	D rmi $T2/ended/x >/dev/null; as $T2 u:pass out D pull -q $T2/ended/x; D rmi $T2/ended/x >/dev/null
	D tag busybox $T2/short/x; : >"$ROOT.t/token2.log"; as $T2 u:pass out D push -q $T2/short/x; D rmi $T2/short/x >/dev/null; [ "$(grep -c GET "$ROOT.t/token2.log")" -le 2 ] || fail "a token for each request"
}
t_client_cert() {
	local d=$ROOT.t/etc/certs.d/$S; mkdir -p "$d"; cp "$ROOT.t/ca.crt" "$d/"; D tag busybox $S/c/x; rc 1 D push $S/c/x; like "$ERR" 'certificate required|bad certificate|handshake|[Bb]roken pipe|reset'
	cp "$ROOT.t/client.crt" "$d/me.cert"; rc 1 D push $S/c/x; has "$ERR" "missing key me.key for client certificate me.cert"; cp "$ROOT.t/client.key" "$d/me.key"
	out D push -q $S/c/x; D rmi $S/c/x >/dev/null; out D pull -q $S/c/x; D rmi $S/c/x >/dev/null; out D login -u a -p b $S; rm "$d/me.cert"; rc 1 D pull $S/c/x; has "$ERR" "missing client certificate me.cert for key me.key"; rm -r "$d"
}
t_self_signed() {
	D tag busybox $SELF/s/x; rc 1 D push $SELF/s/x; has "$ERR" "certificate signed by unknown authority"; eq "$(meta docker_registry_insecure true)" 200; out D push -q $SELF/s/x; rc 0 D pull -q $SELF/s/x; out D login -u a -p b $SELF
	eq "$(meta docker_registry_insecure false)" 200; rc 1 D pull $SELF/s/x; has "$ERR" "unknown authority"; D rmi $SELF/s/x >/dev/null
}
t_networks() { # a whole network in insecure-registries
	D tag busybox $NET/n/x; out D push -q $NET/n/x; out D login -u a -p b $NET; D rmi $NET/n/x
}
t_proxy() { # by the environment, but for what NO_PROXY names; by the service's metadata
	: >"$ROOT.t/proxy.log"; D tag busybox $P/p/x; out D push -q $P/p/x; has "$(cat "$ROOT.t/proxy.log")" "GET http://$P/v2/"; eq "$(grep -c 127.0.0.1 "$ROOT.t/proxy.log")" 0; D rmi $P/p/x >/dev/null; out D pull -q $P/p/x
	has "$(cat "$ROOT.t/proxy.log")" "CONNECT $P"; engine_term; export NO_PROXY=10.77.0.0/16; engine_start --conf "$ROOT.t/etc/engine.conf"; : >"$ROOT.t/proxy.log"; out D pull -q $P/p/x; eq "$(cat "$ROOT.t/proxy.log")" ""
	engine_term; unset NO_PROXY HTTP_PROXY HTTPS_PROXY; engine_start --conf "$ROOT.t/etc/engine.conf"; out D pull -q $P/p/x; eq "$(cat "$ROOT.t/proxy.log")" ""
	eq "$(meta http_proxy http://127.0.0.1:5086)" 200; out D pull -q $P/p/x; has "$(cat "$ROOT.t/proxy.log")" "GET http://$P/v2/"; eq "$(meta http_proxy http://127.0.0.1:1)" 200; rc 1 D pull -q $P/p/x; has "$ERR" "connection refused"; eq "$(meta http_proxy "")" 200; D rmi $P/p/x >/dev/null
}

engine_root
trap stop_all EXIT
mkdir -p "$ROOT.t/etc"
certificate ca /CN=registry -addext subjectAltName=IP:10.77.0.1
certificate client /CN=me -addext extendedKeyUsage=clientAuth
certificate self /CN=self -addext subjectAltName=IP:10.77.0.1
certificate sign /CN=tokens
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ec -keyout "$ROOT.t/ec.key" -out "$ROOT.t/ec.crt" 2>/dev/null
ip addr add 10.77.0.1/32 dev lo
ip addr add 10.78.0.9/32 dev lo
token_auth() { echo "auth: {token: {realm: \"http://127.0.0.1:$1/token\", service: \"reg $1\", issuer: tests, rootcertbundle: $2}}"; }
serve $T1 tok1 '' "$(token_auth 5087 "$ROOT.t/sign.crt")"
serve $T2 tok2 '' "$(token_auth 5088 "$ROOT.t/ec.crt")"
serve $S client "  tls: {certificate: $ROOT.t/ca.crt, key: $ROOT.t/ca.key, clientcas: [$ROOT.t/client.crt]}"
serve $P proxied
serve $NET network "  tls: {certificate: $ROOT.t/self.crt, key: $ROOT.t/self.key}"
serve $SELF self "  tls: {certificate: $ROOT.t/self.crt, key: $ROOT.t/self.key}"
: >"$ROOT.t/token.log"; : >"$ROOT.t/token2.log"; : >"$ROOT.t/proxy.log"
run_server token $PY "$(dirname "$0")/token_server.py" 5087 "$ROOT.t/sign.key" "$ROOT.t/sign.crt" "$ROOT.t/token.log"
run_server token2 $PY "$(dirname "$0")/token_server.py" 5088 "$ROOT.t/ec.key" "$ROOT.t/ec.crt" "$ROOT.t/token2.log" 30
run_server proxy $PY "$(dirname "$0")/proxy.py" 5086 "$ROOT.t/proxy.log"
printf 'insecure-registries = %s, 10.78.0.0/24\n' $P >"$ROOT.t/etc/engine.conf"
await http://$T1/v2/ http://$T2/v2/ http://$P/v2/ https://$SELF/v2/ https://$NET/v2/ http://127.0.0.1:5087/token http://127.0.0.1:5088/token
export HTTP_PROXY=http://127.0.0.1:5086 HTTPS_PROXY=http://127.0.0.1:5086
NO_PROXY=$S,$SELF,10.78.0.0/16 engine_start --conf "$ROOT.t/etc/engine.conf"
busybox_image

check "tokens: login, refresh tokens" t_login
check "tokens: scopes, mounts, refusals" t_scopes
check "tokens: nobody may pull what is public" t_anonymous
check "tokens: those that end are renewed (ES256)" t_expiry
check "client certificates" t_client_cert
check "self-signed: docker_registry_insecure" t_self_signed
check "insecure networks" t_networks
check "proxies" t_proxy
