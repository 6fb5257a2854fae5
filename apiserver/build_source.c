/* SPDX-License-Identifier: MPL-2.0
 *
 * build_source.c - the sources of a COPY or ADD.
 *
 * Design: a source is held as a descriptor of a directory and a last part that is no link, so that
 * the bytes that were hashed and those that are copied are the same files. A link that a source
 * names is followed, in its root; links below a directory are copied as links.
 */
#include "apiserver/build_source.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/build_priv.h"
#include "apiserver/url_source.h"
#include "apiserver/xz_read.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define LINKS_MAX   40
#define DEPTH_MAX   256
#define SOURCES_MAX 100000
#define READ_BYTES  65536

void build_source_fini(struct build_source *s)
{
	free(s->path);
	free(s->leaf);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
}

static struct build_source *add(struct build_source **v, size_t *n)
{
	if (*n % 16 == 0)
		*v = xrealloc(*v, (*n + 16) * sizeof(**v));
	(*v)[*n] = (struct build_source){ .dir_fd = -1 };
	return &(*v)[(*n)++];
}

/* ---- one path ---- */

char *build_path_clean(const char *path)
{
	cleanup_strv char **parts = strv_split(path, '/'), **kept = strv_split("", ' ');
	cleanup_buf struct buf b = BUF_INIT;
	size_t n;

	for (char **p = parts; *p; p++) {
		if (!**p || str_eq(*p, "."))
			continue;
		if (!str_eq(*p, "..")) {
			strv_add(&kept, *p);
		} else if ((n = strv_len(kept))) {
			free(kept[n - 1]);
			kept[n - 1] = NULL;
		}
	}
	for (char **p = kept; *p; p++)
		buf_printf(&b, "%s%s", p == kept ? "" : "/", *p);
	return xstrdup(buf_str(&b));
}

bool build_path_leads_out(const char *path)
{
	cleanup_strv char **parts = strv_split(path, '/');
	int depth = 0;

	for (char **p = parts; *p && depth >= 0; p++) {
		if (str_eq(*p, ".."))
			depth--;
		else if (**p && !str_eq(*p, "."))
			depth++;
	}
	return depth < 0;
}

struct file_read {
	int fd;
	struct xz_read *xz;
	char block[10240];
};

static ssize_t read_file(void *arg, void *p, size_t len)
{
	ssize_t n = read(((struct file_read *)arg)->fd, p, len);

	return n < 0 ? -errno : n;
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **out)
{
	struct file_read *f = arg;
	ssize_t n = xz_read(f->xz, f->block, sizeof(f->block));

	if (n < 0)
		archive_set_error(a, (int)-n, "read the file");
	*out = f->block;
	return n < 0 ? ARCHIVE_FATAL : n;
}

/* Compressed once at most, and a tar. */
static bool looks_like_archive(int dir_fd, const char *leaf)
{
	struct archive *a = archive_read_new();
	cleanup_fd int fd = openat(dir_fd, leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct archive_entry *e;
	struct file_read f = { .fd = fd };
	bool yes;

	f.xz = xz_read_new(read_file, &f);
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_zstd(a);
	yes = fd >= 0 && archive_read_open(a, &f, NULL, on_read, NULL) == ARCHIVE_OK &&
	      archive_read_next_header(a, &e) == ARCHIVE_OK &&
	      archive_filter_count(a) <= (xz_read_is_xz(f.xz) ? 1 : 2); /* the last is the file itself */
	yes |= xz_read_asks_too_much(f.xz); /* then unpacking tells why it cannot be */
	archive_read_free(a);
	xz_read_free(f.xz);
	return yes;
}

static int not_found(const char *path, bool context, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "%sstat %s: file does not exist",
			context ? "file not found in build context or excluded by .dockerignore: "
				: "",
			path);
}

/* Follows a link in the last part, again and again. */
static int open_file(int root_fd, const char *path, struct build_source *s, bool context,
		     struct err *err)
{
	cleanup_free char *at = xstrdup(path);
	char target[PATH_MAX];
	ssize_t len;

