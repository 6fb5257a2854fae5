#!/bin/bash
# Images: odd layers come back byte for byte, hostile ones stay inside, every form of archive loads, a crash in the
# middle leaves nothing, names and removal follow Docker's rules.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar xz zstd umoci skopeo
engine_start; busybox_image
TARS=$(cd "$(dirname "$0")" && pwd)/image_tars.py
id() { D image inspect -f '{{.Id}}' "$1"; }
layers() { find "$ROOT/lib/layers/sha256" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
xattrs() { python3 -c 'import os,sys; print(*sorted("%s=%s" % (a, os.getxattr(sys.argv[1], a, follow_symlinks=False).decode()) for a in os.listxattr(sys.argv[1], follow_symlinks=False)))' "$1"; }
synced() { ! find "$ROOT/lib/layers" -name unsynced | grep -q .; }
tmp_layers() { find "$ROOT/lib/layers/tmp" -mindepth 1 -maxdepth 1 | wc -l; }

t_exact() { # what comes in by import comes out by save
	local f n h; python3 "$TARS" exact "$T" || fail tars
	for f in "$T"/exact/*.tar; do
		n=$(basename "$f" .tar); out D import "$f" "$C:x"; D save "$C:x" >"$T/s.tar" || fail "$n: save"
		h=$(sha256sum <"$f" | cut -d' ' -f1); tar -xOf "$T/s.tar" "blobs/sha256/$h" >"$T/l" 2>/dev/null || fail "$n: no layer of that digest"
		cmp -s "$f" "$T/l" || fail "$n: differs"; eq "$(D image inspect -f '{{index .RootFS.Layers 0}}' "$C:x")" "sha256:$h"
		case $n in
		same-twice) rc 127 D run --rm --entrypoint /nope "$C:x"; l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); eq "$(cat "$l/f")$(cat "$l/d")$(cat "$l/g")" "secondnow a file4" ;;
		gnu) l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); eq "$(stat -c '%a %u %g' "$l/d/suid")" "4755 7 8"; eq "$(stat -c '%h %Y' "$l/d/h")" "2 1700000000"; eq "$(stat -c '%F %t,%T' "$l/d/null")" "character special file 1,3" ;;
		pax-records) l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); eq "$(xattrs "$l/f")" user.a=b; eq "$(stat -c %u "$l/f")" 4000000 ;;
		sparse*) l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); cmp -s "$T/work"/sparse "$l/sparse" || fail "$n: content"; [ "$(stat -c %b "$l/sparse")" -lt 2000 ] || fail "$n: not sparse" ;;
		whiteouts) l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); [ ! -e "$l/gone" ] || fail "a whiteout in a first layer" ;;
		esac
		out D rmi "$C:x"
	done
	eq "$(layers) $(tmp_layers)" "1 0"
}
t_hostile() {
	local f n; python3 "$TARS" hostile "$T" || fail tars; rm -f /tmp/sdc-escape /etc/sdc-escape
	for f in "$T"/hostile/*.tar; do
		n=$(basename "$f" .tar); D import "$f" "$C:x" >"$T/o" 2>"$T/e"
		case $?,$n in 0,no-*) fail "$n: taken" ;; [1-9]*,ok-*) fail "$n: $(cat "$T/e")" ;; esac
		[ ! -e /tmp/sdc-escape ] && [ ! -e /etc/sdc-escape ] || fail "$n: escaped"
		if [ "$n" = ok-overlay-xattrs ]; then l=$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:x"); eq "$(xattrs "$l/d")" user.fine=yes; fi
		case $n in ok-*) D save "$C:x" | tar -xO "blobs/sha256/$(sha256sum <"$f" | cut -d' ' -f1)" 2>/dev/null | cmp -s - "$f" || fail "$n: differs" ;; esac
		D rmi "$C:x" >/dev/null 2>&1
	done
	eq "$(layers) $(tmp_layers)" "1 0"
}
t_xz_memory() { # a dictionary beyond what xz -9 makes is refused wherever an archive may come in
	local r="needs 769 MiB of memory, 80 are allowed"; mkdir "$T/c"; printf 'FROM busybox\nADD x.tar.xz /d/\n' >"$T/c/Dockerfile"
	python3 - "$T" "$ROOT.t/bb.tar" <<-'E'
		import lzma, struct, sys, zlib
		x = bytearray(lzma.compress(open(sys.argv[2], 'rb').read(), preset=0)); n = (x[12] + 1) * 4
		assert x[14] == 0x21 # the block has the one filter, and no sizes before it
		x[16] = 35; x[12 + n - 4:12 + n] = struct.pack('<I', zlib.crc32(x[12:12 + n - 4])); open(sys.argv[1] + '/c/x.tar.xz', 'wb').write(x)
	E
	rc 1 D import "$T/c/x.tar.xz" "$C"; has "$ERR" "$r"; rc 1 D load -i "$T/c/x.tar.xz"; has "$ERR" "$r"; rc 1 D build "$T/c"; has "$ERR" "$r"
	out D create --name "$C" busybox sh; api PUT "/containers/$C/archive?path=/tmp" -T "$T/c/x.tar.xz" | grep -q "$r" || fail "cp: $(cat "$T/body")"; api POST "/build" -T "$T/c/x.tar.xz" | grep -q "$r" || fail "context: $(cat "$T/body")"
	xz -9 -k "$ROOT.t/bb.tar" -c >"$T/9.xz"; out D import "$T/9.xz" "$C:9"; out D rm "$C"; out D rmi "$C:9"; eq "$(layers) $(tmp_layers)" "1 0"
}
t_forms() {
	local f k want; python3 "$TARS" forms "$T" || fail tars; want=$(cat "$T/forms/id")
	for f in "$T"/forms/*.tar*; do
		out D load -q -i "$f"
		case $f in
		*/no-tag.tar) eq "$OUT" "Loaded image ID: $want"; out D rmi "$want" ;;
		*/v1.tar) eq "$OUT" "Loaded image: form:v1"; eq "$(D image inspect -f '{{json .Config.Cmd}} {{len .RootFS.Layers}}' form:v1)" '["old"] 2'; has "$(D history form:v1)" "cmd 1"; out D rmi form:v1 ;;
		*) like "$OUT" "^Loaded image: form:[a-z-]+$"; eq "$(id "${OUT#Loaded image: }")" "$want"; eq "$(D image inspect -f '{{len .RootFS.Layers}}' "$want")" 4; out D rmi "${OUT#Loaded image: }" ;;
		esac
	done
	for f in "$T"/forms/bad/*.tar; do
		D load -i "$f" >"$T/o" 2>"$T/e" && fail "$f: loaded: $(cat "$T/o")"
		[ -s "$T/e" ] || fail "$f: no reason"
		case $f in */v1-long.tar) has "$(cat "$T/e")" "too many layers" "before a layer is looked at" ;; esac
	done
	f=$(stat -c %s "$T/forms/docker.tar"); for k in 3000 $((f / 2)); do # cut short
		head -c "$k" "$T/forms/docker.tar" | D load >"$T/o" 2>"$T/e" && fail "$k bytes loaded"; has "$(cat "$T/e")" "unexpected EOF"
	done
	eq "$(layers) $(tmp_layers)" "1 0"; eq "$(D images -aq | wc -l)" 1
}
t_other_tools() { # umoci and skopeo read what we save, as an OCI layout and as Docker's archive; what they write loads as the same image
	local was; D run --name "$C" busybox sh -c 'rm /etc/group; mkfifo /p; echo 1 >/one; ln /one /two; chmod 4711 /one'; D commit -c 'LABEL a=b' "$C" "$C:x" >/dev/null; D rm "$C" >/dev/null; was=$(id "$C:x")
	D save -o "$T/s.tar" "$C:x"; mkdir "$T/oci"; tar -C "$T/oci" -xf "$T/s.tar"; eq "$(umoci ls --layout "$T/oci")" x; out umoci unpack --image "$T/oci:x" "$T/un"; eq "$(cat "$T/un/rootfs/two") $(stat -c '%a %h' "$T/un/rootfs/one") $(stat -c %F "$T/un/rootfs/p")" "1 4711 2 fifo"; [ ! -e "$T/un/rootfs/etc/group" ] || fail "a whiteout"
	out skopeo inspect --config "oci:$T/oci:x"; eq "$(jq -r .config.Labels.a <<<"$OUT")" b; out skopeo copy -q "docker-archive:$T/s.tar" "dir:$T/dir"; out skopeo copy -q "oci:$T/oci:x" "oci:$T/oci2:docker.io/library/$C:y"; D rmi "$C:x" >/dev/null; tar -C "$T/oci2" -cf "$T/y.tar" .; out D load -q -i "$T/y.tar"; eq "$OUT" "Loaded image: $C:y"; eq "$(id "$C:y")" "$was" "its ID by way of skopeo's gzip layers"
	out umoci config --image "$T/oci2:docker.io/library/$C:y" --config.label c=d --tag z; rm "$T/y.tar"; tar -C "$T/oci2" -cf "$T/y.tar" .; out D load -i "$T/y.tar"; like "$OUT" "Loaded image( ID)?: "; out D rmi "$C:y"; D image prune -f >/dev/null
}
t_load_twice_at_once() {
	local k; python3 "$TARS" forms "$T"; for k in 1 2 3 4 5 6; do D load -q -i "$T/forms/docker.tar" >"$T/o$k" 2>&1 & done; wait
	for k in 1 2 3 4 5 6; do eq "$(cat "$T/o$k")" "Loaded image: form:docker"; done; out D rmi form:docker; eq "$(layers) $(tmp_layers)" "1 0"
}
t_load_quiet() { # whoever goes away at the head of a quiet answer has the image: the head comes when it is there
	local k was; was=$(id busybox); D save -o "$T/s.tar" busybox
	cat >"$T/load.py" <<'E'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); tar = open(sys.argv[2], 'rb').read()
