/* SPDX-License-Identifier: MPL-2.0
 *
 * attach_output.c - a container's end is told after its last output.
 *
 * Output reaches an attached client by way of logsvc, the end by way of zoneadmd. Client libraries
 * take the answer of POST wait, or the event, for the end of the output, too, as they may with
 * Docker, which waits for its copies of the streams, for two seconds, before it sets the state. So
 * does the end here. And a client that reads several connections may find the answer first although the output was there
 * before it: a client is through with its output when it has taken it from its socket (hijack_opts.until_taken).
 *
 * Threads: loop.
 */
#include "apiserver/attach_output.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "apiserver/job.h"
#include "str.h"

#define DRAIN_MS 2000 /* moby: StreamConfig.Wait in handleContainerExit */

struct drain {
	uv_timer_t timer;
	struct drain *next;
	struct container *ct;
	void (*fn)(void *arg);
	void *arg;
};

static struct drain *drains;

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void drain_done(struct drain *d)
{
	struct drain **p;

	for (p = &drains; *p != d; p = &(*p)->next)
		;
	*p = d->next;
	d->fn(d->arg);
	container_unref(d->ct);
	uv_close((uv_handle_t *)&d->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
	drain_done(timer->data);
}

void attach_output_begin(struct container *ct)
{
	assert_loop_thread();
	ct->n_output_clients++;
}

/* A callback may begin another run of the container: only those that wait now are looked at. */
void attach_output_end(struct container *ct)
{
	struct drain *d, *next;

	assert_loop_thread();
	assert(ct->n_output_clients > 0);
	if (--ct->n_output_clients > 0)
		return;
	for (d = drains; d; d = next) {
		next = d->next;
		if (d->ct == ct) {
			drain_done(d);
			return; /* a run has one end */
		}
	}
}

void attach_output_drained(struct container *ct, void (*fn)(void *arg), void *arg)
{
	struct drain *d;

	assert_loop_thread();
	if (ct->n_output_clients == 0) {
		fn(arg);
		return;
	}
	d = xcalloc(1, sizeof(*d));
	d->ct = container_ref(ct);
	d->fn = fn;
	d->arg = arg;
	d->next = drains;
	drains = d;
	uv_timer_init(uv_default_loop(), &d->timer);
	d->timer.data = d;
	uv_timer_start(&d->timer, on_timer, DRAIN_MS, 0);
}
