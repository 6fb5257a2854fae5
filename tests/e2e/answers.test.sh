#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# answers.test.sh - what clients read of the engine's answers, found by trying it beside dockerd: statuses, messages,
# events, and the order in which the head and the first bytes of a stream come.
. "$(dirname "$0")/lib.sh"
need docker curl python3
engine_start
busybox_image

a_failed_start_is_told_once() {
	rc 127 docker run --rm busybox nosuchcommand; hasnt "$ERR" "Error waiting"; has "$ERR" "executable file not found in \$PATH"
	rc 127 docker run --rm --sysctl net.ipv4.nosuch=1 busybox true; has "$ERR" "no such file or directory"
}
another_platform() {
	rc 0 docker create --name "$C" --platform linux/amd64 busybox true
	api POST "/containers/create?platform=linux/s390x" -H 'Content-Type: application/json' -d '{"Image":"busybox"}' >"$T/o"
	eq "$(status)" 404; has "$(cat "$T/o")" "does not match the specified platform (linux/s390x)"
}
json_must_say_so() {
	api POST /containers/create -H 'Content-Type: text/plain' -d '{"Image":"busybox"}' >"$T/o"; eq "$(status)" 400
	has "$(cat "$T/o")" "unsupported Content-Type header (text/plain): must be 'application/json'"
	api POST /containers/create -H 'Content-Type:' -d '{"Image":"busybox"}' >"$T/o"; eq "$(status)" 400
	api POST "/containers/create?name=$C" -H 'Content-Type: application/json; charset=utf-8' -d '{"Image":"busybox"}' >"$T/o"; eq "$(status)" 201
	has "$(curl -sI --unix-socket "$SOCK" http://d/_ping)" "Content-Length: 0"
}
json_is_read_first() { # before what the path names is looked for; in Go's words
	local p; for p in /containers/nosuch/exec /containers/nosuch/update /exec/nosuch/start "/commit?container=nosuch" /networks/nosuch/connect /volumes/create /networks/create /auth; do
		api POST "$p" -H 'Content-Type: application/json' -d '{invalid' >"$T/o"; eq "$(status)" 400 "$p"; has "$(cat "$T/o")" "invalid JSON: invalid character 'i' looking for beginning of object key string"
		api POST "$p" -H 'Content-Type: application/json' -d '{} trailing' >"$T/o"; eq "$(status)" 400 "$p"; has "$(cat "$T/o")" "unexpected content after JSON"
		api POST "$p" -H 'Content-Type: text/plain' -d '{}' >"$T/o"; eq "$(status)" 400 "$p"; has "$(cat "$T/o")" "unsupported Content-Type header (text/plain)"
	done
}
sizes_of_a_terminal() {
	out docker run -dt --name "$C" busybox sleep 300; local e q; e=$(api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"Cmd":["true"]}' | sed 's/.*"Id":"//; s/".*//')
	for q in '|invalid resize height \"\": invalid syntax' 'h=1|invalid resize width \"\": invalid syntax' 'h=x&w=1|invalid resize height \"x\": invalid syntax' 'h=-100&w=1|invalid resize height \"-100\": value out of range' 'h=1&w=4294967296|invalid resize width \"4294967296\": value out of range'; do
		has "$(api POST "/containers/$C/resize?${q%%|*}")" "${q#*|}"; eq "$(status)" 400; has "$(api POST "/exec/$e/resize?${q%%|*}")" "${q#*|}"; eq "$(status)" 400
	done
	api POST "/containers/$C/resize?h=40&w=70000" >/dev/null; eq "$(status)" 200
}
who_an_exec_runs_as() { # is looked up when it is made
	out docker run -d --name "$C" busybox sleep 300; rc 1 docker exec -u nosuch "$C" true; has "$ERR" "Error response from daemon: unable to find user nosuch: no matching entries in passwd file"
	rc 1 docker exec -u 0:nosuch "$C" true; has "$ERR" "unable to find group nosuch: no matching entries in group file"; api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"Cmd":["true"],"User":"nosuch"}' >/dev/null; eq "$(status)" 400
	out docker exec -u nobody "$C" id -u; eq "$OUT" 65534; out docker exec -u 77:88 "$C" id -g; eq "$OUT" 88
}
execs_end_with_their_run() { # one that was not started is not there any more; and Upgrade alone is enough for a 101
	out docker run -d --name "$C" busybox sleep 300; local e; e=$(api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"Cmd":["true"]}' | jq -r .Id); docker restart -t 0 "$C" >/dev/null
	has "$(api POST "/exec/$e/start" -H 'Content-Type: application/json' -d '{"Detach":true}')" "No such exec instance: $e"; eq "$(status)" 404
	has "$(curl -s -i -m 1 --unix-socket "$SOCK" -X POST -H 'Upgrade: tcp' "http://d/containers/$C/attach?stream=1&stdout=1" | head -1)" "101 UPGRADED"
}
joined_that_do_not_run() {
	docker create --name "$C" busybox true >/dev/null; local id; id=$(i "$C" '{{.Id}}'); docker create --name "${C}b" --pid "container:$C" busybox true >/dev/null; docker create --name "${C}c" --net "container:$C" busybox true >/dev/null
	has "$(api POST "/containers/${C}b/start")" "failed to join PID namespace: container $id is not running"; eq "$(status)" 500
	has "$(api POST "/containers/${C}c/start")" "cannot join network namespace of a non running container: container $C is created"; eq "$(status)" 409
}
older_clients() { # what they could not know is as it was then
	mkdir -p "$T/a/m"; api POST "/v1.43/containers/create?name=$C" -H 'Content-Type: application/json' -d "{\"Image\":\"busybox\",\"HostConfig\":{\"Binds\":[\"$T/a:/a:ro\"],\"PidsLimit\":16}}" >/dev/null; eq "$(status)" 201; has "$(cat "$ROOT"/zones/*/config/zone.json 2>/dev/null; docker start "$C" >/dev/null; cat "$ROOT/zones/$(uuid_of "$C")/config/config.json")" '"ro"'; hasnt "$(cat "$ROOT/zones/$(uuid_of "$C")/config/config.json")" rro
	api POST "/v1.39/containers/$C/update" -H 'Content-Type: application/json' -d '{"PidsLimit":32}' >/dev/null; eq "$(status)" 200; eq "$(i "$C" '{{.HostConfig.PidsLimit}}')" 16; api POST "/v1.40/containers/$C/update" -H 'Content-Type: application/json' -d '{"PidsLimit":32}' >/dev/null; eq "$(i "$C" '{{.HostConfig.PidsLimit}}')" 32
	eq "$(api GET /v1.48/info | jq -c '[.BridgeNfIptables, .BridgeNfIp6tables, has("FirewallBackend"), .RuncCommit.ID == .RuncCommit.Expected]')" '[false,false,false,true]'; eq "$(api GET /v1.51/info | jq -c '[has("BridgeNfIptables"), has("FirewallBackend"), (.RuncCommit | has("Expected"))]')" '[false,true,false]'
}
far_times() {
	out docker run --name "$C" busybox echo x
	out docker logs --until 99999999999 "$C"; eq "$OUT" x
	out docker logs --since 99999999999 "$C"; eq "$OUT" ""
}
# docker-py reads the head with a buffered reader and the rest from the socket below it
the_head_comes_before_the_output() {
	out docker run -d --name "$C" busybox sleep 1000
	python3 - "$SOCK" "$C" >"$T/o" <<-'P'
		import http.client, json, socket, sys
		class C(http.client.HTTPConnection):
		    def connect(self):
		        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(10); self.sock.connect(sys.argv[1])
		J = {"Content-Type": "application/json"}
		lost = 0
		for i in range(40):
		    c = C("d"); c.request("POST", "/containers/%s/exec" % sys.argv[2], json.dumps({"Cmd": ["echo", "x"], "AttachStdout": True}), J)
		    e = json.loads(c.getresponse().read())["Id"]
		    c = C("d"); c.request("POST", "/exec/%s/start" % e, "{}", dict(J, Connection="Upgrade", Upgrade="tcp"))
		    s = c.sock; r = c.getresponse(); b = b""
		    while True:
		        d = s.recv(100)
		        if not d: break
		        b += d
		    lost += b[8:] != b"x\n"
		print(lost)
	P
	eq "$(cat "$T/o")" 0
	api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"Cmd":["nosuch"],"AttachStdout":true,"Tty":true}' >"$T/o"
	api POST "/exec/$(jq -r .Id "$T/o")/start" -H 'Content-Type: application/json' -d '{"Tty":true}' >"$T/o"; like "$(cat "$T/o")" '^OCI runtime exec failed'
}
no_terminal() {
	out docker run -d --name "$C" busybox sleep 1000
	api POST "/containers/$C/resize?h=5&w=5" >"$T/o"; eq "$(status)" 200
	rc 1 docker rename "$C" '/b d'; has "$ERR" "Error when allocating new name: Invalid container name (/b d)"
}
sizes_are_of_files() {
	out docker run --name "$C" busybox sh -c 'mkdir -p /a/b; echo 1234 >/a/b/c'
	eq "$(docker inspect -s -f '{{.SizeRw}}' "$C")" 5
}
events_of_top_and_commit() {
	local since; since=$(date +%s)
	out docker run -d --name "$C" busybox sleep 1000; out docker top "$C"; out docker commit "$C" "img$C"
	eq "$(docker events --since "$since" --until "$(date +%s.%N)" --filter container="$C" --filter event=top --filter event=pause --filter event=commit --filter event=unpause --format '{{.Action}}' | tr '\n' ' ')" \
		"top pause commit unpause "
	docker rmi "img$C" >/dev/null
}
images_that_are_made() { # by a commit, and by each step of a build that is committed from a container; and OPTIONS
	local since; since=$(date +%s); docker create --name "$C" busybox true >/dev/null; out docker commit "$C" "img$C"; local id; id=$(docker inspect -f '{{.Id}}' "img$C")
	printf 'FROM busybox\nRUN echo %s >/f\n' "$C" >"$T/Dockerfile"; out docker build -q "$T"; local built=$OUT; sleep 1
	eq "$(docker events --since "$since" --until "$(date +%s)" --filter type=image --format '{{.Action}} {{.Actor.ID}}' | grep -E "$id|$built")" $'create '"$id"$'\ntag '"$id"$'\ncreate '"$built"
	api OPTIONS /anything/at/all >/dev/null; eq "$(status)" 200; docker rmi "img$C" "$built" >/dev/null
}
mode_of_volumes_from() {
	out docker create --name "$C" -v "$T:/b:ro" busybox; out docker create --name "${C}b" --volumes-from "$C" busybox
	eq "$(docker inspect -f '{{(index .Mounts 0).Mode}},{{(index .Mounts 0).RW}}' "${C}b")" ",false"
}

for c in a_failed_start_is_told_once another_platform json_must_say_so json_is_read_first sizes_of_a_terminal who_an_exec_runs_as execs_end_with_their_run joined_that_do_not_run older_clients far_times the_head_comes_before_the_output no_terminal \
	sizes_are_of_files events_of_top_and_commit images_that_are_made mode_of_volumes_from; do check "$c" "$c"; done
