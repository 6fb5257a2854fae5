/* SPDX-License-Identifier: MPL-2.0
 *
 * http_server.h - for test_http_server.c and test_hijack.c: the HTTP plumbing in a thread of its
 * own, with handlers of ours in place of the streaming endpoints, and a blocking client.
 *
 *	GET  /containers/X/logs		reply_stream of X bytes from a pipe; fX: from a file;
 *					aX: aborted
 *	POST /containers/X/attach	reply_hijack: echo, late (output after a while), message,
 *					inonly
 *	POST /build			counts the body's bytes in a job; ?refuse, ?slow
 *	POST /build/prune		answers with the length of the whole body
 */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/client.h"
#include "apiserver/job.h"
#include "apiserver/listen.h"
#include "apiserver/reply.h"
#include "apiserver/route.h"
#include "apiserver/websocket.h"
#include "cleanup.h"
#include "str.h"

static char dir[] = "/tmp/test-http-XXXXXX";
static char sock_path[64];
static pthread_t loop_tid;
static uv_async_t stop_async;
static atomic_int n_gone, n_end, n_detached, n_in_eof;

/* ---- handlers
 * ---------------------------------------------------------------------------------------- */

struct filler {
	int fd;
	size_t len;
	unsigned delay_ms;
	bool pattern;
};

static void *fill(void *arg)
{
	struct filler *f = arg;
	char block[65536];
	size_t off = 0;

	if (f->delay_ms)
		usleep(f->delay_ms * 1000);
	memset(block, 'x', sizeof(block));
	while (off < f->len) {
		size_t n = f->len - off < sizeof(block) ? f->len - off : sizeof(block);
		ssize_t rc = write(f->fd, block, n);

		if (rc < 0)
			break;
		off += (size_t)rc;
	}
	close(f->fd);
	free(f);
	return NULL;
}

static int pipe_of(size_t len, unsigned delay_ms)
{
	struct filler *f = xcalloc(1, sizeof(*f));
	pthread_t tid;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 1024 * 1024);
	f->fd = fds[1];
	f->len = len;
	f->delay_ms = delay_ms;
	pthread_create(&tid, NULL, fill, f);
	pthread_detach(tid);
	return fds[0];
}

static void on_end(void *arg, bool client_gone)
{
	(void)arg;
	n_end++;
	if (client_gone)
		n_gone++;
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static int file_of(size_t len)
{
	char path[] = "/tmp/test-http-file-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

void handle_container_logs(struct req *r)
{
	const char *what = req_var(r, "name");
	struct stream_opts so = { .content_type = "application/octet-stream",
				  .content_length = -1,
				  .on_end = on_end };
	int64_t n = 0;

	parse_i64(what[0] == 'f' || what[0] == 'a' ? what + 1 : what, 0, INT64_MAX, &n);
	if (what[0] == 'a')
		so.aborted = always;
	if (req_query_bool(r, "length", false))
		so.content_length = n;
	reply_stream(req_id(r), what[0] == 'f' ? file_of((size_t)n) : pipe_of((size_t)n, 0), &so);
}

static void on_in_eof(void *arg)
{
	(void)arg;
	n_in_eof++;
}

static void on_detach(void *arg)
{
	(void)arg;
	n_detached++;
}

void handle_container_attach(struct req *r)
{
	struct hijack_opts ho = { .in_fd = -1,
				  .out = { -1, -1 },
				  .on_end = on_end,
				  .on_in_eof = on_in_eof,
				  .on_detach = on_detach,
				  .tty = req_query_bool(r, "tty", false) };
	const char *what = req_var(r, "name");
	int fds[2];

	if (str_eq(what, "echo")) {
		/* what the client sends comes back as standard output */
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		ho.in_fd = fds[1];
		ho.out[0] = fds[0];
	} else if (str_eq(what, "late")) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		ho.in_fd = fds[1];
		ho.out[0] = pipe_of(100000, 200);
		ho.out[1] = pipe_of(50000, 300);
	} else if (str_eq(what, "message")) {
		reply_hijack_message(req_id(r), &ho, 1, "no such thing\r\n");
		return;
	} else if (str_eq(what, "inonly")) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		ho.in_fd = fds[1];
	}
	if (req_query(r, "mux")) {
		ho.mux[0] = 1;
		ho.mux[1] = 2;
	}
	if (req_query(r, "detach")) {
		ho.detach[0] = 16;
		ho.detach[1] = 17;
		ho.n_detach = 2;
	}
	reply_hijack(req_id(r), &ho);
}

void handle_container_attach_ws(struct req *r)
{
	handle_container_attach(r);
}

struct count_job {
	struct job job;
	uint64_t req;
	struct body_stream *bs;
	int64_t total;
	bool slow;
};

static int count_run(struct job *job, struct err *err)
{
	struct count_job *cj = container_of(job, struct count_job, job);
	char buf[65536];
	ssize_t n;

	while ((n = body_read(cj->bs, buf, sizeof(buf))) > 0) {
		cj->total += n;
		if (cj->slow)
			usleep(1000);
	}
	body_close(cj->bs);
	return n < 0 ? err_sysnum(err, (int)n, "read the body") : 0;
}

