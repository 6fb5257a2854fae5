/* SPDX-License-Identifier: MPL-2.0
 *
 * fake_zoneadmd.c - the part of a zoneadmd that logsvc sees, for tests: makes the pipes, holds the
 * ring, runs a command once or several times, and ends when its output is drained.
 *
 *	fake_zoneadmd [--tty] [--pipe BYTES] [--runs N] [--linger] SOCKET -- COMMAND...
 *
 * A run's command starts when somebody has asked for the pipes (with --now at once).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "frame.h"
#include "str.h"
#include "zone.pb-c.h"

#define MAX_CONNS 32

static struct conn {
	int fd;
	bool stdio;
} conns[MAX_CONNS];
static int n_conns, ring_fd, ends[2] = { -1, -1 };
static bool tty, linger, drained, started;
static uint32_t run_no;
static int pipe_bytes = 1 << 20;
static pid_t child;
static char **command;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_message(int fd, Zone__Message *m, const int *fds, size_t n)
{
	unsigned char out[256];
	size_t len = zone__message__pack(m, out);

	(void)frame_send(fd, out, len, fds, n, 1000);
}

static void send_stdio(int fd, uint64_t seq, bool with_ring)
{
	Zone__Message m = ZONE__MESSAGE__INIT;
	Zone__Stdio stdio_m = ZONE__STDIO__INIT;
	int fds[3];
	size_t n = 0;

	stdio_m.run = run_no;
	stdio_m.tty = tty;
	stdio_m.ended = drained;
	m.seq = seq;
	m.body_case = seq ? ZONE__MESSAGE__BODY_STDIO : ZONE__MESSAGE__BODY_RUN;
	if (seq)
		m.stdio = &stdio_m;
	else
		m.run = &stdio_m;
	if (with_ring)
		fds[n++] = ring_fd;
	for (int s = 0; s < 2 && !drained; s++) {
		if (ends[s] >= 0)
			fds[n++] = ends[s];
	}
	send_message(fd, &m, fds, n);
}

static int write_ends[2];

static void make_run(void)
{
	int p[2];

	run_no++;
	drained = started = false;
	for (int s = 0; s < 2; s++) {
		if (ends[s] >= 0)
			close(ends[s]);
		ends[s] = -1;
	}
	if (tty) {
		struct termios t = { 0 };

		cfmakeraw(&t);
		if (openpty(&ends[0], &write_ends[0], NULL, &t, NULL) < 0)
			die("openpty");
		fcntl(ends[0], F_SETFD, FD_CLOEXEC);
		return;
	}
	for (int s = 0; s < 2; s++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			die("pipe2");
		(void)fcntl(p[0], F_SETPIPE_SZ, pipe_bytes);
		ends[s] = p[0];
		write_ends[s] = p[1];
	}
}

static void start_run(void)
{
	started = true;
	child = fork();
	if (child == 0) {
		dup2(write_ends[0], 1);
		dup2(write_ends[tty ? 0 : 1], 2);
		execvp(command[0], command);
		_exit(127);
	}
	close(write_ends[0]);
	if (!tty)
		close(write_ends[1]);
}

static void on_request(struct conn *c, Zone__Request *req)
{
	Zone__Message m = ZONE__MESSAGE__INIT;
	Zone__State state = ZONE__STATE__INIT;
	Zone__Ok ok = ZONE__OK__INIT;

	m.seq = req->seq;
	switch (req->op_case) {
	case ZONE__REQUEST__OP_HELLO:
		state.run = run_no;
		m.body_case = ZONE__MESSAGE__BODY_STATE;
		m.state = &state;
		send_message(c->fd, &m, NULL, 0);
		return;
	case ZONE__REQUEST__OP_GET_STDIO:
		c->stdio = true;
		send_stdio(c->fd, req->seq, true);
		if (!started)
			start_run();
		return;
	case ZONE__REQUEST__OP_DRAINED:
		if (req->drained->run == run_no)
			drained = true;
		/* fall through */
	default:
		m.body_case = ZONE__MESSAGE__BODY_OK;
		m.ok = &ok;
		send_message(c->fd, &m, NULL, 0);
	}
}

static void on_conn(int i)
{
	struct frame f = FRAME_INIT;
	int rc = frame_recv(conns[i].fd, &f, 0);
	Zone__Request *req;

	if (rc > 0 && (req = zone__request__unpack(NULL, f.data.len, (uint8_t *)f.data.p))) {
		on_request(&conns[i], req);
		zone__request__free_unpacked(req, NULL);
	} else if (rc != -EAGAIN) {
		close(conns[i].fd);
		conns[i] = conns[--n_conns];
	}
	frame_fini(&f);
}

static void serve(int listen_fd, int runs)
{
	struct pollfd p[MAX_CONNS + 1];
	int status;

	for (;;) {
		p[0] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
		for (int i = 0; i < n_conns; i++)
			p[i + 1] = (struct pollfd){ .fd = conns[i].fd, .events = POLLIN };
		if (poll(p, (nfds_t)n_conns + 1, 50) < 0 && errno != EINTR)
			die("poll");
		for (int i = n_conns - 1; i >= 0; i--) {
			if (p[i + 1].revents)
				on_conn(i);
		}
		if ((p[0].revents & POLLIN) && n_conns < MAX_CONNS) {
			int fd = frame_accept(listen_fd);

			if (fd >= 0)
				conns[n_conns++] = (struct conn){ .fd = fd };
		}
		if (!drained)
			continue;
		if (child > 0)
			waitpid(child, &status, 0);
		child = 0;
		if ((int)run_no < runs) {
			make_run();
			for (int i = 0; i < n_conns; i++) {
				if (conns[i].stdio)
					send_stdio(conns[i].fd, 0, false);
			}
			start_run();
		} else if (!linger) {
			return;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "tty", 0, NULL, 't' },
						 { "pipe", 1, NULL, 'p' },
						 { "runs", 1, NULL, 'r' },
						 { "linger", 0, NULL, 'l' },
						 { "now", 0, NULL, 'n' },
						 { NULL, 0, NULL, 0 } };
	struct err err = { 0 };
	int c, listen_fd, runs = 1;
	bool now = false;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 't')
			tty = true;
		else if (c == 'p')
			pipe_bytes = (int)strtol(optarg, NULL, 10);
		else if (c == 'r')
			runs = (int)strtol(optarg, NULL, 10);
		else if (c == 'l')
			linger = true;
		else if (c == 'n')
			now = true;
		else
			return 2;
	}
	if (argc - optind < 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	command = argv + optind + 1;
	if (str_eq(command[0], "--"))
		command++;
	ring_fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	listen_fd = frame_listen(argv[optind], 0600, &err);
	if (listen_fd < 0 || ring_fd < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	make_run();
	if (now)
		start_run();
	serve(listen_fd, runs);
	unlink(argv[optind]);
	return 0;
}
