/* SPDX-License-Identifier: MPL-2.0
 *
 * main.c - the API daemon's start and stop.
 *
 * Order of the start: arguments, configuration, folders, the lock (one engine per run folder),
 * facts of the host, store, layers, images, volumes, networks, the log service, containers, and
 * only then the first client. Each step finds what a crash of its predecessor left.
 *
 * Stop: no new clients, no new jobs; those that run are waited for and answered; zones run on.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "cleanup.h"
#include "client.h"
#include "container.h"
#include "debug.h"
#include "ct_config.h"
#include "engine_init.h"
#include "fs.h"
#include "git_child.h"
#include "image_store.h"
#include "job.h"
#include "lifecycle.h"
#include "listen.h"
#include "logclient.h"
#include "native_layer.h"
#include "network.h"
#include "resolver.h"
#include "service_meta.h"
#include "stdio_relay.h"
#include "store.h"
#include "str.h"
#include "tar_unpack.h"
#include "tls.h"
#include "version.h"
#include "volume.h"
#include "zone_files.h"

#define LOG_MODULE "main"
#include "log.h"

#define MAX_HOSTS 16

struct args {
	const char *root, *conf;
	const char *hosts[MAX_HOSTS];
	unsigned n_hosts;
	bool check;
};

static uv_signal_t on_term, on_int, on_usr1;
enum { LOCK_TRIES = 100, LOCK_TRIES_ENDING = 3000, LOCK_WAIT_US = 10000 };

static int lock_fd = -1;
static char *notify_path; /* NOTIFY_SOCKET; no child may have it */

static void usage(FILE *f)
{
	fputs("usage: apiserver [--root DIR] [--conf FILE] [-H|--host "
	      "unix://PATH|tcp://IP:PORT]...\n"
	      "                 [--check-config] [--version]\n",
	      f);
}

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "conf", required_argument, NULL, 'c' },
		{ "host", required_argument, NULL, 'H' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "H:vh", longs, NULL)) != -1) {
		switch (opt) {
		case 'r':
			a->root = optarg;
			break;
		case 'c':
			a->conf = optarg;
			break;
		case 'H':
			if (a->n_hosts == MAX_HOSTS)
				return -EINVAL;
			a->hosts[a->n_hosts++] = optarg;
			break;
		case 'k':
			a->check = true;
			break;
		case 'v':
			printf("sdc-docker apiserver %s, API %s\n", SDC_VERSION, SDC_API_VERSION);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	return optind == argc ? 0 : -EINVAL;
}

static int make_dirs(const struct paths *p, struct err *err)
{
	const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {
		/* a socket in a closed folder would be of no use to the group */
		{ p->run, 0755 },
		{ p->lib, 0711 },
		{ p->zones, 0711 },
	};
	char sub[700];
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if ((rc = fs_mkdir_p(dirs[i].path, dirs[i].mode, err)) < 0)
			return rc;
	}
	if ((rc = str_fmt(sub, sizeof(sub), "%s/zones", p->run)) < 0)
		return err_sysnum(err, rc, "path of the run folder");
	return fs_mkdir_p(sub, 0700, err);
}

/* Whether the process that wrote the pid file is on its way out: a killed one may still be in a long
 * write. */
static bool holder_is_ending(const char *run)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct err ignored = { 0 };
	char path[700];
	const char *state;
	int64_t pid;

	if (str_fmt(path, sizeof(path), "%s/apiserver.pid", run) < 0 ||
	    fs_read_file(path, 32, &text, &ignored) < 0 || !text.len)
		return false;
	text.p[strcspn(text.p, "\n")] = '\0';
	if (parse_i64(text.p, 1, INT32_MAX, &pid) < 0 ||
	    str_fmt(path, sizeof(path), "/proc/%d/stat", (int)pid) < 0)
		return false;
	buf_reset(&text);
	if (fs_read_file(path, 4096, &text, &ignored) < 0)
		return true;
	state = strrchr(buf_str(&text), ')');
	return state && strlen(state) > 2 && strchr("ZXx", state[2]);
}

