#!/bin/bash
# The life of a container: start, stop, kill, pause, update, restart policies, health, exec, attach, events, removal.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3
engine_start; busybox_image
state() { i "$1" '{{.State.Status}}'; }
is() { [ "$(state "$1")" = "$2" ]; }

t_states() {
	out D create --name "$C" busybox sleep 300; eq "$(state "$C")" created
	out D start "$C"; eq "$OUT" "$C"; eq "$(state "$C")" running; rc 0 D start "$C"
	[ "$(i "$C" '{{.State.Pid}}')" -gt 1 ] || fail "no pid"; kill -0 "$(i "$C" '{{.State.Pid}}')" || fail "pid is not there"
	out D pause "$C"; eq "$(state "$C")" paused; rc 1 D exec "$C" true; has "$ERR" "is paused"; out D unpause "$C"; eq "$(state "$C")" running
	out D restart -t 0 "$C"; eq "$(state "$C")" running
	out D kill -s USR1 "$C"; out D kill "$C"; out D wait "$C"; eq "$OUT" 137; eq "$(state "$C")" exited
	rc 1 D kill "$C"; has "$ERR" "is not running"; rc 1 D pause "$C"; has "$ERR" "is not running"
	rc 0 D stop "$C"
}
t_api_statuses() {
	out D create --name "$C" busybox sleep 300
	api POST "/containers/$C/stop" >/dev/null; eq "$(status)" 304
	api POST "/containers/$C/start" >/dev/null; eq "$(status)" 204; api POST "/containers/$C/start" >/dev/null; eq "$(status)" 304
	api POST "/containers/nope/start"; eq "$(status)" 404; eq "$(cat "$T/body")" '{"message":"No such container: nope"}'
	api DELETE "/containers/$C" >/dev/null; eq "$(status)" 409; like "$(cat "$T/body")" "cannot remove container.*running"
	api POST "/containers/$C/kill?signal=NOSUCH" >/dev/null; eq "$(status)" 400; has "$(cat "$T/body")" "NOSUCH"
	api POST "/containers/create?name=$C" -H 'Content-Type: application/json' -d '{"Image":"busybox"}' >/dev/null; eq "$(status)" 409; has "$(cat "$T/body")" "is already in use by container"
	api POST "/containers/create" -H 'Content-Type: application/json' -d '{"Image":' >/dev/null; eq "$(status)" 400
	api POST "/containers/create" -H 'Content-Type: application/json' -d '{"Image":"nosuch:1"}' >/dev/null; eq "$(status)" 404; has "$(cat "$T/body")" "No such image: nosuch:1"
	api POST "/containers/create" -H 'Content-Type: application/json' -d '{"Image":"busybox","HostConfig":{"Memory":"x"}}' >/dev/null; eq "$(status)" 400
}
t_wait_conditions() {
	out D create --name "$C" busybox sh -c 'exit 4'
	curl -s -m 30 --unix-socket "$SOCK" -X POST "http://d/containers/$C/wait?condition=next-exit" -D "$T/h" >"$T/w" & local p=$!
	until_ok test -s "$T/h"; out D start "$C"; wait $p; eq "$(tr -d '\n' <"$T/w")" '{"StatusCode":4}'
	curl -s -m 30 --unix-socket "$SOCK" -X POST "http://d/containers/$C/wait?condition=removed" -D "$T/h2" >"$T/w" & p=$!
	until_ok test -s "$T/h2"; out D rm "$C"; wait $p; has "$(cat "$T/w")" '"StatusCode":4'
}
t_resize_event() {
	out D run -dt --name "$C" busybox sleep 300; api POST "/containers/$C/resize?h=33&w=44" >/dev/null; eq "$(status)" 200
	out D events --since 1m --until $(($(date +%s) + 1)) -f "container=$C" -f event=resize --format '{{.Actor.Attributes.height}} {{.Actor.Attributes.width}}'; eq "$OUT" "33 44"
}
t_exec_of_paused() { out D run -d --name "$C" busybox sleep 300; out D pause "$C"; rc 1 D exec "$C" true; has "$ERR" "Container $C is paused, unpause the container before exec"; out D unpause "$C"; }
t_rename_and_prefix() {
	out D run -d --name "$C" busybox sleep 300; local id; id=$(i "$C" '{{.Id}}')
	out D rename "$C" "${C}b"; eq "$(i "${C}b" '{{.Id}}')" "$id"; rc 1 D inspect "$C"; eq "$(i "${id:0:10}" '{{.Name}}')" "/${C}b"
}
t_update() {
	out D run -d --name "$C" -m 64m busybox sleep 300; out D update -m 128m --memory-swap 256m --pids-limit 50 --restart on-failure:3 "$C"
	eq "$(i "$C" '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}')" "134217728 50 on-failure 3"
	[ ! -d /sys/fs/cgroup/memory ] || eq "$(D exec "$C" cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 134217728
	rc 1 D update -m 1m "$C"; has "$ERR" "Minimum memory limit"
}
t_restart_policies() {
	out D run -d --name "$C" --restart on-failure:2 busybox sh -c 'echo x; exit 3'; UNTIL=15 until_ok is "$C" exited || fail "$(state "$C")"
	eq "$(i "$C" '{{.RestartCount}} {{.State.ExitCode}}')" "2 3"; eq "$(D logs "$C" | wc -l)" 3
	out D run -d --name "${C}b" --restart always busybox sh -c 'exit 0'; UNTIL=15 until_ok sh -c "[ \$(docker inspect -f '{{.RestartCount}}' ${C}b) -ge 2 ]" || fail "no restarts"
	out D stop "${C}b"; eq "$(state "${C}b")" exited; sleep 0.5; eq "$(state "${C}b")" exited
	out D run -d --name "${C}c" --restart unless-stopped busybox sleep 300; kill -9 "$(i "${C}c" '{{.State.Pid}}')"
	until_ok sh -c "[ \$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' ${C}c) = '1 running' ]" || until_ok is "${C}c" running || fail "not back"
}
probed() { [ "$(i "$1" '{{len .State.Health.Log}}')" -ge 1 ]; }
t_health() {
	out D run -d --name "$C" --health-cmd 'echo probe; test -e /ok' --health-interval 200ms --health-retries 2 --health-start-period 20s busybox sleep 300
	eq "$(i "$C" '{{.State.Health.Status}}')" starting; until_ok probed "$C"; out D exec "$C" touch /ok
	until_ok sh -c "[ \$(docker inspect -f '{{.State.Health.Status}}' $C) = healthy ]" || fail "$(i "$C" '{{json .State.Health}}')"
	has "$(D ps --filter "name=$C" --format '{{.Status}}')" "(healthy)"; eq "$(i "$C" '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}')" '1 probe'
	out D exec "$C" rm /ok; until_ok sh -c "[ \$(docker inspect -f '{{.State.Health.Status}}' $C) = unhealthy ]" || fail "not unhealthy"
	[ "$(i "$C" '{{len .State.Health.Log}}')" -le 5 ] || fail "log"
}
t_exec() {
	out D run -d --name "$C" -e A=1 busybox sleep 300
	rc 5 D exec "$C" sh -c 'echo o; echo e >&2; exit 5'; eq "$OUT" o; eq "$ERR" e
	out D exec -e B=2 -w /tmp -u 65534:100 "$C" sh -c 'echo $A$B; pwd; id -u; id -g'; eq "$OUT" $'12\n/tmp\n65534\n100'
	eq "$(D exec "$C" seq 1 200000 | md5sum)" "$(seq 1 200000 | md5sum)"; eq "$(echo piped | D exec -i "$C" cat)" piped
	rc 127 D exec -w /nosuch "$C" true; has "$OUT" 'chdir to cwd ("/nosuch")'; rc 127 D exec -w /etc/passwd "$C" true
	out D exec -t "$C" tty; like "$OUT" '^/dev/pts/[0-9]+'
	out D exec -d "$C" sh -c 'echo x >/done'; until_ok D exec "$C" test -f /done || fail "not done"
	OUT=$(D exec "$C" no-such-cmd 2>&1); like "$?" '^12[67]$'; has "$OUT" "executable file not found"
	rc 126 D exec "$C" /etc; has "$OUT$ERR" "permission denied"
	out D exec "$C" grep CapEff /proc/self/status; has "$OUT" a80425fb; out D exec --privileged "$C" grep CapEff /proc/self/status; hasnt "$OUT" a80425fb
	rc 1 D exec -u nosuch "$C" true; has "$OUT$ERR" "unable to find user nosuch"
}
t_exec_api() {
	out D run -d --name "$C" busybox sleep 300
	local id; id=$(api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"AttachStdout":true,"Cmd":["sh","-c","exit 3"]}' | sed 's/.*"Id":"\([0-9a-f]*\)".*/\1/'); eq "$(status)" 201; like "$id" '^[0-9a-f]{64}$'
	api POST "/exec/$id/start" -H 'Content-Type: application/json' -d '{"Detach":true}' >/dev/null; eq "$(status)" 200
	until_ok sh -c "curl -s --unix-socket $SOCK http://d/exec/$id/json | grep -q '\"Running\":false'" || fail running
	has "$(api GET "/exec/$id/json")" '"ExitCode":3'; api GET /exec/nope/json >/dev/null; eq "$(status)" 404
	out D stop -t 0 "$C"; api POST "/containers/$C/exec" -H 'Content-Type: application/json' -d '{"Cmd":["true"]}' >/dev/null; eq "$(status)" 409; has "$(cat "$T/body")" "is not running"
}
t_attach() {
	out D run -d --name "$C" busybox sh -c 'while [ ! -e /go ]; do sleep 0.05; done; echo both'
	D attach --no-stdin "$C" >"$T/a" & local a=$!; D attach --no-stdin "$C" >"$T/b" & local b=$!
	sleep 0.8; out D exec "$C" touch /go; wait $a $b; eq "$(cat "$T/a") $(cat "$T/b")" "both both"
	out D run -d -i --name "${C}b" busybox cat; D logs "${C}b" >/dev/null
	printf 'one\ntwo\n' | timeout -k 1 2 docker attach --sig-proxy=false "${C}b" >"$T/o"; eq "$(cat "$T/o")" $'one\ntwo' "late output"; eq "$(state "${C}b")" running
}
t_attach_detach_keys() {
	out D run -dit --name "$C" busybox sh
	python3 - "$C" <<'P' || fail "detach keys"
import os, pty, sys, time, select
pid, fd = pty.fork()
if pid == 0:
    os.execvp('docker', ['docker', 'attach', sys.argv[1]])
time.sleep(1); os.write(fd, b'echo mar""ked\n'); time.sleep(0.5); os.write(fd, b'\x10\x11')
out = b''; end = time.time() + 10
while time.time() < end:
    r, _, _ = select.select([fd], [], [], 0.2)
    if r:
        try: d = os.read(fd, 4096)
        except OSError: break
        if not d: break
        out += d
p, st = os.waitpid(pid, 0)
assert b'marked' in out, out
P
	eq "$(state "$C")" running
}
# A client that hears of the end has all the output: it has taken it from its socket, or has not for a tenth of a second.
# One that reads nothing holds the end up for two seconds, not for ever.
t_output_before_end() {
	python3 - "$SOCK" <<'P' || fail "output"
import http.client, json, select, socket, sys, time
class Conn(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(30); self.sock.connect(sys.argv[1])
def call(method, path, body=None):
    c = Conn('d'); c.request(method, path, body and json.dumps(body), {'Content-Type': 'application/json'})
    r = c.getresponse(); data = r.read(); assert r.status < 300, (path, r.status, data)
    return json.loads(data) if data else None
def run(cmd, tty):
    id = call('POST', '/containers/create', {'Image': 'busybox', 'Cmd': ['sh', '-c', cmd], 'Tty': tty})['Id']
    s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1])
    s.sendall(b'POST /containers/%s/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n' % id.encode())
    assert s.recv(1, socket.MSG_PEEK), 'no answer'
    call('POST', '/containers/%s/start' % id); at = time.monotonic()
    assert call('POST', '/containers/%s/wait' % id)['StatusCode'] == 5
    took = time.monotonic() - at; s.setblocking(False); got = b''
    try:
        while d := s.recv(65536): got += d
    except BlockingIOError: pass
    s.close(); call('DELETE', '/containers/' + id)
    return got, took
