#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# zoneadmd and dockerinit without the daemons: bundles by hand, driven by zonectl. Needs root, busybox-static,
# crun; runc where it is installed.
set -u
cd "$(dirname "$0")/../.." || exit 2
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -x /bin/busybox ] && command -v crun >/dev/null || { echo "needs busybox-static and crun"; exit 77; }
make -s --no-print-directory build/release/bin/zonectl build/release/bin/zoneadmd build/release/bin/dockerinit || exit 1
make -s --no-print-directory VARIANT=asan build/asan/bin/zoneadmd || exit 1
B=$PWD/build/release/bin ASAN=$PWD/build/asan/bin # with failpoints
ADM=$B
T=$(mktemp -d /tmp/zt.XXXXXX)
pids=
fails=0
export ZONE_TAG=$$ # other runs of this test have cgroups of their own
cleanup() {
	for p in $pids; do
		grep -qsaF "$T" "/proc/$p/cmdline" || continue # it has ended, and the pid may be another's
		for c in $(cat "/proc/$p/task/$p/children" 2>/dev/null); do kill -9 "$c" 2>/dev/null; done
		kill -9 "$p" 2>/dev/null
	done
	rm -rf "$T"
}
trap cleanup EXIT

mk() { U=$(python3 tests/e2e/zone_bundle.py "$T" "$B" "$@") || exit 1; S=$T/run/zones/$U/zoneadmd.sock; }
up() {
	rm -f "$T/ready"
	"$ADM/zoneadmd" --uuid "$U" --zones "$T/zones" --run "$T/run" --ready-fd 3 3>"$T/ready" 2>>"$T/log" </dev/null >/dev/null &
	Z=$!; pids="$pids $Z"
	for _ in $(seq 2000); do [ -s "$T/ready" ] && break; sleep 0.005; done
	[ "$(od -An -c "$T/ready" | tr -d ' ')" = '\0' ] || { echo "NOT OK not ready: $(cat "$T/ready")"; fails=$((fails + 1)); }
}
zc() { "$B/zonectl" "$S" "$@"; }
# go KEY=JSON...: runs a zone to its end; OUT, ERR, RC
go() { mk "$@"; up; OUT=$(zc run -q 2>"$T/err"); RC=$?; ERR=$(cat "$T/err"); }
ok() { if [ "$2" = "$3" ]; then echo "ok $1"; else echo "NOT OK $1: '$2' is not '$3'"; fails=$((fails + 1)); fi; }
has() { case $2 in *"$3"*) echo "ok $1" ;; *) echo "NOT OK $1: '$2' lacks '$3'"; fails=$((fails + 1)) ;; esac; }

zc_start() { mk "$@"; up; zc start >/dev/null; }

go 'cmd=["sh","-c","echo out; echo err >&2; exit 3"]'
ok "stdout" "$OUT" out; ok "stderr" "$ERR" err; ok "exit status" "$RC" 3
ok "exit.json in the run directory" "$(ls "$T/run/zones/$U")" exit.json
has "exit.json in the zone" "$(cat "$T/zones/$U/config/exit.json")" '"exit_code":3,'
has "dockerinit's log" "$(cat "$T/zones/$U/logs/dockerinit.log")" "exec /bin/sh"
ok "nothing of ours in the upper layer" "$(find "$T/zones/$U/diff" -type f)" ""
ok "runtime state is gone" "$(ls "$T/run/runtime")" ""

