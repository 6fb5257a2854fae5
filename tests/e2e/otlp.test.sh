#!/bin/bash
# The otlp log driver, before a receiver that decodes with OpenTelemetry's own definitions (npm).
. "$(dirname "$0")/lib.sh"
need docker curl busybox openssl jq
NPM=$top/build/npm/node_modules
if ! command -v node >/dev/null || ! [ -d "$NPM/@opentelemetry/otlp-transformer" ]; then
	[ -z "${STRICT:-}" ] || { echo "no @opentelemetry/otlp-transformer here"; exit 1; }
	skip_all "no @opentelemetry/otlp-transformer here"
fi
engine_root; mkdir -p "$ROOT.t/tls"
printf 'FORWARD_GRACE = 15\nlog-tls-dir = %s\n' "$ROOT.t/tls" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image

certificates() { # a CA, and a server's certificate for localhost
	local d=$ROOT.t
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$d/ca.key" -out "$d/tls/ca.pem" -days 3 -subj /CN=ca
	openssl req -newkey rsa:2048 -nodes -keyout "$d/srv.key" -out "$d/srv.csr" -subj /CN=localhost
	printf 'subjectAltName=DNS:localhost\n' >"$d/ext"
	openssl x509 -req -in "$d/srv.csr" -CA "$d/tls/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 3 -extfile "$d/ext" -out "$d/srv.pem"
}
listens() { [ -n "$(ss -Hlnt "sport = :$1")" ]; }
receiver() { # PORT FILE [CERTDIR]
	NODE_PATH=$NPM node "$top/tests/e2e/otlp.js" "$@" >>"$ROOT.t/node.log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	until_ok listens "$1" || fail "no receiver: $(tail -3 "$ROOT.t/node.log")"
}
unreceive() { end_ours KILL "$SINK"; wait "$SINK" 2>/dev/null; }
holds() { [ -e "$1" ] && [ "$(grep -c "$2" "$1")" -ge "$3" ]; }
got() { UNTIL=${UNTIL:-20} until_ok holds "$@" || fail "want $3 of '$2', got $(grep -c "$2" "$1"): $(tail -3 "$ROOT.t/apiserver.log") $(tail -2 "$ROOT.t/node.log")"; }
run() { local p=$1; shift; D run --network host --name "$C" --log-driver otlp --log-opt "otlp-endpoint=http://localhost:$p" "$@"; }
requests() { jq -r "$2" "$1.requests"; }

