/* SPDX-License-Identifier: MPL-2.0
 *
 * transfer.c - helper threads and progress of pull and push.
 *
 * Design: progress.c has one writer; the lock makes many into one. A group takes its items in order,
 * so that what is waited for first is begun first. When no thread can be started the caller's does
 * the work.
 */
#include "apiserver/transfer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "buf.h"
#include "cleanup.h"
#include "jw.h"
#include "str.h"

void transfer_init(struct transfer *t, struct job *job, struct progress *p)
{
	*t = (struct transfer){ .job = job, .progress = p };
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->cond, NULL);
	atomic_init(&t->abort, false);
}

void transfer_fini(struct transfer *t)
{
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->cond);
}

bool transfer_stopped(void *arg)
{
	struct transfer *t = arg;
	bool gone;

	if (atomic_load(&t->abort) || job_cancelled(t->job))
		return true;
	pthread_mutex_lock(&t->lock);
	gone = progress_gone(t->progress);
	pthread_mutex_unlock(&t->lock);
	return gone;
}

void transfer_line(struct transfer *t, const char *id, const char *fmt, ...)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_free char *text = NULL;
	struct jw w = JW(&b);
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	jw_obj(&w, NULL);
	jw_str(&w, "status", text);
	if (id) {
		jw_obj(&w, "progressDetail");
		jw_end(&w);
		jw_str(&w, "id", id);
	}
	jw_end(&w);
	pthread_mutex_lock(&t->lock);
	progress_line(t->progress, buf_str(&b));
	pthread_mutex_unlock(&t->lock);
}

void transfer_bar(struct transfer *t, const char *id, const char *action, int64_t now, int64_t total)
{
	pthread_mutex_lock(&t->lock);
	progress_bar(t->progress, id, action, now, total);
	pthread_mutex_unlock(&t->lock);
}

void transfer_aux(struct transfer *t, const char *json)
{
	cleanup_free char *line = xasprintf("{\"progressDetail\":{},\"aux\":%s}", json);

	pthread_mutex_lock(&t->lock);
	progress_line(t->progress, line);
	pthread_mutex_unlock(&t->lock);
}

bool transfer_backoff(struct transfer *t, const char *id, unsigned attempt)
{
	const struct timespec tick = { 0, 100 * 1000000L };
	int ms = 500 << (attempt < 5 ? attempt : 5);

	for (; ms > 0; ms -= 100) {
		if (transfer_stopped(t))
			return false;
		if (ms % 1000 == 0)
			transfer_line(t, id, "Retrying in %d second%s", ms / 1000, ms > 1000 ? "s" : "");
		nanosleep(&tick, NULL);
	}
	return !transfer_stopped(t);
}

/* ---------------------------------------------------------------- groups */

struct transfer_group {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
	size_t n_threads;
	pthread_t threads[];
};

static void *group_main(void *arg)
{
	struct transfer_group *g = arg;
	size_t i;

	while ((i = atomic_fetch_add(&g->next, 1)) < g->n)
		g->fn(g->arg, i);
	return NULL;
}

struct transfer_group *transfer_spread(size_t n, size_t threads, void (*fn)(void *arg, size_t i), void *arg)
{
	struct transfer_group *g = xcalloc(1, sizeof(*g) + threads * sizeof(g->threads[0]));

	g->fn = fn;
	g->arg = arg;
	g->n = n;
	atomic_init(&g->next, 0);
	while (g->n_threads < threads && g->n_threads < n &&
	       pthread_create(&g->threads[g->n_threads], NULL, group_main, g) == 0)
		g->n_threads++;
	if (!g->n_threads)
		group_main(g);
	return g;
}

void transfer_join(struct transfer_group *g)
{
	for (size_t i = 0; i < g->n_threads; i++)
		pthread_join(g->threads[i], NULL);
	free(g);
}
