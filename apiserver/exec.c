/* SPDX-License-Identifier: MPL-2.0
 *
 * exec.c - the table of execs, and starting them.
 *
 * Design: an exec is known from its creation until five minutes after its end (Docker keeps it as
 * long as somebody may ask for its exit code; clients ask at once). The container's exec_ids holds
 * those that run.
 *
 * Order: the zone's word of an end may come before the job that started the exec is done on the
 * loop; the code is kept then and the end told when the start is.
 */
#define LOG_MODULE "exec"
#include "apiserver/exec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/events.h"
#include "apiserver/job.h"
#include "apiserver/oci_spec.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "failpoint.h"
#include "jget.h"
#include "log.h"
#include "map.h"
#include "str.h"

#define KEEP_NS	    (5 * 60 * 1000000000LL)
#define SWEEP_MS    (60 * 1000)
#define EXEC_FAILED 126 /* Docker's, where the failure has no status of its own */
#define EXEC_KILLED 137

static struct {
	struct map by_id;
	uv_timer_t sweep;
	bool ready;
} table;

static void on_sweep(uv_timer_t *t)
{
	struct map_iter it = { 0 };
	int64_t now = mono_ns();
	const char *id;
	void *v;

	(void)t;
	while (map_next(&table.by_id, &it, &id, &v)) {
		struct exec *ex = v;

		if (ex->status == EXEC_ENDED && now - ex->ended_ns > KEEP_NS) {
			map_del(&table.by_id, id);
			exec_unref(ex);
		}
	}
}

static void table_init(void)
{
	if (table.ready)
		return;
	map_init(&table.by_id);
	uv_timer_init(uv_default_loop(), &table.sweep);
	uv_timer_start(&table.sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	uv_unref((uv_handle_t *)&table.sweep);
	table.ready = true;
}

struct exec *exec_ref(struct exec *ex)
{
	ex->refs++;
	return ex;
}

void exec_unref(struct exec *ex)
{
	if (!ex || --ex->refs > 0)
		return;
	json_decref(ex->config);
	free(ex);
}

struct exec *exec_find(const char *id, struct err *err)
{
	struct exec *ex;

	assert_loop_thread();
	table_init();
	if (!(ex = map_get(&table.by_id, id)))
		err_kind(err, ERR_NOT_FOUND, "No such exec instance: %s", id);
	return ex;
}

/* ---- events --------------------------------------------------------------------------------- */

/* "exec_start: sh -c date" */
static void exec_event(const struct exec *ex, const char *action)
{
	struct container *ct = container_by_id(ex->ct_id);
	const char *attrs[] = { "execID", ex->id, NULL };
	cleanup_buf struct buf b = BUF_INIT;
	const json_t *arg;
	size_t i;

	if (!ct)
		return;
	buf_addstr(&b, action);
	buf_addch(&b, ':');
	json_array_foreach (jget_arr(ex->config, "Cmd"), i, arg) {
		buf_addch(&b, ' ');
		buf_addstr(&b, json_is_string(arg) ? json_string_value(arg) : "");
	}
	if (i < 2)
		buf_addch(&b, ' '); /* Docker's: command, blank, arguments */
	event_container(ct, buf_str(&b), attrs);
}

static void exec_die_event(const struct exec *ex)
{
	struct container *ct = container_by_id(ex->ct_id);
	char code[16];
	const char *attrs[] = { "execID", ex->id, "exitCode", code, NULL };

	snprintf(code, sizeof(code), "%d", ex->exit_code);
	if (ct)
		event_container(ct, "exec_die", attrs);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int check_container(const struct container *ct, const char *name, struct err *err)
{
	if (ct->st.status == CT_RESTARTING)
		return err_kind(err, ERR_CONFLICT,
				"Container %s is restarting, wait until the container is running",
				ct->id);
	if (!container_is_running(ct))
		return err_kind(err, ERR_CONFLICT, "container %s is not running", ct->id);
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT,
				"Container %s is paused, unpause the container before exec",
				name);
	return 0;
}

int exec_create(struct container *ct, const char *name, json_t *config, struct exec **out, struct err *err)
{
	struct exec *ex;
	int rc;

	assert_loop_thread();
	table_init();
	if ((rc = check_container(ct, name, err)) < 0) {
		json_decref(config);
		return rc;
	}
	ex = xcalloc(1, sizeof(*ex));
	ex->refs = 1;
	id_generate(ex->id);
	memcpy(ex->ct_id, ct->id, sizeof(ex->ct_id));
	ex->config = config;
	ex->tty = jget_bool(config, "Tty", false);
	ex->attach_stdin = jget_bool(config, "AttachStdin", false);
	ex->attach_stdout = jget_bool(config, "AttachStdout", false);
	ex->attach_stderr = jget_bool(config, "AttachStderr", false);
	map_set(&table.by_id, ex->id, ex);
	exec_event(ex, "exec_create");
	*out = ex;
	return 0;
}

static void strv_remove(char **v, const char *s)
{
	size_t n = strv_len(v);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i], s) == 0) {
			free(v[i]);
			memmove(&v[i], &v[i + 1], (n - i) * sizeof(*v)); /* with the NULL */
			return;
		}
	}
}

