/* SPDX-License-Identifier: MPL-2.0
 *
 * wait.c - the list of those that wait for a container's end or removal. Loop thread.
 */
#include "apiserver/wait.h"

#include <stdint.h>
#include <stdlib.h>

#include "apiserver/job.h"
#include "str.h"

struct ct_waiter {
	struct ct_waiter *next;
	enum ct_wait_for what;
	ct_wait_fn *fn;
	void *arg;
	uint64_t seq;
};

static uint64_t next_seq = 1;

struct ct_waiter *ct_wait(struct container *ct, enum ct_wait_for what, ct_wait_fn *fn, void *arg)
{
	struct ct_waiter *w = xcalloc(1, sizeof(*w));
	struct ct_waiter **end;

	assert_loop_thread();
	w->what = what;
	w->fn = fn;
	w->arg = arg;
	w->seq = next_seq++;
	for (end = &ct->waiters; *end; end = &(*end)->next)
		;
	*end = w; /* first come, first told */
	return w;
}

void ct_wait_cancel(struct container *ct, struct ct_waiter *w)
{
	for (struct ct_waiter **p = &ct->waiters; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			free(w);
			return;
		}
	}
}

static struct ct_waiter *take_next(struct container *ct, uint64_t before, bool removed)
{
	for (struct ct_waiter **p = &ct->waiters; *p; p = &(*p)->next) {
		struct ct_waiter *w = *p;

		if (w->seq < before && (removed || w->what == WAIT_EXIT)) {
			*p = w->next;
			return w;
		}
	}
	return NULL;
}

/* A callback may wait again (that is for the next time) or cancel others: the list is looked at
 * afresh for each. */
static void tell(struct container *ct, bool removed)
{
	uint64_t before = next_seq;
	struct ct_waiter *w;

	container_ref(ct);
	while ((w = take_next(ct, before, removed))) {
		w->fn(ct, w->arg, removed);
		free(w);
	}
	container_unref(ct);
}

void ct_wait_exited(struct container *ct)
{
	tell(ct, false);
}

void ct_wait_removed(struct container *ct)
{
	tell(ct, true);
}
