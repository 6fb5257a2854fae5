/* SPDX-License-Identifier: MPL-2.0
 *
 * api_build_prune.c - POST /build/prune.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/build_records.h"
#include "apiserver/events.h"
#include "apiserver/image_uses.h"
#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "jw.h"
#include "str.h"

struct prune_job {
	struct job job;
	uint64_t req;
	char *filters;
	struct build_prune_opts opts;
	struct image_use *uses;
	struct image_removed removed;
	struct image_events events;
};

static void prune_free(struct prune_job *pj)
{
	image_removed_fini(&pj->removed);
	image_events_fini(&pj->events);
	free(pj->uses);
	free(pj->filters);
	free(pj);
}

static int prune_run(struct job *job, struct err *err)
{
	struct prune_job *pj = container_of(job, struct prune_job, job);

	return build_prune(&pj->opts, &pj->removed, &pj->events, err);
}

static void write_answer(const struct image_removed *r, struct buf *out)
{
	struct jw w = JW(out);
	bool any = false;

	jw_obj(&w, NULL);
	for (size_t i = 0; i < r->n; i++) {
		/* layers are told there, too: of a record it is the image that counts */
		if (!r->v[i].deleted || !r->v[i].image)
			continue;
		if (!any)
			jw_arr(&w, "CachesDeleted");
		any = true;
		jw_str(&w, NULL, r->v[i].text);
	}
	if (any)
		jw_end(&w);
	else
		jw_null(&w, "CachesDeleted");
	jw_int(&w, "SpaceReclaimed", r->bytes);
	jw_end(&w);
}

static void prune_done(struct job *job)
{
	struct prune_job *pj = container_of(job, struct prune_job, job);
	cleanup_buf struct buf out = BUF_INIT;
	char text[24];

	image_events_emit(&pj->events);
	if (job->rc < 0) {
		reply_error(pj->req, &job->err);
		prune_free(pj);
		return;
	}
	snprintf(text, sizeof(text), "%lld", (long long)pj->removed.bytes);
	event_emit("builder", "prune", "", (const char *const[]){ "reclaimed", text, NULL });
	write_answer(&pj->removed, &out);
	reply_json(pj->req, 200, &out);
	prune_free(pj);
}

static int bytes_param(struct req *r, const char *name, int64_t *out, struct err *err)
{
	const char *text = req_query(r, name);

	if (str_empty(text))
		return 0;
	if (parse_i64(text, 0, INT64_MAX, out) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"%s is in bytes and expects an integer, got %s", name, text);
	return 0;
}

/* keep-storage is the name that reserved-space had before 1.48. */
static int params(struct req *r, struct prune_job *pj, struct err *err)
{
	struct build_prune_opts *o = &pj->opts;
	int rc;

	o->all = req_query_bool(r, "all", false);
	pj->filters = xstrdup(req_query(r, "filters"));
	o->filters = pj->filters;
	if ((rc = bytes_param(r, "keep-storage", &o->reserved, err)) < 0 ||
	    (rc = bytes_param(r, "reserved-space", &o->reserved, err)) < 0 ||
	    (rc = bytes_param(r, "max-used-space", &o->max_used, err)) < 0)
		return rc;
	return bytes_param(r, "min-free-space", &o->min_free, err);
}

void handle_build_prune(struct req *r)
{
	struct prune_job *pj = xcalloc(1, sizeof(*pj));
	struct err err = { 0 };

	pj->req = req_id(r);
	if (params(r, pj, &err) < 0) {
		reply_error(pj->req, &err);
		prune_free(pj);
		return;
	}
	pj->uses = image_uses_collect(&pj->opts.n_uses);
	pj->opts.uses = pj->uses;
	pj->job = (struct job){ .run = prune_run, .done = prune_done, .what = "build prune" };
	job_submit(LANE_QUERY, &pj->job);
}