t_records() {
	receiver 4318 "$T/out"
	out run 4318 --log-opt otlp-headers='authorization=Bearer%20x%2Cy, X-Scope = a ' --log-opt otlp-timeout=5000 --log-opt env=E --log-opt labels=l \
		--log-opt tag=web -e E=v -l l=m -d busybox sh -c 'echo one; echo two >&2; head -c 20000 /dev/zero | tr "\0" x; echo; printf "a\0b\nü\n"; printf tail'
	got "$T/out" container.id 7; unreceive
	eq "$(requests "$T/out" '[.url,.headers["content-type"],.headers["content-encoding"],.headers.authorization,.headers["x-scope"]]|@csv' | sort -u)" \
		'"/v1/logs","application/x-protobuf","gzip","Bearer x,y","a"'
	eq "$(head -1 "$T/out" | jq -r '.res|[.["container.id"],.["container.name"],.["container.image.name"],.["service.name"],.E,.l,.tag,.["host.name"]]|@csv')" \
		"\"$(i "$C" '{{.Id}}')\",\"$C\",\"busybox\",\"$C\",\"v\",\"m\",\"web\",\"$(hostname)\""
	eq "$(jq -r 'select(.body=="one" or .body=="two")|[.body,.sev,.text,.attrs["log.iostream"]]|@csv' "$T/out" | sort)" \
		$'"one",9,"INFO","stdout"\n"two",17,"ERROR","stderr"'
	eq "$(jq -r 'select(.attrs["log.partial.id"])|[(.body|length),.attrs["log.partial.ordinal"],.attrs["log.partial.last"]]|@csv' "$T/out")" \
		$'16384,"1","false"\n3616,"2","true"'
	eq "$(jq -c 'select(.body|startswith("a"))|.body' "$T/out")" '"a\u0000b"'; eq "$(jq -r 'select(.body=="ü").scope' "$T/out")" sdc-docker
	eq "$(jq -r 'select(.body=="one").time' "$T/out" | cut -c1-6)" "$(date +%s | cut -c1-6)"
}
t_service_name() {
	receiver 4319 "$T/out"
	out run 4319 -l com.docker.compose.service=api busybox echo x; docker rm "$C" >/dev/null
	out run 4319 -l com.docker.compose.service=api -e OTEL_SERVICE_NAME=own busybox echo x
	got "$T/out" container.id 2; unreceive
	eq "$(jq -r '.res["service.name"]' "$T/out" | xargs)" "api own"
}
numbers() { eq "$(jq -r .body "$1" | grep line- | cut -d- -f2 | uniq | xargs | md5sum)" "$(seq 1 "$2" | xargs | md5sum)" "numbers"; }
t_down_then_up() {
	out run 4320 -d busybox sh -c 'for i in $(seq 1 3000); do echo line-$i; done; sleep 100'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-3000" || fail "the container waits for its sink"
	receiver 4320 "$T/out"; got "$T/out" 'line-3000"' 1; unreceive; numbers "$T/out" 3000
}
t_killed() {
	receiver 4321 "$T/out"
	out run 4321 -d busybox sh -c 'i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo line-$i; [ $((i % 100)) = 0 ] && sleep 0.02; done; sleep 100'
	local k p
	for k in 1 2; do
		sleep 0.4; for p in $(pids_of logger); do kill -9 "$p"; done
		sleep 0.4; for p in $(pids_of logsvc); do kill -9 "$p"; done
	done
	UNTIL=40 got "$T/out" 'line-10000"' 1; unreceive
	eq "$(jq -r .body "$T/out" | cut -d- -f2 | awk '!s[$1]++' | xargs | md5sum)" "$(seq 1 10000 | xargs | md5sum)" "numbers in order"
}
# 429, 502, 503 and 504 are tried again, not before the server's time; nothing is lost or doubled
t_retry() {
	echo "503@2 429 502 504" >"$T/out.answers"; receiver 4322 "$T/out"
	out run 4322 -d busybox sh -c 'for i in $(seq 1 50); do echo line-$i; done; sleep 100'
	got "$T/out" 'line-50"' 1; unreceive; numbers "$T/out" 50; eq "$(wc -l <"$T/out")" 50
	eq "$(requests "$T/out" .status | xargs | cut -d' ' -f1-5)" "503 429 502 504 200"
	[ $(($(requests "$T/out" .at | sed -n 2p) - $(requests "$T/out" .at | sed -n 1p))) -ge 1950 ] || fail "Retry-After is not kept"
}
# no answer within otlp-timeout: the same records are sent again
t_timeout() {
	echo hang >"$T/out.answers"; receiver 4325 "$T/out"
	out run 4325 --log-opt otlp-timeout=300ms -d busybox sh -c 'for i in $(seq 1 50); do echo line-$i; done; sleep 100'
	got "$T/out" 'line-50"' 1; unreceive; numbers "$T/out" 50; eq "$(wc -l <"$T/out")" 50
	[ $(($(requests "$T/out" .at | sed -n 2p) - $(requests "$T/out" .at | sed -n 1p))) -ge 290 ] || fail "given up before its time"
	grep -q "sink not reached.*4325" "$ROOT.t/apiserver.log" || fail "not told"
}
dropped() { "$BIN/sdc-dockeradm" --root "$ROOT" logs --json | jq -r ".[]|select(.uuid==\"$(uuid_of "$C")\").dropped"; }
drops() { [ "$(dropped)" = "$1" ]; }
# what the specification forbids to send again, and what a server refuses of a request, is counted as dropped and told
t_refused() {
	echo "400" >"$T/out.answers"; receiver 4323 "$T/out"
	out run 4323 -d busybox sh -c 'echo line-1; sleep 2; echo line-2; sleep 100'
	got "$T/out" 'line-2"' 1; eq "$(wc -l <"$T/out")" 1; until_ok drops 1 || fail "dropped: $(dropped)"
	grep -q "records refused by the sink.*status=400" "$ROOT.t/apiserver.log" || fail "not told"
	until_ok grep -q "output was lost zone=$(uuid_of "$C") lines=1 bytes=6 cause=\"not forwarded\"" "$ROOT.t/apiserver.log" || fail "no event"
	docker rm -f "$C" >/dev/null; echo "partial" >"$T/out.answers"
	out run 4323 -d busybox sh -c 'printf "a\nb\n"; sleep 2; echo c; sleep 100'
	got "$T/out" '"c"' 1; unreceive; until_ok drops 1 || fail "dropped: $(dropped)"
	grep -q 'records refused by the sink.*error="one is bad"' "$ROOT.t/apiserver.log" || fail "the server's words"
}
t_tls() {
	receiver 4324 "$T/out" "$ROOT.t"
	out D run --rm --network host --log-driver otlp --log-opt otlp-endpoint=https://localhost:4324/x/ --log-opt otlp-tls-ca-cert=ca.pem busybox \
		sh -c 'for i in $(seq 1 500); do echo line-$i; done'
	got "$T/out" 'line-500"' 1; numbers "$T/out" 500; eq "$(requests "$T/out" .url | sort -u)" /x/v1/logs
	out D run -d --network host --name "$C" --log-driver otlp --log-opt otlp-endpoint=https://localhost:4324 busybox sh -c 'echo secret; sleep 100'
	until_ok grep -q "sink not reached.*certificate" "$ROOT.t/apiserver.log" || fail "no complaint"
	unreceive; ! grep -q secret "$T/out" || fail "sent to a server that nobody vouches for"
}
# by a name that only the zone's own network knows
t_user_network() {
	out D network create "n$C"
	out D run -d --name "${C}b" --network "n$C" --network-alias collector busybox sleep 100
	NODE_PATH=$NPM BIND=0.0.0.0 nsenter "--net=/proc/$(i "${C}b" '{{.State.Pid}}')/ns/net" \
		node "$top/tests/e2e/otlp.js" 4318 "$T/out" >>"$ROOT.t/node.log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$ROOT.t/sinks"
	out D run -d --name "$C" --network "n$C" --log-driver otlp --log-opt otlp-endpoint=http://collector:4318 busybox sh -c 'echo hello; sleep 100'
	got "$T/out" hello 1; unreceive; D rm -f "$C" "${C}b" >/dev/null; out D network rm "n$C"
}
refused() { rc "${RC:-125}" D run --log-driver otlp "${@:2}" busybox true; has "$ERR" "$1"; }
t_options() {
	refused "otlp-endpoint is a required parameter"
	refused "invalid otlp-endpoint (tcp://h): must be http://" --log-opt otlp-endpoint=tcp://h
	refused "unknown log opt 'otlp-x' for otlp log driver" --log-opt otlp-endpoint=http://h --log-opt otlp-x=1
	refused "otlp-headers: 'x' is not name=value" --log-opt otlp-endpoint=http://h --log-opt otlp-headers=x
	refused "otlp-headers: Host is not for you to set" --log-opt otlp-endpoint=http://h --log-opt otlp-headers=Host=x
	refused 'invalid value for otlp-timeout: value ("1ms") must be between 100ms and 10m' --log-opt otlp-endpoint=http://h --log-opt otlp-timeout=1ms
	local o="--log-opt otlp-endpoint=https://h --log-opt otlp-tls-ca-cert="
	ln -sf /etc/hostname "$ROOT.t/tls/link"
	# shellcheck disable=SC2086 # options
	refused "/etc/hostname is not in the operator's folder for log drivers" ${o}/etc/hostname
	refused "link leads out of the operator's folder" ${o}link
	refused "../ca.key leads out of the operator's folder" ${o}../ca.key
	refused "ca.key leads out of the operator's folder" ${o}$ROOT.t/tls/../ca.key
	RC=127 refused 'could not read CA certificate "no": open no: no such file or directory' ${o}no
}

certificates >"$ROOT.t/certs.log" 2>&1
check "records, resource and headers" t_records
check "service.name" t_service_name
check "down, then up" t_down_then_up
check "logger and logsvc killed" t_killed
check "retried statuses, Retry-After" t_retry
check "no answer" t_timeout
check "refused records are counted" t_refused
check "tls" t_tls
check "a collector that only the zone's network knows" t_user_network
check "options are checked" t_options
no_loggers() { [ -z "$(pids_of logger)" ]; }
UNTIL=25 until_ok no_loggers
# shellcheck disable=SC2046 # a list of words
end_ours KILL $(cat "$ROOT.t/sinks")
