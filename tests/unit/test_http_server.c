/* SPDX-License-Identifier: MPL-2.0
 * links: apiserver
 *
 * test_http_server.c - the HTTP plumbing as clients see it: the loop runs in a thread with handlers
 * of our own in place of the streaming endpoints, each case is a blocking client.
 *
 *	GET  /containers/X/logs		reply_stream of a pipe that a thread fills: X bytes
 *	POST /containers/X/attach	reply_hijack: X = echo, pump the client's bytes back; out: late output
 *	POST /build			counts the body's bytes in a job
 *	POST /build/prune		answers with the length of the whole body
 */
/* links: apiserver */
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

/* ---- handlers ---------------------------------------------------------------------------------------- */

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

/* ---- the server's thread ------------------------------------------------------------------------------ */

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

static int setup(void **state)
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

static int teardown(void **state)
{
	(void)state;
	uv_async_send(&stop_async);
	pthread_join(loop_tid, NULL);
	rmdir(dir);
	return 0;
}

/* ---- a blocking client ---------------------------------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	str_copy(sa.sun_path, sizeof(sa.sun_path), sock_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static void say(int fd, const char *s)
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
static struct buf hear_all(int fd)
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
static struct buf hear_reply(int fd)
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

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

static const char *body_of(const struct buf *b)
{
	const char *p = strstr(buf_str(b), "\r\n\r\n");

	return p ? p + 4 : "";
}

static struct buf ask(const char *text)
{
	int fd = dial();
	struct buf b;

	say(fd, text);
	shutdown(fd, SHUT_WR);
	b = hear_all(fd);
	close(fd);
	return b;
}

#define H "Host: d\r\n"

/* ---- cases ------------------------------------------------------------------------------------------------ */

