/* SPDX-License-Identifier: MPL-2.0
 *
 * api_archive.c - docker cp, export and diff: GET, HEAD and PUT archive, GET export, GET changes.
 *
 * Design: a request has up to two jobs. The first opens the zone's files (zone_files.h) and finds
 * out what the headers and errors say; for GET and export the second then writes the tar into a
 * pipe that reply_stream sends on, and waits where the client is slow. A container that does not
 * run is kept from starting meanwhile by its operation (its root would be mounted twice); one that
 * runs is not held up.
 *
 *	begin -> [turn] -> job 1 (open_run, put_run) -> opened -> job 2 (tar_run) -> tar_done  -\
 *							     \-> reply_stream ... on_stream_end -+-> freed,
 *	when both are over
 *
 * Failure in the middle of a tar cuts the connection: a client must not take half an archive for a
 * whole one.
 */
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "changes.h"
#include "cleanup.h"
#include "container.h"
#include "ct_path.h"
#include "events.h"
#include "fs.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#define LOG_MODULE "archive"
#include "log.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"
#include "tar_write.h"
#include "zone_files.h"

enum files_kind { FILES_HEAD, FILES_GET, FILES_PUT, FILES_EXPORT, FILES_CHANGES };

#define N_HIDDEN 5

struct files_op {
	struct job job;
	uint64_t req;
	enum files_kind kind;
	/* loop */
	struct container *ct; /* a reference */
	bool holds_op;
	bool job_over, stream_over;
	/* jobs */
	struct ct_spec *spec;
	char *ref;  /* the container as the user named it */
	char *path; /* ct_path_abs */
	struct zone_view view;
	char *stat_header;
	struct buf json;
	/* of the tar */
	int tree_fd;
	char *entry; /* beneath tree_fd, or "." */
	char *as;
	char *hidden[N_HIDDEN]; /* names in the archive, NULL where not in it */
	int out_fd;
	atomic_bool failed;
	/* PUT */
	struct body_stream *body;
	bool no_overwrite, copy_ids;
};

static void files_op_free(struct files_op *op)
{
	body_close(op->body);
	zone_view_close(&op->view);
	if (op->tree_fd >= 0)
		close(op->tree_fd);
	if (op->out_fd >= 0)
		close(op->out_fd);
	if (op->holds_op)
		container_op_end(op->ct);
	container_unref(op->ct);
	ct_spec_free(op->spec);
	for (size_t i = 0; i < N_HIDDEN; i++)
		free(op->hidden[i]);
	free(op->ref);
	free(op->path);
	free(op->stat_header);
	free(op->entry);
	free(op->as);
	buf_fini(&op->json);
	free(op);
}

/* ---- what is asked for (worker) ---- */

static int no_such_file(const struct files_op *op, int rc, struct err *err)
{
	if (rc == -ENOENT)
		return err_kind(err, ERR_NOT_FOUND, "Could not find the file %s in container %s",
				op->path, op->ref);
	return err_sysnum(err, rc, "lstat %s", op->path);
}

static char *base64(const struct buf *b)
{
	char *out = xmalloc((b->len + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)b->p, (int)b->len);
	return out;
}

static char *stat_header(const struct files_op *op, const struct stat *st)
{
	cleanup_free char *name = ct_path_base(op->path), *target = NULL;
	cleanup_buf struct buf b = BUF_INIT;
	char mtime[RFC3339NANO_MAX];
	struct jw w = JW(&b);

	fmt_rfc3339nano(mtime, st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec);
	if (S_ISLNK(st->st_mode))
		target = ct_path_resolve(op->view.root_fd, op->path);
	jw_obj(&w, NULL);
	jw_str(&w, "name", name);
	jw_int(&w, "size", st->st_size);
	jw_uint(&w, "mode", go_file_mode(st->st_mode));
	jw_str(&w, "mtime", mtime);
	jw_str(&w, "linkTarget", target ? target : "");
	jw_end(&w);
	return base64(&b);
}

