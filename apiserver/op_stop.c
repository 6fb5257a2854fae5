/* SPDX-License-Identifier: MPL-2.0
 *
 * op_stop.c - signals to containers, and stopping them.
 *
 * Design: a stop waits on the loop, not on a worker:
 *
 *	TERMINATING --exit--> done
 *	    | timeout
 *	KILLING ------exit--> done
 *	    | 10 s
 *	  done with an error: the process cannot be killed
 *
 * Each signal is a short job: tell the restart policy first, then signal, then thaw a frozen zone.
 * Several stops of one container may run side by side (a remove -f comes while a stop waits).
 *
 * Failure: if we die while a stop waits, the signal has been sent and the policy told, but nobody
 * kills after the timeout: the client saw its connection break and asks again.
 */
#define LOG_MODULE "stop"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "apiserver/cgroup.h"
#include "apiserver/ct_ops.h"
#include "apiserver/events.h"
#include "apiserver/job.h"
#include "apiserver/signals.h"
#include "apiserver/wait.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define KILL_WAIT_MS	  15000 /* an end is told after at most ten seconds of draining its log */
#define DEFAULT_TIMEOUT_S 10
#define SIGNAL_FOR_RESTART                                                                         \
	0 /* in the restart pause there is no process: only the policy hears of it */

/* ---- one signal ----------------------------------------------------------------------------- */

struct signal_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec; /* for thawing, else NULL */
	char uuid[37];
	int signo;
	bool end_policy;
	char policy[32];
	unsigned max_retries;
	op_done_fn *done;
	void *arg;
};

static int signal_run(struct job *job, struct err *err)
{
	struct signal_job *sj = container_of(job, struct signal_job, job);
	int rc;

	if (sj->end_policy &&
	    (rc = zone_set_policy(sj->uuid, sj->policy, sj->max_retries, true, err)) < 0)
		return rc;
	if (sj->signo && (rc = zone_signal(sj->uuid, sj->signo, err)) < 0)
		return rc;
	if (sj->spec) {
		if ((rc = cgroup_freeze(sj->spec, false, err)) < 0)
			return rc;
		return zone_freeze_note(sj->uuid, false, err);
	}
	return 0;
}

static void signal_done(struct job *job)
{
	struct signal_job *sj = container_of(job, struct signal_job, job);
	struct container *ct = sj->ct;

	if (job->rc == 0 && sj->signo) {
		char num[16];
		const char *attrs[] = { "signal", num, NULL };

		snprintf(num, sizeof(num), "%d", sj->signo);
		event_container(ct, "kill", attrs);
	}
	if (job->rc == 0 && sj->spec && ct->st.status == CT_PAUSED) {
		ct->st.status = CT_RUNNING;
		event_container(ct, "unpause", NULL);
		container_save(ct);
	}
	sj->done(ct, sj->arg, job->rc ? &job->err : NULL);
	ct_spec_free(sj->spec);
	container_unref(ct);
	free(sj);
}

int ct_stop_signal(const struct container *ct)
{
	const char *name = jget_str(ct->config, "StopSignal", "");
	struct err ignored = { 0 };
	int signo;

	return name[0] && signal_parse(name, &signo, &ignored) == 0 ? signo : SIGTERM;
}

int ct_stop_timeout(const struct container *ct)
{
	json_t *t = json_object_get(ct->config, "StopTimeout");

	return json_is_integer(t) ? (int)json_integer_value(t) : DEFAULT_TIMEOUT_S;
}

/* moby: with no stop signal of its own any signal counts as one. */
static bool is_ending(const struct container *ct, int signo)
{
	return signo == SIGKILL || str_empty(jget_str(ct->config, "StopSignal", "")) ||
	       signo == ct_stop_signal(ct);
}

void op_signal(struct container *ct, int signo, op_done_fn *done, void *arg)
{
	const json_t *policy = jget_obj(ct->host_config, "RestartPolicy");
	struct signal_job *sj = xcalloc(1, sizeof(*sj));

	sj->ct = container_ref(ct);
	memcpy(sj->uuid, ct->uuid, sizeof(sj->uuid));
	sj->signo = ct->st.status == CT_RESTARTING ? SIGNAL_FOR_RESTART : signo;
	sj->end_policy = is_ending(ct, signo);
	str_copy(sj->policy, sizeof(sj->policy), jget_str(policy, "Name", "no"));
	if (!sj->policy[0])
		str_copy(sj->policy, sizeof(sj->policy), "no");
	sj->max_retries = (unsigned)jget_int(policy, "MaximumRetryCount", 0);
	if (ct->st.status == CT_PAUSED && sj->end_policy)
		sj->spec = container_spec(ct);
	sj->done = done;
	sj->arg = arg;
	sj->job.run = signal_run;
	sj->job.done = signal_done;
	sj->job.what = "signal";
	if (!ct->st.stopped_by_user) {
		ct->st.stopped_by_user = true;
		container_save(ct);
	}
	job_submit(LANE_LIFECYCLE, &sj->job);
}