static void test_refusals(void **state)
{
	static const struct {
		const char *what, *text, *status, *in_body;
	} rows[] = {
		{ "garbage", "hello\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "blank before the colon", "GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "two framings",
		  "POST /auth HTTP/1.1\r\n" H "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "two lengths", "POST /auth HTTP/1.1\r\n" H "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
		  "HTTP/1.1 400 ", "" },
		{ "negative length", "POST /auth HTTP/1.1\r\n" H "Content-Length: -2\r\n\r\n", "HTTP/1.1 400 ",
		  "" },
		{ "unknown coding", "POST /auth HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "no host", "GET /_ping HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "two hosts", "GET /_ping HTTP/1.1\r\n" H H "\r\n", "HTTP/1.1 400 ", "" },
		{ "bare CR", "GET /_ping HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "control character", "GET /_ping HTTP/1.1\r\n" H "X: a\001b\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "folded line", "GET /_ping HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "HTTP/2", "GET /_ping HTTP/2.0\r\n" H "\r\n", "HTTP/1.1 505 ", "" },
		{ "bad escape", "GET /con%2 HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ", "" },
		{ "NUL in the path", "GET /con%00 HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ", "" },
		{ "unknown path", "GET /nothing HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 404 ",
		  "{\"message\":\"page not found\"}\n" },
		{ "wrong method", "DELETE /_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 404 ", "page not found" },
		{ "too old", "GET /v1.12/_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ",
		  "{\"message\":\"client version 1.12 is too old. Minimum supported API version is 1.24, please "
		  "upgrade your client to a newer version\"}\n" },
		{ "too new", "GET /v9.99/_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ",
		  "client version 9.99 is too new. Maximum supported API version is 1.51" },
		{ "not newer by its digits", "GET /v1.151/_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ",
		  "too new" },
		{ "swarm", "GET /nodes HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 503 ", "This node is not a swarm manager" },
		{ "body cut off", "POST /build/prune HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc",
		  "HTTP/1.1 400 ", "unexpected EOF" },
		{ "bad chunk", "POST /build/prune HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		  "HTTP/1.1 400 ", "malformed request body" },
		{ "chunk size overflow",
		  "POST /build/prune HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
		  "HTTP/1.1 400 ", "malformed request body" },
		{ "body too large", "POST /build/prune HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n",
		  "HTTP/1.1 400 ", "request body too large" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = ask(rows[i].text);

		if (!str_starts(buf_str(&b), rows[i].status) || !strstr(buf_str(&b), rows[i].in_body))
			fail_msg("%s: %.300s", rows[i].what, buf_str(&b));
		buf_fini(&b);
	}
}

static void test_long_heads(void **state)
{
	struct buf q = BUF_INIT, b;

	(void)state;
	buf_addstr(&q, "GET /_ping?");
	for (int i = 0; i < 60000; i++)
		buf_addch(&q, 'a');
	buf_addstr(&q, " HTTP/1.1\r\n" H "\r\n");
	b = ask(q.p);
	assert_true(str_starts(b.p, "HTTP/1.1 414 "));
	buf_fini(&b);
	buf_reset(&q);
	buf_addstr(&q, "GET /_ping HTTP/1.1\r\n" H);
	for (int i = 0; i < 150; i++)
		buf_printf(&q, "X-%d: a\r\n", i);
	buf_addstr(&q, "\r\n");
	b = ask(q.p);
	assert_true(str_starts(b.p, "HTTP/1.1 431 "));
	buf_fini(&b);
	buf_fini(&q);
}

static void test_pipelining(void **state)
{
	struct buf q = BUF_INIT, b;

	(void)state;
	for (int i = 0; i < 2000; i++)
		buf_addstr(&q, i % 3 ? "GET /_ping HTTP/1.1\r\n" H "\r\n" :
				       "POST /build/prune HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
	buf_addstr(&q, "GET /nothing HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /_ping HTTP/1.1\r\n\r\n");
	b = ask(q.p);
	assert_int_equal(count(b.p, "HTTP/1.1 200 OK"), 2000);
	assert_int_equal(count(b.p, "HTTP/1.1 404 "), 1);
	assert_true(str_ends(b.p, "page not found\"}\n"));
	buf_fini(&b);
	buf_fini(&q);
}

static void test_bytewise(void **state)
{
	static const char text[] = "POST /build/prune HTTP/1.1\r\n" H
				   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n"
				   "Trailer: x\r\n\r\nGET /_ping HTTP/1.1\r\n" H "\r\n";
	int fd = dial();
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(write(fd, text + i, 1), 1);
		usleep(100);
	}
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "13");
	buf_fini(&b);
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "OK");
	buf_fini(&b);
	close(fd);
}

static void test_http10_head_and_continue(void **state)
{
	struct buf b = ask("GET /_ping HTTP/1.0\r\n\r\n");
	int fd;

	(void)state;
	assert_non_null(strstr(b.p, "Connection: close\r\n"));
	assert_string_equal(body_of(&b), "OK");
	buf_fini(&b);
	b = ask("HEAD /_ping HTTP/1.1\r\n" H "\r\n");
	assert_non_null(strstr(b.p, "Content-Length: 2\r\n"));
	assert_string_equal(body_of(&b), "");
	buf_fini(&b);
	b = ask("GET /containers/1000/logs HTTP/1.0\r\n\r\n");
	assert_null(strstr(b.p, "chunked"));
	assert_int_equal(strlen(body_of(&b)), 1000);
	buf_fini(&b);
	fd = dial();
	say(fd, "POST /build/prune HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	b = hear_reply(fd);
	assert_string_equal(b.p, "HTTP/1.1 100 Continue\r\n\r\n");
	buf_fini(&b);
	say(fd, "abcd");
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "4");
	buf_fini(&b);
	close(fd);
}

/* The number of payload bytes of a chunked body; -1 without the last chunk. */
static int64_t chunked_length(const char *p, const char *end)
{
	int64_t total = 0;

	for (;;) {
		char *after;
		long n = strtol(p, &after, 16);

		if (after == p || end - after < 2 || memcmp(after, "\r\n", 2) != 0)
			return -1;
		if (n == 0)
			return total;
		p = after + 2 + n + 2;
		if (p > end)
			return -1;
		total += n;
	}
}

static void test_streams(void **state)
{
	static const struct {
		const char *path;
		int64_t want; /* -1: not whole */
	} rows[] = {
		{ "/containers/0/logs", 0 },	     { "/containers/1/logs", 1 },
		{ "/containers/50000000/logs", 50000000 }, { "/containers/f0/logs", 0 },
		{ "/containers/f20000001/logs", 20000001 }, { "/containers/a1000/logs", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[200];
		struct buf b;

		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" H "\r\n", rows[i].path);
		b = ask(text);
		if (chunked_length(body_of(&b), b.p + b.len) != rows[i].want)
			fail_msg("%s: wrong length", rows[i].path);
		buf_fini(&b);
	}
}

static void test_keep_alive_after_stream(void **state)
{
	struct buf b = ask("GET /containers/100000/logs?length=1 HTTP/1.1\r\n" H "\r\n"
			   "GET /containers/f300000/logs?length=1 HTTP/1.1\r\n" H "\r\n"
			   "GET /_ping HTTP/1.1\r\n" H "\r\n");

	(void)state;
	assert_int_equal(count(b.p, "HTTP/1.1 200 OK"), 2); /* the file's zeros end the text */
	assert_memory_equal(b.p + b.len - 2, "OK", 2);
	buf_fini(&b);
}

static void test_body_streams(void **state)
{
	static char block[100000];
	int fd = dial();
	struct buf b;

	(void)state;
	memset(block, 'b', sizeof(block));
	say(fd, "POST /build?slow=1 HTTP/1.1\r\n" H "Content-Length: 30000000\r\n\r\n");
	for (int i = 0; i < 300; i++)
		assert_int_equal(send(fd, block, sizeof(block), 0), sizeof(block));
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "30000000");
	buf_fini(&b);
	say(fd, "POST /build HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		say(fd, "186a0\r\n");
		assert_int_equal(send(fd, block, sizeof(block), 0), sizeof(block));
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\nGET /_ping HTTP/1.1\r\n" H "\r\n");
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "2000000");
	buf_fini(&b);
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "OK");
	buf_fini(&b);
	/* refused before it is read: a small body is skipped, a large one ends the connection */
	say(fd, "POST /build?refuse=1 HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET /_ping HTTP/1.1\r\n" H
		"\r\n");
	b = hear_reply(fd);
	assert_true(str_starts(b.p, "HTTP/1.1 400 "));
	buf_fini(&b);
	b = hear_reply(fd);
	assert_string_equal(body_of(&b), "OK");
	buf_fini(&b);
	say(fd, "POST /build?refuse=1 HTTP/1.1\r\n" H "Content-Length: 3000000\r\n\r\n");
	assert_int_equal(send(fd, block, sizeof(block), 0), sizeof(block));
	b = hear_all(fd);
	assert_non_null(strstr(b.p, "Connection: close"));
	buf_fini(&b);
	close(fd);
}

