/* SPDX-License-Identifier: MPL-2.0
 *
 * loop.c - see loop.h. Timers are a short unsorted list: a zone has a handful.
 */
#include "loop.h"

#include <stddef.h>
#include <sys/epoll.h>

#include "str.h"

static int epoll_fd = -1;
static bool ended;
static struct timer *timers;

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

void loop_run(void)
{
	struct epoll_event ev;

	while (!ended) {
		int timeout = next_timeout();

		if (ended)
			break;
		if (epoll_wait(epoll_fd, &ev, 1, timeout) == 1) {
			struct source *s = ev.data.ptr;

			s->on_event(s, ev.events);
		}
	}
}

void loop_end(void)
{
	ended = true;
}
