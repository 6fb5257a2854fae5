/* SPDX-License-Identifier: MPL-2.0
 *
 * op_create.c - making a container: checked request, name, image, mounts, files, record.
 *
 * Design: the request is parsed on the loop (it needs no files), the name is reserved for the new
 * id, and one job does the rest; the container enters the index when its record is on disk. Nothing
 * of the runtime is touched: that is the start's work.
 *
 * Failure: a job that fails undoes its directory and its volume references; the name is released.
 * Dying before the record is written leaves a directory without one, which lifecycle sweeps up.
 */
#define LOG_MODULE "create"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/cgroup.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_ops.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/links.h"
#include "apiserver/oci_spec.h"
#include "apiserver/platform_param.h"
#include "apiserver/reply.h"
#include "apiserver/volume.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

#define NAME_TRIES	 6
#define INTERNAL_VERSION 144

struct create_job {
	struct job job;
	uint64_t req;	      /* who is answered when there is no tell */
	op_created_fn *tell;
	void *tell_arg;
	struct create_request cr;
	struct ct_spec *spec;  /* what the container will be */
	struct ct_spec **from; /* of --volumes-from, in order */
	size_t n_from;
	struct wanted_platform platform;
	struct image *img; /* held until the container is in the index, which counts it as the image's */
	int64_t began_ns;
};

/* ---- worker --------------------------------------------------------------------------------- */

static int make_dirs(const char *uuid, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{ "", 0700 },	  { "config", 0700 }, { "root", 0755 },	 { "diff", 0755 },
		{ "work", 0700 }, { "logs", 0700 },   { "cores", 0700 },
	};
	/* places for what the start fills in: config.json binds what is there when it is written */
	static const char *const files[] = { "config/hosts", "config/hostname",
					     "config/resolv.conf" };
	char path[1024];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (mkdir(paths_zone(&engine->paths, uuid, dirs[i].name, path), dirs[i].mode) < 0)
			return err_sys(err, "mkdir %s", path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open(paths_zone(&engine->paths, uuid, files[i], path),
			      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd < 0)
			return err_sys(err, "create %s", path);
		close(fd);
	}
	return 0;
}

static void remove_dirs(const char *uuid)
{
	cleanup_fd int fd = open(engine->paths.zones, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err ignored = { 0 };

	if (fd >= 0)
		fs_remove_tree(fd, uuid, &ignored);
}

static void unref_volumes(const struct ct_spec *spec)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct ct_mount *m = &spec->mounts.v[i];
		struct err ignored = { 0 };

		if (!str_eq(m->type, "volume") || str_empty(m->name))
			continue;
		volume_unref(m->name, spec->id);
		if (m->anonymous)
			volume_remove(m->name, false, &ignored);
	}
}

/* Docker: the short id, unless the network is somebody else's. */
static void default_hostname(struct ct_spec *spec)
{
	const char *mode = jget_str(spec->host_config, "NetworkMode", "");
	char host[256];

	if (jget_str(spec->config, "Hostname", "")[0] || str_starts(mode, "container:"))
		return;
	if (str_eq(mode, "host") || str_eq(jget_str(spec->host_config, "UTSMode", ""), "host")) {
		if (gethostname(host, sizeof(host)) < 0)
			return;
		host[sizeof(host) - 1] = '\0';
	} else {
		str_copy(host, 13, spec->id);
	}
	json_object_set_new(spec->config, "Hostname", json_string(host));
}

static int create_files(struct create_job *cj, const struct image *img, struct err *err)
{
	struct ct_spec *spec = cj->spec;
	int rc;

	if ((rc = make_dirs(spec->uuid, err)) < 0)
		return rc;
	if (failpoint("create.mounts"))
		return err_kind(err, ERR_SYSTEM, "failpoint create.mounts");
	if ((rc = mounts_resolve(spec, img, cj->from, cj->n_from, cj->cr.ro_non_recursive, err)) < 0)
		return rc;
	if (failpoint("create.record"))
		rc = err_kind(err, ERR_SYSTEM, "failpoint create.record");
	if (rc < 0 || (rc = oci_write_log_json(spec, err)) < 0 ||
	    (rc = ct_spec_save(spec, err)) < 0)
		unref_volumes(spec);
	return rc;
}

