#!/bin/bash
# Where a build's files come from: ADD of URLs and archives, contexts by HTTP and from git.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar gzip bzip2 xz zstd git
engine_start; busybox_image

ctx() { mkdir -p "$T/ctx"; cat >"$T/ctx/Dockerfile"; } # a context with the Dockerfile on standard input
build() { out D build -t "$C" "$T/ctx"; }
img() { docker image inspect -f "$2" "$1"; }
zone_dirs_gone() { [ -z "$(ls "$ROOT/zones")" ]; }
remote() { api POST "/build?t=$C&remote=$(python3 -c 'import sys,urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1")${2:-}" >"$T/o"; }
W=$ROOT.t/www; mkdir -p "$W"
python3 - "$W" >"$ROOT.t/www.log" 2>&1 <<'P' & WWW=$!
import http.server, os, sys, time
os.chdir(sys.argv[1])
class H(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        p = self.path.split('?')[0]
        if p == '/named/' or p == '/nameless/':
            b = b'told'
            self.send_response(200); self.send_header('Content-Length', str(len(b)))
            if p == '/named/': self.send_header('Content-Disposition', 'attachment; filename="../../called"')
            self.end_headers(); self.wfile.write(b)
        elif p == '/moved': self.send_response(302); self.send_header('Location', '/plain'); self.send_header('Content-Length', '0'); self.end_headers()
        elif p == '/tofile': self.send_response(302); self.send_header('Location', 'file:///etc/passwd'); self.send_header('Content-Length', '0'); self.end_headers()
        elif p == '/cut': self.send_response(200); self.send_header('Content-Length', '100'); self.end_headers(); self.wfile.write(b'short'); self.close_connection = True
        elif p == '/slow': self.send_response(200); self.send_header('Content-Length', '100'); self.end_headers(); self.wfile.write(b'x'); self.wfile.flush(); time.sleep(60)
        elif p == '/denied': self.send_error(403)
        else: super().do_GET()
http.server.ThreadingHTTPServer(('127.0.0.1', 8099), H).serve_forever()
P
U=http://127.0.0.1:8099
until_ok curl -s $U/

t_add_url() {
	echo plain >"$W/plain"; touch -d '2020-02-03 04:05:06 UTC' "$W/plain"; echo sp >"$W/a b"; tar cf "$W/t.tar" -C "$W" plain
	ctx <<<$'FROM busybox\nADD '$U$'/plain /d/\nADD '$U$'/moved /d/\nADD '$U$'/a%20b /d/\nADD '$U$'/named/ /d/\nADD '$U$'/nameless/ /d/given\nADD '$U$'/t.tar /d/\nADD --chown=7:8 --chmod=640 '$U$'/plain?x=1 /d/mine'
	build; out D run --rm "$C" sh -c 'cd /d && stat -c "%n %U:%G %a %Y" plain; stat -c "%n %u:%g %a" mine; cat moved "a b" called given; stat -c %F t.tar'
	eq "$OUT" $'plain root:root 600 1580702706\nmine 7:8 640\nplain\nsp\ntoldtoldregular file'
	build; eq "$(grep -c 'Using cache' <<<"$OUT")" 7; echo other >"$W/plain"; build; eq "$(grep -c 'Using cache' <<<"$OUT")" 0
	ctx <<<$'FROM busybox\nADD '$U$'/none /'; rc 1 D build "$T/ctx"; has "$ERR" "ADD failed: failed to GET $U/none with status 404 Not Found"; ctx <<<$'FROM busybox\nADD '$U$'/nameless/ /d/'; rc 1 D build "$T/ctx"; has "$ERR" "cannot determine filename for source $U/nameless/"
	ctx <<<$'FROM busybox\nCOPY '$U$'/plain /'; rc 1 D build "$T/ctx"; has "$ERR" "source can't be a URL for COPY"; ctx <<<$'FROM busybox\nADD '$U$'/cut /'; rc 1 D build "$T/ctx"; has "$ERR" "ADD failed"; ctx <<<$'FROM busybox\nADD '$U$'/tofile /'; rc 1 D build "$T/ctx"; has "$ERR" "ADD failed"
	zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
t_alone() { # a Dockerfile on standard input, with nothing around it
	echo alone >"$W/alone"; OUT=$(docker build -t "$C" - <<<$'FROM busybox\nADD '$U$'/alone /got\nRUN cat /got' 2>&1) || fail "$OUT"; has "$OUT" $'\nalone\n'; OUT=$(docker build - <<<$'FROM busybox\nCOPY x /x' 2>&1) && fail "$OUT"; has "$OUT" "stat x: file does not exist"
	printf 'FROM busybox\nADD %s/alone /got\nCOPY x /x' $U >"$T/df"; api POST "/build" -H 'Content-Type: application/x-tar' --data-binary @"$T/df" >"$T/o"; has "$(cat "$T/o")" "COPY failed: file not found in build context"
}
t_add_url_gone() {
	ctx <<<$'FROM busybox\nADD '$U$'/slow /'; docker build "$T/ctx" >"$T/o" 2>&1 & local p=$!
	until_ok grep -q "Downloading\|Step 2" "$T/o"; sleep 0.3; kill -9 $p; UNTIL=15 until_ok zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
t_add_archives() {
	mkdir -p "$T/in/sub"; echo x >"$T/in/sub/x"; ln -s sub/x "$T/in/l"; chmod 751 "$T/in/sub"; local z
	mkdir -p "$T/ctx"; tar -C "$T/in" --owner=3 --group=4 -cf "$T/ctx/a.tar" .; gzip -k "$T/ctx/a.tar"; bzip2 -k "$T/ctx/a.tar"; xz -k "$T/ctx/a.tar"; zstd -q "$T/ctx/a.tar"; mv "$T/ctx/a.tar.gz" "$T/ctx/noname"; gzip -c "$T/ctx/a.tar.xz" >"$T/ctx/text.gz"
	for z in a.tar noname a.tar.bz2 a.tar.xz a.tar.zst; do printf 'FROM busybox\nADD %s /new/dir\nCOPY %s /copied\n' $z $z >"$T/ctx/Dockerfile"; build; out D run --rm "$C" sh -c 'stat -c "%n %u:%g %a" /new/dir/sub/x /new/dir/sub; readlink /new/dir/l; stat -c %F /copied'; eq "$OUT" $'/new/dir/sub/x 3:4 644\n/new/dir/sub 3:4 751\nsub/x\nregular file' "$z"; done
	printf 'FROM busybox\nADD text.gz /f\n' >"$T/ctx/Dockerfile"; build; out D run --rm "$C" stat -c %F /f; eq "$OUT" "regular file" "a compressed file that is no archive"
}
t_remote() {
	mkdir -p "$T/x"; echo f >"$T/x/f"; printf 'FROM busybox\nCOPY f /f\n' >"$T/x/Dockerfile"; tar -C "$T/x" -czf "$W/ctx.tar.gz" .; printf 'FROM busybox\nENV ALONE=1\n' >"$W/df.txt"; echo '<html>' >"$W/page.html"
	remote $U/ctx.tar.gz; has "$(tail -1 "$T/o")" "Successfully tagged"; out D run --rm "$C" cat /f; eq "$OUT" f; remote $U/df.txt; has "$(img "$C" '{{.Config.Env}}')" ALONE=1
	remote $U/page.html; eq "$(status)" 500; has "$(cat "$T/o")" "unsupported Content-Type"; remote $U/none.tar; eq "$(status)" 404; has "$(cat "$T/o")" "error downloading remote context $U/none.tar: failed to GET"; remote $U/denied; eq "$(status)" 403; remote client-session; eq "$(status)" 400
	zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
g() { git -C "$1" -c user.name=n -c user.email=e@e -c protocol.file.allow=always -c init.defaultBranch=main "${@:2}" >>"$ROOT.t/git.log" 2>&1; }
t_git() {
	local r=$ROOT.t/repos; mkdir -p "$r/p.git/sub" "$r/s.git"; g "$r/s.git" init; echo module >"$r/s.git/m"; g "$r/s.git" add -A; g "$r/s.git" commit -m s
	g "$r/p.git" init; printf 'FROM busybox\nCOPY f /f\nRUN cat /f\n' >"$r/p.git/Dockerfile"; echo main >"$r/p.git/f"; printf 'FROM busybox\nCOPY . /\n' >"$r/p.git/sub/Dockerfile"; echo subfile >"$r/p.git/sub/s"; ln -s /etc "$r/p.git/out"
	g "$r/p.git" add -A; g "$r/p.git" commit -m one
	g "$r/p.git" checkout -b other; echo other >"$r/p.git/f"; g "$r/p.git" commit -am two; g "$r/p.git" tag v1; g "$r/p.git" checkout main
	git daemon --base-path="$r" --export-all --listen=127.0.0.1 --port=9419 --reuseaddr >>"$ROOT.t/git.log" 2>&1 & local d=$! G=git://127.0.0.1:9419
	until_ok git ls-remote $G/p.git
	remote "$G/p.git"; has "$(cat "$T/o")" '"main\n"'; remote "$G/p.git#other"; has "$(cat "$T/o")" '"other\n"'; remote "$G/p.git#v1"; has "$(cat "$T/o")" "Successfully built"; remote "$G/p.git#$(git -C "$r/p.git" rev-parse main)"; has "$(cat "$T/o")" "Successfully built"
	remote "$G/p.git#:sub"; out D run --rm "$C" cat /s; eq "$OUT" subfile; remote "$G/p.git#other:sub"; has "$(cat "$T/o")" "Successfully built"
	remote "$G/p.git#:none"; eq "$(status)" 500; has "$(cat "$T/o")" "error setting git context"; remote "$G/p.git#:out"; eq "$(status)" 500; remote "$G/p.git#:f"; eq "$(status)" 400
	remote "$G/p.git#nope"; eq "$(status)" 500; has "$(cat "$T/o")" "error fetching"; remote "$G/p.git#--upload-pack=x"; eq "$(status)" 400; has "$(cat "$T/o")" "invalid refspec"; remote "git://127.0.0.1:1/x.git"; eq "$(status)" 500; has "$(cat "$T/o")" "error fetching"
	g "$r/p.git" checkout -b mod; g "$r/p.git" submodule add "$G/s.git" m; printf 'FROM busybox\nCOPY m/m /m\n' >"$r/p.git/Dockerfile"; g "$r/p.git" add -A; g "$r/p.git" commit -m mod
	remote "$G/p.git#mod"; out D run --rm "$C" cat /m; eq "$OUT" module; sed -i "s|url = .*|url = $r/s.git|" "$r/p.git/.gitmodules"; g "$r/p.git" commit -am local; remote "$G/p.git#mod"; eq "$(status)" 500; has "$(cat "$T/o")" "error initializing submodules"
	# by HTTP from a server of files, which knows no depths
	git clone --bare -q "$r/p.git" "$W/dumb.git" 2>/dev/null; git -C "$W/dumb.git" update-server-info; remote "$U/dumb.git#other" "&nocache=1"; has "$(cat "$T/o")" '"other\n"'
	kill $d; wait $d 2>/dev/null; zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
t_git_gone() { # a server that never answers
	python3 -c 'import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",9420)); s.listen(8); time.sleep(60)' & local d=$! p
	until_ok bash -c ": </dev/tcp/127.0.0.1/9420"
	timeout 20 curl -s -X POST --unix-socket "$SOCK" "http://d/build?remote=git://127.0.0.1:9420/x.git" >/dev/null & p=$!
	until_ok pgrep -f "git.*fetch.*origin" || fail "not begun"; kill $p; wait $p 2>/dev/null; UNTIL=15 until_ok zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"; [ -z "$(pgrep -f "apiserver --git-clone $ROOT")" ] || fail "git goes on"
	timeout 20 curl -s -X POST --unix-socket "$SOCK" "http://d/build?remote=git://127.0.0.1:9420/x.git" >/dev/null & p=$!
	until_ok pgrep -f "apiserver --git-clone $ROOT" || fail "not begun"; engine_kill; wait $p; until_ok nothing_fetches || fail "git goes on without us"; kill $d; engine_start; UNTIL=20 until_ok zone_dirs_gone || fail "left: $(ls "$ROOT/zones")"
}
nothing_fetches() { [ -z "$(pgrep -f "apiserver --git-clone $ROOT")$(pgrep -f "git-remote.*9420\|git fetch.*9420")" ]; }
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
kill $WWW
