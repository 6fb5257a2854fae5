#!/bin/bash
# Log options of a container that is there: LogConfig in POST /containers/ID/update, sdc-dockeradm logs set. No line is lost.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 jq
engine_root; echo "FORWARD_GRACE = 3" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image
. "$(dirname "$0")/sinks.sh"

adm() { "$BIN/sdc-dockeradm" --root "$ROOT" "$@"; }
update() { api POST "/containers/$1/update" -H 'Content-Type: application/json' -d "{\"LogConfig\":$2}" >"$T/u"; eq "$(status)" "${3:-200}" "$(cat "$T/u")"; }
refused() { update "$1" "$2" 400; eq "$(jq -r .message "$T/u")" "$3"; }
log_config() { i "$1" '{{json .HostConfig.LogConfig}}'; }
n_logs_is() { [ "$(n_logs "$1")" = "$2" ]; }
logged() { [ "$(stat -c %s "$(log_of "$1")")" -ge "$2" ]; } # bytes
n_logs() { ls "$(dirname "$(log_of "$1")")" | grep -c '^stdio\.log'; }
n_logs_ge() { [ "$(n_logs "$1")" -ge "$2" ]; }
talker() { out D run -d --network host "$@" busybox sh -c 'k=0; while :; do k=$((k+1)); echo "line-$k"; [ $((k % 20)) != 0 ] || usleep 20000; done'; }
no_gap() { # the log as docker logs shows it
	D logs "$1" >"$T/l"; grep -q '^line-1$' "$T/l" || fail "the first line is gone"
	in_order "$T/l" "$(tail -1 "$T/l" | sed 's/line-//')"
}
running_max() { jq -r .max_size "$ROOT/zones/$(uuid_of "$1")/config/log.json"; }