static void count_done(struct job *job)
{
	struct count_job *cj = container_of(job, struct count_job, job);
	char text[64];

	if (job->rc == -ECONNRESET)
		n_gone++;
	snprintf(text, sizeof(text), "%lld", (long long)cj->total);
	if (job->rc < 0)
		reply_error(cj->req, &job->err);
	else
		reply_text(cj->req, 200, "text/plain", text);
	free(cj);
}

void handle_build(struct req *r)
{
	struct count_job *cj;

	if (req_query(r, "refuse")) {
		reply_error_status(req_id(r), 400, "refused");
		return;
	}
	cj = xcalloc(1, sizeof(*cj));
	cj->job.run = count_run;
	cj->job.done = count_done;
	cj->job.what = "count";
	cj->req = req_id(r);
	cj->bs = req_body_stream(r);
	cj->slow = req_query(r, "slow") != NULL;
	job_submit(LANE_TRANSFER, &cj->job);
}

void handle_build_prune(struct req *r)
{
	char text[64];

	snprintf(text, sizeof(text), "%zu", req_body(r)->len);
	reply_text(req_id(r), 200, "text/plain", text);
}

/* The file that these handlers stand in for has two more: no test asks for them, and the linker must not take that file. */
void handle_build_cancel(struct req *r)
{
	reply_error_status(req_id(r), 404, "no build here");
}

void handle_buildkit(struct req *r)
{
	reply_error_status(req_id(r), 404, "no build here");
}

/* ---- the server's thread
 * ------------------------------------------------------------------------------ */

static void on_stop(uv_async_t *handle)
{
	uv_stop(handle->loop);
}

static pthread_barrier_t started;

static void *serve(void *arg)
{
	struct err err = { 0 };
	char host[80];

	(void)arg;
	job_init();
	clients_init();
	route_init();
	snprintf(host, sizeof(host), "unix://%s", sock_path);
	if (listen_open(host, NULL, false, &err) < 0)
		abort();
	uv_async_init(uv_default_loop(), &stop_async, on_stop);
	pthread_barrier_wait(&started);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	listen_close_all();
	clients_fini();
	job_shutdown();
	uv_close((uv_handle_t *)&stop_async, NULL);
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	return NULL;
}

__attribute__((unused)) static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	snprintf(sock_path, sizeof(sock_path), "%s/s", dir);
	pthread_barrier_init(&started, NULL, 2);
	pthread_create(&loop_tid, NULL, serve, NULL);
	pthread_barrier_wait(&started);
	return 0;
}

__attribute__((unused)) static int teardown(void **state)
{
	(void)state;
	uv_async_send(&stop_async);
	pthread_join(loop_tid, NULL);
	rmdir(dir);
	return 0;
}

/* ---- a blocking client
 * ---------------------------------------------------------------------------------- */

__attribute__((unused)) static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	str_copy(sa.sun_path, sizeof(sa.sun_path), sock_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

__attribute__((unused)) static void say(int fd, const char *s)
{
	size_t len = strlen(s);

	while (len > 0) {
		ssize_t n = write(fd, s, len);

		assert_true(n > 0);
		s += n;
		len -= (size_t)n;
	}
}

/* Everything until the server's close. */
__attribute__((unused)) static struct buf hear_all(int fd)
{
	struct buf b = BUF_INIT;
	char tmp[65536];
	ssize_t n;

	while ((n = read(fd, tmp, sizeof(tmp))) > 0)
		buf_add(&b, tmp, (size_t)n);
	assert_int_equal(n, 0);
	return b;
}

/* One reply with a Content-Length or without a body. */
__attribute__((unused)) static struct buf hear_reply(int fd)
{
	struct buf b = BUF_INIT;
	size_t want = SIZE_MAX;
	char c;

	while (b.len < want) {
		const char *cl;

		assert_int_equal(read(fd, &c, 1), 1);
		buf_addch(&b, c);
		if (want == SIZE_MAX && str_ends(b.p, "\r\n\r\n")) {
			cl = strstr(b.p, "Content-Length: ");
			want = b.len + (cl ? strtoul(cl + 16, NULL, 10) : 0);
		}
	}
	return b;
}

__attribute__((unused)) static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

__attribute__((unused)) static const char *body_of(const struct buf *b)
{
	const char *p = strstr(buf_str(b), "\r\n\r\n");

	return p ? p + 4 : "";
}

__attribute__((unused)) static struct buf ask(const char *text)
{
	int fd = dial();
	struct buf b;

	say(fd, text);
	shutdown(fd, SHUT_WR);
	b = hear_all(fd);
	close(fd);
	return b;
}

__attribute__((unused)) static void wait_for(atomic_int *v, int want)
{
	for (int i = 0; i < 500 && *v < want; i++)
		usleep(10000);
	assert_int_equal(*v, want);
}

#define H "Host: d\r\n"

#define H "Host: d\r\n"

#endif
