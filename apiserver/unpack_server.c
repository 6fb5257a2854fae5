/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_server.c - our side of the unpacking server: starts it, and sends it requests.
 *
 * Threads: any worker; a mutex guards the socket. Failure: a server that has died (killed) is reaped
 * and started again by the next request; it ends by itself when its socket is closed, so it does not
 * outlive us.
 */
#define LOG_MODULE "layer"
#include "apiserver/unpack_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/tar_unpack.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"

#define SEND_MS 10000

static struct {
	pthread_mutex_t lock;
	int fd;
	pid_t pid;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static int spawn(int sock, pid_t *pid)
{
	char exe[600];
	char *argv[] = { exe, (char *)UNPACK_OPTION, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t set;
	int rc;

	snprintf(exe, sizeof(exe), "%s/apiserver", engine->bin_dir);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, sock, UNPACK_SOCKET);
	posix_spawn_file_actions_addclosefrom_np(&fa, UNPACK_SOCKET + 1);
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

static void stop(void)
{
	if (server.fd >= 0)
		close(server.fd);
	server.fd = -1;
	if (server.pid > 0)
		while (waitpid(server.pid, NULL, 0) < 0 && errno == EINTR)
			;
	server.pid = 0;
}

static int start(struct err *err)
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
	if ((rc = spawn(theirs, &server.pid)) != 0)
		return err_sysnum(err, rc, "start %s/apiserver", engine->bin_dir);
	server.fd = take_fd(&ours);
	return 0;
}

int unpack_server_ask(const struct unpack_request *rq, const int *fds, size_t n_fds, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&server.lock);
	for (int tries = 0; tries < 2; tries++) {
		if (server.fd < 0 && (rc = start(err)) < 0)
			break;
		rc = frame_send(server.fd, rq, sizeof(*rq), fds, n_fds, SEND_MS);
		if (rc == 0)
			break;
		log_warn("unpacking server lost", "pid=%d errno=%d", (int)server.pid, -rc);
		kill(server.pid, SIGKILL);
		stop();
		rc = err_sysnum(err, rc, "ask the unpacking server");
	}
	if (rc == 0)
		*err = (struct err){ 0 };
	pthread_mutex_unlock(&server.lock);
	return rc;
}
