#!/bin/sh
# ban.sh - calls that this tree does not use, with what to use instead; files and functions that grew too large.
cd "$(dirname "$0")/../.." || exit 2
bad=0
ban() { # ban REGEX WHY
	if git grep -nE "(^|[^A-Za-z0-9_])($1)[[:space:]]*\(" -- '*.c' '*.h' ':!tests/unit' | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//)'; then
		echo "banned: $2"; bad=1
	fi
}
ban 'strcpy|strcat|sprintf|vsprintf|stpcpy' 'unbounded copies: str_copy, str_fmt, buf'
ban 'strtok|atoi|atol|atoll|gets' 'strv_split, parse_i64'
ban 'alloca' 'a buffer of a stated size'
ban 'system|popen' 'posix_spawn'
ban 'tmpnam|mktemp|tempnam' 'mkstemp, O_EXCL'
for f in $(git ls-files '*.c' '*.h' '*.sh'); do
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || { echo "$f: $n lines, 800 are the limit"; bad=1; }
	case $f in
	*.c | *.h) head -1 "$f" | grep -q 'SPDX-License-Identifier: MPL-2.0' || { echo "$f: no SPDX line"; bad=1; } ;;
	esac
done
# a function is from a brace in the first column to the next one; the line before it is told
awk 'FNR == 1 { start = 0 } /^{/ { start = FNR; name = last }
	/^}/ { if (start && FNR - start > 100) { print FILENAME ":" start ": " FNR - start " lines, 100 are the limit: " name; bad = 1 } start = 0 }
	{ last = $0 } END { exit bad }' $(git ls-files '*.c') || bad=1
if git grep -nE '^ \*[^ /*[:space:]]' -- '*.c' '*.h'; then
	echo "a comment that a formatter broke: text follows the star without a space"; bad=1
fi
for n in common utils misc helpers internal server; do
	git ls-files "*/$n.h" "*/$n.c" | grep . && { echo "a file is named after its concept"; bad=1; }
done
exit $bad
