/* SPDX-License-Identifier: MPL-2.0
 *
 * test_http_server.c - requests, replies, bodies and streams over real connections.
 */
/* links: apiserver */
#include "http_server.h"

#include <semaphore.h>

#include "apiserver/events.h"

/* ---- cases
 * ------------------------------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
	static const struct {
		const char *what, *text, *status, *in_body;
	} rows[] = {
		{ "garbage", "hello\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "blank before the colon", "GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "two framings",
		  "POST /auth HTTP/1.1\r\n" H
		  "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "two lengths",
		  "POST /auth HTTP/1.1\r\n" H "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
		  "HTTP/1.1 400 ", "" },
		{ "negative length", "POST /auth HTTP/1.1\r\n" H "Content-Length: -2\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "unknown coding", "POST /auth HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "no host", "GET /_ping HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "two hosts", "GET /_ping HTTP/1.1\r\n" H H "\r\n", "HTTP/1.1 400 ", "" },
		{ "bare CR", "GET /_ping HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "HTTP/1.1 400 ", "" },
		{ "control character", "GET /_ping HTTP/1.1\r\n" H "X: a\001b\r\n\r\n",
		  "HTTP/1.1 400 ", "" },
		{ "folded line", "GET /_ping HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "HTTP/1.1 400 ",
		  "" },
		{ "HTTP/2", "GET /_ping HTTP/2.0\r\n" H "\r\n", "HTTP/1.1 505 ", "" },
		{ "bad escape", "GET /con%2 HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ", "" },
		{ "NUL in the path", "GET /con%00 HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ", "" },
		{ "unknown path", "GET /nothing HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 404 ",
		  "{\"message\":\"page not found\"}\n" },
		{ "wrong method", "DELETE /_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 404 ",
		  "page not found" },
		{ "too old", "GET /v1.12/_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ",
		  "\r\n\r\nclient version 1.12 is too old. Minimum supported API version is 1.24, please "
		  "upgrade your client to a newer version\n" },
		{ "too new", "GET /v9.99/_ping HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 400 ",
		  "client version 9.99 is too new. Maximum supported API version is 1.51" },
		{ "not newer by its digits", "GET /v1.151/_ping HTTP/1.1\r\n" H "\r\n",
		  "HTTP/1.1 400 ", "too new" },
		{ "swarm", "GET /nodes HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 503 ",
		  "This node is not a swarm manager" },
		{ "body cut off", "POST /build/prune HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc",
		  "HTTP/1.1 400 ", "unexpected EOF" },
		{ "bad chunk",
		  "POST /build/prune HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		  "HTTP/1.1 400 ", "malformed request body" },
		{ "chunk size overflow",
		  "POST /build/prune HTTP/1.1\r\n" H
		  "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
		  "HTTP/1.1 400 ", "malformed request body" },
		{ "body too large",
		  "POST /build/prune HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n",
		  "HTTP/1.1 400 ", "request body too large" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = ask(rows[i].text);

		if (!str_starts(buf_str(&b), rows[i].status) ||
		    !strstr(buf_str(&b), rows[i].in_body))
			fail_msg("%s: %.300s", rows[i].what, buf_str(&b));
		buf_fini(&b);
	}
}

static void test_long_heads(void **state)
{
	struct buf q = BUF_INIT, b;

	(void)state;
	buf_addstr(&q, "GET /_ping?");
	for (int i = 0; i <= HTTP_MAX_URL; i++)
		buf_addch(&q, 'a');
	buf_addstr(&q, " HTTP/1.1\r\n" H "\r\n");
	b = ask(q.p);
	assert_true(str_starts(b.p, "HTTP/1.1 414 "));
	buf_fini(&b);
	buf_reset(&q);
	buf_addstr(&q, "GET /_ping HTTP/1.1\r\n" H);
	for (int i = 0; i < HTTP_MAX_HEADERS + 50; i++)
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
		buf_addstr(&q, i % 3 ? "GET /_ping HTTP/1.1\r\n" H "\r\n"
				     : "POST /build/prune HTTP/1.1\r\n" H
				       "Content-Length: 5\r\n\r\nhello");
	buf_addstr(&q, "GET /nothing HTTP/1.1\r\n" H
		       "Connection: close\r\n\r\nGET /_ping HTTP/1.1\r\n\r\n");
	b = ask(q.p);
	assert_int_equal(count(b.p, "HTTP/1.1 200 OK"), 2000);
	assert_int_equal(count(b.p, "HTTP/1.1 404 "), 1);
	assert_true(str_ends(b.p, "page not found\"}\n"));
	buf_fini(&b);
	buf_fini(&q);
}

static void test_bytewise(void **state)
{
	static const char text[] =
		"POST /build/prune HTTP/1.1\r\n" H
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
	assert_non_null(strstr(b.p, "Content-Length: 0\r\n"));
	assert_string_equal(body_of(&b), "");
	buf_fini(&b);
	b = ask("GET /containers/1000/logs HTTP/1.0\r\n\r\n");
	assert_null(strstr(b.p, "chunked"));
	assert_int_equal(strlen(body_of(&b)), 1000);
	buf_fini(&b);
	fd = dial();
	say(fd,
	    "POST /build/prune HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
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
		{ "/containers/0/logs", 0 },
		{ "/containers/1/logs", 1 },
		{ "/containers/50000000/logs", 50000000 },
		{ "/containers/f0/logs", 0 },
		{ "/containers/f20000001/logs", 20000001 },
		{ "/containers/a1000/logs", -1 },
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
	say(fd, "POST /build?refuse=1 HTTP/1.1\r\n" H
		"Content-Length: 5\r\n\r\nhelloGET /_ping HTTP/1.1\r\n" H "\r\n");
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

static sem_t emitted;

static void emit_some(void *arg)
{
	static const char *const ct[] = {
		"name", "web", "image", "busybox:1", "color", "blue", NULL
	};
	static const char *const img[] = { "name", "busybox:1", NULL };
	static const char *const vol[] = { "driver", "local", NULL };

	(void)arg;
	event_emit("container", "start", "c1", ct);
	event_emit("container", "health_status: healthy", "c1", ct);
	event_emit("image", "tag", "sha256:i1", img);
	event_emit("volume", "create", "v1", vol);
	sem_post(&emitted);
}

static void test_events(void **state)
{
	/* filters (escaped) and the number of the four events above that they take */
	static const struct {
		const char *filters;
		size_t want;
	} rows[] = {
		{ "", 4 },
		{ "%7B%7D", 4 },
		{ "{\"type\":[\"container\"]}", 2 },
		{ "{\"type\":{\"container\":true,\"volume\":true}}", 3 },
		{ "{\"event\":[\"start\"]}", 1 },
		{ "{\"event\":[\"health_status\"]}", 1 },
		{ "{\"event\":[\"health\"]}", 0 },
		{ "{\"container\":[\"web\"]}", 2 },
		{ "{\"container\":[\"c1\"]}", 2 },
		{ "{\"container\":[\"x\"]}", 0 },
		{ "{\"image\":[\"busybox\"]}", 3 },
		{ "{\"image\":[\"busybox:1\"]}", 3 },
		{ "{\"label\":[\"color\"]}", 2 },
		{ "{\"label\":[\"color=blue\"]}", 2 },
		{ "{\"label\":[\"color=red\"]}", 0 },
		{ "{\"scope\":[\"local\"]}", 4 },
		{ "{\"scope\":[\"swarm\"]}", 0 },
		{ "{\"volume\":[\"v\"],\"event\":[\"create\"]}", 1 },
		{ "{\"unheard-of\":[\"x\"]}", 4 },
	};
	int fds[ARRAY_SIZE(rows)];
	char text[512];
	struct buf b;

	(void)state;
	sem_init(&emitted, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fds[i] = dial();
		snprintf(text, sizeof(text),
			 "GET /events?filters=%s&until=%lld.5 HTTP/1.1\r\n" H "\r\n",
			 rows[i].filters, (long long)(now_ns() / 1000000000 + 1));
		say(fds[i], text);
		assert_int_equal(read(fds[i], text, 17), 17); /* the head comes at once */
	}
	loop_post(emit_some, NULL);
	sem_wait(&emitted);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		shutdown(fds[i], SHUT_WR);
		b = hear_all(fds[i]); /* ended by until */
		if (count(b.p, "\"timeNano\":") != rows[i].want)
			fail_msg("%s: %s", rows[i].filters, b.p);
		buf_fini(&b);
		close(fds[i]);
	}
	/* what was kept */
	b = ask("GET /events?since=1&until=2.5 HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(count(b.p, "timeNano"), 0);
	buf_fini(&b);
	snprintf(text, sizeof(text), "GET /events?since=1&until=%lld HTTP/1.1\r\n" H "\r\n",
		 (long long)(now_ns() / 1000000000 + 1));
	b = ask(text);
	assert_int_equal(count(b.p, "timeNano"), 4);
	assert_non_null(
		strstr(b.p, "{\"status\":\"start\",\"id\":\"c1\",\"from\":\"busybox:1\","
			    "\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"c1\","
			    "\"Attributes\":{\"color\":\"blue\",\"image\":\"busybox:1\",\"name\":"
			    "\"web\"}},\"scope\":\"local\",\"time\":"));
	buf_fini(&b);
	b = ask("GET /events?since=x HTTP/1.1\r\n" H "\r\n");
	assert_true(str_starts(b.p, "HTTP/1.1 400 "));
	buf_fini(&b);
	b = ask("GET /events?since=5&until=3 HTTP/1.1\r\n" H "\r\n");
	assert_non_null(strstr(b.p, "`since` time (5) cannot be after `until` time (3)"));
	buf_fini(&b);
	b = ask("GET /events?filters=nonsense HTTP/1.1\r\n" H "\r\n");
	assert_true(str_starts(b.p, "HTTP/1.1 400 "));
	buf_fini(&b);
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
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
