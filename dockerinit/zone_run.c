/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_run.c - one run of a zone: from pipes and mounts to the runtime, and from the death of the
 * first process to the record of its end.
 *
 * What apiserver must have put in place before it spawns zoneadmd (all under <zones>/UUID/):
 *
 * root/		empty directory, the mount point (rootfs.target)
 * diff/ work/		overlay upper and work directories
 * config/metadata.json	one flat object, string -> string, mode 0600. Every key of the metadata
 *			socket: sdc:uuid, sdc:alias, sdc:hostname, docker:id, ... Read by dockerinit:
 *	docker:entrypoint docker:cmd	JSON arrays of strings ("[]" or absent: none)
 *	docker:env			JSON array of K=V: image's and user's, merged, without the
 *					defaults (dockerinit puts PATH, HOSTNAME, TERM, HOME)
 *	docker:user			"" | user[:group]; names are looked up in the zone
 *	docker:workdir			"" is /
 *	docker:tty			"true" | "false"
 *	sdc:hostname
 *	docker:process			JSON object:
 *		"caps":["CAP_CHOWN",..]	what the user's process may have (bounding set)
 *		"no_new_privs":bool	"seccomp":"base64 of struct sock_filter[]" or absent
 *		"group_add":["name or gid",..]	"umask":N (absent: 18 = 0022)
 *		"init":bool		dockerinit stays as PID 1, forwards signals and reaps (--init)
 *			Guests may PUT and DELETE keys of their own in this file; zoneadmd rewrites
 *			it then. While a zoneadmd lives, apiserver changes it only by zone.Metadata.
 * config/zone.json	mode 0600, read again at each run:
 *	"id" "uuid" "name" "hostname"
 *	"runtime":"/usr/bin/crun"	"runtime_root":"<run>/runtime" (made when missing)
 *	"tty" "open_stdin" "stdin_once" "private_netns": bool
 *	"cgroup":"/sdc<tag>-<id32>"	same as config.json's linux.cgroupsPath
 *	"workdir":"/x"			optional: made in the rootfs when missing, as Docker does
 *	"oom_score_adj":N		for execs; the zone's own is config.json's process.oomScoreAdj
 *	"rootfs":{"lowers":[absolute, topmost first],"upper","work","target"}
 *		lowers[0] is the native layer: it has native/usr/sbin/dockerinit and the directory
 *		native/.zonecontrol. zoneadmd also binds lowers[0]/native over /native read-only: a
 *		guest must never be able to replace the program that runs as its first process.
 *		"upper" absent: the lowers alone, read-only.
 *	"restart":{"name":"no|always|unless-stopped|on-failure","max":N}  "restart_count":N
 * config/config.json	the OCI bundle is <zones>/UUID/config. Beyond what Docker generates:
 *	process.args	["/native/usr/sbin/dockerinit"], env [], cwd "/", user {0,0}, no
 *			additionalGids; terminal = tty (consoleSize is honoured)
 *	process.capabilities  bounding = effective = permitted = user's set + CAP_SETUID CAP_SETGID
 *			CAP_SETPCAP (+ CAP_SYS_ADMIN when docker:process has seccomp and not
 *			no_new_privs); no inheritable, no ambient. noNewPrivileges false.
 *	process.rlimits oomScoreAdj apparmorProfile	as the user's
 *	root.path	<zones>/UUID/root; root.readonly as the user's
 *	mounts		a read-only bind of <run>/zones/UUID/zonecontrol at /native/.zonecontrol
 *			(zoneadmd makes that directory and the socket before it says ready)
 *	linux.seccomp	absent
 *	linux.namespaces network: path <run>/zones/UUID/netns when private_netns
 *
 * <run>/zones/UUID/ is made by zoneadmd:
 *	zoneadmd.sock	0600, proto/zone.proto		pid		zoneadmd's
 *	zonecontrol/metadata.sock			netns -> /proc/<zoneadmd>/fd/N
 *	state.json	{"zoneadmd":PID,"pid":PID of init,"run":N,"started_ns":N,"restart_count":N,
 *			"cgroup":"/..","status":"running|restarting|.."}: what to clean after kill -9
 *	exit.json	the last exit (also in config/): {"run","exit_code","oom_killed","started_ns",
 *			"finished_ns","restart_count","will_restart","truncated","error"}
 *
 * zoneadmd --uuid UUID --zones DIR --run DIR [--ready-fd N]: writes one NUL byte to N when the
 * socket listens, or the text of the error; then closes it. Its parent must reap it.
 */
