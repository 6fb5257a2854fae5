/* SPDX-License-Identifier: MPL-2.0
 *
 * api_containers.c - handlers of containers' life: create, list, inspect, start, stop, restart,
 * kill, pause, rename, update, remove. (wait and prune: api_wait.c.)
 *
 * Pattern: find the container, check what Docker checks at once, begin the operation, answer when
 * it is done. The request's id goes along as the operation's argument, in a struct ct_req.
 */
#define LOG_MODULE "containers"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/body_fields.h"
#include "apiserver/cgroup.h"
#include "apiserver/ct_fields.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_ops.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/signals.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

struct ct_req {
	uint64_t req;
	int signo, timeout_s, version;
	bool flag;  /* the operation's own */
	char *text; /* the operation's own */
	size_t len;
};

static struct ct_req *ct_req_new(struct req *r)
{
	struct ct_req *cr = xcalloc(1, sizeof(*cr));

	cr->req = req_id(r);
	cr->version = req_version(r);
	return cr;
}

static void ct_req_free(struct ct_req *cr)
{
	free(cr->text);
	free(cr);
}

static struct container *find_or_reply(struct req *r)
{
	struct err err = { 0 };
	struct container *ct = container_find(req_var(r, "name"), &err);

	if (!ct)
		reply_error(req_id(r), &err);
	return ct;
}

/* Begins the operation or answers why not; cr is gone then. */
static void begin_or_reply(struct container *ct, enum container_op op, op_fn *fn, struct ct_req *cr)
{
	struct err err = { 0 };

	if (container_op_begin(ct, op, fn, cr, &err) < 0) {
		reply_error(cr->req, &err);
		ct_req_free(cr);
	}
}

static bool was_cancelled(const struct container *ct, struct ct_req *cr, bool cancelled)
{
	struct err err = { 0 };

	if (!cancelled)
		return false;
	err_kind(&err, ERR_NOT_FOUND, "No such container: %s", ct->id);
	reply_error(cr->req, &err);
	ct_req_free(cr);
	return true;
}

/* The end of most operations. */
static void on_done(struct container *ct, void *arg, const struct err *err)
{
	struct ct_req *cr = arg;

	container_op_end(ct);
	if (err)
		reply_error(cr->req, err);
	else
		reply_empty(cr->req, 204);
	ct_req_free(cr);
}

static int parse_signal(const char *text, int def, int *out, struct err *err)
{
	*out = def;
	if (str_empty(text))
		return 0;
	return signal_parse(text, out, err);
}

/* t= and signal= of stop and restart. */
static int parse_stop(struct req *r, const char *what, const struct container *ct, struct ct_req *cr,
		      struct err *err)
{
	const char *t = req_query(r, "t");
	int64_t secs;
	int rc;

	cr->timeout_s = ct_stop_timeout(ct);
	if (!str_empty(t)) {
		if (parse_i64(t, INT32_MIN, INT32_MAX, &secs) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"strconv.Atoi: parsing \"%s\": invalid syntax", t);
		cr->timeout_s = (int)secs;
	}
	if (req_version(r) < 142 || (rc = parse_signal(req_query(r, "signal"), 0, &cr->signo, err)) >= 0)
		return 0;
	return err_wrap(err, rc, "cannot %s container: %s", what, req_var(r, "name"));
}

/* ---- create --------------------------------------------------------------------------------- */

void handle_container_create(struct req *r)
{
	op_create(r);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void on_auto_removed(struct container *ct, void *arg, const struct err *err)
{
	(void)arg;
	if (err && err->kind != ERR_CONFLICT)
		log_err("auto-removal failed", "ct=%.12s error=%s", ct->id, log_q(err->msg));
}

static void on_started(struct container *ct, void *arg, const struct err *err)
{
	static const struct op_remove_opts o = { .force = true, .volumes = true };
	bool auto_remove = json_is_true(json_object_get(ct->host_config, "AutoRemove"));

	container_ref(ct);
	on_done(ct, arg, err);
	if (err && auto_remove)
		op_remove(ct, &o, on_auto_removed, NULL);
	container_unref(ct);
}

static void on_start_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;
	struct err err = { 0 };

	if (was_cancelled(ct, cr, cancelled))
		return;
	if (op_start_check(ct, &err) < 0) {
		container_op_end(ct);
		reply_error(cr->req, &err);
		ct_req_free(cr);
		return;
	}
	op_start(ct, false, on_started, cr);
}

