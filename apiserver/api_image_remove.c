/* SPDX-License-Identifier: MPL-2.0
 *
 * api_image_remove.c - handlers: DELETE /images/X and POST /images/prune.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/events.h"
#include "apiserver/image_remove.h"
#include "apiserver/image_sweep.h"
#include "apiserver/image_uses.h"
#include "apiserver/job.h"
#include "apiserver/platform_param.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "jw.h"
#include "str.h"

struct remove_job {
	struct job job;
	uint64_t req;
	char *name, *filters;
	struct wanted_platform platform;
	struct image_remove_opts opts;
	struct image_use *uses;
	struct image_removed removed;
	struct image_events events;
};

static struct remove_job *remove_job_new(struct req *r)
{
	struct remove_job *rj = xcalloc(1, sizeof(*rj));

	rj->req = req_id(r);
	rj->uses = image_uses_collect(&rj->opts.n_uses);
	rj->opts.uses = rj->uses;
	return rj;
}

static void remove_job_free(struct remove_job *rj)
{
	image_removed_fini(&rj->removed);
	image_events_fini(&rj->events);
	free(rj->uses);
	free(rj->name);
	free(rj->filters);
	free(rj);
}

static int remove_run(struct job *job, struct err *err)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);

	return image_remove(rj->name, &rj->opts, &rj->removed, &rj->events, err);
}

static void remove_done(struct job *job)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);
	cleanup_buf struct buf out = BUF_INIT;

	image_events_emit(&rj->events);
	image_sweep();
	if (job->rc < 0) {
		reply_error(rj->req, &job->err);
	} else {
		image_removed_json(&rj->removed, &out);
		reply_json(rj->req, 200, &out);
	}
	remove_job_free(rj);
}

void handle_image_remove(struct req *r)
{
	struct wanted_platform platform;
	struct err err = { 0 };
	struct remove_job *rj;

	if (!req_var(r, "name")[strspn(req_var(r, "name"), " \t")]) {
		reply_error_status(req_id(r), 400, "image name cannot be blank");
		return;
	}
	if (platform_param(r, "platforms", 150, &platform, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	rj = remove_job_new(r);
	rj->platform = platform;
	rj->opts.platform = platform.given ? &rj->platform.p : NULL;
	rj->job = (struct job){ .run = remove_run, .done = remove_done, .what = "image remove" };
	rj->name = xstrdup(req_var(r, "name"));
	rj->opts.force = req_query_bool(r, "force", false);
	rj->opts.prune = !req_query_bool(r, "noprune", false);
	job_submit(LANE_QUERY, &rj->job);
}

/* ---------------------------------------------------------------- prune */

static int prune_run(struct job *job, struct err *err)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);

	return image_prune(rj->filters, &rj->opts, &rj->removed, &rj->events, err);
}

static void prune_event(int64_t bytes)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)bytes);
	event_emit("image", "prune", "", (const char *const[]){ "reclaimed", text, NULL });
}

static void prune_done(struct job *job)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);
	cleanup_buf struct buf out = BUF_INIT, list = BUF_INIT;
	struct jw w = JW(&out);

	image_events_emit(&rj->events);
	image_sweep();
	if (job->rc < 0) {
		reply_error(rj->req, &job->err);
		remove_job_free(rj);
		return;
	}
	prune_event(rj->removed.bytes);
	jw_obj(&w, NULL);
	if (rj->removed.n) {
		image_removed_json(&rj->removed, &list);
		jw_raw(&w, "ImagesDeleted", buf_str(&list));
	} else {
		jw_null(&w, "ImagesDeleted");
	}
	jw_int(&w, "SpaceReclaimed", rj->removed.bytes);
	jw_end(&w);
	reply_json(rj->req, 200, &out);
	remove_job_free(rj);
}

void handle_image_prune(struct req *r)
{
	struct remove_job *rj = remove_job_new(r);

	rj->job = (struct job){ .run = prune_run, .done = prune_done, .what = "image prune" };
	rj->filters = xstrdup(req_query(r, "filters"));
	job_submit(LANE_QUERY, &rj->job);
}
