/* SPDX-License-Identifier: MPL-2.0
 *
 * api_df.c - handler: GET /system/df, what images, containers and volumes take on the disk.
 *
 * A job walks the disk, with ids and image uses copied before; the containers' part is written on
 * the loop afterwards, for those that are still there. SizeLog and LogFiles of a container are
 * ours: its host logs, which its quota pays for as well.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "build_records.h"
#include "cleanup.h"
#include "container.h"
#include "ct_json.h"
#include "engine.h"
#include "fs.h"
#include "image_list.h"
#include "image_store.h"
#include "image_uses.h"
#include "job.h"
#include "jw.h"
#include "logclient.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"
#include "volume.h"

struct df_ct {
	char id[65], uuid[37], image_id[80];
	struct ct_sizes sizes;
	int64_t log_bytes;
	unsigned log_files;
};

struct df_job {
	struct job job;
	uint64_t req;
	int version;
	bool images, containers, volumes, build_cache;
	struct image_use *uses;
	size_t n_uses;
	struct df_ct *cts;
	size_t n_cts;
	int64_t layers_size;
	struct buf images_json, volumes_json, cache_json;
	int64_t cache_bytes; /* of layers that only the build cache has */
};

/* ---- worker --------------------------------------------------------------------------------- */

static void measure_container(struct df_ct *d)
{
	struct err ignored = { 0 };
	struct image *img = NULL;
	char path[1024];
	cleanup_fd int fd = open(paths_zone(&engine->paths, d->uuid, "", path),
				 O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fs_tree_size(fd, "diff", &d->sizes.rw);
	d->sizes.root_fs = d->sizes.rw;
	if (image_get(d->image_id, &img, &ignored) == 0) {
		d->sizes.root_fs += img->size;
		image_unref(img);
	}
}

static void measure_logs(struct df_job *dj)
{
	struct log_usage *v = NULL;
	struct err ignored = { 0 };
	unsigned n = 0;

	/* without the log service the rest is still true */
	if (logclient_usage("", &v, &n, NULL, &ignored) < 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		for (size_t k = 0; k < dj->n_cts; k++) {
			if (strcmp(v[i].uuid, dj->cts[k].uuid) != 0)
				continue;
			dj->cts[k].log_bytes = v[i].bytes;
			dj->cts[k].log_files = v[i].files;
			break;
		}
	}
	free(v);
}

static void measure_cache(struct df_job *dj)
{
	struct build_records r;

	if (!dj->images && !dj->build_cache)
		return;
	build_records_get(dj->uses, dj->n_uses, &r);
	dj->cache_bytes = build_records_json(&r, dj->version, &dj->cache_json);
	build_records_fini(&r);
}

static int df_run(struct job *job, struct err *err)
{
	struct df_job *dj = container_of(job, struct df_job, job);
	struct image_list_opts lo = { .shared_size = true, .uses = dj->uses, .n_uses = dj->n_uses };
	int rc;

	measure_cache(dj);
	/* each layer is counted once */
	dj->layers_size = dj->images ? image_layers_size() - dj->cache_bytes : 0;
	if (dj->images && (rc = image_json_list(&lo, dj->version, &dj->images_json, err)) < 0)
		return rc;
	for (size_t i = 0; i < dj->n_cts && !job_cancelled(job); i++)
		measure_container(&dj->cts[i]);
	if (dj->n_cts)
		measure_logs(dj);
	if (dj->volumes)
		volume_df_json(&dj->volumes_json, NULL);
	return 0;
}

/* ---- loop ----------------------------------------------------------------------------------- */

/* The list's object of one container with our members before its closing brace. */
static void write_container(struct jw *w, const struct df_ct *d, int version)
{
	struct container *ct = container_by_id(d->id), *one[2] = { ct, NULL };
	cleanup_buf struct buf row = BUF_INIT;
	const char *start, *end;
	size_t skip;

	if (!ct)
		return;
	ct_json_list(one, &d->sizes, version, &row);
	start = strchr(buf_str(&row), '{');
	end = strrchr(buf_str(&row), '}');
	if (!start || !end)
		return;
	skip = (size_t)(start - row.p);
	row.len = (size_t)(end - row.p);
	buf_printf(&row, ",\"SizeLog\":%lld,\"LogFiles\":%u}", (long long)d->log_bytes,
		   d->log_files);
	jw_raw(w, NULL, buf_str(&row) + skip);
}

static void write_containers(struct jw *w, const struct df_job *dj)
{
	if (!dj->containers) {
		jw_null(w, "Containers");
		return;
	}
	jw_arr(w, "Containers");
	for (size_t i = 0; i < dj->n_cts; i++)
		write_container(w, &dj->cts[i], dj->version);
	jw_end(w);
}

static void df_done(struct job *job)
{
	struct df_job *dj = container_of(job, struct df_job, job);
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	if (job->rc < 0) {
		reply_error(dj->req, &job->err);
	} else {
		jw_obj(&w, NULL);
		jw_int(&w, "LayersSize", dj->layers_size);
		jw_raw(&w, "Images", dj->images ? buf_str(&dj->images_json) : "null");
		write_containers(&w, dj);
		jw_raw(&w, "Volumes", dj->volumes ? buf_str(&dj->volumes_json) : "null");
		jw_raw(&w, "BuildCache", dj->build_cache ? buf_str(&dj->cache_json) : "null");
		if (dj->version < 142)
			jw_int(&w, "BuilderSize", dj->build_cache ? dj->cache_bytes : 0);
		jw_end(&w);
		reply_json(dj->req, 200, &b);
	}
	buf_fini(&dj->images_json);
	buf_fini(&dj->volumes_json);
	buf_fini(&dj->cache_json);
	free(dj->uses);
	free(dj->cts);
	free(dj);
}

static int pick_types(const struct req *r, struct df_job *dj, struct err *err)
{
	cleanup_strv char **types = req_query_all(r, "type");

	dj->images = dj->containers = dj->volumes = dj->build_cache = !types[0];
	for (char **t = types; *t; t++) {
		if (str_eq(*t, "image"))
			dj->images = true;
		else if (str_eq(*t, "container"))
			dj->containers = true;
		else if (str_eq(*t, "volume"))
			dj->volumes = true;
		else if (str_eq(*t, "build-cache"))
			dj->build_cache = true;
		else
			return err_kind(err, ERR_BAD_PARAM, "unknown object type: %s", *t);
	}
	return 0;
}

void handle_system_df(struct req *r)
{
	struct df_job *dj = xcalloc(1, sizeof(*dj));
	struct err err = { 0 };
	size_t i = 0;

	dj->req = req_id(r);
	dj->version = req_version(r);
	if (pick_types(r, dj, &err) < 0) {
		reply_error(dj->req, &err);
		free(dj);
		return;
	}
	if (dj->images || dj->build_cache)
		dj->uses = image_uses_collect(&dj->n_uses);
	if (dj->containers) {
		dj->cts = xcalloc(container_count() + 1, sizeof(*dj->cts));
		for (struct container *ct = container_first(); ct; ct = ct->next_by_age, i++) {
			str_copy(dj->cts[i].id, sizeof(dj->cts[i].id), ct->id);
			str_copy(dj->cts[i].uuid, sizeof(dj->cts[i].uuid), ct->uuid);
			str_copy(dj->cts[i].image_id, sizeof(dj->cts[i].image_id), ct->image_id);
		}
		dj->n_cts = i;
	}
	dj->job.run = df_run;
	dj->job.done = df_done;
	dj->job.what = "system df";
	job_submit(LANE_QUERY, &dj->job);
}
