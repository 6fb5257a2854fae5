# shellcheck shell=bash
# registries.sh - what the tests of registries share: Debian's docker-registry and the servers of our own, ended with the
# engine. To be sourced after lib.sh.
pids=
# Debian's Python: it has the cryptography of the test dependencies
PY=/usr/bin/python3

serve() { # serve ADDR DIR "more of the http: section" "more sections"
	mkdir -p "$ROOT.t/$2"
	printf '%s\n' 'version: 0.1' 'log: {level: error, accesslog: {disabled: true}}' 'storage:' "  filesystem: {rootdirectory: $ROOT.t/$2}" \
		'  delete: {enabled: true}' "${4:-}" 'http:' "  addr: $1" "${3:-}" >"$ROOT.t/$2.yml"
	run_server "$2" docker-registry serve "$ROOT.t/$2.yml"
}
run_server() { # run_server NAME COMMAND...: output in $ROOT.t/NAME.out; sets SERVER
	local name=$1; shift
	setsid "$@" >"$ROOT.t/$name.out" 2>&1 </dev/null &
	SERVER=$!
	pids="$pids $SERVER"
}
await() { # await URL...: until each answers
	local u
	for u; do UNTIL=15 until_ok curl -sk -m 2 -o /dev/null "$u" || { echo "nothing on $u"; cat "$ROOT.t"/*.out; exit 1; }; done
}
stop_all() {
	# shellcheck disable=SC2086
	end_ours TERM $pids
	engine_end
}
certificate() { # certificate NAME SUBJECT [more arguments]: NAME.key and NAME.crt in $ROOT.t, self-signed
	local name=$1 subject=$2; shift 2
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "$subject" "$@" -keyout "$ROOT.t/$name.key" -out "$ROOT.t/$name.crt" 2>/dev/null
}
# everything that a transfer may leave: stages, and layers and images that nothing refers to
tmp_layers() { find "$ROOT/lib/layers/tmp" -mindepth 1 -maxdepth 1 | wc -l; }
no_tmp() { [ "$(tmp_layers)" = 0 ]; }
on_disk() { (cd "$ROOT/lib" && find layers images -mindepth 2 -maxdepth 2 | sort); }
id() { D image inspect -f '{{.Id}}' "$1"; }
digests() { D image inspect -f '{{json .RepoDigests}}' "$1"; }
