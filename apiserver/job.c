/* SPDX-License-Identifier: MPL-2.0
 *
 * job.c - worker threads for work that ends and may block.
 *
 * Design: four lanes, each a FIFO with its own threads, so that slow work of one kind never delays
 * the others. Threads are started when a job finds no idle one, up to the lane's limit, and then
 * stay. A finished job goes to one list that a uv_async empties on the loop, where done is called.
 *
 * Threads: a lane's mutex guards its queue and counters; done_mutex the list of what waits for the
 * loop (finished jobs and loop_post calls, in one order). Workers have every signal blocked.
 *
 * Failure: a full lane or a lane after job_shutdown does not run the job; its done is called soon
 * with rc -EAGAIN and err UNAVAILABLE.
 */
#include "job.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "job_stats.h"
#include "str.h"
#include "thread.h"

#define LOG_MODULE "job"
#include "log.h"

#define WORKER_STACK_BYTES (512 * 1024)
#define SHUTDOWN_S	   8
#define SLOW_JOB_NS	   (30 * 1000000000LL)

struct lane {
	const char *name;
	unsigned max_threads, max_queue;
	pthread_mutex_t mutex;
	pthread_cond_t work, idle_all;
	struct job *head, **tail;
	unsigned n_threads, n_idle, n_queued;
	uint64_t n_done, n_refused, n_failed;
	struct job *running[16]; /* for the dump: one slot a thread */
	int64_t running_since[16];
};

static struct lane lanes[LANE_COUNT] = {
	[LANE_LIFECYCLE] = { .name = "lifecycle", .max_threads = 12, .max_queue = 1024 },
	[LANE_TRANSFER] = { .name = "transfer", .max_threads = 8, .max_queue = 256 },
	[LANE_QUERY] = { .name = "query", .max_threads = 6, .max_queue = 1024 },
	/* a build is long, and mostly waits for its zones: no pull waits behind one */
	[LANE_BUILD] = { .name = "build", .max_threads = 8, .max_queue = 64 },
};

/* What waits for the loop: a finished job, or a posted call. */
struct post {
	void (*fn)(void *arg);
	void *arg;
	struct post *next;
};

static pthread_mutex_t done_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct job *done_head, **done_tail = &done_head;
static struct post *post_head, **post_tail = &post_head;
static uv_async_t async;
static bool inited;
static atomic_bool stopping;
static pthread_t loop_thread;

void assert_loop_thread(void)
{
	assert(!inited || pthread_equal(pthread_self(), loop_thread));
}

static void finish(struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&done_mutex);
	*done_tail = job;
	done_tail = &job->next;
	pthread_mutex_unlock(&done_mutex);
	uv_async_send(&async);
}

void loop_post(void (*fn)(void *arg), void *arg)
{
	struct post *p = xmalloc(sizeof(*p));

	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&done_mutex);
	*post_tail = p;
	post_tail = &p->next;
	pthread_mutex_unlock(&done_mutex);
	if (inited)
		uv_async_send(&async);
}

/* Posts go first: what a job posted while it ran comes before its own done. */
static bool drain(void)
{
	struct job *job;
	struct post *post;

	pthread_mutex_lock(&done_mutex);
	job = done_head;
	done_head = NULL;
	done_tail = &done_head;
	post = post_head;
	post_head = NULL;
	post_tail = &post_head;
	pthread_mutex_unlock(&done_mutex);
	if (!job && !post)
		return false;
	while (post) {
		struct post *next = post->next;

		post->fn(post->arg);
		free(post);
		post = next;
	}
	while (job) {
		struct job *next = job->next;

		job->done(job);
		job = next;
	}
	return true;
}

static void on_async(uv_async_t *handle)
{
	(void)handle;
	drain();
}

static void run_one(struct lane *lane, unsigned slot, struct job *job)
{
	int64_t started_ns = mono_ns(), took_ns;

	lane->running[slot] = job;
	lane->running_since[slot] = started_ns;
	pthread_mutex_unlock(&lane->mutex);
	job->rc = job->run(job, &job->err);
	took_ns = mono_ns() - started_ns;
	if (took_ns > SLOW_JOB_NS)
		log_info("slow job", "what=%s lane=%s s=%lld", job->what ? job->what : "?",
			 lane->name, (long long)(took_ns / 1000000000));
	pthread_mutex_lock(&lane->mutex);
	lane->running[slot] = NULL;
	lane->n_done++;
	if (job->rc < 0)
		lane->n_failed++;
	finish(job);
}

struct worker_arg {
	struct lane *lane;
	unsigned slot;
};

static void *worker(void *arg)
{
	struct worker_arg wa = *(struct worker_arg *)arg;
	struct lane *lane = wa.lane;

	free(arg);
	pthread_mutex_lock(&lane->mutex);
	for (;;) {
		struct job *job;

		while (!lane->head && !stopping) {
			lane->n_idle++;
			pthread_cond_signal(&lane->idle_all);
			pthread_cond_wait(&lane->work, &lane->mutex);
			lane->n_idle--;
		}
		job = lane->head;
		if (!job)
			break;
		lane->head = job->next;
		if (!lane->head)
			lane->tail = &lane->head;
		lane->n_queued--;
		run_one(lane, wa.slot, job);
	}
	lane->n_threads--;
	pthread_cond_signal(&lane->idle_all);
	pthread_mutex_unlock(&lane->mutex);
	return NULL;
}

