/* SPDX-License-Identifier: MPL-2.0
 *
 * hold.c - a program that holds a standard stream's pipe, as one does whose splice(2) has nothing to move:
 *
 *	hold out|err FILE	prints "held", holds, and prints "end" once FILE is there
 *	hold in FILE		holds once there is input, and when FILE is there takes it all and prints how many bytes it was
 *
 * While it holds, every other call on the pipe waits, whatever O_NONBLOCK says, close(2) too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void wait_for(const char *file)
{
	while (access(file, F_OK) < 0)
		poll(NULL, 0, 20);
}

static int hold_output(int fd, const char *file)
{
	int sv[2];
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 || write(sv[1], "held\n", 5) != 5)
		return 2;
	if (fork() == 0) {
		close(sv[0]);
		wait_for(file);
		_exit(write(sv[1], "end\n", 4) != 4);
	}
	close(sv[1]);
	while ((n = splice(sv[0], NULL, fd, NULL, 65536, 0)) > 0)
		;
	return n < 0;
}

/* The socket is full, and nobody reads it before FILE is there. */
static int hold_input(const char *file)
{
	static char chunk[65536];
	struct pollfd p = { .fd = 0, .events = POLLIN };
	long total = 0;
	int sv[2];
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return 2;
	while ((n = send(sv[0], chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		total -= n;
	if (fork() == 0) {
		close(sv[1]);
		poll(&p, 1, -1);
		poll(NULL, 0, 100); /* what is on its way arrives */
		while ((n = splice(0, NULL, sv[0], NULL, 65536, 0)) > 0)
			;
		_exit(n < 0);
	}
	close(0);
	close(sv[0]);
	wait_for(file);
	while ((n = read(sv[1], chunk, sizeof(chunk))) > 0)
		total += n;
	printf("%ld\n", total);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "out") || !strcmp(argv[1], "err"))
		return hold_output(argv[1][0] == 'o' ? 1 : 2, argv[2]);
	return hold_input(argv[2]);
}
