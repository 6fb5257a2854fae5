/* SPDX-License-Identifier: MPL-2.0 */
/* clang-format off */
/*
 * zone_run.c - one run of a zone: from pipes and mounts to the runtime, and from the death of the
 * first process to the record of its end.
 *
 * What apiserver must have put in place before it spawns zoneadmd (all under <zones>/UUID/):
 *
 * root/		empty directory, the mount point (rootfs.target)
 * diff/ work/		overlay upper and work directories
 * config/metadata.json	one flat object, string -> string, mode 0600. Every key of the metadata
 *			socket: sdc:uuid, sdc:alias, docker:id, ... dockerinit reads:
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
 *		"init":bool		docker-init is PID 1, forwards signals and reaps
 *			Guests may PUT and DELETE keys of their own in this file; zoneadmd
 *			rewrites it then. While a zoneadmd lives, apiserver changes it only by
 *			zone.Metadata.
 * config/zone.json	mode 0600, read again at each run:
 *	"id" "uuid" "name" "hostname"
 *	"runtime":"/usr/bin/crun"	"runtime_root":"<run>/runtime" (made when missing)
 *	"tty" "open_stdin" "stdin_once" "private_netns": bool
 *	"cgroup":"/sdc<tag>-<id32>"	same as config.json's linux.cgroupsPath
 *	"workdir":"/x"			optional: made when missing, as Docker does
 *	"mountpoints":["/v"]		optional: folders that are mounted on, made when missing
 *	"binds":[{"source","at"}]	optional: bound at a place beside this file, without what is
 *					mounted below source; config.json binds from there
 *	"shm":{"pid":N,"at":dir}	optional: that process's /dev/shm is mounted at dir
 *	"oom_score_adj":N		for execs; the zone's own is in config.json
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
 *			"cgroup":"/..","runtime_state":dir,"status":"created|running|restarting"}:
 *			for cleaning after a kill -9 (the cgroup stays busy until the machine's
 *			init has reaped the zone's first process)
 *	exit.json	the last exit (also in config/): {"run","exit_code","oom_killed",
 *			"started_ns","finished_ns","restart_count","will_restart","truncated",
 *			"error"}
 *
 * zoneadmd --uuid UUID --zones DIR --run DIR [--ready-fd N]: writes one NUL byte to N when the
 * socket listens, or the text of the error; then closes it. Its parent must reap it.
 */
/* clang-format on */
#include "zone.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "json.h"
#include "loop.h"
#include "mdata_server.h"
#include "str.h"
#include "zone_cgroup.h"
#include "zone_conf.h"
#include "zone_mount.h"

#define LOG_MODULE "run"
#include "log.h"

#define PIPE_BYTES (1024 * 1024)
#define EXIT_START_FAILED                                                                          \
	128 /* Docker's, for a start that fails for other reasons than the command */
#define EARLY_MAX 32
#define START_MS  100000 /* for the runtime and dockerinit, whatever they meet in the zone; apiserver waits longer */

/* Docker's words before what the runtime or dockerinit says; clients look for parts of them. */
#define PREFIX                                                                                     \
	"failed to create task for container: failed to create shim task: OCI runtime create "     \
	"failed: runc create failed: unable to start container process: "

/* The run that is being started. The runtime's end and dockerinit's come in any order. */
static struct {
	struct zone *z;
	struct asker who;
	bool is_restart;
	pid_t runtime_pid;
	int runtime_status;
	bool runtime_done;
	bool granted;	/* the channel to the first process is taken */
	bool exec_done; /* it became the user's process */
	bool failed;	/* it said so: err, exit_code */
	bool init_dead;
	int init_status;
	int err_pipe; /* what our own child says before it becomes the runtime */
	struct err err;
	int exit_code;
	struct {
		pid_t pid;
		int status;
	} early[EARLY_MAX]; /* reaped while we do not know yet who is the first process */
	size_t n_early;
} l = { .err_pipe = -1 };

/* ---- pipes --------------------------------------------------------------------------------- */

