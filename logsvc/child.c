/* SPDX-License-Identifier: MPL-2.0
 *
 * child.c - fork and exec, with nothing in between that another thread's lock could hold up.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "str.h"

static void become(const char *exe, char *const argv[], int keep_fd)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	(void)syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */); /* also what we inherited */
	if (keep_fd >= 0)
		(void)fcntl(keep_fd, F_SETFD, 0);
	execv(exe, argv);
	_exit(127);
}

static int exe_path(char out[1024], const char *name)
{
	ssize_t n = readlink("/proc/self/exe", out, 1000);
	char *slash;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	out[n] = '\0';
	slash = strrchr(out, '/');
	return slash ? str_fmt(slash + 1, (size_t)(out + 1024 - slash - 1), "%s", name) : -ENOENT;
}

pid_t child_spawn(char *const argv[], int keep_fd)
{
	char exe[1024];
	int rc = exe_path(exe, argv[0]);
	pid_t pid;

	if (rc < 0)
		return rc;
	pid = fork();
	if (pid == 0)
		become(exe, argv, keep_fd);
	return pid < 0 ? -errno : pid;
}