void handle_container_start(struct req *r)
{
	struct container *ct;
	struct err err = { 0 };
	const struct buf *body = req_body(r);

	cgroup_prewarm();
	if (body && body->len > 7) {
		reply_error_status(req_id(r), 400,
				   "starting container with non-empty request body was deprecated "
				   "since API v1.22 and "
				   "removed in v1.24");
		return;
	}
	if (!str_empty(req_query(r, "checkpoint"))) {
		reply_error_status(req_id(r), 501, "checkpoints are not supported by this engine");
		return;
	}
	if (!(ct = find_or_reply(r)))
		return;
	if (op_start_check(ct, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	begin_or_reply(ct, OP_START, on_start_op, ct_req_new(r));
}

/* ---- stop, kill, restart -------------------------------------------------------------------- */

static void on_stopped(struct container *ct, void *arg, const struct err *err)
{
	if (!err)
		event_container(ct, "stop", NULL);
	on_done(ct, arg, err);
}

static void on_stop_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;

	if (was_cancelled(ct, cr, cancelled))
		return;
	if (!container_is_running(ct)) { /* the one before us did it */
		on_done(ct, cr, NULL);
		return;
	}
	op_stop(ct, cr->signo, cr->timeout_s, on_stopped, cr);
}

/* op, with the query's signal and time-out; what: its name in an error. */
static void begin_stop(struct req *r, const char *what, struct container *ct, enum container_op op,
		       op_fn *fn)
{
	struct ct_req *cr = ct_req_new(r);
	struct err err = { 0 };

	cr->text = xstrdup(req_var(r, "name"));
	if (parse_stop(r, what, ct, cr, &err) < 0) {
		reply_error(cr->req, &err);
		ct_req_free(cr);
		return;
	}
	begin_or_reply(ct, op, fn, cr);
}

void handle_container_stop(struct req *r)
{
	struct container *ct = find_or_reply(r);

	if (!ct)
		return;
	if (!container_is_running(ct)) {
		reply_empty(req_id(r), 304);
		return;
	}
	begin_stop(r, "stop", ct, OP_STOP, on_stop_op);
}

static void restart_failed(struct container *ct, struct ct_req *cr, const struct err *err)
{
	struct err e = *err;

	err_wrap(&e, e.code, "Cannot restart container %s", cr->text);
	on_done(ct, cr, &e);
}

static void on_restarted(struct container *ct, void *arg, const struct err *err)
{
	if (err) {
		restart_failed(ct, arg, err);
		return;
	}
	event_container(ct, "restart", NULL);
	on_done(ct, arg, NULL);
}

static void on_stopped_for_restart(struct container *ct, void *arg, const struct err *err)
{
	if (err) {
		restart_failed(ct, arg, err);
		return;
	}
	event_container(ct, "stop", NULL);
	op_start(ct, false, on_restarted, arg);
}

static void on_restart_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;

	if (was_cancelled(ct, cr, cancelled))
		return;
	if (container_is_running(ct))
		op_stop(ct, cr->signo, cr->timeout_s, on_stopped_for_restart, cr);
	else
		op_start(ct, false, on_restarted, cr);
}

void handle_container_restart(struct req *r)
{
	struct container *ct = find_or_reply(r);

	cgroup_prewarm();
	if (ct)
		begin_stop(r, "restart", ct, OP_RESTART, on_restart_op);
}

/* Not an operation: it must get through while a stop waits. */
static void on_killed(struct container *ct, void *arg, const struct err *err)
{
	struct ct_req *cr = arg;

	(void)ct;
	if (err)
		reply_error(cr->req, err);
	else
		reply_empty(cr->req, 204);
	ct_req_free(cr);
}

void handle_container_kill(struct req *r)
{
	struct container *ct;
	struct err err = { 0 };
	int signo, rc = 0;

	if ((rc = parse_signal(req_query(r, "signal"), SIGKILL, &signo, &err)) < 0)
		;
	else if (!(ct = container_find(req_var(r, "name"), &err)))
		rc = err.code;
	else if (!container_is_running(ct))
		rc = err_kind(&err, ERR_CONFLICT, "container %s is not running", ct->id);
	if (rc < 0) {
		err_wrap(&err, rc, "cannot kill container: %s", req_var(r, "name"));
		reply_error(req_id(r), &err);
		return;
	}
	if (signo == SIGKILL)
		op_stop(ct, SIGKILL, 0, on_killed, ct_req_new(r));
	else
		op_signal(ct, signo, on_killed, ct_req_new(r));
}