s.sendall(b'POST /images/load?quiet=1 HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n' % len(tar) + tar)
print(s.recv(15).decode())
E
	for k in 1 2 3; do D rmi busybox >/dev/null; eq "$(python3 "$T/load.py" "$SOCK" "$T/s.tar")" "HTTP/1.1 200 OK"; eq "$(id busybox)" "$was" "time $k"; done
	printf junk >"$T/j"; eq "$(api POST '/images/load?quiet=1' --data-binary @"$T/j" | grep -c errorDetail) $(status)" "1 200"
}
t_crash_in_load() { # kill -9 at ten moments of a load: no temp layers, and what is listed works
	local k; mkdir "$T/r"; for k in $(seq 60); do head -c 200000 /dev/urandom >"$T/r/f$k"; done; tar -C "$T/r" -cf "$T/r.tar" .; D import "$T/r.tar" "$C:big" >/dev/null; D save "$C:big" >"$T/s.tar"; D rmi "$C:big" >/dev/null
	for k in 0 5 10 20 30 40 60 80 120 200; do
		D load -q -i "$T/s.tar" >/dev/null 2>&1 & sleep "$(printf '0.%03d' "$k")"; engine_kill; wait $!; engine_start
		eq "$(tmp_layers)" 0 "temp layers after $k ms"; D image inspect busybox >/dev/null || fail "busybox lost after $k ms"
		if D image inspect "$C:big" >/dev/null 2>&1; then D save "$C:big" | cmp -s - "$T/s.tar" || fail "damaged after $k ms"; out D rmi "$C:big"; fi
		eq "$(layers)" 1 "layers after $k ms"
	done
}
t_power_cut() { # layers that were not synced before another boot are compared: a torn one goes, and its image; a whole one stays
	local k l; for k in whole torn nosplit nofacts; do mkdir "$T/$k"; head -c 100000 /dev/urandom >"$T/$k/f"; tar -C "$T/$k" -cf "$T/$k.tar" f; D import "$T/$k.tar" "$C:$k" >/dev/null || fail import; done
	UNTIL=10 until_ok synced || fail "never synced"
	for k in whole torn nosplit nofacts; do
		l=$(dirname "$(D image inspect -f '{{.GraphDriver.Data.UpperDir}}' "$C:$k")"); echo another-boot >"$l/unsynced"; rm -f "$l/synced"
		case $k in torn) printf x | dd of="$l/diff/f" bs=1 seek=5000 conv=notrunc 2>/dev/null ;; nosplit) : >"$l/split" ;; nofacts) : >"$l/layer.json" ;; esac
	done
	engine_kill; engine_start; out D image inspect "$C:whole"; for k in torn nosplit nofacts; do rc 1 D image inspect "$C:$k"; done
	eq "$(grep -c 'layer dropped' "$ROOT.t/apiserver.log") $(grep -c 'image dropped' "$ROOT.t/apiserver.log")" "3 3"; out D rmi "$C:whole"; eq "$(layers) $(tmp_layers)" "1 0"
	UNTIL=10 until_ok synced || fail "never synced"
}
t_unpacker_killed() { # the process that unpacking children come from is not missed for long
	local p; engine_pid; out D import "$ROOT.t/bb.tar" "$C:a"; p=$(pgrep -P "$APISERVER_PID" -f -- --unpack-layer) || fail "no unpacking server"; kill -9 $p
	out D import "$ROOT.t/bb.tar" "$C:b"; eq "$(pgrep -P "$APISERVER_PID" -f -- --unpack-layer | wc -l)" 1; out D rmi "$C:a" "$C:b"
}
t_unpacker_outlives() { # what the engine's death leaves unpacking for a moment is waited for, and then removed
	local server child begun; engine_pid; { head -c 200000 "$ROOT.t/bb.tar"; until_ok test -e "$T/over"; } | D import - "$C" >/dev/null 2>&1 &
	unpacks() { server=$(pgrep -P "$APISERVER_PID" -f -- --unpack-layer) && child=$(pgrep -P "$server"); }
	until_ok unpacks || fail "nothing is unpacked"; unpacks; kill -STOP "$server" "$child"; engine_kill; begun=$(date +%s%N)
	(sleep 2; kill -KILL "$child"; kill -CONT "$server") & engine_start; local end; end=$(date +%s%N); touch "$T/over"; wait
	[ $((end - begun)) -ge 2000000000 ] || fail "not waited for"; eq "$(layers) $(tmp_layers)" "1 0"
}
t_limits() {
	echo 'max-layer-size = 1M' >"$T/conf"; engine_term; engine_start --conf "$T/conf"; head -c 2000000 /dev/zero >"$T/f"; tar -C "$T" -cf "$T/f.tar" f
	rc 1 D import "$T/f.tar" "$C"; has "$ERR" "layer is larger than 1000000 bytes"; gzip -k "$T/f.tar"; rc 1 D import "$T/f.tar.gz" "$C"; has "$ERR" "larger than"; truncate -s 3G "$T/s"; tar -C "$T" -Scf "$T/s.tar" s; rc 1 D import "$T/s.tar" "$C"; has "$ERR" "larger than"
	eq "$(tmp_layers)" 0; engine_term; engine_start
	head -c 3000000000 /dev/zero | gzip -1 | bzip2 -1 >"$T/bomb.bz2"; rc 1 D import "$T/bomb.bz2" "$C"; eq "$(tmp_layers)" 0 # gzip inside bzip2 is no tar
}
t_client_goes_in_load() {
	mkdir "$T/r"; head -c 30000000 /dev/urandom >"$T/r/f"; tar -C "$T/r" -cf "$T/r.tar" .
	(cat "$T/r.tar"; sleep 30) | timeout 1 curl -s --unix-socket "$SOCK" -T - -X POST "http://d/images/create?fromSrc=-&repo=$C" >/dev/null
	until_ok no_tmp_layers || fail "temp layers stay"; rc 1 D image inspect "$C"
	D tag busybox "$C:a"; for _ in 1 2 3; do D save busybox | head -c 5000 >/dev/null; done; out D rmi "$C:a"; out D version
}
layers_are() { [ "$(layers)" = "$1" ]; }
no_tmp_layers() { [ "$(tmp_layers)" = 0 ]; }
no_unpacking() { [ -z "$(pgrep -P "$(pgrep -P "$APISERVER_PID" -f -- --unpack-layer)")" ]; }
t_client_goes_from_bomb() { # who has sent all of a small body that is much work, and goes, wants no more of it
	local way; engine_pid; out D run -d --name "$C" busybox sleep 300
	for way in "POST /images/create?fromSrc=-&repo=$C" "POST /images/load?quiet=1" "PUT /containers/$C/archive?path=/tmp"; do
		# shellcheck disable=SC2086
		out python3 "$top/tests/e2e/bomb_client.py" "$SOCK" "$C:latest" $way
		until_ok no_unpacking || fail "$way goes on"; until_ok no_tmp_layers || fail "$way: temp layers"
		rc 1 D image inspect "$C:latest"; rc 1 D exec "$C" test -e /tmp/end
	done
}
t_tag_rmi() {
	local b; b=$(id busybox); out D tag busybox "$C"; out D tag busybox "$C:b"; out D tag "${b#sha256:}" "localhost:5000/x/$C:c"; out D tag "$C:b" "docker.io/library/$C:d"
	eq "$(D images --format '{{.Repository}}:{{.Tag}}' | grep "$C" | sort | tr '\n' ' ')" "$C:b $C:d $C:latest localhost:5000/x/$C:c "
	rc 1 D rmi "$b"; has "$ERR" "conflict: unable to delete ${b:7:12} (must be forced) - image is referenced in multiple repositories"
	out D rmi "$C:b" "$C:d" "$C" "localhost:5000/x/$C:c"; hasnt "$OUT" Deleted
	rc 1 D tag busybox "$C:bad:tag"; has "$ERR" "invalid reference format"; rc 1 D tag busybox "x/Up$C"; has "$ERR" "must be lowercase"
	api POST "/v1.43/images/busybox/tag?repo=sha256&tag=x" >/dev/null; eq "$(status)" 400; api POST "/v1.43/images/busybox/tag?repo=$C@$b" >/dev/null; eq "$(status)" 400; api POST "/v1.43/images/busybox/tag?repo=$C&tag=-x" | grep -q 'invalid tag format' || fail "tag"
	rc 1 D rmi "$C"; has "$ERR" "No such image: $C:latest"
}
own_image() { # with a layer of its own
	cp "$ROOT.t/bb.tar" "$T/own.tar"; head -c 3000000 /dev/urandom >"$T/own"; tar -C "$T" -rf "$T/own.tar" own; D import "$T/own.tar" "$1" >/dev/null || fail import
}
t_rmi_in_use() {
	local i; own_image "$C:x"; i=$(id "$C:x"); out D run -d --name "$C" "$C:x" sleep 300
	rc 1 D rmi "$C:x"; has "$ERR" "conflict: unable to remove repository reference \"$C:x\" (must force) - container $(D ps -q --filter "name=$C") is using its referenced image ${i:7:12}"
	rc 1 D rmi -f "$i"; has "$ERR" "conflict: unable to delete ${i:7:12} (cannot be forced) - image is being used by running container"
	out D rmi -f "$C:x"; has "$OUT" "Untagged: $C:x"; eq "$(D images -q --no-trunc --filter dangling=true)" "$i"
	out D stop -t 0 "$C"; rc 1 D rmi "$i"; has "$ERR" "(must be forced) - image is being used by stopped container"
	out D rmi -f "$i"; has "$OUT" "Deleted: $i"; rc 1 D image inspect "$i"
	out D start "$C"; eq "$(D exec "$C" echo alive)" alive # a forced removal leaves the container its layers
	engine_kill; engine_start; rc 1 D image inspect "$i"; out D image prune -f; eq "$(layers)" 2; out D restart -t 0 "$C"
	out D rm -f "$C"; until_ok layers_are 1 || fail "they do not go with the last container"
}
t_rmi_while_saving() { # what a job holds is out of sight at once, and gone after it
	local p; own_image "$C:x"; mkfifo "$T/slow"; curl -s --unix-socket "$SOCK" "http://d/images/$C:x/get" >"$T/slow" & p=$!
	exec 7<"$T/slow"; head -c 100000 <&7 >/dev/null; out D rmi -f "$C:x"; rc 1 D image inspect "$C:x"; eq "$(layers)" 2; cat <&7 >/dev/null; exec 7<&-; wait $p || fail "the save was cut"
	until_ok layers_are 1 || fail "its layer stays"
}
t_children_prune() {
	local a b; out D create --name "$C" busybox sh; a=$(D commit "$C"); out D create --name "${C}b" "$a" sh; b=$(D commit "${C}b" "$C:two")
	eq "$(D image inspect -f '{{.Parent}}' "$b")" "$a"; eq "$(D images -q --no-trunc --filter dangling=true)" ""; eq "$(D images -aq --no-trunc | grep -c "$a")" 1
	out D rm "$C" "${C}b"; rc 1 D rmi "$a"; has "$ERR" "image has dependent child images"; out D rmi --no-prune "$C:two"; eq "$(D images -q --no-trunc --filter dangling=true)" "$a"
	out D image prune -f; has "$OUT" "deleted: $a"; D image inspect busybox >/dev/null || fail "busybox pruned"
}
t_list() {
	local i; D import -c 'LABEL k=v' -c "LABEL who=$C" "$ROOT.t/bb.tar" "$C:a" >/dev/null; i=$(id "$C:a"); D tag "$C:a" "$C:b"
	eq "$(D images -q --filter "label=who=$C" | wc -l)" 2; eq "$(D images -q --filter label=who=no)" ""; eq "$(D images --format '{{.Tag}}' --filter "reference=$C:a")" a; eq "$(D images --format '{{.Tag}}' --filter "reference=c*:b")" b
	eq "$(D images -q --no-trunc --filter since=busybox | sort -u)" "$i"; hasnt "$(D images -q --no-trunc --filter "before=$C:a")" "$i"; eq "$(D images -q --filter until=1h)" ""; has "$(D images -q --no-trunc --filter until=0s)" "$i"
	for p in '[' 'a[]' 'a[-z]' 'x\'; do rc 1 D images --filter "reference=$p"; has "$ERR" "syntax error in pattern"; done; eq "$(D images -q --filter "reference=[a-c]*[!^x]:[^x]" | wc -l)" 2; rc 1 D images --filter bad=1; has "$ERR" "invalid filter 'bad'"; rc 1 D images --filter dangling=maybe; has "$ERR" "invalid filter 'dangling=[maybe]'"; rc 1 D images --filter since=nosuch; has "$ERR" "No such image: nosuch:latest"
	api GET '/v1.41/images/json?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D' | python3 -c 'import json,sys; l=json.load(sys.stdin); assert all(x["VirtualSize"] == x["Size"] and x["Containers"] == -1 and x["SharedSize"] == -1 for x in l), l; assert len(l) == 2'
	out D rmi "$C:a"; out D commit "$(D create --name "$C" "$C:b" sh)" "$C:b"; api GET '/v1.42/images/json?all=1' | python3 -c 'import json,sys; l=json.load(sys.stdin); assert any(x["RepoTags"] == ["<none>:<none>"] and x["RepoDigests"] == ["<none>@<none>"] for x in l), l' || fail "none"; api GET '/v1.43/images/json?all=1' | grep -q '"RepoTags":\[\]' || fail "empty"
	api GET '/v1.43/images/json?shared-size=1' | python3 -c 'import json,sys; l=json.load(sys.stdin); assert any(x["SharedSize"] > 0 for x in l), l'
	out D rm "$C"; out D rmi -f "$C:b"; D image prune -f >/dev/null
}
t_platform() { # --platform of what is here: the image has to be of it; a bad one is a 400
	local m="does not match the specified platform (linux/arm64)" other='?platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D'
	out D image inspect --platform linux/amd64 busybox; out D history --platform linux/amd64 -q busybox; for c in "image inspect" history rmi; do rc 1 D $c --platform linux/arm64 busybox; has "$ERR" "image with reference busybox was found but its platform (linux/amd64) $m"; done
	out D save --platform linux/amd64 -o "$T/a.tar" busybox; rc 1 D save --platform linux/arm64 -o "$T/b.tar" busybox; has "$ERR" "no suitable export target found for platform linux/arm64"; out D load -q --platform linux/amd64 -i "$T/a.tar"; eq "$OUT" "Loaded image: busybox:latest"; rc 1 D load --platform linux/arm64 -i "$T/a.tar"; has "$ERR" "no image of the archive matches platform linux/arm64"
	rc 125 D run --pull never --platform linux/arm64 busybox true; has "$ERR" "$m"; out D run --rm --platform linux busybox echo x; rc 125 D run --platform x/y/z/w busybox true; has "$ERR" '"x/y/z/w": cannot parse platform specifier: invalid argument'
	api GET "/v1.49/images/busybox/json$other" >/dev/null; eq "$(status)" 404; api GET "/v1.48/images/busybox/json$other" >/dev/null; eq "$(status)" 200 "before the parameter was there"; api GET "/images/busybox/json$other&manifests=1" >/dev/null; eq "$(status)" 400; for p in x %7B%7D; do api GET "/images/busybox/json?platform=$p" >/dev/null; eq "$(status)" 400; done
	api DELETE "/images/busybox?platforms=%7B%7D" >/dev/null; eq "$(status)" 400; api DELETE /images/%20 | grep -q "image name cannot be blank" || fail blank
	D import --platform linux/arm/v6 "$ROOT.t/bb.tar" "$C:v6" >/dev/null; eq "$(D image inspect -f '{{.Architecture}} {{.Variant}}' "$C:v6")" "arm v6"; out D image inspect --platform linux/arm/v7 "$C:v6"; rc 1 D image inspect --platform linux/arm/v5 "$C:v6"; out D rmi "$C:v6"
	out D create --name "$C" busybox; eq "$(api GET '/v1.51/images/json' | jq '.[] | select(.RepoTags == ["busybox:latest"]).Containers')" 1; eq "$(api GET '/v1.50/images/json' | jq '.[] | select(.RepoTags == ["busybox:latest"]).Containers')" -1
}
t_inspect_versions() {
	api GET /v1.43/images/busybox/json | python3 -c '
import json, sys; o = json.load(sys.stdin)
for k in "Id RepoTags RepoDigests Parent Comment Created Container ContainerConfig DockerVersion Author Config Architecture Os Size VirtualSize GraphDriver RootFS Metadata".split(): assert k in o, k
assert o["Config"]["Hostname"] == "" and o["GraphDriver"]["Name"] == "overlay2" and o["RootFS"]["Type"] == "layers" and o["Metadata"]["LastTagTime"][:2] == "20"'
	api GET /v1.51/images/busybox/json | python3 -c '
import json, sys; o = json.load(sys.stdin)
assert "VirtualSize" not in o and "Container" not in o and "Hostname" not in o["Config"] and o["Config"]["Cmd"] == ["sh"] and o["Config"]["Volumes"] is None'
	local i; i=$(id busybox); eq "$(id "${i:7:10}")" "$i"; eq "$(id "${i:0:20}")" "$i"; eq "$(id "${i#sha256:}")" "$i"; rc 1 D image inspect Busybox; has "$ERR" "repository name (library/Busybox) must be lowercase"; rc 1 D image inspect 'a b'; has "$ERR" "invalid reference format"
}
t_import_changes() {
	D import -m hi -c 'CMD ["/bin/busybox","id"]' -c 'ENV A=1 B="two words"' -c 'ENV OLD style $A' -c 'EXPOSE 80 53/udp 7000-7001' -c 'LABEL x="y z" n=1' -c 'USER nobody' -c 'VOLUME /v1 /v2' -c 'VOLUME ["/v 2","/v3"]' -c 'WORKDIR /a' -c 'WORKDIR b' -c 'STOPSIGNAL 9' -c 'ONBUILD RUN true' -c 'HEALTHCHECK --interval=5s --retries=2 CMD true' -c 'ENTRYPOINT exec top' "$ROOT.t/bb.tar" "$C" >/dev/null || fail import
	eq "$(D image inspect -f '{{json .Config.Env}} {{json .Config.ExposedPorts}} {{json .Config.Labels}} {{.Config.User}} {{json .Config.Volumes}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{json .Config.OnBuild}} {{json .Config.Healthcheck}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Comment}}' "$C")" \
		'["A=1","B=two words","OLD=style 1"] {"53/udp":{},"7000/tcp":{},"7001/tcp":{},"80/tcp":{}} {"n":"1","x":"y z"} nobody {"/v 2":{},"/v1":{},"/v2":{},"/v3":{}} /a/b 9 ["RUN true"] {"Test":["CMD-SHELL","true"],"Interval":5000000000,"Retries":2} ["/bin/sh","-c","exec top"] ["/bin/busybox","id"] hi'
	out D rmi "$C"; for bad in 'RUN x' 'FROM x' 'EXPOSE x' 'ENV' 'STOPSIGNAL NOPE' 'HEALTHCHECK x' 'ONBUILD FROM x' 'CMD [1]'; do rc 1 D import -c "$bad" "$ROOT.t/bb.tar" "$C"; done; has "$ERR" "JSON"; eq "$(tmp_layers)" 0
	rc 1 D import "$ROOT.t/bb.tar" "Bad"; has "$ERR" "must be lowercase"; rc 1 D import --platform windows/amd64 "$ROOT.t/bb.tar" "$C"
}
t_import_takes_all() { # the archive's padding too: the program that makes it must not see a broken pipe
	out D create --name "$C" busybox true
	(set -o pipefail; docker export "$C" | docker import - "$C:i" >/dev/null) || fail "a broken pipe"
	(set -o pipefail; { docker export "$C"; head -c 3000000 /dev/zero; } | docker import - "$C:j" >/dev/null) || fail "a broken pipe"
	D rmi "$C:i" "$C:j" >/dev/null
}
t_commit_at_the_end() { # the container ends while it is being frozen
	local k; for k in $(seq 12); do out D run -d --name "$C" busybox usleep $((k * 3000)); out D commit "$C" "$C:c"; out D rm -f "$C"; D rmi "$C:c" >/dev/null; done
}
t_import_url() {
	(cd "$ROOT.t" && exec python3 -m http.server 18437 --bind 127.0.0.1 >/dev/null 2>&1) & local p=$!; until_ok curl -s -o /dev/null http://127.0.0.1:18437/
	out D import http://127.0.0.1:18437/bb.tar "$C"; has "$OUT" "Downloading from http://127.0.0.1:18437/bb.tar"; eq "$(id "$C")" "$(tail -1 <<<"$OUT")"; eq "$(D image inspect -f '{{.Comment}}' "$C")" "Imported from http://127.0.0.1:18437/bb.tar"; out D rmi "$C"
	rc 1 D import http://127.0.0.1:18437/nope "$C"; has "$ERR" 404; kill $p; rc 1 D import http://127.0.0.1:1/x "$C"
	rc 1 D import file:///etc/passwd "$C"; rc 1 D pull nosuch.invalid/x; has "$ERR" "dial tcp: lookup nosuch.invalid"
}
t_events() {
	local s; s=$(date +%s.%N); D import "$ROOT.t/bb.tar" "$C:e" >/dev/null; D tag "$C:e" "$C:f"; D save "$C:e" >"$T/s"; D rmi "$C:f" >/dev/null; D load -q -i "$T/s" >/dev/null; D rmi "$C:e" >/dev/null; D image prune -f >/dev/null; sleep 1.1
	eq "$(D events --since "$s" --until "$(date +%s)" --filter type=image --format '{{.Action}}' | tr '\n' ' ')" "tag import tag save untag load untag delete prune "
}
t_commit_exact() { # whiteouts, opaque directories, hard links, attributes of an upper come through
	out D run --name "$C" busybox sh -c 'rm /etc/group; rm -r /home; mkdir /home; echo new >/home/n; ln /home/n /hard; mkfifo /p; chmod 4711 /home/n; chown 5:6 /p; rm -r /usr/bin'
	out D commit -p=false -c 'ENV X=1' "$C" "$C:v"; D save "$C:v" >"$T/s.tar"; l=$(tar -xOf "$T/s.tar" manifest.json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["Layers"][1])'); tar -xOf "$T/s.tar" "$l" | tar tvf - >"$T/l"
	has "$(cat "$T/l")" "etc/.wh.group"; has "$(cat "$T/l")" "home/.wh..wh..opq"; has "$(cat "$T/l")" "usr/.wh.bin"; grep -q 'link to' "$T/l" || fail "no hard link"; hasnt "$(cat "$T/l")" native; hasnt "$(cat "$T/l")" dockerenv
	out D run --rm "$C:v" sh -c 'ls /home; ls /usr; stat -c "%a %h" /home/n; stat -c "%u %g %F" /p; echo $X; [ -e /etc/group ] || echo none'; eq "$OUT" $'n\n4711 2\n5 6 fifo\n1\nnone'; out D rm "$C"; out D rmi "$C:v"
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
