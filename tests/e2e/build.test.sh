#!/bin/bash
# Building: the classic builder's instructions, cache, contexts, parameters, errors, and a client that goes away.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3 tar gzip bzip2 xz jq
engine_start; busybox_image

ctx() { mkdir -p "$T/ctx"; cat >"$T/ctx/Dockerfile"; } # a context with the Dockerfile on standard input
build() { out D build -t "$C" "$@" "$T/ctx"; }
img() { docker image inspect -f "$2" "$1"; }
created_by() { docker history --no-trunc --format '{{.CreatedBy}}' "$1"; }
post() { api POST "/build?t=$C&$1" -H 'Content-Type: application/x-tar' --data-binary @"$2"; }
n_containers() { docker ps -aq | wc -l; }
zone_dirs_gone() { [ -z "$(ls "$ROOT/zones")" ]; }
one_runs() { [ "$(docker ps -q | wc -l)" = 1 ]; }

t_output() {
	ctx <<<$'FROM busybox\nCOPY f /f\nRUN cat /f >/g && echo ran\nRUN echo bad >&2\nCMD ["cat","/g"]'; echo one >"$T/ctx/f"
	(cd "$T/ctx" && tar cf "$T/c.tar" .); post "" "$T/c.tar" >"$T/o"
	python3 - "$T/o" <<'P' || fail "stream"
import json, re, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
text = ''.join(l.get('stream', '') for l in lines)
want = r'''Step 1/5 : FROM busybox
 ---> [0-9a-f]{12}
Step 2/5 : COPY f /f
 ---> [0-9a-f]{12}
Step 3/5 : RUN cat /f >/g && echo ran
 ---> Running in ([0-9a-f]{12})
ran
Removing intermediate container \1
 ---> [0-9a-f]{12}
Step 4/5 : RUN echo bad >&2
 ---> Running in ([0-9a-f]{12})
\x1b\[91mbad
\x1b\[0mRemoving intermediate container \2
 ---> [0-9a-f]{12}
Step 5/5 : CMD \["cat","/g"\]
 ---> Running in ([0-9a-f]{12})
Removing intermediate container \3
 ---> ([0-9a-f]{12})
Successfully built \4
Successfully tagged \S+:latest
'''
m = re.fullmatch(want, text)
assert m, text
aux = [l['aux']['ID'] for l in lines if 'aux' in l]
assert len(aux) == 1 and aux[0].startswith('sha256:' + m.group(4)), aux
P
	out D run --rm "$C"; eq "$OUT" one
	eq "$(created_by "$C" | head -1)" '/bin/sh -c #(nop)  CMD ["cat" "/g"]'; like "$(created_by "$C" | sed -n 4p)" '^/bin/sh -c #\(nop\) COPY file:[0-9a-f]{64} in /f $'
	eq "$(created_by "$C" | sed -n 3p)" '/bin/sh -c cat /f >/g && echo ran'; eq "$(n_containers)" 0
}
t_config_instructions() {
	ctx <<'E'
FROM busybox
MAINTAINER somebody <some@where>
ENV A=1 B="two words" C=$A-x
ENV OLD style value
LABEL l.one="a b" two=${B}
EXPOSE 80 53/udp 1000-1001
VOLUME ["/v1","/v 2"]
VOLUME ["/v3"]
USER nobody
WORKDIR /w/x
WORKDIR ../y
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=1m30s --timeout=3s --retries=2 CMD test -e "$A"
SHELL ["/bin/sh","-ec"]
ENTRYPOINT echo $A
CMD ["x","y\"z"]
ONBUILD RUN echo triggered
E
	build; eq "$(img "$C" '{{.Author}}')" "somebody <some@where>"
	eq "$(img "$C" '{{json .Config.Env}}' | sed 's/"PATH[^"]*",//')" '["A=1","B=two words","C=-x","OLD=style value"]'
	eq "$(img "$C" '{{json .Config.Labels}}')" '{"l.one":"a b","two":"two words"}'
	eq "$(img "$C" '{{json .Config.ExposedPorts}}')" '{"1000/tcp":{},"1001/tcp":{},"53/udp":{},"80/tcp":{}}'
	eq "$(img "$C" '{{json .Config.Volumes}}')" '{"/v 2":{},"/v1":{},"/v3":{}}'; eq "$(img "$C" '{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}}')" 'nobody /w/y SIGUSR1'
	eq "$(img "$C" '{{json .Config.Healthcheck}}')" '{"Test":["CMD-SHELL","test -e \"$A\""],"Interval":90000000000,"Timeout":3000000000,"Retries":2}'
	eq "$(img "$C" '{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Shell}} {{json .Config.OnBuild}}')" '["/bin/sh","-ec","echo $A"] ["x","y\"z"] ["/bin/sh","-ec"] ["RUN echo triggered"]'
	cat >"$T/want" <<'E'
/bin/sh -ec #(nop)  ONBUILD RUN echo triggered
/bin/sh -ec #(nop)  CMD ["x" "y\"z"]
/bin/sh -ec #(nop)  ENTRYPOINT ["/bin/sh" "-ec" "echo $A"]
/bin/sh -ec #(nop)  SHELL [/bin/sh -ec]
/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "test -e \"$A\""] "1m30s" "3s" "0s" "0s" '\x02'}
/bin/sh -c #(nop)  STOPSIGNAL SIGUSR1
/bin/sh -c #(nop) WORKDIR /w/y
/bin/sh -c #(nop) WORKDIR /w/x
/bin/sh -c #(nop)  USER nobody
/bin/sh -c #(nop)  VOLUME [/v3]
/bin/sh -c #(nop)  VOLUME [/v1 /v 2]
/bin/sh -c #(nop)  EXPOSE 1000-1001 53/udp 80
/bin/sh -c #(nop)  LABEL l.one=a b two=two words
/bin/sh -c #(nop)  ENV OLD=style value
/bin/sh -c #(nop)  ENV A=1 B=two words C=-x
/bin/sh -c #(nop)  MAINTAINER somebody <some@where>
E
	created_by "$C" | head -16 >"$T/got"; diff "$T/want" "$T/got" >&2 || fail "history"
	ctx <<<"FROM --platform=linux $C"$'\nHEALTHCHECK NONE\nHEALTHCHECK CMD x'; out D build "$T/ctx"; has "$OUT" Note:; ctx <<<"FROM $C"$'\nHEALTHCHECK CMD x'; out D build "$T/ctx"; has "$OUT" 'Note: overriding previous HEALTHCHECK: [CMD-SHELL test -e "$A"]'
	ctx <<<"FROM $C"$'\nHEALTHCHECK --timeout=9s CMD x'; out D build -t "${C}:h" "$T/ctx"; eq "$(img "${C}:h" '{{json .Config.Healthcheck}}' | jq -c '[.Test[1],.Interval,.Timeout,.Retries]')" '["x",90000000000,9000000000,2]' "what a check does not say"
	out D run --rm --entrypoint stat "$C" -c %U:%a /w/x /w/y; eq "$OUT" $'root:755\nroot:755'
	ctx <<<"FROM $C"; out D build --no-cache -t "${C}:child" "$T/ctx"; has "$OUT" "# Executing 1 build trigger"; has "$OUT" $'\ntriggered'; eq "$(img "${C}:child" '{{json .Config.OnBuild}}')" null
}
t_run_forms() {
	ctx <<'E'
# escape=`
FROM busybox
ENV A=ok
RUN ["sh","-c","echo exec-$A >/a"]
RUN echo one `
	# a comment in between
	two >/b
RUN id -u >/c; pwd >>/c; echo $HOSTNAME | wc -c >>/c
ENTRYPOINT ["false"]
RUN echo no-entrypoint >/d
E
	build; out D run --rm --entrypoint cat "$C" /a /b /c /d; eq "$OUT" $'exec-ok\none two\n0\n/\n13\nno-entrypoint'
	ctx <<<$'FROM busybox\nRUN head -c 300000 /dev/zero | tr "\\\\0" x\nRUN printf "a\\\\377b\\n"'; build; has "$OUT" xxxxxxxx
	ctx <<<$'FROM busybox\nRUN mkdir -p /d && chmod 1777 /d && rm /etc/group && ln -s /d /l'; build; out D run --rm "$C" sh -c 'stat -c %a /d; readlink /l; ls /etc'; hasnt "$OUT" group; like "$OUT" '^1777.*/d.*passwd'
}
t_copy() {
	mkdir -p "$T/ctx/d/sub"; echo f >"$T/ctx/f"; echo g >"$T/ctx/g.txt"; echo h >"$T/ctx/h.txt"; echo s >"$T/ctx/d/sub/s"; ln -s sub/s "$T/ctx/d/l"; ln -s f "$T/ctx/lf"; chmod 751 "$T/ctx/d/sub"; chmod 4755 "$T/ctx/f"; echo "sp ace" >"$T/ctx/a b"
	ctx <<'E'
FROM busybox
WORKDIR /w
COPY f /new/dir/file
COPY f /bin/
COPY *.txt ./
COPY d /d
COPY d/ d2
COPY lf /through
COPY ["a b", "/a b"]
COPY --chown=nobody:users --chmod=600 f /owned
COPY --chown=7 d /seven
COPY . /all/
RUN ln -s /d /link
COPY g.txt /link/
E
	build; out D run --rm "$C" sh -c 'cat /new/dir/file /bin/f; ls /w; cat /d/l /w/d2/l /through; readlink /d/l; stat -c %a /d/sub /new/dir /bin/f; cat "/a b"; stat -c "%U:%G:%a" /owned; stat -c %u:%g /seven /seven/sub/s; ls /all; cat /d/g.txt; stat -c %u /d/sub/s'
	eq "$OUT" $'f\nf\nd2\ng.txt\nh.txt\ns\ns\nf\nsub/s\n751\n755\n4755\nsp ace\nnobody:users:600\n7:7\n7:7\nDockerfile\na b\nd\nf\ng.txt\nh.txt\nlf\ng\n0'
	ctx <<<$'FROM busybox\nCOPY --chown=root f /1\nCOPY --chown=nobody:8 f /2\nCOPY --chown=9:wheel f /3\nADD --chown=$NO f /4\nWORKDIR /new'; build; out D run --rm "$C" stat -c %u:%g /1 /2 /3 /4; eq "$OUT" $'0:0\n65534:8\n9:10\n0:0'
	while IFS='|' read -r a b; do ctx <<<$'FROM busybox\nCOPY --chown='"$a f /x"; rc 1 D build "$T/ctx"; has "$ERR" "unable to convert uid/gid chown string to host mapping: $b"; done <<'E'
nosuch|can't find uid for user nosuch: no such user: nosuch
root:nosuch|can't find gid for group nosuch: no such group: nosuch
1:2:3|invalid chown string format: 1:2:3
E
	ctx <<<$'FROM busybox\nWORKDIR /w1\nWORKDIR w2'; build --no-cache; eq "$(grep -c "Running in" <<<"$OUT")" 2; eq "$(grep -c "Removing intermediate" <<<"$OUT")" 2
	ctx <<<$'FROM busybox\nCOPY nope /'; rc 1 D build "$T/ctx"; has "$ERR" "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist"
	ctx <<<$'FROM busybox\nCOPY ../x /'; rc 1 D build "$T/ctx"; has "$ERR" "COPY failed: forbidden path outside the build context: ../x ()"
	ctx <<<$'FROM busybox\nCOPY f g.txt /x'; rc 1 D build "$T/ctx"; has "$ERR" "When using COPY with more than one source file, the destination must be a directory and end with a /"
	ctx <<<$'FROM busybox\nCOPY q*q /x'; rc 1 D build "$T/ctx"; has "$ERR" "COPY failed: no source files were specified"
	ctx <<<$'FROM busybox\nCOPY http://x/y /x'; rc 1 D build "$T/ctx"; has "$ERR" "source can't be a URL for COPY"
	ctx <<<$'FROM busybox\nCOPY esc /x'; ln -s /etc/hostname "$T/ctx/esc"; rc 1 D build "$T/ctx"; has "$ERR" "COPY failed"
}
t_add() {
	mkdir -p "$T/ctx" "$T/a/in"; echo arch >"$T/a/in/file"; chown -R 12:34 "$T/a/in"
	tar -C "$T/a" -cf "$T/ctx/p.tar" in; gzip <"$T/ctx/p.tar" >"$T/ctx/p.tgz"; bzip2 <"$T/ctx/p.tar" >"$T/ctx/p.tbz"; xz <"$T/ctx/p.tar" >"$T/ctx/p.txz"; echo plain | gzip >"$T/ctx/plain.gz"
	ctx <<<$'FROM busybox\nADD p.tar /1\nADD p.tgz /2/\nADD p.tbz /3\nADD p.txz /4\nADD plain.gz /5\nCOPY p.tar /6'; build
	out D run --rm "$C" sh -c 'cat /[1-4]/in/file; stat -c %u:%g /2/in/file; zcat </5; ls -d /6'; eq "$OUT" $'arch\narch\narch\narch\n12:34\nplain\n/6'
	echo web >"$T/ctx/web.txt"; printf 'FROM busybox\nENV REMOTE=1\n' >"$T/ctx/Remote"
	python3 -m http.server -b 127.0.0.1 -d "$T/ctx" 8123 >"$T/web" 2>&1 </dev/null &
	echo $! >"$T/pid"; trap 'kill $(cat "$T/pid")' EXIT; until_ok curl -sf http://127.0.0.1:8123/ || fail "no web server"
	ctx <<<$'FROM busybox\nADD http://127.0.0.1:8123/web.txt /got/\nADD http://127.0.0.1:8123/p.tgz /named'; build
	ctx <<<$'FROM busybox\nADD http://127.0.0.1:8123/none /x'; rc 1 D build "$T/ctx"; has "$ERR" "ADD failed"
	api POST "/build?t=${C}:r&remote=http://127.0.0.1:8123/Remote" >"$T/o"; has "$(img "${C}:r" '{{.Config.Env}}')" REMOTE=1
	out D run --rm "$C" sh -c 'cat /got/web.txt; stat -c %a /got/web.txt; zcat </named | tar t'; eq "$OUT" $'web\n600\nin/\nin/file'
}
t_add_where_links_lead() { # a folder's name ends with a slash, and a link that leads nowhere yet gets its end made - within the image
	mkdir -p "$T/ctx" "$T/a/in"; echo arch >"$T/a/in/file"; tar -C "$T/a" -cf "$T/ctx/t.tar" in/file; echo f >"$T/ctx/f"
	ctx <<E
FROM busybox
RUN ln -s ../../../../far/away /up; ln -s $T/outside /out; ln -s second /first; ln -s /last /second; ln -s loop /loop; touch /file
ADD t.tar /none/yet/
COPY f /up/
ADD t.tar /out/
COPY f /first/deeper/
E
	build; out D run --rm "$C" cat /none/yet/in/file /far/away/f "$T/outside/in/file" /last/deeper/f; eq "$OUT" $'arch\nf\narch\nf'; [ ! -e "$T/outside" ] || fail "outside the image"
	local to; for to in loop file; do ctx <<<"FROM $C"$'\n'"COPY f /$to/x/"; rc 1 D build "$T/ctx"; has "$ERR" "failed to copy files: mkdir /$to/x/"; done
}
t_destinations() { # dots and slashes mean what they mean in a shell; new folders are the user's, but for those above a whole folder
	mkdir -p "$T/ctx/d" "$T/a"; echo f >"$T/ctx/f"; echo g >"$T/ctx/d/g"; tar -C "$T/ctx" -cf "$T/ctx/t.tar" f; local a b
	ctx <<'E'
FROM busybox
WORKDIR /w/x
COPY f ..
COPY f ../../up
COPY f /../top
COPY f /n/../m
COPY f //s//t
COPY f d/g ./
COPY f /y/.
COPY --chown=1:2 f /o/p/q
COPY --chown=1:2 d /r/s/t
ADD --chown=1:2 t.tar /u/v
VOLUME rel
RUN ls -ld /rel | cut -c1-10
RUN []
E
	build; has "$OUT" drwxr-xr-x; out D run --rm "$C" sh -c 'ls /w/f /up /top /m /s/t /w/x/f /w/x/g /y/f; stat -c "%n %u:%g" /o /o/p /o/p/q /r /r/s /r/s/t /r/s/t/g /u /u/v; stat -c %a /rel'
	eq "$OUT" $'/m\n/s/t\n/top\n/up\n/w/f\n/w/x/f\n/w/x/g\n/y/f\n/o 1:2\n/o/p 1:2\n/o/p/q 1:2\n/r 0:0\n/r/s 0:0\n/r/s/t 1:2\n/r/s/t/g 1:2\n/u 0:0\n/u/v 0:0\n755'
	eq "$(img "$C" '{{json .Config.Cmd}}')" '["sh"]'
	while IFS='|' read -r a b; do ctx <<<$'FROM busybox\nRUN touch /file\n'"$a"; rc 1 D build "$T/ctx"; has "$ERR" "$b" "$a"; done <<'E'
COPY --chown=1: f /x|can't find gid for group : no such group: 
COPY --chown=:1 f /x|can't find uid for user : no such user: 
VOLUME /file|cannot mount volume over existing file, file exists /file
WORKDIR /file/x|Cannot mkdir: /file/x is not a directory
COPY --from=scratch /x /x|invalid from flag value scratch: 'scratch' is a reserved name
E
	rc 1 D pull scratch; has "$ERR" "'scratch' is a reserved name"
}
t_nothing_is_null() { # as Docker shows and commits what a client says nothing of
	D create --name "$C" busybox x >/dev/null; eq "$(i "$C" '{{json .Config.Volumes}} {{json .Config.ExposedPorts}} {{json .Config.Labels}}')" 'null null {}'; D commit "$C" "$C" >/dev/null; eq "$(img "$C" '{{json .Config.Volumes}} {{json .Config.Labels}}')" "null null"
}
t_lines() { # a line stays a line, in whatever pieces it was written
	local i; ctx <<<$'FROM busybox\nRUN for i in 1 2 3; do printf "a$i " >&2; printf "x$i "; printf "b$i" >&2; printf "y$i\\n"; printf "\\n" >&2; done; printf end'
	build; for i in 1 2 3; do has "$OUT" "x$i y$i"$'\n'; has "$OUT$ERR" "a$i b$i"; done; has "$OUT" end
}
t_triggers() { # Docker's order: the triggers belong to FROM
	ctx <<<$'FROM busybox\nONBUILD ENV A=1\nONBUILD RUN echo "on $A"'; build; ctx <<<"FROM $C"; out D build --no-cache "$T/ctx"
	eq "$(sed -E 's/[0-9a-f]{12}/ID/g; 1d' <<<"$OUT")" "Step 1/1 : FROM $C"$'\n# Executing 2 build triggers\n ---> Running in ID\nRemoving intermediate container ID\n ---> Running in ID\non 1\nRemoving intermediate container ID\n ---> ID\nSuccessfully built ID'
}
t_stages() {
	ctx <<'E'
ARG BASE=nonexistent
FROM $BASE AS First
RUN echo first >/f && mkdir /d && echo in >/d/x && chown -R 5:6 /d
FROM busybox as second
COPY --from=first /f /from-name
COPY --from=0 /d /from-index
COPY --from=busybox /etc/passwd /from-image
RUN echo second >/s
FROM scratch AS empty
FROM second
COPY --from=1 /s /s2
E
	build --build-arg BASE=busybox; out D run --rm "$C" sh -c 'cat /from-name /from-index/x /s2; stat -c %u:%g /from-index/x; head -c 4 /from-image'; eq "$OUT" $'first\nin\nsecond\n5:6\nroot'
	build --build-arg BASE=busybox --target FIRST; hasnt "$OUT" "Step 4/"; rc 1 D build --target none "$T/ctx"; has "$ERR" 'target stage "none" could not be found'
	ctx <<<$'FROM busybox AS a\nFROM scratch\nCOPY --from=a /bin/busybox /busybox\nENTRYPOINT ["/busybox"]\nCMD ["echo","scr"]'; build; out D run --rm "$C"; eq "$OUT" scr; eq "$(img "$C" '{{len .RootFS.Layers}}')" 1
	ctx <<<$'FROM busybox AS a\nFROM busybox\nCOPY --from=a / /whole'; build; out D run --rm "$C" sh -c 'ls -A / >/1; ls -A /whole; ls -A /whole/etc'; hasnt "$OUT" native; hasnt "$OUT" dockerenv; hasnt "$OUT" hosts
	ctx <<<'FROM scratch'; rc 1 D build "$T/ctx"; has "$ERR" "No image was generated. Is your Dockerfile empty?"
	ctx <<<$'FROM busybox\nCOPY --from=127.0.0.1:9/nosuch:x /a /b'; rc 1 D build "$T/ctx"; has "$ERR" "nosuch"
}
t_args() {
	ctx <<'E'
ARG TOP=top
FROM busybox
ARG TOP
ARG A=default
ARG B
ENV E=${A:-none}-${NONE:-none}-${A:+set}
RUN echo "$TOP-$A-$B-$E-$HTTP_PROXY" >/o
E
	build --build-arg B=b --build-arg HTTP_PROXY=http://p; out D run --rm "$C" cat /o; eq "$OUT" "top-default-b-default-none-set-http://p"; eq "$(created_by "$C" | head -1)" '|3 A=default B=b TOP=top /bin/sh -c echo "$TOP-$A-$B-$E-$HTTP_PROXY" >/o'
	build --build-arg B=b; has "$OUT" "Using cache"; build --build-arg B=c; out D run --rm "$C" cat /o; eq "$OUT" "top-default-c-default-none-set-"
	build --build-arg ZZ=1 --build-arg YY=1 --build-arg B=c; has "$OUT" "[Warning] One or more build-args [YY ZZ] were not consumed"
	ctx <<<$'FROM busybox\nRUN echo a-$A\nFROM busybox\nARG A\nRUN echo b-$A'; build --build-arg A=1; has "$OUT" $'\na-\n'; has "$OUT" $'\nb-1\n'
	ctx <<<$'ARG A=busybox B=$A\nFROM ${B:-busybox}\nARG X=1 Y=$X\nRUN echo "[$X$Y]"'; build; has "$OUT" $'\n[1]\n' "those of one line do not see each other"
	ctx <<<$'FROM busybox\nARG V=a.tar.gz\nENV W=${V%.gz} X=${V##*.} Y=${V/tar/zip} Z=${V#a.}'; build; has "$(img "$C" '{{.Config.Env}}')" "W=a.tar X=gz Y=a.zip.gz Z=tar.gz"
}
t_cache() {
	mkdir -p "$T/ctx/d"; echo 1 >"$T/ctx/d/x"; echo f >"$T/ctx/f"; local a
	ctx <<<$'FROM busybox\nCOPY d /d\nENV X=1\nRUN date +%N >/n\nADD f /f'; build; a=$(img "$C" '{{.Id}}')
	build; eq "$(grep -c 'Using cache' <<<"$OUT")" 4; eq "$(img "$C" '{{.Id}}')" "$a"; touch -d 2001-01-01 "$T/ctx/d/x"; build; eq "$(img "$C" '{{.Id}}')" "$a" "after touch"
	chmod 700 "$T/ctx/d/x"; build; ne "$(img "$C" '{{.Id}}')" "$a" "after chmod"; echo g >"$T/ctx/f"; build; eq "$(grep -c 'Using cache' <<<"$OUT")" 3; a=$(img "$C" '{{.Id}}')
	build --no-cache; hasnt "$OUT" "Using cache"; ne "$(img "$C" '{{.Id}}')" "$a"; out D build -q -t "$C" "$T/ctx"; eq "$OUT" "$(img "$C" '{{.Id}}')"
	engine_term; engine_start; build; eq "$(grep -c 'Using cache' <<<"$OUT")" 4 "after a restart"
}
t_contexts() {
	printf 'FROM busybox\nCOPY . /c\nRUN cd /c && find . | sort >/o\n' >"$T/Dockerfile"; mkdir -p "$T/x/a/b" "$T/x/keep"; touch "$T/x/a/1.log" "$T/x/a/b/2.log" "$T/x/a/b/y" "$T/x/top.log" "$T/x/keep/k" "$T/x/keep/not"; cp "$T/Dockerfile" "$T/x"
	printf '# comment\n**/*.log\n!top.log\n/keep/*\n!keep/k\nDockerfile\n.dockerignore\n' >"$T/x/.dockerignore"; tar -C "$T/x" -cf "$T/c.tar" .
	local want=$'.\n./a\n./a/b\n./a/b/y\n./keep\n./keep/k\n./top.log' z
	for z in cat gzip bzip2 xz; do $z <"$T/c.tar" >"$T/c.z"; post "nocache=1" "$T/c.z" >"$T/o"; has "$(tail -2 "$T/o")" "Successfully" "$z"; out D run --rm "$C" cat /o; eq "$OUT" "$want" "$z"; done
	printf 'FROM busybox\nENV ALONE=1' >"$T/df"; post "" "$T/df" >"$T/o"; has "$(img "$C" '{{.Config.Env}}')" ALONE=1
	mkdir "$T/x/sub"; printf 'FROM busybox\nENV OTHER=1\n' >"$T/x/sub/Other"; tar -C "$T/x" -cf "$T/c.tar" .; post "dockerfile=sub/Other&labels=%7B%22k%22%3A%22v%20w%22%7D&t=${C}:b" "$T/c.tar" >"$T/o"; eq "$(img "${C}:b" '{{.Config.Labels.k}}')" "v w"; has "$(cat "$T/o")" "Step 3/3 : LABEL k=v w"
	post "dockerfile=none" "$T/c.tar" >"$T/o"; eq "$(status)" 500; has "$(cat "$T/o")" "Cannot locate specified Dockerfile: none"
}
t_errors() {
	local q text want
	while IFS='|' read -r text want; do printf '%b' "$text" >"$T/df"; post "" "$T/df" >"$T/o"; eq "$(status)" 400 "$text"; has "$(cat "$T/o")" "$want" "$text"; done <<'E'
FROM busybox\nFOO x|dockerfile parse error on line 2: unknown instruction: FOO
\n\nFROM busybox\n\nENV|dockerfile parse error on line 5: ENV requires at least one argument
RUN x|no build stage in current context
FROM busybox AS 1a|invalid name for build stage
FROM busybox\nCOPY x|COPY requires at least two arguments, but only one was provided. Destination could not be determined
FROM a b|FROM requires either one or three arguments
FROM busybox\nCOPY --bad=1 a b|unknown flag: --bad
# nothing|file with no instructions
E
	printf 'FROM busybox\nRUN echo x' >"$T/df"
	for q in 'version=2|BuildKit' 'isolation=hyperv|unsupported isolation' 'securityopt=x|security options are not supported on linux' 'platform=windows%2Famd64|operating system is not supported' 'platform=a%2Fb%2Fc%2Fd|cannot parse platform specifier' 'cachefrom=%7B%7D|error reading cache-from' 'version=3|invalid version' 't=Bad|invalid reference format' 'buildargs=x|error reading build args' 'remote=ftp://x|could not be recognized as URL' 'memory=x|invalid syntax'; do post "${q%%|*}" "$T/df" >"$T/o"; eq "$(status)" 400 "$q"; has "$(cat "$T/o")" "${q#*|}"; done
	ctx <<<$'FROM busybox\nRUN echo before; exit 3'; rc 3 D build -t "$C" "$T/ctx"; has "$ERR" "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3"; rc 1 D image inspect "$C"; eq "$(n_containers)" 1 "kept"; D rm "$(D ps -aq)" >/dev/null
	rc 3 D build --force-rm "$T/ctx"; eq "$(n_containers)" 0 "forcerm"; rc 3 D build -q "$T/ctx"; has "$ERR" before; D rm "$(D ps -aq)" >/dev/null
	ctx <<<$'FROM busybox\nRUN --mount=type=cache,target=/x true'; rc 1 D build "$T/ctx"; has "$ERR" "the --mount option requires BuildKit"
	ctx <<<$'FROM busybox\nRUN ["/nosuch"]'; rc 1 D build --force-rm "$T/ctx"; has "$ERR" /nosuch; eq "$(n_containers)" 0
}
t_limits() {
	ctx <<<$'FROM busybox\nRUN cat /etc/hosts | grep -c myhost; ulimit -n; df -k /dev/shm | tail -1; ip a 2>/dev/null | grep -c eth0; true'
	out D build --add-host myhost:1.2.3.4 --ulimit nofile=77 --shm-size 8m --network none -t "$C" "$T/ctx"; has "$OUT" $'\n1\n77\n'; has "$OUT" 8192; has "$OUT" $'\n0\n'
}
t_gone() {
	ctx <<<$'FROM busybox\nRUN echo begun; sleep 100'; local p
	docker build "$T/ctx" >"$T/o" 2>&1 & p=$!
	until_ok grep -q ^begun "$T/o" || fail "not begun"; kill -9 $p; UNTIL=15 until_ok zone_dirs_gone || fail "left: $(docker ps -a; ls "$ROOT/zones")"; eq "$(n_containers)" 0
	# quietly: nothing is written that could fail
	docker build -q "$T/ctx" >"$T/o" 2>&1 & p=$!
	until_ok one_runs || fail "not begun"; sleep 0.3; kill -9 $p; UNTIL=15 until_ok zone_dirs_gone || fail "left by a quiet one"
	# in the middle of the context
	python3 - "$SOCK" <<'P'
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b'POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n' + b'x' * 1500); time.sleep(0.5)
P
	UNTIL=15 until_ok zone_dirs_gone || fail "left by a context cut short"
}
t_killed() {
	ctx <<<$'FROM busybox\nRUN echo begun; sleep 100'; local p
	docker build "$T/ctx" >"$T/o" 2>&1 & p=$!
	until_ok grep -q ^begun "$T/o" || fail "not begun"; engine_kill; wait $p; engine_start; UNTIL=20 until_ok zone_dirs_gone || fail "left: $(docker ps -a; ls "$ROOT/zones")"; eq "$(n_containers)" 0
}
t_stopped() {
	ctx <<<$'FROM busybox\nRUN echo begun; sleep 100'; local p at=$SECONDS
	D build "$T/ctx" >"$T/o" 2>&1 & p=$!
	until_ok grep -q ^begun "$T/o" || fail "not begun"; engine_term; wait $p; [ $((SECONDS - at)) -lt 8 ] || fail "took $((SECONDS - at)) s"; engine_start; UNTIL=20 until_ok zone_dirs_gone || fail "left: $(docker ps -a; ls "$ROOT/zones")"
}
t_parallel() {
	local i p=(); for i in 1 2 3 4 5 6; do mkdir "$T/$i"; printf 'FROM busybox\nRUN echo %s-%s >/o\nCOPY Dockerfile /\n' "$i" "$C" >"$T/$i/Dockerfile"; D build -t "$C:$i" "$T/$i" >"$T/o$i" 2>&1 & p+=($!); done
	for i in 1 2 3 4 5 6; do wait "${p[$((i - 1))]}" || fail "$(cat "$T/o$i")"; done; for i in 1 6; do out D run --rm "$C:$i" cat /o; eq "$OUT" "$i-$C"; done
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
