/* SPDX-License-Identifier: MPL-2.0
 *
 * api_admin.c - handlers of the admin socket: the docker service as SAPI shows it (GET and PUT
 * /services), and /metrics.
 *
 * Every change is audited here: a line in the log for each key with who asked, and one event of type
 * daemon, action reload, as Docker tells of its own.
 */
#define LOG_MODULE "admin"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "engine.h"
#include "events.h"
#include "job.h"
#include "log.h"
#include "metrics.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "service_meta.h"
#include "str.h"

static void not_found(struct req *r)
{
	reply_error_status(req_id(r), 404, "no such service");
}

void handle_service_list(struct req *r)
{
	const char *name = req_query(r, "name");
	struct buf b = BUF_INIT;

	buf_addch(&b, '[');
	if (!name || str_eq(name, "docker"))
		service_meta_json(&b);
	buf_addch(&b, ']');
	reply_json(req_id(r), 200, &b);
}

void handle_service_get(struct req *r)
{
	struct buf b = BUF_INIT;

	if (!str_eq(req_var(r, "name"), service_meta_uuid())) {
		not_found(r);
		return;
	}
	service_meta_json(&b);
	reply_json(req_id(r), 200, &b);
}

/* ---- changes ---------------------------------------------------------------------------------- */

struct change_job {
	struct job job;
	uint64_t req;
	char peer[80];
	struct buf body;
	struct meta_changes changes;
};

static int change_run(struct job *job, struct err *err)
{
	struct change_job *cj = container_of(job, struct change_job, job);

	return service_meta_change(buf_str(&cj->body), cj->body.len, &cj->changes, err);
}

static void audit(const struct change_job *cj)
{
	const struct meta_changes *ch = &cj->changes;
	const char **attrs = xcalloc(2 * ch->n + 3, sizeof(*attrs));
	char host[256] = "";
	size_t n = 0;

	(void)gethostname(host, sizeof(host) - 1);
	attrs[n++] = "name";
	attrs[n++] = host;
	for (size_t i = 0; i < ch->n; i++) {
		log_info("service metadata changed", "key=%s from=%s to=%s by=%s", ch->v[i].key,
			 log_q(ch->v[i].old), log_q(ch->v[i].value), log_q(cj->peer));
		attrs[n++] = ch->v[i].key;
		attrs[n++] = ch->v[i].value;
	}
	if (ch->n)
		event_emit("daemon", "reload", engine->engine_id, attrs);
	free(attrs);
}

static void change_done(struct job *job)
{
	struct change_job *cj = container_of(job, struct change_job, job);
	struct buf b = BUF_INIT;

	if (job->rc < 0) {
		log_warn("service metadata: a change is refused", "by=%s error=%s", log_q(cj->peer),
			 log_q(job->err.msg));
		reply_error(cj->req, &job->err);
	} else {
		audit(cj);
		service_meta_json(&b);
		reply_json(cj->req, 200, &b);
	}
	buf_fini(&cj->body);
	meta_changes_free(&cj->changes);
	free(cj);
}

void handle_service_put(struct req *r)
{
	struct change_job *cj;

	if (!str_eq(req_var(r, "name"), service_meta_uuid())) {
		not_found(r);
		return;
	}
	cj = xcalloc(1, sizeof(*cj));
	cj->req = req_id(r);
	str_copy(cj->peer, sizeof(cj->peer), req_peer(r));
	buf_add(&cj->body, req_body(r)->p, req_body(r)->len);
	cj->job.run = change_run;
	cj->job.done = change_done;
	cj->job.what = "service metadata";
	job_submit(LANE_QUERY, &cj->job);
}

/* ---- metrics ---------------------------------------------------------------------------------- */

struct metrics_job {
	struct job job;
	uint64_t req;
	struct buf logs;
};

static int metrics_run(struct job *job, struct err *err)
{
	struct metrics_job *mj = container_of(job, struct metrics_job, job);

	(void)err;
	metrics_logs(&mj->logs);
	return 0;
}

static void http_metrics(struct buf *b)
{
	const struct client_stats *s = &client_stats;

	metric_head(b, "sdc_docker_http_connections", "gauge", "Clients that are connected.");
	metric_uint(b, "sdc_docker_http_connections", "", s->open);
	metric_counter(b, "sdc_docker_http_connections_accepted_total", "Clients that came.", s->accepted);
	metric_counter(b, "sdc_docker_http_connections_refused_total", "Clients turned away: too many.",
		       s->refused);
	metric_counter(b, "sdc_docker_http_requests_total", "Requests that were read.", s->requests);
	metric_counter(b, "sdc_docker_http_replies_total", "Replies that were complete.", s->replies);
	metric_counter(b, "sdc_docker_http_errors_total", "Replies that told of an error.", s->errors);
	metric_counter(b, "sdc_docker_http_bad_requests_total", "Requests that were not HTTP.", s->bad);
	metric_counter(b, "sdc_docker_http_gone_total", "Clients that left before their reply.", s->gone);
	metric_counter(b, "sdc_docker_http_received_bytes_total", "Bytes from clients.", s->bytes_in);
	metric_counter(b, "sdc_docker_http_sent_bytes_total", "Bytes to clients.", s->bytes_out);
}

static void metrics_done(struct job *job)
{
	struct metrics_job *mj = container_of(job, struct metrics_job, job);
	cleanup_buf struct buf b = BUF_INIT;

	if (job->rc < 0) {
		reply_error(mj->req, &job->err);
	} else {
		http_metrics(&b);
		metrics_engine(&b);
		buf_add(&b, buf_str(&mj->logs), mj->logs.len);
		reply_text(mj->req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
	}
	buf_fini(&mj->logs);
	free(mj);
}

void handle_metrics(struct req *r)
{
	struct metrics_job *mj = xcalloc(1, sizeof(*mj));

	mj->req = req_id(r);
	mj->job.run = metrics_run;
	mj->job.done = metrics_done;
	mj->job.what = "metrics";
	job_submit(LANE_QUERY, &mj->job);
}
