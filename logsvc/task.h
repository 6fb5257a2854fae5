/* SPDX-License-Identifier: MPL-2.0
 *
 * task.h - how logsvc's threads talk: calls posted to another thread's loop, run there in order.
 */
#ifndef LOGSVC_TASK_H
#define LOGSVC_TASK_H

#include <pthread.h>
#include <stdbool.h>

#include "err.h"

struct task {
	struct task *next;
	void (*fn)(void *arg);
	void *arg;
};

struct task_queue {
	pthread_mutex_t lock;
	struct task *head, **tail;
	int event_fd; /* readable while something waits */
};

int task_queue_init(struct task_queue *q, struct err *err);
/* Any thread. */
void task_post(struct task_queue *q, void (*fn)(void *arg), void *arg);
/* The loop's thread, when event_fd is readable. */
void task_run(struct task_queue *q);

#endif
