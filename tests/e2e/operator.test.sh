#!/bin/bash
# Operators: service metadata while the engine runs, by HTTP and by sdc-dockeradm; metrics; the logs of all zones.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
engine_start; busybox_image

admin() { # admin METHOD PATH [curl arguments]: as api
	local m=$1 p=$2; shift 2
	: >"$T/body"
	curl -s -m 30 --unix-socket "$ROOT/run/admin.sock" -o "$T/body" -w '%{http_code}' -X "$m" "http://d$p" "$@" >"$T/status"
	cat "$T/body"
}
service() { admin GET '/services?name=docker' | jq -r '.[0].uuid'; }
put() { admin PUT "/services/$(service)" -d "{\"metadata\":{$1}}" >"$T/put"; eq "$(status)" 200 "$(cat "$T/put")"; }
forget() { admin PUT "/services/$(service)" -d "{\"action\":\"delete\",\"metadata\":{\"$1\":\"\"}}" >"$T/put"; eq "$(status)" 200; }
effective() { admin GET '/services?name=docker' | jq -r ".[0].effective.$1"; }
n_logs() { ls "$(dirname "$(log_of "$1")")" | grep -c '^stdio\.log'; }
n_logs_ge() { [ "$(n_logs "$1")" -ge "$2" ]; }
talker() { out D run -d "$@" busybox sh -c 'k=0; while :; do k=$((k+1)); echo "line $k"; [ $((k % 50)) != 0 ] || usleep 20000; done'; }
in_order() { # what is there of a talker's log has no gap
	D logs "$1" >"$T/l"; python3 - "$T/l" <<'P' || fail "gap"
import sys
v = [int(l.split()[1]) for l in open(sys.argv[1])]
assert v and v == list(range(v[0], v[0] + len(v))), (v[:3], v[-3:])
P
}

