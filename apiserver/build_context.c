/* SPDX-License-Identifier: MPL-2.0
 *
 * build_context.c - a build's context: a tar, or a Dockerfile alone, from the client or a URL; or a
 * git repository (build_git.c).
 *
 * Design: it is unpacked, by the process that unpacks into zones (zone_extract), in an empty file
 * system of its own (build_root.h): links in it lead nowhere else, neither while it is unpacked nor
 * when COPY reads it. Docker's client leaves out what .dockerignore names; others may not, so it is
 * removed here.
 */
#include "apiserver/build_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/build_source.h"
#include "apiserver/dockerignore.h"
#include "apiserver/url_source.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define PEEK_BYTES	   1024
#define IGNORE_MAX	   (1024 * 1024)
#define DEPTH_MAX	   256
#define DEFAULT_DOCKERFILE "Dockerfile"

/* ---- the stream ---- */

struct source {
	struct build *b;
	struct url_source *url; /* NULL: the request's body */
	char peek[PEEK_BYTES];
	size_t n_peek, peek_pos;
};

static ssize_t read_raw(struct source *s, void *p, size_t len)
{
	if (s->url)
		return build_cancelled(s->b) ? -ECANCELED : url_source_read(s->url, p, len);
	return body_read(s->b->body, p, len);
}

static ssize_t read_source(void *arg, void *p, size_t len)
{
	struct source *s = arg;
	size_t left = s->n_peek - s->peek_pos;

	if (!left)
		return read_raw(s, p, len);
	if (len > left)
		len = left;
	memcpy(p, s->peek + s->peek_pos, len);
	s->peek_pos += len;
	return (ssize_t)len;
}

static int fill_peek(struct source *s, struct err *err)
{
	ssize_t n = 1;

	while (s->n_peek < PEEK_BYTES &&
	       (n = read_raw(s, s->peek + s->n_peek, PEEK_BYTES - s->n_peek)) > 0)
		s->n_peek += (size_t)n;
	if (n < 0 && s->url && url_source_error(s->url, err) < 0)
		return err->code;
	return n < 0 ? err_sysnum(err, (int)n, "read the build context") : 0;
}

/* A tar's header has the sum of its own bytes. */
static bool is_tar_header(const char *p, size_t n)
{
	unsigned sum = 0, want = 0;
	size_t i;

	if (n < 512)
		return false;
	for (i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)p[i];
	for (i = 148; i < 156 && (p[i] == ' ' || (p[i] >= '0' && p[i] <= '7')); i++)
		if (p[i] != ' ')
			want = want * 8 + (unsigned)(p[i] - '0');
	return want && sum == want;
}

