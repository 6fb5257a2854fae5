/* SPDX-License-Identifier: MPL-2.0
 *
 * loop.c - epoll, timers and tasks of one thread.
 *
 * Design. Level-triggered epoll; every callback does a bounded amount of work and returns, so that
 * the kernel's ready list is the round robin between zones, readers and clients. Timers are few (a zone that pauses, a
 * full disk) and sit in one unsorted list with the earliest time kept aside; those due within
 * TIMER_SLACK_NS are taken along. An idle thread has no timer set and sleeps without end.
 *
 * A callback that enters what may block says so (loop_risk). A watchman (watchman.h) looks after it, and when it takes too long,
 * makes another thread that goes on where the blocked one was; that one ends when it comes back.
 *
 * Threads: everything but loop_new, _post and _stop belongs to the loop's own thread.
 */
#define LOG_MODULE "loop"
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "str.h"
#include "task.h"
#include "thread.h"

#define N_EVENTS       64
#define TIMER_SLACK_NS 100000

struct loop {
	int epoll_fd;
	sem_t ended;
	struct task_queue tasks;
	struct source tasks_src;
	struct timer *timers, *due; /* due: run_timers is calling them */
	int64_t next_ns; /* no timer is due before */
	void **dead;
	size_t n_dead, cap_dead;
	atomic_bool stopping;
	/* loop_risk */
	struct watchman watchman;
	void (*taken)(void *arg);
	void *taken_arg;
};

static _Thread_local bool lost; /* another thread runs this one's loop */
static _Thread_local uint32_t my_risk; /* watchman_enter's */

int loop_watch(struct loop *loop, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };
	int op = src->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (src->watched && src->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, op, src->fd, &ev) < 0) {
		log_err("epoll_ctl", "fd=%d: %s", src->fd, strerror(errno));
		return -errno;
	}
	src->watched = true;
	src->events = events;
	return 0;
}

void loop_unwatch(struct loop *loop, struct source *src)
{
	if (!src->watched)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	src->watched = false;
}

void loop_timer(struct loop *loop, struct timer *t, int64_t delay_ns)
{
	t->at_ns = mono_ns() + delay_ns;
	if (!t->prev) {
		t->next = loop->timers;
		t->prev = &loop->timers;
		if (t->next)
			t->next->prev = &t->next;
		loop->timers = t;
	}
	if (t->at_ns < loop->next_ns)
		loop->next_ns = t->at_ns;
}

void loop_timer_stop(struct timer *t)
{
	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
	t->next = NULL;
}

static void run_due(struct loop *loop)
{
	while (!lost && loop->due) {
		struct timer *t = loop->due;

		loop_timer_stop(t);
		t->on_time(t);
	}
}

/* Callbacks may set and stop any timer, so those due are moved to a list of their own first. */
static void run_timers(struct loop *loop)
{
	int64_t now, soonest = INT64_MAX;
	struct timer *t, *next;

	if (!loop->timers || (now = mono_ns()) + TIMER_SLACK_NS < loop->next_ns)
		return;
	for (t = loop->timers; t; t = next) {
		next = t->next;
		if (t->at_ns > now + TIMER_SLACK_NS) {
			if (t->at_ns < soonest)
				soonest = t->at_ns;
			continue;
		}
		loop_timer_stop(t);
		t->next = loop->due;
		t->prev = &loop->due;
		if (t->next)
			t->next->prev = &t->next;
		loop->due = t;
	}
	loop->next_ns = soonest;
	run_due(loop);
}

void loop_free_later(struct loop *loop, void *p)
{
	if (loop->n_dead == loop->cap_dead) {
		loop->cap_dead = loop->cap_dead ? 2 * loop->cap_dead : 16;
		loop->dead = xrealloc(loop->dead, loop->cap_dead * sizeof(*loop->dead));
	}
	loop->dead[loop->n_dead++] = p;
}

static int wait_events(struct loop *loop, struct epoll_event *ev)
{
	struct timespec ts, *timeout = NULL;
	int n;

	if (loop->timers) {
		int64_t left = loop->next_ns - mono_ns();

		if (left < 0)
			left = 0;
		ts.tv_sec = left / 1000000000;
		ts.tv_nsec = left % 1000000000;
		timeout = &ts;
	}
	n = epoll_pwait2(loop->epoll_fd, ev, N_EVENTS, timeout, NULL);
	if (n < 0 && errno == ENOSYS) /* before Linux 5.11: whole milliseconds */
		n = epoll_wait(loop->epoll_fd, ev, N_EVENTS,
			       timeout ? (int)(ts.tv_sec * 1000 + (ts.tv_nsec + 999999) / 1000000) : -1);
	return n;
}

static void go(struct loop *loop)
{
	struct epoll_event ev[N_EVENTS];

	while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed)) {
		int n = wait_events(loop, ev);

		for (int i = 0; i < n; i++) {
			struct source *src = ev[i].data.ptr;

			if (src->watched) /* an earlier callback may have ended it */
				src->on_event(src, ev[i].events);
			if (lost)
				return;
		}
		run_timers(loop);
		if (lost)
			return;
		for (size_t i = 0; i < loop->n_dead; i++)
			free(loop->dead[i]);
		loop->n_dead = 0;
	}
	sem_post(&loop->ended);
}

static void *run(void *arg)
{
	struct loop *loop = arg;

	(void)pthread_setname_np(pthread_self(), loop->watchman.name);
	go(loop);
	return NULL;
}

/* ---- what may block ----------------------------------------------------------------------------- */

static void inherit(void *arg)
{
	struct loop *loop = arg;

	loop->taken(loop->taken_arg);
	run_due(loop);
	if (!lost)
		go(loop);
}

void loop_risk(struct loop *loop, void (*taken)(void *arg), void *arg)
{
	loop->taken = taken;
	loop->taken_arg = arg;
	my_risk = watchman_enter(&loop->watchman);
}

bool loop_risk_over(struct loop *loop)
{
	if (!watchman_leave(&loop->watchman, my_risk))
		lost = true;
	return !lost;
}

static void on_tasks(struct source *src, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)src - offsetof(struct loop, tasks_src));

	(void)events;
	task_run(&loop->tasks);
}

struct loop *loop_new(const char *name, struct err *err)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	int rc;

	loop->next_ns = INT64_MAX;
	(void)sem_init(&loop->ended, 0, 0);
	str_copy(loop->watchman.name, sizeof(loop->watchman.name), name);
	loop->watchman.inherit = inherit;
	loop->watchman.arg = loop;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		err_sys(err, "make the %s thread", name);
		return NULL;
	}
	if (task_queue_init(&loop->tasks, err) < 0)
		return NULL;
	loop->tasks_src.fd = loop->tasks.event_fd;
	loop->tasks_src.on_event = on_tasks;
	if ((rc = loop_watch(loop, &loop->tasks_src, EPOLLIN)) == 0)
		rc = thread_start(NULL, 0, run, loop);
	if (rc < 0) {
		err_sysnum(err, rc, "start the %s thread", name);
		return NULL;
	}
	return loop;
}

static void nothing(void *arg)
{
	(void)arg;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	loop_post(loop, nothing, NULL);
	while (sem_wait(&loop->ended) < 0 && errno == EINTR)
		;
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	task_post(&loop->tasks, fn, arg);
}