t_sapi_form() {
	eq "$(stat -c %a "$ROOT/run/admin.sock")" 600
	admin GET '/services?name=docker' >"$T/s"; eq "$(status)" 200; eq "$(jq -r '.[0].name' "$T/s")" docker; like "$(service)" '^[0-9a-f]{8}-'
	eq "$(admin GET '/services?name=other' | jq -c .)" '[]'
	put '"DEFAULT_MAX_LOG_FILES":7'; eq "$(admin GET "/services/$(service)" | jq -r .metadata.DEFAULT_MAX_LOG_FILES)" 7
	forget DEFAULT_MAX_LOG_FILES; eq "$(admin GET "/services/$(service)" | jq -c .metadata)" '{}'; eq "$(effective DEFAULT_MAX_LOG_FILES)" 5
	admin GET /services/nosuch >/dev/null; eq "$(status)" 404; admin GET /containers/json >/dev/null; eq "$(status)" 404
	api GET /metrics >/dev/null; eq "$(status)" 404 "metrics are the operators'"
}
t_values_are_checked() {
	local v; put '"DEFAULT_MAX_LOG_SIZE":"30k"'
	for v in '"much"' '"10q"' '-1' '"-5m"' 0 '""' '[]' 'null' '{}' '1.5' '"99999999999999999999g"'; do
		admin PUT "/services/$(service)" -d "{\"metadata\":{\"DEFAULT_MAX_LOG_SIZE\":$v}}" >"$T/put"; eq "$(status)" 400 "status for $v"
		has "$(jq -r .message "$T/put")" DEFAULT_MAX_LOG_SIZE "reason for $v"
	done
	for v in DEFAULT_MAX_LOG_FILES:x DEFAULT_MAX_LOG_FILES:-1 ENABLED_LOG_DRIVERS:nope DEFAULT_LOG_DRIVER:nope DEFAULT_LOG_OPTS:nope=1 DEFAULT_LOG_OPTS:max-size ENABLED_LOG_DRIVERS:local NOSUCH:1 log-level:debug; do
		admin PUT "/services/$(service)" -d "{\"metadata\":{\"DEFAULT_MAX_LOG_SIZE\":\"40k\",\"${v%%:*}\":\"${v#*:}\"}}" >"$T/put"; eq "$(status)" 400 "status for $v"
	done
	admin PUT "/services/$(service)" -d '{' >/dev/null; eq "$(status)" 400; admin PUT "/services/$(service)" -d '{"action":"drop","metadata":{}}' >/dev/null; eq "$(status)" 400
	eq "$(effective DEFAULT_MAX_LOG_SIZE)" 30k "the old value"
	put '"DEFAULT_MAX_LOG_SIZE":"10m"'; put '"DEFAULT_MAX_LOG_SIZE":10000000'; put '"DEFAULT_MAX_LOG_SIZE":"10000000"'; forget DEFAULT_MAX_LOG_SIZE
}
t_rotation_at_once() {
	talker --name "$C"; talker --name "${C}b" --log-opt max-size=50m; sleep 1
	eq "$(n_logs "$C")" 1
	put '"DEFAULT_MAX_LOG_SIZE":"20k","DEFAULT_MAX_LOG_FILES":"1000"'
	until_ok n_logs_ge "$C" 4 || fail "not rotated"
	eq "$(n_logs "${C}b")" 1 "the user's own size"; in_order "$C"
	out D logs "$C"; like "$OUT" '^line 1
' # nothing has gone
	put '"DEFAULT_MAX_LOG_FILES":3'; sleep 0.5; eq "$(n_logs "$C")" 3; in_order "$C"
	talker --name "${C}c"; until_ok n_logs_ge "${C}c" 3 || fail "a new one is not rotated"
	forget DEFAULT_MAX_LOG_SIZE; forget DEFAULT_MAX_LOG_FILES
}
t_kill_keeps() {
	put '"DEFAULT_MAX_LOG_SIZE":"20k","DEFAULT_MAX_LOG_FILES":1000'
	talker --name "$C"; until_ok n_logs_ge "$C" 3 || fail "not rotated"
	engine_kill; kill -9 $(pids_of logsvc); engine_start
	eq "$(effective DEFAULT_MAX_LOG_SIZE)" 20k
	local n; n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after both were killed"
	kill -9 $(pids_of logsvc); sleep 0.5
	n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after logsvc was killed"
	engine_kill; engine_start
	n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after apiserver was killed"
	local f d; d=$(dirname "$(log_of "$C")"); for f in "$d"/stdio.log.*; do [ "$(stat -c %s "$f")" -le 20000 ] || fail "$f is too large"; done
	D pause "$C" >/dev/null; in_order "$C"; eq "$(head -1 "$T/l")" "line 1"; D unpause "$C" >/dev/null
	forget DEFAULT_MAX_LOG_SIZE; forget DEFAULT_MAX_LOG_FILES
}
t_drivers() {
	put '"ENABLED_LOG_DRIVERS":"json-file,none"'
	rc 125 D run --rm --log-driver local busybox true; has "$ERR" "unsupported log driver: local"
	rc 125 D run --rm --log-driver nosuch busybox true; has "$ERR" "unsupported log driver: nosuch"
	out D run --rm --log-driver none busybox true; eq "$(docker info -f '{{.Plugins.Log}}')" "[json-file none]"
	put '"ENABLED_LOG_DRIVERS":"json-file,local","DEFAULT_LOG_DRIVER":"local","DEFAULT_LOG_OPTS":"max-size=1m,max-file=2"'
	out D run --name "$C" busybox true; eq "$(i "$C" '{{json .HostConfig.LogConfig}}')" '{"Type":"local","Config":{"max-file":"2","max-size":"1m"}}'
	eq "$(docker info -f '{{.LoggingDriver}}')" local
	forget DEFAULT_LOG_DRIVER; forget DEFAULT_LOG_OPTS; forget ENABLED_LOG_DRIVERS
	out D run --rm --log-driver local busybox true
}
t_audited() {
	local since; since=$(date +%s); put '"DEFAULT_MAX_LOG_SIZE":"123k"'; forget DEFAULT_MAX_LOG_SIZE
	grep -q 'service metadata changed key=DEFAULT_MAX_LOG_SIZE from="50000000" to="123k" by="unix:pid=[0-9]*,uid=0"' "$ROOT.t/apiserver.log" || fail "not in the log"
	D events --since "$since" --until "$(($(date +%s) + 1))" --filter type=daemon --format '{{.Type}} {{.Action}} {{json .Actor.Attributes}}' >"$T/e"
	has "$(cat "$T/e")" 'daemon reload {"DEFAULT_MAX_LOG_SIZE":"123k","name":'
}
t_metrics() {
	out D run --name "$C" busybox seq 1 1000; talker --name "${C}b"; sleep 1
	admin GET /metrics >"$T/m"; eq "$(status)" 200
	python3 - "$T/m" "$(uuid_of "${C}b")" <<'P' || fail metrics
import re, sys
types, values, last, seen = {}, {}, None, []
text = open(sys.argv[1]).read()
assert text.endswith('\n')
for l in text.splitlines():
    if l.startswith('# HELP '): continue
    if l.startswith('# TYPE '):
        _, _, n, t = l.split(); assert n not in types and t in ('counter', 'gauge'), l; types[n] = t; continue
    m = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\]*",?)*)\})? (\d+)', l); assert m, l
    assert m[1] in types, l
    if m[1] != last: assert m[1] not in seen, l; seen.append(m[1]); last = m[1]
    assert (m[1], m[2]) not in values, l; values[m[1], m[2]] = int(m[3])
