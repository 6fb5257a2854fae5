/* SPDX-License-Identifier: MPL-2.0
 *
 * api_images.c - handlers of /images: what is answered from memory, and tag. Loop thread.
 *
 * The long ones (create, load, save, delete, prune, commit) are in api_image_jobs.c.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/image_events.h"
#include "apiserver/image_import.h"
#include "apiserver/image_list.h"
#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "apiserver/image_uses.h"
#include "apiserver/image_index.h"
#include "apiserver/job.h"
#include "apiserver/platform_param.h"
#include "apiserver/reply.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "str.h"

struct image_use *image_uses_collect(size_t *n)
{
	struct image_use *v = xcalloc(container_count() + 1, sizeof(*v));
	struct container *ct;

	*n = 0;
	for (ct = container_first(); ct; ct = ct->next_by_age) {
		struct image_use *u = &v[(*n)++];

		str_copy(u->ct_id, sizeof(u->ct_id), ct->id);
		str_copy(u->image_id, sizeof(u->image_id), ct->image_id);
		u->running = container_is_running(ct);
	}
	return v;
}

void handle_image_list(struct req *r)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct err err = { 0 };
	cleanup_free struct image_use *uses = NULL;
	struct image_list_opts o = {
		.all = req_query_bool(r, "all", false),
		.shared_size = req_query_bool(r, "shared-size", false) && req_version(r) >= 142,
		.filters = req_query(r, "filters"),
	};

	if (req_version(r) >= 151)
		o.uses = uses = image_uses_collect(&o.n_uses);

	if (image_json_list(&o, req_version(r), &out, &err) < 0)
		reply_error(req_id(r), &err);
	else
		reply_json(req_id(r), 200, &out);
}

/* The image of a name, if it is of the wanted platform. */
static int resolve_for(const char *name, const struct wanted_platform *want, struct image **out, struct err *err)
{
	int rc = image_resolve(name, out, NULL, err);

	if (rc < 0 || !want->given || (rc = platform_check_image(&want->p, *out, name, err)) == 0)
		return rc;
	image_unref(take_ptr(out));
	return rc;
}

static bool is_compose_v1(const struct req *r)
{
	return str_starts(req_header(r, "user-agent"), "docker-compose/1.");
}

void handle_image_inspect(struct req *r)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct err err = { 0 };
	struct wanted_platform platform;
	struct image *img;

	if (req_version(r) >= 149 && req_query_bool(r, "manifests", false) && !str_empty(req_query(r, "platform"))) {
		reply_error_status(req_id(r), 400,
				   "conflicting options: manifests and platform options cannot both be set");
		return;
	}
	if (platform_param(r, "platform", 149, &platform, &err) < 0 ||
	    resolve_for(req_var(r, "name"), &platform, &img, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	image_json_inspect(img, req_version(r), is_compose_v1(r), &out);
	image_unref(img);
	reply_json(req_id(r), 200, &out);
}

void handle_image_history(struct req *r)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct err err = { 0 };
	struct wanted_platform platform;
	struct image *img;
	int rc;

	if (platform_param(r, "platform", 148, &platform, &err) < 0 ||
	    resolve_for(req_var(r, "name"), &platform, &img, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	rc = image_json_history(img, &out, &err);
	image_unref(img);
	if (rc < 0)
		reply_error(req_id(r), &err);
	else
		reply_json(req_id(r), 200, &out);
}

/* ---------------------------------------------------------------- tag */

struct tag_job {
	struct job job;
	uint64_t req;
	char *name, *ref;
	struct image_events events;
};

static int tag_run(struct job *job, struct err *err)
{
	struct tag_job *tj = container_of(job, struct tag_job, job);
	cleanup_free char *familiar = NULL;
	struct image_ref r;
	struct image *img;
	char id[72];
	int rc;

	if ((rc = image_resolve(tj->name, &img, NULL, err)) < 0)
		return rc;
	str_copy(id, sizeof(id), img->id);
	image_unref(img);
	if ((rc = image_tag(id, tj->ref, err)) < 0 || (rc = image_ref_parse(tj->ref, &r, err)) < 0)
		return rc;
	familiar = image_ref_familiar(&r);
	image_events_add(&tj->events, "tag", id, familiar);
	return 0;
}

static void tag_done(struct job *job)
{
	struct tag_job *tj = container_of(job, struct tag_job, job);

	image_events_emit(&tj->events);
	if (job->rc < 0)
		reply_error(tj->req, &job->err);
	else
		reply_empty(tj->req, 201);
	free(tj->name);
	free(tj->ref);
	free(tj);
}

/* repo and tag as docker tag gives them. Docker's own words for what cannot be. */
static int tag_target(struct req *r, char **out, struct err *err)
{
	const char *repo = req_query(r, "repo"), *tag = req_query(r, "tag");
	struct image_ref ref;
	int rc;

	if (str_empty(repo))
		return err_kind(err, ERR_BAD_PARAM, "invalid reference format");
	if ((rc = image_ref_parse(repo, &ref, err)) < 0)
		return rc;
	if (ref.digest[0])
		return err_kind(err, ERR_BAD_PARAM, "refusing to create a tag with a digest reference");
	if (str_eq(ref.domain, IMAGE_REF_DOMAIN) && str_eq(ref.path, "library/sha256"))
		return err_kind(err, ERR_BAD_PARAM,
				"refusing to create an ambiguous tag using digest algorithm as name");
	return image_repo_tag(repo, tag, out, err);
}

void handle_image_tag(struct req *r)
{
	struct tag_job *tj;
	struct err err = { 0 };
	char *ref = NULL;

	if (tag_target(r, &ref, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	tj = xcalloc(1, sizeof(*tj));
	tj->job = (struct job){ .run = tag_run, .done = tag_done, .what = "image tag" };
	tj->req = req_id(r);
	tj->name = xstrdup(req_var(r, "name"));
	tj->ref = ref;
	job_submit(LANE_QUERY, &tj->job);
}
