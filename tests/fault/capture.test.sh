#!/bin/bash
# capture.test.sh - no line is lost, doubled or torn when logsvc is killed: at random moments under
# full-speed output, and at every named step. TORTURE=1 does fifty times as much.
set -u
cd "$(dirname "$0")/../.." || exit 2
make -s --no-print-directory -j2 VARIANT=asan fault-bins build/asan/bin/logsvc || exit 1
make -s --no-print-directory -j2 fault-bins build/release/bin/logsvc || exit 1
times=${TORTURE:+50}; times=${times:-1}
fails=0
kill_test() { # kill_test VARIANT OPTION...
	v=$1; shift
	"build/$v/fault/capture_kill" "$@" "build/$v/bin/logsvc" "build/$v/fault/fake_zoneadmd" ||
		{ echo "not ok: $v $*"; fails=$((fails + 1)); }
}

for ((i = 0; i < times; i++)); do
	kill_test release --kills 70 --mode bulk
	kill_test release --kills 70 --mode line
	kill_test release --kills 70 --mode long
	kill_test release --kills 70 --mode mixed --max-size 300000 --compress
	kill_test release --kills 70 --mode mixed --mb 1 --runs 40
	kill_test asan --kills 15 --max-ms 150 --mode mixed --max-size 1000000 --compress
done

for point in ring.read.intent ring.read.done ring.read.advanced ring.commit.slot-written \
	stream.written stream.committed \
	rotate.new-made rotate.old-renamed rotate.new-renamed rotate.committed \
	compress.block compress.written compress.renamed compress.unlinked; do
	for nth in 1 2 5; do
		kill_test asan --kills $((3 * times)) --failpoint "$point=$nth*kill" --mode mixed \
			--max-size 300000 --compress
	done
done
kill_test asan --kills 2 --failpoint "stream.drained=kill" --mode mixed --mb 1
kill_test asan --kills 3 --failpoint "rotate.unlinked=kill" --mode mixed --max-size 100000 --max-file 3 --mb 1
kill_test asan --kills 4 --failpoint "logfile.append.torn=4*fail" --mode mixed --mb 4
# a full disk: the zone waits, nothing is torn, and all is there when there is room again
if unshare -m true 2>/dev/null; then
	dir=$(mktemp -d) || exit 1
	export dir
	unshare -m bash -c 'mount -t tmpfs -o size=6m none "$dir" && head -c 4000000 /dev/zero >"$dir/ballast" &&
		{ (sleep 2; rm "$dir/ballast") & } &&
		build/release/fault/capture_kill --kills 60 --mode mixed --mb 1 --dir "$dir/z" --keep \
			build/release/bin/logsvc build/release/fault/fake_zoneadmd 2> >(grep -v "log not written" >&2)' ||
		{ echo "not ok: full disk"; fails=$((fails + 1)); }
	# one that stays full for long: every line is there once, or counted once; with room soon after the first is dropped, and later
	while read -r room options; do
		export room options
		unshare -m bash -c 'mount -t tmpfs -o size=900m none "$dir" && mkdir -p "$dir/z/run" && mount -t tmpfs none "$dir/z/run" &&
			head -c 942400000 /dev/zero >"$dir/ballast" && { (begun=$SECONDS
				until grep -qs "for too long" "$dir/z/run/err" || [ $((SECONDS - begun)) -gt 20 ]; do sleep 0.02; done
				sleep "$room"; rm "$dir/ballast") & } &&
			build/asan/fault/capture_kill $options --mode mixed --gaps --dir "$dir/z" --keep build/asan/bin/logsvc \
				build/asan/fault/fake_zoneadmd 2> >(tee "$dir/z/run/err" | grep -v "log not written" >&2)' ||
			{ echo "not ok: disk full for long, $room $options"; fails=$((fails + 1)); }
	done <<-'E'
		0.1 --kills 40 --max-ms 60
		2.5 --kills 40 --max-ms 60
		0.3 --kills 2 --failpoint gap.counted=2*kill
		0.3 --kills 2 --failpoint gap.written=kill
		0.3 --kills 1 --failpoint gap.told=kill
	E
	rmdir "$dir"
fi
[ $fails -eq 0 ]
