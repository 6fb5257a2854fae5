/* SPDX-License-Identifier: MPL-2.0
 *
 * watchman.c - see watchman.h.
 *
 * Design. risk is odd while the loop's thread is inside, and whoever raises it from that value has the loop: the thread that
 * comes back, or the one that was made to go on. The watchman sleeps while nobody enters anything.
 */
#include "watchman.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "str.h"
#include "thread.h"

struct heir {
	struct watchman *w;
	uint32_t risk;
};

/* Takes the loop over, unless its thread has come back meanwhile. */
static void *inherit(void *arg)
{
	struct heir h = *(struct heir *)arg;

	free(arg);
	(void)pthread_setname_np(pthread_self(), h.w->name);
	if (atomic_compare_exchange_strong(&h.w->risk, &h.risk, h.risk + 1))
		h.w->inherit(h.w->arg);
	return NULL;
}

static int take_over(struct watchman *w, uint32_t risk)
{
	struct heir *h = xmalloc(sizeof(*h));
	int rc;

	*h = (struct heir){ w, risk };
	if ((rc = thread_start(NULL, 0, inherit, h)) < 0)
		free(h);
	return rc;
}

static void *watch(void *arg)
{
	struct watchman *w = arg;
	const struct timespec span = { .tv_nsec = WATCHMAN_NS };
	uint32_t tried = 0, seen, now;

	(void)pthread_setname_np(pthread_self(), "watchman");
	for (;;) {
		seen = atomic_load(&w->risk);
		(void)nanosleep(&span, NULL);
		now = atomic_load(&w->risk);
		if (now == seen && (now & 1) && now != tried) {
			if (take_over(w, now) == 0)
				tried = now;
		} else if (now == seen && !(now & 1)) {
			atomic_store(&w->asleep, 1);
			if (atomic_load(&w->risk) == now)
				(void)syscall(SYS_futex, &w->asleep, FUTEX_WAIT_PRIVATE, 1, NULL,
					      NULL, 0);
			atomic_store(&w->asleep, 0);
		}
	}
	return NULL;
}

uint32_t watchman_enter(struct watchman *w)
{
	uint32_t token;

	if (!w->started)
		w->started = thread_start(NULL, 0, watch, w) == 0;
	token = atomic_fetch_add(&w->risk, 1) + 1;
	if (atomic_load(&w->asleep) && atomic_exchange(&w->asleep, 0))
		(void)syscall(SYS_futex, &w->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return token;
}

bool watchman_leave(struct watchman *w, uint32_t token)
{
	return atomic_compare_exchange_strong(&w->risk, &token, token + 1);
}
