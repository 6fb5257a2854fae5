/* SPDX-License-Identifier: MPL-2.0
 *
 * test_hijack.c - raw two-way streams and websockets over real connections.
 */
/* links: apiserver */
#include "http_server.h"

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
		  "HTTP/1.1 101 UPGRADED\r\nContent-Type: "
		  "application/vnd.docker.multiplexed-stream\r\n"
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
		struct pollfd pfd = { .fd = fd,
				      .events = (short)(POLLIN | (sent < want ? POLLOUT : 0)) };
		char tmp[65536];
		ssize_t n;

		assert_true(poll(&pfd, 1, 10000) > 0);
		if (pfd.revents & POLLOUT) {
			n = write(fd, block,
				  want - sent < sizeof(block) ? want - sent : sizeof(block));
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

/* A client that throws away what comes with the head (docker-py) loses nothing: the head comes alone. */
static void test_hijack_head_alone(void **state)
{
	static const char *const kinds[] = { "late", "message" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct buf b = BUF_INIT, rest;
		char tmp[4096] = { 0 };
		int fd = dial();

		buf_printf(&b, "POST /containers/%s/attach?mux=1 HTTP/1.1\r\n" H UPGRADE, kinds[i]);
		say(fd, b.p);
		usleep(10000); /* a client that is slow to read */
		assert_true(read(fd, tmp, sizeof(tmp) - 1) > 0);
		assert_true(str_ends(tmp, "\r\n\r\n"));
		shutdown(fd, SHUT_WR);
		rest = hear_all(fd);
		assert_true(rest.len > 8);
		assert_int_equal(rest.p[0], 1);
		close(fd);
		buf_fini(&b);
		buf_fini(&rest);
	}
}

/* Reads until what came ends with end; 10 s at most. */
static void hear_until(int fd, const char *end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[400] = "";
	size_t len = 0;
	ssize_t n;

	while (!str_ends(got, end)) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		n = read(fd, got + len, sizeof(got) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
}

static void test_hijack_detach(void **state)
{
	int fd = dial();
	struct buf b;

	(void)state;
	n_end = n_detached = 0;
	say(fd,
	    "POST /containers/echo/attach?detach=1&tty=1 HTTP/1.1\r\n" H UPGRADE "a\020b\020\020c");
	hear_until(fd, "\r\n\r\na\020b\020\020c");
	say(fd, "x\020"); /* the half of the keys is kept */
	hear_until(fd, "x");
	say(fd, "\021never");
	b = hear_all(fd);
	assert_string_equal(buf_str(&b), "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hijack_heads),	   cmocka_unit_test(test_hijack_echo),
		cmocka_unit_test(test_hijack_late_output),
		cmocka_unit_test(test_hijack_head_alone), cmocka_unit_test(test_hijack_detach),
		cmocka_unit_test(test_hijack_gone),	   cmocka_unit_test(test_websocket),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