static int create_run(struct job *job, struct err *err)
{
	struct create_job *cj = container_of(job, struct create_job, job);
	struct ct_spec *spec = cj->spec;
	const struct image *img;
	int rc;

	if ((rc = image_get(spec->image_ref, &cj->img, err)) < 0)
		return rc;
	img = cj->img;
	str_copy(spec->image_id, sizeof(spec->image_id), img->id);
	if (!cj->platform.given ||
	    (rc = platform_check_image(&cj->platform.p, img, spec->image_ref, err)) == 0)
		rc = create_request_merge_image(&cj->cr, img->config_text, err);
	if (rc == 0) {
		spec->config = take_ptr(&cj->cr.config);
		spec->host_config = take_ptr(&cj->cr.host_config);
		spec->endpoints = take_ptr(&cj->cr.endpoints);
		spec->n_endpoints = cj->cr.n_endpoints;
		cj->cr.n_endpoints = 0;
		default_hostname(spec);
		rc = create_files(cj, img, err);
		if (rc < 0)
			remove_dirs(spec->uuid);
	}
	return rc;
}

/* ---- loop ----------------------------------------------------------------------------------- */

static void job_free(struct create_job *cj)
{
	create_request_fini(&cj->cr);
	for (size_t i = 0; i < cj->n_from; i++)
		ct_spec_free(cj->from[i]);
	free(cj->from);
	ct_spec_free(cj->spec);
	image_unref(cj->img);
	free(cj);
}

static void reply_created(uint64_t req, const char *id, char *const *warnings)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_str(&w, "Id", id);
	jw_arr(&w, "Warnings");
	for (char *const *v = warnings; v && *v; v++)
		jw_str(&w, NULL, *v);
	jw_end(&w);
	jw_end(&w);
	reply_json(req, 201, &b);
}

/* Came by --volumes-from: made for another. */
static bool is_inherited(const struct create_job *cj, const char *volume)
{
	for (size_t i = 0; i < cj->n_from; i++)
		for (size_t k = 0; k < cj->from[i]->mounts.n; k++)
			if (str_eq(cj->from[i]->mounts.v[k].name, volume))
				return true;
	return false;
}

static void volume_create_events(const struct create_job *cj, const struct container *ct)
{
	static const char *const attrs[] = { "driver", "local", NULL };

	for (size_t i = 0; i < ct->mounts.n; i++) {
		const struct ct_mount *m = &ct->mounts.v[i];

		if (m->anonymous && !is_inherited(cj, m->name))
			event_emit("volume", "create", m->name, attrs);
	}
}

static int enter_index(struct create_job *cj, struct err *err)
{
	struct ct_spec *spec = cj->spec;
	struct container *ct = container_new(spec->id);
	int rc;

	ct->name = take_ptr(&spec->name);
	ct->created_ns = spec->created_ns;
	memcpy(ct->image_id, spec->image_id, sizeof(ct->image_id));
	ct->image_ref = take_ptr(&spec->image_ref);
	ct->config = take_ptr(&spec->config);
	ct->host_config = take_ptr(&spec->host_config);
	ct->extra = take_ptr(&spec->extra);
	ct->mounts = spec->mounts;
	spec->mounts = (struct ct_mounts){ 0 };
	ct->endpoints = take_ptr(&spec->endpoints);
	ct->n_endpoints = spec->n_endpoints;
	spec->n_endpoints = 0;
	ct->st.status = CT_CREATED;
	if ((rc = container_add(ct, err)) == 0) {
		volume_create_events(cj, ct);
		event_container(ct, "create", NULL);
	}
	container_unref(ct);
	return rc;
}

static void answer(struct create_job *cj)
{
	bool failed = cj->job.rc < 0;

	if (cj->tell)
		cj->tell(cj->tell_arg, cj->spec->id, cj->cr.warnings, failed ? &cj->job.err : NULL);
	else if (failed)
		reply_error(cj->req, &cj->job.err);
	else
		reply_created(cj->req, cj->spec->id, cj->cr.warnings);
}

static void create_done(struct job *job)
{
	struct create_job *cj = container_of(job, struct create_job, job);
	int rc = job->rc;

	if (rc < 0)
		container_release_name(cj->spec->name);
	else
		rc = enter_index(cj, &job->err);
	log_debug("create", "ct=%.12s rc=%d us=%lld", cj->spec->id, rc,
		  (long long)(mono_ns() - cj->began_ns) / 1000);
	if (rc < 0)
		job->rc = rc;
	answer(cj);
	job_free(cj);
}

