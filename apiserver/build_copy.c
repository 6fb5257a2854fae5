/* SPDX-License-Identifier: MPL-2.0
 *
 * build_copy.c - COPY, ADD and WORKDIR: the steps that write files without running anything.
 *
 * Design: what is to be copied is found and hashed first, in the context, another image's file
 * system or a download; the hash is in the step's command, and so in the cache's key. Without a hit
 * the parent image is mounted with an empty layer on top (build_root.h), and each source goes there
 * as a tar stream, written by a thread of its own and unpacked by the process that knows how to
 * write into hostile file systems (zone_extract). All paths are taken with openat2 in their roots.
 *
 * The hash: path, type, mode, owner, link's text and content; not times.
 *
 * Failure: the mounted file systems are removed in any case (build_root_close).
 */
#include "apiserver/build_priv.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/build_source.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/root_mkdir.h"
#include "apiserver/tar_write.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

#define NEEDS_BUILDKIT                                                                             \
	"the --%s option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to "     \
	"learn how to build images with BuildKit enabled"

#define PIPE_BYTES (1024 * 1024)

struct copy {
	struct build *b;
	const char *name; /* COPY or ADD */
	bool add;
	char **args; /* expanded; the last one is the destination */
	char *dest;  /* absolute, with its trailing slash */
	char *chown, *chmod, *from;
	bool set_mode, keep_owner;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct build_root other;   /* of --from */
	struct build_root fetched; /* downloads */
	struct build_source *v;
	size_t n;
};

static void copy_fini(struct copy *c)
{
	strv_free(c->args);
	free(c->dest);
	free(c->chown);
	free(c->chmod);
	free(c->from);
	for (size_t i = 0; i < c->n; i++)
		build_source_fini(&c->v[i]);
	free(c->v);
	build_root_close(&c->other);
	build_root_close(&c->fetched);
}
#define cleanup_copy __attribute__((cleanup(copy_fini)))

/* ---- what is asked for ---- */

static int expand_one(const struct build *b, const char *word, char **out, struct err *err)
{
	cleanup_strv char **env = jget_strv(b->s.config, "Env"), **vars = build_vars(b);

	for (char **v = vars; *v; v++)
		strv_add(&env, *v);
	return dockerfile_expand(word, b->df.escape, env, out, err);
}

static int expand_flag(struct copy *c, const struct df_instr *in, const char *name, char **out,
		       struct err *err)
{
	const char *v = df_flag(in, name);
	int rc = str_empty(v) ? 0 : expand_one(c->b, v, out, err);

	if (rc == 0 && *out && !**out) /* nothing was in the variable: as if it were not there */
		free(take_ptr(out));
	return rc;
}

static int read_flags(struct copy *c, const struct df_instr *in, struct err *err)
{
	/* --link is only a way to go about it: the result is the same */
	static const char *const refused[] = { "parents", "exclude", "checksum", "keep-git-dir",
					       "unpack" };
	char *end;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (df_flag(in, refused[i]))
			return err_kind(err, ERR_BAD_PARAM, NEEDS_BUILDKIT, refused[i]);
	if ((rc = expand_flag(c, in, "chown", &c->chown, err)) < 0 ||
	    (rc = expand_flag(c, in, "chmod", &c->chmod, err)) < 0)
		return rc;
	if (!str_empty(df_flag(in, "from")))
		c->from = xstrdup(df_flag(in, "from"));
	if (c->chmod) {
		unsigned long mode = strtoul(c->chmod, &end, 8);

		if (*end || mode > 07777 || !*c->chmod)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid chmod parameter: '%s'. it should be "
					"octal string and between 0 and 07777",
					c->chmod);
		c->mode = (mode_t)mode;
		c->set_mode = true;
	}
	c->keep_owner = c->from && !c->chown;
	return 0;
}

