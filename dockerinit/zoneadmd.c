/* SPDX-License-Identifier: MPL-2.0 */
/* clang-format off */
/*
 * zoneadmd.c - the parent of one zone: main, set-up, and reaping.
 *
 *	zoneadmd --uuid UUID --zones DIR --run DIR [--ready-fd N]
 *	zoneadmd --rootfs <zones>/UUID/config/zone.json		(zone_mount.c)
 *
 * Read next: zone.h (the states), zone_run.c (what it finds and makes on disk), zone_exit.c,
 * zone_ctl.c.
 *
 * Invariants
 *	It ends only with its zone (or by Shutdown): signals that ask it to go are ignored.
 *	It holds the read ends of a run's pipes until logsvc has said that the run is in the log.
 *	Nothing but the loop waits. One thread.
 * Failure
 *	kill -9: the zone's processes go on (their pipes are held by logsvc too); state.json names
 *	the first process and the cgroup for whoever cleans up. Nothing is mounted in the host's
 *	namespace.
 * Memory
 *	There is one of these for each running zone: static, without stdio buffers, the
 *	configuration and the metadata in memory only while they are used.
 */
/* clang-format on */
#include <fcntl.h>
#include <getopt.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "loop.h"
#include "str.h"
#include "zone.h"
#include "zone_cgroup.h"
#include "zone_conf.h"
#include "zone_mount.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
struct mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

static struct zone zone = { .run_dir_fd = -1,
			    .init_fd = -1,
			    .netns_fd = -1,
			    .init_pidfd = -1,
			    .mnt_fd = -1,
			    .ring_fd = -1,
			    .out_r = -1,
			    .err_r = -1,
			    .out_w = -1,
			    .err_w = -1,
			    .in_w = -1 };
static struct source sigchld = { .fd = -1 };

static void on_sigchld(struct source *s, uint32_t events)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	(void)events;
	if (read(s->fd, &si, sizeof(si)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!zone_exec_on_child(&zone, pid, status))
			zone_run_on_child(&zone, pid, status);
}

static int setup_signals(struct err *err)
{
	static const int ignored[] = { SIGHUP,	SIGINT,	 SIGTERM, SIGQUIT, SIGPIPE,
				       SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU };
	struct sigaction ign = { .sa_handler = SIG_IGN };
	sigset_t set;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &ign, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(err, "sigprocmask");
	sigchld.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigchld.fd < 0)
		return err_sys(err, "signalfd");
	sigchld.on_event = on_sigchld;
	return loop_add(&sigchld, EPOLLIN, err);
}

/* Out-of-memory killing should find others first. What we had, children get back. */
static void setup_oom_score(struct zone *z)
{
	cleanup_fd int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";
	int64_t v = 0;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	parse_i64(text, -1000, 1000, &v);
	z->oom_score_own = (int)v;
	if (pwrite(fd, "-999", 4, 0) < 0)
		return; /* no CAP_SYS_RESOURCE */
}

/* dockerinit beside us, through a mount of its own that is read-only: an exec's /proc/PID/exe leads
 * there, and the zone's root must not be able to write to it. */
static int open_dockerinit(struct zone *z, struct err *err)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int tree = -1;
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *slash;

	if (n < 0)
		return err_sys(err, "read /proc/self/exe");
	path[n] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash ? slash + 1 : path, "dockerinit", 11);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC);
	if (tree < 0)
		return err_sys(err, "open %s", path);
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return err_sys(err, "make %s read-only", path);
	z->init_fd = take_fd(&tree);
	return 0;
}

/* ---- the network namespace ----------------------------------------------------------------- */

static int loopback_up(struct err *err)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return err_sys(err, "bring lo up");
	return 0;
}

static int make_netns(struct zone *z, struct err *err)
{
	cleanup_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char target[64];
	int rc;

	if (own < 0 || unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "make a network namespace");
	z->netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	rc = z->netns_fd < 0 ? err_sys(err, "open the network namespace") : loopback_up(err);
	if (setns(own, CLONE_NEWNET) < 0 && rc == 0)
		rc = err_sys(err, "leave the network namespace");
	if (rc < 0)
		return rc;
	snprintf(target, sizeof(target), "/proc/%d/fd/%d", getpid(), z->netns_fd);
	unlinkat(z->run_dir_fd, "netns", 0);
	if (symlinkat(target, z->run_dir_fd, "netns") < 0)
		return err_sys(err, "symlink %s/netns", z->run_dir);
	return 0;
}