	for (int i = 0; i < LINKS_MAX; i++) {
		char *slash = strrchr(at, '/');
		cleanup_free char *dir = slash ? xstrndup(at, (size_t)(slash - at)) : xstrdup("");
		cleanup_fd int fd = fs_open_in_root(root_fd, *dir ? dir : "/",
						    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

		if (fd < 0)
			return not_found(path, context, err);
		len = readlinkat(fd, slash ? slash + 1 : at, target, sizeof(target) - 1);
		if (len < 0) {
			s->leaf = xstrdup(slash ? slash + 1 : at);
			s->dir_fd = take_fd(&fd);
			return 0;
		}
		target[len] = '\0';
		free(at);
		at = target[0] == '/' ? xstrdup(target + 1) : xasprintf("%s/%s", dir, target);
		for (size_t n = strlen(at); n > 1 && at[n - 1] == '/';)
			at[--n] = '\0';
	}
	return err_sysnum(err, ELOOP, "open %s", path);
}

static int add_path(int root_fd, const char *path, bool context, struct build_source **v, size_t *n,
		    struct err *err)
{
	cleanup_fd int fd = fs_open_in_root(root_fd, *path ? path : "/", O_PATH | O_CLOEXEC, 0);
	struct build_source *s;
	struct stat st;
	int rc;

	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		return err_sysnum(err, fd, "open %s", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return not_found(path, context, err);
	if (*n >= SOURCES_MAX)
		return err_kind(err, ERR_BAD_PARAM, "too many sources");
	s = add(v, n);
	s->path = xstrdup(path);
	s->is_dir = S_ISDIR(st.st_mode);
	if (!s->is_dir) {
		if ((rc = open_file(root_fd, path, s, context, err)) < 0)
			return rc;
		s->is_archive = S_ISREG(st.st_mode) && looks_like_archive(s->dir_fd, s->leaf);
		return 0;
	}
	s->dir_fd =
		fs_open_in_root(root_fd, *path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return s->dir_fd < 0 ? err_sysnum(err, s->dir_fd, "open %s", path) : 0;
}

/* ---- patterns ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a directory, sorted. */
static int list(int dir_fd, char ***out, struct err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, "read a directory");
	}
	*out = strv_split("", ' ');
	while ((e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			strv_add(out, e->d_name);
	closedir(d);
	qsort(*out, strv_len(*out), sizeof(**out), by_text);
	return 0;
}

struct globber {
	int root_fd;
	const char *pattern;
	size_t parts; /* of the pattern: deeper than that nothing matches */
	bool context;
	struct build_source **v;
	size_t *n;
};

static int glob_dir(const struct globber *g, int dir_fd, const char *prefix, size_t depth,
		    struct err *err)
{
	cleanup_strv char **names = NULL;
	int rc = list(dir_fd, &names, err);

	for (char **name = names; rc >= 0 && *name; name++) {
		cleanup_free char *path =
			*prefix ? xasprintf("%s/%s", prefix, *name) : xstrdup(*name);
		cleanup_fd int fd = -1;

		if (depth == g->parts) {
			if (!fnmatch(g->pattern, path, FNM_PATHNAME))
				rc = add_path(g->root_fd, path, g->context, g->v, g->n, err);
			continue;
		}
		fd = openat(dir_fd, *name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			rc = glob_dir(g, fd, path, depth + 1, err);
	}
	return rc;
}

static bool has_wildcards(const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (strchr("*?[", *s))
			return true;
	}
	return false;
}

int build_source_find(int root_fd, const char *name, bool context, struct build_source **v,
		      size_t *n, struct err *err)
{
	cleanup_free char *path = build_path_clean(name);
	struct globber g = {
		.root_fd = root_fd,
		.pattern = path,
		.parts = 1,
		.context = context,
		.v = v,
		.n = n,
	};

	if (context && name[0] != '/' && build_path_leads_out(name))
		return err_kind(err, ERR_BAD_PARAM,
				"forbidden path outside the build context: %s ()", name);
	if (!has_wildcards(path))
		return add_path(root_fd, path, context, v, n, err);
	for (const char *p = path; *p; p++)
		g.parts += *p == '/';
	return glob_dir(&g, root_fd, "", 1, err);
}

/* ---- downloads ---- */

static int hex_digit(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* The last part of a path, decoded when it is a URL's; "" when it has none. */
static char *last_part(const char *path, size_t len, bool is_url)
{
	cleanup_buf struct buf b = BUF_INIT;
	const char *s;

	for (size_t i = 0; i < len; i++) {
		if (is_url && path[i] == '%' && i + 2 < len && hex_digit(path[i + 1]) >= 0 &&
		    hex_digit(path[i + 2]) >= 0) {
			buf_addch(&b, (char)(hex_digit(path[i + 1]) * 16 + hex_digit(path[i + 2])));
			i += 2;
		} else {
			buf_addch(&b, path[i]);
		}
	}
	s = strrchr(buf_str(&b), '/');
	return xstrdup(s ? s + 1 : buf_str(&b));
}

static char *url_file_name(const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');

	return path ? last_part(path, strcspn(path, "?#"), true) : xstrdup("");
}

/* Content-Disposition: attachment; filename="x" */
static char *told_file_name(const struct url_source *src)
{
	const char *v = url_source_header(src, "content-disposition");
	const char *name = v ? strcasestr(v, "filename=") : NULL;
	size_t len;

	if (!name)
		return xstrdup("");
	name += strlen("filename=");
	len = *name == '"' ? strcspn(++name, "\"") : strcspn(name, "; \t");
	return last_part(name, len, false);
}

/* The server's Last-Modified, or 1970. */
static void set_times(int fd, const struct url_source *src)
{
	const char *v = url_source_header(src, "last-modified");
	time_t at = v ? curl_getdate(v, NULL) : -1;
	const struct timespec times[2] = { { .tv_sec = at < 0 ? 0 : at },
					   { .tv_sec = at < 0 ? 0 : at } };

	(void)!futimens(fd, times);
}

static int download(struct build *b, struct url_source *src, int fd, const char *url, struct err *err)
{
	cleanup_free char *block = xmalloc(READ_BYTES);
	int64_t got = 0;
	ssize_t n;
	int rc = 0;

	while ((n = url_source_read(src, block, READ_BYTES)) > 0) {
		got += n;
		if (!b->o.quiet)
			progress_bar(b->progress, "", "Downloading", got, url_source_length(src));
		if ((rc = build_check(b, err)) < 0)
			return rc;
		if ((rc = fs_write_all(fd, block, (size_t)n)) < 0)
			return err_sysnum(err, rc, "write a download");
	}
	if (n < 0 && (rc = url_source_error(src, err)) == 0)
		rc = err_sysnum(err, (int)n, "download %s", url);
	return rc;
}

static bool is_file_name(const char *name)
{
	return *name && !str_eq(name, ".") && !str_eq(name, "..") && !strchr(name, '/');
}

/* Its own directory for each, so that two may have one name. */
static int open_download(int root_fd, size_t i, const char *name, int *dir, struct err *err)
{
	char sub[24];
	int fd;

	snprintf(sub, sizeof(sub), "%zu", i);
	if (mkdirat(root_fd, sub, 0755) < 0)
		return err_sys(err, "mkdir for a download");
	*dir = openat(root_fd, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = *dir < 0 ? -1
		      : openat(*dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, "create %s", name) : fd;
}

static int fetch(struct build *b, struct url_source *src, int root_fd, const char *url,
		 const char *dest, struct build_source **v, size_t *n, struct err *err)
{
	cleanup_free char *name = url_file_name(url);
	cleanup_fd int dir = -1, fd = -1;
	struct build_source *s;
	int rc;

	if (!is_file_name(name)) {
		free(name);
		name = told_file_name(src);
	}
	if (!is_file_name(name)) {
		if (str_ends(dest, "/"))
			return err_kind(err, ERR_BAD_PARAM,
					"cannot determine filename for source %s", url);
		free(name);
		name = xstrdup("__unnamed__");
	}
	if ((fd = open_download(root_fd, *n, name, &dir, err)) < 0)
		return fd;
	if ((rc = download(b, src, fd, url, err)) < 0)
		return rc;
	set_times(fd, src);
	build_say(b, "\n");
	s = add(v, n);
	s->path = xstrdup(name);
	s->leaf = xstrdup(name);
	s->dir_fd = take_fd(&dir);
	s->fetched = true;
	return 0;
}

int build_source_fetch(struct build *b, int root_fd, const char *url, const char *dest,
		       struct build_source **v, size_t *n, struct err *err)
{
	const struct url_source_opts o = { .cancelled = build_cancelled, .cancelled_arg = b };
	struct url_source *src = NULL;
	int rc;

	if ((rc = url_source_get(url, &o, &src, err)) < 0)
		return rc;
	rc = fetch(b, src, root_fd, url, dest, v, n, err);
	url_source_free(src);
	return rc;
}

/* ---- hashes ---- */

struct hasher {
	struct build *b;
	EVP_MD_CTX *md;
	bool keep_owner;
	char *block;
};

static int hash_content(struct hasher *h, int dir_fd, const char *name, struct err *err)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;
	int rc;

	if (fd < 0)
		return err_sys(err, "open %s", name);
	while ((n = read(fd, h->block, READ_BYTES)) > 0) {
		EVP_DigestUpdate(h->md, h->block, (size_t)n);
		if ((rc = build_check(h->b, err)) < 0)
			return rc;
	}
	return n < 0 ? err_sys(err, "read %s", name) : 0;
}

static void hash_head(struct hasher *h, const char *path, const struct stat *st)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "%o %u:%u %lld %llx ", (unsigned)st->st_mode,
			 h->keep_owner ? st->st_uid : 0, h->keep_owner ? st->st_gid : 0,
			 S_ISREG(st->st_mode) ? (long long)st->st_size : 0,
			 S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)
				 ? (unsigned long long)st->st_rdev
				 : 0ULL);

