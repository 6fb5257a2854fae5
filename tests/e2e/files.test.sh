#!/bin/bash
# Files: cp, diff, export, import, commit, volumes, binds; images: save, load, tag, rmi, history.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar
engine_start; busybox_image

t_cp() {
	out D run -d --name "$C" busybox sleep 300; mkdir -p "$T/d/sub"; echo one >"$T/d/sub/f"; chmod 640 "$T/d/sub/f"; ln -s sub/f "$T/d/l"
	out D cp "$T/d" "$C:/tmp"; eq "$(D exec "$C" cat /tmp/d/l)" one; eq "$(D exec "$C" stat -c %a /tmp/d/sub/f)" 640
	out D cp "$C:/tmp/d/." "$T/back"; eq "$(cat "$T/back/sub/f")" one; [ -L "$T/back/l" ] || fail "link"; out D cp -L "$C:/tmp/d/l" "$T/l"; eq "$(cat "$T/l")" one
	rc 1 D cp "$C:/nosuch" "$T/x"; like "$ERR" "(Could not find the file /nosuch in container $C|No such container:path: $C:/nosuch)"
	out D exec "$C" ln -s / /esc; echo evil >"$T/e"; out D cp "$T/e" "$C:/esc/tmp/inside"; eq "$(D exec "$C" cat /tmp/inside)" evil; [ ! -e /tmp/inside ] || fail escaped
	out D stop -t 0 "$C"; out D cp "$T/e" "$C:/late"; D cp "$C:/late" - >"$T/t.tar" || fail "cp to stdout"; eq "$(tar xOf "$T/t.tar")" evil
}
t_diff_export_import() {
	out D run --name "$C" busybox sh -c 'echo x >/new; rm /etc/group; mkdir -p /a/b; echo y >>/etc/passwd; ln /new /hard'
	eq "$(D diff "$C" | sort)" $'A /a\nA /a/b\nA /hard\nA /new\nC /etc\nC /etc/passwd\nD /etc/group'
	D export "$C" >"$T/e.tar"; tar tf "$T/e.tar" >"$T/l"; grep -qx new "$T/l" || fail "no new"; grep -qx etc/group "$T/l" && fail "deleted file is there"
	OUT=$(D import -c 'CMD ["cat","/new"]' -m note - "$C:imp" <"$T/e.tar"); like "$OUT" '^sha256:'; out D run --rm "$C:imp"; eq "$OUT" x
	eq "$(D image inspect -f '{{.Comment}} {{len .RootFS.Layers}}' "$C:imp")" "note 1"; out D rmi "$C:imp"
}
t_commit() {
	out D run --name "$C" -e A=1 busybox sh -c 'echo committed >/c; rm /etc/group'
	out D commit -a me -m why -c 'CMD ["cat","/c"]' -c 'LABEL l=2' "$C" "$C:v1"; like "$OUT" '^sha256:[0-9a-f]{64}$'
	out D run --rm "$C:v1"; eq "$OUT" committed; rc 1 D run --rm "$C:v1" cat /etc/group; eq "$(D image inspect -f '{{.Author}} {{.Comment}} {{.Config.Labels.l}}' "$C:v1")" "me why 2"
	eq "$(D image inspect -f '{{len .RootFS.Layers}}' "$C:v1")" 2; D save "$C:v1" >"$T/s.tar"; out D rmi "$C:v1"; OUT=$(D load <"$T/s.tar"); has "$OUT" "Loaded image: $C:v1"; out D run --rm "$C:v1"; eq "$OUT" committed; out D rmi "$C:v1"
}
t_save_load_is_exact() {
	D tag busybox "$C:a"; D save "$C:a" busybox >"$T/1.tar"; local id; id=$(D image inspect -f '{{.Id}}' busybox)
	python3 - "$T/1.tar" "$id" <<'P' || fail "archive"
import tarfile, json, hashlib, sys
t = tarfile.open(sys.argv[1]); m = json.load(t.extractfile('manifest.json'))
tags = sorted(sum((e['RepoTags'] or [] for e in m), []))
assert 'busybox:latest' in tags and len(tags) == 2, tags
c = t.extractfile(m[0]['Config']).read(); assert 'sha256:' + hashlib.sha256(c).hexdigest() == sys.argv[2]
d = json.loads(c)['rootfs']['diff_ids']
for want, l in zip(d, m[0]['Layers']):
    assert 'sha256:' + hashlib.sha256(t.extractfile(l).read()).hexdigest() == want
P
	out D rmi "$C:a"; gzip <"$T/1.tar" >"$T/1.tgz"; out D load -q -i "$T/1.tgz"; has "$OUT" "Loaded image: $C:a"; eq "$(D image inspect -f '{{.Id}}' "$C:a")" "$id"; out D rmi "$C:a"
}
t_images() {
	local id; id=$(D image inspect -f '{{.Id}}' busybox); out D tag busybox "$C:a"; out D tag busybox "$C:b"
	eq "$(D images --format '{{.Tag}}' "$C" | sort | tr '\n' ' ')" "a b "; eq "$(D images -q --no-trunc "$C:a")" "$id"
	out D history --no-trunc busybox; has "$OUT" "Imported from"; out D rmi "$C:a"; has "$OUT" "Untagged: $C:a"; hasnt "$OUT" Deleted; out D rmi "$C:b"
	rc 1 D rmi nosuch:1; has "$ERR" "No such image: nosuch:1"; rc 1 D tag nosuch x:y; has "$ERR" "No such image"; rc 1 D tag busybox Bad:y; has "$ERR" "must be lowercase"
	out D run --name "$C" busybox true; rc 1 D rmi busybox; has "$ERR" "conflict: unable to remove repository reference"; has "$ERR" "is using its referenced image"
}
t_volume_subpath_is_filled() { # a subpath that is an empty folder gets the image's content, as a volume does; one that leads out is told
	D run --rm -v "$C:/v" busybox sh -c 'mkdir /v/bin /v/full; touch /v/full/x; ln -s / /v/out' >/dev/null; out D run --rm --mount "type=volume,src=$C,dst=/bin,volume-subpath=bin" busybox ls /bin/busybox; out D run --rm -v "$C:/v" busybox ls /v/bin/busybox
	out D run --rm --mount "type=volume,src=$C,dst=/etc,volume-subpath=full" busybox ls /etc; eq "$(grep -c passwd <<<"$OUT")" 0; rc 125 D run --rm --mount "type=volume,src=$C,dst=/w,volume-subpath=out" busybox true; has "$ERR" "path concatenation escapes the base directory"; D volume rm "$C" >/dev/null
}
t_bind_without_what_is_below() { # bind-recursive=disabled
	mkdir -p "$T/a/m" "$T/b"; echo x >"$T/b/file"; mount --bind "$T/b" "$T/a/m"; local o r=0; for o in readonly readonly=false; do
		[ "$(D run --rm --mount "type=bind,src=$T/a,dst=/a,$o" busybox ls /a/m)" = file ] || r=1; [ -z "$(D run --rm --mount "type=bind,src=$T/a,dst=/a,$o,bind-recursive=disabled" busybox ls /a/m)" ] || r=2; done; umount "$T/a/m"; eq $r 0
}
t_volumes() {
	out D volume create --label k=v "${C}v"; eq "$OUT" "${C}v"; eq "$(D volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels.k}}' "${C}v")" "${C}v local local v"
	out D run --rm -v "${C}v:/d" busybox sh -c 'echo in >/d/f'; out D run --rm -v "${C}v:/d:ro" busybox cat /d/f; eq "$OUT" in; rc 1 D run --rm -v "${C}v:/d:ro" busybox touch /d/x; has "$ERR" "Read-only"
	out D run --name "$C" -v "${C}v:/d" busybox true; rc 1 D volume rm "${C}v"; has "$ERR" "volume is in use"; out D run --rm --volumes-from "$C" busybox cat /d/f; eq "$OUT" in; rc 125 D run --rm --volumes-from "$C:copy" busybox true; has "$ERR" "invalid mode: copy"; out D rm "$C"; out D volume rm "${C}v"
	out D run --rm -v "${C}w:/etc" busybox cat /etc/passwd; has "$OUT" nobody "copy-up"; out D volume rm "${C}w"
	out D run --rm --mount "type=tmpfs,dst=/t,tmpfs-size=2m" busybox grep ' /t ' /proc/mounts; has "$OUT" size=2048k
	mkdir -p "$T/b/s"; echo hi >"$T/b/s/f"; out D run --rm -v "$T/b:/d" busybox sh -c 'cat /d/s/f; echo out >/d/o'; eq "$OUT" hi; eq "$(cat "$T/b/o")" out
	echo file >"$T/one"; for f in "-v=$T/one:/new/one:ro" "--mount=type=bind,src=$T/one,dst=/new/one,ro" "--mount=type=bind,src=$T/one,dst=/new/one,ro,bind-recursive=readonly,bind-propagation=rprivate"; do
		out D run --rm "$f" busybox cat /new/one; eq "$OUT" file "$f"; rc 1 D run --rm "$f" busybox sh -c 'echo x >/new/one'; has "$ERR" "Read-only" "$f"
	done
	rc 125 D run --rm --mount "type=bind,src=$T/nope,dst=/d" busybox true; has "$ERR" "bind source path does not exist"; out D run --rm -v "$T/made/here:/d" busybox true; [ -d "$T/made/here" ] || fail "not made"
	out D run --name "$C" -v /anon busybox true; like "$(i "$C" '{{(index .Mounts 0).Name}}')" '^[0-9a-f]{64}$'; out D rm -v "$C"; eq "$(D volume ls -q)" ""; rc 1 D volume ls -f dangling=x; has "$ERR" "invalid filter"
	out D volume create "${C}v"; out D volume create "${C}vv"; eq "$(D volume ls -q -f "name=^${C}v\$")" "${C}v"; eq "$(D volume ls -q -f "name=${C}v" | wc -l)" 2; eq "$(D volume ls -q -f 'name=(')" "" # expressions, as in docker ps
	out D volume create -o type=nfs "${C}v"; eq "$OUT" "${C}v"; rc 1 D volume create -o bogus=1; has "$ERR" 'invalid option: "bogus"'; rc 1 D volume create -o type=nfs "${C}w"; has "$ERR" 'missing required option: "device"'; D volume rm "${C}v" "${C}vv" >/dev/null
	rc 1 D volume prune -f --filter all=x; has "$ERR" "invalid filter 'all': strconv.ParseBool"
}
t_hostile_archives() { # nothing may appear outside, and the engine stays up
	python3 - "$T" <<'P'
import tarfile, io, sys
def add(t, name, data=b'', **kw):
    i = tarfile.TarInfo(name); i.size = len(data)
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
d = sys.argv[1]
t = tarfile.open(d + '/1.tar', 'w'); add(t, '../../../../tmp/sdc-escape-1', b'x'); add(t, '/tmp/sdc-escape-2', b'x'); t.close()
t = tarfile.open(d + '/2.tar', 'w'); add(t, 'l', type=tarfile.SYMTYPE, linkname='/tmp'); add(t, 'l/sdc-escape-3', b'x'); t.close()
t = tarfile.open(d + '/3.tar', 'w'); add(t, 'h', type=tarfile.LNKTYPE, linkname='../../../../etc/passwd'); t.close()
open(d + '/4.tar', 'wb').write(open(d + '/1.tar', 'rb').read()[:700])
open(d + '/5.tar', 'wb').write(b'\x1f\x8b' + b'garbage' * 100)
P
	local k; for k in 1 2 3 4 5; do D import "$T/$k.tar" "$C:h$k" >/dev/null 2>"$T/e$k"; D load -i "$T/$k.tar" >/dev/null 2>&1; D rmi "$C:h$k" >/dev/null 2>&1; done
	ls /tmp/sdc-escape-* 2>/dev/null && fail "escaped"; rc 1 D import "$T/5.tar" "$C:x"; out D version; eq "$(D images -q --filter dangling=true | wc -l)" 0
}
t_many_layers() { # 120 layers mount
	python3 - "$T" <<'P'
import tarfile, io, json, hashlib, sys
d = sys.argv[1]; out = tarfile.open(d + '/m.tar', 'w'); ids = []; names = []
def add(t, name, data):
    i = tarfile.TarInfo(name); i.size = len(data); i.mode = 0o755; t.addfile(i, io.BytesIO(data))
for k in range(120):
    b = io.BytesIO(); t = tarfile.open(fileobj=b, mode='w')
    if k == 0: add(t, 'busybox', open(sys.argv[1] + '/../bb.busybox', 'rb').read())
    add(t, 'layer%d' % k, b'%d' % k); t.close(); ids.append('sha256:' + hashlib.sha256(b.getvalue()).hexdigest()); names.append('%d/layer.tar' % k); add(out, names[-1], b.getvalue())
c = json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {'Entrypoint': ['/busybox']}, 'rootfs': {'type': 'layers', 'diff_ids': ids}}).encode()
n = hashlib.sha256(c).hexdigest() + '.json'; add(out, n, c); add(out, 'manifest.json', json.dumps([{'Config': n, 'RepoTags': ['many:120'], 'Layers': names}]).encode()); out.close()
P
	out D load -q -i "$T/m.tar"; has "$OUT" "Loaded image: many:120"; out D run --rm many:120 ls /; eq "$(grep -c layer <<<"$OUT")" 120; out D rmi many:120
}
cp "$(command -v busybox)" "$ROOT.t/bb.busybox"
t_df_rows_of_any_length() { # the log's size is added to rows of every length
	local k; for k in 0 9 17 33 65 100 129 200; do D create --name "$C$k" --label "l=$(printf '%*s' $k '' | tr ' ' x)" busybox true >/dev/null || fail create; done
	api GET /system/df >/dev/null; python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert all("SizeLog" in c for c in d["Containers"]) and len(d["Containers"]) >= 8' "$T/body" || fail "$(head -c 300 "$T/body")"
	for k in 0 9 17 33 65 100 129 200; do D rm "$C$k" >/dev/null; done
}
t_df() { out D run --name "$C" busybox sh -c 'head -c 100000 /dev/zero >/f'; out D system df -v; has "$OUT" "$C"; like "$(D ps -a --size --filter "name=$C" --format '{{.Size}}')" '^10[0-9](\.[0-9]+)?kB'; }
# docker-compose 1.29 asks in the newest version, and recreates nothing without ContainerConfig.
t_image_of_compose_v1() {
	OUT=$(api GET /v1.51/images/busybox/json); eq "$(status)" 200; hasnt "$OUT" ContainerConfig
	OUT=$(api GET /v1.51/images/busybox/json -A "docker-compose/1.29.2 docker-py/5.0.3 Linux/6"); has "$OUT" '"ContainerConfig":{'; has "$OUT" '"Volumes":null'
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