/* ---- set-up -------------------------------------------------------------------------------- */

static int read_first_conf(struct zone *z, struct err *err)
{
	cleanup_free char *path = xasprintf("%s/config/zone.json", z->dir);
	cleanup_zone_conf struct zone_conf c = { 0 };
	int rc;

	if ((rc = zone_conf_read(&c, path, err)) < 0)
		return rc;
	if (strcmp(c.uuid, z->uuid) != 0)
		return err_kind(err, ERR_SYSTEM, "%s is of zone %s", path, c.uuid);
	str_copy(z->id, sizeof(z->id), c.id);
	z->tty = c.tty;
	z->cgroup = xstrdup(c.cgroup);
	z->restart.policy = c.policy;
	z->restart.max_retries = c.max_retries;
	z->restart.count = c.restart_count;
	return c.private_netns ? make_netns(z, err) : 0;
}

static int write_pid(const struct zone *z, struct err *err)
{
	cleanup_free char *path = xasprintf("%s/pid", z->run_dir);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	return fs_write_replace(path, text, (size_t)n, 0644, err);
}

static int setup(struct zone *z, struct err *err)
{
	int rc;

	setsid();
	umask(022);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, "become a subreaper");
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if ((rc = fs_mkdir_p(z->run_dir, 0711, err)) < 0)
		return rc;
	z->run_dir_fd = open(z->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	z->ring_fd = memfd_create("sdc-ring", MFD_CLOEXEC);
	if (z->run_dir_fd < 0 || z->ring_fd < 0)
		return err_sys(err, "open %s", z->run_dir);
	setup_oom_score(z);
	if ((rc = loop_init(err)) < 0 || (rc = setup_signals(err)) < 0 ||
	    (rc = zone_cgroup_init(err)) < 0 || (rc = open_dockerinit(z, err)) < 0 ||
	    (rc = read_first_conf(z, err)) < 0 || (rc = zone_run_open_metadata(z, err)) < 0 ||
	    (rc = write_pid(z, err)) < 0)
		return rc;
	zone_write_state(z);
	return zone_ctl_listen(z, err); /* last: who can connect finds all else there */
}

/* What our parent forgot to keep to itself could be a zone's pipe: then its EOF would never come.
 */
static void close_inherited(int keep)
{
	if (keep > 3)
		syscall(SYS_close_range, 3, keep - 1, 0);
	syscall(SYS_close_range, keep >= 3 ? keep + 1 : 3, ~0U, 0);
}

static void tell_ready(int fd, const struct err *err)
{
	if (fd < 0)
		return;
	if (err)
		fs_write_all(fd, err->msg, strlen(err->msg));
	else
		fs_write_all(fd, "", 1);
	close(fd);
}

static int usage(void)
{
	static const char text[] =
		"usage: zoneadmd --uuid UUID --zones DIR --run DIR [--ready-fd N]\n"
		"       zoneadmd --rootfs ZONE_JSON\n";

	fs_write_all(STDERR_FILENO, text, sizeof(text) - 1);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "uuid", required_argument, NULL, 'u' },
		{ "zones", required_argument, NULL, 'z' },
		{ "run", required_argument, NULL, 'r' },
		{ "ready-fd", required_argument, NULL, 'f' },
		{ "rootfs", required_argument, NULL, 'R' },
		{ 0 },
	};
	const char *uuid = NULL, *zones = NULL, *run = NULL;
	int64_t ready_fd = -1;
	struct err err = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'u':
			uuid = optarg;
			break;
		case 'z':
			zones = optarg;
			break;
		case 'r':
			run = optarg;
			break;
		case 'f':
			if (parse_i64(optarg, 0, 1 << 20, &ready_fd) < 0)
				return usage();
			fcntl((int)ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		case 'R':
			return zone_mount_helper(optarg);
		default:
			return usage();
		}
	}
	if (!uuid || strlen(uuid) != 36 || strchr(uuid, '/') || !zones || !run || optind != argc)
		return usage();
	close_inherited((int)ready_fd);
	str_copy(zone.uuid, sizeof(zone.uuid), uuid);
	zone.dir = xasprintf("%s/%s", zones, uuid);
	zone.run_dir = xasprintf("%s/zones/%s", run, uuid);
	if (setup(&zone, &err) < 0) {
		tell_ready((int)ready_fd, &err);
		dprintf(STDERR_FILENO, "zoneadmd %s: %s\n", uuid, err.msg);
		return 1;
	}
	tell_ready((int)ready_fd, NULL);
	loop_run();
	return 0;
}