/* The caller holds a reference. */
static void exec_end(struct exec *ex, int exit_code)
{
	struct container *ct = container_by_id(ex->ct_id);

	if (ct && ct->exec_ids)
		strv_remove(ct->exec_ids, ex->id);
	ex->status = EXEC_ENDED;
	ex->has_exit_code = true;
	ex->exit_code = exit_code;
	ex->ended_ns = mono_ns();
}

static void exec_ended(struct exec *ex, int exit_code)
{
	exec_ref(ex);
	exec_end(ex, exit_code);
	exec_die_event(ex);
	if (ex->on_ended)
		ex->on_ended(ex, ex->on_ended_arg);
	exec_unref(ex);
}

void exec_exited(const char *ct_id, const char *exec_id, int exit_code)
{
	struct err ignored = { 0 };
	struct exec *ex = exec_find(exec_id, &ignored);

	if (!ex || strcmp(ex->ct_id, ct_id) != 0 || ex->status == EXEC_ENDED) {
		log_debug("end of an unknown exec", "ct=%.12s exec=%.12s", ct_id, exec_id);
		return;
	}
	if (ex->status == EXEC_STARTING) {
		ex->has_exit_code = true;
		ex->exit_code = exit_code;
		return;
	}
	exec_ended(ex, exit_code);
}

static void forget(const char *ct_id, bool never_started_only)
{
	struct map_iter it = { 0 };
	const char *id;
	void *v;

	table_init();
	while (map_next(&table.by_id, &it, &id, &v)) {
		struct exec *ex = v;

		if (strcmp(ex->ct_id, ct_id) == 0 && (!never_started_only || ex->status == EXEC_CREATED)) {
			map_del(&table.by_id, id);
			exec_unref(ex);
		}
	}
}

void execs_killed(struct container *ct)
{
	cleanup_strv char **ids = strv_dup(ct->exec_ids ? ct->exec_ids : (char *[]){ NULL });

	for (char **id = ids; id && *id; id++)
		exec_exited(ct->id, *id, EXEC_KILLED);
	forget(ct->id, true); /* as Docker: the container's next run does not know them */
}

void execs_forget(const char *ct_id)
{
	forget(ct_id, false);
}

/* ---- starting ------------------------------------------------------------------------------- */

struct exec_job {
	struct job job;
	struct exec *ex; /* loop only */
	struct ct_spec *spec;
	json_t *config; /* a copy */
	char id[65];
	bool tty, attach_stdin, detach;
	unsigned rows, cols;
	exec_started_fn *done;
	void *arg;
	/* results */
	struct zone_exec_fds fds;
	int exit_code;
};

