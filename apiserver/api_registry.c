/* SPDX-License-Identifier: MPL-2.0
 *
 * api_registry.c - handlers that need a registry: pull, push, distribution inspect, search.
 *
 * Threads: handlers and *_done on the loop, *_run on a worker. A client that goes away cancels its
 * job, even before the first line is written.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_json.h"
#include "apiserver/image_events.h"
#include "apiserver/image_ref.h"
#include "apiserver/job.h"
#include "apiserver/manifest.h"
#include "apiserver/platform_param.h"
#include "apiserver/progress.h"
#include "apiserver/registry.h"
#include "apiserver/registry_pull.h"
#include "apiserver/registry_push.h"
#include "apiserver/registry_search.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/transfer.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

/* What pull and push have in common. */
struct move_job {
	struct job job;
	uint64_t req;
	struct progress *progress;
	struct image_ref ref;
	struct wanted_platform platform;
	struct reg_creds creds;
	struct image_events events;
};

static void on_gone(void *arg)
{
	struct move_job *mj = arg;

	job_cancel(&mj->job);
}

static void move_done(struct job *job)
{
	struct move_job *mj = container_of(job, struct move_job, job);
	struct req *r = req_by_id(mj->req);

	if (r)
		req_on_gone(r, NULL, NULL);
	image_events_emit(&mj->events);
	progress_end(mj->progress, job->rc < 0 ? &job->err : NULL);
	reg_creds_fini(&mj->creds);
	free(mj);
}

static void move_start(struct req *r, const struct image_ref *ref, const char *what,
		       int (*run)(struct job *job, struct err *err), const struct wanted_platform *platform)
{
	struct move_job *mj = xcalloc(1, sizeof(*mj));

	mj->job = (struct job){ .run = run, .done = move_done, .what = what };
	mj->req = req_id(r);
	mj->ref = *ref;
	mj->platform = *platform;
	reg_creds_parse(req_header(r, "x-registry-auth"), &mj->creds);
	mj->progress = progress_new(mj->req);
	req_on_gone(r, on_gone, mj);
	job_submit(LANE_TRANSFER, &mj->job);
}

/* ---------------------------------------------------------------- pull */

static int pull_run(struct job *job, struct err *err)
{
	struct move_job *mj = container_of(job, struct move_job, job);
	const struct registry_pull p = {
		.ref = mj->ref,
		.platform = mj->platform.given ? &mj->platform.p : NULL,
		.creds = &mj->creds,
		.events = &mj->events,
	};
	struct transfer t;
	int rc;

	transfer_init(&t, job, mj->progress);
	rc = registry_pull(&p, &t, err);
	transfer_fini(&t);
	return rc;
}

