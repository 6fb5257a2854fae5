#!/bin/bash
# docker cp in all its forms, running and stopped; archives and zones that try to get out; export and diff.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar
engine_start; busybox_image
url() { echo "/containers/$C/archive?path=$1"; }

t_root_names() { # as clients expect them: "/" keeps its slash, "/./" is what is in it
	local p; D create --name "$C" busybox true >/dev/null; for p in "/:/etc/passwd" "/./:./etc/passwd" "./:./etc/passwd" "etc/./:./passwd" "/etc:etc/passwd"; do curl -s --unix-socket "$SOCK" "http://d/containers/$C/archive?path=${p%%:*}" | python3 -c 'import sys, tarfile; print("\n".join(m.name for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|")))' >"$T/l"; grep -qx "${p#*:}" "$T/l" || fail "$p: $(head -3 "$T/l")"; done
	rc 1 D cp "$C:/etc/passwd/" "$T/x"; has "$ERR" "not a directory"
}
t_read() {
	out D run -d --name "$C" --tmpfs /tf busybox sh -c 'mkdir -p /d/sub; echo a >/d/f; ln -s /d/f /lnk; ln -s /d /dlnk; ln -s /no/x /dang; echo hid >/tf/x; mkfifo /d/p; sleep 300'; until_ok D exec "$C" test -p /d/p
	D cp "$C:/d" - >"$T/a"; eq "$(tar tf "$T/a" | sort | tr '\n' ' ')" "d/ d/f d/p d/sub/ "; D cp "$C:/d/." - >"$T/a"; eq "$(tar tf "$T/a" | sort | tr '\n' ' ')" "./ ./f ./p ./sub/ "
	D cp "$C:/lnk" - >"$T/a"; has "$(tar tvf "$T/a")" "lnk -> /d/f"; out D cp -L "$C:/lnk" "$T/l"; eq "$(cat "$T/l")" a; out D cp "$C:/tf/x" "$T/x"; eq "$(cat "$T/x")" hid
	D cp "$C:/" - >"$T/a"; tar tf "$T/a" >"$T/l2" 2>/dev/null; grep -qE 'd/f$' "$T/l2" || fail "no d/f"; grep -qE '(native|proc/.|sys/.|dev/.|sdc-dockerinit)' "$T/l2" && fail "$(grep -E '(native|proc/.|sys/.|dev/.|sdc-dockerinit)' "$T/l2" | head -3)"
	rc 1 D cp "$C:/nope" "$T/n"; like "$ERR" "(Could not find the file /nope in container $C|No such container:path: $C:/nope)"; rc 1 D cp "$C:/native/usr" "$T/n"; like "$ERR" "Could not find the file|No such container:path"
	curl -sI --unix-socket "$SOCK" "http://d$(url /dlnk)" | tr -d '\r' | sed -n 's/^X-Docker-Container-Path-Stat: //Ip' | base64 -d >"$T/stat"; has "$(cat "$T/stat")" '"linkTarget":"/d"'; has "$(cat "$T/stat")" '"mode":134218239'
	api GET "$(url '')" >/dev/null; eq "$(status)" 400; api HEAD "/containers/no$C/archive?path=/" -I >/dev/null; eq "$(status)" 404
}
t_write() {
	out D run -d --name "$C" -u nobody -v "${C}r:/ro:ro" -v "${C}w:/rw" busybox sleep 300; echo new >"$T/n"; mkdir -p "$T/dir/f"
	out D exec -u 0 "$C" sh -c 'mkdir -p /d/sub; echo a >/d/f; ln -s /d/f /lnk; ln -s /d /dlnk'
	out D cp "$T/n" "$C:/lnk"; eq "$(D exec "$C" cat /d/f)" new; out D cp "$T/n" "$C:/dlnk/via"; eq "$(D exec "$C" cat /d/via)" new; out D cp "$T/n" "$C:/d/sub"; eq "$(D exec "$C" cat /d/sub/n)" new
	rc 1 D cp "$T/n" "$C:/ro/x"; has "$ERR" "mounted volume is marked read-only"; out D cp "$T/n" "$C:/rw/x"; eq "$(D exec "$C" cat /rw/x)" new
	rc 1 D cp "$T/dir/." "$C:/d"; has "$ERR" "cannot overwrite non-directory"; out D cp -a "$T/n" "$C:/d/a"; eq "$(D exec "$C" stat -c %u:%g /d/a)" 65534:65534
	chown 1234:77 "$T/n"; out D cp "$T/n" "$C:/d/o"; eq "$(D exec "$C" stat -c %u:%g /d/o)" 1234:77
	tar -C "$T" -czf "$T/z.tgz" n; api PUT "$(url /d/sub)" --data-binary "@$T/z.tgz"; eq "$(status)" 200; api PUT "$(url /d/f)" --data-binary "@$T/z.tgz" >/dev/null; eq "$(status)" 400; api PUT "$(url /nope)" --data-binary "@$T/z.tgz" >/dev/null; eq "$(status)" 404
	head -c 5000 "$T/z.tgz" >/dev/null; api PUT "$(url /d)" --data-binary "garbage that is no tar at all" >/dev/null; ne "$(status)" 200; D rm -f "$C" >/dev/null; D volume rm "${C}r" "${C}w" >/dev/null
}
t_not_running() {
	out D create --name "$C" -v "${C}w:/data/deep" -v "${C}r:/ro:ro" busybox sh -c 'cat /data/deep/y /tmp/x'; echo yy >"$T/y"
	out D cp "$T/y" "$C:/data/deep/y"; out D cp "$T/y" "$C:/tmp/x"; rc 1 D cp "$T/y" "$C:/ro/y"; has "$ERR" read-only
	tar -C "$T" -cf "$T/t.tar" --transform 's,^,ro/,' y; api PUT "$(url /)" --data-binary "@$T/t.tar" >/dev/null; ne "$(status)" 200 "into a read-only volume by its parent"
	out D start -a "$C"; eq "$OUT" $'yy\nyy'; out D cp "$C:/data/deep/y" "$T/back"; eq "$(cat "$T/back")" yy; eq "$(cat "$(D volume inspect -f '{{.Mountpoint}}' "${C}w")/y")" yy
	D rm -f "$C" >/dev/null; D volume rm "${C}r" "${C}w" >/dev/null; out D create --name "$C" --read-only busybox true; rc 1 D cp "$T/y" "$C:/x"; has "$ERR" "container rootfs is marked read-only"
}
t_hostile() {
	local up=../../../../../../../../../..; rm -f /tmp/sdc-evil*
	out D run -d --name "$C" --pid host busybox sleep 300; echo evil >"$T/n"; out D exec "$C" sh -c "mkdir /d; ln -s $up/tmp /esc; ln -s /proc/1/root/tmp /pr; ln -s /proc/1/root/etc/passwd /pw"
	out D cp "$T/n" "$C:/esc/sdc-evil1"; eq "$(D exec "$C" cat /tmp/sdc-evil1)" evil; D cp "$T/n" "$C:/pr/sdc-evil2" 2>/dev/null; rc 1 D cp -L "$C:/pw" "$T/pw"; rc 1 D cp "$C:/pr/" "$T/pr"
	python3 - "$T" "$up" <<-'P'
	import tarfile, io, sys
	d, up = sys.argv[1:]
	def f(t, n):
	    i = tarfile.TarInfo(n); i.size = 3; t.addfile(i, io.BytesIO(b'evl'))
	def l(t, n, to, ty=tarfile.SYMTYPE):
	    i = tarfile.TarInfo(n); i.type = ty; i.linkname = to; t.addfile(i)
	t = tarfile.open(d + '/1.tar', 'w'); l(t, 's', '/proc/1/root/tmp'); f(t, 's/sdc-evil3'); t.close()
	t = tarfile.open(d + '/2.tar', 'w'); l(t, 's2', up + '/tmp'); f(t, 's2/sdc-evil4'); t.close()
	t = tarfile.open(d + '/3.tar', 'w'); f(t, up + '/tmp/sdc-evil5'); t.close()
	t = tarfile.open(d + '/4.tar', 'w'); l(t, 'h', up + '/etc/passwd', tarfile.LNKTYPE); t.close()
	t = tarfile.open(d + '/5.tar', 'w'); f(t, '/tmp/sdc-evil6'); t.close()
	P
	for k in 1 2 3 4 5; do api PUT "$(url /d)" --data-binary "@$T/$k.tar" >/dev/null; done
	ls /tmp/sdc-evil* 2>/dev/null && fail "escaped"; out D exec "$C" ls /d/tmp; has "$OUT" sdc-evil6
	# a zone that swaps a directory for a link all the time while we write
	out D exec -d "$C" sh -c 'mkdir -p /race; while :; do mkdir /race/a; rmdir /race/a; ln -s /proc/1/root/tmp /race/a; rm /race/a; done'
	for k in $(seq 40); do D cp "$T/n" "$C:/race/a/sdc-evil7" 2>/dev/null; done; ls /tmp/sdc-evil* 2>/dev/null && fail "escaped by a race"; true
}
t_export_diff() {
	out D run --name "$C" -v "${C}w:/vol" busybox sh -c 'echo in >/vol/f; mkdir -p /a/b; echo x >/a/b/c; rm /etc/group; rm -r /usr; mkdir /usr; touch /usr/n; chmod 700 /home; touch /tmp/t && rm /tmp/t'
	D export "$C" >"$T/e"; tar tf "$T/e" >"$T/l"; grep -qx a/b/c "$T/l" || fail "no a/b/c"; grep -qE '^(native|vol/.|etc/group|usr/bin)' "$T/l" && fail "$(grep -E '^(native|vol/.|etc/group|usr/bin)' "$T/l")"; grep -qx etc/hosts "$T/l" || fail "no etc/hosts"
	out D diff "$C"; has "$OUT" "A /a/b/c"; has "$OUT" "D /etc/group"; has "$OUT" "C /usr"; has "$OUT" "D /usr/bin"; has "$OUT" "C /home"; hasnt "$OUT" native; hasnt "$OUT" dockerinit; hasnt "$OUT" hosts; D rm -f "$C" >/dev/null; D volume rm "${C}w" >/dev/null
	out D run -d --name "$C" busybox sh -c 'echo r >/running; sleep 300'; until_ok D exec "$C" test -s /running; D export "$C" >"$T/e"; eq "$(tar xOf "$T/e" running)" r; tar tf "$T/e" | grep -E '^(proc|sys|dev/pts)/.' && fail "mounts are exported"; out D diff "$C"; eq "$OUT" "A /running"
	out D create --name "${C}b" busybox true; out D diff "${C}b"; eq "$OUT" ""
}
t_big() { # 200 MB there and back
	head -c 200000000 /dev/urandom >"$T/big"; local s; s=$(sha256sum <"$T/big"); out D run -d --name "$C" busybox sleep 300; out D cp "$T/big" "$C:/big"; eq "$(D exec "$C" sha256sum /big | cut -c1-64)" "${s:0:64}"; out D cp "$C:/big" "$T/back"; eq "$(sha256sum <"$T/back")" "$s"; rm -f "$T/big" "$T/back"
}
t_client_goes() { # in the middle of a read and of a write: nothing is left, the zone can go on
	out D create --name "$C" busybox sleep 300; head -c 50000000 /dev/zero >"$T/z"; out D cp "$T/z" "$C:/z"; timeout 0.3 curl -s --limit-rate 10k --unix-socket "$SOCK" -o /dev/null "http://d$(url /z)"
	timeout 0.5 curl -s --limit-rate 10k --unix-socket "$SOCK" -X PUT -T "$T/z" "http://d$(url /)"; UNTIL=20 until_ok D start "$C" || fail "does not start"; until_ok no_helpers || fail "helpers are left"; rm -f "$T/z"
}
no_helpers() { [ -z "$(pids_of 'zoneadmd --rootfs')" ] && ! pgrep -P "$(pgrep -d, -P "$APISERVER_PID" -f -- --unpack-layer)" >/dev/null; }
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
