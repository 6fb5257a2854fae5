/* SPDX-License-Identifier: MPL-2.0
 *
 * api_exec.c - exec create, start, inspect, resize.
 *
 * An attached exec owns the read ends of its program's output twice: the connection pumps one pair,
 * the other is ours, for when the client leaves early: the program goes on, and its output is read
 * and forgotten rather than killing it with SIGPIPE.
 *
 * The end of the output and the end of the program reach us by two ways. Clients ask for the exit
 * code when the output has ended, so inspect waits a moment for the second; and when a program has
 * ended whose children hold its output open, the connection ends two seconds later, as with Docker, with all that was
 * written until then.
 */
#define LOG_MODULE "exec"
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/attach.h"
#include "apiserver/body_fields.h"
#include "apiserver/cgroup.h"
#include "apiserver/events.h"
#include "apiserver/exec.h"
#include "apiserver/go_json.h"
#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/resize_param.h"
#include "apiserver/route.h"
#include "apiserver/zone_files.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

#define INSPECT_WAIT_MS	  1000
#define STREAMS_LINGER_MS 2000
#define STREAMS_DRAIN_MS  500

/* ---- create --------------------------------------------------------------------------------- */

static void take_console_size(const json_t *o, struct exec *ex)
{
	const json_t *size = jget_arr(o, "ConsoleSize");

	if (json_array_size(size) != 2)
		return;
	ex->rows = (unsigned)json_integer_value(json_array_get(size, 0)) & 0xffff;
	ex->cols = (unsigned)json_integer_value(json_array_get(size, 1)) & 0xffff;
}

/* An exec to be made: at once, or after a look for its user in the container. */
struct create_job {
	struct job job;
	uint64_t req;
	json_t *body;
	char *ref; /* the container, as the client names it */
	struct ct_spec *spec;
	uint8_t keys[DETACH_KEYS_MAX];
	size_t n_keys;
	bool sized; /* the body's ConsoleSize counts */
};

static void create_finish(struct create_job *cj, struct err *err)
{
	struct container *ct = err->kind ? NULL : container_find(cj->ref, err);
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	struct exec *ex;

	if (!ct || exec_create(ct, cj->ref, json_incref(cj->body), &ex, err) < 0) {
		reply_error(cj->req, err);
	} else {
		memcpy(ex->detach_keys, cj->keys, sizeof(cj->keys));
		ex->n_detach_keys = cj->n_keys;
		if (cj->sized)
			take_console_size(cj->body, ex);
		jw_obj(&w, NULL);
		jw_str(&w, "Id", ex->id);
		jw_end(&w);
		reply_json(cj->req, 201, &b);
	}
	json_decref(cj->body);
	free(cj->ref);
	ct_spec_free(cj->spec);
	free(cj);
}

/* A user that is not there is told now, not in the output of a start. */
static int find_user(struct job *job, struct err *err)
{
	struct create_job *cj = container_of(job, struct create_job, job);
	struct zone_view v = ZONE_VIEW_INIT;
	struct err ignored = { 0 };
	uid_t uid;
	gid_t gid;
	int rc;

	if (zone_view_open(cj->spec, &v, &ignored) < 0)
		return 0; /* it has just ended: that is said better elsewhere */
	rc = zone_user_ids(v.root_fd, jget_str(cj->body, "User", ""), &uid, &gid, err);
	zone_view_close(&v);
	if (rc < 0)
		err->kind = ERR_BAD_PARAM;
	return rc;
}

static void user_found(struct job *job)
{
	create_finish(container_of(job, struct create_job, job), &job->err);
}

/* Takes cj when it works. */
static int create(struct req *r, struct create_job *cj, struct err *err)
{
	struct container *ct;
	int rc;

	cgroup_prewarm();
	if ((rc = body_decode(&body_exec_create, req_body(r), &cj->body, err)) < 0)
		return rc;
	if (json_array_size(jget_arr(cj->body, "Cmd")) == 0)
		return err_kind(err, ERR_BAD_PARAM, "No exec command specified");
	if (!(ct = container_find(req_var(r, "name"), err)))
		return err->code;
	if ((rc = detach_keys_parse(jget_str(cj->body, "DetachKeys", ""), "escape", cj->keys, &cj->n_keys, err)) < 0)
		return rc;
	cj->req = req_id(r);
	cj->ref = xstrdup(req_var(r, "name"));
	cj->sized = req_version(r) >= 142;
	if (str_empty(jget_str(cj->body, "User", "")) || ct->st.status != CT_RUNNING) {
		create_finish(cj, err);
		return 0;
	}
	cj->spec = container_spec(ct);
	cj->job = (struct job){ .run = find_user, .done = user_found, .what = "exec user" };
	job_submit(LANE_QUERY, &cj->job);
	return 0;
}