/* ---- pause ---------------------------------------------------------------------------------- */

static void on_pause_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;

	if (!was_cancelled(ct, cr, cancelled))
		op_pause(ct, cr->flag, on_done, cr);
}

static void pause_or_unpause(struct req *r, bool pause)
{
	struct container *ct = find_or_reply(r);
	struct ct_req *cr;

	if (!ct)
		return;
	cr = ct_req_new(r);
	cr->flag = pause;
	begin_or_reply(ct, pause ? OP_PAUSE : OP_UNPAUSE, on_pause_op, cr);
}

void handle_container_pause(struct req *r)
{
	pause_or_unpause(r, true);
}

void handle_container_unpause(struct req *r)
{
	pause_or_unpause(r, false);
}

/* ---- rename, update ------------------------------------------------------------------------- */

static void on_rename_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;

	if (!was_cancelled(ct, cr, cancelled))
		op_rename(ct, cr->text, on_done, cr);
}

void handle_container_rename(struct req *r)
{
	struct container *ct = find_or_reply(r);
	const char *name = req_query(r, "name");
	struct ct_req *cr;

	if (!ct)
		return;
	if (str_empty(name)) {
		reply_error_status(req_id(r), 400, "Neither old nor new names may be empty");
		return;
	}
	cr = ct_req_new(r);
	cr->text = xstrdup(name);
	begin_or_reply(ct, OP_RENAME, on_rename_op, cr);
}

struct update_arg {
	struct ct_req *cr;
	struct container *ct;
};

static void on_updated(void *arg, char **warnings, const struct err *err)
{
	struct update_arg *ua = arg;
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	container_op_end(ua->ct);
	if (err) {
		reply_error(ua->cr->req, err);
	} else {
		jw_obj(&w, NULL);
		if (warnings && *warnings) {
			jw_arr(&w, "Warnings");
			for (char **v = warnings; *v; v++)
				jw_str(&w, NULL, *v);
			jw_end(&w);
		} else {
			jw_null(&w, "Warnings");
		}
		jw_end(&w);
		reply_json(ua->cr->req, 200, &b);
	}
	ct_req_free(ua->cr);
	container_unref(ua->ct);
	free(ua);
}

static void on_update_op(struct container *ct, void *arg, bool cancelled)
{
	struct ct_req *cr = arg;
	struct update_arg *ua;

	if (was_cancelled(ct, cr, cancelled))
		return;
	ua = xcalloc(1, sizeof(*ua));
	ua->cr = cr;
	ua->ct = container_ref(ct);
	op_update(ct, cr->text, cr->len, cr->version, on_updated, ua);
}

void handle_container_update(struct req *r)
{
	const struct buf *body = req_body(r);
	cleanup_json json_t *typed = NULL;
	struct err err = { 0 };
	struct container *ct;
	struct ct_req *cr;

	if (body_decode(&ct_fields_update, body, &typed, &err) < 0) { /* before the name, as Docker */
		reply_error(req_id(r), &err);
		return;
	}
	if (!(ct = find_or_reply(r)))
		return;
	cr = ct_req_new(r);
	cr->text = xstrndup(body ? buf_str(body) : "", body ? body->len : 0);
	cr->len = body ? body->len : 0;
	begin_or_reply(ct, OP_UPDATE, on_update_op, cr);
}

/* ---- remove --------------------------------------------------------------------------------- */

static void on_removed(struct container *ct, void *arg, const struct err *err)
{
	on_killed(ct, arg, err); /* its operation ends with it */
}

void handle_container_remove(struct req *r)
{
	struct container *ct = find_or_reply(r);
	struct op_remove_opts o = {
		.force = req_query_bool(r, "force", false),
		.volumes = req_query_bool(r, "v", false),
	};

	if (!ct)
		return;
	if (req_query_bool(r, "link", false)) {
		op_unlink(req_var(r, "name"), on_removed, ct_req_new(r));
		return;
	}
	op_remove(ct, &o, on_removed, ct_req_new(r));
}

