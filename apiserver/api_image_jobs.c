/* SPDX-License-Identifier: MPL-2.0
 *
 * api_image_jobs.c - handlers of /images that move data: create (import, pull), load, save.
 *
 * Threads: handlers and *_done on the loop, *_run on a worker. A job holds copies of what the client
 * sent; a client that goes away shows as -ECONNRESET from its body, or -EPIPE of what is written.
 */
#define LOG_MODULE "image"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/image_archive.h"
#include "apiserver/image_events.h"
#include "apiserver/image_import.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/platform_param.h"
#include "apiserver/progress.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/url_source.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define REST_MAX (16 * 1024 * 1024)

static ssize_t read_body(void *arg, void *p, size_t len)
{
	return body_read(arg, p, len);
}

/* ---------------------------------------------------------------- import */

struct import_job {
	struct job job;
	struct progress *progress;
	struct body_stream *body; /* NULL: from a URL */
	struct image_events events;
	char *repo, *tag, *message, *source, *platform;
	char **changes;
};

static void import_free(struct import_job *ij)
{
	image_events_fini(&ij->events);
	free(ij->repo);
	free(ij->tag);
	free(ij->message);
	free(ij->source);
	free(ij->platform);
	strv_free(ij->changes);
	free(ij);
}

static struct image_import import_args(const struct import_job *ij)
{
	return (struct image_import){
		.repo = ij->repo,
		.tag = ij->tag,
		.message = ij->message,
		.source = ij->source,
		.platform = str_empty(ij->platform) ? NULL : ij->platform,
		.changes = ij->changes,
	};
}

struct url_reader {
	struct import_job *ij;
	struct url_source *src;
	int64_t got;
};

static ssize_t read_url(void *arg, void *p, size_t len)
{
	struct url_reader *u = arg;
	ssize_t n = progress_gone(u->ij->progress) ? -ECANCELED : url_source_read(u->src, p, len);

	if (n > 0)
		u->got += n;
	progress_bar(u->ij->progress, "", "Importing", u->got, url_source_length(u->src));
	return n;
}

static int import_url(struct import_job *ij, const struct image_import *im, char id[72], struct err *err)
{
	struct url_reader u = { .ij = ij };
	int rc;

	if ((rc = url_source_open(ij->source, &u.src, err)) < 0)
		return rc;
	progress_status(ij->progress, NULL, "Downloading from %s", ij->source);
	rc = image_import_run(im, read_url, &u, id, &ij->events, err);
	if (rc < 0 && url_source_error(u.src, err) < 0)
		rc = err->code;
	url_source_free(u.src);
	return rc;
}

/* What follows the archive's end (its padding): a client that could not send it all would fail. */
static void take_rest(struct body_stream *body)
{
	char p[4096];
	ssize_t n = 1;

	for (size_t got = 0; got < REST_MAX && n > 0; got += (size_t)n)
		n = body_read(body, p, sizeof(p));
}

static int import_run(struct job *job, struct err *err)
{
	struct import_job *ij = container_of(job, struct import_job, job);
	struct image_import im = import_args(ij);
	char id[72];
	int rc;

	if (ij->body)
		rc = image_import_run(&im, read_body, ij->body, id, &ij->events, err);
	else
		rc = import_url(ij, &im, id, err);
	if (rc == 0 && ij->body)
		take_rest(ij->body);
	if (rc == 0)
		progress_status(ij->progress, NULL, "%s", id);
	return rc;
}

static void import_done(struct job *job)
{
	struct import_job *ij = container_of(job, struct import_job, job);

	body_close(ij->body);
	image_events_emit(&ij->events);
	progress_end(ij->progress, job->rc < 0 ? &job->err : NULL);
	import_free(ij);
}

static void create_from_src(struct req *r, const char *src)
{
	struct import_job *ij = xcalloc(1, sizeof(*ij));
	const char *repo = req_query(r, "repo");
	struct image_import im;
	struct err err = { 0 };

	ij->job = (struct job){ .run = import_run, .done = import_done, .what = "image import" };
	ij->repo = xstrdup(repo);
	ij->tag = xstrdup(req_query(r, "tag"));
	ij->message = xstrdup(req_query(r, "message"));
	ij->source = str_eq(src, "-") || strstr(src, "://") ? xstrdup(src) : xasprintf("http://%s", src);
	ij->platform = xstrdup(req_query(r, "platform"));
	ij->changes = req_query_all(r, "changes");
	im = import_args(ij);
	if (image_import_check(&im, &err) < 0) {
		reply_error(req_id(r), &err);
		import_free(ij);
		return;
	}
	ij->progress = progress_new(req_id(r));
	if (str_eq(src, "-"))
		ij->body = req_body_stream(r);
	job_submit(LANE_TRANSFER, &ij->job);
}

/* ---------------------------------------------------------------- create */

void handle_image_create(struct req *r)
{
	const char *from_image = req_query(r, "fromImage"), *from_src = req_query(r, "fromSrc");

	if (!str_empty(from_image)) {
		handle_image_pull(r);
		return;
	}
	if (str_empty(from_src)) {
		reply_error_status(req_id(r), 400, "must specify either fromImage or fromSrc");
		return;
	}
	create_from_src(r, from_src);
}

/* ---------------------------------------------------------------- load */

struct load_job {
	struct job job;
	struct progress *progress;
	struct body_stream *body;
	struct image_events events;
	struct wanted_platform platform;
	bool quiet;
};