/* With the lane locked. A thread that cannot be made is no error while others run. */
static bool add_worker(struct lane *lane)
{
	struct worker_arg *wa = xmalloc(sizeof(*wa));
	int rc;

	*wa = (struct worker_arg){ .lane = lane, .slot = lane->n_threads };
	rc = thread_start(NULL, WORKER_STACK_BYTES, worker, wa);
	if (rc < 0) {
		log_warn("cannot start a worker thread", "lane=%s errno=%d", lane->name, -rc);
		free(wa);
		return false;
	}
	lane->n_threads++;
	return true;
}

int job_init(void)
{
	int rc;

	for (int i = 0; i < LANE_COUNT; i++) {
		pthread_mutex_init(&lanes[i].mutex, NULL);
		pthread_cond_init(&lanes[i].work, NULL);
		pthread_cond_init(&lanes[i].idle_all, NULL);
		lanes[i].tail = &lanes[i].head;
	}
	stopping = false;
	loop_thread = pthread_self();
	rc = uv_async_init(uv_default_loop(), &async, on_async);
	if (rc < 0)
		return rc;
	uv_unref((uv_handle_t *)&async);
	inited = true;
	uv_async_send(&async);
	return 0;
}

void job_submit(enum job_lane which, struct job *job)
{
	struct lane *lane = &lanes[which];
	bool ok = true;

	assert_loop_thread();
	job->lane = which;
	job->next = NULL;
	job->rc = 0;
	job->queued_ns = mono_ns();
	pthread_mutex_lock(&lane->mutex);
	if (stopping || lane->n_queued >= lane->max_queue)
		ok = false;
	if (ok && lane->n_queued >= lane->n_idle && lane->n_threads < lane->max_threads &&
	    !add_worker(lane) && lane->n_threads == 0)
		ok = false;
	if (ok) {
		*lane->tail = job;
		lane->tail = &job->next;
		lane->n_queued++;
		pthread_cond_signal(&lane->work);
	} else {
		lane->n_refused++;
	}
	pthread_mutex_unlock(&lane->mutex);
	if (ok)
		return;
	job->rc = err_kind(&job->err, ERR_UNAVAILABLE, "%s",
			   stopping ? "the daemon is shutting down" : "too many requests");
	finish(job);
}

int job_lane_ahead(enum job_lane which)
{
	struct lane *lane = &lanes[which];
	int ahead = 0;

	pthread_mutex_lock(&lane->mutex);
	if (stopping || lane->n_queued >= lane->max_queue)
		ahead = -1;
	else if (lane->n_queued >= lane->n_idle && lane->n_threads == lane->max_threads)
		ahead = (int)(lane->n_threads + lane->n_queued);
	pthread_mutex_unlock(&lane->mutex);
	return ahead;
}

void job_cancel(struct job *job)
{
	atomic_store(&job->cancelled, true);
}

/* With the lane locked: a job does not come to its end. What it was at, the next start finds as after a
 * crash; nothing may be freed under its feet. */
static void leave_behind(const struct lane *lane)
{
	for (unsigned i = 0; i < lane->max_threads; i++) {
		if (lane->running[i])
			log_warn("left without waiting for a job", "what=%s lane=%s",
				 lane->running[i]->what ? lane->running[i]->what : "?", lane->name);
	}
	_exit(0);
}

void job_shutdown(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += SHUTDOWN_S;
	if (!inited)
		return;
	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane *lane = &lanes[i];

		pthread_mutex_lock(&lane->mutex);
		stopping = true;
		/* what waits is not begun any more */
		while (lane->head) {
			struct job *job = lane->head;

			lane->head = job->next;
			lane->n_queued--;
			job->rc =
				err_kind(&job->err, ERR_UNAVAILABLE, "the daemon is shutting down");
			finish(job);
		}
		lane->tail = &lane->head;
		/* long ones look at this */
		for (unsigned k = 0; k < lane->max_threads; k++) {
			if (lane->running[k] && (i == LANE_TRANSFER || i == LANE_BUILD))
				job_cancel(lane->running[k]);
		}
		pthread_cond_broadcast(&lane->work);
		while (lane->n_threads > 0) {
			if (pthread_cond_timedwait(&lane->idle_all, &lane->mutex, &deadline) == ETIMEDOUT)
				leave_behind(lane);
		}
		pthread_mutex_unlock(&lane->mutex);
	}
	while (drain())
		;
	inited = false;
	uv_close((uv_handle_t *)&async, NULL);
}

void job_stats_get(enum job_lane which, struct job_stats *out)
{
	struct lane *lane = &lanes[which];
	int64_t now = mono_ns();

	*out = (struct job_stats){ .name = lane->name };
	pthread_mutex_lock(&lane->mutex);
	out->threads = lane->n_threads;
	out->idle = lane->n_idle;
	out->queued = lane->n_queued;
	out->done = lane->n_done;
	out->failed = lane->n_failed;
	out->refused = lane->n_refused;
	for (unsigned i = 0; i < lane->max_threads; i++) {
		if (!lane->running[i])
			continue;
		out->running[out->n_running].what = lane->running[i]->what;
		out->running[out->n_running++].age_ms = (now - lane->running_since[i]) / 1000000;
	}
	pthread_mutex_unlock(&lane->mutex);
}
