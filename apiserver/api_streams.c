/* SPDX-License-Identifier: MPL-2.0
 *
 * api_streams.c - GET logs, POST attach, GET attach/ws.
 *
 * Both end in a descriptor that logsvc writes to, already in Docker's frames (raw for a tty): a job
 * asks for it, the connection pumps it. Nothing of a log passes through our memory but the
 * connection's buffer. Parameters and their order of checks: logging contract 6.3.
 */
#define LOG_MODULE "streams"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/attach.h"
#include "apiserver/attach_output.h"
#include "apiserver/container.h"
#include "apiserver/events.h"
#include "apiserver/job.h"
#include "apiserver/logclient.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/zone.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define TYPE_RAW "application/vnd.docker.raw-stream"
#define TYPE_MUX "application/vnd.docker.multiplexed-stream"

static bool has_tty(const struct container *ct)
{
	return jget_bool(ct->config, "Tty", false);
}

/* ---- logs ----------------------------------------------------------------------------------- */

struct logs_job {
	struct job job;
	uint64_t req;
	char uuid[37];
	struct log_read_opts o;
	const char *content_type;
	int fd;
};

static int logs_run(struct job *job, struct err *err)
{
	struct logs_job *lj = container_of(job, struct logs_job, job);

	return logclient_read(lj->uuid, &lj->o, &lj->fd, err);
}

static void logs_done(struct job *job)
{
	struct logs_job *lj = container_of(job, struct logs_job, job);
	struct stream_opts so = { .content_type = lj->content_type, .content_length = -1 };

	if (job->rc < 0)
		reply_error(lj->req, &job->err);
	else
		reply_stream(lj->req, lj->fd, &so);
	free(lj);
}

static int parse_time(struct req *r, const char *name, int64_t *out, struct err *err)
{
	const char *s = req_query(r, name), *dot;
	cleanup_free char *seconds = NULL;
	int64_t whole;
	bool nanos;
	int rc;

	*out = 0;
	if (str_empty(s) || str_eq(s, "0"))
		return 0;
	if ((rc = parse_unix_time_ns(s, out)) == 0) {
		if (*out == 0) /* which says that there is none */
			*out = str_eq(name, "since") ? -1 : 1;
		return 0;
	}
	dot = strchr(s, '.');
	seconds = xstrndup(s, dot ? (size_t)(dot - s) : strlen(s));
	nanos = dot && parse_i64(seconds, INT64_MIN, INT64_MAX, &whole) == 0;
	return err_kind(err, ERR_BAD_PARAM, "invalid value for \"%s\": invalid timestamp \"%s\": invalid %s \"%s\": %s",
			name, s, nanos ? "nanoseconds" : "seconds", nanos ? dot + 1 : seconds,
			rc == -ERANGE ? "value out of range" : "invalid syntax");
}

static int logs_parse(struct req *r, struct log_read_opts *o, struct err *err)
{
	const char *tail = req_query(r, "tail");
	int64_t n;
	int rc;

	o->out = req_query_bool(r, "stdout", false);
	o->err = req_query_bool(r, "stderr", false);
	if (!o->out && !o->err)
		return err_kind(err, ERR_BAD_PARAM,
				"Bad parameters: you must choose at least one stream");
	if ((rc = parse_time(r, "since", &o->since_ns, err)) < 0 ||
	    (rc = parse_time(r, "until", &o->until_ns, err)) < 0)
		return rc;
	o->timestamps = req_query_bool(r, "timestamps", false);
	o->details = req_query_bool(r, "details", false);
	o->follow = req_query_bool(r, "follow", false);
	o->tail = !str_empty(tail) && parse_i64(tail, 0, INT64_MAX, &n) == 0 ? n : -1;
	return 0;
}

static int logs_check(const struct container *ct, struct err *err)
{
	const json_t *lc = jget_obj(ct->host_config, "LogConfig");

	if (ct->removing || ct->st.dead)
		return err_kind(
			err, ERR_CONFLICT,
			"can not get logs from container which is dead or marked for removal");
	if (str_eq(jget_str(lc, "Type", ""), "none"))
		return err_kind(err, ERR_NOT_IMPLEMENTED,
				"configured logging driver does not support reading");
	return 0;
}

