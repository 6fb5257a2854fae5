/* SPDX-License-Identifier: MPL-2.0
 *
 * api_volumes.c - /volumes: list, create, inspect, remove, prune, update.
 *
 * Lists and inspect come from memory; the rest are jobs. Events (create, destroy, prune) are
 * emitted in done, on the loop.
 */
#include <jansson.h>
#include <string.h>

#include "body_fields.h"
#include "cleanup.h"
#include "ct_json.h"
#include "events.h"
#include "filter_regex.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"
#include "volume.h"

static void emit(const char *action, const char *name)
{
	const char *const attrs[] = { "driver", "local", NULL };

	event_emit("volume", action, name, attrs);
}

/* ---- list, inspect ---- */

static json_t *parse_labels(const char *text)
{
	struct err ignored = { 0 };
	json_t *o = NULL;

	return text && jparse(text, strlen(text), &o, &ignored) >= 0 ? o : NULL;
}

static bool match_any(const json_t *filters, const char *key,
		      bool (*match)(const char *want, const char *is), const char *is)
{
	json_t *list = jget_arr(filters, key), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (match(json_string_value(v), is))
			return true;
	}
	return !json_array_size(list);
}

static int match_dangling(const json_t *filters, const struct volume_info *v, struct err *err)
{
	bool want = false;
	int rc = filter_bool(filters, "dangling", &want, err);

	if (rc <= 0)
		return rc < 0 ? rc : 1;
	return want == (v->n_refs == 0);
}

/* 1 shown, 0 not, negative: bad filter. */
static int is_listed(const json_t *filters, const struct filter_regex *names, const struct volume_info *v,
		     struct err *err)
{
	cleanup_json json_t *labels = parse_labels(v->labels);

	if (!filter_regex_match(names, v->name) ||
	    !match_any(filters, "driver", str_eq, v->driver) ||
	    !filter_label_match(filters, "label", labels))
		return 0;
	return match_dangling(filters, v, err);
}

void handle_volume_list(struct req *r)
{
	static const char *const allowed[] = { "dangling", "driver", "label", "name", NULL };
	cleanup_json json_t *filters = NULL;
	cleanup_filter_regex struct filter_regex names = { 0 };
	struct buf out = BUF_INIT;
	struct jw w = JW(&out);
	struct volume_info *list = NULL;
	struct err err = { 0 };
	bool dangling = false;
	size_t n = 0;
	int rc;

	rc = filters_parse(req_query(r, "filters"), allowed, &filters, &err);
	if (rc >= 0) /* what is wrong is so without a volume, too */
		rc = filter_bool(filters, "dangling", &dangling, &err);
	if (rc >= 0) {
		filter_regex_init(&names, filters, "name");
		volume_list(&list, &n);
	}
	jw_obj(&w, NULL);
	jw_arr(&w, "Volumes");
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = is_listed(filters, &names, &list[i], &err);
		if (rc > 0)
			jw_raw(&w, NULL, list[i].json);
	}
	jw_end(&w);
	jw_null(&w, "Warnings");
	jw_end(&w);
	if (rc < 0)
		reply_error(req_id(r), &err);
	else
		reply_json(req_id(r), 200, &out);
	volume_info_free(list, n);
	buf_fini(&out);
}

void handle_volume_inspect(struct req *r)
{
	struct buf out = BUF_INIT;
	struct err err = { 0 };

	if (volume_inspect(req_var(r, "name"), &out, &err) < 0)
		reply_error(req_id(r), &err);
	else
		reply_json(req_id(r), 200, &out);
	buf_fini(&out);
}

/* ---- create, remove ---- */

struct volume_job {
	struct job job;
	uint64_t req;
	char *name;
	struct buf body;
	bool force, created;
	struct buf out;
};

static struct volume_job *volume_job_new(struct req *r, int (*run)(struct job *, struct err *),
					 void (*done)(struct job *), const char *what)
{
	struct volume_job *vj = xcalloc(1, sizeof(*vj));

	vj->job.run = run;
	vj->job.done = done;
	vj->job.what = what;
	vj->req = req_id(r);
	return vj;
}

static void volume_job_free(struct volume_job *vj)
{
	free(vj->name);
	buf_fini(&vj->body);
	buf_fini(&vj->out);
	free(vj);
}

static int create_run(struct job *job, struct err *err)
{
	struct volume_job *vj = container_of(job, struct volume_job, job);
	cleanup_json json_t *body = NULL;
	int rc;

	if ((rc = body_decode(&body_volume_create, &vj->body, &body, err)) < 0)
		return rc;
	if (jget_obj(body, "ClusterVolumeSpec"))
		return err_kind(err, ERR_UNAVAILABLE,
				"This node is not a swarm manager. Use \"docker swarm init\" or "
				"\"docker swarm join\" "
				"to connect this node to swarm and try again.");
	rc = volume_create(jget_str(body, "Name", NULL), jget_str(body, "Driver", NULL),
			   jget_obj(body, "Labels"), jget_obj(body, "DriverOpts"), &vj->name,
			   &vj->created, err);
	if (rc < 0)
		return rc;
	return volume_inspect(vj->name, &vj->out, err);
}

