/* SPDX-License-Identifier: MPL-2.0
 *
 * zonectl.c - drives a zoneadmd by hand, as apiserver and logsvc do: for tests of zones alone.
 *
 *	zonectl SOCK run [-q]		start, print the output, say "drained", end as the zone does
 *	zonectl SOCK watch		the same without the start
 *	zonectl SOCK start|state|shutdown
 *	zonectl SOCK exec [-t] [-d] [-i] [-u USER] [-w DIR] [-e K=V]... [-c CAPS] CMD...
 *	zonectl SOCK kill N | freeze 0|1 | resize ROWS COLS | policy NAME MAX STOPPED
 *	zonectl SOCK meta KEY [VALUE]	zonectl SOCK stdin TEXT		zonectl SOCK netns
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "frame.h"
#include "jw.h"
#include "str.h"
#include "zone.pb-c.h"

static int sock = -1;
static int out_fd = -1, err_fd = -1;
static uint32_t run;
static int64_t t0;
static bool quiet;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "zonectl: %s: %s\n", what, why);
	exit(125);
}

static void put(Zone__Request *r)
{
	uint8_t p[FRAME_MAX];
	size_t len = zone__request__pack(r, p);

	if (frame_send(sock, p, len, NULL, 0, 5000) < 0)
		die("send", "failed");
}

static Zone__Message *get(struct frame *f, int timeout_ms)
{
	int rc = frame_recv(sock, f, timeout_ms);
	Zone__Message *m;

	if (rc == 0)
		die("receive", "zoneadmd is gone");
	if (rc < 0)
		die("receive", strerror(-rc));
	m = zone__message__unpack(NULL, f->data.len, (uint8_t *)f->data.p);
	if (!m)
		die("receive", "not a message");
	return m;
}

#define NEW(type, field, UPPER)                                                                    \
	Zone__##type field = ZONE__##UPPER##__INIT;                                                \
	Zone__Request r = ZONE__REQUEST__INIT;                                                     \
	r.seq = 1;                                                                                 \
	r.op_case = ZONE__REQUEST__OP_##UPPER;

static void print_exited(const Zone__Exited *e)
{
	if (!quiet)
		fprintf(stderr,
			"[exited after %.2f ms run=%u code=%d oom=%d truncated=%d will_restart=%d "
			"delay=%u count=%u error=%s]\n",
			(double)(mono_ns() - t0) / 1e6, e->run, e->exit_code, e->oom_killed,
			e->truncated, e->will_restart, e->restart_delay_ms, e->restart_count,
			e->error);
}

static int failure(const Zone__Failure *f)
{
	fprintf(stderr, "[failure code=%d kind=%d exit=%d] %s\n", f->code, f->kind, f->exit_code,
		f->text);
	return f->exit_code ? f->exit_code : 125;
}

/* The one answer to a simple request. */
static int simple(Zone__Request *r)
{
	struct frame f = FRAME_INIT;
	Zone__Message *m;

	put(r);
	do
		m = get(&f, 20000);
	while (m->seq == 0);
	switch (m->body_case) {
	case ZONE__MESSAGE__BODY_FAILURE:
		return failure(m->failure);
	case ZONE__MESSAGE__BODY_STATE:
		printf("status=%d run=%u pid=%d restarts=%u\n", m->state->status, m->state->run,
		       m->state->pid, m->state->restart_count);
		break;
	case ZONE__MESSAGE__BODY_STARTED:
		printf("started run=%u pid=%d\n", m->started->run, m->started->pid);
		break;
	default:
		break;
	}
	if (f.n_fds && r->op_case == ZONE__REQUEST__OP_GET_STDIN) {
		out_fd = frame_take_fd(&f, 0);
	} else if (f.n_fds) {
		char link[64], target[128] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", f.fds[0]);
		if (readlink(link, target, sizeof(target) - 1) > 0)
			printf("%s\n", target);
	}
	return 0;
}

static void take_stdio(struct frame *f, const Zone__Stdio *s)
{
	run = s->run;
	out_fd = frame_take_fd(f, 1);
	err_fd = frame_take_fd(f, 2);
}

static void pump(int *fd, int to)
{
	char chunk[65536];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n > 0 && write(to, chunk, (size_t)n) == n)
		return;
	close(*fd);
	*fd = -1;
	if (out_fd < 0 && err_fd < 0 && run) {
		NEW(Drained, d, DRAINED)
		d.run = run;
		r.drained = &d;
		put(&r);
	}
}

