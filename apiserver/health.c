/* SPDX-License-Identifier: MPL-2.0
 *
 * health.c - health checks: a timer, an exec, its output and exit code, the verdict.
 *
 *	IDLE --interval--> STARTING --zoneadmd--> PROBING --ended, output at EOF--> IDLE
 *	                      | failed               | timeout: SIGKILL, verdict -1
 *	                      +-----> verdict -1     +-----------> (waits for the end) --> IDLE
 *
 * Rules are Docker's: a failure counts unless the container is still "starting" within its start
 * period; `retries` failures in a row make it unhealthy, one success healthy. Five results are
 * kept, 4096 bytes of output each.
 *
 * Failure: all of it is in memory and in the record's state; after our restart the checks go on
 * where they were, with the results the record has.
 */
#define LOG_MODULE "health"
#include "apiserver/health.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/events.h"
#include "apiserver/exec.h"
#include "apiserver/job.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define MAX_RESULTS	 5
#define MAX_OUTPUT	 4096
#define DEF_INTERVAL_NS	 (30 * 1000000000LL)
#define DEF_TIMEOUT_NS	 (30 * 1000000000LL)
#define DEF_START_INT_NS (5 * 1000000000LL)
#define DEF_RETRIES	 3
#define EOF_LINGER_MS	 200 /* output may be held open by children of a probe that has ended; then comes what there is */
#define DRAIN_MS	 1000

/* One probe's output; lives as long as its two polls. */
struct health_out {
	uv_poll_t poll;
	int fd;
	struct health *h; /* NULL: the check is gone */
};

struct health {
	uv_timer_t timer;
	struct container *ct;
	enum { H_IDLE, H_STARTING, H_PROBING, H_LINGER, H_DRAIN } state;
	bool stopped; /* freed when nothing is under way */
	bool closing;
	bool timed_out;
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns;
	unsigned retries;
	int64_t probe_start_ns;
	struct exec *ex;
	struct health_out *out[2];
	struct buf output;
	bool truncated;
};

static void on_timer(uv_timer_t *t);

/* ---- configuration -------------------------------------------------------------------------- */

static const json_t *check_config(const struct container *ct)
{
	const json_t *hc = jget_obj(ct->config, "Healthcheck");
	const json_t *test = jget_arr(hc, "Test");
	const char *kind = json_string_value(json_array_get(test, 0));

	if (str_eq(kind, "CMD") || str_eq(kind, "CMD-SHELL"))
		return json_array_size(test) > 1 ? hc : NULL;
	return NULL;
}

static int64_t ns_or(const json_t *hc, const char *key, int64_t def)
{
	int64_t v = jget_int(hc, key, 0);

	return v > 0 ? v : def;
}

/* ["CMD","a","b"] -> ["a","b"]; CMD-SHELL by the container's shell. */
static json_t *probe_command(const struct container *ct)
{
	const json_t *test = jget_arr(jget_obj(ct->config, "Healthcheck"), "Test");
	const json_t *shell = jget_arr(ct->config, "Shell");
	json_t *cmd = json_array();

	if (str_eq(json_string_value(json_array_get(test, 0)), "CMD-SHELL")) {
		if (json_array_size(shell) > 0) {
			json_array_extend(cmd, (json_t *)shell);
		} else {
			json_array_append_new(cmd, json_string("/bin/sh"));
			json_array_append_new(cmd, json_string("-c"));
		}
	}
	for (size_t i = 1; i < json_array_size(test); i++)
		json_array_append(cmd, json_array_get(test, i));
	return cmd;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct health *h = container_of((uv_timer_t *)handle, struct health, timer);

	buf_fini(&h->output);
	exec_unref(h->ex);
	container_unref(h->ct);
	free(h);
}

static void on_out_closed(uv_handle_t *handle)
{
	struct health_out *o = container_of((uv_poll_t *)handle, struct health_out, poll);

	close(o->fd);
	free(o);
}

static void out_close(struct health *h, int i)
{
	struct health_out *o = h->out[i];

	if (!o)
		return;
	h->out[i] = NULL;
	o->h = NULL;
	uv_poll_stop(&o->poll);
	uv_close((uv_handle_t *)&o->poll, on_out_closed);
}

