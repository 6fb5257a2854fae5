/* SPDX-License-Identifier: MPL-2.0
 *
 * thread.c - starting threads.
 */
#include "thread.h"

#include <signal.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACKS_AS_ASKED 0
#else
#define STACKS_AS_ASKED 1
#endif

int thread_start(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	if (!out)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack_bytes && STACKS_AS_ASKED)
		pthread_attr_setstacksize(&attr, stack_bytes);
	/* a new thread has its maker's mask: no moment in which it could take a signal */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(out ? out : &thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}
