#!/bin/bash
# Building: limits and networks of the steps, --squash, --cache-from, the cache's accounting and pruning, many builds at once.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar jq
engine_start; busybox_image

ctx() { mkdir -p "$T/ctx"; cat >"$T/ctx/Dockerfile"; } # a context with the Dockerfile on standard input
build() { out D build -t "$C" "$@" "$T/ctx"; }
img() { docker image inspect -f "$2" "$1"; }
post() { api POST "/build?t=$C&$1" -H 'Content-Type: application/x-tar' --data-binary @"$2"; }
n_containers() { docker ps -aq | wc -l; }
zone_dirs_gone() { [ -z "$(ls "$ROOT/zones")" ]; }
hits() { grep -c 'Using cache' <<<"$OUT"; }
running_is() { [ "$(docker ps -q | wc -l)" = "$1" ]; }
cache_is() { api GET "/v1.51/system/df?type=build-cache" | python3 -c 'import json,sys; print(sum(1 for r in json.load(sys.stdin)["BuildCache"] if eval(sys.argv[1], r)))' "$1"; }
files() { docker rm -f "${C}f" >/dev/null 2>&1; docker create --name "${C}f" "$1" x >/dev/null; docker export "${C}f" | tar tvf - | awk '{print $1, $2, $3, $6, $7, $8}' | grep -v ' \(etc/host\|etc/resolv\|\.dockerenv\|dev/\|etc/mtab\|proc/\|sys/\)' | sort; docker rm "${C}f" >/dev/null; }

