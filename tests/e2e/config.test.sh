#!/bin/bash
# config.test.sh - what create takes and refuses, what inspect and ps show, and records that outlive the engine.
. "$(dirname "$0")/lib.sh"
need docker curl busybox jq sqlite3
engine_start
busybox_image

create() { # create BODY [QUERY]: sets ID or the message
	OUT=$(api POST "/v1.51/containers/create?name=$C${2:-}" -H 'Content-Type: application/json' -d "$1")
	ST=$(status)
}
refused() { # refused BODY TEXT [STATUS]
	create "$1"
	eq "$ST" "${3:-400}" "status of $1"
	eq "$(jq -r .message <<<"$OUT")" "$2" "message"
}

bodies() {
	refused '' 'invalid JSON: got EOF while reading request body'
	refused '{"Image":"busybox"' 'invalid JSON: unexpected EOF'
	refused '{}' 'config cannot be empty in order to create a container'
	refused '{"Image":"busybox","HostConfig":{"Memory":"1g"}}' \
		'invalid JSON: json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Resources.Memory of type int64'
	refused '{"Image":"busybox","HostConfig":{"Memory":4096}}' 'Minimum memory limit allowed is 6MB'
	refused '{"Image":"busybox","HostConfig":{"LogConfig":{"Config":{"max-size":"0"}}}}' 'max-size must be a positive number'
	refused '{"Image":"no-such-image"}' 'No such image: no-such-image:latest' 404
	refused '{"Image":"busybox","HostConfig":{"PidMode":"container:nobody"}}' 'No such container: nobody'
	create '{"Image":"busybox","Cmd":["true"]}'; eq "$ST" 201
	refused '{"Image":"busybox"}' "Conflict. The container name \"/$C\" is already in use by container \"$(jq -r .Id <<<"$OUT")\". You have to remove (or rename) that container to be able to reuse that name." 409
}
canonical() {
	create '{"Image":"busybox","Cmd":"ls","Env":["A=b"],"HostConfig":{"Memory":67108864}}'; eq "$ST" 201
	api GET "/v1.51/containers/$C/json" >"$T/i"
	eq "$(jq -c '[.Path,.Args,.Config.Cmd,.Config.Entrypoint,.Config.Env[0],.Config.Labels]' "$T/i")" '["ls",[],["ls"],null,"A=b",{}]'
	eq "$(jq -c '.HostConfig|[.ShmSize,.MemorySwap,.NetworkMode,.IpcMode,.Runtime,.ConsoleSize,.LogConfig,.RestartPolicy,.Binds,.PidsLimit]' "$T/i")" \
		'[67108864,134217728,"bridge","private","crun",[0,0],{"Type":"json-file","Config":{}},{"Name":"no","MaximumRetryCount":0},null,null]'
	eq "$(jq -c '[.State.Status,.State.StartedAt,.NetworkSettings.Ports,.ExecIDs,.SizeRw]' "$T/i")" '["created","0001-01-01T00:00:00Z",{},null,null]'
	api GET "/v1.51/containers/$C/json?size=1" >"$T/i"
	[ "$(jq .SizeRootFs "$T/i")" -gt 100000 ] || fail "SizeRootFs: $(jq .SizeRootFs "$T/i")"
}
names_by_id() { # modes keep the id: a rename does no harm
	out D run -d --name "$C" busybox sleep 300
	out D create --name "${C}b" --network "container:$C" --pid "container:$C" busybox true
	eq "$(i "${C}b" '{{.HostConfig.NetworkMode}} {{.HostConfig.PidMode}}')" "container:$(i "$C" '{{.Id}}') container:$(i "$C" '{{.Id}}')"
	out D rename "$C" "${C}c"
	out D start -a "${C}b"
}
gpus() { # Docker's words, and at start only
	out D create --name "$C" --gpus all busybox true
	rc 1 D start "$C"; has "$ERR" 'could not select device driver "" with capabilities: [[gpu]]'
}
filters() {
	out D create --name "$C" --label "$C=1" busybox true
	out D create --name "${C}b" --label "$C=2" busybox true
	eq "$(D ps -aq --no-trunc --filter "label=$C" | wc -l)" 2
	eq "$(D ps -a --format '{{.Names}}' --filter "label=$C=2")" "${C}b"
	eq "$(D ps -a --format '{{.Names}}' --filter "since=$C" --filter "label=$C")" "${C}b"
	eq "$(D ps -a --format '{{.Names}}' --filter "name=^$C\$")" "$C"
	rc 1 D ps --filter nope=1; has "$ERR" "invalid filter 'nope'"
	rc 1 D ps --filter status=up; has "$ERR" "invalid filter 'status=up'"
}
survives() { # a kill -9 right after the answer loses nothing
	out D create --name "$C" --label k=v -m 64m busybox sh -c 'exit 7'
	engine_kill; engine_start
	eq "$(i "$C" '{{.State.Status}} {{.Config.Labels.k}} {{.HostConfig.Memory}}')" "created v 67108864"
	D start -a "$C"; D rename "$C" "${C}b"; out D update --cpu-shares 77 "${C}b"
	engine_kill; engine_start
	eq "$(i "${C}b" '{{.State.Status}} {{.State.ExitCode}} {{.HostConfig.CpuShares}}')" "exited 7 77"
	out D rm "${C}b"
	engine_kill; engine_start
	rc 1 D inspect "${C}b"
}
bad_state() { # a database that we cannot use is refused in words, and never changed
	engine_term
	cp "$ROOT/lib/state.db" "$T/good"
	sqlite3 "$ROOT/lib/state.db" 'PRAGMA user_version=99'
	OUT=$("$BIN/apiserver" --root "$ROOT" 2>&1) && fail "started on a newer schema"
	has "$OUT" "has schema 99"
	head -c 5000 /dev/urandom >"$ROOT/lib/state.db"
	OUT=$("$BIN/apiserver" --root "$ROOT" 2>&1) && fail "started on garbage"
	has "$OUT" "is damaged"
	cp "$T/good" "$ROOT/lib/state.db"
	engine_start
}
check "bodies are refused in Docker's words" bodies
check "a minimal body is completed" canonical
check "references to containers are kept by id" names_by_id
check "devices of no driver fail the start" gpus
check "ps filters" filters
check "records outlive kill -9" survives
check "a bad state database is refused" bad_state
