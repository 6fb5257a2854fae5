#!/bin/bash
# Daemons that die: kill -9 of apiserver, logsvc and zoneadmd, a reboot. Containers run on, nothing is lost, the truth is told.
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox python3
engine_start; busybox_image
state() { i "$1" '{{.State.Status}}'; }
is() { [ "$(state "$1")" = "$2" ]; }
exactly() { # exactly CONTAINER N: lines 1..N, each once, in order
	[ "$(docker logs "$1" 2>&1 | md5sum)" = "$(seq 1 "$2" | md5sum)" ]
}
restarted() { [ "$(i "$1" '{{.RestartCount}}')" -ge 1 ]; }
no_such() { ! docker inspect "$1"; }
no_more_than() { [ "$(pids_of zoneadmd | wc -l)" -le "$1" ]; }
logsvc_is_up() { [ -n "$(pids_of logsvc)" ]; }
last_line() { docker logs --tail 1 "$1"; }
beyond() { [ "$(last_line "$1")" -gt "$2" ]; }
t_apiserver_killed() {
	out D run -d --name "$C" -p 127.0.0.1:8090:80 busybox sh -c 'httpd -p 80 -h /etc; k=0; while [ $k -lt 200 ]; do k=$((k+1)); echo $k; sleep 0.02; done; sleep 300'
	out D run -d --name "${C}b" busybox sh -c 'sleep 1; exit 17'; out D run -d --rm --name "${C}r" busybox sleep 1; out D run -d --name "${C}c" --restart always busybox sh -c 'sleep 0.7; exit 1'
	local pid; pid=$(i "$C" '{{.State.Pid}}'); engine_kill; kill -0 "$pid" || fail "the container died"; UNTIL=20 until_ok no_more_than 2 || fail "they do not end without apiserver"; engine_start
	eq "$(state "$C") $(i "$C" '{{.State.Pid}}')" "running $pid"; until_ok is "${C}b" exited || fail "$(state "${C}b")"; eq "$(i "${C}b" '{{.State.ExitCode}}')" 17
	until_ok restarted "${C}c" || fail "the policy did not act"; until_ok no_such "${C}r" || fail "not removed"
	UNTIL=20 until_ok exactly "$C" 200 || fail "lines: $(docker logs "$C" | wc -l)"; until_ok curl -sf -m 2 http://127.0.0.1:8090/hostname || fail "port"
	out D exec "$C" true; out D stop -t 0 "$C"; eq "$(state "$C")" exited; out D start "$C"; eq "$(state "$C")" running
}
t_logsvc_killed_at_full_speed() {
	out D run -d --name "$C" --log-opt max-size=5m --log-opt max-file=1000 busybox seq 1 3000000
	local n; for n in 1 2 3 4 5 6 7 8; do until_ok logsvc_is_up || fail "logsvc is not back after kill $((n - 1))"; kill -9 $(pids_of logsvc); sleep "0.$((RANDOM % 20))"; done
	UNTIL=60 until_ok is "$C" exited || fail "$(state "$C")"; eq "$(i "$C" '{{.State.ExitCode}}')" 0
	until_ok exactly "$C" 3000000 || fail "lines: $(docker logs "$C" | wc -l)"
}
t_logsvc_killed_is_back() {
	out D run -d --name "$C" busybox sh -c 'k=0; while :; do k=$((k+1)); echo $k; sleep 0.01; done'; until_ok beyond "$C" 10
	local a; a=$(last_line "$C"); kill -9 "$(pids_of logsvc | head -1)"; UNTIL=5 until_ok beyond "$C" $((a + 10)) || fail "no capture"
	docker logs "$C" >"$T/l"; eq "$(md5sum <"$T/l")" "$(seq 1 "$(wc -l <"$T/l")" | md5sum)"
}
locked() { ! flock -n "$ROOT/run/logsvc.lock" true; }
t_logsvc_of_before_goes_late() { # a new engine's own ends at once then, and is started again
	out D run -d --name "$C" busybox sh -c 'n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo $n; usleep 1000; done'
	engine_kill; pids_of logsvc | xargs -r kill -9; until_ok flock -n "$ROOT/run/logsvc.lock" true
	flock "$ROOT/run/logsvc.lock" sleep 2 & local p=$!; until_ok locked
	engine_start; wait $p; out D wait "$C"; exactly "$C" 3000
}
# busybox cat splices from a socket into its output: that pipe is locked for as long as the socket is silent
t_logsvc_ends_while_a_pipe_is_held() { # and the next one starts, whoever reads the pipe meanwhile
	out D run -d --name "$C" --network none busybox sh -c 'nc -ll -p 601 -e sh -c "cat >&2"'
	out D run -d --name "${C}b" busybox sh -c 'k=0; while :; do k=$((k+1)); echo $k; sleep 0.01; done'
	local k=1 p sig; mkfifo "$T/f"; docker exec -i "$C" nc 127.0.0.1 601 <"$T/f" >/dev/null 2>&1 & exec 9>"$T/f"
	echo "held 1" >&9; until_ok held_line 1 || fail "nothing is spliced"
	for sig in KILL TERM reader KILL TERM; do
		p=$(pgrep -f "logsvc --root $ROOT"); echo "held $((++k))" >&9
		if [ "$sig" = reader ]; then pkill -KILL -P "$p" -f "logsvc --read-pipe" || fail "no reader"; else kill "-$sig" "$p"; UNTIL=3 until_ok replaced "$p" || fail "after SIG$sig"; fi
		echo "held $((++k))" >&9; until_ok held_line "$k" || fail "SIG$sig: $(docker logs "$C" 2>&1 | tail -3)"
	done
	exec 9>&-; out D stop -t 0 "$C" "${C}b"; eq "$(docker logs "$C" 2>&1)" "$(seq -f 'held %g' "$k")"
	docker logs "${C}b" >"$T/l"; [ "$(wc -l <"$T/l")" -gt 100 ] || fail "few lines"; eq "$(md5sum <"$T/l")" "$(seq 1 "$(wc -l <"$T/l")" | md5sum)"
}
held_line() { docker logs --tail 3 "$C" 2>&1 | grep -qx "held $1"; }
replaced() { [ ! -e "/proc/$1" ] && timeout 3 docker logs --tail 1 "${C}b" >"$T/r" 2>&1; }
t_zoneadmd_killed() {
	out D run -d --name "$C" busybox sh -c 'echo up; sleep 300'; local pid; pid=$(i "$C" '{{.State.Pid}}'); until_ok sh -c "docker logs $C | grep -q up" || fail "no log"
	kill -9 "$(pids_of zoneadmd | head -1)"; until_ok is "$C" exited || fail "$(state "$C")"; until_ok gone "$pid" || fail "its process is left"
	eq "$(i "$C" '{{.State.ExitCode}}')" 137; ne "$(i "$C" '{{.State.Error}}')" ""; eq "$(D logs "$C")" up; out D start "$C"; eq "$(state "$C")" running
}
t_both_daemons_killed_while_containers_come_and_go() {
	local k; for k in 1 2 3; do
		out D run -d --name "$C$k" busybox seq 1 200000; kill -9 $(pids_of logsvc) 2>/dev/null; engine_kill; engine_start
		UNTIL=30 until_ok is "$C$k" exited || fail "$(state "$C$k")"; until_ok exactly "$C$k" 200000 || fail "$k: $(docker logs "$C$k" | wc -l)"; out D rm "$C$k"
	done
}
t_reboot() { # all processes and mounts gone, /run empty, state kept
	out D run -d --name "$C" --restart always busybox sleep 300; out D run -d --name "${C}b" --restart unless-stopped busybox sleep 300; out D run -d --name "${C}c" busybox sleep 300
	out D run -d --name "${C}d" --restart unless-stopped busybox sleep 300; out D stop -t 0 "${C}d"
	engine_kill; local p; for p in $(pids_of zoneadmd) $(pids_of logsvc); do kill -9 "$p"; done
	for p in $(grep -lF "/sdc" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3); do grep -q "$(basename "$ROOT")" "/proc/$p/mountinfo" 2>/dev/null && kill -9 "$p" 2>/dev/null; done
	rm -rf "$ROOT/run"; engine_start
	until_ok is "$C" running || fail "always: $(state "$C")"; until_ok is "${C}b" running || fail "unless-stopped: $(state "${C}b")"; eq "$(state "${C}c")" exited; eq "$(state "${C}d")" exited
	docker rm -f "${C}d" >/dev/null
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