t_size_at_once() {
	talker --name "$C" --log-opt max-size=50m --log-opt max-file=1000; until_ok logged "$C" 1; eq "$(n_logs "$C")" 1
	update "$C" '{"Config":{"max-size":"20k"}}'; eq "$(jq -c . "$T/u")" '{"Warnings":null}'
	until_ok n_logs_ge "$C" 4 || fail "not rotated"
	eq "$(log_config "$C")" '{"Type":"json-file","Config":{"max-file":"1000","max-size":"20k"}}'
	update "$C" '{"Type":"json-file","Config":{"max-size":"50m"}}'; sleep 0.3; local n; n=$(n_logs "$C"); sleep 1; eq "$(n_logs "$C")" "$n" "files after the change back"
	D pause "$C" >/dev/null; no_gap "$C"; D unpause "$C" >/dev/null
	update "$C" '{"Config":{"max-file":"2","max-size":"20k"}}'; until_ok n_logs_is "$C" 2 || fail "files: $(n_logs "$C")"
	update "$C" '{"Config":{"max-size":"","max-file":null}}'; eq "$(log_config "$C")" '{"Type":"json-file","Config":{}}'; eq "$(running_max "$C")" null
}
t_refused() {
	out D run -d --name "$C" --log-opt max-size=30k busybox sleep 100; local was; was=$(log_config "$C")
	refused "$C" '{"Config":{"max-size":"much"}}' "invalid size: 'much'"
	refused "$C" '{"Config":{"max-size":"0"}}' "max-size must be a positive number"
	refused "$C" '{"Config":{"max-file":"0"}}' "max-file cannot be less than 1"
	refused "$C" '{"Config":{"nope":"1","max-size":"1m"}}' "unknown log opt 'nope' for json-file log driver"
	refused "$C" '{"Config":{"compress":"true"}}' "compress cannot be true when max-file is less than 2 or max-size is not set"
	refused "$C" '{"Type":"nosuch"}' 'error looking up logging plugin nosuch: plugin "nosuch" not found'
	refused "$C" '{"Type":"syslog","Config":{"syslog-address":"tcp://127.0.0.1:1"}}' 'the log driver of a container cannot be changed from json-file to syslog'
	refused "$C" '{"Type":"none"}' 'the log driver of a container cannot be changed from json-file to none'
	update "$C" '{"Config":{"max-size":5}}' 400; has "$(cat "$T/u")" "cannot unmarshal number"
	update "$C" '[]' 400; update "${C}x" '{"Config":{"max-size":"1m"}}' 404
	eq "$(log_config "$C")" "$was"; eq "$(running_max "$C")" 30000
}
t_stock_update() {
	out D run -d --name "$C" --log-opt max-size=30k --log-opt tag=x busybox sleep 100; local was; was=$(log_config "$C")
	out D update --restart on-failure:3 --memory 64m --memory-swap 64m "$C"; eq "$OUT" "$C"; eq "$(log_config "$C")" "$was"
	update "$C" '{}'; update "$C" 'null'; update "$C" '{"Type":"","Config":null}'; eq "$(log_config "$C")" "$was"
}
t_other_of_its_kind() {
	out D run -d --name "$C" --log-driver local busybox sleep 100
	update "$C" '{"Type":"json-file","Config":{"max-size":"1m"}}'; eq "$(log_config "$C")" '{"Type":"json-file","Config":{"max-size":"1m"}}'
}
t_attributes() {
	out D run -d -i --name "$C" --label a=1 --label b=2 busybox cat; local fd
	exec {fd}> >(D attach --no-stdin=false "$C" >/dev/null 2>&1); echo one >&"$fd"; until_ok sh -c "docker logs $C | grep -q one"
	update "$C" '{"Config":{"labels":"a,b","tag":"{{.Name}}"}}'; echo two >&"$fd"; until_ok sh -c "docker logs $C | grep -q two"
	eq "$(D logs --details "$C")" " one
a=1,b=2,tag=$C two"; exec {fd}>&-
}
t_kept_over_kills() {
	talker --name "$C" --log-opt max-file=1000; update "$C" '{"Config":{"max-size":"20k"}}'
	engine_kill; kill -9 $(pids_of logsvc); engine_start --conf "$ROOT.t/conf"
	eq "$(log_config "$C")" '{"Type":"json-file","Config":{"max-file":"1000","max-size":"20k"}}'
	until_ok n_logs_ge "$C" 3 || fail "not rotated"
	# as if apiserver had died between log.json and its record
	local f; f="$ROOT/zones/$(uuid_of "$C")/config/log.json"; engine_kill; jq -c '.max_size=77' "$f" >"$T/j" && cp "$T/j" "$f"; engine_start --conf "$ROOT.t/conf"; eq "$(jq -r .max_size "$f")" 20000
	D pause "$C" >/dev/null; no_gap "$C"; D unpause "$C" >/dev/null
}
t_stopped() {
	out D create --name "$C" busybox sh -c 'k=0; while [ $k -lt 3000 ]; do k=$((k+1)); echo line-$k; done'
	update "$C" '{"Config":{"max-size":"10k","max-file":"100"}}'; out D start -a "$C"; n_logs_ge "$C" 3 || fail "not rotated"; no_gap "$C"
}
t_sink_is_another() { # syslog's address and tag; then fluentd in its place
	sink tcp 5540 "$T/a"; sink tcp 5541 "$T/b"; sink fluentd 5542 "$T/c"
	talker --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5540 --log-opt tag=first
	got "$T/a" 'first\[.*line-' 50
	out adm logs set "$C" syslog-address=tcp://127.0.0.1:5541 'tag=second{{.Name}}'; eq "$OUT$ERR" ""
	got "$T/b" "second$C\[.*line-" 50; local n; n=$(wc -l <"$T/a")
	out adm logs set --driver fluentd "$(uuid_of "$C")" fluentd-address=127.0.0.1:5542 fluentd-request-ack=true
	got "$T/c" 'line-' 50; eq "$(wc -l <"$T/a")" "$n" "the first sink's lines"
	eq "$(log_config "$C")" '{"Type":"fluentd","Config":{"fluentd-address":"127.0.0.1:5542","fluentd-request-ack":"true"}}'
	out D stop -t 0 "$C"; D logs "$C" >"$T/l"; n=$(tail -1 "$T/l" | sed 's/line-//'); got "$T/c" "line-$n\b" 1
	cat "$T/a" "$T/b" "$T/c" >"$T/all"; in_order "$T/all" "$n"; no_gap "$C"
	rc 1 adm logs set "$C" fluentd-address=http://x; has "$ERR" "unsupported scheme: 'http'"; rc 1 adm logs set "$C" nonsense; has "$ERR" "not an option as key=value: 'nonsense'"
	out adm logs set --json "$C" fluentd-request-ack=; eq "$OUT" "{\"name\":\"$C\",\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-address\":\"127.0.0.1:5542\"}}}"
	rc 1 adm logs set nosuch a=b; has "$ERR" "No such container: nosuch"; rc 2 adm logs set "$C"; rc 2 adm logs set
}
t_while_logsvc_is_away() { # whoever is started next sees that the logger has the old options
	sink tcp 5543 "$T/a"; sink tcp 5544 "$T/b"
	talker --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5543; got "$T/a" 'line-' 50
	kill -STOP $(pids_of logsvc); (sleep 1; kill -9 $(pids_of logsvc)) & update "$C" '{"Config":{"syslog-address":"tcp://127.0.0.1:5544"}}'; wait $!
	got "$T/b" 'line-' 50; out D stop -t 0 "$C"; local n; n=$(D logs --tail 1 "$C" | sed 's/line-//'); got "$T/b" "line-$n\b" 1
	cat "$T/a" "$T/b" >"$T/all"; in_order "$T/all" "$n"
}
kill_all() { local p; for p in $(pids_of "$1"); do kill -9 "$p"; done; }
# what waits for a sink that is away is the next one's, in order, whoever dies while the change is made; the first gets no more
t_backlog_and_another_driver() {
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5545 busybox \
		sh -c 'i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo line-$i; [ $((i % 100)) != 0 ] || usleep 20000; done; sleep 1000'
	until_ok sh -c "docker logs $C | grep -q line-500\$" || fail "it waits for its sink"
	sink gelftcp 5546 "$T/b"; local b=$SINK
	(sleep 0.05; kill_all logsvc; kill_all logger) & update "$C" '{"Type":"gelf","Config":{"gelf-address":"tcp://127.0.0.1:5546"}}'; wait $!
	got "$T/b" 'line-1000\b' 1; kill_all logger; sink tcp 5545 "$T/a"; unsink
	until_ok sh -c "docker logs $C | grep -q line-6000\$"; got "$T/b" 'line-6000\b' 1; in_order "$T/b" 6000; [ ! -s "$T/a" ] || fail "the first sink: $(head -1 "$T/a")"
	kill -9 "$b"; out D kill "$C"
	# away again, and back to syslog while it does not run: the same
	sink tcp 5545 "$T/a"; update "$C" '{"Type":"syslog","Config":{"syslog-address":"tcp://127.0.0.1:5545"}}'
	out D start "$C"; until_ok sh -c "docker logs $C | grep -c line-6000 | grep -qx 2"; got "$T/a" 'line-6000\b' 1; in_order <(sed -n '/line-1$/,$p' "$T/a") 6000
}
t_driver_of_another_kind() { # one that keeps its lines to itself, and one that does not, do not follow each other; nothing changes
	sink tcp 5547 "$T/a"
	talker --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:5547; got "$T/a" 'line-' 50; local was; was=$(log_config "$C")
	refused "$C" '{"Type":"none"}' 'the log driver of a container cannot be changed from syslog to none'
	refused "$C" '{"Type":"json-file"}' 'the log driver of a container cannot be changed from syslog to json-file'
	out D create --name "${C}b" --log-driver none busybox true
	refused "${C}b" '{"Type":"syslog","Config":{"syslog-address":"tcp://127.0.0.1:5547"}}' 'the log driver of a container cannot be changed from none to syslog'
	eq "$(log_config "$C")" "$was"; out D stop -t 0 "$C"; local n; n=$(D logs --tail 1 "$C" | sed 's/line-//'); got "$T/a" "line-$n\b" 1; in_order "$T/a" "$n"
}
t_renamed() { # the name in tags and fields is the container's, from its next line on; none is lost or out of order
	sink fluentd 5548 "$T/a"
	talker --name "$C" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:5548 --log-opt fluentd-request-ack=true --log-opt 'tag=t.{{.Name}}'
	got "$T/a" "\"t.$C\".*line-" 20; out D rename "$C" "${C}b"; got "$T/a" "\"t.${C}b\".*\"/${C}b\".*line-" 20
	kill_all logger; kill_all logsvc; got "$T/a" "\"t.${C}b\".*line-" 60
	D rename "${C}b" "${C}c" & kill_all logsvc; wait $!; got "$T/a" "\"t.${C}c\".*line-" 20
	out D stop -t 0 "${C}c"; local n; n=$(D logs --tail 1 "${C}c" | sed 's/line-//'); got "$T/a" "line-$n\b" 1; in_order "$T/a" "$n"
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
unsink_all