P="OCI runtime create failed: runc create failed: unable to start container process: error during container init:"
go 'cmd=["nosuch"]'; ok "not found" "$RC" 127; has "not found" "$ERR" "$P exec: \"nosuch\": executable file not found in \$PATH: unknown"
go 'cmd=["/no/such"]'; ok "no file" "$RC" 127; has "no file" "$ERR" 'exec: "/no/such": stat /no/such: no such file or directory'
go 'cmd=["/etc"]'; ok "directory" "$RC" 126; has "directory" "$ERR" "permission denied"
go 'cmd=["/bin/noexec"]'; ok "not executable" "$RC" 126; has "not executable" "$ERR" "permission denied"
go 'cmd=["/bin/badformat"]'; ok "bad format" "$RC" 255; has "bad format" "$ERR" "exec /bin/badformat: exec format error"
go 'user="nobody"'; ok "no user" "$RC" 128; has "no user" "$ERR" "unable to find user nobody: no matching entries in passwd file"
go 'cmd=["true"]' 'mounts=[{"destination":"/x","type":"bind","source":"/nonexistent","options":["rbind"]}]'
ok "runtime error" "$RC" 127; has "runtime error" "$ERR" "/nonexistent"
printf '#!/bin/sh\nexec sleep 300\n' >"$T/waits"; chmod +x "$T/waits"
ADM=$ASAN; export SDC_FAILPOINTS="zone.late=fail" # its deadline comes soon
go 'cmd=["true"]' "runtime=\"$T/waits\""; ok "a runtime that waits" "$RC" 128; has "a runtime that waits" "$ERR" "the zone did not start within 100 seconds"
ADM=$B; unset SDC_FAILPOINTS
go scratch=true 'cmd=["/native/usr/sbin/mdata-get","sdc:uuid"]'; ok "scratch image" "$OUT" "$U"
go 'cmd=["sh","-c","kill -9 $$; exec 1>&-; sleep 0.05; exit 4"]'; ok "kill oneself as PID 1" "$RC" 4

go 'cmd=["id"]' 'user="bob"'; ok "user" "$OUT" "uid=1000(bob) gid=1000(bob) groups=10(wheel),1000(bob)"
go 'cmd=["id"]' 'user="7:9"' 'group_add=["adm","77"]'; ok "ids" "$OUT" "uid=7 gid=9 groups=4(adm),9,77"
go 'cmd=["sh","-c","echo a >/dev/stdout; echo b >/dev/stderr; pwd; umask; echo $HOME $HOSTNAME $A"]' 'user="bob"' 'caps=[]' \
	'workdir="/made/here"' 'umask=63' 'env=["A=1"]' 'hostname="hh"'
ok "own stdout" "$OUT" $'a\n/made/here\n0077\n/home/bob hh 1'; ok "own stderr" "$ERR" b
BIG=$(head -c 90000 /dev/zero | tr '\0' a)
go 'cmd=["sh","-c","echo ${#A}"]' "env=[\"A=$BIG\"]"; ok "large environment" "$OUT" 90000
go 'cmd=["cat","/proc/self/status"]'
ok "status of PID 1" "$(echo "$OUT" | grep -E "^(Cap|NoNew|Seccomp:|Groups|Uid|SigIgn|SigBlk)" | tr -s "\t " " ")" 'Uid: 0 0 0 0
Groups: 0 10 
SigBlk: 0000000000000000
SigIgn: 0000000000000000
CapInh: 0000000000000000
CapPrm: 00000000a80425fb
CapEff: 00000000a80425fb
CapBnd: 00000000a80425fb
CapAmb: 0000000000000000
NoNewPrivs: 0
Seccomp: 0'
go 'cmd=["ls","/proc/1/fd"]'; ok "descriptors of PID 1" "$OUT" $'0\n1\n2\n3' # 3 is ls's own
go 'cmd=["sh","-c","grep -E \"^(Cap|NoNew)\" /proc/1/status | tr -s \"\\t \" \" \""]' 'user="bob"' 'caps=["KILL"]' nnp=true
ok "status of a user's PID 1" "$OUT" 'CapInh: 0000000000000000
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapBnd: 0000000000000020
CapAmb: 0000000000000000
NoNewPrivs: 1'
# allows all but mkdir and mkdirat: 83, 258 -> EPERM
BPF=$(python3 - <<'PY'
import base64, struct
i = [(0x20, 0, 0, 0), (0x15, 2, 0, 83), (0x15, 1, 0, 258), (0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x50001)]
print(base64.b64encode(b"".join(struct.pack("<HBBI", *x) for x in i)).decode())
PY
)
go 'cmd=["sh","-c","mkdir /x; grep -E \"^(CapBnd|Seccomp)\" /proc/1/status | tr -s \"\\t \" \" \""]' "seccomp=\"$BPF\""
ok "seccomp" "$OUT" $'CapBnd: 00000000a80425fb\nSeccomp: 2\nSeccomp_filters: 1'; has "seccomp" "$ERR" "Operation not permitted"
go 'cmd=["sh","-c","echo x >/native/usr/sbin/dockerinit; mv /native /n; touch /f"]' readonly=true
has "native is read-only" "$ERR" "can't create /native/usr/sbin/dockerinit: Read-only"; has "root is read-only" "$ERR" "/f: Read-only"

