/* SPDX-License-Identifier: MPL-2.0
 *
 * child.c - starts children, and collects those whose end was noticed by the end of their
 * connection.
 *
 * Design: zoneadmds are spawned by workers and outlive any job, so neither uv_spawn nor a SIGCHLD
 * handler that waits for anybody fits (other modules wait for their own children). The closing of a
 * connection tells that its process is about to be a zombie; a timer asks waitpid for that very pid
 * until it is.
 *
 * Threads: the list is the loop's; child_reap_later hands over from any thread.
 */
#include "apiserver/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <uv.h>

#include "apiserver/engine.h"
#include "apiserver/job.h"
#include "str.h"

#define REAP_FIRST_MS 2
#define REAP_MAX_MS   1000

extern char **environ;

int child_spawn(const char *const argv[], int fd0, int fd3, bool own_session, pid_t *out_pid,
		struct err *err)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char bin[600];
	sigset_t all;
	sigset_t none;
	int rc;

	if (str_fmt(bin, sizeof(bin), "%s/%s", engine->bin_dir, argv[0]) < 0)
		return err_sysnum(err, ENAMETOOLONG, "spawn %s", argv[0]);
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	if (fd0 >= 0)
		posix_spawn_file_actions_adddup2(&fa, fd0, 0);
	else
		posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_RDWR, 0);
	if (fd3 >= 0)
		posix_spawn_file_actions_adddup2(&fa, fd3, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, own_session ? flags | POSIX_SPAWN_SETSID : flags);
	rc = posix_spawn(out_pid, bin, &fa, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return rc ? err_sysnum(err, rc, "spawn %s", bin) : 0;
}

static struct {
	uv_timer_t timer;
	bool ready;
	pid_t *pids;
	size_t n, cap;
	unsigned delay_ms;
} reaper;

static void on_timer(uv_timer_t *t)
{
	(void)t;
	for (size_t i = 0; i < reaper.n;) {
		pid_t rc = waitpid(reaper.pids[i], NULL, WNOHANG);

		if (rc == 0 || (rc < 0 && errno == EINTR))
			i++;
		else
			reaper.pids[i] = reaper.pids[--reaper.n];
	}
	if (reaper.n == 0)
		return;
	reaper.delay_ms = reaper.delay_ms * 2 > REAP_MAX_MS ? REAP_MAX_MS : reaper.delay_ms * 2;
	uv_timer_start(&reaper.timer, on_timer, reaper.delay_ms, 0);
}

static void add_pid(void *arg)
{
	pid_t pid = (pid_t)(intptr_t)arg;

	if (!reaper.ready) {
		uv_timer_init(uv_default_loop(), &reaper.timer);
		uv_unref((uv_handle_t *)&reaper.timer);
		reaper.ready = true;
	}
	if (reaper.n == reaper.cap) {
		reaper.cap = reaper.cap ? reaper.cap * 2 : 16;
		reaper.pids = xrealloc(reaper.pids, reaper.cap * sizeof(*reaper.pids));
	}
	reaper.pids[reaper.n++] = pid;
	reaper.delay_ms = REAP_FIRST_MS;
	uv_timer_start(&reaper.timer, on_timer, REAP_FIRST_MS, 0);
}

void child_reap_later(pid_t pid)
{
	if (pid > 0)
		loop_post(add_pid, (void *)(intptr_t)pid);
}

int child_reap(pid_t pid, int timeout_ms)
{
	int64_t deadline = mono_ns() + (int64_t)timeout_ms * 1000000;
	int status = 0;

	for (;;) {
		pid_t rc = waitpid(pid, &status, WNOHANG);

		if (rc == pid)
			return status;
		if (rc < 0 && errno != EINTR)
			return -1;
		if (mono_ns() >= deadline)
			break;
		poll(NULL, 0, 1);
	}
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}
