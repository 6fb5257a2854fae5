#!/bin/bash
# setup.test.sh - settings reach both daemons; the API socket may be inherited (LISTEN_FDS).
. "$(dirname "$0")/lib.sh"
need docker busybox curl python3
engine_root
printf 'DEFAULT_MAX_LOG_SIZE = 5000\nDEFAULT_MAX_LOG_FILES = 0\n' >"$ROOT.t/conf"
cd "$ROOT.t" || exit 1
engine_start --conf conf; busybox_image

t_conf_reaches_logsvc() {
	out D run --name "$C" busybox seq 1 300
	set -- "$(log_of "$C")".*Z
	[ $# -ge 4 ] || fail "rotated files: $#"
	out D logs "$C"; eq "$OUT" "$(seq 1 300)"
}
check "a configuration file beside --root reaches logsvc, by a relative name too" t_conf_reaches_logsvc

t_inherited_socket() {
	engine_term
	cat >"$T/act.py" <<-'PY'
	import os, socket, sys
	path, argv = sys.argv[1], sys.argv[2:]
	s = socket.socket(socket.AF_UNIX)
	if os.path.exists(path): os.unlink(path)
	s.bind(path); s.listen(128)
	os.dup2(s.fileno(), 30); os.dup2(30, 3, inheritable=True)
	os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
	os.execv(argv[0], argv)
	PY
	setsid python3 "$T/act.py" "$SOCK" "$BIN/apiserver" --root "$ROOT" --conf "$ROOT.t/conf" >>"$ROOT.t/apiserver.log" 2>&1 </dev/null &
	echo $! >"$ROOT.t/apiserver.pid"
	UNTIL=20 until_ok curl -sf -m 2 --unix-socket "$SOCK" http://d/_ping || fail "no answer"
	out D run --name "$C" busybox echo by an inherited socket
	out D logs "$C"; eq "$OUT" "by an inherited socket"
}
check "an inherited API socket is served" t_inherited_socket
