#!/bin/bash
# shellcheck source=tests/e2e/lib.sh
# held.test.sh - programs that lock their standard streams' pipes in the kernel (hold.c): nobody else waits for them, and
# not a byte is lost.
. "$(dirname "$0")/lib.sh"
need docker busybox gcc curl
engine_root
gcc -static -O1 -o "$ROOT.t/hold" "$top/tests/e2e/hold.c" || skip_all "no static libc here"
engine_start
busybox_image

# pids, as the host has them, of the container's programs that are in splice(2)
holders() {
	local p
	for p in $(timeout 5 docker top "$C" -o pid,args | awk '$2 == "/hold" {print $1}'); do
		[ "$(cut -d' ' -f1 "/proc/$p/syscall" 2>/dev/null)" = 275 ] && echo "$p"
	done
}
holds() { [ -n "$(holders)" ]; }
no_holder() { ! docker top "$C" -o pid,args | grep -q /hold; }
run() { docker run --name "$C" -v "$ROOT.t/hold:/hold:ro" -v "$T/go:/go:ro" "$@"; }
box() { out run -d "$@" busybox sh -c 'echo begun; sleep 1000'; }
go() { touch "$T/go/go"; }
releasing() { mkdir "$T/go"; trap go EXIT; "$@"; } # also when the case fails: nothing may stay held
at_once() { # at_once COMMAND...: answered as if nothing were wrong
	local a=$SECONDS
	OUT=$(timeout 8 "$@" 2>"$T/err") || fail "$*: $(cat "$T/err")"
	[ $((SECONDS - a)) -le 4 ] || fail "'$*' waits for $((SECONDS - a)) s"
}
all_answer() {
	at_once docker ps -q; at_once docker logs "$C"; has "$OUT" begun
	at_once docker exec "$C" echo another; eq "$OUT" another
	at_once docker exec -i "$C" cat </dev/null
	at_once docker run --rm busybox echo other; eq "$OUT" other
}

