#!/bin/bash
# Many clients doing anything to the same few containers: no answer but Docker's, nothing hangs, nothing is left.
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox python3
engine_start; busybox_image
t_storm() {
	timeout 120 python3 "$top/tests/fault/storm.py" "$SOCK" "${STORM_SECONDS:-15}" "${STORM_THREADS:-12}" >"$T/o" 2>&1 || { cat "$T/o"; fail "storm"; }
	head -1 "$T/o"; until_ok no_zones || fail "zoneadmd is left"
	eq "$(find "$ROOT/zones" -mindepth 1 -maxdepth 1 | wc -l)" 0 zones; eq "$(docker network inspect -f '{{len .Containers}}' bridge)" 0 members
}
no_zones() { [ -z "$(pids_of zoneadmd)" ]; }
check storm t_storm