/* Absolute and without "..", with a slash at its end where it is told to be a folder. */
static char *destination(const struct build *b, const char *dest)
{
	cleanup_free char *whole = xasprintf(
		"%s/%s", dest[0] == '/' ? "" : jget_str(b->s.config, "WorkingDir", ""), dest);
	cleanup_free char *clean = build_path_clean(whole);
	bool folder = str_ends(whole, "/") || str_ends(whole, "/.");

	return xasprintf("/%s%s", clean, *clean && *dest && folder ? "/" : "");
}

/* Where the sources are: the context, or an image. */
static int open_from(struct copy *c, int *root_fd, struct err *err)
{
	struct image *img = NULL;
	int rc;

	if (!c->from) {
		if (!c->b->context.uuid[0])
			return err_kind(err, ERR_BAD_PARAM, "missing build context");
		*root_fd = c->b->context.view.root_fd;
		return 0;
	}
	if ((rc = build_source_image(c->b, c->from, &img, err)) < 0)
		return rc;
	rc = build_root_open(&c->other, img, err);
	image_unref(img);
	*root_fd = c->other.view.root_fd;
	return rc;
}

static bool is_url(const char *s)
{
	return str_starts(s, "http://") || str_starts(s, "https://");
}

static int find_sources(struct copy *c, struct err *err)
{
	int root_fd = -1, rc = open_from(c, &root_fd, err);
	bool not_there = rc < 0 && c->from; /* it has said so */

	for (char **s = c->args; rc >= 0 && s[1]; s++) {
		if (!is_url(*s)) {
			rc = build_source_find(root_fd, *s, !c->from, &c->v, &c->n, err);
			continue;
		}
		if (!c->add)
			return err_kind(err, ERR_BAD_PARAM, "source can't be a URL for COPY");
		if (!c->fetched.uuid[0] && (rc = build_root_open(&c->fetched, NULL, err)) < 0)
			return rc;
		rc = build_source_fetch(c->b, c->fetched.view.root_fd, *s, c->dest, &c->v, &c->n,
					err);
	}
	if (rc >= 0 && !c->n)
		rc = err_kind(err, ERR_BAD_PARAM, "no source files were specified");
	for (size_t i = 0; rc >= 0 && i < c->n; i++)
		rc = build_source_hash(c->b, &c->v[i], c->keep_owner, err);
	return rc < 0 && !not_there ? err_wrap(err, rc, "%s failed", c->name) : rc;
}

/* ---- writing ---- */

