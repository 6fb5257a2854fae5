#!/bin/bash
# docker run: what a user asks for is what the process gets; exit statuses and messages are Docker's.
. "$(dirname "$0")/lib.sh"
need docker curl busybox
engine_start; busybox_image

t_echo() { out D run --rm busybox echo hello; eq "$OUT" hello; }
t_streams_apart() { out D run --rm busybox sh -c 'echo o; echo e >&2'; eq "$OUT" o; eq "$ERR" e; }
t_exit_codes() {
	rc 7 D run --rm busybox sh -c 'exit 7'
	rc 137 D run --rm busybox sh -c 'sh -c "kill -9 \$\$"; exit $?'
}
t_exit_signal() { out D run -d --init --name "$C" busybox sleep 300; until_ok sh -c "docker top $C | grep -q sleep"; out D kill -s QUIT "$C"; out D wait "$C"; eq "$OUT" 131; }
t_125() { rc 125 D run --rm no-such-image-here true; has "$ERR" "no-such-image-here"; }
t_126() { rc 126 D run --rm busybox /etc; has "$ERR" "permission denied"; }
t_127() {
	rc 127 D run --rm busybox /no/such; has "$ERR" "no such file or directory"
	rc 127 D run --name "$C" busybox nosuch; has "$ERR" 'exec: "nosuch": executable file not found in $PATH'
	eq "$(i "$C" '{{.State.Status}} {{.State.ExitCode}}')" "created 127"
}
t_user() {
	out D run --rm -u 1234:5678 busybox id; has "$OUT" "uid=1234 gid=5678"
	out D run --rm -u nobody busybox id -u; eq "$OUT" 65534
	out D run --rm --group-add wheel --group-add 777 busybox id; like "$OUT" '10\(wheel\)'; has "$OUT" 777
	rc 125 D run --rm -u nosuchuser busybox id; has "$ERR" "unable to find user nosuchuser: no matching entries in passwd file"
}
t_env_dir_host() {
	out D run --rm -e A=1 -e HOME=/x -w /a/b -h hh --domainname ex.test busybox sh -c 'echo $A $HOME; pwd; hostname; cat /etc/hostname /etc/hosts'
	eq "$(head -4 <<<"$OUT")" $'1 /x\n/a/b\nhh\nhh'; like "$OUT" $'[0-9.]+[\t ]hh.ex.test hh'
	out D run --rm busybox env; has "$OUT" "PATH=/usr/local/sbin"; has "$OUT" "HOME=/root"; has "$OUT" "HOSTNAME="
	out env -u HOSTNAME docker run --rm -e HOSTNAME busybox env; hasnt "$OUT" "HOSTNAME"; has "$OUT" "HOME=/root"
}
t_tty() { out D run --rm -t busybox sh -c 'tty; echo $TERM'; has "$OUT" /dev/; has "$OUT" xterm; like "$OUT" $'\r'; }
t_stdin() {
	OUT=$(echo in | D run -i --rm busybox cat); eq "$OUT" in
	OUT=$(echo in | D run --rm busybox sh -c 'cat; echo end'); eq "$OUT" end
	head -c 3000000 /dev/urandom >"$T/big"
	eq "$(D run -i --rm busybox md5sum <"$T/big" | cut -d' ' -f1)" "$(md5sum <"$T/big" | cut -d' ' -f1)"
}
t_rootfs_flags() {
	rc 1 D run --rm --read-only busybox touch /x; has "$ERR" "Read-only file system"
	out D run --rm --read-only --tmpfs /t:size=3m,mode=700 busybox sh -c 'touch /t/x && grep " /t " /proc/mounts'; has "$OUT" size=3072k; has "$OUT" noexec
	out D run --rm --shm-size 16m busybox df -k /dev/shm; has "$OUT" 16384
}
t_capabilities() {
	out D run --rm busybox grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/1/status
	eq "$(tr -s '\t' ' ' <<<"$OUT")" $'CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\nCapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000'
	out D run --rm -u 1000 busybox grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/1/status
	eq "$(tr -s '\t' ' ' <<<"$OUT")" $'CapInh: 0000000000000000\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000'
	out D run --rm --cap-drop ALL --cap-add NET_ADMIN busybox grep CapEff /proc/1/status; has "$OUT" 0000000000001000
	rc 1 D run --rm --cap-drop CHOWN busybox chown 1 /etc/passwd; has "$ERR" "Operation not permitted"
	rc 125 D run --rm --cap-add NOSUCH busybox true; has "$ERR" 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'
}
t_seccomp() {
	out D run --rm busybox grep -E '^(Seccomp|NoNewPrivs)' /proc/1/status; eq "$(tr -s '\t' ' ' <<<"$OUT")" $'NoNewPrivs: 0\nSeccomp: 2\nSeccomp_filters: 1'
	out D run --rm --security-opt seccomp=unconfined --security-opt no-new-privileges busybox grep -E '^(Seccomp|NoNewPrivs)' /proc/1/status
	has "$(tr -s '\t' ' ' <<<"$OUT")" $'NoNewPrivs: 1\nSeccomp: 0'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$T/p.json"
	rc 1 D run --rm --security-opt seccomp="$T/p.json" busybox mkdir /x; has "$ERR" "Operation not permitted"
	# a profile that forbids what dockerinit itself needs still works
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["setuid","setgroups","setresuid","socket","connect","capset"],"action":"SCMP_ACT_ERRNO"}]}' >"$T/p.json"
	out D run --rm -u 1000 --security-opt seccomp="$T/p.json" busybox id -u; eq "$OUT" 1000
}
t_limits() {
	local d=/sys/fs/cgroup
	if [ -d $d/memory ]; then
		out D run --rm -m 64m --cpus 0.5 --pids-limit 20 busybox sh -c "cat $d/memory/memory.limit_in_bytes $d/cpu*/cpu.cfs_quota_us $d/pids/pids.max"
		eq "$(sort -u <<<"$OUT" | tr '\n' ' ')" "20 50000 67108864 "
	fi
	rc 125 D run --rm -m 1m busybox true; has "$ERR" "Minimum memory limit allowed is 6MB"
	rc 125 D run --rm --cpus 9999 busybox true; has "$ERR" "Range of CPUs is from 0.01 to"
	out D run --rm --ulimit nofile=123:456 busybox sh -c 'ulimit -Sn; ulimit -Hn'; eq "$OUT" $'123\n456'
	out D run --rm --sysctl net.ipv4.ip_default_ttl=77 busybox cat /proc/sys/net/ipv4/ip_default_ttl; eq "$OUT" 77
	out D run --rm --oom-score-adj 500 busybox cat /proc/1/oom_score_adj; eq "$OUT" 500
}
t_oom() {
	rc 137 D run --name "$C" -m 16m --memory-swap 16m busybox sh -c 'x=a; while :; do x=$x$x$x$x; done'
	eq "$(i "$C" '{{.State.OOMKilled}} {{.State.ExitCode}}')" "true 137"
}
t_oom_waits() { # without the OOM killer nothing is killed, but it is told
	[ -e /sys/fs/cgroup/memory/memory.oom_control ] || return 0
	local since; since=$(date +%s); out D run -d --name "$C" -m 16m --memory-swap 16m --oom-kill-disable busybox sh -c 'x=a; while :; do x=$x$x$x$x; done'
	until_ok sh -c "docker events --since $since --until 0s --filter event=oom --filter container=$C | grep -q oom" || fail "no event"; eq "$(i "$C" '{{.State.OOMKilled}} {{.State.Running}}')" "true true"
}
t_not_over_proc() {
	local m; for m in "-v /tmp:/proc" "-v /proc" "--tmpfs /proc" "-v /tmp:/proc/1/../sys"; do rc 125 D run --rm $m busybox true; like "$ERR" "cannot be mounted because it is (not of type proc|inside /proc)"; done
	echo up >"$T/up"; out D run --rm -v "$T/up:/proc/uptime" busybox cat /proc/uptime; eq "$OUT" up
}
t_workdir_at_create() { # there before the first start, as in Docker
	out D create -w /new/er/dir --name "$C" busybox true; has "$(D diff "$C")" "A /new/er/dir"; out D cp "$C:/new/er" "$T/er"; [ -d "$T/er/dir" ] || fail "cp"
	out D create -w /etc --name "${C}b" busybox true; eq "$(D diff "${C}b")" ""; rc 1 D create -w /etc/passwd busybox true; has "$ERR" "Cannot mkdir: /etc/passwd is not a directory"
}
t_cgroup_parent() { # cleaned: nothing leads above the top
	local g=sdcparent$$; out D run -d --name "$C" --cgroup-parent "../../$g/./a/../b" busybox sleep 300; has "$(cat "/proc/$(i "$C" '{{.State.Pid}}')/cgroup")" ":/$g/b/$(i "$C" '{{.Id}}')"; eq "$(i "$C" '{{.HostConfig.CgroupParent}}')" "../../$g/./a/../b"
	D rm -f "$C" >/dev/null; find /sys/fs/cgroup -maxdepth 3 -depth -path "*/$g*" -type d -exec rmdir {} + 2>/dev/null; true
}
t_init() {
	out D run --rm --init busybox sh -c 'tr "\0" " " </proc/1/cmdline'; has "$OUT" docker-init
	rc 9 D run --rm --init busybox sh -c 'exit 9'
}
t_namespaces() {
	out D run -d --name "$C" --ipc shareable --hostname one busybox sleep 296
	out D run --rm --pid "container:$C" busybox ps; has "$OUT" "sleep 296"
	out D run --rm --pid host busybox sh -c 'ls -d /proc/[0-9]* | wc -l'; [ "$OUT" -gt 10 ] || fail "only $OUT processes"
	out D exec "$C" touch /dev/shm/mark; out D run --rm --ipc "container:$C" busybox ls /dev/shm; eq "$OUT" mark
	out D run --rm --uts host busybox hostname; eq "$OUT" "$(hostname)"
	out D run --rm --network "container:$C" busybox hostname; eq "$OUT" one
}
t_privileged_and_devices() {
	out D run --rm --privileged busybox sh -c 'ls /dev | wc -l; grep Seccomp: /proc/1/status'; has "$OUT" $'Seccomp:\t0'
	out D run --rm --device /dev/null:/dev/mynull:rw busybox sh -c 'echo x >/dev/mynull && stat -c %t:%T /dev/mynull'; eq "$OUT" 1:3
	rc 127 D run --rm --device /dev/nosuch busybox true; has "$ERR" "/dev/nosuch"
}
t_runc() { command -v runc >/dev/null || return 0; out D run --rm --runtime runc busybox echo by runc; eq "$OUT" "by runc"; rc 125 D run --rm --runtime nosuch busybox true; has "$ERR" "nosuch"; }
t_stop() {
	out D run -d --name "$C" --stop-signal USR1 busybox sh -c 'trap "exit 42" USR1; touch /up; while :; do sleep 0.05; done'
	until_ok D exec "$C" test -e /up || fail "not up"; out D stop "$C"; eq "$(i "$C" '{{.State.ExitCode}}')" 42
	out D run -d --name "${C}b" --stop-timeout 1 busybox sh -c 'trap "" TERM; while :; do sleep 0.05; done'
	local s=$SECONDS; out D stop "${C}b"; [ $((SECONDS - s)) -le 5 ] || fail slow; eq "$(i "${C}b" '{{.State.ExitCode}}')" 137
}
t_rm_and_a_slow_reader() { # the container is removed while its last output still waits for the client
	mkfifo "$T/f"; D run --rm --name "$C" busybox head -c 2200000 /dev/zero >"$T/f" &
	exec 8<"$T/f"; until_ok D inspect "$C"; until_ok gone_container "$C" || fail "it waits for its reader"
	eq "$(wc -c <&8)" 2200000; exec 8<&-; wait
}
gone_container() { ! D inspect "$1"; }
t_scratch() { # no /etc/passwd, no shell, no /var/log
	mkdir -p "$T/s"; cp "$(command -v busybox)" "$T/s/busybox"
	tar -C "$T/s" -c . | D import -c 'ENTRYPOINT ["/busybox"]' - scr >/dev/null || fail import
	out D run --rm scr echo hi; eq "$OUT" hi
	out D run --rm --read-only -u 5 scr id -u; eq "$OUT" 5
	out D run --name "$C" scr echo x; out D diff "$C"; eq "$OUT" ""
}
t_passwd_is_a_fifo() { # nobody waits for what a container has put there
	out D run --name "$C" busybox sh -c 'rm -f /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group'
	out timeout 20 docker start -a "$C"; eq "$(i "$C" "{{.State.ExitCode}}")" 0
	out D commit -c 'CMD ["echo","runs"]' "$C" fifo; out timeout 20 docker run --rm fifo; eq "$OUT" runs
	rc 125 timeout 20 docker run --rm -u nobody fifo; has "$ERR" "unable to find user nobody"; out D rmi fifo
}
t_nothing_of_ours_shows() {
	out D run --name "$C" busybox sh -c 'ls -la /native >/dev/null; echo x >/made'
	out D diff "$C"; eq "$OUT" "A /made"
	D export "$C" | tar t >"$T/list"; grep -qx made "$T/list" || fail "no /made"; grep -E 'native|dockerinit' "$T/list" && fail "ours in the export"
	out D commit "$C" "$C:img"; D save "$C:img" | tar xO --wildcards '*/layer.tar' 2>/dev/null | grep -c native
	out D rmi "$C:img"
}
t_mdata() {
	out D run --name "$C" --label a.b=c busybox sh -c '/native/usr/sbin/mdata-get sdc:uuid; /native/usr/sbin/mdata-get docker:label:a.b; /native/usr/sbin/mdata-put k v && /native/usr/sbin/mdata-get k; /native/usr/sbin/mdata-delete k; /native/usr/sbin/mdata-get k; echo $?; /native/usr/sbin/mdata-put sdc:uuid x; echo $?'
	eq "$(head -3 <<<"$OUT")" "$(uuid_of "$C")"$'\nc\nv'; eq "$(tail -2 <<<"$OUT" | head -1)" 1; eq "$(tail -1 <<<"$OUT")" 2
}
t_dockerinit_log() { out D run --rm busybox cat /var/log/sdc-dockerinit.log; [ -n "$OUT" ] || fail "empty"; }
t_attach_before_first_byte() { local k; for k in 1 2 3 4 5 6 7 8 9 10; do rc 3 D run --rm busybox sh -c "echo first; exit 3"; eq "$OUT" first; done; }
t_anonymous_volume_handed_on() { # the last one that uses it takes it along, also where it came by --volumes-from
	out D create -v /data --name "$C" busybox true; local v; v=$(i "$C" '{{(index .Mounts 0).Name}}'); out D create --volumes-from "$C" --name "${C}b" busybox true; eq "$(D events --since 0 --until "$(($(date +%s) + 1))" --filter "volume=$v" --filter event=create --format '{{.Action}}')" create
	D rm -v "$C" >/dev/null; out D volume inspect "$v"; D rm -v "${C}b" >/dev/null; rc 1 D volume inspect "$v"
}
t_rm_and_anonymous_volume() {
	out D run --rm -v /anon --name "$C" busybox true; rc 1 D inspect "$C"; eq "$(D volume ls -q)" ""
}

for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