/* Prints output and events until the zone or the exec ends; the exit status. */
static int watch(const char *exec_id)
{
	int code = 0;
	bool over = false;

	for (;;) {
		struct pollfd p[3] = { { over ? -1 : sock, POLLIN, 0 },
				       { out_fd, POLLIN, 0 },
				       { err_fd, POLLIN, 0 } };
		struct frame f = FRAME_INIT;
		Zone__Message *m;

		if (over && out_fd < 0 && err_fd < 0)
			return code;
		poll(p, 3, -1);
		if (out_fd >= 0 && p[1].revents)
			pump(&out_fd, 1);
		if (err_fd >= 0 && p[2].revents)
			pump(&err_fd, 2);
		if (!(p[0].revents & (POLLIN | POLLHUP)))
			continue;
		m = get(&f, 1000);
		switch (m->body_case) {
		case ZONE__MESSAGE__BODY_STARTED:
			if (!quiet)
				fprintf(stderr, "[started pid=%d after %.2f ms]\n", m->started->pid,
					(double)(mono_ns() - t0) / 1e6);
			break;
		case ZONE__MESSAGE__BODY_RESTARTED:
			fprintf(stderr, "[restarted run=%u count=%u]\n", m->restarted->run,
				m->restarted->restart_count);
			break;
		case ZONE__MESSAGE__BODY_EXEC_STARTED:
			if (!quiet)
				fprintf(stderr, "[exec started pid=%d after %.2f ms]\n",
					m->exec_started->pid, (double)(mono_ns() - t0) / 1e6);
			if (f.n_fds == 3)
				close(frame_take_fd(&f, 0));
			out_fd = frame_take_fd(&f, f.n_fds == 3 ? 1 : 0);
			err_fd = frame_take_fd(&f, f.n_fds == 3 ? 2 : 1);
			break;
		case ZONE__MESSAGE__BODY_EXEC_EXITED:
			if (exec_id && strcmp(m->exec_exited->id, exec_id) == 0) {
				code = m->exec_exited->exit_code;
				over = true;
			}
			if (!quiet)
				fprintf(stderr, "[exec exited %d after %.2f ms]\n",
					m->exec_exited->exit_code, (double)(mono_ns() - t0) / 1e6);
			break;
		case ZONE__MESSAGE__BODY_RUN:
			take_stdio(&f, m->run);
			break;
		case ZONE__MESSAGE__BODY_OOM:
			fprintf(stderr, "[oom]\n");
			break;
		case ZONE__MESSAGE__BODY_FAILURE:
			return failure(m->failure);
		case ZONE__MESSAGE__BODY_EXITED:
			print_exited(m->exited);
			if (!m->exited->will_restart && !exec_id) {
				code = m->exited->exit_code;
				over = true;
			}
			break;
		default:
			break;
		}
		zone__message__free_unpacked(m, NULL);
		frame_fini(&f);
	}
}

static void hello(void)
{
	struct frame f = FRAME_INIT;

	NEW(Hello, h, HELLO)
	h.events = true;
	r.hello = &h;
	put(&r);
	get(&f, 5000);
}

static int cmd_run(bool start)
{
	struct frame f = FRAME_INIT;
	Zone__Message *m;

	hello();
	{
		NEW(GetStdio, g, GET_STDIO)
		r.get_stdio = &g;
		put(&r);
	}
	m = get(&f, 5000);
	if (m->body_case != ZONE__MESSAGE__BODY_STDIO)
		die("GetStdio", "failed");
	take_stdio(&f, m->stdio);
	if (start) {
		NEW(Start, s, START)
		r.start = &s;
		t0 = mono_ns();
		put(&r);
	}
	return watch(NULL);
}