go 'cmd=["sh","-c","tty; stty size; echo $TERM"]' tty=true; ok "tty" "$OUT" $'/dev/pts/0\r\n33 99\r\nxterm\r'
go 'cmd=["seq","1","100000"]' tty=true; ok "tty keeps all" "$(printf %s "$OUT" | tr -d '\r' | md5sum)" "$(seq 1 100000 | head -c -1 | md5sum)"
go 'cmd=["seq","1","300000"]'; ok "pipe keeps all" "$(printf %s "$OUT" | md5sum)" "$(seq 1 300000 | head -c -1 | md5sum)"
mk 'cmd=["cat"]' open_stdin=true; up; zc run -q >"$T/out" & W=$!
sleep 0.3; zc stdin "typed in"; zc closestdin; wait $W; ok "stdin" "$(cat "$T/out")" "typed in"
go 'cmd=["sh","-c","(sleep 0.05; exit 7) & ps | grep docker-init | head -1; wait; exit 4"]' init=true
ok "init: status" "$RC" 4; has "init: name" "$OUT" "1 root     /sbin/docker-init -- sh -c"
go 'cmd=["sh","-c","kill -9 $$"]' init=true; ok "init: killed" "$RC" 137
go 'cmd=["sh","-c","head -c 60m /dev/zero | tail"]' memory=20000000
has "oom" "$(cat "$T/run/zones/$U/exit.json")" '"oom_killed":true'; has "oom event" "$ERR" "[oom]"

go 'cmd=["sh","-c","echo r; exit 1"]' 'restart={"name":"on-failure","max":2}'
ok "restarts" "$OUT" $'r\nr\nr'; has "restart count" "$(cat "$T/run/zones/$U/exit.json")" '"restart_count":2'
mk 'cmd=["sh","-c","sleep 0.05"]' 'restart={"name":"always","max":0}'; up; zc run -q >/dev/null 2>&1 & W=$!
sleep 1; zc policy "" 0 1; wait $W; has "stopped by the user" "$(cat "$T/run/zones/$U/exit.json")" '"will_restart":false'

zc_start 'cmd=["sleep","300"]'
ok "exec" "$(zc exec -q -i id)" "uid=0(root) gid=0(root) groups=0(root),10(wheel)"
ok "exec: user, directory, environment" "$(zc exec -q -u bob -w /tmp -e A=1 sh -c 'id -un; pwd; echo $A $HOME')" $'bob\n/tmp\n1 /home/bob'
zc exec -q sh -c 'exit 5'; ok "exec: status" $? 5
zc exec -q nosuch 2>"$T/err"; ok "exec: not found" $? 127
has "exec: not found" "$(cat "$T/err")" 'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown'
zc exec -q -u nobody id 2>"$T/err"; has "exec: no user" "$(cat "$T/err")" "unable to find user nobody"
ok "exec: tty" "$(zc exec -q -t sh -c 'tty; stty size')" $'/dev/pts/0\r\n31 97\r'
# no pipe in there: the shell itself would hold its end while ls looks
ok "exec: fds" "$(zc exec -q sh -c 'ls /proc/$$/fd; :' | xargs)" "0 1 2"
ok "exec: capabilities" "$(zc exec -q -c CAP_KILL sh -c 'grep -E "^Cap(Eff|Bnd)" /proc/self/status | tr -s "\t " " "')" $'CapEff: 0000000000000020\nCapBnd: 0000000000000020'
INIT=$(zc state | sed 's/.*pid=\([0-9]*\).*/\1/')
ok "exec: cgroups" "$(zc exec -q cat /proc/self/cgroup)" "$(cat "/proc/$INIT/cgroup")"
zc exec -q -d touch /done; for _ in $(seq 50); do [ -e "$T/zones/$U/diff/done" ] && break; sleep 0.02; done
ok "exec: detached" "$(ls "$T/zones/$U/diff")" "done"
ok "execs at once" "$(for _ in $(seq 40); do zc exec -q echo x & done; wait)" "$(for _ in $(seq 40); do echo x; done)"
zc freeze 1; zc exec -q true 2>"$T/err"; has "exec: paused" "$(cat "$T/err")" "is paused, unpause the container before exec"; zc freeze 0
G=$(sed -n 's/^[0-9]*:freezer://p' "/proc/$INIT/cgroup")
if [ -n "$G" ]; then
	echo FROZEN >"/sys/fs/cgroup/freezer$G/freezer.state"
	zc exec -q true 2>"$T/err"; has "exec: frozen" "$(cat "$T/err")" "is paused, unpause the container before exec"
	echo THAWED >"/sys/fs/cgroup/freezer$G/freezer.state"
