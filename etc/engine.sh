#!/bin/bash
# engine.sh start|stop|demo - what `make run` and `make stop` do.
#
#	BIN=DIR		where the programs are
#	ROOT=DIR	everything of this engine below DIR, its API socket is DIR/docker.sock
#	CONF=FILE	another sdc-docker.conf
set -eu
BIN=${BIN:?} ROOT=${ROOT:-} CONF=${CONF:-}
if [ -n "$ROOT" ]; then
	mkdir -p "$ROOT"; ROOT=$(cd "$ROOT" && pwd)
	run=$ROOT/run sock=$ROOT/docker.sock
else
	run=/run/sdc-docker sock=/run/sdc-docker/docker.sock
fi
pidfile=$run/apiserver.pid
log=${LOG:-$run/apiserver.log}

alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null && grep -qa apiserver "/proc/$(cat "$pidfile")/cmdline"; }
ping_ok() { curl -s -m 2 --unix-socket "$sock" http://d/_ping >/dev/null 2>&1; }

start() {
	if alive; then echo "the engine runs already (pid $(cat "$pidfile"))"; return; fi
	mkdir -p "$run"
	set -- "$BIN/apiserver"
	[ -n "$ROOT" ] && set -- "$@" --root "$ROOT"
	[ -n "$CONF" ] && set -- "$@" --conf "$CONF"
	setsid "$@" >>"$log" 2>&1 </dev/null &
	for _ in $(seq 100); do
		if ping_ok && alive; then return; fi
		sleep 0.1
	done
	echo "the engine did not come up; its log says:" >&2; tail -20 "$log" >&2
	exit 1
}

stop() {
	if ! alive; then
		# a killed apiserver leaves its zones and the log service: a new one can end them
		if [ ! -e "$run/logsvc.lock" ] || flock -n "$run/logsvc.lock" true; then
			echo "no engine runs here"; return
		fi
		start
	fi
	p=$(cat "$pidfile")
	# containers first: stopping the daemons alone leaves them running
	export DOCKER_HOST=unix://$sock
	ids=$(docker ps -q 2>/dev/null || true)
	# shellcheck disable=SC2086 # a list of ids
	[ -n "$ids" ] && docker stop -t 3 $ids >/dev/null
	kill -TERM "$p" # with no container left, the log service, bridge and firewall table go too
	for _ in $(seq 100); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
	if kill -0 "$p" 2>/dev/null; then echo "pid $p does not end" >&2; exit 1; fi
	# what was not delivered waits in the logs: the network of its loggers has gone
	pkill -TERM -f "^logger .*--run $run " || true
	echo "stopped"
}

demo() {
	export DOCKER_HOST=unix://$sock
	if ! docker image inspect busybox >/dev/null 2>&1; then
		tmp=$(mktemp -d)
		mkdir -p "$tmp"/{bin,etc,tmp,root,var/log}
		chmod 1777 "$tmp/tmp"
		bb=$(command -v busybox); cp "$bb" "$tmp/bin/busybox"
		for a in $("$bb" --list); do [ "$a" = busybox ] || ln -s busybox "$tmp/bin/$a"; done
		printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$tmp/etc/passwd"
		printf 'root:x:0:\nnogroup:x:65534:\n' >"$tmp/etc/group"
		echo "+ docker import busybox.tar busybox   (from Debian's busybox-static, no network)"
		tar -C "$tmp" --owner=0 --group=0 -c . | docker import -c 'CMD ["sh"]' \
			-c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - busybox
		rm -rf "$tmp"
	fi
	docker rm -f hello >/dev/null 2>&1 || true
	echo "+ docker run --name hello busybox echo hello from a zone"
	docker run --name hello busybox echo hello from a zone
	echo "+ docker logs -t hello"
	docker logs -t hello
	cat <<EOF

The engine runs. Point docker at it:
    export DOCKER_HOST=unix://$sock
Its own diagnostics are in $log. Stop it (and its containers) with:
    make stop${ROOT:+ ROOT=$ROOT}
EOF
}

case ${1:-} in
start) start ;;
stop) stop ;;
demo) start; demo ;;
*) echo "usage: engine.sh start|stop|demo" >&2; exit 2 ;;
esac
