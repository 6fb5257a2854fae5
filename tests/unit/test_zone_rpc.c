/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* Calls to zoneadmd and logsvc, against servers that answer, refuse, talk nonsense, or die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/engine_init.h"
#include "apiserver/logclient.h"
#include "apiserver/stdio_relay.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "frame.h"
#include "fs.h"
#include "logsvc.pb-c.h"
#include "str.h"
#include "zone.pb-c.h"

#define UUID "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

static char root[] = "/tmp/sdc-rpc-XXXXXX";

/* ---- a server for some connections ------------------------------------------------------------
 */

typedef void serve_fn(int fd, struct frame *f); /* one request */

struct server {
	pthread_t thread;
	int listen_fd, n_conns;
	serve_fn *serve;
};

static void *server_run(void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < s->n_conns; i++) {
		struct pollfd pfd = { .fd = s->listen_fd, .events = POLLIN };
		int fd;

		if (poll(&pfd, 1, 10000) != 1 || (fd = frame_accept(s->listen_fd)) < 0)
			break;
		for (;;) {
			struct frame f = FRAME_INIT;

			if (frame_recv(fd, &f, 10000) != 1) {
				frame_fini(&f);
				break;
			}
			s->serve(fd, &f);
			frame_fini(&f);
		}
		close(fd);
	}
	close(s->listen_fd);
	return NULL;
}

