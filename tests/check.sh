#!/bin/sh
# check.sh [unit|e2e|fault|fuzz|lint|tsan|torture ...] - runs the tests; without a word, all that CI runs.
#
# Every test is a program that exits 0 (passed), 77 (skipped, with a reason on its last line) or else
# (failed); its output is kept in build/test-logs and shown only when it fails. STRICT=1 makes a skip a failure, as in CI.
#	JOBS=N		tests at once (as many as there are processors); engines of the end-to-end tests share nothing
#	FUZZ_SECONDS=N	a fuzz target's time (5 in check, 60 for `make fuzz`)
#
# What fuzz and tsan need is built, at low priority, while the others run: most of those wait most of the time.
set -u
cd "$(dirname "$0")/.." || exit 2
logs=$PWD/build/test-logs
results=$logs/results # of each test a line: STATUS SECONDS NAME
mkdir -p "$logs"
MAKE="make -s --no-print-directory"
JOBS=${JOBS:-$(nproc)}
[ -n "${CI:-}" ] && STRICT=${STRICT:-1}
[ -n "${STRICT:-}" ] && export STRICT # a file of tests may have parts that need more than others

# What takes longest begins first, so that nothing long is left for the end.
first="fault-forward e2e-driver_options e2e-archive e2e-backlog e2e-forward e2e-images fault-capture e2e-operator e2e-registry
e2e-contexts e2e-logopts fault-clock e2e-otlp e2e-lifecycle fault-disk_full fault-start tsan-e2e-logs tsan-e2e-lifecycle"

# What tells most of a failed test: what each failed case said, what a sanitizer did, and the end.
excerpt() { # excerpt LOG
	{ grep -B 8 '^not ok' "$1" | tail -60; grep -A 12 -m 1 'ERROR: \|runtime error: ' "$1"; echo "[its end:]"; tail -20 "$1"; } | cut -c 1-300
}

result() { # result STATUS SECONDS NAME LOG: told in one piece, whoever else tells something
	echo "$1 $2 $3" >>"$results"
	{
		flock 9
		case $1 in
		0) echo "ok $3 (${2}s)" ;;
		77) echo "ok $3 # SKIP $(tail -1 "$4")" ;;
		*) echo "not ok $3 (status $1, ${2}s)"; excerpt "$4" | sed 's/^/    /' ;;
		esac
	} 9>"$logs/lock"
}

job() { # job TIMEOUT NAME COMMAND...
	t=$1 name=$2; shift 2
	start=$(date +%s)
	timeout -k 10 "$t" "$@" >"$logs/$name.log" 2>&1 </dev/null
	result $? $(($(date +%s) - start)) "$name" "$logs/$name.log"
}

build() { # build VARIANT TARGET...: a failed build is a failed test
	v=$1; shift
	start=$(date +%s)
	$MAKE -j"$JOBS" VARIANT="$v" "$@" >"$logs/build-$v.log" 2>&1
	rc=$?
	[ $rc -eq 0 ] || result $rc $(($(date +%s) - start)) "build-$v" "$logs/build-$v.log"
	return $rc
}

needs() { # needs KIND: what is built for it
	case $1 in
	lint) echo release:build/release/lib.a ;;
	unit) echo asan:unit-bins ;;
	e2e) echo release:all release:build/release/bin/zonectl asan:all ;;
	fault | torture) echo release:all release:fault-bins asan:all asan:fault-bins ;;
	fuzz) echo fuzz:fuzz-bins ;;
	tsan) echo tsan:all tsan:unit-bins ;;
	esac
}
build_for() { # build_for KIND...
	ok=0
	want=$(for k; do needs "$k"; done)
	for v in release asan fuzz tsan; do
		targets=$(echo "$want" | tr ' ' '\n' | sed -n "s/^$v://p" | sort -u)
		# shellcheck disable=SC2086 # a list of words
		[ -z "$targets" ] || build $v $targets || ok=1
	done
	return $ok
}

