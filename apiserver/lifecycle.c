/* SPDX-License-Identifier: MPL-2.0
 *
 * lifecycle.c - ends and restarts of containers as their zones tell them.
 *
 *	zoneadmd: process reaped, log drained --Exited--> on_exited
 *	    restart follows:  state restarting ... --Restarted--> running
 *	    else:	      attached clients have the output -> job: network and volumes released
 *		      -> state exited -> events -> waiters -> auto-remove
 *
 * So when a client hears that a container has stopped, its last line is in the log, and its ports
 * and addresses are free.
 *
 * Failure: what was told to nobody is found again by recovery.c in the zone's exit.json.
 */
#define LOG_MODULE "lifecycle"
#include "apiserver/lifecycle.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/attach.h"
#include "apiserver/attach_output.h"
#include "apiserver/ct_ops.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/exec.h"
#include "apiserver/health.h"
#include "apiserver/job.h"
#include "apiserver/logclient.h"
#include "apiserver/network.h"
#include "apiserver/network_linger.h"
#include "apiserver/recovery.h"
#include "apiserver/volume.h"
#include "apiserver/wait.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "log_addr.h"
#include "str.h"

/* ---- events --------------------------------------------------------------------------------- */

static const char *network_driver(const char *name)
{
	if (str_eq(name, "host"))
		return "host";
	return str_eq(name, "none") ? "null" : "bridge";
}

void lifecycle_network_event(const struct container *ct, const struct endpoint *ep,
			     const char *action)
{
	cleanup_free char *name = NULL;
	const char *attrs[] = { "container", ct->id, "name", NULL, "type", NULL, NULL };
	struct err ignored = { 0 };
	char id[65];

	if (str_starts(ep->network, "container:"))
		return;
	if (ep->network_id[0])
		memcpy(id, ep->network_id, sizeof(id));
	else if (network_resolve(ep->network, id, &ignored) < 0)
		return;
	attrs[3] = network_name(id, &name, &ignored) == 0 ? name : ep->network;
	attrs[5] = network_driver(attrs[3]);
	event_emit("network", action, id, attrs);
}

void lifecycle_volume_events(const struct container *ct, const char *action)
{
	bool mount = str_eq(action, "mount");

	for (size_t i = 0; i < ct->mounts.n; i++) {
		const struct ct_mount *m = &ct->mounts.v[i];
		const char *full[] = { "container",   ct->id,
				       "destination", m->destination,
				       "driver",      m->driver ? m->driver : "local",
				       "propagation", m->propagation ? m->propagation : "",
				       "read/write",  m->rw ? "true" : "false",
				       NULL };
		const char *brief[] = { "container", ct->id, "driver",
					m->driver ? m->driver : "local", NULL };

		if (str_eq(m->type, "volume") && !str_empty(m->name))
			event_emit("volume", action, m->name, mount ? full : brief);
	}
}

static void die_event(const struct container *ct)
{
	int64_t ran_ns = ct->st.finished_ns - ct->st.started_ns;
	char code[16];
	char secs[24];
	const char *attrs[] = { "execDuration", secs, "exitCode", code, NULL };

	snprintf(code, sizeof(code), "%d", ct->st.exit_code);
	snprintf(secs, sizeof(secs), "%lld", ran_ns > 0 ? (long long)(ran_ns / 1000000000) : 0LL);
	event_container(ct, "die", attrs);
}

/* ---- the end of a run ----------------------------------------------------------------------- */

struct exit_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec;
	struct zone_exit ex;
	int64_t linger_until_ns;
};

#define LINGER_MORE_S 10 /* than a logger goes on: it is logsvc that says when it is over */
#define LINGER_TICK_MS 5000

/* The network goes with the zone, unless its logger needs it. */
static void release_networks(struct ct_spec *spec, int64_t until_ns)
{
	const char *driver = jget_str(jget_obj(spec->host_config, "LogConfig"), "Type", "");
	cleanup_fd int netns = -1, ignored = -1;

	if (log_driver_forwards(driver) && spec->n_endpoints && logclient_is_pending(spec->uuid, &netns)) {
		network_linger(spec->id, spec->uuid, spec->endpoints, spec->n_endpoints, netns, until_ns);
		if (!logclient_is_pending(spec->uuid, &ignored)) /* settled meanwhile */
			network_linger_end(spec->uuid);
		return;
	}
	for (size_t i = spec->n_endpoints; i > 0; i--)
		network_detach(&spec->endpoints[i - 1], spec->id);
}