void handle_exec_create(struct req *r)
{
	struct create_job *cj = xcalloc(1, sizeof(*cj));
	struct err err = { 0 };

	if (create(r, cj, &err) == 0)
		return;
	reply_error(req_id(r), &err);
	json_decref(cj->body);
	free(cj);
}

/* ---- start ---------------------------------------------------------------------------------- */

struct exec_client {
	uint64_t req;
	struct exec *ex;
	bool mux;
	int keep[2]; /* our own read ends */
	bool broken; /* the relay has died: there is no output any more */
	bool ended;  /* the connection has */
	uv_timer_t linger;
	bool has_timer;
};

static void client_free(struct exec_client *c)
{
	exec_unref(c->ex);
	free(c);
}

static void on_linger_closed(uv_handle_t *h)
{
	client_free(container_of((uv_timer_t *)h, struct exec_client, linger));
}

static void on_linger(uv_timer_t *t)
{
	struct exec_client *c = container_of(t, struct exec_client, linger);

	if (reply_hijack_drain(c->req))
		uv_timer_start(t, on_linger, STREAMS_DRAIN_MS, 0);
	else
		reply_hijack_end(c->req); /* on_end follows */
}

/* The client waits for the program's end on, so as to learn its exit code. */
static bool on_broken(void *arg, const char **text)
{
	struct exec_client *c = arg;

	if (!c->broken)
		*text = "the rest of the output is lost: the process that relays it was killed\r\n";
	c->broken = true;
	return c->ex->status == EXEC_RUNNING || c->ex->status == EXEC_STARTING;
}

/* The program has ended; its output may be held open by its children. */
static void on_exec_ended(struct exec *ex, void *arg)
{
	struct exec_client *c = arg;

	ex->on_ended = NULL;
	if (c->broken) {
		reply_hijack_end(c->req);
		return;
	}
	c->has_timer = true;
	uv_timer_init(uv_default_loop(), &c->linger);
	uv_timer_start(&c->linger, on_linger, STREAMS_LINGER_MS, 0);
}

static void on_end(void *arg, bool client_gone)
{
	struct exec_client *c = arg;

	c->ended = true;
	c->ex->streams_ended = true;
	c->ex->on_ended = NULL;
	for (int i = 0; i < 2; i++) {
		if (c->keep[i] >= 0 && client_gone && c->ex->status == EXEC_RUNNING)
			attach_drain(c->keep[i]);
		else if (c->keep[i] >= 0)
			close(c->keep[i]);
	}
	if (c->has_timer) {
		uv_timer_stop(&c->linger);
		uv_close((uv_handle_t *)&c->linger, on_linger_closed);
	} else {
		client_free(c);
	}
}

static void on_detach(void *arg)
{
	struct exec_client *c = arg;
	struct container *ct = container_by_id(c->ex->ct_id);
	const char *attrs[] = { "execID", c->ex->id, NULL };

	if (ct)
		event_container(ct, "exec_detach", attrs);
	on_end(c, true);
}

static int keep_or_drop(int fd, bool attached)
{
	if (fd < 0)
		return -1;
	if (!attached) {
		attach_drain(fd);
		return -1;
	}
	return fd;
}