	EVP_DigestUpdate(h->md, text, (size_t)n);
	EVP_DigestUpdate(h->md, path, strlen(path) + 1);
}

static int hash_dir(struct hasher *h, int dir_fd, const char *path, int depth, struct err *err);

static int hash_one(struct hasher *h, int dir_fd, const char *name, const char *path, int depth,
		    struct err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", path);
	hash_head(h, path, &st);
	if (S_ISREG(st.st_mode))
		return hash_content(h, dir_fd, name, err);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir_fd, name, h->block, READ_BYTES);
		EVP_DigestUpdate(h->md, h->block, n > 0 ? (size_t)n : 0);
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open %s", path) : hash_dir(h, fd, path, depth + 1, err);
}

static int hash_dir(struct hasher *h, int dir_fd, const char *path, int depth, struct err *err)
{
	cleanup_strv char **names = NULL;
	int rc;

	if (depth > DEPTH_MAX)
		return err_kind(err, ERR_BAD_PARAM, "%s is too deep", path);
	if ((rc = list(dir_fd, &names, err)) < 0 || (rc = build_check(h->b, err)) < 0)
		return rc;
	for (char **n = names; rc >= 0 && *n; n++) {
		cleanup_free char *sub = xasprintf("%s/%s", path, *n);

		rc = hash_one(h, dir_fd, *n, sub, depth, err);
	}
	return rc;
}