static bool load_cancelled(void *arg)
{
	return body_cut(arg);
}

static int load_run(struct job *job, struct err *err)
{
	struct load_job *lj = container_of(job, struct load_job, job);
	const struct image_load_opts o = {
		.platform = lj->platform.given ? &lj->platform.p : NULL,
		.quiet = lj->quiet,
		.cancelled = load_cancelled,
		.cancelled_arg = lj->body,
	};

	int rc = image_load(read_body, lj->body, &o, lj->progress, &lj->events, err);

	/* Errors are told in the stream, as Docker does, but a client that goes away at the head of a quiet answer has
	 * its images. */
	progress_start(lj->progress);
	return rc;
}

static void load_done(struct job *job)
{
	struct load_job *lj = container_of(job, struct load_job, job);

	body_close(lj->body);
	image_events_emit(&lj->events);
	progress_end(lj->progress, job->rc < 0 ? &job->err : NULL);
	free(lj);
}

void handle_image_load(struct req *r)
{
	struct wanted_platform platform;
	struct err err = { 0 };
	struct load_job *lj;

	if (platform_param(r, "platform", 148, &platform, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	lj = xcalloc(1, sizeof(*lj));
	lj->job = (struct job){ .run = load_run, .done = load_done, .what = "image load" };
	lj->quiet = req_query_bool(r, "quiet", true);
	lj->platform = platform;
	lj->progress = progress_new(req_id(r));
	lj->body = req_body_stream(r);
	job_submit(LANE_TRANSFER, &lj->job);
}

/* ---------------------------------------------------------------- save */

/* Shared by the job, the post that starts the reply, and the reply; the last one frees. Loop only,
 * but for failed and write_fd. */
struct save_job {
	struct job job;
	uint64_t req;
	unsigned refs;
	char **names;
	struct wanted_platform platform;
	struct image_events events;
	int read_fd, write_fd;
	bool started; /* worker */
	atomic_bool failed;
};

static void save_unref(struct save_job *sj)
{
	if (--sj->refs)
		return;
	image_events_fini(&sj->events);
	strv_free(sj->names);
	if (sj->read_fd >= 0)
		close(sj->read_fd);
	free(sj);
}

static bool save_aborted(void *arg)
{
	return atomic_load(&((struct save_job *)arg)->failed);
}

static void save_reply_end(void *arg, bool client_gone)
{
	(void)client_gone;
	save_unref(arg);
}

static void save_start(void *arg)
{
	struct save_job *sj = arg;
	const struct stream_opts o = {
		.content_type = "application/x-tar",
		.content_length = -1,
		.aborted = save_aborted,
		.on_end = save_reply_end,
		.arg = sj,
	};

	reply_stream(sj->req, take_fd(&sj->read_fd), &o);
}

static int save_some(void *arg, const void *p, size_t len)
{
	struct save_job *sj = arg;

	return tar_write_to_fd(&sj->write_fd, p, len);
}

static int save_run(struct job *job, struct err *err)
{
	struct save_job *sj = container_of(job, struct save_job, job);
	struct image_save *s = NULL;
	int rc, pair[2];

	if ((rc = image_save_new(sj->names, sj->platform.given ? &sj->platform.p : NULL, &s, &sj->events, err)) < 0)
		return rc;
	if (pipe2(pair, O_CLOEXEC) < 0) {
		image_save_free(s);
		return err_sys(err, "pipe");
	}
	(void)fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
	sj->read_fd = pair[0];
	sj->write_fd = pair[1];
	sj->started = true;
	loop_post(save_start, sj);
	rc = image_save_write(s, save_some, sj, err);
	if (rc < 0)
		atomic_store(&sj->failed, true);
	close(sj->write_fd); /* after failed is set: the reply looks at it at the end */
	image_save_free(s);
	return rc;
}

static void save_done(struct job *job)
{
	struct save_job *sj = container_of(job, struct save_job, job);

	if (!sj->started) {
		reply_error(sj->req, &job->err);
		sj->refs--; /* the reply's */
	} else if (job->rc < 0 && job->rc != -EPIPE) {
		log_warn("images not saved", "err=%s", log_q(job->err.msg));
	}
	if (job->rc == 0)
		image_events_emit(&sj->events);
	save_unref(sj);
}

static void save(struct req *r, char **names)
{
	struct wanted_platform platform;
	struct err err = { 0 };
	struct save_job *sj;

	if (platform_param(r, "platform", 148, &platform, &err) < 0) {
		reply_error(req_id(r), &err);
		strv_free(names);
		return;
	}
	sj = xcalloc(1, sizeof(*sj));
	sj->job = (struct job){ .run = save_run, .done = save_done, .what = "image save" };
	sj->req = req_id(r);
	sj->refs = 2; /* the job, the reply */
	sj->names = names;
	sj->platform = platform;
	sj->read_fd = sj->write_fd = -1;
	job_submit(LANE_TRANSFER, &sj->job);
}

void handle_image_save(struct req *r)
{
	char **names = req_query_all(r, "names");

	if (!names[0]) {
		strv_free(names);
		reply_error_status(req_id(r), 400, "no image names were given");
		return;
	}
	save(r, names);
}

void handle_image_save_one(struct req *r)
{
	char **names = strv_split("", ' ');

	strv_add(&names, req_var(r, "name"));
	save(r, names);
}
