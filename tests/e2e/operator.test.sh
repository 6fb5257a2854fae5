#!/bin/bash
# Operators: service metadata while the engine runs, by HTTP and by sdc-dockeradm; metrics; the logs of all zones.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
/usr/bin/python3 -c 'import prometheus_client' || skip_all "no python3-prometheus-client here"
engine_root; echo "FORWARD_GRACE = 3" >"$ROOT.t/conf"
start() { engine_start --conf "$ROOT.t/conf"; }
start; busybox_image
. "$(dirname "$0")/sinks.sh"

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
n_logs_is() { [ "$(n_logs "$1")" = "$2" ]; }
logged() { [ "$(stat -c %s "$(log_of "$1")")" -ge "$2" ]; } # bytes
n_logs() { ls "$(dirname "$(log_of "$1")")" | grep -c '^stdio\.log'; }
n_logs_ge() { [ "$(n_logs "$1")" -ge "$2" ]; }
talker() { out D run -d "$@" busybox sh -c 'k=0; while :; do k=$((k+1)); echo "line $k"; [ $((k % 50)) != 0 ] || usleep 20000; done'; }
no_hole() { # what is there of a talker's log has no gap
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
	for v in DEFAULT_MAX_LOG_FILES:x DEFAULT_MAX_LOG_FILES:-1 ENABLED_LOG_DRIVERS:nope DEFAULT_LOG_DRIVER:nope DEFAULT_LOG_OPTS:nope=1 DEFAULT_LOG_OPTS:max-size NOSUCH:1 log-level:debug; do
		admin PUT "/services/$(service)" -d "{\"metadata\":{\"DEFAULT_MAX_LOG_SIZE\":\"40k\",\"${v%%:*}\":\"${v#*:}\"}}" >"$T/put"; eq "$(status)" 400 "status for $v"
	done
	admin PUT "/services/$(service)" -d '{' >/dev/null; eq "$(status)" 400; admin PUT "/services/$(service)" -d '{"action":"drop","metadata":{}}' >/dev/null; eq "$(status)" 400
	eq "$(effective DEFAULT_MAX_LOG_SIZE)" 30k "the old value"
	put '"DEFAULT_MAX_LOG_SIZE":"10m"'; put '"DEFAULT_MAX_LOG_SIZE":10000000'; put '"DEFAULT_MAX_LOG_SIZE":"10000000"'; forget DEFAULT_MAX_LOG_SIZE
}
t_rotation_at_once() {
	talker --name "$C"; talker --name "${C}b" --log-opt max-size=50m; until_ok logged "$C" 40000; until_ok logged "${C}b" 40000
	eq "$(n_logs "$C")" 1
	put '"DEFAULT_MAX_LOG_SIZE":"20k","DEFAULT_MAX_LOG_FILES":"1000"'
	until_ok n_logs_ge "$C" 4 || fail "not rotated"
	eq "$(n_logs "${C}b")" 1 "the user's own size"; no_hole "$C"
	out D logs "$C"; like "$OUT" '^line 1
' # nothing has gone
	put '"DEFAULT_MAX_LOG_FILES":3'; until_ok n_logs_is "$C" 3 || fail "files: $(n_logs "$C")"; no_hole "$C"
	talker --name "${C}c"; until_ok n_logs_ge "${C}c" 3 || fail "a new one is not rotated"
	forget DEFAULT_MAX_LOG_SIZE; forget DEFAULT_MAX_LOG_FILES
}
t_kill_keeps() {
	put '"DEFAULT_MAX_LOG_SIZE":"20k","DEFAULT_MAX_LOG_FILES":1000'
	talker --name "$C"; until_ok n_logs_ge "$C" 3 || fail "not rotated"
	engine_kill; kill -9 $(pids_of logsvc); start
	eq "$(effective DEFAULT_MAX_LOG_SIZE)" 20k
	local n; n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after both were killed"
	kill -9 $(pids_of logsvc)
	n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after logsvc was killed"
	engine_kill; start
	n=$(n_logs "$C"); until_ok n_logs_ge "$C" $((n + 3)) || fail "not rotated after apiserver was killed"
	local f d; d=$(dirname "$(log_of "$C")"); for f in "$d"/stdio.log.*; do [ "$(stat -c %s "$f")" -le 20000 ] || fail "$f is too large"; done
	D pause "$C" >/dev/null; no_hole "$C"; eq "$(head -1 "$T/l")" "line 1"; D unpause "$C" >/dev/null
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
	put '"ENABLED_LOG_DRIVERS":"none, json-file"' # who names no driver gets the default one, which is not among them
	rc 125 D run --rm busybox true; has "$ERR" "unsupported log driver: local"; out D run --rm --log-driver json-file busybox true
	eq "$(cd "$ROOT/lib" && stat -c %a state.db state.db-wal service.conf | sort -u)" 600 # all options are in them
	forget DEFAULT_LOG_DRIVER; forget DEFAULT_LOG_OPTS; forget ENABLED_LOG_DRIVERS
	out D run --rm --log-driver local busybox true
}
t_audited() {
	local since; since=$(date +%s); put '"DEFAULT_MAX_LOG_SIZE":"123k"'; forget DEFAULT_MAX_LOG_SIZE
	grep -q 'service metadata changed key=DEFAULT_MAX_LOG_SIZE from="50000000" to="123k" by="unix:pid=[0-9]*,uid=0"' "$ROOT.t/apiserver.log" || fail "not in the log"
	D events --since "$since" --until "$(($(date +%s) + 1))" --filter type=daemon --format '{{.Type}} {{.Action}} {{json .Actor.Attributes}}' >"$T/e"
	has "$(cat "$T/e")" 'daemon reload {"DEFAULT_MAX_LOG_SIZE":"123k","name":'
}
# read by Prometheus' own parsers
PROMTOOL=$top/build/promtool/promtool
t_metrics() {
	out D run --name "$C" busybox seq 1 1000; talker --name "${C}b"
	out D run -d --name "${C}c" --log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:1 busybox sh -c 'seq 1 30; sleep 100'
	until_ok behind "${C}c" 30 || fail "not counted"
	admin GET /metrics >"$T/m"; eq "$(status)" 200
	/usr/bin/python3 - "$T/m" "$(uuid_of "${C}b")" "$(uuid_of "${C}c")" "${C}b" <<'P' || fail metrics
import sys
from prometheus_client.parser import text_string_to_metric_families
families = {f.name: f for f in text_string_to_metric_families(open(sys.argv[1]).read())}
def value(family, **labels):
    v = [s.value for s in families[family].samples if all(s.labels.get(k) == x for k, x in labels.items())]
    assert len(v) == 1, (family, labels, v); return v[0]
kinds = {f.type for f in families.values()}
assert kinds == {'counter', 'gauge', 'histogram'}, kinds
assert all(f.documentation.endswith('.') for f in families.values())
z = dict(zone=sys.argv[2], driver='json-file')
assert value('sdc_docker_logsvc_up') == 1
assert value('sdc_docker_log_lines', **z) > 100 and value('sdc_docker_log_line_bytes', **z) > 500 and value('sdc_docker_log_size_bytes', **z) > 500
assert value('sdc_docker_log_rotations', **z) == value('sdc_docker_log_errors', **z) == value('sdc_docker_log_dropped', **z) == 0
assert value('sdc_docker_containers', state='running') == 2 and value('sdc_docker_http_requests') > 3
assert value('sdc_docker_container_info', zone=sys.argv[2], name=sys.argv[4]) == 1
g = dict(zone=sys.argv[3], driver='gelf')
assert value('sdc_docker_log_forward_connected', **g) == 0 and value('sdc_docker_log_forward_lines', **g) == 0
assert value('sdc_docker_log_forward_backlog_lines', **g) == 30 and value('sdc_docker_log_forward_backlog_bytes', **g) > 1000
assert not [s for s in families['sdc_docker_log_forward_connected'].samples if s.labels['driver'] == 'json-file']
h = {s.labels.get('le', s.name): s.value for s in families['sdc_docker_log_capture_seconds'].samples}
n = h['sdc_docker_log_capture_seconds_count']
assert n == h['+Inf'] > 3 and 0 < h['sdc_docker_log_capture_seconds_sum'] < n and h['1'] > n / 2, h
P
	if [ -x "$PROMTOOL" ]; then # exposition and the naming rules
		"$PROMTOOL" check metrics <"$T/m" >"$T/pt" 2>&1 || fail "promtool: $(head -5 "$T/pt")"
		eq "$(cat "$T/pt")" ""
	else [ -z "${STRICT:-}" ] || fail "no promtool here"; fi
	for m in "$ROOT.t/m.sock" 127.0.0.1:9323; do # an address of its own, for that alone
		engine_kill; echo "metrics-addr = $m" | sed 's|= /|= unix:///|' >"$ROOT.t/metrics.conf"; engine_start --conf "$ROOT.t/metrics.conf"
		case $m in /*) set -- --unix-socket "$m"; eq "$(stat -c %a "$m")" 600 ;; *) set -- --connect-to "::$m" ;; esac
		has "$(curl -s "$@" http://d/metrics)" $'\nsdc_docker_logsvc_up 1\n'
		for k in /containers/json /services /_ping; do eq "$(curl -s "$@" -o "$T/o" -w '%{http_code}' "http://d$k")" 404 "$k"; done
	done
	engine_kill; start
}
behind() { [ "$(adm logs --json | jq ".[] | select(.name == \"$1\").forwarder.behind_lines")" = "$2" ]; }
adm() { "$BIN/sdc-dockeradm" --root "$ROOT" "$@"; }
t_adm_metadata() {
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 50000000; out adm metadata set DEFAULT_MAX_LOG_SIZE 10m; eq "$OUT$ERR" ""
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10m; out adm metadata set DEFAULT_MAX_LOG_SIZE 10000000; eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10000000
	rc 1 adm metadata set DEFAULT_MAX_LOG_SIZE nonsense; eq "$ERR" "sdc-dockeradm: DEFAULT_MAX_LOG_SIZE: not a size: 'nonsense'"
	eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 10000000; has "$(adm metadata get)" $'DEFAULT_LOG_DRIVER=json-file\n'
	eq "$(adm metadata get --json DEFAULT_MAX_LOG_SIZE)" '"10000000"'; eq "$(adm metadata get --json | jq -r .DEFAULT_LOG_DRIVER)" json-file
	out adm metadata delete DEFAULT_MAX_LOG_SIZE; eq "$(adm metadata get DEFAULT_MAX_LOG_SIZE)" 50000000
	rc 1 adm metadata get NOSUCH; rc 1 adm metadata set NOSUCH 1; rc 1 adm metadata delete NOSUCH; rc 2 adm metadata set X; rc 2 adm metadata; rc 2 adm
	rc 1 "$BIN/sdc-dockeradm" --root /nonexistent metadata get; has "$ERR" "connect to"
}
t_adm_logs() {
	out D run --name "$C" busybox seq 1 5000; out D run --name "${C}b" --log-driver local busybox seq 1 10; talker --name "${C}c"
	out adm logs; eq "$(awk '{print $1}' <<<"$OUT" | head -2 | xargs)" "CONTAINER $C"; has "$OUT" "LINES/S OLDEST"
	like "$OUT" "$C +json-file +[0-9.]+kB +1 +[0-9]+ +0 20[0-9T:-]+Z +-"; like "$OUT" "${C}c +json-file +[0-9.]+kB +1 +[0-9]+ +[1-9][0-9]* 20[0-9T:-]+Z +-"
	out adm logs --json; eq "$(jq -c 'sort_by(.name)[] | [.name, .driver, .files, .forwarder]' <<<"$OUT" | xargs)" "[$C,json-file,1,null] [${C}b,local,1,null] [${C}c,json-file,1,null]"
	eq "$(jq 'map(.bytes) == (map(.bytes) | sort | reverse)' <<<"$OUT")" true; eq "$(jq ".[] | select(.name == \"${C}c\").lines_per_second > 10" <<<"$OUT")" true
	timeout 4 "$BIN/sdc-dockeradm" --root "$ROOT" logs --watch >"$T/w"; eq "$(grep -c '^CONTAINER' "$T/w")" 2
	timeout 4 "$BIN/sdc-dockeradm" --root "$ROOT" logs --watch --json >"$T/w"; eq "$(jq -c length "$T/w" | xargs)" "3 3"
	rc 2 adm logs --nope; has "$ERR" "sdc-dockeradm: not a command: logs --nope"
}
forwarder() { adm logs | sed -n "s/^$1 .*[0-9]Z  *//p"; }
shows() { [[ $(forwarder "$1") =~ $2 ]]; }
shown() { until_ok shows "$@" || fail "want '$2', got '$(forwarder "$1")'"; }
delivered() { [ "$(adm logs --json | jq ".[] | select(.name == \"$1\").forwarder.delivered")" = "$2" ]; }
adds_up() { [ "$(adm logs --json | jq ".[] | select(.name == \"$1\").forwarder | .behind_lines + .dropped")" = "$2" ]; }
t_forwarders() { # what an operator sees of a sink that is away, comes, goes, and loses lines
	local since='connecting since 20[0-9-]+T[0-9:]+Z' refused='dial tcp 127.0.0.1:6630: connect: connection refused'
	out D run -d --name "$C" --network host --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:6630 busybox \
		sh -c 'seq 1 2000; while [ ! -e /go ]; do sleep 0.1; done; seq 1 50; sleep 100'
	shown "$C" "^$since, 2000 lines behind: $refused\$"
	sink tcp 6630 "$T/a"; shown "$C" "^connected\$"; until_ok delivered "$C" 2000 || fail "not delivered"; unsink; shown "$C" "^$since: "
	out D exec "$C" touch /go; shown "$C" "^$since, 50 lines behind: $refused"
	kill -9 $(pids_of logsvc); shown "$C" "^$since, 50 lines behind" # the next one knows as much
	kill -9 $(pids_of logger); shown "$C" "^$since, 50 lines behind"
	eq "$(adm logs --json | jq -c ".[] | select(.name == \"$C\").forwarder | [.state, .behind_lines, .delivered, .dropped]")" '["connecting",50,2000,0]'
	out D stop -t 0 "$C"; UNTIL=15 until_ok no_loggers; shown "$C" "^stopped, 50 lines behind\$"
	# max-buffer-size: what is older is dropped
	out D run -d --name "${C}b" --network host --log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:6631 --log-opt mode=non-blocking --log-opt max-buffer-size=10k busybox sh -c 'seq 1 2000; sleep 100'
	shown "${C}b" "^$since, [0-9]+ lines behind, [0-9]+ dropped: "; until_ok adds_up "${C}b" 2000 || fail "$(forwarder "${C}b")"
}
t_adm_rotate() {
	talker --name "$C"; out D run --name "${C}b" busybox echo x; until_ok logged "$C" 1
	out adm logs rotate "$C"; eq "$(n_logs "$C")" 2; out adm logs rotate "$(D inspect -f '{{slice .Id 0 12}}' "$C")"; eq "$(n_logs "$C")" 3; out adm logs rotate "$(uuid_of "$C")"; eq "$(n_logs "$C")" 4
	out adm logs rotate --all; eq "$(n_logs "$C") $(n_logs "${C}b")" "5 2"; eq "$(D logs "${C}b")" x; no_hole "$C"
	rc 1 adm logs rotate nosuch; has "$ERR" "No such container: nosuch"; rc 2 adm logs rotate; rc 2 adm logs rotate --all x; rc 1 adm logs rotate ""; has "$ERR" "invalid container name or ID: value is empty"; rc 1 adm logs set "" a=b; has "$ERR" "value is empty"
	out adm logs rotate --json "$C"; eq "$OUT" "[{\"name\":\"$C\",\"uuid\":\"$(uuid_of "$C")\"}]"; rc 1 adm logs rotate --json 01234567-0123-0123-0123-0123456789ab; has "$(jq -r '.[0].error' <<<"$OUT")" "No such container"
}
prunes_all() { adm logs prune --older-than 1s && [ "$(n_logs "$C")" = 1 ]; } # once they are old enough: their names run ahead of the time
t_adm_prune() {
	local d k; talker --name "$C"; d=$(dirname "$(log_of "$C")")
	for k in 1 2 3; do sleep 0.2; out adm logs rotate "$C"; done; eq "$(n_logs "$C")" 4
	rc 1 adm logs prune; rc 1 adm logs prune --older-than soon; rc 1 adm logs prune --keep x; rc 2 adm logs prune --nope
	out adm logs prune --older-than 1h; eq "$(n_logs "$C")" 4; has "$OUT" "space: 0B"
	out adm logs prune --keep 1 --dry-run; like "$OUT" "$C +2 files .*kB"; has "$OUT" "Would be reclaimed"; eq "$(n_logs "$C")" 4
	out adm logs prune --keep 1 --dry-run --json; eq "$(jq -c '[.dry_run, .zones[0].name, .zones[0].files, .zones[0].bytes == .bytes]' <<<"$OUT")" "[true,\"$C\",2,true]"
	out adm logs prune --keep 1 "$C"; eq "$(n_logs "$C")" 2; no_hole "$C"; k=$(ls "$d" | grep "^stdio.log.2")
	until_ok prunes_all || fail "$(ls "$d")"; [ ! -e "$d/$k" ] || fail "$k is there"; no_hole "$C"
	out D stop -t 0 "$C"; out adm logs rotate "$C"; out adm logs prune --keep 0; eq "$(n_logs "$C")" 1; eq "$(D logs "$C")" ""
}
t_adm_health() {
	out adm health; eq "$(awk '{print $2}' <<<"$OUT" | tr '\n' ' ')" "ok ok ok "
	engine_kill; rc 1 adm health; has "$OUT" "api        not ok"; like "$OUT" "logsvc +ok"; start; out adm health
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
UNTIL=25 until_ok no_loggers # of containers that were removed before their sinks had all
unsink_all