static void wait_for(atomic_int *v, int want)
{
	for (int i = 0; i < 500 && *v < want; i++)
		usleep(10000);
	assert_int_equal(*v, want);
}

static void test_gone(void **state)
{
	int fd = dial();
	char c[10];

	(void)state;
	/* in the middle of a body */
	n_gone = 0;
	say(fd, "POST /build HTTP/1.1\r\n" H "Content-Length: 30000000\r\n\r\nabc");
	close(fd);
	wait_for(&n_gone, 1);
	/* in the middle of a stream */
	n_gone = n_end = 0;
	fd = dial();
	say(fd, "GET /containers/500000000/logs HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(read(fd, c, 10), 10);
	close(fd);
	wait_for(&n_end, 1);
	assert_int_equal(n_gone, 1);
}

static void test_hijack_heads(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "POST /v1.41/containers/message/attach?mux=1 HTTP/1.1\r\n" H
		  "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		  "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
		  "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" },
		{ "POST /v1.42/containers/message/attach?mux=1 HTTP/1.1\r\n" H
		  "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}",
		  "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
		  "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" },
		{ "POST /v1.42/containers/message/attach?mux=1 HTTP/1.1\r\n" H "\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = ask(rows[i].text);
		size_t n = strlen(rows[i].want);

		assert_memory_equal(b.p, rows[i].want, n);
		assert_int_equal(b.len - n, 8 + 15);
		assert_memory_equal(b.p + n, "\1\0\0\0\0\0\0\17no such thing\r\n", 8 + 15);
		buf_fini(&b);
	}
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

static void test_hijack_echo(void **state)
{
	int fd = dial();
	struct buf b = BUF_INIT;
	static char block[65536];
	size_t sent = 0, want = 20000000;

	(void)state;
	n_end = n_gone = n_in_eof = 0;
	/* early data belongs to the stream */
	say(fd, "POST /containers/echo/attach HTTP/1.1\r\n" H UPGRADE "early");
	memset(block, 'e', sizeof(block));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = (short)(POLLIN | (sent < want ? POLLOUT : 0)) };
		char tmp[65536];
		ssize_t n;

		assert_true(poll(&pfd, 1, 10000) > 0);
		if (pfd.revents & POLLOUT) {
			n = write(fd, block, want - sent < sizeof(block) ? want - sent : sizeof(block));
			if (n > 0)
				sent += (size_t)n;
			if (sent == want)
				shutdown(fd, SHUT_WR);
		}
		if (pfd.revents & (POLLIN | POLLHUP)) {
			n = read(fd, tmp, sizeof(tmp));
			if (n == 0)
				break;
			if (n > 0)
				buf_add(&b, tmp, (size_t)n);
		}
	}
	assert_int_equal(strlen(body_of(&b)), want + 5);
	assert_true(str_starts(body_of(&b), "earlyeee"));
	wait_for(&n_end, 1);
	assert_int_equal(n_in_eof, 1);
	assert_int_equal(n_gone, 0);
	close(fd);
	buf_fini(&b);
}