static void attach_streams(struct exec_client *c, struct zone_exec_fds *fds)
{
	struct exec *ex = c->ex;
	struct hijack_opts h = {
		.tty = ex->tty, .on_broken = on_broken, .on_detach = on_detach, .on_end = on_end, .arg = c
	};

	h.in_fd = fds->in;
	h.out[0] = keep_or_drop(fds->out, ex->attach_stdout || (ex->tty && ex->attach_stderr));
	h.out[1] = keep_or_drop(fds->err, ex->attach_stderr);
	h.mux[0] = c->mux ? 1 : 0;
	h.mux[1] = c->mux ? 2 : 0;
	if (!ex->attach_stdin && h.in_fd >= 0)
		close(take_fd(&h.in_fd));
	for (int i = 0; i < 2; i++)
		c->keep[i] = h.out[i] >= 0 ? fcntl(h.out[i], F_DUPFD_CLOEXEC, 0) : -1;
	if (ex->tty) {
		memcpy(h.detach, ex->detach_keys, sizeof(h.detach));
		h.n_detach = ex->n_detach_keys;
	}
	ex->on_ended = on_exec_ended;
	ex->on_ended_arg = c;
	reply_hijack(c->req, &h);
}

static void on_started(struct exec *ex, void *arg, struct zone_exec_fds *fds, const struct err *err)
{
	struct exec_client *c = arg;
	struct hijack_opts h = { .tty = !c->mux, .in_fd = -1, .out = { -1, -1 } };

	if (err) {
		cleanup_free char *text = xasprintf("%s\r\n", err->msg);

		ex->streams_ended = true;
		reply_hijack_message(c->req, &h, c->mux ? 1 : 0, text);
		client_free(c);
		return;
	}
	attach_streams(c, fds);
}

static void on_started_detached(struct exec *ex, void *arg, struct zone_exec_fds *fds,
				const struct err *err)
{
	struct exec_client *c = arg;

	(void)ex;
	(void)fds;
	if (err)
		reply_error(c->req, err);
	else
		reply_empty(c->req, 200);
	client_free(c);
}

/* Docker refuses these before the connection is hijacked, the rest in the stream. */
static int start_check(const struct exec *ex, struct err *err)
{
	const struct container *ct = container_by_id(ex->ct_id);

	if (!ct)
		return err_kind(err, ERR_NOT_FOUND, "No such container: %s", ex->ct_id);
	if (!container_is_running(ct))
		return err_kind(err, ERR_CONFLICT, "container %s is not running", ct->id);
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT,
				"Container %s is paused, unpause the container before exec",
				ct->id);
	if (ct->st.status == CT_RESTARTING)
		return err_kind(err, ERR_CONFLICT,
				"Container %s is restarting, wait until the container is running",
				ct->id);
	return 0;
}

void handle_exec_start(struct req *r)
{
	cleanup_json json_t *o = NULL;
	struct exec_client *c;
	struct err err = { 0 };
	struct exec *ex;
	bool detach;

	cgroup_prewarm();
	if (body_decode(&body_exec_start, req_body(r), &o, &err) < 0 ||
	    !(ex = exec_find(req_var(r, "id"), &err)) || start_check(ex, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	detach = jget_bool(o, "Detach", false);
	if (req_version(r) >= 142)
		take_console_size(o, ex);
	c = xcalloc(1, sizeof(*c));
	c->req = req_id(r);
	c->ex = exec_ref(ex);
	c->mux = !jget_bool(o, "Tty", false);
	c->keep[0] = c->keep[1] = -1;
	if (!detach) {
		const struct hijack_opts h = { .tty = !c->mux };

		reply_hijack_head(c->req, &h);
	}
	exec_start(ex, detach, detach ? on_started_detached : on_started, c);
}

/* ---- inspect -------------------------------------------------------------------------------- */

static void write_process(struct jw *w, const struct exec *ex)
{
	const json_t *cmd = jget_arr(ex->config, "Cmd");
	const char *user = jget_str(ex->config, "User", "");
	const json_t *v;
	size_t i;

	jw_obj(w, "ProcessConfig");
	jw_bool(w, "tty", ex->tty);
	jw_str(w, "entrypoint", json_string_value(json_array_get(cmd, 0)));
	jw_arr(w, "arguments");
	json_array_foreach (cmd, i, v) {
		if (i > 0)
			jw_str(w, NULL, json_string_value(v));
	}
	jw_end(w);
	jw_bool(w, "privileged", jget_bool(ex->config, "Privileged", false));
	if (user[0])
		jw_str(w, "user", user);
	jw_end(w);
}

/* Those that were asked for, as bytes: base64 in JSON. */
static void write_detach_keys(struct jw *w, const struct exec *ex)
{
	char text[(DETACH_KEYS_MAX + 2) / 3 * 4 + 1] = "";

	if (*jget_str(ex->config, "DetachKeys", ""))
		EVP_EncodeBlock((unsigned char *)text, ex->detach_keys, (int)ex->n_detach_keys);
	jw_str(w, "DetachKeys", text);
}

static void reply_inspect(uint64_t req, const struct exec *ex)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_str(&w, "ID", ex->id);
	jw_bool(&w, "Running", ex->status == EXEC_RUNNING || ex->status == EXEC_STARTING);
	if (ex->status == EXEC_ENDED)
		jw_int(&w, "ExitCode", ex->exit_code);
	else
		jw_null(&w, "ExitCode");
	write_process(&w, ex);
	jw_bool(&w, "OpenStdin", ex->attach_stdin);
	jw_bool(&w, "OpenStderr", ex->attach_stderr);
	jw_bool(&w, "OpenStdout", ex->attach_stdout);
	jw_bool(&w, "CanRemove", ex->can_remove);
	jw_str(&w, "ContainerID", ex->ct_id);
	write_detach_keys(&w, ex);
	jw_int(&w, "Pid", ex->pid);
	jw_end(&w);
	reply_json(req, 200, &b);
}

struct late_inspect {
	uv_timer_t timer;
	uint64_t req;
	struct exec *ex;
	unsigned ticks;
};

static void on_late_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct late_inspect, timer));
}