static int exit_run(struct job *job, struct err *err)
{
	struct exit_job *ej = container_of(job, struct exit_job, job);
	struct ct_spec *spec = ej->spec;

	(void)err;
	release_networks(spec, ej->linger_until_ns);
	for (size_t i = spec->mounts.n; i > 0; i--) {
		const struct ct_mount *m = &spec->mounts.v[i - 1];

		if (str_eq(m->type, "volume") && !str_empty(m->name))
			volume_unmount(m->name, spec->id);
	}
	return 0;
}

static void on_auto_removed(struct container *ct, void *arg, const struct err *err)
{
	(void)arg;
	if (err && err->kind != ERR_CONFLICT)
		log_err("auto-removal failed", "ct=%.12s error=%s", ct->id, log_q(err->msg));
}

static void maybe_auto_remove(struct container *ct)
{
	static const struct op_remove_opts o = { .force = true, .volumes = true };

	/* a `restart` is about to run it again */
	if (ct->op == OP_RESTART || ct->removing ||
	    !jget_bool(ct->host_config, "AutoRemove", false))
		return;
	op_remove(ct, &o, on_auto_removed, NULL);
}

static void set_ended(struct container *ct, const struct zone_exit *ex)
{
	ct->st.pid = 0;
	ct->st.exit_code = ex->exit_code;
	ct->st.oom_killed = ct->st.oom_killed || ex->oom_killed;
	ct->st.finished_ns = ex->finished_ns;
	ct->st.restart_count = ex->restart_count;
	str_copy(ct->st.error, sizeof(ct->st.error), ex->error);
	ct->st.status = ex->will_restart ? CT_RESTARTING : CT_EXITED;
}

static void ended(struct container *ct, const struct zone_exit *ex)
{
	/* a restart that was called off: this end has been told before */
	bool told = ct->st.status == CT_RESTARTING && ct->st.finished_ns == ex->finished_ns;

	container_ref(ct);
	health_stopped(ct);
	execs_killed(ct);
	set_ended(ct, ex);
	log_info("container ended", "ct=%.12s exit=%d oom=%d restart=%d truncated=%d", ct->id,
		 ex->exit_code, ex->oom_killed, ex->will_restart, ex->truncated);
	if (!told)
		die_event(ct);
	container_save(ct);
	ct_wait_exited(ct);
	if (ex->by_loss && !ct->removing && lifecycle_policy_wants(ct, false))
		recovery_start(ct);
	else if (!ex->will_restart)
		maybe_auto_remove(ct);
	container_unref(ct);
}

static void exit_done(struct job *job)
{
	struct exit_job *ej = container_of(job, struct exit_job, job);
	struct container *ct = ej->ct;

	if (job->rc < 0) /* the lane was full: what holds ports must not wait */
		exit_run(job, &job->err);
	for (size_t i = 0; i < ct->n_endpoints; i++)
		lifecycle_network_event(ct, &ct->endpoints[i], "disconnect");
	lifecycle_volume_events(ct, "unmount");
	for (size_t i = 0; i < ct->n_endpoints && i < ej->spec->n_endpoints; i++) {
		endpoint_fini(&ct->endpoints[i]);
		endpoint_copy(&ct->endpoints[i], &ej->spec->endpoints[i]);
	}
	ended(ct, &ej->ex);
	ct_spec_free(ej->spec);
	container_unref(ct);
	free(ej);
}

static void exit_submit(void *arg)
{
	struct exit_job *ej = arg;

	job_submit(LANE_LIFECYCLE, &ej->job);
}

void lifecycle_exited(struct container *ct, const struct zone_exit *ex)
{
	struct exit_job *ej;

	assert_loop_thread();
	if (ex->will_restart) {
		ended(ct, ex);
		return;
	}
	ej = xcalloc(1, sizeof(*ej));
	ej->ct = container_ref(ct);
	ej->spec = container_spec(ct);
	ej->ex = *ex;
	ej->linger_until_ns = mono_ns() + (conf_int(engine->conf, "FORWARD_GRACE") + LINGER_MORE_S) * 1000000000;
	ej->job.run = exit_run;
	ej->job.done = exit_done;
	ej->job.what = "exit";
	attach_output_drained(ct, exit_submit, ej);
}