static bool is_archive(const char *p, size_t n)
{
	static const struct {
		const char *magic;
		size_t len;
	} packed[] = {
		{ "\x1f\x8b", 2 },
		{ "BZh", 3 },
		{ "\xfd"
		  "7zXZ",
		  5 },
		{ "\x28\xb5\x2f\xfd", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(packed); i++)
		if (n >= packed[i].len && !memcmp(p, packed[i].magic, packed[i].len))
			return true;
	if (n >= 512 && !p[0]) {
		for (size_t i = 0; i < 512; i++)
			if (p[i])
				return false;
		return true; /* an archive of nothing */
	}
	return is_tar_header(p, n);
}

/* ---- .dockerignore ---- */

struct pruner {
	const struct dockerignore *rules;
};

static int prune(const struct pruner *pr, int dir_fd, const char *prefix, int depth,
		 struct err *err);

static int prune_one(const struct pruner *pr, int dir_fd, const char *name, const char *path,
		     int depth, struct err *err)
{
	bool out = dockerignore_excludes(pr->rules, path);
	cleanup_fd int fd = -1;
	struct stat st;
	int rc;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return out && unlinkat(dir_fd, name, 0) < 0 ? err_sys(err, "remove %s", path) : 0;
	if (out && !dockerignore_has_exceptions(pr->rules))
		return fs_remove_tree(dir_fd, name, err);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if ((rc = prune(pr, fd, path, depth + 1, err)) < 0)
		return rc;
	if (out) /* stays when an exception is in it */
		(void)!unlinkat(dir_fd, name, AT_REMOVEDIR);
	return 0;
}

static int prune(const struct pruner *pr, int dir_fd, const char *prefix, int depth,
		 struct err *err)
{
	cleanup_strv char **names = strv_split("", ' ');
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int fd, rc = 0;

	if (depth > DEPTH_MAX)
		return err_kind(err, ERR_BAD_PARAM, "the build context is too deep");
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !(d = fdopendir(fd))) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, "read the build context");
	}
	while ((e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			strv_add(&names, e->d_name);
	for (char **n = names; rc == 0 && *n; n++) {
		cleanup_free char *path = *prefix ? xasprintf("%s/%s", prefix, *n) : xstrdup(*n);

		rc = prune_one(pr, dir_fd, *n, path, depth, err);
	}
	return rc;
}

static int read_in_context(int root_fd, const char *path, size_t max, struct buf *out,
			   struct err *err)
{
	cleanup_fd int fd =
		fs_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	char block[16384];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_sysnum(err, fd, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_kind(err, ERR_BAD_PARAM, "%s is not a regular file", path);
	while ((n = read(fd, block, sizeof(block))) > 0) {
		if (out->len + (size_t)n > max)
			return err_kind(err, ERR_BAD_PARAM, "%s is too large", path);
		buf_add(out, block, (size_t)n);
	}
	return n < 0 ? err_sys(err, "read %s", path) : 0;
}

static int apply_dockerignore(int root_fd, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct dockerignore *rules;
	struct err none = { 0 };
	int rc = read_in_context(root_fd, "/.dockerignore", IGNORE_MAX, &text, &none);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0) {
		*err = none;
		return rc;
	}
	rules = dockerignore_parse(buf_str(&text));
	if (rules && !dockerignore_is_empty(rules))
		rc = prune(&(struct pruner){ rules }, root_fd, "", 0, err);
	dockerignore_free(rules);
	return rc;
}

/* ---- loading ---- */

static int read_dockerfile(struct build *b, struct buf *out, struct err *err)
{
	const char *name = b->o.dockerfile;
	struct err why = { 0 };
	int rc = read_in_context(b->context.view.root_fd, name, DOCKERFILE_MAX, out, &why);

	if (rc == -ENOENT && str_eq(name, DEFAULT_DOCKERFILE)) {
		rc = read_in_context(b->context.view.root_fd, "dockerfile", DOCKERFILE_MAX, out,
				     &why);
		name = rc < 0 ? name : "dockerfile";
	}
	b->df_name = name;
	if (rc == -ENOENT)
		return err_kind(err, ERR_SYSTEM, "Cannot locate specified Dockerfile: %s", name);
	if (rc < 0) {
		*err = why;
		return rc;
	}
	if (!out->len)
		return err_kind(err, ERR_BAD_PARAM, "the Dockerfile (%s) cannot be empty", name);
	return 0;
}

/* The Dockerfile, and what .dockerignore names goes. */
static int read_context(struct build *b, struct buf *out, struct err *err)
{
	int rc = read_dockerfile(b, out, err);

	return rc < 0 ? rc : apply_dockerignore(b->context.view.root_fd, err);
}

static int load(struct build *b, struct source *s, struct buf *out, struct err *err)
{
	const struct zone_extract to_root = { .ct_dir = "/", .cancelled = build_cancelled, .cancelled_arg = b };
	char block[16384];
	ssize_t n;
	int rc;

	if ((rc = fill_peek(s, err)) < 0 || (rc = build_root_open(&b->context, NULL, err)) < 0)
		return rc;
	if (s->n_peek && !is_archive(s->peek, s->n_peek)) {
		while ((n = read_source(s, block, sizeof(block))) > 0) {
			if (out->len + (size_t)n > DOCKERFILE_MAX)
				return err_kind(err, ERR_BAD_PARAM,
						"the body is neither an archive nor a Dockerfile");
			buf_add(out, block, (size_t)n);
		}
		return n < 0 ? err_sysnum(err, (int)n, "read the Dockerfile") : 0;
	}
	rc = zone_extract(&b->context.view, &to_root, read_source, s, err);
	return rc < 0 ? rc : read_context(b, out, err);
}

/* What may be an archive, or plain text: a Dockerfile alone. As in Docker the server's word counts,
 * unless it is that it does not know. */
static int check_content_type(const struct source *s, struct err *err)
{
	static const char *const good[] = {
		"application/tar",    "application/x-tar",  "application/octet-stream",
		"application/gzip",   "application/x-gzip", "application/bzip",
		"application/bzip2",  "application/x-bzip", "application/x-bzip2",
		"application/xz",     "application/x-xz",   "text/plain",
		"application/x-zstd", "application/zstd",
	};
	const char *type = url_source_header(s->url, "content-type");
	size_t len = type ? strcspn(type, "; ") : 0;

	if (!len)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (strlen(good[i]) == len && !strncasecmp(good[i], type, len))
			return 0;
	return err_kind(err, ERR_SYSTEM,
			"error detecting content type for remote %s: unsupported Content-Type \"%s\"",
			s->b->o.remote, type);
}

static int load_url(struct source *s, struct buf *out, struct err *err)
{
	const char *url = s->b->o.remote;
	const struct url_source_opts o = { .cancelled = build_cancelled, .cancelled_arg = s->b };
	int rc = url_source_get(url, &o, &s->url, err);

	if (rc < 0)
		return err_wrap(err, rc, "error downloading remote context %s", url);
	if ((rc = check_content_type(s, err)) < 0)
		return rc;
	build_say(s->b, "Downloading build context from remote url: %s\n", url);
	return load(s->b, s, out, err);
}

int build_context_load(struct build *b, struct buf *out, struct err *err)
{
	struct source *s = NULL;
	int rc;

	if (!str_empty(b->o.remote) && build_is_git(b->o.remote)) {
		if ((rc = build_git_context(b, err)) < 0)
			return rc;
		return read_context(b, out, err);
	}
	s = xcalloc(1, sizeof(*s));
	s->b = b;
	rc = str_empty(b->o.remote) ? load(b, s, out, err) : load_url(s, out, err);
	if (s->url)
		url_source_free(s->url);
	free(s);
	return rc;
}