static void server_start(struct server *s, const char *path, int n_conns, serve_fn *serve)
{
	struct err err = { 0 };

	s->serve = serve;
	s->n_conns = n_conns;
	s->listen_fd = frame_listen(path, 0600, &err);
	if (s->listen_fd < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

static void server_join(struct server *s)
{
	pthread_join(s->thread, NULL);
}

static const char *zone_sock(void)
{
	static char path[1024];

	return paths_zone_run(&engine->paths, UUID, "zoneadmd.sock", path);
}

/* ---- zoneadmd ----------------------------------------------------------------------------------
 */

static void send_msg(int fd, Zone__Message *m, const int *fds, size_t n)
{
	uint8_t b[4096];
	size_t len = zone__message__pack(m, b);

	assert_int_equal(frame_send(fd, b, len, fds, n, 1000), 0);
}

static void send_exited(int fd)
{
	Zone__Message m = ZONE__MESSAGE__INIT;
	Zone__Exited e = ZONE__EXITED__INIT;

	e.exit_code = 7;
	e.run = 1;
	m.body_case = ZONE__MESSAGE__BODY_EXITED;
	m.exited = &e;
	send_msg(fd, &m, NULL, 0);
}

/* Answers as a zone would; what a request is refused with depends on what it is. */
static void zone_serve(int fd, struct frame *f)
{
	Zone__Request *r = zone__request__unpack(NULL, f->data.len, (const uint8_t *)f->data.p);
	Zone__Message m = ZONE__MESSAGE__INIT;
	Zone__State st = ZONE__STATE__INIT;
	Zone__Started started = ZONE__STARTED__INIT;
	Zone__Failure fail = ZONE__FAILURE__INIT;
	Zone__Ok ok = ZONE__OK__INIT;
	Zone__ExecStarted es = ZONE__EXEC_STARTED__INIT;
	int fds[3];
	size_t n = 0;

	m.seq = r->seq;
	m.body_case = ZONE__MESSAGE__BODY_OK;
	m.ok = &ok;
	switch (r->op_case) {
	case ZONE__REQUEST__OP_HELLO:
		st.status = ZONE__STATUS__RUNNING;
		st.pid = 42;
		st.run = 3;
		m.body_case = ZONE__MESSAGE__BODY_STATE;
		m.state = &st;
		break;
	case ZONE__REQUEST__OP_START:
		send_exited(fd); /* an event that comes before the reply is kept */
		started.pid = 43;
		started.run = 1;
		m.body_case = ZONE__MESSAGE__BODY_STARTED;
		m.started = &started;
		break;
	case ZONE__REQUEST__OP_SIGNAL:
		fail.kind = ERR_CONFLICT;
		fail.text = (char *)"no process";
		m.body_case = ZONE__MESSAGE__BODY_FAILURE;
		m.failure = &fail;
		break;
	case ZONE__REQUEST__OP_EXEC:
		if (r->exec->spec_json.len == 2) {
			fail.kind = ERR_BAD_PARAM;
			fail.exit_code = 127;
			fail.text = (char *)"exec: \"x\": executable file not found in $PATH";
			m.body_case = ZONE__MESSAGE__BODY_FAILURE;
			m.failure = &fail;
			break;
		}
		es.pid = 44;
		m.body_case = ZONE__MESSAGE__BODY_EXEC_STARTED;
		m.exec_started = &es;
		for (n = 0; n < (r->exec->tty ? 1U : r->exec->attach_stdin ? 3U : 2U); n++)
			fds[n] = open("/dev/null", O_RDWR | O_CLOEXEC);
		break;
	case ZONE__REQUEST__OP_RESIZE:
		frame_send(fd, "\xff\xff\xff", 3, NULL, 0, 1000);
		zone__request__free_unpacked(r, NULL);
		return;
	case ZONE__REQUEST__OP_SHUTDOWN:
		shutdown(fd, SHUT_RDWR);
		zone__request__free_unpacked(r, NULL);
		return;
	default:
		break;
	}
	send_msg(fd, &m, fds, n);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	zone__request__free_unpacked(r, NULL);
}

static void test_zone_calls(void **state)
{
	struct zone_exec_fds fds = { -1, -1, -1, 0 };
	struct zone_conn *c = NULL;
	struct zone_started st = { 0 };
	struct zone_state zs;
	struct err err = { 0 };
	struct server s;
	int code;

	(void)state;
	assert_int_equal(zone_signal(UUID, 15, &err), ZONE_GONE); /* nobody there */
	assert_int_equal(err.kind, ERR_UNAVAILABLE);
	server_start(&s, zone_sock(), 8, zone_serve);

	assert_int_equal(zone_connect(UUID, true, &zs, &c, &err), 0);
	assert_int_equal(zs.status, ZS_RUNNING);
	assert_int_equal(zs.pid, 42);
	assert_int_equal(c->pid, getpid());
	assert_int_equal(zone_conn_start(c, &st, &code, &err), 0);
	assert_int_equal(st.pid, 43);
	assert_non_null(c->events);
	assert_int_equal(c->events->msg->exited->exit_code, 7);
	assert_null(c->events->next);
	zone_conn_close(c);

	assert_true(zone_signal(UUID, 15, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_string_equal(err.msg, "no process");
	assert_int_equal(zone_close_stdin(UUID, &err), 0);

	assert_int_equal(zone_exec(UUID, "e", "{...}", false, true, false, 0, 0, &fds, &code, &err),
			 0);
	assert_true(fds.in >= 0 && fds.out >= 0 && fds.err >= 0 && fds.pid == 44);
	close(fds.in);
	close(fds.out);
	close(fds.err);
	assert_int_equal(zone_exec(UUID, "e", "{...}", true, true, false, 0, 0, &fds, &code, &err),
			 0);
	assert_true(fds.in >= 0 && fds.out >= 0 && fds.err < 0);
	close(fds.in);
	close(fds.out);
	assert_true(zone_exec(UUID, "e", "{}", false, false, false, 0, 0, &fds, &code, &err) < 0);
	assert_int_equal(code, 127);
	assert_int_equal(err.kind, ERR_BAD_PARAM);

	assert_true(zone_resize(UUID, "", 1, 1, &err) < 0); /* nonsense */
	assert_non_null(strstr(err.msg, "malformed"));
	assert_int_equal(zone_shutdown(UUID, &err), ZONE_GONE);
	server_join(&s);
}

static void test_spec_too_large(void **state)
{
	struct zone_exec_fds fds;
	struct err err = { 0 };
	struct server s;
	char *spec = xmalloc(FRAME_MAX + 1);
	int code;

	(void)state;
	memset(spec, ' ', FRAME_MAX);
	spec[FRAME_MAX] = '\0';
	server_start(&s, zone_sock(), 1, zone_serve);
	code = zone_exec(UUID, "e", spec, false, false, false, 0, 0, &fds, &code, &err);
	server_join(&s);
	free(spec);
	if (code < 0)
		assert_int_equal(err.kind, ERR_BAD_PARAM);
}

static void test_wait_end(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(zone_wait_end(-1, 0), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(zone_wait_end(p[0], 20), -ETIMEDOUT);
	close(p[1]);
	assert_int_equal(zone_wait_end(p[0], 1000), 0);
	close(p[0]);
}

/* ---- logsvc ------------------------------------------------------------------------------------
 */

static int log_turns;

/* The first two connections see it die after it has the request. */
static void log_serve(int fd, struct frame *f)
{
	Logsvc__Request *r = logsvc__request__unpack(NULL, f->data.len, (const uint8_t *)f->data.p);
	Logsvc__Reply reply = LOGSVC__REPLY__INIT;
	Logsvc__Ok ok = LOGSVC__OK__INIT;
	Logsvc__Failure fail = LOGSVC__FAILURE__INIT;
	uint8_t b[512];
	size_t len;

	if (++log_turns <= 2) {
		shutdown(fd, SHUT_RDWR);
		logsvc__request__free_unpacked(r, NULL);
		return;
	}
	reply.seq = r->seq;
	if (r->op_case == LOGSVC__REQUEST__OP_READ) {
		assert_int_equal(f->n_fds, 1);
		assert_int_equal(write(f->fds[0], "hello", 5), 5);
		reply.body_case = LOGSVC__REPLY__BODY_OK;
		reply.ok = &ok;
	} else {
		fail.kind = ERR_NOT_FOUND;
		fail.text = (char *)"no such zone";
		reply.body_case = LOGSVC__REPLY__BODY_FAILURE;
		reply.failure = &fail;
	}
	len = logsvc__reply__pack(&reply, b);
	frame_send(fd, b, len, NULL, 0, 1000);
	logsvc__request__free_unpacked(r, NULL);
}

static void test_log_retries(void **state)
{
	struct log_read_opts o = { .out = true, .tail = -1 };
	struct err err = { 0 };
	struct server s;
	char got[16] = "";
	int fd = -1;

	(void)state;
	server_start(&s, engine->paths.logsvc_sock, 4, log_serve);
	assert_int_equal(logclient_read(UUID, &o, &fd, &err), 0);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	assert_int_equal(read(fd, got, sizeof(got)), 0); /* nobody else holds the other end */
	close(fd);
	assert_true(logclient_open(UUID, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "no such zone");
	server_join(&s);
}

static int setup(void **state)
{
	struct engine *e = engine_mutable();
	struct err err = { 0 };
	char dir[1024];

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(paths_init(&e->paths, root, &err), 0);
	/* the stdio relay that an exec starts is this program, called as it */
	if (str_fmt(e->bin_dir, sizeof(e->bin_dir), "%s/bin", root) < 0 || mkdir(e->bin_dir, 0700) < 0 ||
	    str_fmt(dir, sizeof(dir), "%s/apiserver", e->bin_dir) < 0 || symlink("/proc/self/exe", dir) < 0)
		return -1;
	return fs_mkdir_p(paths_zone_run(&e->paths, UUID, "", dir), 0700, &err);
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	return fs_remove_tree(AT_FDCWD, root, &err);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone_calls),
		cmocka_unit_test(test_spec_too_large),
		cmocka_unit_test(test_wait_end),
		cmocka_unit_test(test_log_retries),
	};

	if (argc > 1 && strcmp(argv[1], RELAY_OPTION) == 0)
		return stdio_relay_main();
	return cmocka_run_group_tests(tests, setup, teardown);
}
