/* SPDX-License-Identifier: MPL-2.0
 *
 * mini_init.c - docker-init: starts the user's program in a process group of its own (in the
 * foreground of the terminal), forwards signals to it, reaps whatever ends up with PID 1, and ends
 * as it ended.
 */
#include "mini_init.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "environ.h"

static __attribute__((noreturn)) void become_program(char **argv)
{
	struct err err = { 0 };
	char path[PATH_MAX];

	if (environ_find_exec(argv[0], environ_get(environ, "PATH"), path, &err) == 0) {
		execve(path, argv, environ);
		err_kind(&err, ERR_SYSTEM, "exec %s: %s", path, environ_strerror(errno));
	}
	dprintf(STDERR_FILENO, "docker-init: %s\n", err.msg);
	_exit(environ_exit_code(-err.code));
}

static void take_terminal(void)
{
	struct sigaction ign = { .sa_handler = SIG_IGN }, old;

	setpgid(0, 0);
	if (!isatty(STDIN_FILENO))
		return;
	sigaction(SIGTTOU, &ign, &old);
	tcsetpgrp(STDIN_FILENO, getpid());
	sigaction(SIGTTOU, &old, NULL);
}

/* The program's status when it is among the dead, else -1. */
static int reap(pid_t program)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == program)
			code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return code;
}

int mini_init_main(int argc, char **argv)
{
	static const int not_forwarded[] = { SIGTTIN, SIGTTOU, SIGTSTP };
	struct sigaction ign = { .sa_handler = SIG_IGN };
	int sig, code = -1;
	sigset_t set, old;
	pid_t program;
	size_t i;

	if (argc < 3)
		return 1;
	prctl(PR_SET_NAME, "docker-init", 0, 0, 0);
	sigfillset(&set);
	for (i = 0; i < ARRAY_SIZE(not_forwarded); i++)
		sigdelset(&set, not_forwarded[i]);
	sigprocmask(SIG_SETMASK, &set, &old);
	program = fork();
	if (program < 0) {
		dprintf(STDERR_FILENO, "docker-init: fork: %s\n", environ_strerror(errno));
		return 1;
	}
	if (program == 0) {
		take_terminal();
		sigprocmask(SIG_SETMASK, &old, NULL);
		become_program(argv + 2);
	}
	sigaction(SIGTTIN, &ign, NULL);
	sigaction(SIGTTOU, &ign, NULL);
	sigaction(SIGTSTP, &ign, NULL);
	while (code < 0) {
		sig = sigwaitinfo(&set, NULL);
		if (sig == SIGCHLD)
			code = reap(program);
		else if (sig > 0)
			kill(program, sig);
	}
	return code;
}