static int stat_path(struct files_op *op, struct stat *st, struct err *err)
{
	cleanup_free char *real = ct_path_resolve(op->view.root_fd, op->path);
	cleanup_fd int fd = -1;

	if (real && ct_path_within(real, "/native"))
		return no_such_file(op, -ENOENT, err);
	fd = fs_open_in_root(op->view.root_fd, op->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return no_such_file(op, fd, err);
	if (fstatat(fd, "", st, AT_EMPTY_PATH) < 0)
		return err_sys(err, "lstat %s", op->path);
	return 0;
}

/* Names in the archive of what is not to be in it. What is asked for itself is never hidden by
 * these. */
static void find_hidden(struct files_op *op, const char *real)
{
	static const char *const paths[N_HIDDEN] = {"/native", "/var/log/sdc-dockerinit.log",
						    "/proc/", "/sys/", "/dev/"};
	size_t len = str_eq(real, "/") ? 0 : strlen(real);

	for (size_t i = 0; i < N_HIDDEN; i++) {
		bool beneath = len < strlen(paths[i]) - 1 && ct_path_within(paths[i], real);

		if (beneath)
			op->hidden[i] = xasprintf("%s%s", str_eq(op->as, "/") ? "" : op->as, paths[i] + len);
	}
}

/* A directory is archived by itself, all else beneath its parent. */
static int find_tree(struct files_op *op, const struct stat *st, struct err *err)
{
	cleanup_free char *dir = ct_path_dir(op->path),
			  *real = ct_path_resolve(op->view.root_fd, op->path);
	bool is_dir = S_ISDIR(st->st_mode);

	op->as = ct_path_base(op->path);
	op->entry = is_dir ? xstrdup(".") : xstrdup(op->as);
	op->tree_fd = fs_open_in_root(op->view.root_fd, is_dir ? op->path : dir,
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (op->tree_fd < 0)
		return no_such_file(op, op->tree_fd, err);
	if (is_dir && real)
		find_hidden(op, real);
	return 0;
}

static int open_export(struct files_op *op, struct err *err)
{
	op->tree_fd = zone_view_clone_root(&op->view, err);
	if (op->tree_fd < 0)
		return op->tree_fd;
	op->entry = xstrdup(".");
	op->as = xstrdup("");
	op->hidden[0] = xstrdup("native");
	op->hidden[1] = xstrdup("var/log/sdc-dockerinit.log");
	return 0;
}

static int open_run(struct job *job, struct err *err)
{
	struct files_op *op = container_of(job, struct files_op, job);
	struct stat st;
	int rc;

	if (op->kind == FILES_CHANGES)
		return changes_json(op->spec->uuid, &op->json, err);
	if ((rc = zone_view_open(op->spec, &op->view, err)) < 0)
		return rc;
	if (op->kind == FILES_EXPORT)
		return open_export(op, err);
	if ((rc = stat_path(op, &st, err)) < 0)
		return rc;
	op->stat_header = stat_header(op, &st);
	if (op->kind == FILES_HEAD) {
		zone_view_close(&op->view);
		return 0;
	}
	return find_tree(op, &st, err);
}

/* ---- the tar (worker) ---- */

static bool is_hidden(void *arg, const char *name, const struct stat *st)
{
	const struct files_op *op = arg;

	(void)st;
	for (size_t i = 0; i < N_HIDDEN; i++) {
		const char *h = op->hidden[i];
		size_t len = h ? strlen(h) : 0;

		if (!len)
			continue;
		if (h[len - 1] == '/' ? !strncmp(name, h, len) : ct_path_within(name, h))
			return true;
	}
	return false;
}

static bool is_cancelled(void *arg)
{
	struct files_op *op = arg;

	return job_cancelled(&op->job);
}

static int tar_run(struct job *job, struct err *err)
{
	struct files_op *op = container_of(job, struct files_op, job);
	struct tar_write_opts opts = {.exclude = is_hidden, .cancelled = is_cancelled, .arg = op};
	struct tar_writer *w = tar_writer_new(tar_write_to_fd, &op->out_fd, &opts);
	int rc = tar_writer_add(w, op->tree_fd, op->entry, op->as, err);

	if (rc >= 0)
		rc = tar_writer_end(w, err);
	tar_writer_free(w);
	if (rc < 0)
		atomic_store(&op->failed, true);
	close(take_fd(&op->out_fd)); /* after failed is set: the stream looks at it when it sees the
					end */
	close(take_fd(&op->tree_fd));
	zone_view_close(&op->view);
	return rc;
}

/* ---- unpacking (worker) ---- */

static ssize_t read_body(void *arg, void *p, size_t len)
{
	return body_read(arg, p, len);
}

/* A volume that may be written, or the root file system if that may. */
static int check_writable(const struct files_op *op, const char *real, struct err *err)
{
	const struct ct_mount *in = NULL;

	for (size_t i = 0; i < op->spec->mounts.n; i++) {
		const struct ct_mount *m = &op->spec->mounts.v[i];

		if (ct_path_within(real, m->destination) &&
		    (!in || strlen(m->destination) > strlen(in->destination)))
			in = m;
	}
	if (in && !in->rw)
		return err_kind(err, ERR_BAD_PARAM, "mounted volume is marked read-only");
	if (!in && jget_bool(op->spec->host_config, "ReadonlyRootfs", false))
		return err_kind(err, ERR_BAD_PARAM, "container rootfs is marked read-only");
	return 0;
}

static bool put_cancelled(void *arg)
{
	const struct files_op *op = arg;

	return body_cut(op->body);
}

static int put_run(struct job *job, struct err *err)
{
	struct files_op *op = container_of(job, struct files_op, job);
	struct zone_extract x = {
		.no_overwrite_dir_non_dir = op->no_overwrite,
		.cancelled = put_cancelled,
		.cancelled_arg = op,
	};
	const char *user = jget_str(op->spec->config, "User", "");
	cleanup_free char *real = NULL;
	struct stat st;
	int rc, fd;

	if ((rc = zone_view_open(op->spec, &op->view, err)) < 0)
		return rc;
	fd = fs_open_in_root(op->view.root_fd, op->path, O_PATH | O_CLOEXEC, 0);
	real = ct_path_resolve(op->view.root_fd, op->path);
	if (fd < 0 || !real || ct_path_within(real, "/native"))
		rc = no_such_file(op, fd < 0 ? fd : -ENOENT, err);
	else if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		rc = err_sys(err, "lstat %s", op->path);
	else if (!S_ISDIR(st.st_mode))
		rc = err_kind(err, ERR_BAD_PARAM, "extraction point is not a directory");
	else
		rc = check_writable(op, real, err);
	if (fd >= 0)
		close(fd);
	if (rc >= 0 && op->copy_ids && *user) {
		x.chown = true;
		rc = zone_user_ids(op->view.root_fd, user, &x.uid, &x.gid, err);
	}
	x.ct_dir = real;
	if (rc >= 0)
		rc = zone_extract(&op->view, &x, read_body, op->body, err);
	zone_view_close(&op->view);
	return rc;
}

/* ---- answers (loop) ---- */

static void put_done(struct job *job)
{
	struct files_op *op = container_of(job, struct files_op, job);

	if (job->rc < 0) {
		reply_error(op->req, &job->err);
	} else {
		event_container(op->ct, "extract-to-dir", NULL);
		reply_empty(op->req, 200);
	}
	files_op_free(op);
}

static bool stream_aborted(void *arg)
{
	return atomic_load(&((struct files_op *)arg)->failed);
}

static void on_stream_end(void *arg, bool client_gone)
{
	struct files_op *op = arg;

	op->stream_over = true;
	if (client_gone)
		job_cancel(&op->job);
	if (op->job_over)
		files_op_free(op);
}

static void tar_done(struct job *job)
{
	struct files_op *op = container_of(job, struct files_op, job);

	if (job->rc < 0 && job->rc != -EPIPE && job->rc != -ECANCELED)
		log_warn("archive of a container was cut short", "ct=%.12s path=%s why=%s",
			 op->spec->id, log_q(op->path ? op->path : "/"), log_q(job->err.msg));
	if (op->out_fd >= 0) { /* never ran */
		atomic_store(&op->failed, true);
		close(take_fd(&op->out_fd));
	}
	op->job_over = true;
	if (op->stream_over)
		files_op_free(op);
}

/* Headers are known: the tar goes through a pipe from here on. */
static void start_stream(struct files_op *op)
{
	struct stream_opts opts = {.content_type = "application/x-tar",
				   .aborted = stream_aborted,
				   .on_end = on_stream_end,
				   .arg = op,
				   .content_length = -1};
	struct err err = {0};
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0) {
		err_sys(&err, "pipe");
		reply_error(op->req, &err);
		files_op_free(op);
		return;
	}
	if (op->kind == FILES_EXPORT)
		opts.content_type = "application/octet-stream";
	event_container(op->ct, op->kind == FILES_EXPORT ? "export" : "archive-path", NULL);
	op->out_fd = p[1];
	op->job = (struct job){.run = tar_run, .done = tar_done, .what = "tar of a container"};
	job_submit(LANE_TRANSFER, &op->job);
	reply_stream(op->req, p[0], &opts);
}

static void opened(struct job *job)
{
	struct files_op *op = container_of(job, struct files_op, job);

	if (job->rc < 0) {
		reply_error(op->req, &job->err);
		files_op_free(op);
		return;
	}
	if (op->stat_header)
		reply_header(op->req, "X-Docker-Container-Path-Stat", op->stat_header);
	switch (op->kind) {
	case FILES_GET:
	case FILES_EXPORT:
		start_stream(op);
		return;
	case FILES_CHANGES:
		reply_json(op->req, 200, &op->json);
		break;
	case FILES_HEAD:
	case FILES_PUT:
		reply_empty(op->req, 200);
		break;
	}
	files_op_free(op);
}

/* ---- the beginning (loop) ---- */

static void submit(struct files_op *op)
{
	bool put = op->kind == FILES_PUT;

	op->spec = container_spec(op->ct);
	op->job =
		(struct job){.run = put ? put_run : open_run,
			     .done = put ? put_done : opened,
			     .what = put ? "unpack into a container" : "open a container's files"};
	job_submit(put ? LANE_TRANSFER : LANE_QUERY, &op->job);
}

static void on_turn(struct container *ct, void *arg, bool cancelled)
{
	struct files_op *op = arg;
	struct err err = {0};

	if (cancelled) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %s", op->ref);
		reply_error(op->req, &err);
		files_op_free(op);
		return;
	}
	op->holds_op = true;
	if (ct->st.pid > 0) { /* was started while we waited */
		op->holds_op = false;
		container_op_end(ct);
	}
	submit(op);
}

