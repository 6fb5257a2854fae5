/* SPDX-License-Identifier: MPL-2.0
 *
 * loop.h - a thread with an epoll loop, timers and tasks: control, capture and reader threads are these.
 */
#ifndef LOGSVC_LOOP_H
#define LOGSVC_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "watchman.h"

struct loop;

/* Something that the loop watches; embedded in its owner. */
struct source {
	int fd; /* -1: not watched */
	uint32_t events;
	bool watched;
	void (*on_event)(struct source *src, uint32_t events);
};

/* Something that wants to be called at a time; embedded in its owner. One list, looked through only
 * when the earliest is due. */
struct timer {
	struct timer *next, **prev; /* prev NULL: not set */
	int64_t at_ns;		    /* mono_ns() */
	void (*on_time)(struct timer *t);
};

struct loop *loop_new(const char *name, struct err *err); /* starts the thread */
void loop_stop(struct loop *loop);	      /* from another thread: ends it after its turn */
/* Any thread. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* the loop's thread */
int loop_watch(struct loop *loop, struct source *src, uint32_t events); /* or changes events */
void loop_unwatch(struct loop *loop, struct source *src);
void loop_timer(struct loop *loop, struct timer *t, int64_t delay_ns);
void loop_timer_stop(struct timer *t);
/* Around what may block for as long as somebody else likes; from on_event and on_time only, not nested. Once it has taken
 * RISK_NS, another thread runs the loop, and taken(arg) first. False: that has happened; the caller may touch nothing of the
 * loop's any more but loop_post, and returns at once. */
#define RISK_NS WATCHMAN_NS
void loop_risk(struct loop *loop, void (*taken)(void *arg), void *arg);
bool loop_risk_over(struct loop *loop);
/* Frees when no event in hand can name it any more. */
void loop_free_later(struct loop *loop, void *p);

#endif
