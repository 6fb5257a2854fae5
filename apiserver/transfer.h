/* SPDX-License-Identifier: MPL-2.0
 *
 * transfer.h - what pull and push share: a few helper threads for the layers of one image, and
 * progress lines from all of them. Worker.
 */
#ifndef APISERVER_TRANSFER_H
#define APISERVER_TRANSFER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "apiserver/job.h"
#include "apiserver/progress.h"
#include "err.h"

struct transfer {
	struct job *job;
	struct progress *progress;
	pthread_mutex_t lock; /* of progress and of the user's states */
	pthread_cond_t cond;
	atomic_bool abort; /* one failed: the others stop */
};

void transfer_init(struct transfer *t, struct job *job, struct progress *p);
void transfer_fini(struct transfer *t);
/* arg: a struct transfer. The client has gone, or another part failed. */
bool transfer_stopped(void *arg);

/* Lines, from any of its threads. */
void transfer_line(struct transfer *t, const char *id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4))); /* with "progressDetail": {} when there is an id */
void transfer_bar(struct transfer *t, const char *id, const char *action, int64_t now, int64_t total);
void transfer_aux(struct transfer *t, const char *json); /* {"progressDetail": {}, "aux": json} */

/* A wait between attempts, told to the client; false: stopped. */
bool transfer_backoff(struct transfer *t, const char *id, unsigned attempt);

/* Calls fn(arg, 0 .. n-1) on so many helper threads, in this order; at once returns. */
struct transfer_group;
struct transfer_group *transfer_spread(size_t n, size_t threads, void (*fn)(void *arg, size_t i), void *arg);
void transfer_join(struct transfer_group *g); /* waits for all calls; frees */

#endif
