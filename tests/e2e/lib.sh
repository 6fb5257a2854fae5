# shellcheck shell=bash
# lib.sh - what every end-to-end test begins with:
#
#	. "$(dirname "$0")/lib.sh"
#	engine_start
#	t "what a user sees" ...
#
# A test file runs in a network namespace of its own, with an engine of its own below a temporary root, from the
# build named by VARIANT (default asan). check NAME COMMAND... runs one case in a subshell; at the end of the file the
# engine is stopped and everything that it may have left behind is looked for. Exit status 0, 1, or 77 (skip).
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VARIANT=${VARIANT:-asan}
BIN=$top/build/$VARIANT/bin
if [ -z "${SDC_E2E_NETNS:-}" ]; then
	export SDC_E2E_NETNS=1
	exec unshare --net bash "$0" "$@"
fi
ip link set lo up
export LC_ALL=C DOCKER_CLI_HINTS=false DOCKER_BUILDKIT=0
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=1:handle_abort=1} UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

n_ok=0 n_bad=0
ROOT= APISERVER_PID=

skip_all() { echo "$*"; exit 77; }
need() { for c; do command -v "$c" >/dev/null || skip_all "no $c here"; done; }

# ---- assertions, inside a case: they end it ------------------------------------------------------
fail() { echo "    $*" >&2; exit 1; }
eq() { [ "$1" = "$2" ] || fail "${3:-value}: want '${2:0:300}', got '${1:0:300}'"; }
ne() { [ "$1" != "$2" ] || fail "${3:-value}: is '${1:0:300}'"; }
has() { case $1 in *"$2"*) ;; *) fail "${3:-output}: no '$2' in '${1:0:500}'" ;; esac; }
hasnt() { case $1 in *"$2"*) fail "${3:-output}: '$2' in '${1:0:500}'" ;; esac; }
like() { [[ $1 =~ $2 ]] || fail "${3:-output}: '${1:0:500}' is not like $2"; }
rc() { # rc WANT COMMAND...: sets OUT and ERR
	local want=$1 got; shift
	OUT=$("$@" 2>"$T/err"); got=$?; ERR=$(cat "$T/err")
	[ "$got" = "$want" ] || fail "status of '$*': want $want, got $got (${OUT:0:300} ${ERR:0:400})"
}
out() { rc 0 "$@"; }
until_ok() { # until_ok COMMAND...: waits up to UNTIL (default 10) seconds
	local end=$((SECONDS + ${UNTIL:-10}))
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -le $end ] || return 1
		sleep 0.05
	done
}
api() { # api METHOD PATH [curl arguments]: body on stdout, status in $T/status
	local m=$1 p=$2; shift 2
	: >"$T/body"
	curl -s -m 30 --unix-socket "$SOCK" -o "$T/body" -w '%{http_code}' -X "$m" "http://d$p" "$@" >"$T/status"
	cat "$T/body"
}
status() { cat "$T/status"; }
D() { docker "$@"; }
i() { docker inspect -f "$2" "$1"; }
uuid_of() { i "$1" '{{.Id}}' | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'; }
log_of() { echo "$ROOT/zones/$(uuid_of "$1")/logs/stdio.log"; }

# ---- cases ----------------------------------------------------------------------------------------
check() { # check NAME FUNCTION...
	local name=$1; shift
	T=$(mktemp -d "$ROOT.t/XXXXXX"); C=c$RANDOM$RANDOM
	if [ -n "${ONLY:-}" ] && ! [[ $name =~ $ONLY ]]; then return; fi
	( set +e; "$@" ); local r=$?
	if [ $r -eq 0 ]; then n_ok=$((n_ok + 1)); echo "ok - $name"
	else n_bad=$((n_bad + 1)); echo "not ok - $name"; fi
	docker rm -fv "$C" "${C}b" "${C}c" >/dev/null 2>&1
	return 0 # a failed case is counted; what a case left is looked for at the end
}

# ---- the engine ------------------------------------------------------------------------------------
engine_root() { # makes ROOT
	[ -n "$ROOT" ] && return
	ROOT=$(mktemp -d /tmp/sdcXXXXXX); mkdir -p "$ROOT.t"; chmod 755 "$ROOT"
	SOCK=$ROOT/docker.sock
	export DOCKER_HOST=unix://$SOCK DOCKER_CONFIG=$ROOT.t/docker
	mkdir -p "$DOCKER_CONFIG"; echo '{}' >"$DOCKER_CONFIG/config.json"
	T=$ROOT.t
	trap engine_end EXIT
}
engine_start() { # engine_start [apiserver arguments]: also after engine_kill
	engine_root
	setsid "$BIN/apiserver" --root "$ROOT" "$@" >>"$ROOT.t/apiserver.log" 2>&1 </dev/null &
	APISERVER_PID=$!
	echo "$APISERVER_PID" >"$ROOT.t/apiserver.pid" # a case, being a subshell, may start it anew
	disown "$APISERVER_PID"
	UNTIL=45 until_ok curl -sf -m 2 --unix-socket "$SOCK" http://d/_ping || {
		echo "the engine did not start:"; tail -30 "$ROOT.t/apiserver.log"; exit 1; }
}
# A pid that was noted may be another process's by now: of this test's are those whose environment has its root.
end_ours() { # end_ours SIGNAL PID...
	local sig=$1 p; shift
	for p; do grep -qsaF "$ROOT" "/proc/$p/environ" && kill "-$sig" "$p" 2>/dev/null; done
	return 0
}
engine_pid() { APISERVER_PID=$(cat "$ROOT.t/apiserver.pid"); }
engine_kill() { engine_pid; end_ours KILL "$APISERVER_PID"; until_ok gone "$APISERVER_PID"; }
engine_term() { engine_pid; end_ours TERM "$APISERVER_PID"; UNTIL=20 until_ok gone "$APISERVER_PID" || echo "apiserver does not end"; }
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
# pids of this engine's programs of a name
pids_of() {
	local p
	for p in /proc/[0-9]*; do
		[[ "$(tr '\0' ' ' <"$p/cmdline")" =~ (^|/)$1\ .*$ROOT ]] && echo "${p#/proc/}"
	done 2>/dev/null
}
busybox_image() { # imports an image named busybox from Debian's busybox-static
	local d=$ROOT.t/bb a bb
	bb=$(command -v busybox) || skip_all "no busybox here"
	mkdir -p "$d"/{bin,etc,tmp,root,home,var/log,usr/bin}; chmod 1777 "$d/tmp"; chmod 700 "$d/root"
	cp "$bb" "$d/bin/busybox"
	for a in $("$bb" --list); do [ "$a" = busybox ] || ln -sf busybox "$d/bin/$a"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$d/etc/passwd"
	printf 'root:x:0:\nwheel:x:10:root\nusers:x:100:\nnobody:x:65534:\n' >"$d/etc/group"
	tar -C "$d" --owner=0 --group=0 -cf "$ROOT.t/bb.tar" .
	docker import -c 'CMD ["sh"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		"$ROOT.t/bb.tar" busybox >/dev/null || { echo "import failed"; tail -20 "$ROOT.t/apiserver.log"; exit 1; }
	rm -rf "$d"
}