/* The user's name, or one of ours that is free. */
static int reserve_name(struct create_job *cj, const char *wanted, struct err *err)
{
	struct ct_spec *spec = cj->spec;
	int rc = -EEXIST;

	if (!str_empty(wanted)) {
		if (wanted[0] == '/')
			wanted++;
		if ((rc = ct_check_name(wanted, err)) < 0 ||
		    (rc = container_reserve_name(wanted, spec->id, err)) < 0)
			return rc;
		spec->name = xstrdup(wanted);
		return 0;
	}
	for (unsigned i = 0; i < NAME_TRIES && rc < 0; i++) {
		free(spec->name);
		spec->name = ct_random_name(i);
		rc = container_reserve_name(spec->name, spec->id, err);
	}
	if (rc < 0) {
		free(spec->name);
		spec->name = xstrndup(spec->id, 12);
		rc = container_reserve_name(spec->name, spec->id, err);
	}
	return rc;
}

/* "name[:mode]" each. */
static int find_volumes_from(struct create_job *cj, struct err *err)
{
	const json_t *list = jget_arr(cj->cr.host_config, "VolumesFrom");
	const json_t *v;
	size_t i;

	cj->from = xcalloc(json_array_size(list) + 1, sizeof(*cj->from));
	json_array_foreach (list, i, v) {
		const char *s = json_is_string(v) ? json_string_value(v) : "";
		cleanup_free char *name = xstrndup(s, strcspn(s, ":"));
		struct container *ct = container_find(name, err);

		if (!ct)
			return err->code;
		cj->from[cj->n_from++] = container_spec(ct);
	}
	return 0;
}

static int begin(struct create_job *cj, const char *body, size_t len, int version,
		 const char *name, struct err *err)
{
	struct ct_spec *spec = cj->spec;
	const char *image;
	int rc;

	if ((rc = create_request_parse(body, len, version, &cj->cr, err)) < 0 ||
	    (rc = create_request_resolve(&cj->cr, err)) < 0 ||
	    (rc = links_make(cj->cr.host_config, &spec->extra, err)) < 0)
		return rc;
	image = jget_str(cj->cr.config, "Image", "");
	spec->image_ref = xstrdup(image);
	spec->created_ns = now_ns();
	if ((rc = find_volumes_from(cj, err)) < 0)
		return rc;
	return reserve_name(cj, name, err);
}

static struct create_job *job_new(void)
{
	struct create_job *cj = xcalloc(1, sizeof(*cj));

	cgroup_prewarm();
	cj->began_ns = mono_ns();
	cj->spec = xcalloc(1, sizeof(*cj->spec));
	id_generate(cj->spec->id);
	id_to_uuid(cj->spec->uuid, cj->spec->id);
	cj->job.run = create_run;
	cj->job.done = create_done;
	cj->job.what = "create";
	return cj;
}

static void submit(struct create_job *cj, int begun)
{
	if (begun >= 0) {
		job_submit(LANE_LIFECYCLE, &cj->job);
		return;
	}
	cj->job.rc = begun;
	answer(cj);
	job_free(cj);
}

void op_create(struct req *r)
{
	const struct buf *body = req_body(r);
	struct create_job *cj = job_new();

	cj->req = req_id(r);
	cj->platform.given = req_version(r) >= 141 && !str_empty(req_query(r, "platform"));
	if (cj->platform.given && platform_parse(req_query(r, "platform"), &cj->platform.p, &cj->job.err) < 0)
		submit(cj, cj->job.err.code);
	else
		submit(cj, begin(cj, body ? buf_str(body) : "", body ? body->len : 0, req_version(r),
			 req_query(r, "name"), &cj->job.err));
}

void op_create_internal(const char *body, json_t *extra, op_created_fn *tell, void *arg)
{
	struct create_job *cj = job_new();

	assert_loop_thread();
	cj->tell = tell;
	cj->tell_arg = arg;
	cj->spec->extra = extra;
	submit(cj, begin(cj, body, strlen(body), INTERNAL_VERSION, NULL, &cj->job.err));
}