/* tag may be a digest, and counts more than what the name has. */
static int pull_ref(const char *image, const char *tag, struct image_ref *out, struct err *err)
{
	cleanup_free char *name = xstrdup(image), *whole = NULL, *bare = NULL;
	size_t len = strlen(name);
	struct err ignored = { 0 };
	struct image_ref ref;
	int rc;

	if (len && name[len - 1] == ':')
		name[len - 1] = '\0';
	if ((rc = image_ref_parse(name, &ref, err)) < 0 || str_empty(tag)) {
		*out = ref;
		return rc;
	}
	bare = image_ref_name(&ref);
	whole = xasprintf("%s%s%s", bare, strchr(tag, ':') ? "@" : ":", tag);
	if (image_ref_parse(whole, out, &ignored) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid tag format");
	return 0;
}

void handle_image_pull(struct req *r)
{
	const char *text = req_query(r, "platform");
	struct wanted_platform platform = { .given = !str_empty(text) };
	struct image_ref ref = { 0 };
	struct err err = { 0 };

	if ((platform.given && platform_parse(text, &platform.p, &err) < 0) ||
	    pull_ref(req_query(r, "fromImage"), req_query(r, "tag"), &ref, &err) < 0 ||
	    image_ref_check_pull(&ref, &err) < 0)
		reply_error(req_id(r), &err);
	else
		move_start(r, &ref, "image pull", pull_run, &platform);
}

/* ---------------------------------------------------------------- push */

static int push_run(struct job *job, struct err *err)
{
	struct move_job *mj = container_of(job, struct move_job, job);
	const struct registry_push p = {
		.ref = mj->ref,
		.platform = mj->platform.given ? &mj->platform.p : NULL,
		.creds = &mj->creds,
		.events = &mj->events,
	};
	struct transfer t;
	int rc;

	transfer_init(&t, job, mj->progress);
	rc = registry_push(&p, &t, err);
	transfer_fini(&t);
	return rc;
}

void handle_image_push(struct req *r)
{
	const char *tag = req_query(r, "tag");
	struct wanted_platform platform;
	struct image_ref ref = { 0 };
	struct err err = { 0 };

	if (platform_param(r, "platform", 146, &platform, &err) < 0 || pull_ref(req_var(r, "name"), tag, &ref, &err) < 0)
		reply_error(req_id(r), &err);
	else if (ref.digest[0])
		reply_error_status(req_id(r), 400, "cannot push a digest reference");
	else
		move_start(r, &ref, "image push", push_run, &platform);
}

/* ---------------------------------------------------------------- distribution inspect */

struct dist_job {
	struct job job;
	uint64_t req;
	struct image_ref ref;
	struct reg_creds creds;
	struct buf out;
};

static bool dist_cancelled(void *arg)
{
	return job_cancelled(arg);
}

static void platform_json(struct jw *w, const char *os, const char *architecture, const char *variant)
{
	jw_obj(w, NULL);
	jw_str(w, "architecture", architecture);
	jw_str(w, "os", os);
	if (*variant)
		jw_str(w, "variant", variant);
	jw_end(w);
}

static int dist_platforms(struct dist_job *dj, struct registry *reg, const struct manifest_text *mt,
			  const struct manifest *m, struct jw *w, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	int rc;

	jw_arr(w, "Platforms");
	for (size_t i = 0; m->is_index && i < m->n; i++)
		platform_json(w, m->v[i].os, m->v[i].architecture, m->v[i].variant);
	if (m->is_schema1) {
		if ((rc = jparse(buf_str(&mt->text), mt->text.len, &o, err)) < 0)
			return rc;
		platform_json(w, "linux", jget_str(o, "architecture", ""), "");
	} else if (!m->is_index) {
		if ((rc = registry_blob_text(reg, dj->ref.path, m->config.digest, m->config.size, &text,
					     err)) < 0 ||
		    (rc = jparse(buf_str(&text), text.len, &o, err)) < 0)
			return rc;
		platform_json(w, jget_str(o, "os", ""), jget_str(o, "architecture", ""),
			      jget_str(o, "variant", ""));
	}
	jw_end(w);
	return 0;
}

static int dist_from(struct dist_job *dj, struct registry *reg, struct err *err)
{
	struct manifest_text mt = { 0 };
	struct manifest m;
	struct jw w = JW(&dj->out);
	enum reg_refusal why;
	int rc;

	registry_scope(reg, dj->ref.path, "pull");
	rc = registry_manifest(reg, dj->ref.path, dj->ref.digest[0] ? dj->ref.digest : dj->ref.tag, &mt,
			       &why, err);
	if (rc < 0) {
		if (why == REG_UNAUTHORIZED)
			err->kind = ERR_UNAUTHORIZED;
		else if (why == REG_MANIFEST_UNKNOWN || why == REG_NAME_UNKNOWN)
			err->kind = ERR_NOT_FOUND;
		return rc;
	}
	rc = manifest_parse(buf_str(&mt.text), mt.text.len, mt.content_type, &m, err);
	if (rc == 0) {
		jw_obj(&w, NULL);
		jw_obj(&w, "Descriptor");
		jw_str(&w, "mediaType", m.media_type);
		jw_str(&w, "digest", mt.digest);
		jw_int(&w, "size", (int64_t)mt.text.len);
		jw_end(&w);
		rc = dist_platforms(dj, reg, &mt, &m, &w, err);
		manifest_fini(&m);
		if (rc == 0)
			jw_end(&w);
	}
	buf_fini(&mt.text);
	return rc;
}

static int dist_run(struct job *job, struct err *err)
{
	struct dist_job *dj = container_of(job, struct dist_job, job);
	const struct registry_opts o = { .creds = &dj->creds, .cancelled = dist_cancelled, .arg = job };
	struct reg_endpoint v[REG_ENDPOINTS_MAX];
	size_t n = registry_endpoints(dj->ref.domain, true, v);
	int rc = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		struct registry *reg = NULL;

		*err = (struct err){ 0 };
		buf_reset(&dj->out);
		if ((rc = registry_open(&v[i], &o, &reg, err)) < 0)
			continue;
		rc = dist_from(dj, reg, err);
		registry_close(reg);
		if (rc == 0 || !v[i].mirror)
			break;
	}
	return rc;
}

