/* SPDX-License-Identifier: MPL-2.0
 *
 * child_server.c - starts servers of our own, and sends them requests.
 *
 * Threads: any worker; a mutex guards the socket. Failure: a server that has died (killed) is reaped when it is gone, and started
 * again by the next request; it ends by itself when its socket is closed, so it does not outlive us.
 */
#define LOG_MODULE "child"
#include "apiserver/child_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/child.h"
#include "apiserver/engine.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"

#define SEND_MS 10000

static int spawn(const struct child_server *s, int sock, pid_t *pid)
{
	char exe[600];
	char *argv[] = { exe, (char *)s->option, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t set;
	int rc;

	snprintf(exe, sizeof(exe), "%s/apiserver", engine->bin_dir);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, sock, CHILD_SERVER_SOCKET);
	posix_spawn_file_actions_addclosefrom_np(&fa, CHILD_SERVER_SOCKET + 1);
	posix_spawnattr_init(&at);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&at, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&at, &set);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(pid, exe, &fa, &at, argv, environ);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return rc;
}

/* Not waited for here: what a tenant holds can keep it from ending (stdio_relay.h). */
static void stop(struct child_server *s)
{
	close(take_fd(&s->fd));
	kill(s->pid, SIGKILL);
	child_reap_later(s->pid);
	s->pid = 0;
}

static int start(struct child_server *s, struct err *err)
{
	cleanup_fd int ours = -1, theirs = -1;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	ours = pair[0];
	theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, 16); /* not the number it is to get */
	close(pair[1]);
	if (theirs < 0)
		return err_sys(err, "dup");
	if ((rc = spawn(s, theirs, &s->pid)) != 0)
		return err_sysnum(err, rc, "start %s/apiserver", engine->bin_dir);
	s->fd = take_fd(&ours);
	return 0;
}

int child_server_send(struct child_server *s, const void *p, size_t len, const int *fds,
		      size_t n_fds, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	for (int tries = 0; tries < 2; tries++) {
		if (s->fd < 0 && (rc = start(s, err)) < 0)
			break;
		rc = frame_send(s->fd, p, len, fds, n_fds, SEND_MS);
		if (rc == 0)
			break;
		log_warn("server lost", "which=%s pid=%d errno=%d", s->name, (int)s->pid, -rc);
		stop(s);
		rc = err_sysnum(err, rc, "ask the %s", s->name);
	}
	if (rc == 0)
		*err = (struct err){ 0 };
	pthread_mutex_unlock(&s->lock);
	return rc;
}