assert values['sdc_docker_logsvc_up', None] == 1
z = 'zone="%s",driver="json-file"' % sys.argv[2]
assert values['sdc_docker_log_lines_total', z] > 100 and values['sdc_docker_log_line_bytes_total', z] > 500, z
assert values['sdc_docker_containers', 'state="running"'] == 1 and values['sdc_docker_http_requests_total', None] > 3
assert all(n.endswith('_total') == (t == 'counter') for n, t in types.items())
P
}
adm() { "$BIN/sdc-dockeradm" --root "$ROOT" "$@"; }
t_adm_metadata() {
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 50000000; out adm metadata set DEFAULT_MAX_LOG_SIZE 10m; eq "$OUT$ERR" ""
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10m; out adm metadata set DEFAULT_MAX_LOG_SIZE 10000000; eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10000000
	rc 1 adm metadata set DEFAULT_MAX_LOG_SIZE nonsense; eq "$ERR" "sdc-dockeradm: DEFAULT_MAX_LOG_SIZE: not a size: 'nonsense'"
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10000000; has "$(adm metadata get)" $'DEFAULT_LOG_DRIVER=json-file\n'
	out adm metadata delete DEFAULT_MAX_LOG_SIZE; eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 50000000
	rc 1 adm metadata get NOSUCH; rc 1 adm metadata set NOSUCH 1; rc 1 adm metadata delete NOSUCH; rc 2 adm metadata set X; rc 2 adm metadata; rc 2 adm
	rc 1 "$BIN/sdc-dockeradm" --root /nonexistent metadata get; has "$ERR" "connect to"
}
t_adm_logs() {
	out D run --name "$C" busybox seq 1 5000; out D run --name "${C}b" --log-driver local busybox seq 1 10
	out adm logs; eq "$(sed -n '1s/ .*//p;2s/ .*//p;3s/ .*//p' <<<"$OUT" | tr '\n' ' ')" "CONTAINER $C ${C}b "
	like "$OUT" "$C +json-file +[0-9.]+kB +1 +[0-9]+ 20[0-9T:-]+Z"
	out adm logs --json; eq "$(jq -c '[.[] | [.name, .driver, .files]]' <<<"$OUT")" "[[\"$C\",\"json-file\",1],[\"${C}b\",\"local\",1]]"
	timeout 3 "$BIN/sdc-dockeradm" --root "$ROOT" logs --watch >"$T/w"; eq "$(grep -c '^CONTAINER' "$T/w")" 2; has "$(cat "$T/w")" LINES/S
	rc 2 adm logs --nope
}
t_adm_rotate() {
	talker --name "$C"; out D run --name "${C}b" busybox echo x; sleep 0.5
	out adm logs rotate "$C"; eq "$(n_logs "$C")" 2; out adm logs rotate "$(D inspect -f '{{slice .Id 0 12}}' "$C")"; eq "$(n_logs "$C")" 3; out adm logs rotate "$(uuid_of "$C")"; eq "$(n_logs "$C")" 4
	out adm logs rotate --all; eq "$(n_logs "$C") $(n_logs "${C}b")" "5 2"; eq "$(D logs "${C}b")" x; in_order "$C"
	rc 1 adm logs rotate nosuch; has "$ERR" "No such container: nosuch"; rc 2 adm logs rotate
}
t_adm_prune() {
	local d k; talker --name "$C"; d=$(dirname "$(log_of "$C")")
	for k in 1 2 3; do sleep 0.2; out adm logs rotate "$C"; done; eq "$(n_logs "$C")" 4
	rc 1 adm logs prune; rc 1 adm logs prune --older-than soon; rc 1 adm logs prune --keep x; rc 2 adm logs prune --nope
	out adm logs prune --older-than 1h; eq "$(n_logs "$C")" 4; has "$OUT" "space: 0B"
	out adm logs prune --keep 1 --dry-run; like "$OUT" "$C +2 files .*kB"; has "$OUT" "Would be reclaimed"; eq "$(n_logs "$C")" 4
	out adm logs prune --keep 1 "$C"; eq "$(n_logs "$C")" 2; in_order "$C"; k=$(ls "$d" | grep "^stdio.log.2")
	sleep 4; out adm logs prune --older-than 1s; eq "$(n_logs "$C")" 1; [ ! -e "$d/$k" ] || fail "$k is there"; in_order "$C"
	out D stop -t 0 "$C"; out adm logs rotate "$C"; out adm logs prune --keep 0; eq "$(n_logs "$C")" 1; eq "$(D logs "$C")" ""
}
t_adm_health() {
	out adm health; eq "$(awk '{print $2}' <<<"$OUT" | tr '\n' ' ')" "ok ok ok "
	engine_kill; rc 1 adm health; has "$OUT" "api        not ok"; like "$OUT" "logsvc +ok"; engine_start; out adm health
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