int build_source_hash(struct build *b, struct build_source *s, bool keep_owner, struct err *err)
{
	struct hasher h = { .b = b, .md = EVP_MD_CTX_new(), .keep_owner = keep_owner };
	unsigned char md[EVP_MAX_MD_SIZE];
	char hex[65];
	int rc;

	h.block = xmalloc(READ_BYTES);
	EVP_DigestInit_ex(h.md, EVP_sha256(), NULL);
	if (s->is_dir)
		rc = hash_dir(&h, s->dir_fd, s->path, 0, err);
	else
		rc = hash_one(&h, s->dir_fd, s->leaf, s->path, 0, err);
	EVP_DigestFinal_ex(h.md, md, NULL);
	EVP_MD_CTX_free(h.md);
	free(h.block);
	hex_encode(hex, md, 32);
	snprintf(s->hash, sizeof(s->hash), "%s:%s", s->is_dir ? "dir" : "file", hex);
	return rc;
}

char *build_source_hashes(const struct build_source *v, size_t n)
{
	cleanup_buf struct buf all = BUF_INIT;
	char digest[72];

	if (n == 1)
		return xstrdup(v[0].hash);
	for (size_t i = 0; i < n; i++)
		buf_printf(&all, "%s%s", i ? "," : "", v[i].hash);
	image_digest_of(buf_str(&all), all.len, digest);
	return xasprintf("multi:%s", digest + strlen("sha256:"));
}