/* Not while a start is under way: its callback has our pointer. */
static void maybe_free(struct health *h)
{
	if (!h->stopped || h->closing || h->state == H_STARTING)
		return;
	h->closing = true;
	if (h->ex)
		h->ex->on_ended = NULL;
	out_close(h, 0);
	out_close(h, 1);
	uv_timer_stop(&h->timer);
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

static int64_t next_interval_ns(const struct health *h)
{
	int64_t ran = now_ns() - h->ct->st.started_ns;
	int64_t left = h->start_period_ns - ran;

	if (left <= 0)
		return h->interval_ns;
	if (left < h->interval_ns &&
	    (h->ct->st.health != HEALTH_STARTING || left < h->start_interval_ns))
		return left;
	return h->ct->st.health == HEALTH_STARTING ? h->start_interval_ns : h->interval_ns;
}

static void arm(struct health *h, int64_t ns)
{
	uv_timer_start(&h->timer, on_timer, (uint64_t)(ns / 1000000), 0);
}

static void idle(struct health *h)
{
	h->state = H_IDLE;
	if (h->stopped)
		maybe_free(h);
	else
		arm(h, next_interval_ns(h));
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static void add_result(struct container_state *st, const struct health_result *r)
{
	if (st->n_health_log == MAX_RESULTS) {
		free(st->health_log[0].output);
		memmove(&st->health_log[0], &st->health_log[1],
			(MAX_RESULTS - 1) * sizeof(st->health_log[0]));
		st->n_health_log--;
	}
	st->health_log[st->n_health_log++] = *r;
}

static void set_status(struct container *ct, enum health_status status)
{
	if (ct->st.health == status)
		return;
	ct->st.health = status;
	event_container(ct,
			status == HEALTH_HEALTHY ? "health_status: healthy"
						 : "health_status: unhealthy",
			NULL);
	container_save(ct);
}

/* Takes output. */
static void verdict(struct health *h, int exit_code, char *output)
{
	struct health_result r = { .start_ns = h->probe_start_ns,
				   .end_ns = now_ns(),
				   .exit_code = exit_code,
				   .output = output };
	struct container_state *st = &h->ct->st;

	if (h->stopped) {
		free(output);
		return;
	}
	add_result(st, &r);
	if (exit_code == 0) {
		st->failing_streak = 0;
		set_status(h->ct, HEALTH_HEALTHY);
		return;
	}
	if (st->health == HEALTH_STARTING && r.start_ns - st->started_ns < h->start_period_ns)
		return;
	if (++st->failing_streak >= h->retries)
		set_status(h->ct, HEALTH_UNHEALTHY);
}

static char *collected(struct health *h)
{
	return xasprintf("%s%s", buf_str(&h->output), h->truncated ? "..." : "");
}

/* 1s, 1m30s, 500ms: as Go prints a duration, for those that people configure. */
static void duration_text(int64_t ns, char *out, size_t size)
{
	int64_t s = ns / 1000000000;

	if (ns < 1000000000)
		snprintf(out, size, "%lldms", (long long)(ns / 1000000));
	else if (s < 60)
		snprintf(out, size, "%.10gs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(out, size, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
	else
		snprintf(out, size, "%lldh%lldm%llds", (long long)(s / 3600),
			 (long long)(s / 60 % 60), (long long)(s % 60));
}

static void finish_probe(struct health *h)
{
	char dur[48];

	out_close(h, 0);
	out_close(h, 1);
	if (h->timed_out) {
		duration_text(h->timeout_ns, dur, sizeof(dur));
		verdict(h, -1,
			h->output.len ? xasprintf("Health check exceeded timeout (%s): %s%s", dur,
						  buf_str(&h->output), h->truncated ? "..." : "")
				      : xasprintf("Health check exceeded timeout (%s)", dur));
	} else {
		verdict(h, h->ex->exit_code, collected(h));
	}
	exec_unref(take_ptr(&h->ex));
	idle(h);
}

/* ---- a probe -------------------------------------------------------------------------------- */

static void maybe_finish(struct health *h)
{
	if ((h->state == H_LINGER || h->state == H_DRAIN) && !h->out[0] && !h->out[1])
		finish_probe(h);
}

static void collect(struct health *h, const char *p, size_t n)
{
	size_t room = MAX_OUTPUT - h->output.len;

	if (n > room)
		h->truncated = true;
	buf_add(&h->output, p, n < room ? n : room);
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	struct health_out *o = container_of(poll, struct health_out, poll);
	struct health *h = o->h;
	char b[4096];
	ssize_t n;

	(void)status;
	(void)events;
	if (!h)
		return;
	n = read(o->fd, b, sizeof(b));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		collect(h, b, (size_t)n);
		return;
	}
	out_close(h, h->out[0] == o ? 0 : 1);
	maybe_finish(h);
}

static void watch_output(struct health *h, int i, int fd)
{
	struct health_out *o;
	int fl = fcntl(fd, F_GETFL);

	if (fd < 0)
		return;
	if (fl >= 0)
		fcntl(fd, F_SETFL, fl | O_NONBLOCK);
	o = xcalloc(1, sizeof(*o));
	o->fd = fd;
	o->h = h;
	h->out[i] = o;
	uv_poll_init(uv_default_loop(), &o->poll, fd);
	uv_poll_start(&o->poll, UV_READABLE | UV_DISCONNECT, on_output);
}

static void on_probe_ended(struct exec *ex, void *arg)
{
	struct health *h = arg;

	ex->on_ended = NULL;
	h->state = H_LINGER;
	uv_timer_start(&h->timer, on_timer, EOF_LINGER_MS, 0);
	maybe_finish(h);
}

static void on_probe_started(struct exec *ex, void *arg, struct zone_exec_fds *fds,
			     const struct err *err)
{
	struct health *h = arg;

	if (err) {
		h->state = H_IDLE;
		verdict(h, -1, xstrdup(err->msg));
		exec_unref(take_ptr(&h->ex));
		idle(h);
		return;
	}
	if (fds->in >= 0)
		close(fds->in);
	h->state = H_PROBING;
	ex->on_ended = on_probe_ended;
	ex->on_ended_arg = h;
	watch_output(h, 0, fds->out);
	watch_output(h, 1, fds->err);
	arm(h, h->timeout_ns);
	maybe_free(h);
}

static void start_probe(struct health *h)
{
	struct exec *ex = NULL;
	struct err err = { 0 };
	json_t *config = json_pack("{s:o, s:b, s:b, s:b, s:b, s:b}", "Cmd", probe_command(h->ct),
				   "AttachStdin", 0, "AttachStdout", 1, "AttachStderr", 1, "Tty", 0,
				   "Privileged", 0);

	h->probe_start_ns = now_ns();
	h->timed_out = h->truncated = false;
	buf_reset(&h->output);
	if (exec_create(h->ct, h->ct->id, config, &ex, &err) < 0) { /* it is on its way down */
		idle(h);
		return;
	}
	h->ex = exec_ref(ex);
	h->state = H_STARTING;
	exec_start(ex, false, on_probe_started, h);
}

struct kill_job {
	struct job job;
	char uuid[37], exec_id[65];
};

static int kill_run(struct job *job, struct err *err)
{
	struct kill_job *kj = container_of(job, struct kill_job, job);

	return zone_exec_signal(kj->uuid, kj->exec_id, SIGKILL, err);
}

static void kill_done(struct job *job)
{
	free(container_of(job, struct kill_job, job));
}

static void kill_probe(struct health *h)
{
	struct kill_job *kj = xcalloc(1, sizeof(*kj));

	memcpy(kj->uuid, h->ct->uuid, sizeof(kj->uuid));
	memcpy(kj->exec_id, h->ex->id, sizeof(kj->exec_id));
	kj->job.run = kill_run;
	kj->job.done = kill_done;
	kj->job.what = "kill health check";
	job_submit(LANE_LIFECYCLE, &kj->job);
}

/* The end of each output comes when all is here that is in it now (stdio_relay.h). */
static void drain(struct health *h)
{
	h->state = H_DRAIN;
	for (int i = 0; i < 2; i++) {
		if (h->out[i])
			(void)shutdown(h->out[i]->fd, SHUT_WR);
	}
	uv_timer_start(&h->timer, on_timer, DRAIN_MS, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct health *h = container_of(t, struct health, timer);

	switch (h->state) {
	case H_IDLE:
		start_probe(h);
		break;
	case H_STARTING:
		break;
	case H_PROBING:
		h->timed_out = true;
		kill_probe(h);
		break;
	case H_LINGER:
		drain(h);
		break;
	case H_DRAIN:
		finish_probe(h);
		break;
	}
}

/* ---- public --------------------------------------------------------------------------------- */

static void begin(struct container *ct, const json_t *hc)
{
	struct health *h = xcalloc(1, sizeof(*h));
	int64_t retries = jget_int(hc, "Retries", 0);

	h->ct = container_ref(ct);
	h->interval_ns = ns_or(hc, "Interval", DEF_INTERVAL_NS);
	h->timeout_ns = ns_or(hc, "Timeout", DEF_TIMEOUT_NS);
	h->start_period_ns = ns_or(hc, "StartPeriod", 0);
	/* the default must not make checks rarer than asked for */
	h->start_interval_ns =
		ns_or(hc, "StartInterval",
		      h->interval_ns < DEF_START_INT_NS ? h->interval_ns : DEF_START_INT_NS);
	h->retries = retries > 0 ? (unsigned)retries : DEF_RETRIES;
	ct->health_timer = h;
	uv_timer_init(uv_default_loop(), &h->timer);
	uv_unref((uv_handle_t *)&h->timer);
	arm(h, next_interval_ns(h));
}

void health_started(struct container *ct)
{
	const json_t *hc = check_config(ct);

	health_stopped(ct);
	if (!hc)
		return;
	ct->st.health = HEALTH_STARTING;
	ct->st.failing_streak = 0;
	begin(ct, hc);
}

void health_resumed(struct container *ct)
{
	const json_t *hc = check_config(ct);

	health_stopped(ct);
	if (!hc)
		return;
	if (ct->st.health == HEALTH_NONE)
		ct->st.health = HEALTH_STARTING;
	begin(ct, hc);
}

void health_stopped(struct container *ct)
{
	struct health *h = ct->health_timer;

	if (!h)
		return;
	ct->health_timer = NULL;
	h->stopped = true;
	if (h->state == H_PROBING && !h->timed_out)
		kill_probe(h);
	maybe_free(h);
}
