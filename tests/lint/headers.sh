#!/bin/sh
# headers.sh - each header compiles alone.
cd "$(dirname "$0")/../.." || exit 2
bad=0
make -s build/release/lib.a >/dev/null || exit 1
for h in $(git ls-files '*.h'); do
	printf '#include "%s"\n' "$PWD/$h" |
		gcc -std=gnu11 -D_GNU_SOURCE -fsyntax-only -Wall -I. -Ilib -I"$(dirname "$h")" -Ibuild/release/proto -x c - || {
		echo "$h does not compile alone"; bad=1; }
done
exit $bad
