/* SPDX-License-Identifier: MPL-2.0
 *
 * logger.c - logger --uuid U --zones DIR --run DIR [--netns-fd N] [--pid P] [--max-backlog BYTES] [--grace S]
 * [--tls-dir DIR] [--unix-sockets LIST]: forwards one zone's log to the sink that its log driver names.
 *
 * Design. logsvc starts it in the zone's network namespace, so that a sink and its name are what the
 * zone could reach itself. Two processes: the parent opens the log's files and nothing else
 * (logger_files.c); the child, which talks to the sink, has the zone's resolv.conf and hosts over /etc's in a
 * mount namespace of its own, is nobody, has no capabilities, and is fenced by a list of system calls
 * (fence.c). Each ends with the other.
 *
 * Failure: either may be killed at any time: the cursor file says where a successor goes on. logsvc's death
 * changes nothing: the pages in the run folder outlive it, and the next logsvc finds a live logger by the
 * lock on its status page.
 */
#define LOG_MODULE "logger"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "cursor.h"
#include "fence.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "logger_cgroup.h"
#include "logger_files.h"
#include "logger_loop.h"
#include "str.h"

#define LOG_JSON_MAX (4 * 1024 * 1024)
#define EXIT_TAKEN   75 /* another logger has the zone */

struct args {
	const char *uuid, *zones, *run, *tls_dir, *unix_sockets;
	int64_t netns_fd, pid, max_backlog, grace_s;
};

struct opened {
	json_t *conf;
	int logs_dir, cursor_fd;
	struct forward_commit *page;
	struct forward_status *status;
};

static volatile sig_atomic_t stop;

static void on_term(int signo)
{
	(void)signo;
	stop = 1;
	alarm(2); /* a write that hangs does not keep us */
}

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "uuid", required_argument, NULL, 'u' },     { "zones", required_argument, NULL, 'z' },
		{ "run", required_argument, NULL, 'r' },      { "netns-fd", required_argument, NULL, 'n' },
		{ "pid", required_argument, NULL, 'p' },      { "max-backlog", required_argument, NULL, 'b' },
		{ "grace", required_argument, NULL, 'g' },    { "tls-dir", required_argument, NULL, 't' },
		{ "unix-sockets", required_argument, NULL, 's' }, { NULL, 0, NULL, 0 },
	};
	int c;

	a->netns_fd = -1;
	a->max_backlog = INT64_MAX;
	a->grace_s = 60;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'u')
			a->uuid = optarg;
		else if (c == 'z')
			a->zones = optarg;
		else if (c == 'r')
			a->run = optarg;
		else if (c == 't')
			a->tls_dir = optarg;
		else if (c == 's')
			a->unix_sockets = optarg;
		else if (c == 'n' && parse_i64(optarg, 0, 1 << 20, &a->netns_fd) == 0)
			;
		else if (c == 'p' && parse_i64(optarg, 0, INT32_MAX, &a->pid) == 0)
			;
		else if (c == 'g' && parse_i64(optarg, 0, 1000000, &a->grace_s) == 0)
			;
		else if (c != 'b' || parse_i64(optarg, 0, INT64_MAX, &a->max_backlog) < 0)
			return -1;
	}
	return a->uuid && a->zones && a->run && optind == argc ? 0 : -1;
}

/* ---- what needs rights ------------------------------------------------------------------------ */

static void *map_page(const char *dir, const char *name, bool writable, uint32_t magic, int *fd_out, struct err *err)
{
	char path[1024];
	int fd = str_fmt(path, sizeof(path), "%s/%s", dir, name) < 0 ? -1 : open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	struct stat sb;
	void *p;

	if (fd < 0 || fstat(fd, &sb) < 0 || sb.st_size < FORWARD_PAGE) {
		err_sys(err, "open %s/%s", dir, name);
		return NULL;
	}
	p = mmap(NULL, FORWARD_PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_sys(err, "map %s/%s", dir, name);
		return NULL;
	}
	if (*(uint32_t *)p != magic) {
		err_sysnum(err, EINVAL, "%s/%s", dir, name);
		return NULL;
	}
	*fd_out = fd;
	return p;
}

static int open_all(const struct args *a, struct opened *o, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	char dir[1024], path[1100];
	int fd, rc;

	if (str_fmt(dir, sizeof(dir), "%s/zones/%s", a->run, a->uuid) < 0)
		return err_sysnum(err, ENAMETOOLONG, "%s", a->run);
	if (!(o->status = map_page(dir, FORWARD_STATUS_NAME, true, FORWARD_STATUS_MAGIC, &fd, err)))
		return err->code;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) /* held by both processes until they end */
		return err_sysnum(err, EBUSY, "another logger forwards this zone");
	o->status->error[0] = '\0'; /* from here on the page says what we do, not the last one */
	atomic_store(&o->status->since_ns, 0);
	atomic_store(&o->status->pid, (uint32_t)getpid());
	if (!(o->page = map_page(dir, FORWARD_COMMIT_NAME, false, FORWARD_COMMIT_MAGIC, &fd, err)))
		return err->code;
	close(fd);
	if (str_fmt(path, sizeof(path), "%s/%s/config/log.json", a->zones, a->uuid) < 0 ||
	    (rc = fs_read_file(path, LOG_JSON_MAX, &text, err)) < 0)
		return err->code ? err->code : err_sysnum(err, ENAMETOOLONG, "%s", a->zones);
	if ((rc = jparse(buf_str(&text), text.len, &o->conf, err)) < 0)
		return rc;
	(void)!str_fmt(path, sizeof(path), "%s/%s/logs", a->zones, a->uuid);
	o->logs_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o->logs_dir < 0)
		return err_sys(err, "open %s", path);
	o->cursor_fd = openat(o->logs_dir, FORWARD_CURSOR_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->cursor_fd < 0)
		return err_sys(err, "open %s/%s", path, FORWARD_CURSOR_NAME);
	cursor_reserve(o->cursor_fd);
	return 0;
}

