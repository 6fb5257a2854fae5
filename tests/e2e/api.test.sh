#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# api.test.sh - the HTTP API itself, beside dockerd 28.5: keys and types of the answers, versions, paths, bodies,
# limits, and what the API says about networks and execs before they are used.
. "$(dirname "$0")/lib.sh"
need docker curl python3 jq
engine_start
busybox_image

J='Content-Type: application/json'
message() { jq -r .message "$T/body"; }
refused() { # refused STATUS MESSAGE METHOD PATH [curl arguments]
	local want=$1 text=$2; shift 2
	api "$@" >/dev/null; eq "$(status)" "$want" "$*"; eq "$(message)" "$text" "$*"
}
# raw TEXT: sends it as it is (printf's escapes); the answer until the connection is quiet
raw() {
	python3 - "$SOCK" "$1" <<-'P'
		import socket, sys
		s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
		s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin1"))
		s.shutdown(socket.SHUT_WR); b = b""
		while True:
		    d = s.recv(65536)
		    if not d: break
		    b += d
		sys.stdout.write(b.decode("latin1").replace("\r", ""))
	P
}

keys_and_types() {
	out python3 "$top/tests/e2e/api_shapes.py" "$SOCK" "$top/tests/e2e/api.shapes"; eq "$OUT" ""
}
versions() {
	eq "$(curl -s --unix-socket "$SOCK" -o "$T/body" -w '%{http_code} %{content_type}' http://d/v1.23/info)" "400 text/plain; charset=utf-8"
	eq "$(cat "$T/body")" "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
	refused 400 "client version 1.52 is too new. Maximum supported API version is 1.51" GET /v1.52/_ping
	api GET /v1.24/_ping >"$T/o"; eq "$(cat "$T/o")" OK
	refused 404 "page not found" GET /v1.x/info
	refused 404 "page not found" PUT /v1.24/containers/json
}
paths() {
	local p
	for p in "//containers/json?all=1 /containers/json?all=1" "/v1.43/containers//json /v1.43/containers/json" \
		"/containers/./json /containers/json" "/containers/../images/json /images/json" "/../info /info" "// /"; do
		eq "$(curl -s --path-as-is --unix-socket "$SOCK" -o /dev/null -w '%{http_code} %{redirect_url}' "http://d${p% *}")" "301 http://d${p#* }" "$p"
	done
	eq "$(curl -sL --unix-socket "$SOCK" -o /dev/null -w '%{http_code}' "http://d//containers//json")" 200
	refused 404 "No such container: a/b" GET /containers/a%2Fb/json
	refused 404 "No such container: ..x" GET /containers/..x/json
	refused 400 "malformed request URI" GET /containers/a%00b/json
	refused 404 "page not found" GET /containers/json/
	refused 400 'invalid name or ID supplied: ""' DELETE /containers/
	refused 400 "image name cannot be blank" DELETE /images/
	refused 404 "get: no such volume" GET /volumes/
	refused 404 "get: no such volume" DELETE /volumes/
	refused 404 'plugin "" not found' DELETE /plugins/
}
bodies() {
	local p b
	while read -r b p; do
		refused 400 "$p" POST /volumes/create -H "$J" -d "$b"
	done <<-'X'
		{"Name": invalid JSON: unexpected EOF
		{x} invalid JSON: invalid character 'x' looking for beginning of object key string
		{}{} unexpected content after JSON
		[] invalid JSON: json: cannot unmarshal array into Go value of type volume.CreateOptions
		{"Name":1} invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Name of type string
		{"Labels":{"a":1}} invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Labels of type string
	X
	refused 400 "invalid JSON: got EOF while reading request body" POST /volumes/create -H "$J" -d ' '
	api POST /volumes/create -H "$J" -d "{\"name\":\"v$C\",\"LABELS\":{\"q\":\"r\"}}" >"$T/o"; eq "$(jq -rc '.Name,.Labels' "$T/o" | paste -sd ' ')" "v$C {\"q\":\"r\"}"
	docker volume rm "v$C" >/dev/null
	refused 400 "invalid name: name is empty" POST /networks/create
	refused 400 'invalid name or ID supplied: ""' POST /networks/bridge/connect -H "$J" -d '{}'
	refused 400 'invalid name or ID supplied: ""' POST /commit
	refused 400 "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd of type []string" POST /containers/x/exec -H "$J" -d '{"Cmd":"a"}'
	refused 400 "invalid JSON: got EOF while reading request body" POST /auth
	refused 400 "malformed Content-Type header (application/json; x): mime: invalid media parameter" POST /volumes/create -H "$J; x" -d '{}'
	refused 400 "invalid name: name is empty" POST /networks/create -H "$J; charset=\"utf-8\"" -d '{}'
	refused 400 "invalid JSON: json: cannot unmarshal bool into Go struct field UpdateConfig.Resources.CpuShares of type int64" POST /containers/nosuch/update -H "$J" -d '{"CpuShares":true}'
	out docker create --name "$C" busybox
	refused 400 "No exec command specified" POST "/containers/$C/exec"
	api POST "/containers/$C/update" >"$T/o"; eq "$(cat "$T/o")" '{"Warnings":null}'
}
limits() {
	python3 - "$SOCK" >"$T/o" <<-'P'
		import socket, sys
		def status(head):
		    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
		    s.sendall(head.encode())
		    return s.recv(100).split()[1].decode()
		end = " HTTP/1.1\r\nHost: d\r\n"
		print(status("GET /_ping?" + "x" * 900000 + end + "\r\n"), status("GET /_ping?" + "x" * 1040000 + end),
		      status("GET /_ping" + end + "".join("A%d: b\r\n" % i for i in range(200)) + "\r\n"),
		      status("GET /_ping" + end + "".join("A%d: b\r\n" % i for i in range(300)) + "\r\n"))
	P
	eq "$(cat "$T/o")" "200 414 200 431"
}
http() {
	eq "$(raw 'GET /_ping HTTP/1.0\r\n\r\n' | sed -n '1p;$p' | paste -sd ' ')" "HTTP/1.1 200 OK OK"
	eq "$(raw 'GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nGET /nosuch HTTP/1.1\r\nHost: d\r\n\r\nHEAD /_ping HTTP/1.1\r\nHost: d\r\n\r\n' | grep -c '^HTTP/1.1 \(200\|404\)\|OKHTTP/1.1 404')" 3
	like "$(raw 'POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n{"Name":1}')" '^HTTP/1.1 100 Continue.*HTTP/1.1 400 Bad'
	like "$(raw 'GET /_ping HTTP/1.1\r\n\r\n')" '^HTTP/1.1 400 .*missing required Host header'
	like "$(raw 'POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}')" 'HTTP/1.1 400 .*unexpected EOF'
}
values() {
	out docker run --name "$C" busybox true
	refused 400 'invalid value for "since": invalid timestamp "99999999999999999999": invalid seconds "99999999999999999999": value out of range' \
		GET "/containers/$C/logs?stdout=1&since=99999999999999999999"
	refused 400 'invalid resize height "x": invalid syntax' POST "/containers/$C/resize?h=x&w=1"
	refused 400 'invalid resize width "99999999999": value out of range' POST "/containers/$C/resize?h=1&w=99999999999"
	refused 400 "cannot kill container: $C: invalid signal: FOO" POST "/containers/$C/kill?signal=FOO"
	refused 404 "cannot kill container: nosuch: No such container: nosuch" POST /containers/nosuch/kill
	refused 400 "cannot kill container: $C: the linux daemon does not support signal 65" POST "/containers/$C/kill?signal=65"
	api GET /_ping -H 'Expect: foo' >/dev/null; eq "$(status)" 417
	refused 400 "cannot kill container: nosuch: invalid signal: FOO" POST "/containers/nosuch/kill?signal=FOO"
	out docker create --name "${C}b" busybox /nosuch; rc 1 docker restart "${C}b"; has "$ERR" "Cannot restart container ${C}b: failed to create task for container"
	refused 400 "not websocket protocol" GET "/containers/$C/attach/ws"
	refused 404 "No such container: nosuch" GET /containers/nosuch/attach/ws
	refused 400 'invalid value for verbose: x: strconv.ParseBool: parsing "x": invalid syntax' GET '/networks/bridge?verbose=x'
	refused 400 "invalid tag format" POST '/images/create?fromImage=busybox&tag=a:b'
	refused 404 "No such image: nosuch" GET '/images/get?names=nosuch'
	refused 404 "reference does not exist" GET '/images/nosuch:tag/get'
	refused 400 "invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Config.Cmd of type string" POST "/commit?container=$C" -H "$J" -d '{"Cmd":1}'
	# parameters in the body of a form, before those of the URL; a pair with a semicolon counts not
	refused 400 "cannot kill container: $C: invalid signal: FOO" POST "/containers/$C/kill?signal=BAR" -d "signal=FOO"
	refused 400 "Neither old nor new names may be empty" POST "/containers/$C/rename?name=x;y" -d "a=b"
	refused 400 "too many query parameters" GET "/containers/json?$(seq -s '&' 300)"
	refused 400 "BOGUS is not a valid change command" POST "/commit?container=$C&changes=BOGUS"
	refused 400 "failed to parse platform: invalid character 'x' looking for beginning of value" GET "/images/busybox/json?platform=x"
	refused 503 "volume update only valid for cluster volumes, but swarm is unavailable" PUT /volumes/x
	refused 400 "invalid filter 'zz'" GET '/plugins?filters=%7B%22zz%22:%5B%22a%22%5D%7D'
	refused 404 'plugin "a/b:1" not found' POST /plugins/a/b:1/enable
	refused 501 "plugins are not supported by this engine" POST '/plugins/pull?remote=a'
	refused 501 "checkpoints are not supported by this engine" GET "/containers/$C/checkpoints"
	refused 501 "checkpoints are not supported by this engine" POST "/containers/$C/start?checkpoint=x"
}
networks() {
	local net='{{with index .NetworkSettings.Networks "nn"}}{{.MacAddress}} {{json .DNSNames}}{{end}}' id
	docker network create nn >/dev/null
	id=$(docker create --name "$C" --hostname hh busybox sleep 1000)
	api POST /networks/nn/connect -H "$J" -d "{\"Container\":\"$C\",\"EndpointConfig\":{\"MacAddress\":\"02:42:0a:4d:00:99\",\"Aliases\":[\"al\"]}}"; eq "$(status)" 200
	eq "$(i "$C" "$net")" "02:42:0a:4d:00:99 [\"$C\",\"al\",\"${id:0:12}\",\"hh\"]"
	out docker create --name "${C}b" --network nn --mac-address 02:42:0a:4d:00:77 busybox; eq "$(i "${C}b" "$net")" "02:42:0a:4d:00:77 null"
	out docker start "$C"; eq "$(i "$C" "$net")" "02:42:0a:4d:00:99 [\"$C\",\"al\",\"${id:0:12}\",\"hh\"]"
	out docker run --rm --network nn busybox nslookup hh; has "$OUT" "Name:" # a host name is found, too
	refused 400 "cannot connect container to host network - container must be created in host network mode" POST /networks/host/connect -H "$J" -d "{\"Container\":\"$C\"}"
	docker network disconnect nn "$C"
	refused 500 "container $id is not connected to network nn" POST /networks/nn/disconnect -H "$J" -d "{\"Container\":\"$C\"}"
	refused 404 'plugin "nosuch" not found' POST /networks/create -H "$J" -d '{"Name":"x","Driver":"nosuch"}'
	refused 403 "cannot create a swarm scoped network when swarm is not active" POST /networks/create -H "$J" -d '{"Name":"x","Scope":"swarm"}'
	docker rm -f "$C" "${C}b" >/dev/null; docker network rm nn >/dev/null
}
execs() {
	local e f
	out docker run -d --name "$C" busybox sleep 1000
	api POST "/containers/$C/exec" -H "$J" -d '{"Cmd":["true"]}' >"$T/o"; e=$(jq -r .Id "$T/o")
	api POST "/containers/$C/exec" -H "$J" -d '{"Cmd":["true"]}' >"$T/o"; f=$(jq -r .Id "$T/o")
	api POST "/exec/$f/start" -H "$J" -d '{"Detach":true}'; eq "$(status)" 200
	refused 400 "cannot stop container: $C: invalid signal: FOO" POST "/containers/$C/stop?signal=FOO"
	docker stop -t 0 "$C" >/dev/null
	refused 404 "No such exec instance: $e" POST "/exec/$e/start" -H "$J" -d '{"Detach":true}' # never started: forgotten with the run
	refused 404 "No such exec instance: $e" GET "/exec/$e/json"
	api GET "/exec/$f/json" >"$T/o"; eq "$(jq -c '[.Running,.ExitCode]' "$T/o")" '[false,0]'
}

for c in keys_and_types versions paths bodies limits http values networks execs; do check "$c" "$c"; done