fi
ok "exec: dockerinit's file is read-only" "$(zc exec -q sh -c 'echo >/proc/self/exe' 2>&1 | grep -c "Read-only\|busy")" 1
zc meta user-key "from outside"; ok "metadata set" "$(zc exec -q /native/usr/sbin/mdata-get user-key)" "from outside"
M=/native/usr/sbin
ok "mdata-put, -list, -get" "$(zc exec -q sh -c "$M/mdata-put k 'v w'; echo more | $M/mdata-put k2; $M/mdata-list | sort; $M/mdata-get k; $M/mdata-get k2")" $'k\nk2\nuser-key\nv w\nmore'
ok "mdata statuses" "$(zc exec -q sh -c "$M/mdata-get no 2>/dev/null; echo \$?; $M/mdata-put sdc:x y 2>/dev/null; echo \$?; $M/mdata-get 2>/dev/null; echo \$?; $M/mdata-delete k; echo \$?; $M/mdata-get k 2>/dev/null; echo \$?")" $'1\n2\n3\n0\n1'
python3 - "$T/run/zones/$U/zonecontrol/metadata.sock" <<'PY' || fails=$((fails + 1))
# V1, V2 and hostile peers
import socket, sys, os, base64, zlib
def conn():
    s = socket.socket(socket.AF_UNIX); s.settimeout(5)
    d = os.open(os.path.dirname(sys.argv[1]), os.O_PATH)
    s.connect(f"/proc/self/fd/{d}/metadata.sock"); os.close(d)
    return s, s.makefile("rwb", buffering=0)
s, f = conn()
def ask(line): f.write(line); return f.readline()
assert ask(b"\n") == b"invalid command\n"
assert ask(b"DOCKERINIT\n") == b"invalid command\n"
assert ask(b"GET nope\n") == b"NOTFOUND\n"
assert ask(b"GET user-key\n") == b"SUCCESS\n" and f.readline() == b"from outside\n" and f.readline() == b".\n"
assert ask(b"NEGOTIATE V2\n") == b"V2_OK\n"
def v2(word, payload=None):
    body = f"deadbeef {word}" + ("" if payload is None else " " + base64.b64encode(payload).decode())
    r = ask(f"V2 {len(body)} {zlib.crc32(body.encode()):08x} {body}\n".encode()).decode().split()
    return r[4], base64.b64decode(r[5]).decode() if len(r) > 5 else ""
assert v2("GET", b"user-key") == ("SUCCESS", "from outside")
assert v2("KEYS")[0] == "SUCCESS"
kv = base64.b64encode(b"dots") + b" " + base64.b64encode(b".a\n..b\n")
assert v2("PUT", kv) == ("SUCCESS", "")
assert v2("GET", b"dots") == ("SUCCESS", ".a\n..b\n")
assert v2("PUT", base64.b64encode(b"docker:user") + b" " + base64.b64encode(b"x"))[0] == "FAILURE"
assert v2("PUT", b"!!")[0] == "FAILURE"
assert v2("PUT", base64.b64encode(b"big") + b" " + base64.b64encode(b"x" * 65537))[0] == "FAILURE"
assert v2("DELETE", b"dots") == ("SUCCESS", "")
f.write(b"V2 5 00000000 garbage\n")  # dropped
assert v2("GET", b"nope") == ("NOTFOUND", "")
s2, f2 = conn()
f2.write(b"GET user-key\n" * 3000)
b = s2.makefile("rb")
assert sum(b.readline() == b"from outside\n" for _ in range(9000)) == 3000
many = [conn() for _ in range(40)]     # the oldest are dropped, the service lives
s2, f2 = conn()
try:
    f2.write(b"x" * 400000)
except OSError:
    pass
s3, f3 = conn()
f3.write(b"GET user-key\n" * 20000)     # answers that nobody takes
s, f = conn()
assert ask(b"GET user-key\n") == b"SUCCESS\n"
PY
ok "metadata protocol" $? 0
sleep 0.6
RSS=$(awk '/^Private_Dirty:/{print $2}' "/proc/$Z/smaps_rollup"); echo "# zoneadmd's own memory after that: $RSS KiB"
kill -TERM $Z; kill -HUP $Z; zc kill 15; sleep 0.1; has "survives signals" "$(zc state)" "status=1"
zc kill 9; for _ in $(seq 100); do [ -e "$T/run/zones/$U/exit.json" ] && break; sleep 0.02; done
has "killed" "$(cat "$T/run/zones/$U/exit.json")" '"exit_code":137'

