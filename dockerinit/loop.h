/* SPDX-License-Identifier: MPL-2.0
 *
 * loop.h - zoneadmd's event loop: epoll, one event per turn (so a handler may free any source), and
 * a few timers. One thread.
 */
#ifndef DOCKERINIT_LOOP_H
#define DOCKERINIT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "err.h"

/* Embedded in its owner, zeroed before use. fd stays the owner's; loop_del before closing it. */
struct source {
	int fd;
	bool added;
	void (*on_event)(struct source *s, uint32_t events);
};

struct timer {
	int64_t due_ns; /* CLOCK_MONOTONIC; 0: not set */
	void (*on_due)(struct timer *t);
	struct timer *next;
	bool linked;
};

int loop_init(struct err *err);
int loop_add(struct source *s, uint32_t events, struct err *err);
void loop_mod(struct source *s, uint32_t events);
void loop_del(struct source *s);
void timer_set(struct timer *t, int64_t after_ms);
void timer_stop(struct timer *t);
void loop_run(void); /* until loop_end */
void loop_end(void);

#endif