static int cmd_exec(int argc, char **argv)
{
	static const char def[] =
		"CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FSETID,CAP_FOWNER,CAP_MKNOD,CAP_NET_RAW,"
		"CAP_SETGID,CAP_SETUID,CAP_SETFCAP,CAP_SETPCAP,CAP_NET_BIND_SERVICE,"
		"CAP_SYS_CHROOT,CAP_KILL,CAP_AUDIT_WRITE";
	const char *user = "", *cwd = "", *caps = def;
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	char id[65], **list = NULL;
	int o, i;

	NEW(Exec, x, EXEC)
	jw_obj(&w, NULL);
	jw_arr(&w, "env");
	while ((o = getopt(argc, argv, "+tdiqu:w:e:c:")) != -1) {
		switch (o) {
		case 't':
			x.tty = true;
			break;
		case 'd':
			x.detach = true;
			break;
		case 'i':
			x.attach_stdin = true;
			break;
		case 'q':
			quiet = true;
			break;
		case 'u':
			user = optarg;
			break;
		case 'w':
			cwd = optarg;
			break;
		case 'e':
			jw_str(&w, NULL, optarg);
			break;
		case 'c':
			caps = optarg;
			break;
		default:
			return 125;
		}
	}
	jw_end(&w);
	jw_arr(&w, "argv");
	for (i = optind; i < argc; i++)
		jw_str(&w, NULL, argv[i]);
	jw_end(&w);
	jw_arr(&w, "caps");
	list = strv_split(caps, ',');
	for (i = 0; list[i]; i++)
		jw_str(&w, NULL, list[i]);
	jw_end(&w);
	jw_str(&w, "user", user);
	jw_str(&w, "cwd", cwd);
	jw_bool(&w, "tty", x.tty);
	jw_end(&w);
	id_generate(id);
	x.id = id;
	x.rows = 31;
	x.cols = 97;
	x.spec_json.data = (uint8_t *)b.p;
	x.spec_json.len = b.len;
	hello();
	r.exec = &x;
	t0 = mono_ns();
	put(&r);
	return watch(id);
}

static int other(const char *cmd, int argc, char **argv)
{
	int a = argc > 0 ? (int)strtol(argv[0], NULL, 10) : 0;
	int b = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;

	if (str_eq(cmd, "state")) {
		NEW(Hello, h, HELLO)
		r.hello = &h;
		return simple(&r);
	} else if (str_eq(cmd, "start")) {
		NEW(Start, s, START)
		r.start = &s;
		return simple(&r);
	} else if (str_eq(cmd, "shutdown")) {
		NEW(Shutdown, s, SHUTDOWN)
		r.shutdown = &s;
		return simple(&r);
	} else if (str_eq(cmd, "kill")) {
		NEW(Signal, s, SIGNAL)
		s.signo = a;
		r.signal = &s;
		return simple(&r);
	} else if (str_eq(cmd, "freeze")) {
		NEW(Freeze, s, FREEZE)
		s.frozen = a;
		r.freeze = &s;
		return simple(&r);
	} else if (str_eq(cmd, "resize")) {
		NEW(Resize, s, RESIZE)
		s.rows = (uint32_t)a;
		s.cols = (uint32_t)b;
		r.resize = &s;
		return simple(&r);
	} else if (str_eq(cmd, "netns")) {
		NEW(GetNetns, s, GET_NETNS)
		r.get_netns = &s;
		return simple(&r);
	} else if (str_eq(cmd, "policy") && argc == 3) {
		NEW(SetPolicy, s, SET_POLICY)
		s.name = argv[0];
		s.max_retries = (uint32_t)b;
		s.stopped_by_user = str_eq(argv[2], "1");
		r.set_policy = &s;
		return simple(&r);
	} else if (str_eq(cmd, "meta") && argc) {
		NEW(Metadata, s, METADATA)
		s.key = argv[0];
		s.remove = argc < 2;
		s.value.data = (uint8_t *)(argc > 1 ? argv[1] : NULL);
		s.value.len = argc > 1 ? strlen(argv[1]) : 0;
		r.metadata = &s;
		return simple(&r);
	} else if (str_eq(cmd, "stdin") && argc) {
		NEW(GetStdin, s, GET_STDIN)
		int rc;

		r.get_stdin = &s;
		if ((rc = simple(&r)))
			return rc;
		return write(out_fd, argv[0], strlen(argv[0])) < 0;
	} else if (str_eq(cmd, "closestdin")) {
		NEW(CloseStdin, s, CLOSE_STDIN)
		r.close_stdin = &s;
		return simple(&r);
	}
	fprintf(stderr, "zonectl: what is %s?\n", cmd);
	return 125;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };

	if (argc < 3)
		die("usage", "zonectl SOCK command ...");
	sock = frame_connect(argv[1], 5000, &err);
	if (sock < 0)
		die("connect", err.msg);
	quiet = argc > 3 && str_eq(argv[3], "-q");
	if (str_eq(argv[2], "run") || str_eq(argv[2], "watch"))
		return cmd_run(str_eq(argv[2], "run"));
	if (str_eq(argv[2], "exec"))
		return cmd_exec(argc - 2, argv + 2);
	return other(argv[2], argc - 3, argv + 3);
}