zc_start 'cmd=["sleep","300"]' 'user="bob"' 'rlimits=[{"type":"RLIMIT_NOFILE","soft":1000,"hard":2000}]'
ok "exec in a user's zone" "$(zc exec -q sh -c 'id -u; ulimit -n; ulimit -Hn')" $'0\n1000\n2000'
ok "exec in a user's zone: tty" "$(zc exec -q -t -u bob sh -c 'id -u; tty; echo >/dev/stdout')" $'1000\r\n/dev/pts/0\r\n\r'
zc kill 9; sleep 0.1

zc_start 'cmd=["sh","-c","sleep 0.2; echo unread"]'; sleep 0.5
has "output that nobody took keeps the zone" "$(zc state)" "status=2"
ok "and it is not lost" "$(zc watch -q)" unread

zc_start 'cmd=["sleep","300"]'
INIT=$(zc state | sed 's/.*pid=\([0-9]*\).*/\1/')
has "state.json" "$(cat "$T/run/zones/$U/state.json")" "\"pid\":$INIT,"
kill -9 $Z; sleep 0.1
ok "kill -9 of zoneadmd leaves the zone" "$(cat "/proc/$INIT/comm")" sleep
kill -9 "$INIT" # the machine's init reaps it when it likes; until then its cgroups are busy
for _ in $(seq 200); do [ -e "/proc/$INIT" ] || break; sleep 0.1; done
for d in /sys/fs/cgroup/*/sdczt$ZONE_TAG-* /sys/fs/cgroup/sdczt$ZONE_TAG-*; do [ -d "$d" ] && rmdir "$d"; done

mk 'cmd=["cat","/vol/f"]' "mounts=[{\"destination\":\"/vol\",\"type\":\"bind\",\"source\":\"$T/vol\",\"options\":[\"rbind\"]}]"
mkdir "$T/vol"; echo in volume >"$T/vol/f"; mkdir "$T/zones/$U/diff/vol"
ok "rootfs helper" "$(python3 - "$ADM/zoneadmd" "$T/zones/$U/config/zone.json" <<'PY'
import socket, subprocess, sys, os, array
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
p = subprocess.Popen([sys.argv[1], "--rootfs", sys.argv[2]], stdin=b); b.close()
msg, fds, _, _ = socket.recv_fds(a, 100, 1)
print(msg.decode().strip(), open(os.open("vol/f", os.O_RDONLY, dir_fd=fds[0])).read().strip(),
      os.path.exists(f"/proc/self/fd/{fds[0]}/bin/busybox"))
a.close(); print(p.wait(5))
PY
)" $'OK in volume True\n0'

LOWERS=$(python3 -c "
import json, os, sys
l = []
for i in range(300):
    d = f'$T/lib/many-{i:04d}-with-a-rather-long-name-so-that-the-options-do-not-fit'; os.makedirs(d, exist_ok=True); open(f'{d}/f{i}', 'w').close(); l.append(d)
print(json.dumps(l))")
go "lowers=$LOWERS" 'cmd=["sh","-c","ls / | grep -c ^f[0-9]"]'; ok "300 layers" "$OUT" 300
if command -v runc >/dev/null; then
	go "runtime=\"$(command -v runc)\"" 'cmd=["sh","-c","id -u; exit 6"]'; ok "runc" "$OUT $RC" "0 6"
	go "runtime=\"$(command -v runc)\"" tty=true 'cmd=["tty"]'; ok "runc: tty" "$OUT" $'/dev/pts/0\r'
	go "runtime=\"$(command -v runc)\"" 'cmd=["nosuch"]'; ok "runc: not found" "$RC" 127
fi
ok "no cgroup is left" "$(ls -d /sys/fs/cgroup/*/sdczt$ZONE_TAG-* /sys/fs/cgroup/sdczt$ZONE_TAG-* 2>/dev/null)" ""
ok "nothing is mounted" "$(grep -c "$T" /proc/self/mountinfo)" 0
[ $fails = 0 ] || { echo "$fails failed; zoneadmd's log:"; tail -20 "$T/log"; }
exit $((fails > 0))
