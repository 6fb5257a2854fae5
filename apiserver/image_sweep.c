/* SPDX-License-Identifier: MPL-2.0
 *
 * image_sweep.c - see image_sweep.h.
 *
 * Design: one job at a time; a call while it runs has it run once more. What is hidden without a container is held by
 * some other job (a save, a build), whose end nobody tells: it is looked at again after a while.
 *
 * Failure: killed before the sweep, the next start sweeps.
 */
#include "apiserver/image_sweep.h"

#include <stdlib.h>
#include <uv.h>

#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_remove.h"
#include "apiserver/job.h"
#include "cleanup.h"
#include "str.h"

#define AGAIN_MS 2000

struct sweep_job {
	struct job job;
	size_t n_held;
};

static struct {
	bool running, again, has_timer;
	uv_timer_t timer;
} sweep;

static int sweep_run(struct job *job, struct err *err)
{
	struct sweep_job *sj = container_of(job, struct sweep_job, job);

	(void)err;
	sj->n_held = image_hidden_collect();
	layer_collect();
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	image_sweep();
}

static void sweep_done(struct job *job)
{
	struct sweep_job *sj = container_of(job, struct sweep_job, job);
	bool again = sweep.again, held = sj->n_held > 0;

	free(sj);
	sweep.running = sweep.again = false;
	if (again)
		image_sweep();
	else if (held)
		uv_timer_start(&sweep.timer, on_timer, AGAIN_MS, 0);
}

void image_sweep(void)
{
	struct sweep_job *sj;

	assert_loop_thread();
	if (sweep.running) {
		sweep.again = true;
		return;
	}
	if (!image_any_hidden())
		return;
	if (!sweep.has_timer) {
		uv_timer_init(uv_default_loop(), &sweep.timer);
		uv_unref((uv_handle_t *)&sweep.timer);
		sweep.has_timer = true;
	}
	sweep.running = true;
	sj = xcalloc(1, sizeof(*sj));
	sj->job = (struct job){ .run = sweep_run, .done = sweep_done, .what = "image sweep" };
	job_submit(LANE_QUERY, &sj->job);
}