static int make_pipe(int *r, int *w, bool big, struct err *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	*r = p[0];
	*w = p[1];
	if (big) /* smaller works too, where the limits for pipes are reached */
		fcntl(*r, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

static int make_output(struct zone *z, struct err *err)
{
	int rc = make_pipe(&z->out_r, &z->out_w, true, err);

	if (rc == 0 && !z->tty)
		rc = make_pipe(&z->err_r, &z->err_w, true, err);
	return rc;
}

/* ---- the runtime --------------------------------------------------------------------------- */

static int null_or(int fd, int target)
{
	cleanup_fd int null = -1;

	if (fd < 0) {
		fd = null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -1;
	}
	return dup2(fd, target);
}

static bool is_runc(const char *runtime)
{
	return strcmp(strrchr(runtime, '/'), "/runc") == 0;
}

/* In the child: mounts, and the runtime in our place. */
static int become_runtime(const struct zone *z, const struct zone_conf *c, int in_r,
			  const char *console, struct err *err)
{
	char *const env[] = {
		(char[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
		NULL
	};
	char config[PATH_MAX], logfile[PATH_MAX], pidfile[PATH_MAX];
	const char *argv[24] = { c->runtime,	 "--root",     c->runtime_root, "--log", logfile,
				 "--log-format", "json",       "run",		"-d",	 "--bundle",
				 config,	 "--pid-file", pidfile };
	size_t n = 13;
	int rc;

	zone_child_prepare(z, z->oom_score_own);
	if (str_fmt(config, sizeof(config), "%s/config", z->dir) < 0 ||
	    str_fmt(logfile, sizeof(logfile), "%s/runtime.log", z->run_dir) < 0 ||
	    str_fmt(pidfile, sizeof(pidfile), "%s/init.pid", z->run_dir) < 0)
		return err_sysnum(err, ENAMETOOLONG, "run the zone");
	if ((rc = fs_mkdir_p(c->runtime_root, 0711, err)) < 0 ||
	    (rc = zone_mount(c, !is_runc(c->runtime), err)) < 0)
		return rc;
	if (null_or(in_r, 0) < 0 || null_or(c->tty ? -1 : z->out_w, 1) < 0 ||
	    null_or(c->tty ? -1 : z->err_w, 2) < 0)
		return err_sys(err, "set the standard streams");
	if (console) {
		argv[n++] = "--console-socket";
		argv[n++] = console;
	}
	argv[n++] = c->id;
	argv[n] = NULL;
	execve(c->runtime, (char *const *)(uintptr_t)argv, env);
	return err_sys(err, "execute %s", c->runtime);
}

static int spawn_runtime(struct zone *z, const struct zone_conf *c, struct err *err)
{
	cleanup_fd int in_r = -1, err_w = -1;
	char console[64];
	pid_t pid, self;
	int rc;

	if (c->open_stdin && !c->tty && (rc = make_pipe(&in_r, &z->in_w, false, err)) < 0)
		return rc;
	if (c->tty && (rc = zone_tty_listen(z, console, err)) < 0)
		return rc;
	if ((rc = make_pipe(&l.err_pipe, &err_w, false, err)) < 0)
		return rc;
	self = getpid();
	pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (pid == 0) {
		/* nobody would know what it makes after us; the zone itself does not inherit this
		 */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		become_runtime(z, c, in_r, c->tty ? console : NULL, err);
		fs_write_all(err_w, err->msg, strlen(err->msg));
		_exit(1);
	}
	l.runtime_pid = pid;
	/* the ends that the zone has now: EOF must be real */
	if (!c->tty)
		zone_close(&z->out_w);
	zone_close(&z->err_w);
	return 0;
}

static void set_string(char **p, char *value)
{
	free(*p);
	*p = value;
}

static int launch(struct zone *z, struct err *err)
{
	cleanup_zone_conf struct zone_conf c = { 0 };
	cleanup_free char *path = xasprintf("%s/config/zone.json", z->dir);
	int rc;

	if ((rc = zone_conf_read(&c, path, err)) < 0)
		return rc;
	if (c.tty != z->tty)
		return err_kind(err, ERR_SYSTEM, "%s: tty changed under a live zoneadmd", path);
	str_copy(z->id, sizeof(z->id), c.id);
	set_string(&z->cgroup, xstrdup(c.cgroup));
	set_string(&z->runtime_state, xasprintf("%s/%s", c.runtime_root, c.id));
	z->oom_score_adj = (int)c.oom_score_adj;
	if ((rc = make_output(z, err)) < 0)
		return rc;
	/* what an earlier life of the zone may have left */
	fs_remove_tree(AT_FDCWD, z->runtime_state, err);
	zone_cgroup_remove(z->cgroup);
	unlinkat(z->run_dir_fd, "runtime.log", 0);
	unlinkat(z->run_dir_fd, "init.pid", 0);
	unlinkat(z->run_dir_fd, "exit.json", 0);
	return spawn_runtime(z, &c, err);
}

/* ---- how a start ends ---------------------------------------------------------------------- */

static void close_pipes(struct zone *z)
{
	zone_tty_reset();
	zone_close(&z->in_w);
	zone_close(&z->out_w);
	zone_close(&z->err_w);
	zone_close(&z->out_r);
	zone_close(&z->err_r);
}

static void on_late(struct timer *t);
static struct timer late = { .on_due = on_late };

static void start_failed(const struct err *err, int exit_code)
{
	Zone__Exited e = ZONE__EXITED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	struct zone *z = l.z;

	timer_stop(&late);
	log_info("start failed", "run=%u error=%s", z->run, log_q(err->msg));
	zone_close(&l.err_pipe);
	zone_close(&z->init_pidfd);
	z->init_pid = 0;
	close_pipes(z);
	if (z->cgroup) {
		zone_cgroup_kill(z->cgroup);
		for (int i = 0; i < 100 && zone_cgroup_remove(z->cgroup) < 0; i++)
			usleep(2000);
	}
	if (z->runtime_state) {
		struct err ignored;

		fs_remove_tree(AT_FDCWD, z->runtime_state, &ignored);
	}
	if (l.is_restart) {
		z->will_restart = false;
		set_string(&z->exit_error, xstrdup(err->msg));
		z->exit_code = exit_code;
		zone_exit_fill(z, &e);
		m.body_case = ZONE__MESSAGE__BODY_EXITED;
		m.exited = &e;
		zone_exit_final(z);
		zone_ctl_event(&m);
	} else {
		zone_exit_final(z);
		zone_ctl_fail(l.who, err, exit_code);
	}
}

/* runc says itself what PREFIX says. */
static const char *without_prefix(const char *msg)
{
	static const char text[] = "unable to start container process: ";
	const char *p = str_starts(msg, "runc ") ? strstr(msg, text) : NULL;

	return p ? p + sizeof(text) - 1 : msg;
}

/* crun ends with strerror(3)'s words, whose first letter is big; clients look for Go's small one
 * ("no such file or directory" is the CLI's status 127). */
static void add_runtime_error(struct err *err, const char *msg)
{
	cleanup_free char *text = xstrdup(msg);
	char *last = strrchr(text, ':');

	if (last && last[1] == ' ' && last[2] >= 'A' && last[2] <= 'Z' && last[3] >= 'a' &&
	    last[3] <= 'z')
		last[2] += 'a' - 'A';
	err_kind(err, ERR_SYSTEM, PREFIX "%.600s: unknown", text);
}

/* What the runtime had to say: its last error line, else what our child said. */
static void runtime_error(struct err *err)
{
	cleanup_free char *path = xasprintf("%s/runtime.log", l.z->run_dir);
	cleanup_buf struct buf text = BUF_INIT;
	struct err ignored;
	char own[1024], *line, *next;
	struct json j;
	ssize_t n = read(l.err_pipe, own, sizeof(own) - 1);

	if (n > 0) {
		own[n] = '\0';
		err_kind(err, ERR_SYSTEM, "%s", own);
		return;
	}
	err_kind(err, ERR_SYSTEM, PREFIX "the runtime ended with status %d: unknown",
		 WIFEXITED(l.runtime_status) ? WEXITSTATUS(l.runtime_status)
					     : 128 + WTERMSIG(l.runtime_status));
	if (fs_read_file(path, 256 * 1024, &text, &ignored) < 0)
		return;
	for (line = text.p; line && *line; line = next) {
		size_t len = strcspn(line, "\n");

		next = line[len] ? line + len + 1 : NULL;
		if (json_parse(&j, line, len, 64) < 0)
			continue;
		if (strcmp(json_str(&j, j.v, "level", ""), "error") == 0)
			add_runtime_error(err, without_prefix(json_str(&j, j.v, "msg", "")));
		json_fini(&j);
	}
}

/* Docker's exit status and HTTP status for a runtime's error, by its text, as moby does it. */
static int classify(struct err *err)
{
	size_t n = strlen(err->msg);

	if (strstr(err->msg, "ermission denied")) {
		err->kind = ERR_BAD_PARAM;
		return 126;
	}
	if (strcasestr(err->msg, "not a directory")) {
		err->kind = ERR_BAD_PARAM;
		snprintf(err->msg + n, sizeof(err->msg) - n,
			 ": Are you trying to mount a directory onto a file (or vice-versa)? Check "
			 "if "
			 "the specified host path exists and is the expected type");
		return 127;
	}
	if (strstr(err->msg, "no such file or directory")) {
		err->kind = ERR_BAD_PARAM;
		return 127;
	}
	return EXIT_START_FAILED;
}

static void watch_oom(struct zone *z);

/* See zone_exit.c. */
static void hold_mounts(struct zone *z)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", z->init_pid);
	zone_close(&z->mnt_fd);
	z->mnt_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static void started(void)
{
	Zone__Started s = ZONE__STARTED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	struct zone *z = l.z;

	timer_stop(&late);
	zone_close(&l.err_pipe);
	hold_mounts(z);
	z->phase = PHASE_RUNNING;
	z->frozen = false;
	z->started_ns = now_ns();
	z->started_mono_ns = mono_ns();
	watch_oom(z);
	zone_write_state(z);
	zone_ctl_run(z); /* first, so that the log has it before anybody asks */
	s.run = z->run;
	s.pid = z->init_pid;
	s.started_ns = z->started_ns;
	s.restart_count = z->restart.count;
	if (l.is_restart) {
		m.body_case = ZONE__MESSAGE__BODY_RESTARTED;
		m.restarted = &s;
		zone_ctl_event(&m);
	} else {
		m.body_case = ZONE__MESSAGE__BODY_STARTED;
		m.started = &s;
		zone_ctl_reply(l.who, &m, NULL, 0);
	}
	if (l.init_dead)
		zone_exit_begin(z, l.init_status);
}

/* Goes on when both the runtime and the first process have come to an end of their starting. */
static void check(void)
{
	struct zone *z = l.z;

	if (z->phase != PHASE_LAUNCHING || !l.runtime_done)
		return;
	if (l.runtime_status != 0 && !l.failed) {
		runtime_error(&l.err);
		l.exit_code = classify(&l.err);
		start_failed(&l.err, l.exit_code);
	} else if (l.runtime_status != 0) {
		start_failed(&l.err, l.exit_code);
	} else if (l.failed) {
		if (l.init_dead)
			start_failed(&l.err, l.exit_code);
		else
			kill(z->init_pid, SIGKILL); /* on_child comes here again */
	} else if (l.exec_done) {
		started();
	} else if (l.init_dead) {
		err_kind(&l.err, ERR_SYSTEM, PREFIX "dockerinit ended with status %d: unknown",
			 WIFEXITED(l.init_status) ? WEXITSTATUS(l.init_status)
						  : 128 + WTERMSIG(l.init_status));
		start_failed(&l.err, EXIT_START_FAILED);
	}
}

/* The runtime's end, or the first process's, comes to check(). */
static void on_late(struct timer *t)
{
	struct zone *z = l.z;

	(void)t;
	if (z->phase != PHASE_LAUNCHING || l.failed)
		return;
	err_kind(&l.err, ERR_SYSTEM, PREFIX "the zone did not start within %d seconds: unknown", START_MS / 1000);
	l.exit_code = EXIT_START_FAILED;
	l.failed = true;
	if (l.runtime_pid > 0)
		kill(l.runtime_pid, SIGKILL);
	if (z->cgroup)
		zone_cgroup_kill(z->cgroup);
	check();
}

void zone_run_start(struct zone *z, struct asker who)
{
	memset(&l.early, 0, sizeof(l.early));
	l.z = z;
	l.who = who;
	l.is_restart = who.conn == 0;
	l.runtime_pid = 0;
	l.runtime_done = l.granted = l.exec_done = l.failed = l.init_dead = false;
	l.n_early = 0;
	l.exit_code = 0;
	z->phase = PHASE_LAUNCHING;
	z->run++;
	timer_set(&late, failpoint("zone.late") ? 300 : START_MS);
	if (launch(z, &l.err) < 0)
		start_failed(&l.err, EXIT_START_FAILED);
}

/* ---- what happens meanwhile ---------------------------------------------------------------- */

static void runtime_ended(struct zone *z, int status)
{
	cleanup_free char *path = xasprintf("%s/init.pid", z->run_dir);
	cleanup_buf struct buf text = BUF_INIT;
	struct err err;
	size_t i;

	l.runtime_done = true;
	l.runtime_status = status;
	l.runtime_pid = 0;
	if (z->tty)
		zone_tty_settle();
	if (status == 0) {
		if (fs_read_file(path, 64, &text, &err) == 0)
			z->init_pid = (pid_t)strtol(buf_str(&text), NULL, 10);
		if (z->init_pid <= 1) {
			l.runtime_status = 1;
			z->init_pid = 0;
		} else {
			z->init_pidfd = (int)syscall(SYS_pidfd_open, z->init_pid, 0);
		}
	}
	for (i = 0; i < l.n_early; i++) {
		if (z->init_pid && l.early[i].pid == z->init_pid) {
			l.init_dead = true;
			l.init_status = l.early[i].status;
		}
	}
	if (l.init_dead)
		mdata_server_flush_init();
	check();
}

void zone_run_on_child(struct zone *z, pid_t pid, int status)
{
	if (pid == l.runtime_pid) {
		runtime_ended(z, status);
	} else if (pid == z->init_pid) {
		if (z->phase == PHASE_RUNNING) {
			zone_exit_begin(z, status);
			return;
		}
		l.init_dead = true;
		l.init_status = status;
		mdata_server_flush_init();
		check();
	} else if (z->phase == PHASE_LAUNCHING && l.n_early < EARLY_MAX) {
		l.early[l.n_early].pid = pid;
		l.early[l.n_early++].status = status;
	}
}

/* Its limits are what execs get. They are read now, as another user's need CAP_SYS_RESOURCE. */
static bool on_grant(int pid)
{
	struct zone *z = l.z;
	int i;

	if (z->phase != PHASE_LAUNCHING || l.granted)
		return false;
	l.granted = true;
	z->has_limits = pid > 0;
	for (i = 0; i < RLIM_NLIMITS && z->has_limits; i++)
		z->has_limits = prlimit(pid, i, NULL, &z->limits[i]) == 0;
	if (!z->has_limits)
		log_warn("limits not read", "pid=%d errno=%d", pid, errno);
	return true;
}

static void on_own_stdio(uint32_t uid)
{
	struct zone *z = l.z;
	int fds[] = { z->out_r, z->err_r, z->in_w };
	size_t i;

	if (z->phase != PHASE_LAUNCHING)
		return;
	if (z->tty) {
		zone_tty_own(uid);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0 && fchown(fds[i], uid, (gid_t)-1) < 0)
			log_warn("chown of a stream", "uid=%u errno=%d", uid, errno);
}

/* "<exit code> <errno> <kind> <text>" */
static void on_failed(char *report)
{
	long code, kind;

	if (l.z->phase != PHASE_LAUNCHING)
		return;
	code = strtol(report, &report, 10);
	strtol(report, &report, 10);
	kind = strtol(report, &report, 10);
	report += *report == ' ';
	if (kind == ERR_BAD_PARAM)
		err_kind(&l.err, ERR_BAD_PARAM,
			 PREFIX "error during container init: %.700s: unknown", report);
	else
		err_kind(&l.err, ERR_SYSTEM, "%s", report);
	l.exit_code = code >= 125 && code <= 128 ? (int)code : EXIT_START_FAILED;
	l.failed = true;
	check();
}

static void on_running(void)
{
	l.exec_done = true;
	check();
}

int zone_run_open_metadata(struct zone *z, struct err *err)
{
	static const struct mdata_hooks hooks = { on_grant, on_own_stdio, on_failed, on_running };
	char path[80];

	l.z = z;
	if (mkdirat(z->run_dir_fd, "zonecontrol", 0755) < 0 && errno != EEXIST)
		return err_sys(err, "mkdir %s/zonecontrol", z->run_dir);
	if (str_fmt(path, sizeof(path), "/proc/self/fd/%d/zonecontrol/metadata.sock",
		    z->run_dir_fd) < 0)
		return err_sysnum(err, ENAMETOOLONG, "metadata socket");
	return mdata_server_listen(path, xasprintf("%s/config/metadata.json", z->dir), &hooks, err);
}

/* ---- out of memory, live ------------------------------------------------------------------- */

static struct source oom = { .fd = -1 };
static int64_t oom_seen;

static void tell_oom(void)
{
	Zone__Oom o = ZONE__OOM__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;

	m.body_case = ZONE__MESSAGE__BODY_OOM;
	m.oom = &o;
	zone_ctl_event(&m);
}

int64_t zone_run_look_for_oom(struct zone *z)
{
	int64_t n = zone_cgroup_oom_kills(z->cgroup);

	if (n > oom_seen) {
		oom_seen = n;
		tell_oom();
	}
	return n;
}

static void on_oom(struct source *s, uint32_t events)
{
	char drain[4096];

	(void)events;
	if (read(s->fd, drain, sizeof(drain)) < 0 && errno != EAGAIN)
		loop_del(s);
	/* it also fires when the group is removed: then the count says no */
	if (l.z->phase != PHASE_RUNNING)
		return;
	if (zone_cgroup_oom_waits(l.z->cgroup)) /* nothing is killed: there is no count to go by */
		tell_oom();
	else
		zone_run_look_for_oom(l.z);
}

static void watch_oom(struct zone *z)
{
	struct err ignored;

	zone_run_unwatch();
	oom_seen = 0;
	oom.fd = zone_cgroup_oom_watch(z->cgroup);
	oom.on_event = on_oom;
	if (oom.fd >= 0)
		loop_add(&oom, EPOLLIN, &ignored);
}

void zone_run_unwatch(void)
{
	loop_del(&oom);
	zone_close(&oom.fd);
}