t_out() {
	box; docker exec "$C" /hold out /go/go >"$T/o" 2>"$T/e" & local client=$!
	until_ok holds || fail "nothing is held"
	all_answer
	go; wait $client || fail "exec: $?"; eq "$(cat "$T/o")" $'held\nend'; eq "$(cat "$T/e")" ""
}
t_err_beside_out() { # the other stream goes on
	box; docker exec "$C" sh -c '/hold err /go/go & until [ -e /more ]; do sleep 0.05; done; echo more; wait' >"$T/o" 2>"$T/e" & local client=$!
	until_ok holds || fail "nothing is held"
	all_answer; at_once docker exec "$C" touch /more
	until_ok grep -q more "$T/o" || fail "its output waits for its errors"
	go; wait $client || fail "exec: $?"; eq "$(cat "$T/o")" more; eq "$(cat "$T/e")" $'held\nend'
}
t_in() {
	box; head -c 1000000 /dev/zero | docker exec -i "$C" /hold in /go/go >"$T/o" & local client=$!
	until_ok holds || fail "nothing is held"
	all_answer
	go; wait $client || fail "exec: $?"; eq "$(cat "$T/o")" 1000000
}
t_in_of_the_container() { # its end of input comes while it holds: zoneadmd closes, too
	head -c 1000000 /dev/zero | run -i busybox sh -c 'echo begun; exec /hold in /go/go' >"$T/o" & local client=$!
	until_ok holds || fail "nothing is held"
	all_answer; go; wait $client || fail "run: $?"; eq "$(cat "$T/o")" $'begun\n1000000'
}
t_end_of_input_while_held() {
	{ head -c 9000 /dev/zero; until_ok holds; } | run -i busybox sh -c 'echo begun; exec /hold in /go/go' >"$T/o" & local client=$!
	until_ok holds || fail "nothing is held"
	all_answer; go; wait $client || fail "run: $?"; eq "$(cat "$T/o")" $'begun\n9000'
}
# its PID 1 waits in the kernel for what another of its programs holds, and so does not die of SIGKILL alone
t_first_program_waits() {
	run -d busybox sh -c 'echo begun; /hold out /go/go & /hold err /go/go & while :; do echo waits; sleep 0.05; done' >/dev/null
	until_ok first_waits || fail "it does not wait"
	at_once docker stop -t 1 "$C"; eq "$(i "$C" '{{.State.Status}} {{.State.ExitCode}}')" "exited 137"
	at_once docker logs "$C"; has "$OUT" held
}
first_waits() { grep -q '^State:.D' "/proc/$(i "$C" '{{.State.Pid}}')/status" && holds; }
held_all() { # three execs, each with another stream held
	box; docker exec "$C" /hold out /go/go >"$T/o" 2>&1 & docker exec "$C" /hold err /go/go >"$T/e" 2>&1 &
	head -c 1000000 /dev/zero | docker exec -i "$C" /hold in /go/go >"$T/i" 2>&1 &
	until_ok three_hold || fail "only these hold: $(holders)"
}
three_hold() { [ "$(holders | wc -l)" -eq 3 ]; }
t_stop() { held_all; at_once docker stop -t 1 "$C"; at_once docker ps -q; wait; eq "$(cat "$T/o")" held; eq "$(cat "$T/e")" held; }
t_kill() { held_all; at_once docker kill "$C"; at_once docker start "$C"; at_once docker exec "$C" echo again; eq "$OUT" again; wait; }
t_remove() {
	held_all; local pids p; pids=$(holders); at_once docker rm -f "$C"; wait
	for p in $pids; do until_ok gone "$p" || fail "$p is left"; done
}
t_client_gone() {
	box; docker exec "$C" /hold out /go/go >"$T/o" 2>&1 & local client=$!
	until_ok holds || fail "nothing is held"
	kill -9 $client; all_answer; go; until_ok no_holder || fail "it does not end"
}
t_program_ends_child_holds() { # as Docker: two seconds after the program, its output ends
	box; at_once docker exec "$C" sh -c '/hold out /go/go & until [ -e /proc/$!/syscall ] && grep -q ^275 /proc/$!/syscall; do sleep 0.05; done; echo over >&2'
	all_answer; go; until_ok no_holder || fail "it does not end"
}
t_apiserver_killed() {
	held_all
	engine_kill; engine_start
	all_answer; holds || fail "nothing is held any more"
	docker exec "$C" /hold out /go/go >"$T/again" & local client=$!
	until_ok eval '[ "$(holders | wc -l)" -ge 2 ]' || fail "not held again"
	all_answer; go; wait $client || fail "exec: $?"; eq "$(cat "$T/again")" $'held\nend'
	at_once docker rm -f "$C"
}
relay() { pgrep -P "$APISERVER_PID" -f -- --relay-stdio; }
t_relay_killed() { # who waits for an exec still learns how it ends, and that there is no more output
	box; engine_pid
	docker exec "$C" sh -c 'trap "" PIPE; echo first; until [ -e /go/go ]; do sleep 0.05; done; echo second; exit 7' >"$T/o" 2>"$T/e" & local client=$!
	docker exec -t "$C" sh -c 'echo first; until [ -e /go/go ]; do sleep 0.05; done; echo second; exit 8' >"$T/t" & local tty=$!
	until_ok grep -q first "$T/o" && until_ok grep -q first "$T/t" || fail "they do not begin"
	kill -9 "$(relay)"; until_ok grep -q 'output is lost' "$T/e" || fail "not told: $(cat "$T/e")"
	all_answer; kill -0 $client || fail "the client ends before the program"
	go; wait $client; eq $? 7 status; eq "$(cat "$T/o")" first; wait $tty; eq $? 8 status; eq "$(tr -d '\r' <"$T/t")" $'first\nsecond'
}
t_health_check() {
	box --health-cmd '/hold out /go/go' --health-interval 1s --health-timeout 1s --health-retries 1
	UNTIL=20 until_ok eval '[ "$(docker inspect -f "{{.State.Health.Status}}" "$C")" = unhealthy ]' || fail "$(i "$C" '{{json .State.Health}}')"
	has "$(i "$C" '{{json .State.Health}}')" held; all_answer
}
t_slow_client() { # what a program leaves when it ends is there for a client who takes his time
	box; eq "$(docker exec "$C" seq 1 70000 | { sleep 5; md5sum; })" "$(seq 1 70000 | md5sum)"
}
t_whole() { # much, both ways, at once
	box; head -c 40000000 /dev/urandom >"$T/in"; local n
	for n in 1 2 3; do docker exec -i "$C" sh -c 'tee /dev/stderr' <"$T/in" >"$T/o$n" 2>"$T/e$n" & done; wait
	for n in o1 o2 o3 e1 e2 e3; do cmp "$T/in" "$T/$n" || fail "$n"; done
}
t_reopened() { box; eq "$(docker exec "$C" sh -c 'echo a >/dev/stdout; echo b >/proc/self/fd/1')" $'a\nb'; }
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" releasing "$f"; done