/* ---- list, inspect -------------------------------------------------------------------------- */

struct size_job {
	struct job job;
	uint64_t req;
	int version;
	bool list;
	struct container **cts; /* referenced; NULL-terminated */
	size_t n;
	char (*uuids)[37];
	char (*images)[80];
	struct ct_sizes *sizes;
};

static int size_run(struct job *job, struct err *err)
{
	struct size_job *sj = container_of(job, struct size_job, job);

	(void)err;
	for (size_t i = 0; i < sj->n; i++) {
		char path[1024];
		cleanup_fd int fd = open(paths_zone(&engine->paths, sj->uuids[i], "", path),
					 O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct err ignored = { 0 };
		struct image *img = NULL;

		if (fd >= 0)
			fs_tree_size(fd, "diff", &sj->sizes[i].rw);
		sj->sizes[i].root_fs = sj->sizes[i].rw;
		if (image_get(sj->images[i], &img, &ignored) == 0) {
			sj->sizes[i].root_fs += img->size;
			image_unref(img);
		}
	}
	return 0;
}

static void size_done(struct job *job)
{
	struct size_job *sj = container_of(job, struct size_job, job);
	cleanup_buf struct buf b = BUF_INIT;

	if (sj->list)
		ct_json_list(sj->cts, sj->sizes, sj->version, &b);
	else
		ct_json_inspect(sj->cts[0], sj->version, &sj->sizes[0], &b);
	reply_json(sj->req, 200, &b);
	for (size_t i = 0; i < sj->n; i++)
		container_unref(sj->cts[i]);
	free(sj->cts);
	free(sj->uuids);
	free(sj->images);
	free(sj->sizes);
	free(sj);
}

static void reply_with_sizes(struct req *r, struct container **cts, bool list)
{
	struct size_job *sj = xcalloc(1, sizeof(*sj));

	for (sj->n = 0; cts[sj->n]; sj->n++)
		;
	sj->req = req_id(r);
	sj->version = req_version(r);
	sj->list = list;
	sj->cts = cts;
	sj->uuids = xcalloc(sj->n + 1, sizeof(*sj->uuids));
	sj->images = xcalloc(sj->n + 1, sizeof(*sj->images));
	sj->sizes = xcalloc(sj->n + 1, sizeof(*sj->sizes));
	for (size_t i = 0; i < sj->n; i++) {
		container_ref(cts[i]);
		memcpy(sj->uuids[i], cts[i]->uuid, sizeof(sj->uuids[i]));
		memcpy(sj->images[i], cts[i]->image_id, sizeof(sj->images[i]));
	}
	sj->job.run = size_run;
	sj->job.done = size_done;
	sj->job.what = "sizes";
	job_submit(LANE_QUERY, &sj->job);
}

void handle_container_inspect(struct req *r)
{
	struct container *ct = find_or_reply(r);
	cleanup_buf struct buf b = BUF_INIT;
	struct container **one;

	if (!ct)
		return;
	if (req_query_bool(r, "size", false)) {
		one = xcalloc(2, sizeof(struct container *));
		one[0] = ct;
		reply_with_sizes(r, one, false);
		return;
	}
	ct_json_inspect(ct, req_version(r), NULL, &b);
	reply_json(req_id(r), 200, &b);
}

void handle_container_list(struct req *r)
{
	struct ct_list_opts o = { .all = req_query_bool(r, "all", false),
				  .filters = req_query(r, "filters"),
				  .since = req_query(r, "since"),
				  .before = req_query(r, "before") };
	const char *limit = req_query(r, "limit");
	cleanup_buf struct buf b = BUF_INIT;
	struct container **cts = NULL;
	struct err err = { 0 };
	int64_t n = 0;

	if (!str_empty(limit) && parse_i64(limit, INT32_MIN, INT32_MAX, &n) < 0) {
		err_kind(&err, ERR_BAD_PARAM, "strconv.Atoi: parsing \"%s\": invalid syntax",
			 limit);
		reply_error(req_id(r), &err);
		return;
	}
	o.limit = (int)n;
	if (ct_list(&o, req_version(r), &cts, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	if (req_query_bool(r, "size", false)) {
		reply_with_sizes(r, cts, true);
		return;
	}
	ct_json_list(cts, NULL, req_version(r), &b);
	free(cts);
	reply_json(req_id(r), 200, &b);
}