static int exec_run(struct job *job, struct err *err)
{
	struct exec_job *ej = container_of(job, struct exec_job, job);
	cleanup_buf struct buf spec = BUF_INIT;
	int rc;

	if (failpoint("exec.run"))
		return err_kind(err, ERR_SYSTEM, "failpoint exec.run");
	if ((rc = oci_exec_spec(ej->spec, ej->config, &spec, err)) < 0)
		return rc;
	rc = zone_exec(ej->spec->uuid, ej->id, buf_str(&spec), ej->tty, ej->attach_stdin,
		       ej->detach, ej->rows, ej->cols, &ej->fds, &ej->exit_code, err);
	if (rc < 0 && (ej->exit_code == 126 || ej->exit_code == 127))
		err->kind = ERR_BAD_PARAM;
	if (rc == ZONE_GONE) /* it has ended, only we have not heard yet */
		rc = err_kind(err, ERR_CONFLICT, "container %s is not running", ej->spec->id);
	return rc;
}

static void started(struct exec_job *ej)
{
	struct container *ct = container_by_id(ej->ex->ct_id);
	struct exec *ex = ej->ex;

	ex->status = EXEC_RUNNING;
	ex->pid = ej->fds.pid;
	if (ct)
		strv_add(&ct->exec_ids, ex->id);
	ej->done(ex, ej->arg, &ej->fds, NULL);
	if (ex->has_exit_code)
		exec_ended(ex, ex->exit_code);
	else if (!ct || !container_is_running(ct))
		exec_ended(ex, EXEC_KILLED);
}

static void exec_done(struct job *job)
{
	struct exec_job *ej = container_of(job, struct exec_job, job);
	struct exec *ex = ej->ex;

	if (job->rc == 0) {
		started(ej);
	} else {
		log_info("exec failed", "ct=%.12s exec=%.12s error=%s", ex->ct_id, ex->id,
			 log_q(job->err.msg));
		exec_end(ex, ej->exit_code ? ej->exit_code : EXEC_FAILED);
		ej->done(ex, ej->arg, NULL, &job->err);
	}
	exec_unref(ex);
	ct_spec_free(ej->spec);
	json_decref(ej->config);
	free(ej);
}

static int exec_start_check(const struct exec *ex, struct container **ct, struct err *err)
{
	if (ex->status == EXEC_ENDED)
		return err_kind(err, ERR_CONFLICT, "exec command %s has already run", ex->id);
	if (ex->status != EXEC_CREATED)
		return err_kind(err, ERR_CONFLICT, "exec command %s is already running", ex->id);
	if (!(*ct = container_by_id(ex->ct_id)))
		return err_kind(err, ERR_NOT_FOUND, "No such container: %s", ex->ct_id);
	return check_container(*ct, (*ct)->id, err);
}

void exec_start(struct exec *ex, bool detach, exec_started_fn *done, void *arg)
{
	struct container *ct = NULL;
	struct err err = { 0 };
	struct exec_job *ej;

	assert_loop_thread();
	if (exec_start_check(ex, &ct, &err) < 0) {
		done(ex, arg, NULL, &err);
		return;
	}
	ex->status = EXEC_STARTING;
	exec_event(ex, "exec_start");
	ej = xcalloc(1, sizeof(*ej));
	ej->ex = exec_ref(ex);
	ej->spec = container_spec(ct);
	ej->config = json_deep_copy(ex->config);
	memcpy(ej->id, ex->id, sizeof(ej->id));
	ej->tty = ex->tty;
	ej->attach_stdin = ex->attach_stdin && !detach;
	ej->detach = detach;
	ej->rows = ex->rows;
	ej->cols = ex->cols;
	ej->fds = (struct zone_exec_fds){ .in = -1, .out = -1, .err = -1 };
	ej->done = done;
	ej->arg = arg;
	ej->job.run = exec_run;
	ej->job.done = exec_done;
	ej->job.what = "exec";
	job_submit(LANE_LIFECYCLE, &ej->job);
}