void handle_container_logs(struct req *r)
{
	struct log_read_opts o = { 0 };
	struct err err = { 0 };
	struct container *ct;
	struct logs_job *lj;

	if (logs_parse(r, &o, &err) < 0 || !(ct = container_find(req_var(r, "name"), &err)) ||
	    logs_check(ct, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	lj = xcalloc(1, sizeof(*lj));
	lj->req = req_id(r);
	memcpy(lj->uuid, ct->uuid, sizeof(lj->uuid));
	lj->o = o;
	lj->content_type = !has_tty(ct) && req_version(r) >= 142 ? TYPE_MUX : TYPE_RAW;
	lj->fd = -1;
	lj->job.run = logs_run;
	lj->job.done = logs_done;
	lj->job.what = "logs";
	job_submit(LANE_QUERY, &lj->job);
}

/* ---- attach --------------------------------------------------------------------------------- */

struct attach_job {
	struct job job;
	uint64_t req;
	struct container *ct;
	char uuid[37];
	bool in, out, err, logs, stream, tty;
	bool running;	 /* when we looked: take the zone's stdin directly */
	bool stdin_once; /* the client's EOF is the container's */
	bool counted;	 /* by attach_output_begin */
	uint64_t early; /* of attach_wait_start; 0: none */
	struct hijack_opts h;
};

static int attach_run(struct job *job, struct err *err)
{
	struct attach_job *aj = container_of(job, struct attach_job, job);
	struct err ignored = { 0 };

	if (aj->in && aj->running && zone_get_stdin(aj->uuid, &aj->h.in_fd, &ignored) < 0)
		log_debug("no standard input", "uuid=%s error=%s", aj->uuid, log_q(ignored.msg));
	if (!aj->logs && !aj->stream)
		return 0;
	return logclient_attach(aj->uuid, aj->out, aj->err, aj->logs, aj->stream, &aj->h.out[0],
				err);
}

static void attach_free(struct attach_job *aj)
{
	if (aj->counted)
		attach_output_end(aj->ct);
	container_unref(aj->ct);
	free(aj);
}

struct close_job {
	struct job job;
	char uuid[37];
};

static int close_run(struct job *job, struct err *err)
{
	return zone_close_stdin(container_of(job, struct close_job, job)->uuid, err);
}

static void close_done(struct job *job)
{
	free(container_of(job, struct close_job, job));
}

static void on_in_eof(void *arg)
{
	struct attach_job *aj = arg;
	struct close_job *cj;

	if (!aj->stdin_once)
		return;
	cj = xcalloc(1, sizeof(*cj));
	memcpy(cj->uuid, aj->uuid, sizeof(cj->uuid));
	cj->job.run = close_run;
	cj->job.done = close_done;
	cj->job.what = "close stdin";
	job_submit(LANE_LIFECYCLE, &cj->job);
}

static void on_detach(void *arg)
{
	struct attach_job *aj = arg;

	event_container(aj->ct, "detach", NULL);
	if (aj->early)
		attach_forget(aj->early);
	attach_free(aj);
}

static void on_end(void *arg, bool client_gone)
{
	struct attach_job *aj = arg;

	if (client_gone && aj->early)
		attach_forget(aj->early);
	attach_free(aj);
}

/* The container did not run when we looked: the client's bytes wait in a pipe for its start. */
static void attach_early(struct attach_job *aj)
{
	int p[2] = { -1, -1 };

	if (aj->in && pipe2(p, O_CLOEXEC) < 0)
		log_err("pipe", "error=%s", strerror(errno));
	aj->h.in_fd = p[1];
	aj->stdin_once = false; /* the pump sees to it */
	aj->early = attach_wait_start(aj->ct, p[0], aj->h.out[0]);
	if (container_is_running(aj->ct))
		attach_zone_started(aj->ct);
}

static void attach_done(struct job *job)
{
	struct attach_job *aj = container_of(job, struct attach_job, job);

	if (job->rc < 0) {
		reply_error(aj->req, &job->err);
		if (aj->h.in_fd >= 0)
			close(aj->h.in_fd);
		attach_free(aj);
		return;
	}
	if (aj->stream && !aj->running)
		attach_early(aj);
	event_container(aj->ct, "attach", NULL);
	aj->counted = aj->stream && aj->h.out[0] >= 0;
	aj->h.until_taken = aj->counted;
	if (aj->counted)
		attach_output_begin(aj->ct);
	reply_hijack(aj->req, &aj->h);
}

static int attach_check(const struct container *ct, struct err *err)
{
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT,
				"container %s is paused, unpause the container before attach",
				ct->id);
	if (ct->st.status == CT_RESTARTING)
		return err_kind(err, ERR_CONFLICT,
				"container %s is restarting, wait until the container is running",
				ct->id);
	if (ct->removing)
		return err_kind(err, ERR_CONFLICT, "container %s is marked for removal", ct->id);
	return 0;
}

static void attach_begin(struct req *r)
{
	uint8_t keys[DETACH_KEYS_MAX];
	struct attach_job *aj;
	struct err err = { 0 };
	struct container *ct;
	size_t n_keys = 0;

	if (!(ct = container_find(req_var(r, "name"), &err)) ||
	    detach_keys_parse(req_query(r, "detachKeys"), "detach", keys, &n_keys, &err) < 0 ||
	    attach_check(ct, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	aj = xcalloc(1, sizeof(*aj));
	aj->req = req_id(r);
	aj->ct = container_ref(ct);
	memcpy(aj->uuid, ct->uuid, sizeof(aj->uuid));
	aj->tty = has_tty(ct);
	aj->stream = req_query_bool(r, "stream", false);
	aj->logs = req_query_bool(r, "logs", false);
	aj->out = req_query_bool(r, "stdout", false);
	aj->err = req_query_bool(r, "stderr", false);
	aj->in = aj->stream && req_query_bool(r, "stdin", false) &&
		 jget_bool(ct->config, "OpenStdin", false);
	aj->running = container_is_running(ct);
	aj->stdin_once = jget_bool(ct->config, "StdinOnce", false) && !aj->tty;
	aj->h = (struct hijack_opts){ .tty = aj->tty,
				      .framed = !aj->tty,
				      .in_fd = -1,
				      .out = { -1, -1 },
				      .on_in_eof = on_in_eof,
				      .on_detach = on_detach,
				      .on_end = on_end,
				      .arg = aj };
	if (aj->tty) {
		memcpy(aj->h.detach, keys, sizeof(keys));
		aj->h.n_detach = n_keys;
	}
	aj->job.run = attach_run;
	aj->job.done = attach_done;
	aj->job.what = "attach";
	job_submit(LANE_LIFECYCLE, &aj->job);
}

void handle_container_attach(struct req *r)
{
	attach_begin(r);
}

void handle_container_attach_ws(struct req *r)
{
	struct err err = { 0 };

	if (req_is_websocket(r))
		attach_begin(r);
	else if (!container_find(req_var(r, "name"), &err))
		reply_error(req_id(r), &err);
	else
		reply_error_status(req_id(r), 400, "not websocket protocol");
}