/* Held until we end, however we end. */
static int take_lock(const struct paths *p, struct err *err)
{
	char path[700], pid[16];
	int rc, n;

	if ((rc = str_fmt(path, sizeof(path), "%s/apiserver.lock", p->run)) < 0)
		return err_sysnum(err, rc, "path of the lock");
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_fd < 0)
		return err_sys(err, "open %s", path);
	/* one that was killed just now may still be ending */
	for (n = 0; flock(lock_fd, LOCK_EX | LOCK_NB) < 0; n++) {
		int e = errno;

		if (e != EWOULDBLOCK || n >= LOCK_TRIES_ENDING ||
		    (n >= LOCK_TRIES && !holder_is_ending(p->run)))
			return err_sysnum(err, e, "another apiserver runs on %s", p->run);
		usleep(LOCK_WAIT_US);
	}
	if ((rc = str_fmt(path, sizeof(path), "%s/apiserver.pid", p->run)) < 0)
		return err_sysnum(err, rc, "path of the pid file");
	n = snprintf(pid, sizeof(pid), "%d\n", getpid());
	return fs_write_replace(path, pid, (size_t)n, 0644, err);
}

static void raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void notify_systemd(const char *state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = notify_path;
	socklen_t len;
	int fd;

	if (!path || str_fmt(sa.sun_path, sizeof(sa.sun_path), "%s", path) < 2)
		return;
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0)
		log_warn("cannot notify the service manager", "errno=%d", errno);
	close(fd);
}

static void on_signal(uv_signal_t *handle, int signo)
{
	if (signo == SIGUSR1) {
		debug_dump();
		return;
	}
	log_info("stopping", "signal=%d", signo);
	uv_stop(handle->loop);
}

static void watch_signals(void)
{
	const struct {
		uv_signal_t *handle;
		int signo;
	} v[] = { { &on_term, SIGTERM }, { &on_int, SIGINT }, { &on_usr1, SIGUSR1 } };

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		uv_signal_init(uv_default_loop(), v[i].handle);
		uv_signal_start(v[i].handle, on_signal, v[i].signo);
		uv_unref((uv_handle_t *)v[i].handle);
	}
}

static bool tls_wanted(const struct conf *conf)
{
	return conf_bool(conf, "tlsverify") || !str_empty(conf_str(conf, "tlscert"));
}

static int open_listeners(const struct args *a, struct err *err)
{
	const struct conf *conf = engine->conf;
	cleanup_strv char **more = strv_split(conf_str(conf, "host"), ',');
	const char *group = conf_str(conf, "group");
	cleanup_free char *own = xasprintf("unix://%s", engine->paths.api_sock);
	bool tls = tls_wanted(conf);
	int rc, n;

	if (tls &&
	    (rc = tls_init(conf_str(conf, "tlscert"), conf_str(conf, "tlskey"),
			   conf_str(conf, "tlscacert"), conf_bool(conf, "tlsverify"), err)) < 0)
		return rc;
	if ((n = listen_activated(tls, err)) < 0)
		return n;
	/* systemd has our own socket open already */
	if (n == 0 && (rc = listen_open(own, group, false, err)) < 0)
		return rc;
	if ((rc = listen_open_admin(engine->paths.admin_sock, err)) < 0)
		return rc;
	if (!str_empty(conf_str(conf, "metrics-addr")) &&
	    (rc = listen_open_metrics(conf_str(conf, "metrics-addr"), err)) < 0)
		return err_wrap(err, rc, "metrics-addr");
	for (unsigned i = 0; i < a->n_hosts; i++) {
		if ((rc = listen_open(a->hosts[i], group, tls, err)) < 0)
			return rc;
	}
	for (char **h = more; *h; h++) {
		char *s = *h + strspn(*h, " ");

		if (*s && (rc = listen_open(s, group, tls, err)) < 0)
			return rc;
	}
	return 0;
}