/* ---- what zones tell ------------------------------------------------------------------------ */

static void on_exited(const char *ct_id, const struct zone_exit *ex)
{
	struct container *ct = container_by_id(ct_id);

	if (ct && container_is_running(ct))
		lifecycle_exited(ct, ex);
}

static void on_restarted(const char *ct_id, const struct zone_started *st, unsigned restart_count)
{
	struct container *ct = container_by_id(ct_id);

	if (!ct)
		return;
	ct->st.status = CT_RUNNING;
	ct->st.pid = st->pid;
	ct->st.started_ns = st->started_ns;
	ct->st.restart_count = restart_count;
	ct->st.oom_killed = false;
	ct->st.error[0] = '\0';
	container_save(ct);
	event_container(ct, "start", NULL);
	attach_zone_started(ct);
	health_started(ct);
}

static void on_oom(const char *ct_id)
{
	struct container *ct = container_by_id(ct_id);

	if (!ct)
		return;
	ct->st.oom_killed = true;
	event_container(ct, "oom", NULL);
	container_save(ct);
}

static void on_lost(const char *ct_id)
{
	struct container *ct = container_by_id(ct_id);

	if (ct && container_is_running(ct))
		recovery_zone_lost(ct);
}

static const struct zone_callbacks callbacks = {
	.on_exited = on_exited,
	.on_restarted = on_restarted,
	.on_exec_exited = exec_exited,
	.on_oom = on_oom,
	.on_lost = on_lost,
};

/* ---- networks that linger ------------------------------------------------------------------------ */

struct linger_job {
	struct job job;
	char uuid[37]; /* "": those whose time is over */
};

static int linger_run(struct job *job, struct err *err)
{
	struct linger_job *lj = container_of(job, struct linger_job, job);

	(void)err;
	if (lj->uuid[0])
		network_linger_end(lj->uuid);
	else
		network_linger_expire(mono_ns());
	return 0;
}

static void linger_done(struct job *job)
{
	free(container_of(job, struct linger_job, job));
}

static void on_settled(const char *uuid)
{
	struct linger_job *lj = xcalloc(1, sizeof(*lj));

	str_copy(lj->uuid, sizeof(lj->uuid), uuid);
	lj->job.run = linger_run;
	lj->job.done = linger_done;
	lj->job.what = "linger";
	job_submit(LANE_LIFECYCLE, &lj->job);
}

static void on_linger_tick(uv_timer_t *t)
{
	(void)t;
	on_settled("");
}

static void linger_init(void)
{
	static uv_timer_t timer;

	logclient_on_settled(on_settled);
	uv_timer_init(uv_default_loop(), &timer);
	uv_timer_start(&timer, on_linger_tick, LINGER_TICK_MS, LINGER_TICK_MS);
	uv_unref((uv_handle_t *)&timer);
}

/* ---- policy --------------------------------------------------------------------------------- */

bool lifecycle_policy_wants(const struct container *ct, bool at_boot)
{
	const json_t *policy = jget_obj(ct->host_config, "RestartPolicy");
	const char *name = jget_str(policy, "Name", "");
	int64_t max = jget_int(policy, "MaximumRetryCount", 0);

	if (!ct->st.started_once || ct->removing || ct->st.dead)
		return false;
	if (str_eq(name, "always")) /* also a stopped one, when the engine comes up: Docker's
				       difference */
		return at_boot || !ct->st.stopped_by_user;
	if (ct->st.stopped_by_user)
		return false;
	if (str_eq(name, "unless-stopped"))
		return true;
	return str_eq(name, "on-failure") && ct->st.exit_code != 0 &&
	       (max == 0 || (int64_t)ct->st.restart_count < max);
}

int lifecycle_init(struct err *err)
{
	container_index_init();
	zone_set_callbacks(&callbacks);
	linger_init();
	return recovery_run(err);
}

void lifecycle_fini(void)
{
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		health_stopped(ct);
		zone_unwatch(ct);
	}
	container_save_stop();
}