static void create_done(struct job *job)
{
	struct volume_job *vj = container_of(job, struct volume_job, job);

	if (job->rc < 0) {
		reply_error(vj->req, &job->err);
	} else {
		if (vj->created)
			emit("create", vj->name);
		reply_json(vj->req, 201, &vj->out);
	}
	volume_job_free(vj);
}

void handle_volume_create(struct req *r)
{
	struct volume_job *vj = volume_job_new(r, create_run, create_done, "volume create");
	const struct buf *body = req_body(r);

	buf_add(&vj->body, buf_str(body), body->len);
	job_submit(LANE_LIFECYCLE, &vj->job);
}

static int remove_run(struct job *job, struct err *err)
{
	struct volume_job *vj = container_of(job, struct volume_job, job);

	vj->created = volume_exists(vj->name);
	return volume_remove(vj->name, vj->force, err);
}

static void remove_done(struct job *job)
{
	struct volume_job *vj = container_of(job, struct volume_job, job);

	if (job->rc < 0) {
		reply_error(vj->req, &job->err);
	} else {
		if (vj->created)
			emit("destroy", vj->name);
		reply_empty(vj->req, 204);
	}
	volume_job_free(vj);
}

void handle_volume_remove(struct req *r)
{
	struct volume_job *vj = volume_job_new(r, remove_run, remove_done, "volume remove");

	vj->name = xstrdup(req_var(r, "name"));
	vj->force = req_query_bool(r, "force", false);
	job_submit(LANE_LIFECYCLE, &vj->job);
}

/* ---- prune ---- */

struct prune_job {
	struct job job;
	uint64_t req;
	char **names; /* to try; after run: those removed */
	int64_t reclaimed;
};

static int prune_run(struct job *job, struct err *err)
{
	struct prune_job *pj = container_of(job, struct prune_job, job);
	char **removed = NULL;

	(void)err;
	for (char **name = pj->names; name && *name && !job_cancelled(job); name++) {
		int64_t size = volume_size(*name);
		struct err ignored = { 0 }; /* in use by now: stays */

		if (volume_remove(*name, false, &ignored) < 0)
			continue;
		pj->reclaimed += size;
		strv_add(&removed, *name);
	}
	strv_free(pj->names);
	pj->names = removed;
	return 0;
}

static void prune_done(struct job *job)
{
	struct prune_job *pj = container_of(job, struct prune_job, job);
	struct buf out = BUF_INIT;
	struct jw w = JW(&out);

	if (job->rc < 0) {
		reply_error(pj->req, &job->err);
	} else {
		char reclaimed[24];
		const char *const attrs[] = { "reclaimed", reclaimed, NULL };

		jw_obj(&w, NULL);
		if (pj->names)
			jw_arr(&w, "VolumesDeleted");
		else
			jw_null(&w, "VolumesDeleted");
		for (char **name = pj->names; name && *name; name++) {
			emit("destroy", *name);
			jw_str(&w, NULL, *name);
		}
		if (pj->names)
			jw_end(&w);
		jw_int(&w, "SpaceReclaimed", pj->reclaimed);
		jw_end(&w);
		if (str_fmt(reclaimed, sizeof(reclaimed), "%lld", (long long)pj->reclaimed) > 0)
			event_emit("volume", "prune", "", attrs);
		reply_json(pj->req, 200, &out);
	}
	buf_fini(&out);
	strv_free(pj->names);
	free(pj);
}

/* all=true, or no filter below 1.42 */
static int wants_all(const json_t *filters, int version, bool *all, struct err *err)
{
	const json_t *list = jget_arr(filters, "all");
	const char *s = json_string_value(json_array_get(list, 0));

	*all = version < 142;
	if (json_array_size(list) > 1)
		return err_kind(err, ERR_BAD_PARAM, "invalid filter 'all': only one value is expected");
	if (s && parse_bool(s, all) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid filter 'all': strconv.ParseBool: parsing \"%.100s\": invalid syntax", s);
	return 0;
}

static bool is_prunable(const json_t *filters, bool all, const struct volume_info *v)
{
	cleanup_json json_t *labels = parse_labels(v->labels);

	return !v->n_refs && (all || v->anonymous) &&
	       filter_label_match(filters, "label", labels) &&
	       filter_label_match(filters, "label!", labels);
}

void handle_volume_prune(struct req *r)
{
	static const char *const allowed[] = { "label", "label!", "all", NULL };
	cleanup_json json_t *filters = NULL;
	struct volume_info *list;
	struct err err = { 0 };
	struct prune_job *pj;
	size_t n;
	bool all;

	if (filters_parse(req_query(r, "filters"), allowed, &filters, &err) < 0 ||
	    wants_all(filters, req_version(r), &all, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	pj = xcalloc(1, sizeof(*pj));
	pj->job = (struct job){ .run = prune_run, .done = prune_done, .what = "volume prune" };
	pj->req = req_id(r);
	volume_list(&list, &n);
	for (size_t i = 0; i < n; i++)
		if (is_prunable(filters, all, &list[i]))
			strv_add(&pj->names, list[i].name);
	volume_info_free(list, n);
	job_submit(LANE_TRANSFER, &pj->job);
}

void handle_volume_update(struct req *r)
{
	struct err err = { 0 };

	err_kind(&err, ERR_UNAVAILABLE,
		 "volume update only valid for cluster volumes, but swarm is unavailable");
	reply_error(req_id(r), &err);
}
