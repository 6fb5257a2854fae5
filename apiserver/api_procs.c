/* SPDX-License-Identifier: MPL-2.0
 *
 * api_procs.c - GET containers/X/top, GET containers/X/stats, POST containers/X/resize.
 *
 * top and resize are one job each. stats is an object on the loop: a timer ticks once a second,
 * each tick submits a job that takes a sample, and the sample's JSON goes to the client.
 *
 *	first sample due --(job done)--> ticking --(tick: job, done: write)--> ticking
 *	      |                              |-- container or client gone --> closing --> close_cb
 *	      `-- one answer wanted: reply, closing
 *
 * Invariant: the object is freed when the timer is closed and no job of it runs.
 */
#define LOG_MODULE "procs"
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "cgroup.h"
#include "cgroup_priv.h"
#include "cleanup.h"
#include "container.h"
#include "events.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "oci_priv.h"
#include "reply.h"
#include "request.h"
#include "resize_param.h"
#include "route.h"
#include "str.h"
#include "top.h"
#include "zone.h"

#define TICK_MS	   1000
#define MAX_UNSENT (256 * 1024)
#define ZERO_CPU                                                                                   \
	"{\"cpu_usage\":{\"total_usage\":0,\"usage_in_kernelmode\":0,\"usage_in_usermode\":0},"    \
	"\"throttling_data\":{\"periods\":0,\"throttled_periods\":0,\"throttled_time\":0}}"
#define ZERO_BLKIO                                                                                 \
	"{\"io_service_bytes_recursive\":null,\"io_serviced_recursive\":null,"                     \
	"\"io_queue_recursive\":null,\"io_service_time_recursive\":null,"                          \
	"\"io_wait_time_recursive\":null,\"io_merged_recursive\":null,\"io_time_recursive\":null," \
	"\"sectors_recursive\":null}"
#define ZERO_TIME "0001-01-01T00:00:00Z"

static struct container *find_or_reply(struct req *r)
{
	struct err err = { 0 };
	struct container *ct = container_find(req_var(r, "name"), &err);

	if (!ct)
		reply_error(req_id(r), &err);
	return ct;
}

/* Whether processes can be looked at now; else replies. */
static bool running_or_reply(struct req *r, const struct container *ct)
{
	struct err err = { 0 };

	if (ct->st.status == CT_RESTARTING)
		err_kind(&err, ERR_CONFLICT,
			 "Container %s is restarting, wait until the container is running", ct->id);
	else if (!container_is_running(ct))
		err_kind(&err, ERR_CONFLICT, "container %s is not running", ct->id);
	else
		return true;
	reply_error(req_id(r), &err);
	return false;
}

/* ---- top ---- */

struct top_job {
	struct job job;
	uint64_t req;
	struct ct_spec *spec;
	char *ps_args;
	struct buf json;
};

static int top_job_run(struct job *job, struct err *err)
{
	struct top_job *tj = container_of(job, struct top_job, job);
	cleanup_free int *pids = NULL;
	size_t n;
	int rc;

	if ((rc = cgroup_pids(tj->spec, &pids, &n, err)) < 0)
		return rc;
	return top_run(tj->ps_args, pids, n, &tj->json, err);
}

static void top_job_done(struct job *job)
{
	struct top_job *tj = container_of(job, struct top_job, job);
	struct container *ct;

	if (job->rc < 0)
		reply_error(tj->req, &job->err);
	else
		reply_json(tj->req, 200, &tj->json);
	if (job->rc == 0 && (ct = container_by_id(tj->spec->id)))
		event_container(ct, "top", NULL);
	ct_spec_free(tj->spec);
	free(tj->ps_args);
	buf_fini(&tj->json);
	free(tj);
}

