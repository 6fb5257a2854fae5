#!/bin/sh
# text.sh - shell scripts by shellcheck, spelling by codespell, man pages by mandoc; each program, configuration key and
# option has its place in the manual.
cd "$(dirname "$0")/../.." || exit 2
bad=0
scripts=$(git ls-files '*.sh' .ci/run)
# shellcheck disable=SC2086
shellcheck -x -S warning -e SC1007,SC2010,SC2034,SC2046,SC2154,SC1091 $scripts || bad=1
# shellcheck disable=SC2046
codespell -q 3 -L earlies,hasnt,inh,wirth,ot,te,fo,ba,nd,ue,statics,crate,hist,ans,inout,hel,nin,ser,som,fro,upto,tre,unx,wit,siz,aci,sie,ure $(git ls-files '*.c' '*.h' '*.md' '*.sh' man etc proto | grep -v corpus) || bad=1
for p in $(git ls-files '*.py'); do
	python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$p" || bad=1
done
for m in $(git ls-files man); do
	grep -q "^\.so " "$m" && continue
	mandoc -Tlint -Wwarning "$m" || bad=1
done
for p in apiserver logsvc zoneadmd dockerinit sdc-dockeradm; do [ -e man/$p.8 ] || { echo "no man/$p.8"; bad=1; }; done
# a page of ours that is named is there, and each is named by another
for x in $(sed -n 's/^\.Xr \(sdc-docker[a-z.-]*\|apiserver\|logsvc\|zoneadmd\|dockerinit\|mdata-[a-z]*\) \([1-8]\).*/\1.\2/p' man/*.[1-8] | sort -u); do
	[ -e "man/$x" ] || { echo "man/$x is named, and not there"; bad=1; }
done
for m in man/*.[578]; do
	n=$(basename "$m"); x=".Xr ${n%.*} ${n##*.}"
	[ "$(grep -lF -- "$x" man/*.[1-8] | grep -cvxF "$m")" -gt 0 ] || { echo "no page names $m"; bad=1; }
done
# the options of programs
for p in apiserver:apiserver/main.c logsvc:logsvc/main.c sdc-dockeradm:logsvc/dockeradm.c; do
	for o in $(sed -n 's/^.*{ "\([a-z-]*\)", \(no\|required\|optional\)_argument.*/\1/p' "${p#*:}"); do
		grep -qE "Fl (H , Fl )?-$o\b" "man/${p%%:*}.8" || { echo "${p%%:*}(8) lacks --$o"; bad=1; }
	done
done
# the commands of sdc-dockeradm
for k in $(sed -n 's/.*usage: //; s/^.*sdc-dockeradm \[--root DIR\] \([a-z]*\) \{0,1\}\([a-z]*\).*/\1_\2/p' logsvc/dockeradm.c | sort -u); do
	k=$(echo "$k" | tr _ ' ' | sed 's/ $//')
	grep -qF -- "$k" man/sdc-dockeradm.8 || { echo "sdc-dockeradm(8) lacks $k"; bad=1; }
	case $k in logs\ [a-z]*) grep -qF -- "$k" man/sdc-docker-logs.7 || { echo "sdc-docker-logs(7) lacks $k"; bad=1; } ;; esac
done
for k in $(sed -n 's/^\t{ "\([^"]*\)", CONF_.*/\1/p' lib/conf_keys.c); do
	grep -qE "^#?$k =" etc/sdc-docker.conf || { echo "etc/sdc-docker.conf lacks $k"; bad=1; }
	grep -qF -- "$k" man/sdc-docker.conf.5 || { echo "sdc-docker.conf(5) lacks $k"; bad=1; }
done
for k in $(sed -n 's/^#\{0,1\}\([A-Za-z_-]*\) =.*/\1/p' etc/sdc-docker.conf); do
	grep -qF "\"$k\"" lib/conf_keys.c || { echo "etc/sdc-docker.conf has $k, which no code knows"; bad=1; }
done
for k in $(sed -n 's/^.*{ "\([a-z-]*\)", \(NULL\|log_check_[a-z]*\|check_[a-z_]*\) }.*/\1/p' apiserver/log_opts.c apiserver/log_opts_net.c apiserver/log_opts_priv.h); do
	grep -qF -- "$k" man/sdc-docker-log-drivers.7 || { echo "sdc-docker-log-drivers(7) lacks $k"; bad=1; }
done
# the two paths of ARCHITECTURE.md name functions that exist
for f in $(grep -oE '`[a-z_0-9]+\.c:[a-z_0-9]+`' ARCHITECTURE.md | tr -d '\`' | sort -u); do
	file=${f%%:*} fn=${f##*:}
	git grep -qE "(^|[^a-z_0-9])$fn\(" -- "*/$file" || { echo "ARCHITECTURE.md names $f, which is not there"; bad=1; }
done
exit $bad
