/* SPDX-License-Identifier: MPL-2.0
 *
 * image_commit.c - a new image on top of another.
 *
 * Design: the upper directory is written as a tar by one thread (overlay's whiteouts become .wh.
 * files) and added as any layer from the other end of a pipe, so it is hashed, has its recipe, and
 * is a copy: the container may go on changing its own.
 *
 * Failure: the layer is held until the image refers to it.
 */
#include "apiserver/image_commit.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/env_merge.h"
#include "apiserver/platform.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_ref.h"
#include "apiserver/tar_write.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"
#include "version.h"

#define PIPE_BYTES (1024 * 1024)

/* The digest of a tar of nothing: two zero blocks. */
#define EMPTY_DIFF_ID "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

/* ---------------------------------------------------------------- the layer */

struct tree_writer {
	int dir_fd, pipe_fd;
	int rc;
	struct err err;
};

static void *write_tree(void *arg)
{
	const struct tar_write_opts o = { .sorted = true, .overlay = true };
	struct tree_writer *t = arg;
	struct tar_writer *w = tar_writer_new(tar_write_to_fd, &t->pipe_fd, &o);

	t->rc = tar_writer_add(w, t->dir_fd, ".", "", &t->err);
	if (t->rc == 0)
		t->rc = tar_writer_end(w, &t->err);
	tar_writer_free(w);
	return NULL;
}

struct tree_reader {
	struct tree_writer *writer;
	pthread_t thread;
	int fd;
	bool joined;
};

/* The end of the pipe is the end of the tar only if the writer came through. */
static ssize_t read_tree(void *arg, void *p, size_t len)
{
	struct tree_reader *r = arg;
	ssize_t n;

	do
		n = read(r->fd, p, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0 && !r->joined) {
		pthread_join(r->thread, NULL);
		r->joined = true;
	}
	return n == 0 && r->writer->rc < 0 ? r->writer->rc : n;
}

static void *write_and_close(void *arg)
{
	struct tree_writer *t = arg;

	write_tree(t);
	close(t->pipe_fd);
	return NULL;
}