static bool is_dir(int root_fd, const char *path)
{
	cleanup_fd int fd = fs_open_in_root(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	return fd >= 0;
}

struct sender {
	const struct copy *c;
	const struct build_source *src;
	const char *as; /* NULL: the directory's content */
	int pipe_fd;
	int rc;
	struct err err;
};

static bool sender_cancelled(void *arg)
{
	const struct sender *s = arg;

	return build_cancelled(s->c->b);
}

static void *send_tar(void *arg)
{
	struct sender *s = arg;
	const struct tar_write_opts o = {
		.sorted = true,
		.force_mode = s->c->set_mode ? &s->c->mode : NULL,
		.cancelled = sender_cancelled,
		.arg = s,
	};
	struct tar_writer *w = tar_writer_new(tar_write_to_fd, &s->pipe_fd, &o);

	if (s->as)
		s->rc = tar_writer_add_one(w, s->src->dir_fd, s->src->leaf, s->as, &s->err);
	else
		s->rc = tar_writer_add(w, s->src->dir_fd, ".", "", &s->err);
	if (s->rc == 0)
		s->rc = tar_writer_end(w, &s->err);
	tar_writer_free(w);
	close(s->pipe_fd);
	return NULL;
}

static ssize_t read_fd(void *arg, void *p, size_t len)
{
	ssize_t n;

	do
		n = read(*(int *)arg, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int send_source(const struct copy *c, const struct zone_view *to,
		       const struct build_source *src, const char *dir, const char *as,
		       struct err *err)
{
	const struct zone_extract x = {
		.ct_dir = dir,
		.chown = !c->keep_owner,
		.uid = c->uid,
		.gid = c->gid,
		.cancelled = build_cancelled,
		.cancelled_arg = c->b,
	};
	struct sender s = { .c = c, .src = src, .as = as };
	pthread_t thread;
	int pair[2], rc;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	(void)fcntl(pair[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; less is fine */
	s.pipe_fd = pair[1];
	if ((rc = pthread_create(&thread, NULL, send_tar, &s)) != 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sysnum(err, rc, "start a thread");
	}
	rc = zone_extract(to, &x, read_fd, &pair[0], err);
	close(pair[0]);
	pthread_join(thread, NULL);
	if (s.rc < 0 && (rc == 0 || s.rc != -EPIPE)) {
		*err = s.err;
		return s.rc;
	}
	return rc;
}

static int unpack_source(const struct copy *c, const struct zone_view *to, const struct build_source *src,
			 const char *dir, struct err *err)
{
	const struct zone_extract x = { .ct_dir = dir, .cancelled = build_cancelled, .cancelled_arg = c->b };
	cleanup_fd int fd = openat(src->dir_fd, src->leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "open %s", src->path);
	return zone_extract(to, &x, read_fd, &fd, err);
}

static int copy_one(struct copy *c, const struct zone_view *to, const struct build_source *src,
		    struct err *err)
{
	cleanup_free char *dir = NULL, *copy = xstrdup(c->dest);
	bool unpack = c->add && !src->fetched && src->is_archive, existed;
	struct dir_owner own = { c->uid, c->gid, false };
	const char *as = NULL, *slash;
	int rc;

	if (unpack)
		own = (struct dir_owner){ 0 };
	own.above = !src->is_dir && !unpack;
	if (src->is_dir || unpack) {
		dir = xstrdup(copy);
	} else if (str_ends(copy, "/") || is_dir(to->root_fd, copy)) {
		dir = xstrdup(copy);
		as = strrchr(src->path, '/') ? strrchr(src->path, '/') + 1 : src->path;
	} else {
			slash = strrchr(copy, '/');
		dir = xstrndup(copy, slash > copy ? (size_t)(slash - copy) : 1);
		as = slash + 1;
	}
	if ((rc = root_mkdir(to->root_fd, dir, &own, &existed, err)) < 0)
		return rc;
	if (dir[1] && str_ends(dir, "/"))
		dir[strlen(dir) - 1] = '\0';
	return unpack ? unpack_source(c, to, src, dir, err) : send_source(c, to, src, dir, as, err);
}

/* One ID by number or by name, of a user or a group. */
static int one_id(int root_fd, const char *name, bool group, unsigned *out, struct err *err)
{
	cleanup_free char *spec = group ? xasprintf("0:%s", name) : xasprintf("%s:0", name);
	struct err why = { 0 };
	int64_t n;
	uid_t uid;
	gid_t gid;

	if (parse_i64(name, 0, UINT32_MAX - 1, &n) == 0) {
		*out = (unsigned)n;
		return 0;
	}
	if (!*name || zone_user_ids(root_fd, spec, &uid, &gid, &why) < 0)
		return err_kind(err, ERR_SYSTEM, "can't find %s for %s %s: no such %s: %s",
				group ? "gid" : "uid", group ? "group" : "user", name,
				group ? "group" : "user", name);
	*out = group ? gid : uid;
	return 0;
}

/* USER[:GROUP]; a user alone is the group's name, too. */
static int chown_ids(struct copy *c, int root_fd, struct err *err)
{
	const char *colon = c->chown ? strchr(c->chown, ':') : NULL;
	cleanup_free char *user = NULL;
	int rc = 0;

	if (!c->chown)
		return 0;
	user = xstrndup(c->chown, strcspn(c->chown, ":"));
	if (colon && strchr(colon + 1, ':'))
		rc = err_kind(err, ERR_BAD_PARAM, "invalid chown string format: %s", c->chown);
	if (rc == 0)
		rc = one_id(root_fd, user, false, &c->uid, err);
	if (rc == 0)
		rc = one_id(root_fd, colon ? colon + 1 : user, true, &c->gid, err);
	return rc < 0 ? err_wrap(err, rc, "unable to convert uid/gid chown string to host mapping")
		      : 0;
}

static int write_all(struct copy *c, const json_t *container_config, struct err *err)
{
	struct build *b = c->b;
	cleanup_build_root struct build_root to = { .view = ZONE_VIEW_INIT };
	struct image *parent = NULL;
	char upper[1024];
	int rc = 0;

	if (b->s.image_id[0] && (rc = image_get(b->s.image_id, &parent, err)) < 0)
		return rc;
	rc = build_root_open(&to, parent, err);
	image_unref(parent);
	if (rc < 0 || (rc = chown_ids(c, to.view.root_fd, err)) < 0)
		return rc;
	for (size_t i = 0; i < c->n; i++)
		if ((rc = build_check(b, err)) < 0 ||
		    (rc = copy_one(c, &to.view, &c->v[i], err)) < 0)
			return err_wrap(err, rc, "failed to copy files");
	build_root_unmount(&to);
	return build_commit(b, build_root_upper(&to, upper), container_config, NULL, err);
}

int build_copy(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_copy struct copy c = {
		.b = b,
		.name = df_cmd_name(in->cmd),
		.add = in->cmd == DF_ADD,
	};
	cleanup_free char *text = NULL, *hash = NULL;
	cleanup_json json_t *config = NULL;
	size_t n = strv_len(in->args);
	int rc;

	c.args = strv_split("", ' ');
	if ((rc = read_flags(&c, in, err)) < 0 || (rc = build_no_heredoc(in, err)) < 0)
		return rc;
	for (char **a = in->args; *a; a++) {
		cleanup_free char *one = NULL;

		if ((rc = expand_one(b, *a, &one, err)) < 0)
			return rc;
		strv_add(&c.args, one);
	}
	c.dest = destination(b, c.args[n - 1]);
	if ((rc = find_sources(&c, err)) < 0)
		return rc;
	if (c.n > 1 && !str_ends(c.dest, "/"))
		return err_kind(
			err, ERR_BAD_PARAM,
			"When using %s with more than one source file, the destination must be "
			"a directory and end with a /",
			c.name);
	hash = build_source_hashes(c.v, c.n);
	text = xasprintf("%s %s%s%s%s%s in %s ", c.name, c.chown ? "--chown=" : "",
			 c.chown ? c.chown : "", c.chmod ? "--chmod=" : "", c.chmod ? c.chmod : "",
			 hash, c.args[n - 1]);
	config = build_nop_config(b, text, false);
	return build_from_cache(b, config) ? 0 : write_all(&c, config, err);
}

int build_workdir(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_build_root struct build_root to = { .view = ZONE_VIEW_INIT };
	cleanup_strv char **vars = build_vars(b);
	cleanup_json json_t *config = NULL;
	cleanup_free char *text = NULL;
	struct image *parent = NULL;
	const char *dir;
	char upper[1024], id[65];
	const struct dir_owner root = { 0 };
	bool existed;
	int rc;

	if ((rc = dockerfile_change_one(b->s.config, "workdir", in->rest, vars, &b->s.change,
					err)) < 0)
		return rc;
	dir = jget_str(b->s.config, "WorkingDir", "/");
	text = xasprintf("WORKDIR %s", dir);
	config = build_nop_config(b, text, false);
	if (build_from_cache(b, config))
		return 0;
	if (b->s.image_id[0] && (rc = image_get(b->s.image_id, &parent, err)) < 0)
		return rc;
	build_say_running(b, id);
	rc = build_root_open(&to, parent, err);
	image_unref(parent);
	if (rc < 0)
		return rc;
	if ((rc = root_mkdir(to.view.root_fd, dir, &root, &existed, err)) < 0)
		return rc == -ENOTDIR ? err_kind(err, ERR_BAD_PARAM, "Cannot mkdir: %s is not a directory",
						 dir)
				      : rc;
	build_root_unmount(&to);
	rc = build_commit(b, existed ? NULL : build_root_upper(&to, upper), config, id, err);
	if (rc == 0)
		build_say_removed(b, id);
	return rc;
}
