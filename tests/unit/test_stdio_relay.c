/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * The stdio relay's process, asked as apiserver asks it: streams one way and the other, their ends, and pipes whose lock
 * somebody has (a splice from a silent socket).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/child_server.h"
#include "apiserver/stdio_relay.h"
#include "cleanup.h"
#include "frame.h"
#include "str.h"

#define WAIT_MS 20000

static int control;
static pid_t relay_pid;

static int begin(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	relay_pid = fork();
	if (relay_pid == 0) {
		dup2(sv[1], CHILD_SERVER_SOCKET);
		for (int fd = CHILD_SERVER_SOCKET + 1; fd < 64; fd++)
			close(fd);
		stdio_relay_main();
		_exit(1);
	}
	close(sv[1]);
	control = sv[0];
	return 0;
}

static int end(void **state)
{
	int status;

	(void)state;
	close(control);
	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	assert_int_equal(status, 0);
	return 0;
}

/* The socket for a pipe's end, which is given away. */
static int relayed(int pipe_end, bool to_pipe)
{
	struct relay_request rq = { .n = 1, .to_pipe = { to_pipe } };
	int sv[2], fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	fds[0] = pipe_end;
	fds[1] = sv[1];
	assert_int_equal(frame_send(control, &rq, sizeof(rq), fds, 2, 1000), 0);
	close(sv[1]);
	close(pipe_end);
	return sv[0];
}

static bool becomes(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, WAIT_MS) == 1 && (p.revents & (events | POLLHUP | POLLERR));
}

static void expect(int fd, const char *text)
{
	char got[64] = "";
	size_t n = 0, want = strlen(text);

	while (n < want) {
		ssize_t k;

		assert_true(becomes(fd, POLLIN));
		k = read(fd, got + n, want - n);
		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_string_equal(got, text);
}

static void expect_end(int fd)
{
	char c;

	assert_true(becomes(fd, POLLIN));
	assert_int_equal(read(fd, &c, 1), 0);
}

static void test_output(void **state)
{
	int p[2], s;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s = relayed(p[0], false);
	assert_int_equal(write(p[1], "abc", 3), 3);
	expect(s, "abc");
	assert_int_equal(write(p[1], "de", 2), 2);
	close(p[1]);
	expect(s, "de");
	expect_end(s);
	close(s);
}

static void test_input(void **state)
{
	int p[2], s;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s = relayed(p[1], true);
	assert_int_equal(write(s, "abc", 3), 3);
	expect(p[0], "abc");
	close(s);
	expect_end(p[0]);
	close(p[0]);
}

/* Nobody reads it any more: the writer is told. */
static void test_input_given_up(void **state)
{
	struct pollfd fd;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	fd = (struct pollfd){ .fd = relayed(p[1], true) };
	close(p[0]);
	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	assert_true(fd.revents & POLLHUP);
	close(fd.fd);
}

/* The writer stays: what is there comes, and then the end, however slowly it is read. */
static void test_drain(void **state)
{
	static char chunk[65536];
	int p[2], s;
	size_t n = 0;
	ssize_t k;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s = relayed(p[0], false);
	for (; n < 2 * sizeof(chunk); n += sizeof(chunk)) /* so much the socket and the pipe take */
		assert_int_equal(write(p[1], chunk, sizeof(chunk)), sizeof(chunk));
	assert_int_equal(shutdown(s, SHUT_WR), 0);
	while (becomes(s, POLLIN) && (k = read(s, chunk, 999)) > 0)
		n -= (size_t)k;
	assert_int_equal(n, 0);
	assert_true(becomes(p[1], POLLERR)); /* nobody reads it any more */
	close(p[1]);
	close(s);
}

/* A process that has the lock of the pipe that w writes to until it is killed, or *feed is closed, and a byte before it. */
static pid_t hold(int w, int *feed)
{
	int sv[2];
	char path[64];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(write(sv[1], "h", 1), 1);
	pid = fork();
	if (pid == 0) {
		close(sv[1]);
		while (splice(sv[0], NULL, w, NULL, 65536, 0) > 0)
			;
		_exit(0);
	}
	close(sv[0]);
	*feed = sv[1];
	snprintf(path, sizeof(path), "/proc/%d/stack", (int)pid);
	for (int i = 0; i < WAIT_MS / 10; i++) { /* until it waits for its source */
		char text[2048] = "";
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "unix_stream"))
			i = WAIT_MS;
		close(fd);
		poll(NULL, 0, 10);
	}
	return pid;
}

static void test_held(void **state)
{
	enum { N = 5 };
	int p[N][2], s[N], feed[N], free_pipe[2], free_sock;
	pid_t pid[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
		pid[i] = hold(p[i][1], &feed[i]);
		close(p[i][1]);
		s[i] = relayed(p[i][0], false);
	}
	assert_int_equal(pipe2(free_pipe, O_CLOEXEC), 0);
	free_sock = relayed(free_pipe[0], false);
	assert_int_equal(write(free_pipe[1], "x", 1), 1);
	expect(free_sock, "x"); /* the others wait, this one does not */
	close(s[0]);		/* a client that has gone */
	for (int i = 0; i < N; i++) {
		assert_int_equal(write(feed[i], "end", 3), 3);
		close(feed[i]);
	}
	for (int i = 1; i < N; i++) {
		expect(s[i], "hend");
		expect_end(s[i]);
		close(s[i]);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
	close(free_pipe[1]);
	expect_end(free_sock);
	close(free_sock);
}

/* Its death is told apart from an end, behind the bytes that had come. */
static void test_killed(void **state)
{
	int p[2], q[2], s, ended, status;
	char c;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pipe2(q, O_CLOEXEC), 0);
	s = relayed(p[0], false);
	ended = relayed(q[0], false);
	assert_int_equal(send(s, "", 1, 0), 1);
	assert_int_equal(send(ended, "", 1, 0), 1);
	close(q[1]);
	expect_end(ended);
	assert_int_equal(write(p[1], "abc", 3), 3);
	assert_true(becomes(s, POLLIN));
	kill(relay_pid, SIGKILL);
	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	expect(s, "abc");
	assert_int_equal(read(s, &c, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(s);
	close(ended);
	close(p[1]);
	close(control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, begin, end),
		cmocka_unit_test_setup_teardown(test_input, begin, end),
		cmocka_unit_test_setup_teardown(test_input_given_up, begin, end),
		cmocka_unit_test_setup_teardown(test_drain, begin, end),
		cmocka_unit_test_setup_teardown(test_held, begin, end),
		cmocka_unit_test_setup(test_killed, begin),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