static void test_hijack_late_output(void **state)
{
	struct buf b;
	const char *p, *end;
	size_t n_out = 0, n_err = 0;

	(void)state;
	n_end = n_gone = n_in_eof = 0;
	/* the client's stdin is at its end at once; all of the output comes */
	b = ask("POST /containers/late/attach?mux=1 HTTP/1.1\r\n" H UPGRADE);
	p = body_of(&b);
	end = b.p + b.len;
	while (end - p >= 8) {
		size_t n = (size_t)(uint8_t)p[4] << 24 | (size_t)(uint8_t)p[5] << 16 |
			   (size_t)(uint8_t)p[6] << 8 | (uint8_t)p[7];

		if (p[0] == 1)
			n_out += n;
		else
			n_err += n;
		p += 8 + n;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(n_out, 100000);
	assert_int_equal(n_err, 50000);
	wait_for(&n_end, 1);
	assert_int_equal(n_in_eof, 1);
	buf_fini(&b);
}

static void test_hijack_detach(void **state)
{
	int fd = dial();
	struct buf b;
	char tmp[400] = { 0 };

	(void)state;
	n_end = n_detached = 0;
	say(fd, "POST /containers/echo/attach?detach=1&tty=1 HTTP/1.1\r\n" H UPGRADE "a\020b\020\020c");
	usleep(100000);
	assert_true(read(fd, tmp, sizeof(tmp) - 1) > 0);
	assert_true(str_ends(tmp, "\r\n\r\na\020b\020\020c"));
	say(fd, "x\020");
	usleep(50000);
	say(fd, "\021never");
	b = hear_all(fd);
	assert_string_equal(buf_str(&b), "x");
	wait_for(&n_detached, 1);
	assert_int_equal(n_end, 0);
	close(fd);
	buf_fini(&b);
}

static void test_hijack_gone(void **state)
{
	int fd = dial();
	char tmp[300];

	(void)state;
	n_end = n_gone = 0;
	say(fd, "POST /containers/echo/attach HTTP/1.1\r\n" H UPGRADE);
	assert_true(read(fd, tmp, sizeof(tmp)) > 0);
	close(fd);
	wait_for(&n_end, 1);
	assert_int_equal(n_gone, 1);
	/* only stdin, and nobody reads it: ends by itself */
	fd = dial();
	n_end = 0;
	say(fd, "POST /containers/inonly/attach HTTP/1.1\r\n" H UPGRADE);
	while (read(fd, tmp, sizeof(tmp)) > 0)
		;
	wait_for(&n_end, 1);
	close(fd);
}

static void ws_send(int fd, uint8_t b0, const char *p, size_t len)
{
	uint8_t f[300];
	size_t n = 0;

	f[n++] = b0;
	if (len < 126) {
		f[n++] = (uint8_t)(0x80 | len);
	} else {
		f[n++] = 0x80 | 126;
		f[n++] = (uint8_t)(len >> 8);
		f[n++] = (uint8_t)len;
	}
	memcpy(f + n, "\1\2\3\4", 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		f[n++] = (uint8_t)p[i] ^ (uint8_t)(i % 4 + 1);
	assert_int_equal(write(fd, f, n), (ssize_t)n);
}

static void test_websocket(void **state)
{
	int fd = dial();
	uint8_t got[64];
	struct buf b;

	(void)state;
	n_end = 0;
	say(fd, "GET /containers/echo/attach/ws?mux=1 HTTP/1.1\r\n" H
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	b = hear_reply(fd);
	assert_true(str_starts(b.p, "HTTP/1.1 101 "));
	assert_non_null(strstr(b.p, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	buf_fini(&b);
	/* a fragmented message with a ping inside */
	ws_send(fd, 0x02, "hel", 3);
	assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 5);
	assert_memory_equal(got, "\x82\x03hel", 5);
	ws_send(fd, 0x89, "pp", 2);
	assert_int_equal(recv(fd, got, 4, MSG_WAITALL), 4);
	assert_memory_equal(got, "\x8a\x02pp", 4);
	ws_send(fd, 0x80, "lo", 2);
	assert_int_equal(recv(fd, got, 4, MSG_WAITALL), 4);
	assert_memory_equal(got, "\x82\x02lo", 4);
	ws_send(fd, 0x88, "\x03\xe8", 2);
	assert_int_equal(recv(fd, got, 4, MSG_WAITALL), 4);
	assert_memory_equal(got, "\x88\x02\x03\xe8", 4);
	assert_int_equal(read(fd, got, 1), 0);
	wait_for(&n_end, 1);
	close(fd);
	b = ask("GET /containers/echo/attach/ws HTTP/1.1\r\n" H
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n");
	assert_true(str_starts(b.p, "HTTP/1.1 400 "));
	buf_fini(&b);
}

static void test_events(void **state)
{
	int fd = dial();
	struct buf b;
	char tmp[4096];
	ssize_t n;

	(void)state;
	say(fd, "GET /events?since=100&until=200 HTTP/1.1\r\n" H "\r\n");
	n = read(fd, tmp, sizeof(tmp) - 1);
	assert_true(n > 0);
	b = ask("GET /events?since=x HTTP/1.1\r\n" H "\r\n");
	assert_true(str_starts(b.p, "HTTP/1.1 400 "));
	buf_fini(&b);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_long_heads),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_bytewise),
		cmocka_unit_test(test_http10_head_and_continue),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_keep_alive_after_stream),
		cmocka_unit_test(test_body_streams),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_hijack_heads),
		cmocka_unit_test(test_hijack_echo),
		cmocka_unit_test(test_hijack_late_output),
		cmocka_unit_test(test_hijack_detach),
		cmocka_unit_test(test_hijack_gone),
		cmocka_unit_test(test_websocket),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