static int add_upper(const char *upper, const char *parent_chain, struct layer_info *out, struct err *err)
{
	cleanup_fd int dir_fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree_writer w = { .dir_fd = dir_fd };
	struct tree_reader r = { .writer = &w };
	int pair[2], rc;

	if (dir_fd < 0)
		return err_sys(err, "open %s", upper);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	(void)fcntl(pair[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; less is fine */
	r.fd = pair[0];
	w.pipe_fd = pair[1];
	if ((rc = pthread_create(&r.thread, NULL, write_and_close, &w)) != 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sysnum(err, rc, "start a thread");
	}
	rc = layer_add(read_tree, &r, parent_chain, NULL, out, err);
	close(r.fd); /* a writer that waits must not wait for ever */
	if (!r.joined)
		pthread_join(r.thread, NULL);
	if (rc < 0 && w.rc < 0 && w.rc != -EPIPE)
		*err = w.err;
	return rc;
}

/* ---------------------------------------------------------------- the configuration */

static void put_text(json_t *o, const char *key, const char *text)
{
	if (!str_empty(text))
		json_object_set_new(o, key, json_string(text));
}

static json_t *step_of(const struct image_commit *ic, const char *created, bool empty)
{
	json_t *h = json_object();

	json_object_set_new(h, "created", json_string(created));
	put_text(h, "author", ic->author);
	put_text(h, "created_by", ic->created_by);
	put_text(h, "comment", ic->comment);
	if (empty)
		json_object_set_new(h, "empty_layer", json_true());
	return h;
}

static json_t *array_copy(const json_t *o, const char *key)
{
	json_t *a = jget_arr(o, key);

	return a ? json_deep_copy(a) : json_array();
}

static char *config_of(const struct image_commit *ic, const json_t *parent, const char *diff_id)
{
	cleanup_json json_t *o = json_object();
	json_t *history = array_copy(parent, "history");
	json_t *diff_ids = array_copy(jget_obj(parent, "rootfs"), "diff_ids");
	char created[RFC3339NANO_MAX];
	const char *arch = jget_str(parent, "architecture", "");

	fmt_rfc3339nano(created, now_ns());
	if (diff_id)
		json_array_append_new(diff_ids, json_string(diff_id));
	json_array_append_new(history, step_of(ic, created, !diff_id));
	if (ic->arch)
		arch = ic->arch;
	json_object_set_new(o, "architecture", json_string(*arch ? arch : platform_host_arch()));
	put_text(o, "author", ic->author);
	put_text(o, "comment", ic->comment);
	json_object_set_new(o, "config", json_deep_copy(ic->config));
	put_text(o, "container", ic->container_id);
	if (ic->container_config)
		json_object_set_new(o, "container_config", json_deep_copy(ic->container_config));
	json_object_set_new(o, "created", json_string(created));
	json_object_set_new(o, "docker_version", json_string(SDC_VERSION));
	json_object_set_new(o, "history", history);
	json_object_set_new(o, "os", json_string(ic->os ? ic->os : "linux"));
	json_object_set_new(o, "rootfs", json_pack("{s:s,s:o}", "type", "layers", "diff_ids", diff_ids));
	put_text(o, "variant", jget_str(parent, "variant", ""));
	return json_dumps(o, JSON_COMPACT);
}

/* ---------------------------------------------------------------- merging */

static json_t *member_copy(const json_t *o, const char *key)
{
	return json_deep_copy(json_object_get(o, key));
}

static bool is_unset(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return !v || json_is_null(v) || (json_is_string(v) && !*json_string_value(v)) ||
	       (json_is_array(v) && !json_array_size(v)) || (json_is_object(v) && !json_object_size(v));
}

/* Objects: members that user lacks. */
static void merge_object(json_t *user, const json_t *base, const char *key)
{
	json_t *from = jget_obj(base, key), *to = jget_obj(user, key);

	if (!from)
		return;
	if (!to)
		json_object_set_new(user, key, json_deep_copy(from));
	else
		json_object_update_missing(to, from);
}

static void merge_env(json_t *user, const json_t *base)
{
	json_t *from = jget_arr(base, "Env"), *to = jget_arr(user, "Env");

	if (json_array_size(to) > 0)
		env_merge(to, from);
	else if (from)
		json_object_set_new(user, "Env", json_deep_copy(from));
}

void image_config_merge(json_t *user, const json_t *base)
{
	static const char *const plain[] = { "User", "WorkingDir", "StopSignal", "Healthcheck", "Shell" };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (is_unset(user, plain[i]) && !is_unset(base, plain[i]))
			json_object_set_new(user, plain[i], member_copy(base, plain[i]));
	merge_object(user, base, "ExposedPorts");
	merge_object(user, base, "Volumes");
	merge_object(user, base, "Labels");
	merge_env(user, base);
	if (is_unset(user, "Entrypoint")) {
		json_t *e = json_object_get(user, "Entrypoint");

		if (is_unset(user, "Cmd") && json_object_get(base, "Cmd"))
			json_object_set_new(user, "Cmd", member_copy(base, "Cmd"));
		if ((!e || json_is_null(e)) && json_object_get(base, "Entrypoint"))
			json_object_set_new(user, "Entrypoint", member_copy(base, "Entrypoint"));
	}
}

/* ---------------------------------------------------------------- commit */

static int commit_on(const struct image_commit *ic, const struct image *parent, char out_id[72],
		     struct err *err)
{
	cleanup_json json_t *pc = NULL;
	cleanup_free char *text = NULL;
	struct layer_info layer = { .diff_id = EMPTY_DIFF_ID };
	char chain[72] = "", below[72];
	int rc;

	if (parent && (rc = jparse(parent->config_text, strlen(parent->config_text), &pc, err)) < 0)
		return rc;
	for (char **d = parent ? parent->diff_ids : NULL; d && *d; d++) {
		str_copy(below, sizeof(below), chain);
		layer_chain_id(below, *d, chain);
	}
	if (ic->upper && (rc = add_upper(ic->upper, chain, &layer, err)) < 0)
		return rc;
	text = config_of(ic, pc, str_eq(layer.diff_id, EMPTY_DIFF_ID) ? NULL : layer.diff_id);
	if (!text)
		return err_kind(err, ERR_BAD_PARAM, "the configuration is not valid UTF-8");
	return (ic->built ? image_add_built : image_add)(text, strlen(text), parent ? parent->id : "",
							 out_id, err);
}

int image_commit_squashed(json_t *config, const struct image *base, const char *upper,
			  const char *comment, char out_id[72], struct err *err)
{
	struct layer_info layer = { .diff_id = EMPTY_DIFF_ID };
	cleanup_free char *text = NULL;
	json_t *diff_ids = json_array();
	char created[RFC3339NANO_MAX], chain[72] = "", below[72];
	int rc;

	for (char **d = base ? base->diff_ids : NULL; d && *d; d++) {
		str_copy(below, sizeof(below), chain);
		layer_chain_id(below, *d, chain);
		json_array_append_new(diff_ids, json_string(*d));
	}
	fmt_rfc3339nano(created, now_ns());
	json_object_set_new(config, "rootfs",
			    json_pack("{s:s,s:o}", "type", "layers", "diff_ids", diff_ids));
	json_object_set_new(config, "created", json_string(created));
	image_hold_begin();
	rc = add_upper(upper, chain, &layer, err);
	if (rc == 0 && !str_eq(layer.diff_id, EMPTY_DIFF_ID))
		json_array_append_new(diff_ids, json_string(layer.diff_id));
	if (rc == 0) {
		const struct image_commit ic = { .comment = comment };

		json_array_append_new(jget_arr(config, "history"),
				      step_of(&ic, created, str_eq(layer.diff_id, EMPTY_DIFF_ID)));
		text = json_dumps(config, JSON_COMPACT);
		rc = text ? image_add_built(text, strlen(text), "", out_id, err)
			  : err_kind(err, ERR_BAD_PARAM, "the configuration is not valid UTF-8");
	}
	image_hold_end();
	return rc;
}

int image_commit(const struct image_commit *ic, char out_id[72], struct image_events *ev,
		 struct err *err)
{
	cleanup_free char *familiar = NULL;
	struct image *parent = NULL;
	struct image_ref r;
	int rc = 0;

	image_hold_begin();
	if (!str_empty(ic->parent_id))
		rc = image_get(ic->parent_id, &parent, err);
	if (rc == 0)
		rc = commit_on(ic, parent, out_id, err);
	image_unref(parent);
	image_hold_end();
	if (rc == 0 && ic->container_id)
		image_events_add(ev, "create", out_id, NULL);
	if (rc < 0 || !ic->ref)
		return rc;
	if ((rc = image_ref_parse(ic->ref, &r, err)) < 0 || (rc = image_tag(out_id, ic->ref, err)) < 0)
		return rc;
	familiar = image_ref_familiar(&r);
	image_events_add(ev, "tag", out_id, familiar);
	return 0;
}
