#!/bin/sh
# layers.sh - who may include whom: lib <- proto <- the three programs, which never include each other's headers;
# in apiserver, nouns do not know of HTTP. No include cycles between headers.
cd "$(dirname "$0")/../.." || exit 2
bad=0
inc() { git grep -hoE '^#include "[^"]+"' -- "$1" | sed 's/.*"\(.*\)"/\1/' | sort -u; }
for d in lib proto apiserver logsvc dockerinit; do
	[ -d $d ] || continue
	case $d in
	lib) others="proto apiserver logsvc dockerinit" ;;
	proto) others="apiserver logsvc dockerinit" ;;
	*) others=$(echo apiserver logsvc dockerinit | tr ' ' '\n' | grep -vx $d) ;;
	esac
	for f in $(git ls-files "$d/*.[ch]"); do
		for h in $(inc "$f"); do
			[ -e "$d/$h" ] && continue
			for o in $others; do
				[ -e "$o/$h" ] && { echo "$f includes $o/$h"; bad=1; }
				case $h in $o/*) echo "$f includes $h"; bad=1 ;; esac
			done
		done
	done
done
# files that mount, store or run things do not know what an HTTP client is
for f in $(git ls-files 'apiserver/*.c' | grep -vE '/(api_|main|http|client|reply|request|route|listen|stream_pump|websocket|events|debug|tls|attach|exec|op_|wait|hijack|job|conn|body|lifecycle|stats|registry_auth|build|progress)'); do
	for h in client.h http.h reply.h request.h route.h; do
		grep -q "^#include \"$h\"" "$f" && { echo "$f includes $h"; bad=1; }
	done
done
# cycles between headers
python3 - <<'P' || bad=1
import os, re, subprocess, sys
files = subprocess.run(['git', 'ls-files', '*.h'], capture_output=True, text=True).stdout.split()
by = {}
for f in files:
    by.setdefault(os.path.basename(f), []).append(f)
g = {}
for f in files:
    g[f] = []
    for h in re.findall(r'^#include "([^"]+)"', open(f).read(), re.M):
        c = [x for x in by.get(os.path.basename(h), []) if os.path.dirname(x) == os.path.dirname(f)] or by.get(os.path.basename(h), [])
        g[f] += c[:1]
state, bad = {}, []
def visit(f, path):
    if state.get(f) == 2: return
    if state.get(f) == 1:
        bad.append(' -> '.join(path[path.index(f):] + [f])); return
    state[f] = 1
    for h in g[f]: visit(h, path + [f])
    state[f] = 2
for f in files: visit(f, [])
for b in bad: print('include cycle:', b)
sys.exit(1 if bad else 0)
P
exit $bad
