/* SPDX-License-Identifier: MPL-2.0
 *
 * main.c - logsvc [--root DIR] [--conf FILE] [--foreground] [--log-level LEVEL]: captures the output
 * of all zones, keeps their logs, and answers reads. logsvc --read-pipe FD is a process of a running one (pipe_reader.c).
 *
 * Order: one instance per run folder (a lock), threads, adoption of the zones that run, the socket,
 * READY. SIGTERM and SIGINT end it between two turns; whatever is in flight is in the rings. It can
 * be killed as well: nothing is written at the end that a successor needs.
 *
 * Threads: main only waits for signals. control answers requests; one or more capture threads read
 * the zones' pipes and write their logs; reader threads serve `docker logs`; one compresses; one looks
 * after retention and uploads.
 */
#define LOG_MODULE "main"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "archive_fetch.h"
#include "cleanup.h"
#include "compress.h"
#include "conf.h"
#include "control.h"
#include "fs.h"
#include "log.h"
#include "loop.h"
#include "paths.h"
#include "pipe_reader.h"
#include "readers.h"
#include "retention.h"
#include "str.h"
#include "stream_apart.h"
#include "version.h"
#include "zone.h"
#include "zone_keep.h"

static struct paths paths;
static struct zones zones;
static struct loop *control_loop;

static void notify_ready(void)
{
	const char *to = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	size_t n = to ? strlen(to) : 0;

	if (!n || n >= sizeof(sa.sun_path) || (to[0] != '/' && to[0] != '@'))
		return;
	memcpy(sa.sun_path, to, n);
	if (to[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&sa,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

static void on_ready(void *arg, const struct err *err)
{
	(void)arg;
	if (err) {
		log_err("cannot serve", "%s", err->msg);
		exit(1);
	}
	log_info("ready", "version=%s socket=%s", SDC_VERSION, paths.logsvc_sock);
	notify_ready();
}

static void start_control(void *arg)
{
	(void)arg;
	control_new(control_loop, &zones, &paths, on_ready, NULL);
}

/* The lock lives as long as the process. */
static int take_lock(struct err *err)
{
	char path[1024];
	int fd, rc;

	if (str_fmt(path, sizeof(path), "%s/logsvc.lock", paths.run) < 0)
		return err_sysnum(err, ENAMETOOLONG, "%s", paths.run);
	if ((rc = fs_mkdir_p(paths.run, 0755, err)) < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, "another logsvc has %s", path);
	return 0;
}

/* What operators set over the file; apiserver keeps it, and tells us as well once it is there. */
static void load_overrides(struct conf *conf)
{
	struct err err = { 0 };
	char path[1024];

	if (str_fmt(path, sizeof(path), "%s/service.conf", paths.lib) > 0 &&
	    conf_load_overrides(conf, path, &err) < 0)
		log_warn("service metadata not read in full", "%s", err.msg);
}

static int start(struct conf *conf, struct err *err)
{
	struct retention_zones hooks;
	struct rlimit files;
	int rc;

	if ((rc = take_lock(err)) < 0)
		return rc;
	load_overrides(conf);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* five per zone */
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if ((rc = compress_start(err)) < 0 || (rc = readers_start(err)) < 0)
		return rc;
	control_loop = loop_new("control", err);
	if (!control_loop)
		return err->code;
	if ((rc = zones_init(&zones, control_loop, &paths, conf, err)) < 0)
		return rc;
	fetches_start(conf);
	zone_keep_hooks(&zones, &hooks);
	if ((rc = retention_start(&paths, conf, &hooks, err)) < 0)
		return rc;
	loop_post(control_loop, start_control, NULL);
	return 0;
}

static void usage(FILE *to)
{
	fputs("usage: logsvc [--root DIR] [--conf FILE] [--foreground] [--log-level LEVEL] [--help] [--version]\n", to);
}

static int read_pipe(const char *fd_text)
{
	int64_t fd;

	return parse_i64(fd_text, 3, INT32_MAX, &fd) == 0 ? pipe_reader_main((int)fd) : 2;
}

static int parse_args(int argc, char **argv, const char **root, const char **conf_path)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "conf", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "read-pipe", required_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum log_level level;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r') {
			*root = optarg;
		} else if (c == 'c') {
			*conf_path = optarg;
		} else if (c == 'l' && log_parse_level(optarg, &level) == 0) {
			log_set_level(level);
		} else if (c == 'p') {
			exit(read_pipe(optarg));
		} else if (c == 'h') {
			usage(stdout);
			exit(0);
		} else if (c == 'v') {
			puts("logsvc " SDC_VERSION);
			exit(0);
		} else if (c != 'f') { /* the foreground is where it always runs */
			usage(stderr);
			return -1;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *root = NULL, *conf_path = NULL;
	struct conf *conf = NULL;
	struct err err = { 0 };
	sigset_t set;
	int sig;

	if (parse_args(argc, argv, &root, &conf_path) < 0)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* loggers: their pidfds tell */
	json_object_seed(0);
	if (paths_init(&paths, root, &err) < 0 || conf_load(&conf, conf_path, &err) < 0 ||
	    start(conf, &err) < 0) {
		log_err("cannot start", "%s", err.msg);
		return 1;
	}
	do {
		if (sigwait(&set, &sig) != 0)
			sig = SIGTERM;
	} while (sig != SIGTERM && sig != SIGINT);
	log_info("stopping", "signal=%d", sig);
	loop_stop(control_loop);
	zones_stop(&zones);
	apart_settle();
	readers_stop();
	compress_stop();
	retention_stop();
	return 0;
}
