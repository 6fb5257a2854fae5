#!/bin/bash
# Receivers that other people wrote take what the log drivers send: rsyslog, syslog-ng, FluentServer, graygelf.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 openssl rsyslogd
engine_root; printf 'FORWARD_GRACE = 15\nlog-tls-dir = %s\nlog-unix-sockets = %s\n' "$ROOT.t/r" "$(printf "$ROOT.t/r/%s, " rs dg st)$ROOT.t/r/fl" >"$ROOT.t/conf"
engine_start --conf "$ROOT.t/conf"; busybox_image
R=$ROOT.t/r # the receivers' folder
NPM=$top/build/npm/node_modules
SNG=$top/build/syslog-ng
mkdir -p "$R/spool" "$R/var"

missing() { # a receiver: CI must have it
	[ -z "${STRICT:-}" ] || fail "no $1 here"
	echo "    no $1 here"; exit 0
}
receiver() { "$@" >>"$R/log" 2>&1 </dev/null & SINK=$!; echo "$SINK" >>"$R/pids"; }
unreceive() { end_ours KILL "$SINK"; wait "$SINK" 2>/dev/null; return 0; }
listens() { [ -n "$(ss -Hln"${2:-t}" "sport = :$1")" ]; }
chmod 755 "$ROOT.t" "$R" # the logger is nobody
open_to_all() { [ -S "$1" ] && chmod 666 "$1"; }
is_up() { case $1 in /*) open_to_all "$1" ;; u*) listens "${1#u}" u ;; *) listens "$1" ;; esac; }
up() { local p; for p; do until_ok is_up "$p" || fail "no receiver on $p: $(tail -3 "$R/log")"; done; }
holds() { [ -e "$1" ] && [ "$(grep -c "$2" "$1")" -ge "$3" ]; }
got() { UNTIL=${UNTIL:-20} until_ok holds "$@" || fail "want $3 of '$2' in $(basename "$1"), got $(grep -c "$2" "$1"): $(tail -3 "$R/log")"; }

certificates() { # a CA, and a server's certificate for localhost
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$R/ca.key" -out "$R/ca.pem" -days 3 -subj /CN=ca
	openssl req -newkey rsa:2048 -nodes -keyout "$R/srv.key" -out "$R/srv.csr" -subj /CN=localhost
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$R/ext"
	openssl x509 -req -in "$R/srv.csr" -CA "$R/ca.pem" -CAkey "$R/ca.key" -CAcreateserial -days 3 -extfile "$R/ext" -out "$R/srv.pem"
	chmod 644 "$R"/*.key
}
certificates >"$R/log" 2>&1

# containers that log 200 lines, one to stderr, one that is split, and one that is not text; one per format and transport, tagged t0, t1, ...
senders() { # senders TRANSPORT...: SCHEME:PORT:FRAMING or SCHEME:SOCKET:
	local n=0 f t o a pids=
	for f in "" rfc3164 rfc5424 rfc5424micro; do
		for t; do
			o="--log-opt syslog-framing=${t##*:}"; [ -n "${t##*:}" ] || o=
			a=$(echo "$t" | cut -d: -f2); case $a in /*) ;; *) a=localhost:$a ;; esac
			# shellcheck disable=SC2086 # options
			timeout 60 docker run --rm --network host --log-driver syslog --log-opt "syslog-address=${t%%:*}://$a" \
				--log-opt "syslog-format=$f" --log-opt "tag=t$n" --log-opt "syslog-tls-ca-cert=$R/ca.pem" $o busybox \
				sh -c 'for i in $(seq 1 200); do echo line-$i; done; echo two words >&2; head -c 20000 /dev/zero | tr "\0" x; printf "\nü <\377>\n"' \
				>/dev/null 2>"$T/run$n" &
			n=$((n + 1)) pids="$pids $!"
			# shellcheck disable=SC2086 # a list; not the receiver
			[ $((n % 5)) != 0 ] || { wait $pids; pids=; }
		done
	done
	# shellcheck disable=SC2086
	wait $pids; SENT=$n
}
# every sender's lines are there, each once, in order within a stream, with the right priority
sent_all() { # FILE
	python3 - "$1" $SENT <<'P' || fail "$1: $(cat "$T"/run* | head -5)"
import json, sys
by = {}
for l in open(sys.argv[1]):
    r = json.loads(l); by.setdefault(r['app'].rstrip('['), []).append(r)
for n in range(int(sys.argv[2])):
    rs = by.get('t%d' % n)
    assert rs, ('nothing of', n, sorted(by))
    got = [r['msg'].strip() for r in rs]
    want = ['line-%d' % k for k in range(1, 201)] + ['x' * 16384, 'x' * 3616, 'ü <\ufffd>']
    assert [m for m in got if m != 'two words'] == want and got.count('two words') == 1, (n, rs[0]['in'], len(got), got[:3], [m[-20:] for m in got[-5:]])
    assert all(r['pri'] == ('27' if 'words' in r['msg'] else '30') for r in rs), (n, rs[0])
assert set(by) == {'t%d' % n for n in range(int(sys.argv[2]))}, sorted(by)
P
}

rsyslog_conf() { # FILE
	cat >"$1" <<X
global(workDirectory="$R/spool" maxMessageSize="256k" defaultNetstreamDriverCAFile="$R/ca.pem"
	defaultNetstreamDriverCertFile="$R/srv.pem" defaultNetstreamDriverKeyFile="$R/srv.key")
module(load="imudp") module(load="imtcp") module(load="imuxsock" SysSock.Use="off") module(load="mmjsonparse")
template(name="j" type="list" option.jsonf="on") {
	property(outname="pri" name="pri" format="jsonf") property(outname="app" name="app-name" format="jsonf")
	property(outname="ver" name="protocol-version" format="jsonf") property(outname="in" name="inputname" format="jsonf")
	property(outname="msg" name="msg" format="jsonf") }
template(name="g" type="list" option.jsonf="on") {
	property(outname="v" name="\$!version" format="jsonf") property(outname="msg" name="\$!short_message" format="jsonf")
	property(outname="level" name="\$!level" format="jsonf") property(outname="name" name="\$!_container_name" format="jsonf") }
ruleset(name="s") { action(type="omfile" file="$R/out.log" template="j") }
ruleset(name="g") { action(type="mmjsonparse" cookie="" useRawMsg="on") action(type="omfile" file="$R/gelf.log" template="g") }
input(type="imudp" address="127.0.0.1" port="6514" ruleset="s" name="udp" rcvbufSize="4m")
input(type="imuxsock" socket="$R/rs" ruleset="s" useSpecialParser="off" parseHostname="on" useSysTimeStamp="off" ignoreTimestamp="off")
input(type="imtcp" address="127.0.0.1" port="6515" ruleset="s" name="tcp")
input(type="imtcp" address="127.0.0.1" port="6516" ruleset="s" name="tls" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="6517" ruleset="g" supportOctetCountedFraming="off" addtlFrameDelimiter="0" disableLFDelimiter="on")
X
}
t_rsyslog() {
	senders udp:6514: tcp:6515: tcp:6515:octet tcp+tls:6516:newline tcp+tls:6516:octet "unixgram:$R/rs:"
	UNTIL=10 until_ok holds "$R/out.log" 'two words\|>"' "$((2 * SENT))"
	sent_all "$R/out.log"
}
t_gelf_tcp() {
	out D run --rm --network host --name "$C" --log-driver gelf --log-opt gelf-address=tcp://localhost:6517 busybox \
		sh -c 'for i in $(seq 1 1000); do echo "line-$i {\"a\":\"ü\"}"; done; echo err >&2; head -c 12000 /dev/zero | tr "\0" "\t"; echo'
	got "$R/gelf.log" '"v":"1.1"' 1002
	eq "$(jq -r "select(.name==\"$C\").level" "$R/gelf.log" | sort | uniq -c | xargs)" "1 3 1001 6"
	eq "$(jq -r 'select(.level|tostring=="3").msg' "$R/gelf.log")" err
	eq "$(jq -r 'select(.level|tostring=="6").msg' "$R/gelf.log" | head -1000 | md5sum)" "$(seq 1 1000 | sed 's/.*/line-& {"a":"ü"}/' | md5sum)"
	eq "$(jq -r '.msg|length' "$R/gelf.log" | sort -n | tail -1)" 12000 "a long line"
}
t_untrusted() {
	out D run -d --network host --name "$C" --log-driver syslog --log-opt syslog-address=tcp+tls://localhost:6516 busybox sh -c 'echo secret; sleep 20'
	until_ok grep -q "sink not reached.*certificate" "$ROOT.t/apiserver.log" || fail "no complaint"
	! grep -q secret "$R/out.log" 2>/dev/null || fail "sent to a server that nobody vouches for"
}
# the receiver is in the container's own network: nobody else can reach it
t_inside() {
	sed -e '/6514\|6516\|6517\|type="imuxsock/d' -e "s|$R/out.log|$R/inside.log|" "$R/r.conf" >"$R/inside.conf"
	out D run -d --name "$C" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:6515 --log-opt tag=inside busybox \
		sh -c 'for i in $(seq 1 500); do echo line-$i; done; sleep 100'
	until_ok sh -c "docker logs --tail 1 $C | grep -q line-500" || fail "the container waits for its sink"
	receiver nsenter "--net=/proc/$(i "$C" '{{.State.Pid}}')/ns/net" rsyslogd -n -iNONE -f "$R/inside.conf"
	got "$R/inside.log" inside 500; unreceive
	eq "$(jq -r .msg "$R/inside.log" | tr -d ' ' | md5sum)" "$(seq 1 500 | sed 's/^/line-/' | md5sum)"
}
syslog_ng() {
	LD_LIBRARY_PATH=$SNG/usr/lib/x86_64-linux-gnu:$SNG/usr/lib/syslog-ng exec "$SNG/usr/sbin/syslog-ng" -F --no-caps --stderr \
		"--module-path=$(echo "$SNG"/usr/lib/syslog-ng/3.*)" -f "$R/ng.conf" -R "$R/var/persist" -p "$R/var/pid" -c "$R/var/ctl"
}
t_syslog_ng() {
	[ -x "$SNG/usr/sbin/syslog-ng" ] || missing syslog-ng
	cat >"$R/ng.conf" <<X
@version: 3.38
options { keep-hostname(yes); use-dns(no); stats-freq(0); log-msg-size(131072); };
source s {
	network(ip("127.0.0.1") port(6525) transport("tcp") flags(syslog-protocol));
	network(ip("127.0.0.1") port(6526) transport("udp") flags(syslog-protocol) so-rcvbuf(1048576));
	syslog(ip("127.0.0.1") port(6527) transport("tcp"));
	syslog(ip("127.0.0.1") port(6528) transport("tls") tls(key-file("$R/srv.key") cert-file("$R/srv.pem") peer-verify(optional-untrusted)));
	network(ip("127.0.0.1") port(6529) transport("tls") flags(syslog-protocol)
		tls(key-file("$R/srv.key") cert-file("$R/srv.pem") peer-verify(optional-untrusted)));
	unix-dgram("$R/dg" flags(syslog-protocol, expect-hostname)); unix-stream("$R/st" flags(syslog-protocol, expect-hostname));
};
destination d { file("$R/ng.log" template("\$(format-json pri=string(\$PRI) app=\$PROGRAM in=\$SOURCE msg=\$MESSAGE)\n")); };
log { source(s); destination(d); };
X
	receiver syslog_ng; up 6525 u6526 6527 6528 6529 "$R/dg" "$R/st"
	senders tcp:6525: udp:6526: tcp:6527:octet tcp+tls:6528:octet tcp+tls:6529:newline "unixgram:$R/dg:" "unix:$R/st:"
	UNTIL=10 until_ok holds "$R/ng.log" 'two words\|>"' "$((2 * SENT))"; unreceive
	sent_all "$R/ng.log"
	! grep -iE 'invalid frame|error processing' "$R/log" || fail "syslog-ng complains"
}
cat >"$R/fluent.js" <<'X'
const {FluentServer} = require("@fluent-org/logger"), fs = require("fs");
const [out, address, key, tls] = process.argv.slice(2), path = address.startsWith("unix://") && address.slice(7);
const o = {listenOptions: path ? {path} : {host: "127.0.0.1", port: 6520}};
if (key) o.security = {serverHostname: "s", sharedKey: key};
if (tls) o.tlsOptions = {key: fs.readFileSync(tls + "/srv.key"), cert: fs.readFileSync(tls + "/srv.pem")};
const s = new FluentServer(o);
s.on("entry", (tag, time, r) => fs.appendFileSync(out, JSON.stringify({tag, seconds: time.epoch, nanos: time.nano, ...r}) + "\n"));
s.listen();
X
t_fluent_server() { # ADDRESS KEY TLS
	command -v node >/dev/null && [ -d "$NPM/@fluent-org/logger" ] || missing @fluent-org/logger
	receiver env "NODE_PATH=$NPM" node "$R/fluent.js" "$T/fl" "$1" "$2" "$3"
	case $1 in unix*) up "${1#unix://}" ;; *) up 6520 ;; esac
	D run --rm --network host --name "$C" --log-driver fluentd --log-opt "fluentd-address=$1" --log-opt fluentd-request-ack=true \
		--log-opt fluentd-sub-second-precision=true --log-opt tag=t ${2:+--log-opt fluentd-shared-key=$2} ${3:+--log-opt fluentd-tls-ca-cert=$3/ca.pem} \
		--log-opt labels=l,log --log-opt env=E -l l=m -l log=no -e E=ü busybox \
		sh -c 'for i in $(seq 1 1000); do echo line-$i; done; head -c 20000 /dev/zero | tr "\0" x; printf "\nü\0<\377>\n\n"; echo err >&2' \
		>/dev/null 2>"$T/err" || fail "$(cat "$T/err")"
	got "$T/fl" container_id 1005; unreceive; eq "$(wc -l <"$T/fl")" 1005
	eq "$(jq -r 'select(.source=="stdout").log' "$T/fl" | head -1000 | md5sum)" "$(seq 1 1000 | sed 's/^/line-/' | md5sum)"
	eq "$(jq -c 'select(.source=="stdout")|[(.log|length),.partial_message,.partial_ordinal,.partial_last]' "$T/fl" | tail -4)" \
		$'[16384,"true","1","false"]\n[3616,"true","2","true"]\n[5,null,null,null]\n[0,null,null,null]'
	eq "$(jq -r 'select(.partial_id).partial_id' "$T/fl" | uniq | wc -l)" 1
	eq "$(jq -c 'select(.log|startswith("ü")).log' "$T/fl")" '"ü\u0000<�>"'; eq "$(jq -r 'select(.source=="stderr").log' "$T/fl")" err
	eq "$(jq -c '[.tag,.container_name,(.container_id|length),.l,.E,.x_log]' "$T/fl" | uniq)" "[\"t\",\"/$C\",64,\"m\",\"ü\",\"no\"]"
	eq "$(jq -r .seconds "$T/fl" | sort -n | tail -1 | cut -c1-7)" "$(date +%s | cut -c1-7)"; [ "$(jq -r .nanos "$T/fl" | sort -u | wc -l)" -gt 1 ] || fail "no sub-second time"
}
t_fluent_wrong_key() {
	command -v node >/dev/null && [ -d "$NPM/@fluent-org/logger" ] || missing @fluent-org/logger
	receiver env "NODE_PATH=$NPM" node "$R/fluent.js" "$T/fl" localhost:6520 right ""; up 6520
	out D run -d --name "$C" --network host --log-driver fluentd --log-opt fluentd-address=localhost:6520 --log-opt fluentd-shared-key=wrong \
		busybox sh -c 'echo line-1; sleep 20'
	until_ok grep -q "sink not reached.*shared key" "$ROOT.t/apiserver.log" || fail "$(tail -3 "$ROOT.t/apiserver.log")"
	unreceive; [ ! -s "$T/fl" ] || fail "taken without the key"
	receiver env "NODE_PATH=$NPM" node "$R/fluent.js" "$T/fl" localhost:6520 wrong ""; up 6520
	got "$T/fl" line-1 1; unreceive
}
# its decompression runs in threads and so gives messages in any order, while those that are not compressed come as they were sent
t_graygelf() {
	command -v node >/dev/null && [ -d "$NPM/graygelf" ] || missing graygelf
	cat >"$R/gg.js" <<'X'
const fs = require("fs"), s = require("graygelf/server")();
s.on("message", m => fs.appendFileSync(process.argv[2], JSON.stringify(m) + "\n")); s.on("error", e => console.log(e));
s.listen(6521, "127.0.0.1");
X
	receiver env "NODE_PATH=$NPM" node "$R/gg.js" "$T/gg"; up u6521
	local c
	head -c 8000 /dev/urandom | base64 -w 0 >"$T/random"; echo >>"$T/random"
	for c in gzip zlib none; do
		# 8000 random bytes: some chunks, however they are compressed; 20000 of a kind: a line that is split
		D run --rm --network host --log-driver gelf --log-opt gelf-address=udp://localhost:6521 --log-opt gelf-compression-type=$c \
			--log-opt tag=$c --log-opt labels=l,id --log-opt env=E -l l=m -l id=7 -e E=v -v "$T:/t:ro" busybox \
			sh -c "for i in 1 2 3 4 5; do echo $c-\$i; done; cat /t/random; head -c 20000 /dev/zero | tr '\0' x; echo; printf 'ü\0\377 <&\"\\\\\t\n'; echo err >&2; printf tail" >/dev/null 2>"$T/err" || fail "$(cat "$T/err")"
	done
	got "$T/gg" short_message 33; unreceive; eq "$(wc -l <"$T/gg")" 33
	for c in gzip zlib none; do
		jq -c "select(._tag==\"$c\")" "$T/gg" >"$T/gg.$c"
		eq "$(jq -r 'select(.short_message|length==10668).short_message' "$T/gg.$c" | md5sum)" "$(md5sum <"$T/random")" "$c: a message in chunks"
		eq "$(jq -r '.short_message|select(test("-[1-5]$"))' "$T/gg.$c" | if [ $c = none ]; then cat; else sort; fi | xargs)" "$c-1 $c-2 $c-3 $c-4 $c-5"
		jq -s -e '[.[]|select(.short_message|test("-[1-5]$"))]|sort_by(.short_message)|map(.timestamp) as $t|$t==($t|sort)' "$T/gg.$c" >/dev/null || fail "$c: times"
		eq "$(jq -r 'select(._partial_id)|[(.short_message|length),._partial_ordinal,._partial_last]|@csv' "$T/gg.$c" | sort)" $'16384,"1","false"\n3616,"2","true"'
		eq "$(jq -c 'select(.short_message|startswith("ü")).short_message' "$T/gg.$c")" '"ü\u0000� <&\"\\\t"'
		eq "$(jq -r '[.version,.host,._l,._E,._x_id,._image_name]|@csv' "$T/gg.$c" | uniq)" "\"1.1\",\"$(hostname)\",\"m\",\"v\",\"7\",\"busybox\""
		eq "$(jq -r '[.level,._stream]|@csv' "$T/gg.$c" | sort | uniq -c | xargs)" '1 3,stderr 10 6,stdout'
	done
}