programs() { for p in "$1"*; do case $p in *.*) ;; *) echo "$p" ;; esac; done; }
list() { # list KIND: its tests, one per line: TIMEOUT NAME COMMAND...
	case $1 in
	lint) for t in tests/lint/*.sh; do echo "300 lint-$(basename "$t" .sh) sh $t"; done ;;
	unit) for t in $(programs build/asan/tests/test_); do echo "120 unit-$(basename "$t") $t"; done ;;
	e2e) for t in tests/e2e/[a-z]*.test.sh; do echo "600 e2e-$(basename "$t" .test.sh) bash $t"; done ;;
	fault) for t in tests/fault/[a-z]*.test.sh; do echo "600 fault-$(basename "$t" .test.sh) bash $t"; done ;;
	torture) for t in tests/fault/[a-z]*.test.sh; do echo "7200 fault-$(basename "$t" .test.sh) env TORTURE=1 bash $t"; done ;;
	tsan) # where threads meet: unit tests and the daemons under ThreadSanitizer
		for t in logs lifecycle; do echo "600 tsan-e2e-$t env VARIANT=tsan bash tests/e2e/$t.test.sh"; done
		for t in $(programs build/tsan/tests/test_); do echo "180 tsan-$(basename "$t") $t"; done ;;
	fuzz)
		s=${FUZZ_SECONDS:-5}
		for t in $(programs build/fuzz/fuzz/fuzz_); do
			n=$(basename "$t"); c=$PWD/build/fuzz/corpus/$n
			mkdir -p "$c"
			[ -d "tests/fuzz/corpus/$n" ] && c="$c $PWD/tests/fuzz/corpus/$n"
			echo "$((s + 60)) $n $t -max_total_time=$s -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 $c"
		done ;;
	esac
}
run() { # run KIND...: JOBS at once
	for k; do list "$k"; done >"$logs/jobs"
	{
		for n in $first; do grep "^[0-9]* $n " "$logs/jobs"; done
		for n in $first; do echo "^[0-9]* $n "; done | grep -v -f - "$logs/jobs"
	} | xargs -r -P "$JOBS" -L 1 sh tests/check.sh -job
}

case ${1:-} in # what this script starts of itself
-job) shift; job "$@"; exit 0 ;;
-build) shift; build_for "$@"; exit ;;
esac
begun=$(date +%s)
: >"$results"
if [ $# -eq 0 ]; then
	$MAKE deps || exit 1
	set -- lint unit fuzz e2e fault tsan
elif [ "$*" = fuzz ]; then
	export FUZZ_SECONDS="${FUZZ_SECONDS:-60}"
fi
now='' later=''
for kind; do
	case $kind in
	unit | e2e | fault | lint | torture) now="$now $kind" ;;
	fuzz | tsan) later="$later $kind" ;;
	*) echo "usage: check.sh [unit|e2e|fault|fuzz|lint|tsan|torture ...]" >&2; exit 2 ;;
	esac
done
# shellcheck disable=SC2086 # lists of words
if [ -z "$now" ]; then
	build_for $later && run $later
elif build_for $now; then
	timeout 3600 nice -n 19 sh tests/check.sh -build $later & # in a process group of its own
	builder=$!
	trap 'kill $builder; exit 130' INT TERM
	run $now
	wait $builder && run $later
fi

count() { awk -v strict="${STRICT:-}" "$1" "$results"; }
passed=$(count '$1 == 0 { n++ } END { print n + 0 }')
skipped=$(count '$1 == 77 { n++ } END { print n + 0 }')
bad=$(count '$1 == 77 && strict { print $3 "(skipped)" } $1 != 0 && $1 != 77 { print $3 }' | xargs)
failed=$(echo "$bad" | wc -w)
echo "$(($(date +%s) - begun)) s in all; the longest: $(sort -k2nr "$results" | head -10 | awk '{ print $3 " " $2 "s" }' | paste -sd, - | sed 's/,/, /g')"
[ -n "$bad" ] && echo "failed: $bad"
if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
