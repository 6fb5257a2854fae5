/* SPDX-License-Identifier: MPL-2.0
 *
 * job.h - work that ends and may block: one plain synchronous function on a worker thread.
 *
 * A job's input is a copy, its output sits in the job (embed struct job in your own struct). run is
 * called on a worker: it must not touch clients, containers, or any uv_*. done is called on the
 * loop thread, always, exactly once, also when the queue was full (rc < 0, err UNAVAILABLE) and at
 * shutdown; it frees the job. Lanes keep sixteen pulls from delaying one stop.
 */
#ifndef APISERVER_JOB_H
#define APISERVER_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum job_lane { LANE_LIFECYCLE, LANE_TRANSFER, LANE_QUERY, LANE_BUILD, LANE_COUNT };

struct job {
	int (*run)(struct job *job, struct err *err); /* worker */
	void (*done)(struct job *job);		      /* loop */
	const char *what;			      /* for the debug dump, static text */
	int rc;					      /* of run */
	struct err err;
	atomic_bool cancelled;
	/* the runner's part */
	enum job_lane lane;
	int64_t queued_ns;
	struct job *next;
};

/* loop thread */
int job_init(void); /* starts the workers; after uv_default_loop() exists */
void job_submit(enum job_lane lane, struct job *job);
/* How many jobs one that is submitted now would wait for; -1: it would be refused. */
int job_lane_ahead(enum job_lane lane);
/* Waits for running jobs, calls done of all. After 8 s it leaves: _exit(0), as after a crash. */
void job_shutdown(void);
/* Calls fn(arg) on the loop thread soon. Any thread. */
void loop_post(void (*fn)(void *arg), void *arg);

/* any thread */
void job_cancel(struct job *job); /* run sees job_cancelled() */
static inline bool job_cancelled(struct job *job)
{
	return atomic_load(&job->cancelled);
}
void assert_loop_thread(void);

#endif