/* The zone's resolv.conf and hosts instead of the host's, for this process only. */
static int private_etc(const struct args *a, struct err *err)
{
	static const char *const names[] = { "resolv.conf", "hosts" };
	char from[1024], to[64];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, "make a mount namespace");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_fmt(from, sizeof(from), "%s/%s/config/%s", a->zones, a->uuid, names[i]) < 0 ||
		    str_fmt(to, sizeof(to), "/etc/%s", names[i]) < 0)
			return err_sysnum(err, ENAMETOOLONG, "%s", a->zones);
		if (fs_exists(from) && fs_exists(to) && mount(from, to, NULL, MS_BIND, NULL) < 0)
			return err_sys(err, "bind %s", from);
	}
	return 0;
}

/* ---- the two processes ------------------------------------------------------------------------ */

static int run_child(const struct args *a, struct opened *o, int sock, pid_t parent)
{
	static struct sink sink;
	struct logger l = { .uuid = a->uuid,
			    .files_sock = sock,
			    .cursor_fd = o->cursor_fd,
			    .page = o->page,
			    .status = o->status,
			    .sink = &sink,
			    .max_backlog = a->max_backlog,
			    .grace_ns = a->grace_s * 1000000000,
			    .stop = &stop };
	struct sink_env env = { .pid = (int)(a->pid ? a->pid : parent), .tls_dir = a->tls_dir, .unix_sockets = a->unix_sockets };
	struct sigaction sa = { .sa_handler = on_term };
	struct err err = { 0 };

	sigaction(SIGTERM, &sa, NULL);
	tzset();
	(void)setenv("RES_OPTIONS", "timeout:2 attempts:2", 1); /* a name server that is away does not hold us for long */
	if (sink_init(&sink, o->conf, &env, &err) < 0 || private_etc(a, &err) < 0 ||
	    fence_become_nobody(&err) < 0)
		goto fail;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return 0;
	if (fence_enter(&err) < 0)
		goto fail;
	return logger_run(&l);
fail:
	log_err("cannot forward", "zone=%s: %s", a->uuid, err.msg);
	str_copy(o->status->error, sizeof(o->status->error), err.msg);
	return 1;
}

/* The zone has gone and no logsvc was there to say so. */
static bool still_needed(void *arg)
{
	static int missing;
	const struct args *a = arg;
	char path[1100];

	(void)!str_fmt(path, sizeof(path), "%s/zones/%s/zoneadmd.sock", a->run, a->uuid);
	missing = fs_exists(path) ? 0 : missing + 1;
	if (str_fmt(path, sizeof(path), "%s/%s/config/log.json", a->zones, a->uuid) < 0 || !fs_exists(path))
		return false;
	return missing * FILES_LOOK_S <= a->grace_s + FILES_LOOK_S;
}

static volatile sig_atomic_t files_sock;

/* Ends files_serve; what follows is done in any case. */
static void on_parent_term(int signo)
{
	(void)signo;
	(void)shutdown(files_sock, SHUT_RDWR);
}

static int run_both(const struct args *a, struct opened *o)
{
	pid_t pid, parent = getpid();
	struct err err = { 0 };
	int sv[2], status = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0 || (pid = fork()) < 0) {
		log_err("cannot start", "zone=%s: %s", a->uuid, strerror(errno));
		return 1;
	}
	if (pid == 0) {
		close(sv[0]);
		close(o->logs_dir);
		exit(run_child(a, o, sv[1], parent));
	}
	close(sv[1]);
	files_sock = sv[0];
	signal(SIGTERM, on_parent_term);
	/* the child is somebody else's now: without CAP_KILL it would not hear of our death */
	if (fence_drop_caps(1u << CAP_KILL, &err) < 0)
		log_warn("capabilities kept", "zone=%s: %s", a->uuid, err.msg);
	files_serve(sv[0], o->logs_dir, still_needed, (void *)(uintptr_t)a);
	kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	logger_cgroup_leave();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	struct args a = { 0 };
	struct opened o = { .logs_dir = -1, .cursor_fd = -1 };
	struct err err = { 0 };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	json_object_seed(0);
	if (parse_args(argc, argv, &a) < 0) {
		fputs("usage: logger --uuid U --zones DIR --run DIR [--netns-fd N] [--pid P] [--max-backlog BYTES] [--grace S]"
		      " [--tls-dir DIR] [--unix-sockets LIST]\n", stderr);
		return 2;
	}
	if (open_all(&a, &o, &err) < 0) {
		if (err.code == -EBUSY)
			return EXIT_TAKEN;
		log_err("cannot start", "zone=%s: %s", a.uuid, err.msg);
		return 1;
	}
	logger_cgroup_join(a.uuid, (int)a.pid);
	if (a.netns_fd >= 0) {
		if (setns((int)a.netns_fd, CLONE_NEWNET) < 0) {
			log_err("cannot enter the zone's network", "zone=%s: %s", a.uuid, strerror(errno));
			return 1;
		}
		close((int)a.netns_fd);
	}
	return run_both(&a, &o);
}
