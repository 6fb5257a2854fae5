#!/bin/bash
# A zone ends while its sink, in the zone's own network, is away: its log follows when the sink is there, whoever was
# killed meanwhile.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3
engine_root; echo "FORWARD_GRACE = 20" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image
. "$(dirname "$0")/sinks.sh"

sink_up() { # NETWORK IP: only containers reach it
	out D run -d --name "${C}b" --network "$1" --ip "$2" --network-alias sink busybox nc -ll -p 7000 -e sh -c 'cat >>/out'
}
sink_out() { docker exec "${C}b" cat /out; }
sink_has() { sink_out | grep -q "$1"; }
has_ended() { [ -z "$(docker ps -q -f "name=^$C$")" ]; }
# OPTIONS...: a container that prints and ends; sets ZONE
source_ends() {
	out D run -d --name "$C" --network "$C" --log-driver syslog --log-opt syslog-address=tcp://sink:7000 "$@" busybox \
		sh -c 'while [ ! -e /go ]; do sleep 0.05; done; for i in $(seq 1 2000); do echo line-$i; done'
	ZONE=$(uuid_of "$C")
	out D exec "$C" touch /go; until_ok has_ended || fail "it does not end"
}
given_back() { grep -qF "network of an ended zone is given back zone=$ZONE" "$ROOT.t/apiserver.log"; }
all_arrives() {
	UNTIL=40 until_ok sink_has 'line-2000$' || fail "the sink has $(sink_out | tail -1); $(grep "$ZONE" "$ROOT.t/apiserver.log" | tail -3)"
	sink_out >"$T/out"; in_order "$T/out" 2000
	until_ok given_back || fail "the network is not given back"; until_ok no_loggers || fail "the logger does not end"
}
network() { out D network create --subnet "10.213.$1.0/24" "$C"; trap 'docker rm -f "${C}b" >/dev/null 2>&1; docker network rm "$C" >/dev/null 2>&1' EXIT; }
kill_all() { local p; for p in $(pids_of "$1"); do kill -9 "$p"; done; }

t_ended() { network 1; source_ends; sink_up "$C" 10.213.1.9; all_arrives; }
t_removed() { network 2; source_ends --rm; sink_up "$C" 10.213.2.9; all_arrives; }
t_killed() { # WHO...
	local who; network "$1"; shift; source_ends
	for who; do kill_all "$who"; done
	until_ok docker logs "$C" # logsvc is there again
	sink_up "$C" 10.213.9.9; all_arrives
}
# apiserver dies, and with it what holds the network
t_apiserver() {
	network 9; source_ends --rm; engine_kill; kill_all logger; engine_start --conf "$ROOT.t/conf"
	sink_up "$C" 10.213.9.9; all_arrives
}
# as a machine's restart leaves it: nobody runs, the run folder is gone, and the container had no record any more
t_machine_restarts() {
	out D run --rm --cidfile "$T/cid" --network host --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:7001 busybox sh -c 'for i in $(seq 1 2000); do echo line-$i; done'
	local zone p; zone=$ROOT/zones/$(uuid_in "$T/cid"); [ -d "$zone/logs" ] || fail "nothing is kept"
	engine_kill; for p in logsvc logger zoneadmd; do kill_all $p; done; until_ok no_daemons || fail "they run on"; rm -rf "$ROOT/run"; engine_start --conf "$ROOT.t/conf"
	sink tcp 7001 "$T/out"; got "$T/out" 'line-2000\b' 1; until_ok test ! -e "$zone" || fail "the log is left"; unsink; in_order "$T/out" 2000
}
t_again() { # the next run takes the backlog along
	network 4; source_ends; out D start "$C"; sink_up "$C" 10.213.4.9; out D wait "$C"
	all_arrives; [ "$(grep -c line-2000 "$T/out")" -ge 2 ] || fail "two runs, one arrived"
}
t_address() { # who asks for an address gets it
	network 5; source_ends --ip 10.213.5.7
	has "$(D network inspect -f '{{len .Containers}}' "$C")" 0
	out D run --name "${C}b" --network "$C" --ip 10.213.5.7 busybox ip -4 addr show eth0; has "$OUT" 10.213.5.7
	out D network rm "$C"; until_ok given_back
}
check "the zone has ended" t_ended
check "the container was removed with its end" t_removed
check "its logger is killed" t_killed 9 logger
check "logsvc is killed" t_killed 9 logsvc
check "both are killed" t_killed 9 logger logsvc
check "apiserver and the logger are killed" t_apiserver
check "the machine is restarted" t_machine_restarts
check "it is started again" t_again
check "its address is wanted" t_address
UNTIL=25 until_ok no_loggers # of what nobody asked for in the end
