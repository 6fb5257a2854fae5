/* SPDX-License-Identifier: MPL-2.0
 *
 * loop.c - see loop.h. Timers are a short unsorted list: a zone has a handful.
 *
 * A loop that has had nothing to do for a while gives back the pages of its stack that deeper calls
 * have touched: there is one such process for each zone, and it mostly sleeps.
 */
#include "loop.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "str.h"

static int epoll_fd = -1;
static bool ended;
static struct timer *timers;

#define IDLE_MS	   300
#define PAGE_BYTES 4096
#define STACK_DEEP (256 * 1024) /* deeper than anything here goes; it need not be mapped */

int loop_init(struct err *err)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? err_sys(err, "epoll_create") : 0;
}

int loop_add(struct source *s, uint32_t events, struct err *err)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		return err_sys(err, "epoll_ctl");
	s->added = true;
	return 0;
}

void loop_mod(struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (s->added)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
}

void loop_del(struct source *s)
{
	if (s->added)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->added = false;
}

void timer_set(struct timer *t, int64_t after_ms)
{
	t->due_ns = mono_ns() + after_ms * 1000000;
	if (!t->linked) {
		t->next = timers;
		timers = t;
		t->linked = true;
	}
}

void timer_stop(struct timer *t)
{
	struct timer **p;

	for (p = &timers; t->linked && *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->linked = false;
	t->due_ns = 0;
}

/* Milliseconds to the next timer, -1 without one; fires one that is due. */
static int next_timeout(void)
{
	struct timer *t, *first = NULL;
	int64_t left;

	for (t = timers; t; t = t->next)
		if (!first || t->due_ns < first->due_ns)
			first = t;
	if (!first)
		return -1;
	left = first->due_ns - mono_ns();
	if (left > 0)
		return left > 3600000000000 ? 3600000 : (int)((left + 999999) / 1000000);
	timer_stop(first);
	first->on_due(first);
	return 0;
}

/* All below the page of our own frame and the one after it is dead (leaf calls use less). */
static void trim_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t top = (here & ~(uintptr_t)(PAGE_BYTES - 1)) - PAGE_BYTES, at;

	/* page by page: the mapping's lower end is not known */
	for (at = top - PAGE_BYTES; at > top - STACK_DEEP; at -= PAGE_BYTES)
		if (madvise((void *)at, PAGE_BYTES, MADV_DONTNEED) < 0)
			break;
}

void loop_run(void)
{
	struct epoll_event ev;
	bool trimmed = false;
	int n;

	while (!ended) {
		int timeout = next_timeout();
		bool idle = !trimmed && (timeout < 0 || timeout > IDLE_MS);

		if (ended)
			break;
		n = epoll_wait(epoll_fd, &ev, 1, idle ? IDLE_MS : timeout);
		if (n == 1) {
			struct source *s = ev.data.ptr;

			trimmed = false;
			s->on_event(s, ev.events);
		} else if (n == 0 && idle) {
			trim_stack();
			trimmed = true;
		}
	}
}

void loop_end(void)
{
	ended = true;
}