/* ---- stopping ------------------------------------------------------------------------------- */

struct stopper {
	uv_timer_t timer;
	struct container *ct;
	struct ct_waiter *waiter; /* NULL: told */
	int timeout_s;
	bool killing, kill_sent;
	bool signalling; /* a signal job is under way */
	bool finished;
	op_done_fn *done;
	void *arg;
};

static void stopper_wait(struct stopper *s);

static void on_timer_closed(uv_handle_t *h)
{
	struct stopper *s = container_of((uv_timer_t *)h, struct stopper, timer);

	container_unref(s->ct);
	free(s);
}

static void stopper_maybe_free(struct stopper *s)
{
	if (s->finished && !s->signalling)
		uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void stopper_finish(struct stopper *s, const struct err *err)
{
	if (s->finished)
		return;
	s->finished = true;
	uv_timer_stop(&s->timer);
	if (s->waiter) {
		ct_wait_cancel(s->ct, s->waiter);
		s->waiter = NULL;
	}
	s->done(s->ct, s->arg, err);
	stopper_maybe_free(s);
}

static void on_run_end(struct container *ct, void *arg, bool removed)
{
	struct stopper *s = arg;

	s->waiter = NULL;
	if (removed || !container_is_running(ct))
		stopper_finish(s, NULL);
	else
		stopper_wait(s); /* it was quicker to restart than our word to the policy */
}

static void stopper_wait(struct stopper *s)
{
	s->waiter = ct_wait(s->ct, WAIT_EXIT, on_run_end, s);
}

static void stopper_kill(struct stopper *s);

static void on_timeout(uv_timer_t *t)
{
	struct stopper *s = container_of(t, struct stopper, timer);
	struct err err = { 0 };

	if (!s->killing) {
		log_info("container did not stop in time, killing it", "ct=%.12s timeout_s=%d",
			 s->ct->id, s->timeout_s);
		stopper_kill(s);
		return;
	}
	err_kind(&err, ERR_SYSTEM, "tried to kill container, but did not receive an exit event");
	stopper_finish(s, &err);
}

static void on_signalled(struct container *ct, void *arg, const struct err *err)
{
	struct stopper *s = arg;

	s->signalling = false;
	if (s->finished) {
		stopper_maybe_free(s);
		return;
	}
	if (!container_is_running(ct)) {
		stopper_finish(s, NULL);
		return;
	}
	if (err) /* most likely its end is on its way to us */
		log_warn("signal was not delivered", "ct=%.12s error=%s", ct->id, log_q(err->msg));
	if ((err && !s->killing) || (s->killing && !s->kill_sent))
		stopper_kill(s);
}

static void stopper_signal(struct stopper *s, int signo)
{
	s->signalling = true;
	op_signal(s->ct, signo, on_signalled, s);
}

static void stopper_kill(struct stopper *s)
{
	s->killing = true;
	uv_timer_start(&s->timer, on_timeout, KILL_WAIT_MS, 0);
	if (!s->signalling) {
		s->kill_sent = true;
		stopper_signal(s, SIGKILL);
	}
}

void op_stop(struct container *ct, int signo, int timeout_s, op_done_fn *done, void *arg)
{
	struct stopper *s;

	assert_loop_thread();
	if (!container_is_running(ct)) {
		done(ct, arg, NULL);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->ct = container_ref(ct);
	s->timeout_s = timeout_s;
	s->done = done;
	s->arg = arg;
	uv_timer_init(uv_default_loop(), &s->timer);
	stopper_wait(s);
	if (timeout_s == 0 && signo == SIGKILL) {
		stopper_kill(s);
		return;
	}
	stopper_signal(s, signo ? signo : ct_stop_signal(ct));
	if (timeout_s >= 0)
		uv_timer_start(&s->timer, on_timeout, (uint64_t)timeout_s * 1000, 0);
}