void handle_container_top(struct req *r)
{
	const char *args = req_query(r, "ps_args");
	struct err err = { 0 };
	struct container *ct;
	struct top_job *tj;

	if (args && top_check_args(args, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	ct = find_or_reply(r);
	if (!ct || !running_or_reply(r, ct))
		return;
	tj = xcalloc(1, sizeof(*tj));
	tj->job.run = top_job_run;
	tj->job.done = top_job_done;
	tj->job.what = "top";
	tj->req = req_id(r);
	tj->spec = container_spec(ct);
	tj->ps_args = xstrdup(str_empty(args) ? "-ef" : args);
	job_submit(LANE_QUERY, &tj->job);
}

/* ---- resize ---- */

struct resize_job {
	struct job job;
	uint64_t req;
	char uuid[37], id[65];
	unsigned rows, cols;
};

static void resize_event(const struct resize_job *rj)
{
	struct container *ct = container_by_id(rj->id);
	char height[12], width[12];
	const char *attrs[] = { "height", height, "width", width, NULL };

	snprintf(height, sizeof(height), "%u", rj->rows);
	snprintf(width, sizeof(width), "%u", rj->cols);
	if (ct)
		event_container(ct, "resize", attrs);
}

static int resize_run(struct job *job, struct err *err)
{
	struct resize_job *rj = container_of(job, struct resize_job, job);

	return zone_resize(rj->uuid, "", rj->rows, rj->cols, err);
}

static void resize_done(struct job *job)
{
	struct resize_job *rj = container_of(job, struct resize_job, job);

	if (job->rc < 0) {
		reply_error(rj->req, &job->err);
	} else {
		resize_event(rj);
		reply_empty(rj->req, 200);
	}
	free(rj);
}

void handle_container_resize(struct req *r)
{
	struct resize_job *rj;
	struct err err = { 0 };
	struct container *ct;
	unsigned rows, cols;

	if (resize_param(r, &rows, &cols, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	ct = find_or_reply(r);
	if (!ct || !running_or_reply(r, ct))
		return;
	rj = xcalloc(1, sizeof(*rj));
	rj->job.run = resize_run;
	rj->job.done = resize_done;
	rj->job.what = "resize";
	rj->req = req_id(r);
	memcpy(rj->uuid, ct->uuid, sizeof(rj->uuid));
	memcpy(rj->id, ct->id, sizeof(rj->id));
	rj->rows = rows;
	rj->cols = cols;
	job_submit(LANE_LIFECYCLE, &rj->job);
}

/* ---- stats ---- */

struct stats_stream {
	uv_timer_t timer;
	uint64_t req;
	char id[65];
	int version;
	bool stream, one_shot;
	bool begun; /* the streamed reply */
	bool busy;  /* a job runs */
	bool closing, closed;
	unsigned n_samples;
	int64_t pre_ns;	    /* time of the sample before */
	struct buf pre_cpu; /* its cpu_stats */
};

struct stats_job {
	struct job job;
	struct stats_stream *s;
	char cgpath[1024];
	int pid;
	bool host_net;
	struct cg_sample sample;
	int64_t at_ns;
};

static void stream_maybe_free(struct stats_stream *s)
{
	if (!s->closed || s->busy)
		return;
	buf_fini(&s->pre_cpu);
	free(s);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct stats_stream *s = container_of((uv_timer_t *)h, struct stats_stream, timer);

	s->closed = true;
	stream_maybe_free(s);
}

static void stream_close(struct stats_stream *s)
{
	if (s->closing)
		return;
	s->closing = true;
	if (s->begun)
		reply_end(s->req);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

/* One answer to the client; ends the object where no more are due. */
static void stream_send(struct stats_stream *s, struct buf *json)
{
	if (!s->stream) {
		reply_json(s->req, 200, json);
		stream_close(s);
		return;
	}
	if (!s->begun && reply_begin(s->req, 200, "application/json") < 0) {
		stream_close(s);
		return;
	}
	s->begun = true;
	buf_addch(json, '\n');
	if (reply_write(s->req, json->p, json->len) < 0)
		stream_close(s);
}

/* sample NULL: the container does not run. */
static void compose(const struct stats_stream *s, const struct container *ct,
		    const struct cg_sample *sample, int64_t at_ns, struct buf *out)
{
	char read[RFC3339NANO_MAX] = ZERO_TIME, pre[RFC3339NANO_MAX] = ZERO_TIME, name[300];
	struct jw w = JW(out);

	if (sample)
		fmt_rfc3339nano(read, at_ns);
	if (sample && s->pre_ns)
		fmt_rfc3339nano(pre, s->pre_ns);
	snprintf(name, sizeof(name), "/%s", ct->name);
	jw_obj(&w, NULL);
	jw_str(&w, "name", name);
	jw_str(&w, "id", ct->id);
	jw_str(&w, "read", read);
	jw_str(&w, "preread", pre);
	jw_raw(&w, "pids_stats", sample && sample->pids.len ? sample->pids.p : "{}");
	jw_raw(&w, "blkio_stats", sample && sample->blkio.len ? sample->blkio.p : ZERO_BLKIO);
	jw_int(&w, "num_procs", 0);
	jw_raw(&w, "storage_stats", "{}");
	jw_raw(&w, "cpu_stats", sample && sample->cpu.len ? sample->cpu.p : ZERO_CPU);
	jw_raw(&w, "precpu_stats", sample && s->pre_cpu.len ? s->pre_cpu.p : ZERO_CPU);
	jw_raw(&w, "memory_stats", sample && sample->memory.len ? sample->memory.p : "{}");
	if (sample && sample->networks.len)
		jw_raw(&w, "networks", sample->networks.p);
	jw_end(&w);
}

static int stats_run(struct job *job, struct err *err)
{
	struct stats_job *sj = container_of(job, struct stats_job, job);

	sj->at_ns = now_ns();
	return cg_sample(sj->cgpath, sj->pid, sj->host_net, &sj->sample, err);
}

static void stats_done(struct job *job)
{
	struct stats_job *sj = container_of(job, struct stats_job, job);
	struct stats_stream *s = sj->s;
	struct container *ct = container_by_id(s->id);
	cleanup_buf struct buf json = BUF_INIT;
	bool wait_for_second;

	s->busy = false;
	if (s->closing) {
		stream_maybe_free(s);
	} else if (!ct || !req_by_id(s->req)) {
		stream_close(s);
	} else {
		/* a zone that ended meanwhile has no cgroup: as one that does not run */
		wait_for_second = !s->stream && !s->one_shot && s->n_samples == 0 && job->rc == 0;
		if (!wait_for_second)
			compose(s, ct, job->rc == 0 ? &sj->sample : NULL, sj->at_ns, &json);
		if (job->rc == 0) {
			s->n_samples++;
			s->pre_ns = sj->at_ns;
			buf_reset(&s->pre_cpu);
			buf_add(&s->pre_cpu, sj->sample.cpu.p, sj->sample.cpu.len);
		}
		if (!wait_for_second)
			stream_send(s, &json);
	}
	cg_sample_fini(&sj->sample);
	free(sj);
}

static void submit_sample(struct stats_stream *s, const struct container *ct)
{
	struct stats_job *sj = xcalloc(1, sizeof(*sj));
	struct ct_spec spec = { .host_config = ct->host_config };

	memcpy(spec.id, ct->id, sizeof(spec.id));
	sj->job.run = stats_run;
	sj->job.done = stats_done;
	sj->job.what = "stats";
	sj->s = s;
	oci_cgroup_path(&spec, sj->cgpath, sizeof(sj->cgpath));
	sj->pid = ct->st.pid;
	sj->host_net = str_eq(jget_str(ct->host_config, "NetworkMode", ""), "host");
	s->busy = true;
	job_submit(LANE_QUERY, &sj->job);
}

static void on_tick(uv_timer_t *t)
{
	struct stats_stream *s = container_of(t, struct stats_stream, timer);
	struct container *ct = container_by_id(s->id);
	cleanup_buf struct buf json = BUF_INIT;

	if (s->closing || s->busy)
		return;
	if (!ct || !req_by_id(s->req)) {
		stream_close(s);
		return;
	}
	/* a client that does not read gets fewer samples, not a longer queue */
	if (s->begun && reply_write(s->req, "", 0) > MAX_UNSENT)
		return;
	if (container_is_running(ct) && ct->st.status != CT_RESTARTING) {
		submit_sample(s, ct);
		return;
	}
	compose(s, ct, NULL, 0, &json);
	stream_send(s, &json);
}

void handle_container_stats(struct req *r)
{
	struct container *ct = find_or_reply(r);
	struct stats_stream *s;

	if (!ct)
		return;
	s = xcalloc(1, sizeof(*s));
	s->req = req_id(r);
	s->version = req_version(r);
	s->stream = req_query_bool(r, "stream", true);
	s->one_shot = req_query_bool(r, "one-shot", false);
	memcpy(s->id, ct->id, sizeof(s->id));
	if (s->stream && s->one_shot) {
		reply_error_status(s->req, 400, "cannot have stream=true and one-shot=true");
		free(s);
		return;
	}
	uv_timer_init(uv_default_loop(), &s->timer);
	uv_timer_start(&s->timer, on_tick, 0, TICK_MS);
}