t_limits() {
	ctx <<'E'
FROM busybox
RUN g=/sys/fs/cgroup; cat $g/memory.max $g/memory/memory.limit_in_bytes $g/cpu.max $g/cpu/cpu.cfs_quota_us $g/cpuset.cpus $g/cpuset/cpuset.cpus 2>/dev/null; true
RUN grep -c myhost /etc/hosts; ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; ls /sys/class/net | wc -w
E
	build --memory 64m --memory-swap 64m --cpu-period 50000 --cpu-quota 25000 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --add-host myhost:1.2.3.4 --ulimit nofile=77:88 --shm-size 8m --network none --cgroup-parent "sdcbuild$$"
	has "$OUT" 67108864; has "$OUT" 25000; has "$OUT" $'\n0\n'; has "$OUT" $'\n1\n77\n88\n8192\n1\n'
	find /sys/fs/cgroup -maxdepth 3 -depth -name "sdcbuild$$" -exec rmdir {} + 2>/dev/null; true
}
t_networks() {
	ctx <<<$'FROM busybox\nRUN ls /sys/class/net | tr "\\n" " "'
	D network create "n$C" >/dev/null; build --network "n$C"; has "$OUT" eth0; D network rm "n$C" >/dev/null
	build --no-cache --network host; has "$OUT" "lo sdc"; build --no-cache; hasnt "$OUT" sdc; has "$OUT" eth0
	D run -d --name "$C" --network none busybox sleep 100 >/dev/null; ctx <<<$'FROM busybox\nRUN readlink /proc/self/ns/net'; build --network "container:$C"; has "$OUT" "$(D exec "$C" readlink /proc/self/ns/net)"; D rm -f "$C" >/dev/null
	rc 1 D build --no-cache --network "no$C" "$T/ctx"; has "$ERR" "no$C not found"; D ps -aq | xargs -r docker rm >/dev/null
}
t_rm() {
	ctx <<<$'FROM busybox\nRUN true\nRUN true'; build --rm=false --no-cache; hasnt "$OUT" "Removing intermediate"; eq "$(n_containers)" 2; D ps -aq | xargs docker rm >/dev/null
	build --rm=false --force-rm --no-cache; eq "$(n_containers)" 0
	out D build -q --iidfile "$T/iid" -t "$C:1" -t "$C:2" -f - "$T/ctx" <<<$'FROM busybox\nENV OUTSIDE=1'; eq "$(cat "$T/iid")" "$OUT"; eq "$(img "$C:1" '{{.Id}}')" "$OUT"; has "$(img "$C:2" '{{.Config.Env}}')" OUTSIDE=1
	printf 'FROM busybox\nCOPY f /f\n' >"$T/elsewhere"; echo one >"$T/ctx/f"; build -f "$T/elsewhere"; out D run --rm "$C" cat /f; eq "$OUT" one
}
t_squash() {
	ctx <<'E'
FROM busybox
RUN echo a >/a; mkdir -p /d/sub /gone; echo 1 >/d/1; echo 2 >/d/sub/2; chmod 711 /d; ln /d/1 /hard
RUN rm -rf /a /etc/group /d /gone && mkdir /d && echo 3 >/d/3; chown 7:8 /d/3; chmod 4755 /d/3
RUN rm -rf /home && mkdir /home && touch /home/x; echo more >>/etc/passwd; mkfifo /fifo; ln -s /d/3 /link
ENV K=1
CMD ["cat","/d/3"]
E
	build; D tag "$C" "$C:plain"; build --squash; has "$OUT" "Successfully tagged $C:latest"; ne "$(img "$C" '{{.Id}}')" "$(img "$C:plain" '{{.Id}}')"
	eq "$(img "$C" '{{len .RootFS.Layers}}')" 2; eq "$(img "$C" '{{.Parent}}')" ""; eq "$(img "$C" '{{json .Config}}')" "$(img "$C:plain" '{{json .Config}}')"
	eq "$(files "$C")" "$(files "$C:plain")" "files"; out D run --rm "$C"; eq "$OUT" 3
	eq "$(docker history --no-trunc --format '{{.Comment}}' "$C" | head -1)" "merge $(img "$C:plain" '{{.Id}}') to $(img busybox '{{.Id}}')"; eq "$(docker history -q "$C" | wc -l)" 7
	docker save "$C" -o "$T/s.tar"; D rmi "$C" >/dev/null; D load -i "$T/s.tar" >/dev/null || fail load; out D run --rm "$C"; eq "$OUT" 3
	ctx <<<$'FROM scratch\nCOPY x /x\nCOPY y /x\n'; echo x >"$T/ctx/x"; echo y >"$T/ctx/y"; build --squash; eq "$(img "$C" '{{len .RootFS.Layers}}')" 1; like "$(docker history --no-trunc --format '{{.Comment}}' "$C" | head -1)" "^create new from sha256:"
	ctx <<<$'FROM busybox\nENV NOTHING=1'; build --squash; eq "$(img "$C" '{{len .RootFS.Layers}}')" 1; D run --rm "$C" true || fail run
	zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
t_cache_from() {
	ctx <<<$'FROM busybox\nRUN echo 1 >/1\nENV A=1\nCOPY f /f\nRUN echo 2 >/2\nCMD x'; echo f >"$T/ctx/f"; build; local id; id=$(img "$C" '{{.Id}}')
	docker save "$C" -o "$T/s.tar"; D rmi "$C" >/dev/null; D load -i "$T/s.tar" >/dev/null
	build -t "$C:new"; eq "$(hits)" 0 "without"; D rmi "$C" "$C:new" >/dev/null; D load -i "$T/s.tar" >/dev/null
	out D build --cache-from "no$C" --cache-from "$C" -t "$C:new" "$T/ctx"; eq "$(hits)" 5 "with"; eq "$(img "$C:new" '{{.Id}}')" "$id"
	eq "$(docker history -q "$C:new" | grep -vc missing)" 6 "the steps are images again"
	sed -i 's/echo 2/echo 3/' "$T/ctx/Dockerfile"; out D build --cache-from "$C" -t "$C:new" "$T/ctx"; eq "$(hits)" 3; out D run --rm "$C:new" cat /1 /f /2; eq "$OUT" $'1\nf\n3'
	out D build --cache-from busybox -t "$C:new" "$T/ctx"; eq "$(hits)" 0 "what was built here does not count then"
}
t_cache_keys() { # what must not be found: another working directory, stop signal, value
	ctx <<<$'FROM busybox\nWORKDIR /a\nRUN pwd >/o'; build; ctx <<<$'FROM busybox\nWORKDIR /b\nRUN pwd >/o'; build; out D run --rm "$C" cat /o; eq "$OUT" /b
	ctx <<<$'FROM busybox\nSTOPSIGNAL 9\nLABEL a=1'; build; ctx <<<$'FROM busybox\nSTOPSIGNAL 15\nLABEL a=1'; build; eq "$(hits)" 0
	ctx <<<$'FROM busybox\nENV A=1\nENV B=1'; build; build; eq "$(hits)" 2; ctx <<<$'FROM busybox\nENV A=1\nENV B=2'; build; eq "$(hits)" 1
}
t_stages() {
	ctx <<<$'FROM busybox AS One\nFROM busybox AS one'; rc 1 D build "$T/ctx"; has "$ERR" "one stage name already used"
	ctx <<<$'FROM busybox\nCOPY --from=1 /x /x'; rc 1 D build "$T/ctx"; has "$ERR" "index out of bounds"; ctx <<<$'FROM busybox\nCOPY --from=0 /x /x'; rc 1 D build "$T/ctx"; has "$ERR" "refers to current build stage"
	ctx <<<$'FROM busybox AS A\nRUN echo a >/o\nFROM A AS B\nRUN echo b >>/o\nFROM busybox\nCOPY --from=a /o /a\nCOPY --from=1 /o /b'; build; out D run --rm "$C" cat /a /b; eq "$OUT" $'a\na\nb'; build --target b; out D run --rm "$C" cat /o; eq "$OUT" $'a\nb'; rc 1 D build --target nope "$T/ctx"; has "$ERR" 'target stage "nope" could not be found'
	ctx <<<$'FROM --platform=linux/arm64 busybox\nRUN x'; rc 1 D build "$T/ctx"; hasnt "$OUT" "Step 2"; ctx <<<$'FROM --platform=a/b/c/d busybox'; rc 1 D build "$T/ctx"; has "$ERR" "failed to parse platform a/b/c/d"
	ctx <<<$'ARG P=linux\nFROM --platform=$P busybox\nENV X=1'; build
}
t_heredoc() {
	ctx <<<$'FROM busybox\nRUN <<EOF\nFROM nothing\nEOF\nCMD x'; rc 1 D build "$T/ctx"; has "$ERR" "the heredoc syntax requires BuildKit"; hasnt "$ERR" parse; ctx <<<$'FROM busybox\nCOPY <<EOF /x\ny\nEOF'; rc 1 D build "$T/ctx"; has "$ERR" "the heredoc syntax requires BuildKit"
	ctx <<<$'FROM busybox\nRUN <<EOF\nx'; rc 1 D build "$T/ctx"; has "$ERR" "failed to parse Dockerfile: unterminated heredoc"
	ctx <<<$'FROM busybox\nRUN echo a \\\n\n  b'; out D build "$T/ctx"; has "$OUT$ERR" "[WARNING]: Empty continuation line found in: RUN echo a   b"; has "$OUT$ERR" "Empty continuation lines will become errors"
}
t_df_and_prune() {
	D builder prune -af >/dev/null; D image prune -f >/dev/null; eq "$(cache_is True)" 0
	ctx <<<$'FROM busybox\nRUN head -c 100000 /dev/zero >/1\nENV A=1\nRUN head -c 200000 /dev/zero >/2'; build; eq "$(cache_is 'InUse and Shared')" 1; eq "$(cache_is 'InUse and Size == 0')" 1; eq "$(cache_is True)" 2
	out D builder prune -f; has "$OUT" "Total reclaimed space: 0B"; eq "$(cache_is True)" 2
	sed -i 's/200000/300000/' "$T/ctx/Dockerfile"; build; eq "$(cache_is 'not InUse and not Shared and Size == 200000 and "head -c 200000" in Description')" 1
	out D system df -v; has "$OUT" "Build cache usage: 200kB"; like "$OUT" "regular +200kB"; eq "$(D images -aq --filter dangling=true | wc -l)" 1
	out D builder prune -f --filter until=1h; has "$OUT" "Total reclaimed space: 0B"; out D builder prune -f --keep-storage 300000; has "$OUT" "Total reclaimed space: 0B"
	D run -d --name "$C" "$(D images -q --filter dangling=true)" sleep 100 >/dev/null; out D builder prune -f; has "$OUT" "Total reclaimed space: 0B" "a container has it"; D rm -f "$C" >/dev/null
	out D builder prune -f; has "$OUT" "Total reclaimed space: 200kB"; eq "$(cache_is True)" 2; build; eq "$(hits)" 3
	out D builder prune -af; has "$OUT" "sha256:"; eq "$(cache_is True)" 0; D run --rm "$C" true || fail "the image is there"; build; eq "$(hits)" 0 "all means the cache of what has names, too"
	D tag busybox "$C"; eq "$(cache_is 'not InUse')" 4; engine_term; engine_start; eq "$(cache_is 'not InUse')" 4 "after a restart"
	rc 1 D builder prune -f --filter nope=1; has "$ERR" "invalid filter"; out D system prune -f; has "$OUT" "Total reclaimed space"; eq "$(cache_is True)" 0
	api POST /build/prune >"$T/o"; eq "$(cat "$T/o")" '{"CachesDeleted":null,"SpaceReclaimed":0}'; api POST '/build/prune?keep-storage=x' >"$T/o"; eq "$(status)" 400
}
t_prune_sizes() { # what was not used for the longest time goes, until the limits are kept
	local n query want huge=1000000000000000; D builder prune -af >/dev/null; D image prune -f >/dev/null
	for n in 1 2 3; do ctx <<<$'FROM busybox\nRUN head -c '$n$'00000 /dev/zero >/f'; D build -q "$T/ctx" >/dev/null || fail build; done; eq "$(cache_is 'not InUse')" 3
	while read -r query want; do eq "$(api POST "/build/prune?$query" | jq .SpaceReclaimed) $(status)" "$want 200" "$query"; done <<E
max-used-space=600000 0
min-free-space=1 0
reserved-space=1000000&min-free-space=$huge 0
min-free-space=1&max-used-space=550000 100000
reserved-space=500000&max-used-space=1 0
reserved-space=200000&max-used-space=400000 200000
keep-storage=300000 0
min-free-space=$huge 300000
E
	eq "$(cache_is True)" 0; for n in max-used-space min-free-space reserved-space; do api POST "/build/prune?$n=1k" >"$T/o"; eq "$(status)" 400; has "$(cat "$T/o")" "$n is in bytes and expects an integer, got 1k"; done
}
t_prune_meanwhile() { # what a build stands on stays, whoever cleans up
	D run --name "$C" busybox sh -c 'echo base >/base'; D commit "$C" "$C:base" >/dev/null; D rm "$C" >/dev/null
	ctx <<<"FROM $C:base"$'\nENV A=1\nRUN echo 1 >/1\nRUN while [ ! -e /now ]; do sleep 0.05; done\nCOPY go /go\nRUN while [ ! -e /then ]; do sleep 0.05; done\nRUN cat /base /1 /go >/all'; echo go >"$T/ctx/go"
	docker build -t "$C" "$T/ctx" >"$T/o" 2>&1 & local p=$! n=0 f
	for f in now "then"; do
		n=$((n + 2)); until_ok grep -q "Step $((n + 2))/" "$T/o"; until_ok running_is 1 || fail "not at $f"
		D rmi -f "$C:base" >/dev/null 2>&1; D image prune -f >/dev/null; D builder prune -af >/dev/null; until_ok docker exec "$(docker ps -q)" touch /$f
	done
	wait $p || fail "$(cat "$T/o")"; out D run --rm "$C" cat /all; eq "$OUT" $'base\n1\ngo'; D history "$C" >/dev/null || fail history; D save "$C" -o "$T/s.tar" || fail save
}
t_many() { # more than there are places: the others are told that they wait, and nothing else waits with them
	ctx <<<$'FROM busybox\nARG N\nRUN sleep 1000'; local i p=()
	for i in 1 2 3 4 5 6 7 8; do docker build --build-arg N=$i "$T/ctx" >"$T/o$i" 2>&1 & p+=($!); done; until_ok running_is 8 || fail "8 do not run"
	docker build --build-arg N=9 "$T/ctx" >"$T/o9" 2>&1 & p+=($!); until_ok grep -q "Waiting for 8 other builds" "$T/o9" || fail "not told: $(cat "$T/o9")"
	docker save busybox -o "$T/bb.tar"; out timeout 20 docker load -i "$T/bb.tar"; rc 1 timeout 20 docker pull 127.0.0.1:1/x
	kill -9 "${p[0]}"; until_ok grep -q "Step 3" "$T/o9" || fail "9 does not begin"; for i in "${p[@]}"; do kill -9 "$i" 2>/dev/null; done; wait; UNTIL=20 until_ok zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
nothing_left() { zone_dirs_gone && [ -z "$(ls "$ROOT/lib/layers/tmp")" ] && ! grep -q "$ROOT" /proc/self/mountinfo; }
t_killed_anywhere() { # the engine dies at different moments of a build; the next one finds all in order, and goes on with the steps that were done
	mkdir -p "$T/ctx/d"; local i p; for i in 1 2 3 4 5 6 7 8; do head -c 3000000 /dev/urandom >"$T/ctx/d/$i"; done
	ctx <<<$'FROM busybox\nCOPY d /d1\nRUN cp -a /d1 /d2\nCOPY d /d3\nRUN rm -rf /d1 /d2\nCMD ["ls","/d3"]'
	for i in 0.03 0.08 0.15 0.25 0.4; do
		docker build -t "$C:k" "$T/ctx" >"$T/o" 2>&1 & p=$!
		sleep $i; engine_kill; wait $p; engine_start; UNTIL=20 until_ok nothing_left || fail "after $i s: $(ls "$ROOT/zones")"; eq "$(n_containers)" 0
	done
	build; out D run --rm "$C"; eq "$OUT" $'1\n2\n3\n4\n5\n6\n7\n8'
}
t_gone_anywhere() { # and so does the client
	mkdir -p "$T/ctx/d"; local i p; for i in 1 2 3 4; do head -c 3000000 /dev/urandom >"$T/ctx/d/$i"; done
	ctx <<<$'FROM busybox\nCOPY d /d1\nRUN cp -a /d1 /d2\nADD d /d3\nRUN sleep 0.1'
	for i in 0.02 0.06 0.1 0.15 0.2 0.3; do docker build --no-cache "$T/ctx" >"$T/o" 2>&1 & p=$!; sleep $i; kill -9 $p; wait $p 2>/dev/null; done; UNTIL=20 until_ok nothing_left || fail "left: $(ls "$ROOT/zones")"; eq "$(n_containers)" 0
}
t_cancel() {
	printf 'FROM busybox\nRUN echo begun; sleep 100' >"$T/df"; local p
	curl -sN --unix-socket "$SOCK" "http://d/build?buildid=$C" -X POST -H 'Content-Type: application/x-tar' --data-binary @"$T/df" >"$T/o" & p=$!
	until_ok grep -q 'begun' "$T/o"; until_ok running_is 1 || fail "not begun"; api POST "/build/cancel?id=$C" >/dev/null; eq "$(status)" 200; wait $p; has "$(tail -1 "$T/o")" "build cancelled"; UNTIL=15 until_ok zone_dirs_gone || fail "left"
	api POST /build/cancel >/dev/null; eq "$(status)" 400; api POST "/build/cancel?id=none" >/dev/null; eq "$(status)" 200
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