static void on_late_tick(uv_timer_t *t)
{
	struct late_inspect *li = container_of(t, struct late_inspect, timer);

	if (li->ex->status != EXEC_ENDED && ++li->ticks < INSPECT_WAIT_MS / 2)
		return;
	reply_inspect(li->req, li->ex);
	exec_unref(li->ex);
	uv_timer_stop(t);
	uv_close((uv_handle_t *)t, on_late_closed);
}

void handle_exec_inspect(struct req *r)
{
	struct late_inspect *li;
	struct err err = { 0 };
	struct exec *ex = exec_find(req_var(r, "id"), &err);

	if (!ex) {
		reply_error(req_id(r), &err);
		return;
	}
	if (ex->status != EXEC_RUNNING || !ex->streams_ended) {
		reply_inspect(req_id(r), ex);
		return;
	}
	li = xcalloc(1, sizeof(*li));
	li->req = req_id(r);
	li->ex = exec_ref(ex);
	uv_timer_init(uv_default_loop(), &li->timer);
	uv_timer_start(&li->timer, on_late_tick, 1, 2);
}

/* ---- resize --------------------------------------------------------------------------------- */

struct resize_job {
	struct job job;
	uint64_t req;
	char uuid[37], exec_id[65];
	unsigned rows, cols;
};

static int resize_run(struct job *job, struct err *err)
{
	struct resize_job *rj = container_of(job, struct resize_job, job);

	return zone_resize(rj->uuid, rj->exec_id, rj->rows, rj->cols, err);
}

static void resize_done(struct job *job)
{
	struct resize_job *rj = container_of(job, struct resize_job, job);

	if (job->rc < 0)
		reply_error(rj->req, &job->err);
	else
		reply_empty(rj->req, 200);
	free(rj);
}

void handle_exec_resize(struct req *r)
{
	struct resize_job *rj;
	const struct container *ct;
	struct err err = { 0 };
	unsigned rows;
	unsigned cols;
	struct exec *ex;

	if (resize_param(r, &rows, &cols, &err) < 0 ||
	    !(ex = exec_find(req_var(r, "id"), &err)) || start_check(ex, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	if (ex->status != EXEC_RUNNING) {
		reply_error_status(req_id(r), 500, "exec process is not running");
		return;
	}
	ct = container_by_id(ex->ct_id);
	rj = xcalloc(1, sizeof(*rj));
	rj->req = req_id(r);
	memcpy(rj->uuid, ct->uuid, sizeof(rj->uuid));
	memcpy(rj->exec_id, ex->id, sizeof(rj->exec_id));
	rj->rows = rows;
	rj->cols = cols;
	rj->job.run = resize_run;
	rj->job.done = resize_done;
	rj->job.what = "exec resize";
	job_submit(LANE_LIFECYCLE, &rj->job);
}
