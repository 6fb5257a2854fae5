#!/bin/sh
# deps.sh [build|run|test] - installs the Debian packages that the build, the engine and its tests need, those
# that are missing only; and a docker CLI where there is none.
set -eu
build="build-essential pkg-config musl-tools protobuf-c-compiler protobuf-compiler libprotobuf-c-dev libuv1-dev
libjansson-dev libcurl4-openssl-dev zlib1g-dev liblzma-dev libzstd-dev libhttp-parser-dev libssl-dev libsqlite3-dev
libarchive-dev libmnl-dev libnftables-dev libmsgpack-dev libseccomp-dev libpcre2-dev"
run="crun golang-github-containers-common busybox-static ca-certificates procps curl"
test="runc libcmocka-dev clang llvm libclang-rt-14-dev jq iproute2 nftables sqlite3 python3 shellcheck codespell mandoc
universal-ctags bash-static gzip xz-utils bzip2 zstd rsyslog rsyslog-gnutls git docker-registry
apache2-utils openssl skopeo umoci python3-cryptography python3-prometheus-client libivykis0 libnet1 libpcre3 libglib2.0-0 libjson-c5 libwrap0"
want=$build
case ${1:-run} in
build) ;;
run) want="$want $run" ;;
test) want="$want $run $test" ;;
*) echo "usage: deps.sh [build|run|test]" >&2; exit 2 ;;
esac

missing=
for p in $want; do
	dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
if [ -n "$missing" ]; then
	[ "$(id -u)" = 0 ] || { echo "these packages are missing, and only root can install them:$missing" >&2; exit 1; }
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# what comes with a service (a registry, a logger) is not started by its installation
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	apt-get update -qq >"$log" 2>&1 || true
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1 || { tail -20 "$log" >&2; exit 1; }
	rm -f "$log"
	case " $missing " in *" docker-registry "*) systemctl disable docker-registry >/dev/null 2>&1 || true ;; esac
fi

[ "${1:-run}" = build ] && exit 0
if ! command -v docker >/dev/null 2>&1; then
	# only the client out of Debian's docker.io: the package itself would start another engine
	echo "installing: the docker CLI (from docker.io) as /usr/local/bin/docker"
	tmp=$(mktemp -d)
	(
		cd "$tmp"
		chmod 755 . # apt's download user reads here
		apt-get update -qq >/dev/null 2>&1 || true
		apt-get download -qq docker.io >/dev/null
		dpkg-deb -x docker.io_*.deb x
		install -m 755 x/usr/bin/docker /usr/local/bin/docker
	)
	rm -rf "$tmp"
fi
[ "${1:-run}" = run ] && exit 0
# receivers of the forwarding tests and an object store: of npm, and syslog-ng, whose package excludes rsyslog's and so is only unpacked
if ! [ -d build/npm/node_modules/graygelf ] || ! [ -d build/npm/node_modules/@fluent-org/logger ] ||
	! [ -d build/npm/node_modules/@opentelemetry/otlp-transformer ] || ! [ -d build/npm/node_modules/s3rver ]; then
	if ! command -v npm >/dev/null 2>&1; then
		echo "installing: npm"
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null 2>&1 || true
	fi
	mkdir -p build/npm
	npm install --silent --no-fund --no-audit --prefix build/npm @fluent-org/logger@1 graygelf@2 \
		@opentelemetry/otlp-transformer@0.208.0 s3rver@3.7.1 >/dev/null 2>&1 ||
		echo "no receivers from npm: the tests that need them fail where STRICT is set" >&2
fi
if ! [ -x build/syslog-ng/usr/sbin/syslog-ng ]; then
	tmp=$(mktemp -d)
	chmod 755 "$tmp" # apt's download user reads here
	(cd "$tmp" && apt-get download -qq syslog-ng-core >/dev/null) && mkdir -p build/syslog-ng &&
		dpkg-deb -x "$tmp"/syslog-ng-core_*.deb build/syslog-ng ||
		echo "no syslog-ng: the test that needs it fails where STRICT is set" >&2
	rm -rf "$tmp"
fi
if ! [ -x build/promtool/promtool ]; then # of the package (19 MB) that tool only
	tmp=$(mktemp -d)
	chmod 755 "$tmp"
	(cd "$tmp" && apt-get download -qq prometheus >/dev/null) && mkdir -p build/promtool &&
		dpkg-deb --fsys-tarfile "$tmp"/prometheus_*.deb | tar -xO ./usr/bin/promtool >build/promtool/promtool.new &&
		chmod 755 build/promtool/promtool.new && mv build/promtool/promtool.new build/promtool/promtool ||
		echo "no promtool: the test that needs it fails where STRICT is set" >&2
	rm -rf "$tmp"
fi
