/* SPDX-License-Identifier: MPL-2.0 */
/* links: lib */
/* A pipe whose lock a program holds by splicing into it: it can be read while the break lasts, and the program notices nothing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipe_hold.h"

struct held {
	int pipe[2];
	int source[2];
	pid_t program;
};

/* Exits with 0 when each of its calls moved bytes, up to the end of the source. */
static void program(const struct held *h, bool splices)
{
	ssize_t n = 1;

	close(h->source[0]);
	close(h->pipe[0]);
	while (n > 0)
		n = splices ? splice(h->source[1], NULL, h->pipe[1], NULL, 4096, 0)
			    : sendfile(h->pipe[1], h->source[1], NULL, 4096);
	_exit(n < 0 ? errno : 0);
}

static bool is_state(pid_t pid, char state)
{
	char path[64], text[256] = "";
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	p = strrchr(text, ')');
	return p && p[1] == ' ' && p[2] == state;
}

static void until_state(pid_t pid, char state)
{
	for (int i = 0; i < 5000 && !is_state(pid, state); i++)
		usleep(1000);
	assert_true(is_state(pid, state));
}

/* The pipe has "one" in it, and the program waits for more. */
static void hold(struct held *h, bool splices)
{
	assert_int_equal(pipe2(h->pipe, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, h->source), 0);
	h->program = fork();
	if (h->program == 0)
		program(h, splices);
	close(h->source[1]);
	until_state(h->program, 'S');
	assert_int_equal(write(h->source[0], "one", 3), 3);
	assert_int_equal(poll(&(struct pollfd){ .fd = h->pipe[0], .events = POLLIN }, 1, 5000),
			 1); /* takes no lock */
	until_state(h->program, 'S');
}

/* A process of its own, since it may wait without end: exits when it has read. */
static pid_t reader(const struct held *h)
{
	char got[16];
	pid_t pid = fork();

	if (pid == 0)
		_exit(read(h->pipe[0], got, sizeof(got)) == 3 && memcmp(got, "one", 3) == 0 ? 0
											    : 1);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	do { /* its stop is told to us as well, since it is our child and our thread that stops it */
		assert_int_equal(waitpid(pid, &status, 0), pid);
	} while (WIFSTOPPED(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_break(void **state)
{
	(void)state;
	for (int splices = 0; splices < 2; splices++) {
		struct pipe_hold *b;
		struct held h;
		struct stat sb;
		char got[16];
		pid_t r;

		hold(&h, splices);
		assert_int_equal(fstat(h.pipe[0], &sb), 0);
		r = reader(&h);
		until_state(r, 'D');
		b = pipe_hold_break(sb.st_ino, 0);
		assert_non_null(b);
		assert_int_equal(status_of(r), 0);
		assert_int_equal(pipe_hold_over(b), h.program);
		/* the program goes on as if nothing had been */
		assert_int_equal(write(h.source[0], "two!", 4), 4);
		close(h.source[0]); /* it would hold the pipe again */
		assert_int_equal(status_of(h.program), 0);
		assert_int_equal(read(h.pipe[0], got, sizeof(got)), 4);
		assert_memory_equal(got, "two!", 4);
		close(h.pipe[0]);
		close(h.pipe[1]);
	}
}

static void test_nobody_holds(void **state)
{
	struct pipe_hold *b;
	struct stat sb;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fstat(p[0], &sb), 0);
	b = pipe_hold_break(sb.st_ino, getppid());
	assert_non_null(b);
	assert_int_equal(pipe_hold_over(b), 0);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_break),
		cmocka_unit_test(test_nobody_holds),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
