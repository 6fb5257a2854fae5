/* SPDX-License-Identifier: MPL-2.0
 *
 * transfer_limits.c - places for layers that are downloaded or uploaded.
 *
 * Design: one gate for each way, for the whole daemon, as with Docker. Who finds it full enters a queue on his own stack and
 * is let in by who leaves; who is stopped while he waits takes himself out. With a limit of 0 the gate is open.
 *
 * Threads: a gate's mutex guards its queue and its counter. No other lock is taken below it.
 */
#include "apiserver/transfer_limits.h"

#include <time.h>

#include "apiserver/engine.h"
#include "conf.h"

#define THREADS_MAX	16 /* of one image */
#define UPLOAD_ATTEMPTS 5  /* Docker has no setting for it */
#define LOOK_MS		200 /* how often who waits looks whether he is stopped */

struct waiter {
	struct waiter *next;
	bool in;
};

static struct gate {
	const char *key;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	size_t inside;
	struct waiter *head;
} gates[] = {
	[TRANSFER_DOWN] = { "max-concurrent-downloads", PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL },
	[TRANSFER_UP] = { "max-concurrent-uploads", PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL },
};

static size_t limit_of(const struct gate *g)
{
	return (size_t)conf_int(engine->conf, g->key);
}

size_t transfer_threads(enum transfer_way way, size_t n)
{
	size_t limit = limit_of(&gates[way]), most = limit && limit < THREADS_MAX ? limit : THREADS_MAX;

	return n < most ? n : most;
}

unsigned transfer_attempts(enum transfer_way way)
{
	int64_t n = way == TRANSFER_UP ? UPLOAD_ATTEMPTS : conf_int(engine->conf, "max-download-attempts");

	return n < 1 ? 1 : n > 1000 ? 1000 : (unsigned)n;
}

static void enqueue(struct gate *g, struct waiter *w)
{
	struct waiter **at = &g->head;

	while (*at)
		at = &(*at)->next;
	*at = w;
}

static void dequeue(struct gate *g, struct waiter *w)
{
	struct waiter **at = &g->head;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

static void wait_a_while(struct gate *g)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += LOOK_MS * 1000000L;
	ts.tv_sec += ts.tv_nsec / 1000000000L;
	ts.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&g->cond, &g->lock, &ts);
}

static bool await_place(struct gate *g, struct waiter *w, struct transfer *t)
{
	bool in;

	for (;;) {
		bool stopped = transfer_stopped(t);

		pthread_mutex_lock(&g->lock);
		if (!w->in && !stopped)
			wait_a_while(g);
		in = w->in;
		if (!in && stopped)
			dequeue(g, w);
		pthread_mutex_unlock(&g->lock);
		if (in || stopped)
			return in;
	}
}

bool transfer_enter(enum transfer_way way, struct transfer *t, const char *id)
{
	struct gate *g = &gates[way];
	size_t limit = limit_of(g);
	struct waiter w = { 0 };

	pthread_mutex_lock(&g->lock);
	w.in = !limit || (g->inside < limit && !g->head);
	if (w.in)
		g->inside++;
	else
		enqueue(g, &w);
	pthread_mutex_unlock(&g->lock);
	if (w.in)
		return true;
	transfer_line(t, id, "Waiting");
	return await_place(g, &w, t);
}

void transfer_leave(enum transfer_way way)
{
	struct gate *g = &gates[way];

	pthread_mutex_lock(&g->lock);
	if (g->head) { /* the place is his */
		g->head->in = true;
		g->head = g->head->next;
		pthread_cond_broadcast(&g->cond);
	} else {
		g->inside--;
	}
	pthread_mutex_unlock(&g->lock);
}
