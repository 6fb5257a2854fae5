#!/bin/bash
# Sinks, loggers, logsvc and apiserver are killed while containers log: every line arrives, in order. FORWARD_SECONDS and
# SEED choose how long and what; TORTURE=1 is long.
. "$(dirname "$0")/../e2e/lib.sh"
need docker curl busybox python3 node
export NODE_PATH=$top/build/npm/node_modules
if ! [ -d "$NODE_PATH/@opentelemetry/otlp-transformer" ]; then
	[ -z "${STRICT:-}" ] || { echo "no @opentelemetry/otlp-transformer here"; exit 1; }
	skip_all "no @opentelemetry/otlp-transformer here"
fi
engine_start; busybox_image
t_forward() {
	local seconds=${FORWARD_SECONDS:-${TORTURE:+1200}} seed=${SEED:-$RANDOM}
	timeout $((${seconds:-20} * 5 + 480)) python3 "$top/tests/fault/forward.py" "$ROOT" "$BIN" "$T" "${seconds:-20}" "$seed" >"$T/o" 2>&1 ||
		{ cat "$T/o"; fail "SEED=$seed"; }
	grep '^{' "$T/o"
}
check "forwarding under kills" t_forward