# What must not be left when the engine has been stopped.
leaks() {
	local tag p
	grep -F "$ROOT" /proc/self/mountinfo && echo "leak: mounts"
	for p in /proc/[0-9]*; do
		case $(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) in *"--root $ROOT"* | *"$ROOT/"*) echo "leak: process ${p#/proc/}: $(tr '\0' ' ' <"$p/cmdline")" ;; esac
	done 2>/dev/null | grep -v "bash .*/tests/"
	tag=$(ls -d "$ROOT"/run 2>/dev/null && true)
	find /sys/fs/cgroup -maxdepth 2 -type d -name "sdc*" 2>/dev/null | while read -r g; do
		[ -n "${SDC_TAG:-}" ] && case $g in *"$SDC_TAG"*) echo "leak: cgroup $g" ;; esac
	done
	ip -o link show type bridge | grep sdc && echo "leak: bridge"
	nft list tables 2>/dev/null | grep sdc && echo "leak: nft table"
	: "$tag"
}
engine_end() {
	local r=$? l ids
	trap - EXIT
	ids=$(docker ps -aq --no-trunc 2>/dev/null)
	# shellcheck disable=SC2086
	[ -n "$ids" ] && docker rm -fv $ids >/dev/null 2>&1
	engine_term
	UNTIL=5 until_ok no_daemons
	l=$(leaks)
	if [ -n "$l" ]; then echo "not ok - nothing is left behind"; echo "$l"; n_bad=$((n_bad + 1)); fi
	grep -hE -A 12 'ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion' "$ROOT.t"/*.log && {
		echo "not ok - no sanitizer report"; n_bad=$((n_bad + 1)); }
	if [ $n_bad -gt 0 ] || [ $r -ne 0 ]; then
		echo "--- apiserver.log"; grep -v ' info ' "$ROOT.t/apiserver.log" | tail -10; echo ...; tail -15 "$ROOT.t/apiserver.log"
	fi
	for p in $(pids_of apiserver) $(pids_of logsvc) $(pids_of zoneadmd); do kill -9 "$p" 2>/dev/null; done
	[ -n "${KEEP:-}" ] || rm -rf "$ROOT" "$ROOT.t"
	echo "$n_ok ok, $n_bad not ok"
	[ $r -eq 0 ] && [ $n_bad -eq 0 ] && exit 0
	[ $r -eq 77 ] && exit 77
	exit 1
}
no_daemons() { [ -z "$(pids_of logsvc)$(pids_of zoneadmd)$(pids_of logger)" ]; }
