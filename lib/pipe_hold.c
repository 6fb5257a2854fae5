/* SPDX-License-Identifier: MPL-2.0
 *
 * pipe_hold.c - makes a program that splices into a pipe let go of the pipe's lock for a moment.
 *
 * Design. sendfile(2) and splice(2) into a pipe hold its lock while they wait for their source (fs/splice.c: splice_file_to_pipe);
 * whoever else touches the pipe waits for that lock, and no signal ends this wait. The splice's own wait does end by one. PTRACE_SEIZE
 * and PTRACE_INTERRUPT wake a single thread as a signal would, and nobody sees it: no signal is sent, no parent is told, and the
 * call is begun anew by the kernel when the thread goes on (ptrace(2), signal(7)). But for a socket with SO_RCVTIMEO: such a
 * call ends with EINTR then, as after `docker pause`.
 *
 * A holder is a thread whose /proc/PID/task/TID/syscall is such a call with the pipe among its arguments. It stays stopped until the
 * one who waits has done, who may need the lock several times. When that takes long, another holder was next in the lock's queue: he
 * is stopped as well.
 *
 * Failure: when we die, the kernel lets go of all that we trace. A thread that is traced already (strace in the zone), and one of
 * the kernel's (io_uring), cannot be stopped: then nothing happens.
 * Threads: a thread of its own for each break, since ptrace's calls belong to one.
 */
#include "pipe_hold.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"
#include "thread.h"

#define HOLDERS_MAX 16
#define STOP_MS	    200 /* for a holder to be stopped */
#define NEXT_MS	    20	/* after that, somebody else has got the lock */

struct pipe_hold {
	ino_t pipe;
	pid_t hint;
	sem_t over;
	_Atomic pid_t holder;
	atomic_int refs;
};

static void unref(struct pipe_hold *h)
{
	if (atomic_fetch_sub(&h->refs, 1) > 1)
		return;
	(void)sem_destroy(&h->over);
	free(h);
}

/* ---- who holds it ------------------------------------------------------------------------------- */

static bool splices(long nr)
{
	static const long calls[] = {
		SYS_sendfile, SYS_splice,
#ifdef __x86_64__
		187,	      239,
		313, /* sendfile, sendfile64, splice of 32-bit programs; here they are calls that take no pipe */
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (nr == calls[i])
			return true;
	}
	return false;
}

static ssize_t read_text(const char *path, char *out, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
	return n;
}

static char state_of(pid_t tid)
{
	char path[64], text[512];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	(void)read_text(path, text, sizeof(text));
	p = strrchr(text, ')');
	return p && p[1] == ' ' ? p[2] : '\0';
}

bool pipe_hold_waits(pid_t tid)
{
	return state_of(tid) == 'D';
}

/* syscall is "NR ARG0 ARG1 ...", or "running" */
static bool holds(pid_t tid, ino_t pipe)
{
	char path[64], text[256], want[48], link[48];
	char *p = text, *end;
	unsigned long arg;
	ssize_t n;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return false;
	nr = strtol(p, &end, 10);
	if (end == p || !splices(nr))
		return false;
	snprintf(want, sizeof(want), "pipe:[%llu]", (unsigned long long)pipe);
	for (int i = 0; i < 3; i++) { /* in and out are among them */
		p = end;
		arg = strtoul(p, &end, 16);
		if (end == p)
			return false;
		if (arg > 1u << 30)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%lu", (int)tid, arg);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (str_eq(link, want))
			return state_of(tid) ==
			       'S'; /* who waits for the lock himself sleeps otherwise */
	}
	return false;
}

static bool is_among(pid_t tid, const pid_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i] == tid)
			return true;
	}
	return false;
}

static pid_t find_thread(const char *pid, ino_t pipe, const pid_t *but, size_t n_but)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	char path[320];

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	if (!(dir = opendir(path)))
		return 0;
	while ((de = readdir(dir))) {
		pid_t tid = (pid_t)strtol(de->d_name, NULL, 10);

		if (tid > 0 && !is_among(tid, but, n_but) && holds(tid, pipe))
			return tid;
	}
	return 0;
}

static pid_t find_holder(struct pipe_hold *h, const pid_t *but, size_t n_but)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	pid_t tid;

	if (h->hint > 0 && !is_among(h->hint, but, n_but) && holds(h->hint, h->pipe))
		return h->hint;
	if (!(dir = opendir("/proc")))
		return 0;
	while ((de = readdir(dir))) {
		if (!isdigit((unsigned char)de->d_name[0]) ||
		    (pid_t)strtol(de->d_name, NULL, 10) == getpid())
			continue;
		if ((tid = find_thread(de->d_name, h->pipe, but, n_but)) > 0)
			return tid;
	}
	return 0;
}

/* ---- stopping it -------------------------------------------------------------------------------- */

static bool wait_over(struct pipe_hold *h, long ms)
{
	struct timespec until;
	int rc;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while ((rc = sem_timedwait(&h->over, &until)) < 0 && errno == EINTR)
		;
	if (rc == 0)
		(void)sem_post(&h->over); /* for the next look */
	return rc == 0;
}

/* Seized it stays even if it does not stop in time: it is let go with the others. */
static bool stop(pid_t tid)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return false;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return true;
	for (int i = 0; i < STOP_MS && waitpid(tid, NULL, __WALL | WNOHANG) == 0; i++)
		(void)nanosleep(&ms, NULL);
	return true;
}

static void *break_it(void *arg)
{
	struct pipe_hold *h = arg;
	pid_t held[HOLDERS_MAX], tid;
	int64_t end = mono_ns() + PIPE_HOLD_MS * 1000000LL;
	size_t n = 0;
	long left;

	(void)pthread_setname_np(pthread_self(), "pipe-hold");
	while (n < HOLDERS_MAX && mono_ns() < end && (n == 0 || !wait_over(h, NEXT_MS))) {
		if (!(tid = find_holder(h, held, n)))
			break;
		atomic_store(&h->holder, tid);
		if (!stop(tid))
			break;
		held[n++] = tid;
	}
	left = (long)((end - mono_ns()) / 1000000);
	if (n && left > 0)
		(void)wait_over(h, left);
	/* the thread's end lets go of all that it traces, stopped or not */
	unref(h);
	return NULL;
}

struct pipe_hold *pipe_hold_break(ino_t pipe, pid_t hint)
{
	struct pipe_hold *h = xcalloc(1, sizeof(*h));

	h->pipe = pipe;
	h->hint = hint;
	atomic_store(&h->refs, 2);
	(void)sem_init(&h->over, 0, 0);
	if (thread_start(NULL, 0, break_it, h) < 0) {
		(void)sem_destroy(&h->over);
		free(h);
		return NULL;
	}
	return h;
}

pid_t pipe_hold_over(struct pipe_hold *h)
{
	pid_t holder = atomic_load(&h->holder);

	(void)sem_post(&h->over);
	unref(h);
	return holder;
}