rsyslog_conf "$R/r.conf"
receiver rsyslogd -n -iNONE -f "$R/r.conf"; RSYSLOG=$SINK
up u6514 6515 6516 6517 "$R/rs"
check "rsyslog: four formats over udp, tcp, tls and unix, both framings" t_rsyslog
check "rsyslog: gelf over tcp" t_gelf_tcp
check "a certificate that is not trusted" t_untrusted
check "rsyslog inside the container's network" t_inside
SINK=$RSYSLOG; unreceive
check "syslog-ng: four formats over udp, tcp, tls and unix, both framings" t_syslog_ng
check "FluentServer: acks" t_fluent_server localhost:6520 "" ""
check "FluentServer: acks, a unix socket" t_fluent_server "unix://$R/fl" "" ""
check "FluentServer: acks, tls" t_fluent_server tls://localhost:6520 "" "$R"
check "FluentServer: acks, shared key" t_fluent_server localhost:6520 key ""
check "FluentServer: acks, shared key, tls" t_fluent_server tls://localhost:6520 key "$R"
check "FluentServer: a wrong key" t_fluent_wrong_key
check "graygelf: gzip, zlib, none; chunks, split lines, bytes of any kind" t_graygelf
no_loggers() { [ -z "$(pids_of logger)" ]; }
UNTIL=25 until_ok no_loggers # of containers that were removed before their sinks had all
# shellcheck disable=SC2046 # a list of words
end_ours KILL $(cat "$R/pids")
