/* SPDX-License-Identifier: MPL-2.0
 *
 * api_image_jobs.c - handlers of /images that move data: create (import, pull), load, save.
 *
 * Threads: handlers and *_done on the loop, *_run on a worker. A job holds copies of what the client
 * sent; a client that goes away shows as -ECONNRESET from its body, or -EPIPE of what is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_events.h"
#include "apiserver/image_import.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/progress.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/url_source.h"
#include "cleanup.h"
#include "str.h"

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