def late(): # a client that reads wait's answer first, where both are there
    id = call('POST', '/containers/create', {'Image': 'busybox', 'Cmd': ['sh', '-c', 'echo out; exit 5']})['Id']
    s, w = socket.socket(socket.AF_UNIX), Conn('d'); s.settimeout(30); s.connect(sys.argv[1])
    s.sendall(b'POST /containers/%s/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n' % id.encode())
    head = b''
    while not head.endswith(b'\r\n\r\n'): head += s.recv(1)
    w.request('POST', '/containers/%s/wait?condition=next-exit' % id); r = w.getresponse(); call('POST', '/containers/%s/start' % id)
    select.select([s], [], [], 30); at = time.monotonic(); early = select.select([w.sock], [], [], 0.04)[0] and time.monotonic() - at < 0.09
    assert s.recv(65536).endswith(b'out\n') and not early, 'the end came before its output was taken'
    assert json.loads(r.read())['StatusCode'] == 5; s.close(); call('DELETE', '/containers/' + id)
for n in range(3): late()
for n in range(8):
    got, _ = run('echo first; echo second >&2; echo last; exit 5', n % 2 == 0)
    for w in (b'first', b'second', b'last'): assert w in got, (n, got)
got, took = run('yes | head -c 1000000; exit 5', False)
assert 2 <= took < 15, took
P
}
t_events() {
	local s; s=$(date +%s.%N); out D run --name "$C" busybox true; out D rm "$C"
	OUT=$(D events --since "$s" --until "$(date +%s.%N)" --filter "container=$C" --filter type=container --format '{{.Action}}' | tr '\n' ' '); eq "$OUT" "create attach start die destroy "
	out D run -d --name "$C" busybox sleep 300; s=$(date +%s.%N); out D stop -t 0 "$C"; OUT=$(D events --since "$s" --until "$(date +%s.%N)" --filter "container=$C" --filter type=container --format '{{.Action}}' | tr '\n' ' '); has "$OUT" "kill "; has "$OUT" "die stop"
}
t_ps_filters() {
	out D run -d --name "$C" --label "$C=x" busybox sleep 300; rc 9 D run --name "${C}b" busybox sh -c 'exit 9'
	eq "$(D ps --format '{{.Names}}' --filter "label=$C")" "$C"; eq "$(D ps -a --format '{{.Names}}' --filter "name=$C" --filter exited=9)" "${C}b"
	eq "$(D ps -a --format '{{.Names}}' --filter "name=$C" --filter status=exited)" "${C}b"; eq "$(D ps -a --format '{{.Names}}' --filter "since=$C" --filter "name=$C")" "${C}b"
	like "$(D ps --filter "name=$C" --format '{{.Status}}')" '^Up '; like "$(D ps -a --filter "name=${C}b" --format '{{.Status}}')" '^Exited \(9\)'
	rc 1 D ps --filter nosuch=1; has "$ERR" "invalid filter"
}
t_top_stats() {
	out D run -d --name "$C" busybox sleep 298; out D top "$C"; has "$OUT" "sleep 298"; out D top "$C" -o pid,comm; has "$OUT" sleep
	out D stats --no-stream --format '{{.Name}} {{.PIDs}}' "$C"; eq "$OUT" "$C 1"
}
t_rm() {
	out D run -d --name "$C" busybox sleep 300; rc 1 D rm "$C"; like "$ERR" "cannot remove.*running"; out D rm -f "$C"; rc 1 D inspect "$C"
	out D run --name "$C" busybox true; out D container prune -f --filter "label=none"; out D inspect "$C"; out D rm "$C"
}
t_prune() { out D run --name "$C" --label "p=$C" busybox true; for d in 2010-01-01 2010-01-01T10:00 24h 1262304000; do out D container prune -f --filter "until=$d"; out D inspect "$C"; done; rc 1 D container prune -f --filter until=x; has "$ERR" "failed to parse value as time or duration"; out D container prune -f --filter "label=p=$C"; has "$OUT" "Total reclaimed"; rc 1 D inspect "$C"; }
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