static void begin(struct req *r, enum files_kind kind)
{
	const char *path = req_query(r, "path");
	struct err err = {0};
	struct container *ct = container_find(req_var(r, "name"), &err);
	bool wants_path = kind == FILES_GET || kind == FILES_HEAD || kind == FILES_PUT;
	struct files_op *op;

	if (ct && wants_path && str_empty(path))
		err_kind(&err, ERR_BAD_PARAM, "bad parameter: path cannot be empty");
	if (err.kind != ERR_NONE || !ct) {
		reply_error(req_id(r), &err);
		return;
	}
	op = xcalloc(1, sizeof(*op));
	op->req = req_id(r);
	op->kind = kind;
	op->ct = container_ref(ct);
	op->ref = xstrdup(req_var(r, "name"));
	op->path = wants_path ? ct_path_abs(path) : NULL;
	op->view = (struct zone_view)ZONE_VIEW_INIT;
	op->tree_fd = op->out_fd = -1;
	if (kind == FILES_PUT) {
		op->body = req_body_stream(r);
		op->no_overwrite = req_query_bool(r, "noOverwriteDirNonDir", false);
		op->copy_ids = req_query_bool(r, "copyUIDGID", false);
	}
	if (kind == FILES_CHANGES || ct->st.pid > 0) {
		submit(op);
		return;
	}
	if (container_op_begin(ct, kind == FILES_EXPORT ? OP_EXPORT : OP_ARCHIVE, on_turn, op,
			       &err) < 0) {
		reply_error(op->req, &err);
		files_op_free(op);
	}
}

void handle_archive_head(struct req *r)
{
	begin(r, FILES_HEAD);
}

void handle_archive_get(struct req *r)
{
	begin(r, FILES_GET);
}

void handle_archive_put(struct req *r)
{
	begin(r, FILES_PUT);
}

void handle_container_export(struct req *r)
{
	begin(r, FILES_EXPORT);
}

void handle_container_changes(struct req *r)
{
	begin(r, FILES_CHANGES);
}
