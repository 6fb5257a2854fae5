/* SPDX-License-Identifier: MPL-2.0
 *
 * api_commit.c - POST /commit: an image from a container.
 *
 * Flow: on the loop the container is found, what was asked is checked, and the container's turn is
 * waited for (container_op_begin); then a job freezes it when it runs, copies its upper directory
 * into a layer, thaws it, and adds the image.
 */
#define LOG_MODULE "commit"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/cgroup.h"
#include "apiserver/body_fields.h"
#include "apiserver/container.h"
#include "apiserver/ct_fields.h"
#include "apiserver/dockerfile_change.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/image_commit.h"
#include "apiserver/image_import.h"
#include "apiserver/image_ref.h"
#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "paths.h"
#include "str.h"

struct commit_job {
	struct job job;
	uint64_t req;
	struct container *ct; /* ref held; the worker does not look inside */
	struct ct_spec *spec;
	bool pause;
	bool was_frozen; /* by us */
	json_t *config; /* of the image, complete; the worker's while the job runs */
	char *ref, *author, *comment;
	char image_id[72];
	struct image_events events;
};

static void commit_free(struct commit_job *cj)
{
	container_unref(cj->ct);
	ct_spec_free(cj->spec);
	json_decref(cj->config);
	image_events_fini(&cj->events);
	free(cj->ref);
	free(cj->author);
	free(cj->comment);
	free(cj);
}

static char *command_text(const json_t *config)
{
	cleanup_strv char **cmd = jget_strv(config, "Cmd");
	cleanup_buf struct buf b = BUF_INIT;

	for (char **s = cmd; *s; s++)
		buf_printf(&b, "%s%s", s == cmd ? "" : " ", *s);
	return xstrdup(buf_str(&b));
}

static int commit_run(struct job *job, struct err *err)
{
	struct commit_job *cj = container_of(job, struct commit_job, job);
	cleanup_free char *created_by = command_text(cj->spec->config);
	struct err thaw = { 0 };
	char upper[1024];
	int rc;
	const struct image_commit ic = {
		.parent_id = cj->spec->image_id,
		.upper = paths_zone(&engine->paths, cj->spec->uuid, "diff", upper),
		.config = cj->config,
		.container_config = cj->spec->config,
		.container_id = cj->spec->id,
		.created_by = created_by,
		.author = cj->author,
		.comment = cj->comment,
		.ref = cj->ref,
	};

	if (cj->pause && cj->spec->st.status == CT_RUNNING) {
		rc = cgroup_freeze(cj->spec, true, err);
		if (rc < 0 && rc != -ENOENT && rc != -ENODEV)
			return rc;
		cj->was_frozen = rc >= 0;
		*err = (struct err){ 0 }; /* it has ended meanwhile, and writes no more */
	}
	rc = image_commit(&ic, cj->image_id, &cj->events, err);
	if (cj->was_frozen && cgroup_freeze(cj->spec, false, &thaw) < 0)
		log_err("container not thawed after commit", "ct=%.12s err=%s", cj->spec->id,
			log_q(thaw.msg));
	return rc;
}

static void commit_done(struct job *job)
{
	struct commit_job *cj = container_of(job, struct commit_job, job);
	cleanup_buf struct buf out = BUF_INIT;
	cleanup_free char *familiar = NULL;
	struct image_ref ref;
	struct err ignored = { 0 };
	struct jw w = JW(&out);

	if (cj->was_frozen)
		event_container(cj->ct, "pause", NULL);
	image_events_emit(&cj->events);
	if (job->rc < 0) {
		reply_error(cj->req, &job->err);
	} else {
		if (cj->ref && image_ref_parse(cj->ref, &ref, &ignored) == 0)
			familiar = image_ref_familiar(&ref);
		event_container(cj->ct, "commit",
				(const char *const[]){ "comment", cj->comment, "imageID", cj->image_id,
						       "imageRef", familiar ? familiar : "", NULL });
		jw_obj(&w, NULL);
		jw_str(&w, "Id", cj->image_id);
		jw_end(&w);
		reply_json(cj->req, 201, &out);
	}
	if (cj->was_frozen)
		event_container(cj->ct, "unpause", NULL);
	container_op_end(cj->ct);
	commit_free(cj);
}

/* The container's turn has come. */
static void commit_turn(struct container *ct, void *arg, bool cancelled)
{
	struct commit_job *cj = arg;
	struct err err = { 0 };

	if (cancelled) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %s", ct->id);
		reply_error(cj->req, &err);
		commit_free(cj);
		return;
	}
	cj->spec = container_spec(ct);
	job_submit(LANE_TRANSFER, &cj->job);
}

/* The image's config: the body's (usually nothing; as of a create) or the container's, the changes,
 * and from the container what the body lacks. */
static int image_config(struct req *r, const struct container *ct, json_t **out, struct err *err)
{
	cleanup_json json_t *config = NULL;
	cleanup_strv char **changes = req_query_all(r, "changes");
	const struct buf *body = req_body(r);
	int rc;

	if (strspn(buf_str(body), " \r\n\t") < body->len) {
		if ((rc = body_decode(&ct_fields_create, body, &config, err)) < 0)
			return rc;
		json_object_del(config, "HostConfig");
		json_object_del(config, "NetworkingConfig");
	} else {
		config = json_deep_copy(ct->config);
	}
	if ((rc = dockerfile_changes_apply(config, changes, err)) < 0)
		return rc;
	image_config_merge(config, ct->config);
	if (!json_object_size(jget_obj(config, "Labels")))
		json_object_set_new(config, "Labels", json_null());
	*out = take_ptr(&config);
	return 0;
}

static int commit_prepare(struct req *r, struct commit_job *cj, struct err *err)
{
	const char *name = req_query(r, "container");
	struct container *ct = container_find(name ? name : "", err);
	int rc;

	if (!ct)
		return err->code;
	cj->ct = container_ref(ct);
	if (ct->st.status == CT_DEAD)
		return err_kind(err, ERR_CONFLICT, "You cannot commit container %s which is Dead", ct->id);
	if (ct->removing)
		return err_kind(err, ERR_CONFLICT,
				"You cannot commit container %s which is being removed", ct->id);
	if ((rc = image_repo_tag(req_query(r, "repo"), req_query(r, "tag"), &cj->ref, err)) < 0)
		return rc;
	if ((rc = image_config(r, ct, &cj->config, err)) < 0)
		return rc;
	return container_op_begin(ct, OP_COMMIT, commit_turn, cj, err);
}

void handle_commit(struct req *r)
{
	struct commit_job *cj = xcalloc(1, sizeof(*cj));
	const char *author = req_query(r, "author"), *comment = req_query(r, "comment");
	struct err err = { 0 };

	cj->job = (struct job){ .run = commit_run, .done = commit_done, .what = "commit" };
	cj->req = req_id(r);
	cj->pause = req_query_bool(r, "pause", true);
	cj->author = xstrdup(author ? author : "");
	cj->comment = xstrdup(comment ? comment : "");
	if (commit_prepare(r, cj, &err) < 0) {
		reply_error(req_id(r), &err);
		commit_free(cj);
	}
}