static void dist_done(struct job *job)
{
	struct dist_job *dj = container_of(job, struct dist_job, job);

	if (job->rc < 0)
		reply_error(dj->req, &job->err);
	else
		reply_json(dj->req, 200, &dj->out);
	buf_fini(&dj->out);
	reg_creds_fini(&dj->creds);
	free(dj);
}

void handle_distribution_inspect(struct req *r)
{
	struct dist_job *dj;
	struct image_ref ref;
	struct err err = { 0 };

	if (image_ref_parse(req_var(r, "name"), &ref, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	image_ref_default_tag(&ref);
	dj = xcalloc(1, sizeof(*dj));
	dj->job = (struct job){ .run = dist_run, .done = dist_done, .what = "distribution inspect" };
	dj->req = req_id(r);
	dj->ref = ref;
	reg_creds_parse(req_header(r, "x-registry-auth"), &dj->creds);
	job_submit(LANE_TRANSFER, &dj->job);
}

/* ---------------------------------------------------------------- search */

struct search_job {
	struct job job;
	uint64_t req;
	char *term;
	int limit, official, automated;
	int64_t stars;
	struct reg_creds creds;
	struct buf out;
};

static void search_free(struct search_job *sj)
{
	free(sj->term);
	reg_creds_fini(&sj->creds);
	buf_fini(&sj->out);
	free(sj);
}

static int search_run(struct job *job, struct err *err)
{
	struct search_job *sj = container_of(job, struct search_job, job);
	const struct registry_search s = {
		.term = sj->term,
		.limit = sj->limit,
		.official = sj->official,
		.automated = sj->automated,
		.stars = sj->stars,
		.creds = &sj->creds,
		.cancelled = dist_cancelled,
		.arg = job,
	};

	return registry_search(&s, &sj->out, err);
}

static void search_done(struct job *job)
{
	struct search_job *sj = container_of(job, struct search_job, job);

	if (job->rc < 0)
		reply_error(sj->req, &job->err);
	else
		reply_json(sj->req, 200, &sj->out);
	search_free(sj);
}

/* -1: not given */
static int search_bool(const json_t *filters, const char *key, int *out, struct err *err)
{
	bool b = false;
	int rc = filter_bool(filters, key, &b, err);

	*out = rc > 0 ? b : -1;
	return rc;
}

static int search_filters(struct search_job *sj, const char *text, struct err *err)
{
	static const char *const known[] = { "is-automated", "is-official", "stars", NULL };
	cleanup_json json_t *filters = NULL;
	cleanup_strv char **stars = NULL;
	int rc;

	if ((rc = filters_parse(text, known, &filters, err)) < 0 ||
	    (rc = search_bool(filters, "is-official", &sj->official, err)) < 0 ||
	    (rc = search_bool(filters, "is-automated", &sj->automated, err)) < 0)
		return rc;
	stars = jget_strv(filters, "stars");
	for (char **s = stars; *s; s++) {
		int64_t n;

		if (parse_i64(*s, INT32_MIN, INT32_MAX, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid filter 'stars=%s'", *s);
		sj->stars = n > sj->stars ? n : sj->stars;
	}
	return 0;
}

static int search_limit(const char *text, int64_t *n, struct err *err)
{
	if (str_empty(text))
		return 0;
	if (parse_i64(text, 0, INT32_MAX, n) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid limit specified: \"%.64s\" is no number from 1 to 100", text);
	if (*n > 100)
		return err_kind(err, ERR_BAD_PARAM, "limit %lld is outside the range of [1, 100]", (long long)*n);
	return 0;
}

static int search_term(const char *term, struct err *err)
{
	if (str_starts(term, "http://") || str_starts(term, "https://"))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid repository name: repository name (%.200s) should not have a scheme", term);
	return 0;
}

void handle_image_search(struct req *r)
{
	const char *term = req_query(r, "term");
	struct search_job *sj;
	struct err err = { 0 };
	int64_t n = 25;

	if (str_empty(term)) {
		reply_error_status(req_id(r), 400, "invalid: search term is empty");
		return;
	}
	if (search_limit(req_query(r, "limit"), &n, &err) < 0 || search_term(term, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	sj = xcalloc(1, sizeof(*sj));
	sj->job = (struct job){ .run = search_run, .done = search_done, .what = "image search" };
	sj->req = req_id(r);
	sj->term = xstrdup(term);
	sj->limit = n ? (int)n : 25;
	reg_creds_parse(req_header(r, "x-registry-auth"), &sj->creds);
	if (search_filters(sj, req_query(r, "filters"), &err) < 0) {
		reply_error(req_id(r), &err);
		search_free(sj);
		return;
	}
	job_submit(LANE_TRANSFER, &sj->job);
}
