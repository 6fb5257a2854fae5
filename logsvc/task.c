/* SPDX-License-Identifier: MPL-2.0
 *
 * task.c - a locked list and an eventfd per loop. Tasks are rare (a zone comes, a reader asks); bytes
 * of logs never travel this way.
 */
#include "task.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "str.h"

int task_queue_init(struct task_queue *q, struct err *err)
{
	pthread_mutex_init(&q->lock, NULL);
	q->head = NULL;
	q->tail = &q->head;
	q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->event_fd < 0)
		return err_sys(err, "eventfd");
	return 0;
}

void task_post(struct task_queue *q, void (*fn)(void *arg), void *arg)
{
	struct task *t = xcalloc(1, sizeof(*t));
	uint64_t one = 1;
	bool first;

	t->fn = fn;
	t->arg = arg;
	pthread_mutex_lock(&q->lock);
	first = !q->head;
	*q->tail = t;
	q->tail = &t->next;
	pthread_mutex_unlock(&q->lock);
	if (first && write(q->event_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable anyway */
}

void task_run(struct task_queue *q)
{
	struct task *t, *next;
	uint64_t n;

	if (read(q->event_fd, &n, sizeof(n)) < 0)
		n = 0;
	pthread_mutex_lock(&q->lock);
	t = q->head;
	q->head = NULL;
	q->tail = &q->head;
	pthread_mutex_unlock(&q->lock);
	for (; t; t = next) {
		next = t->next;
		t->fn(t->arg);
		free(t);
	}
}
