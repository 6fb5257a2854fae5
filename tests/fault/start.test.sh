#!/bin/bash
# Creates, starts, execs and removals that fail, or die, at every step: the error is told, nothing is left, and the next try works.
# Needs a build with failpoints (asan, tsan, cov, or TESTING=1).
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox
engine_start; busybox_image
state() { i "$1" '{{.State.Status}}'; }
is() { [ "$(state "$1")" = "$2" ]; }
no_zone() { [ -z "$(pids_of zoneadmd)" ]; }
cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "*${1:0:32}*" 2>/dev/null; }
with_failpoints() { engine_term; SDC_FAILPOINTS=$1 engine_start; } # logsvc is the same one

clean() { # clean ID: nothing of a zone is there
	until_ok no_zone || fail "zoneadmd is left: $(pids_of zoneadmd)"
	eq "$(cgroups "$1")" "" cgroups
	eq "$(docker network inspect -f '{{len .Containers}}' bridge)" 0 "members of the bridge"
}
START_STEPS="start.volume start.files zone.spawn start.zone start.network start.attached start.log start.run start.save"
t_start_fails_at_each_step() {
	local p id
	for p in $START_STEPS; do
		out D create --name "$C" -v /vol -p 127.0.0.1:8097:80 busybox sh -c 'echo x; sleep 300'; id=$(i "$C" '{{.Id}}')
		with_failpoints "$p=fail"
		rc 1 D start "$C"; has "$ERR" "$p"; eq "$(state "$C") $(i "$C" '{{.State.ExitCode}}')" "created 128" "$p"; has "$(i "$C" '{{.State.Error}}')" "$p"
		clean "$id"; with_failpoints ""
		out D start "$C"; eq "$(state "$C")" running; out D stop -t 0 "$C"; out D rm -v "$C"; clean "$id"
	done
}
t_apiserver_dies_at_each_step_of_a_start() {
	local p id
	for p in $START_STEPS; do
		out D create --name "$C" -v /vol -p 127.0.0.1:8097:80 busybox sh -c 'echo x; sleep 300'; id=$(i "$C" '{{.Id}}')
		with_failpoints "$p=kill"; D start "$C" >/dev/null 2>&1 && fail "started"
		SDC_FAILPOINTS= engine_start
		if [ "$p" = start.save ]; then eq "$(state "$C")" running "$p" # it runs: that is the truth
		else eq "$(state "$C")" created "$p"; clean "$id"; out D start "$C"; fi
		eq "$(state "$C")" running; out D exec "$C" true; out D stop -t 0 "$C"; out D rm -v "$C"; clean "$id"
	done
}
t_auto_remove_of_a_start_that_failed() {
	with_failpoints start.network=fail; rc 125 D run --rm --name "$C" busybox true; rc 1 D inspect "$C"; with_failpoints ""
}
t_create_fails() {
	local p n
	for p in create.mounts create.record; do
		n=$(find "$ROOT/zones" -mindepth 1 -maxdepth 1 | wc -l); docker volume ls -q >"$T/v"
		with_failpoints "$p=fail"; rc 1 D create --name "$C" -v /vol busybox true; has "$ERR" "$p"
		eq "$(find "$ROOT/zones" -mindepth 1 -maxdepth 1 | wc -l)" "$n" "zones after $p"; eq "$(docker volume ls -q)" "$(cat "$T/v")" volumes
		with_failpoints "$p=kill"; D create --name "$C" busybox true >/dev/null 2>&1; SDC_FAILPOINTS= engine_start
		rc 1 D inspect "$C"; eq "$(find "$ROOT/zones" -mindepth 1 -maxdepth 1 | wc -l)" "$n" "zones after a death at $p"
		out D create --name "$C" busybox true; out D rm "$C"
	done
}
t_removal_fails_or_dies() {
	local p
	for p in remove.tree remove.record; do
		out D run --name "$C" busybox true
		with_failpoints "$p=fail"; rc 1 D rm "$C"; eq "$(state "$C")" dead "$p"; with_failpoints ""; out D rm "$C"; rc 1 D inspect "$C"
		out D run --name "$C" busybox true
		with_failpoints "$p=kill"; D rm "$C" >/dev/null 2>&1; SDC_FAILPOINTS= engine_start; until_ok sh -c "! docker inspect $C" || fail "not removed after a death at $p"
	done
	eq "$(find "$ROOT/zones" -mindepth 1 -maxdepth 1 | wc -l)" 0 zones
}
t_exec_fails() {
	out D run -d --name "$C" busybox sleep 300; with_failpoints exec.run=fail
	OUT=$(D exec "$C" true 2>&1); eq "$?" 126; has "$OUT" exec.run; with_failpoints ""; out D exec "$C" true; eq "$(i "$C" '{{json .ExecIDs}}')" null
}
t_log_service_unavailable() {
	out D create --name "$C" busybox true; with_failpoints logclient.call=fail; rc 1 D start "$C"; rc 1 D logs "$C"; with_failpoints ""; out D start "$C"; out D wait "$C"; eq "$OUT" 0
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
