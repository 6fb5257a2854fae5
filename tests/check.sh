#!/bin/sh
# check.sh [unit|e2e|fault|fuzz|lint|tsan|torture ...] - runs the tests; without a word, all that CI runs.
#
# Every test is a program that exits 0 (passed), 77 (skipped, with a reason on its last line) or else
# (failed); its output is kept and shown only when it fails. STRICT=1 makes a skip a failure, as in CI.
#	JOBS=N		parallel tests of the kinds that allow it
#	FUZZ_SECONDS=N	a fuzz target's time (5 in check, 60 for `make fuzz`)
set -u
cd "$(dirname "$0")/.." || exit 2
top=$PWD
logs=$top/build/test-logs
mkdir -p "$logs"
MAKE="make -s --no-print-directory"
JOBS=${JOBS:-$(nproc)}
[ -n "${CI:-}" ] && STRICT=${STRICT:-1}
[ -n "${STRICT:-}" ] && export STRICT # a file of tests may have parts that need more than others
passed=0 failed=0 skipped=0
bad=

build() { # build VARIANT TARGET...: a failed build is a failed test
	v=$1; shift
	if ! $MAKE -j"$JOBS" VARIANT="$v" "$@" >"$logs/build-$v.log" 2>&1; then
		echo "not ok build VARIANT=$v $*"; tail -40 "$logs/build-$v.log"
		failed=$((failed + 1)); bad="$bad build-$v"
		return 1
	fi
}

result() { # result NAME RC LOG SECONDS
	case $2 in
	0) passed=$((passed + 1)); echo "ok $1 (${4}s)" ;;
	77)
		skipped=$((skipped + 1)); echo "ok $1 # SKIP $(tail -1 "$3")"
		[ -n "${STRICT:-}" ] && { failed=$((failed + 1)); bad="$bad $1(skipped)"; } ;;
	*)
		failed=$((failed + 1)); bad="$bad $1"
		echo "not ok $1 (status $2, ${4}s)"; tail -60 "$3" | sed 's/^/    /' ;;
	esac
}

run() { # run TIMEOUT NAME COMMAND...
	t=$1 name=$2; shift 2
	start=$(date +%s)
	timeout -k 10 "$t" "$@" >"$logs/$name.log" 2>&1 </dev/null
	result "$name" $? "$logs/$name.log" $(($(date +%s) - start))
}

do_unit() {
	build asan unit-bins || return
	for t in build/asan/tests/test_*; do
		case $t in *.*) continue ;; esac
		run 120 "unit-$(basename "$t")" "$t"
	done
}
# where threads meet: unit tests and the daemons under ThreadSanitizer
do_tsan() {
	build tsan all unit-bins || return
	for t in build/tsan/tests/test_*; do
		case $t in *.*) continue ;; esac
		run 180 "tsan-$(basename "$t")" "$t"
	done
	for t in logs lifecycle; do
		export VARIANT=tsan
		run 600 "tsan-e2e-$t" bash "tests/e2e/$t.test.sh"
		unset VARIANT
	done
}
do_e2e() {
	build release all || return
	build asan all || return
	for t in tests/e2e/[a-z]*.test.sh; do
		[ -e "$t" ] || continue
		run 600 "e2e-$(basename "$t" .test.sh)" bash "$t"
	done
}
do_fault() {
	build asan all || return
	for t in tests/fault/[a-z]*.test.sh; do
		[ -e "$t" ] || continue
		run "${FAULT_TIMEOUT:-600}" "fault-$(basename "$t" .test.sh)" bash "$t"
	done
}
do_fuzz() {
	build fuzz fuzz-bins || return
	for t in build/fuzz/fuzz/fuzz_*; do
		case $t in *.*) continue ;; esac
		n=$(basename "$t"); c=$top/build/fuzz/corpus/$n
		mkdir -p "$c"
		set -- -max_total_time="${FUZZ_SECONDS:-5}" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 "$c"
		[ -d "$top/tests/fuzz/corpus/$n" ] && set -- "$@" "$top/tests/fuzz/corpus/$n"
		run $((${FUZZ_SECONDS:-5} + 60)) "$n" "$t" "$@"
	done
}
do_lint() {
	for t in tests/lint/*.sh; do
		[ -e "$t" ] || continue
		run 300 "lint-$(basename "$t" .sh)" sh "$t"
	done
}
do_torture() { FAULT_TIMEOUT=7200; TORTURE=1; export TORTURE; do_fault; }

if [ $# -eq 0 ]; then
	$MAKE deps || exit 1
	set -- lint unit fuzz e2e fault tsan
elif [ "$*" = fuzz ]; then
	FUZZ_SECONDS=${FUZZ_SECONDS:-60}
fi
for kind in "$@"; do
	case $kind in
	unit | e2e | fault | fuzz | lint | torture | tsan) do_$kind ;;
	*) echo "usage: check.sh [unit|e2e|fault|fuzz|lint|tsan|torture ...]" >&2; exit 2 ;;
	esac
done
[ -n "$bad" ] && echo "failed:$bad"
if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed -eq 0 ] && [ $passed -gt 0 ]