static int load_conf(const struct args *a, struct err *err)
{
	struct engine *e = engine_mutable();
	enum log_level level;
	int rc;

	if ((rc = conf_load(&e->conf, a->conf, err)) < 0)
		return rc;
	if (a->conf) { /* absolute, for the daemons that we start */
		cleanup_free char *real = realpath(a->conf, NULL);

		if (!real || str_fmt(e->conf_path, sizeof(e->conf_path), "%s", real) < 0)
			return err_sysnum(err, real ? ENAMETOOLONG : errno, "%s", a->conf);
	}
	if (log_parse_level(conf_str(e->conf, "log-level"), &level) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"log-level: not one of error, warn, info, debug: %s",
				conf_str(e->conf, "log-level"));
	if ((rc = config_check_engine(err)) < 0 || (rc = service_meta_check_conf(e->conf, err)) < 0)
		return rc;
	log_set_level(level);
	return paths_init(&e->paths, a->root, err);
}

static int start(const struct args *a, struct err *err)
{
	struct engine *e = engine_mutable();
	char db[700];
	int rc;

	if ((rc = make_dirs(&e->paths, err)) < 0 || (rc = take_lock(&e->paths, err)) < 0 ||
	    (rc = engine_init(err)) < 0)
		return rc;
	if ((rc = str_fmt(db, sizeof(db), "%s/state.db", e->paths.lib)) < 0)
		return err_sysnum(err, rc, "path of the state database");
	debug_watchdog_init();
	clients_init();
	route_init();
	if ((rc = job_init()) < 0)
		return err_sysnum(err, rc, "start the job lanes");
	container_index_init();
	if ((rc = store_open(db, err)) < 0 || (rc = service_meta_init(err)) < 0 ||
	    (rc = native_layer_init(e, err)) < 0 ||
	    (rc = image_store_init(err)) < 0 || (rc = volume_init(err)) < 0 ||
	    (rc = network_init(err)) < 0 || (rc = logclient_init(err)) < 0 ||
	    (rc = lifecycle_init(err)) < 0)
		return rc;
	return open_listeners(a, err);
}

static bool any_running(void)
{
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		if (container_is_running(ct))
			return true;
	}
	return false;
}

static void stop(void)
{
	bool last = !any_running();
	char path[700];

	notify_systemd("STOPPING=1");
	listen_close_all();
	clients_cut_bodies();
	job_shutdown(); /* what runs comes to its end, and is answered */
	clients_fini();
	lifecycle_fini();
	logclient_fini(last);
	network_fini(last);
	store_close();
	if (str_fmt(path, sizeof(path), "%s/apiserver.pid", engine->paths.run) > 0)
		unlink(path);
	log_info("stopped", "zones_run_on=%d", !last);
}

static void quiet_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	/* who starts a child reaps it: the signal would only cut the loop's waits short */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct args args = { 0 };
	struct err err = { 0 };

	if (argc > 1 && !strcmp(argv[1], UNPACK_OPTION))
		return tar_unpack_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], GIT_CHILD_OPTION))
		return git_child_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], RESOLVER_OPTION))
		return resolver_main();
	if (argc > 1 && !strcmp(argv[1], RELAY_OPTION))
		return stdio_relay_main();
	if (parse_args(argc, argv, &args) < 0) {
		usage(stderr);
		return 2;
	}
	listen_claim();
	notify_path = xstrdup(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	quiet_signals();
	umask(022);
	if (load_conf(&args, &err) < 0) {
		fprintf(stderr, "apiserver: %s\n", err.msg);
		return 1;
	}
	if (args.check) {
		puts("configuration is fine");
		return 0;
	}
	raise_limits();
	json_object_seed(0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	watch_signals();
	if (start(&args, &err) < 0) {
		log_err("cannot start", "error=%s", log_q(err.msg));
		return 1;
	}
	log_info("listening", "sock=%s version=%s api=%s", log_q(engine->paths.api_sock),
		 SDC_VERSION, SDC_API_VERSION);
	notify_systemd("READY=1");
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	stop();
	return 0;
}
