/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_write.c - writes tar streams of trees.
 *
 * Design: depth first, each directory's names read at once, entries reached through the descriptor
 * of their directory and never by path, so that a tree that changes meanwhile, or links in it,
 * cannot lead elsewhere. Of a regular file the header is written after it was opened, from fstat,
 * and the payload is made to fit it. Times are whole seconds, as Docker's.
 *
 * Overlay trees: whiteouts share one inode, so they are told before hard links are.
 */
#include "apiserver/tar_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "apiserver/tar_header.h"
#include "cleanup.h"
#include "fs.h"
#include "map.h"
#include "str.h"

#define OUT_SIZE  (64 * 1024)
#define COPY_SIZE (256 * 1024)
#define LIST_MAX  65536
#define VALUE_MAX 65536

struct tar_writer {
	tar_write_fn *fn;
	void *fn_arg;
	struct tar_write_opts o;
	struct buf out;	   /* not yet given to fn */
	char *copy;	   /* COPY_SIZE */
	struct map links;  /* "dev:ino" -> name of the first */
	int64_t written;   /* by add_header .. pad, of the entry at hand */
};

int tar_write_to_fd(void *arg, const void *p, size_t len)
{
	return fs_write_all(*(const int *)arg, p, len);
}

struct tar_writer *tar_writer_new(tar_write_fn *fn, void *fn_arg, const struct tar_write_opts *o)
{
	struct tar_writer *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->fn_arg = fn_arg;
	if (o)
		w->o = *o;
	w->copy = xmalloc(COPY_SIZE);
	map_init(&w->links);
	return w;
}

void tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return;
	buf_fini(&w->out);
	map_fini(&w->links, free);
	free(w->copy);
	free(w);
}

static int flush(struct tar_writer *w, struct err *err)
{
	int rc = w->out.len ? w->fn(w->fn_arg, w->out.p, w->out.len) : 0;

	buf_reset(&w->out);
	return rc < 0 ? err_sysnum(err, rc, "write the archive") : 0;
}

static int put(struct tar_writer *w, const void *p, size_t len, struct err *err)
{
	int rc;

	if (w->o.cancelled && w->o.cancelled(w->o.arg))
		return err_sysnum(err, ECANCELED, "write the archive");
	if (w->out.len + len < OUT_SIZE) {
		buf_add(&w->out, p, len);
		return 0;
	}
	if ((rc = flush(w, err)) < 0)
		return rc;
	rc = w->fn(w->fn_arg, p, len);
	return rc < 0 ? err_sysnum(err, rc, "write the archive") : 0;
}

static int put_header(struct tar_writer *w, const struct tar_header *h, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;

	tar_header_encode(&b, h);
	w->written = 0;
	return put(w, b.p, b.len, err);
}

int tar_writer_data(struct tar_writer *w, const void *p, size_t len, struct err *err)
{
	w->written += (int64_t)len;
	return put(w, p, len, err);
}

int tar_writer_pad(struct tar_writer *w, struct err *err)
{
	static const char zeros[512];
	size_t over = (size_t)(w->written % 512);

	w->written = 0;
	return over ? put(w, zeros, 512 - over, err) : 0;
}

int tar_writer_end(struct tar_writer *w, struct err *err)
{
	static const char zeros[1024];
	int rc;

	if ((rc = put(w, zeros, sizeof(zeros), err)) < 0)
		return rc;
	return flush(w, err);
}

int tar_writer_add_header(struct tar_writer *w, const char *as, char typeflag, int64_t size,
			  mode_t mode, int64_t mtime, const char *linkname, struct err *err)
{
	const struct tar_header h = {
		.name = as,
		.linkname = linkname,
		.typeflag = typeflag,
		.mode = mode,
		.size = size,
		.mtime = mtime,
	};

	return put_header(w, &h, err);
}

int tar_writer_add_bytes(struct tar_writer *w, const char *as, const void *p, size_t len,
			 mode_t mode, int64_t mtime, struct err *err)
{
	int rc;

	if ((rc = tar_writer_add_header(w, as, '0', (int64_t)len, mode, mtime, NULL, err)) < 0 ||
	    (rc = tar_writer_data(w, p, len, err)) < 0)
		return rc;
	return tar_writer_pad(w, err);
}

/* ---------------------------------------------------------------- entries of a tree */

/* One entry: where it is, what it is, and its name in the archive. */
struct item {
	int dir_fd;
	const char *leaf;
	const char *as; /* "" only for a top directory without an entry */
	struct stat st;
};

static bool is_whiteout(const struct tar_writer *w, const struct stat *st)
{
	return w->o.overlay && S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static bool xattr_wanted(const char *name)
{
	if (str_starts(name, "user."))
		return !str_starts(name, "user.overlay.");
	return str_eq(name, "security.capability") || str_starts(name, "system.posix_acl_");
}

/* By /proc/self/fd: O_PATH descriptors have no attributes of their own calls. */
static void collect_xattrs(const char *proc_path, struct buf *pax)
{
	cleanup_free char *list = xmalloc(LIST_MAX), *value = xmalloc(VALUE_MAX);
	ssize_t len = llistxattr(proc_path, list, LIST_MAX), n;

	for (char *p = list; len > 0 && p < list + len; p += strlen(p) + 1) {
		cleanup_free char *key = NULL;

		if (!xattr_wanted(p))
			continue;
		n = lgetxattr(proc_path, p, value, VALUE_MAX);
		if (n < 0)
			continue;
		key = xasprintf("SCHILY.xattr.%s", p);
		tar_pax_add(pax, key, value, (size_t)n);
	}
}

static void xattrs_of(const struct item *it, struct buf *pax)
{
	char path[64 + NAME_MAX];

	/* the leaf below the directory's magic link: nothing on the way can be swapped */
	if (str_fmt(path, sizeof(path), "/proc/self/fd/%d/%s", it->dir_fd, it->leaf) > 0)
		collect_xattrs(path, pax);
}

static struct tar_header header_of(const struct tar_writer *w, const struct item *it,
				   const struct buf *pax)
{
	return (struct tar_header){
		.name = it->as,
		.mode = (w->o.force_mode ? *w->o.force_mode : it->st.st_mode) & 07777,
		.uid = it->st.st_uid,
		.gid = it->st.st_gid,
		.mtime = it->st.st_mtim.tv_sec,
		.pax = pax && pax->len ? pax : NULL,
	};
}

static int add_whiteout(struct tar_writer *w, const struct item *it, struct err *err)
{
	const char *slash = strrchr(it->as, '/');
	cleanup_free char *name = NULL;
	struct tar_header h = header_of(w, it, NULL);

	name = xasprintf("%.*s.wh.%s", slash ? (int)(slash + 1 - it->as) : 0, it->as,
			 slash ? slash + 1 : it->as);
	h.name = name;
	h.typeflag = '0';
	h.mode = 0600;
	return put_header(w, &h, err);
}

/* True when this is a further name of a file that is in the archive already. */
static const char *first_link(struct tar_writer *w, const struct item *it)
{
	char key[48];
	const char *first;

	if (it->st.st_nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)it->st.st_dev,
		 (unsigned long long)it->st.st_ino);
	first = map_get(&w->links, key);
	if (!first)
		map_set(&w->links, key, xstrdup(it->as));
	return first;
}

static int copy_payload(struct tar_writer *w, int fd, int64_t size, struct err *err)
{
	int64_t left = size;
	ssize_t n;
	int rc;

	while (left > 0) {
		size_t want = left < COPY_SIZE ? (size_t)left : COPY_SIZE;

		n = read(fd, w->copy, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* it became shorter, or cannot be read: zeros */
			memset(w->copy, 0, want);
			n = (ssize_t)want;
		}
		if ((rc = tar_writer_data(w, w->copy, (size_t)n, err)) < 0)
			return rc;
		left -= n;
	}
	return tar_writer_pad(w, err);
}

static int add_file(struct tar_writer *w, struct item *it, struct err *err)
{
	cleanup_buf struct buf pax = BUF_INIT;
	cleanup_fd int fd = -1;
	struct tar_header h;
	const char *first;
	int rc;

	fd = openat(it->dir_fd, it->leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return 0; /* gone, or another thing by now */
	if (fd < 0 || fstat(fd, &it->st) < 0)
		return err_sys(err, "open %s", it->as);
	if (!S_ISREG(it->st.st_mode))
		return 0;
	first = first_link(w, it);
	if (!first)
		xattrs_of(it, &pax);
	h = header_of(w, it, &pax);
	h.typeflag = first ? '1' : '0';
	h.linkname = first;
	h.size = first ? 0 : it->st.st_size;
	if ((rc = put_header(w, &h, err)) < 0 || first)
		return rc;
	return copy_payload(w, fd, it->st.st_size, err);
}

static int add_symlink(struct tar_writer *w, const struct item *it, struct err *err)
{
	cleanup_buf struct buf pax = BUF_INIT;
	cleanup_free char *mapped = NULL;
	struct tar_header h;
	char target[PATH_MAX];
	const char *first = first_link(w, it);
	ssize_t n = readlinkat(it->dir_fd, it->leaf, target, sizeof(target) - 1);

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : err_sys(err, "readlink %s", it->as);
	target[n] = '\0';
	if (w->o.map_link)
		mapped = w->o.map_link(w->o.arg, it->as, target);
	xattrs_of(it, &pax);
	h = header_of(w, it, first ? NULL : &pax);
	h.typeflag = first ? '1' : '2';
	h.linkname = first ? first : mapped ? mapped : target;
	return put_header(w, &h, err);
}

static int add_device(struct tar_writer *w, const struct item *it, struct err *err)
{
	const char *first = first_link(w, it);
	struct tar_header h = header_of(w, it, NULL);

	if (first) {
		h.typeflag = '1';
		h.linkname = first;
		return put_header(w, &h, err);
	}
	h.typeflag = S_ISCHR(it->st.st_mode) ? '3' : S_ISBLK(it->st.st_mode) ? '4' : '6';
	if (!S_ISFIFO(it->st.st_mode)) {
		h.dev_major = major(it->st.st_rdev);
		h.dev_minor = minor(it->st.st_rdev);
	}
	return put_header(w, &h, err);
}

/* ---------------------------------------------------------------- directories */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_names(int fd, bool sorted, char ***out, struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	char **v = NULL;
	size_t n = 0, cap = 0;
	int dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dup_fd < 0)
		return err_sys(err, "open a directory");
	d = fdopendir(dup_fd);
	if (!d) {
		close(dup_fd);
		return err_sys(err, "open a directory");
	}
	while ((e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (n + 1 >= cap) {
			cap = cap ? cap * 2 : 32;
			v = xrealloc(v, cap * sizeof(*v));
		}
		v[n++] = xstrdup(e->d_name);
	}
	if (!v)
		v = xcalloc(1, sizeof(*v));
	v[n] = NULL;
	if (sorted)
		qsort(v, n, sizeof(*v), by_name);
	*out = v;
	return 0;
}

static int add_item(struct tar_writer *w, struct item *it, bool deep, struct err *err);

static bool is_opaque(int fd)
{
	char path[64], value = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static int add_children(struct tar_writer *w, int fd, const char *as, struct err *err)
{
	cleanup_strv char **names = NULL;
	int rc;

	if ((rc = read_names(fd, w->o.sorted, &names, err)) < 0)
		return rc;
	for (char **n = names; *n; n++) {
		cleanup_free char *child = xasprintf("%s%s%s", as, *as && !str_ends(as, "/") ? "/" : "", *n);
		struct item it = { .dir_fd = fd, .leaf = *n, .as = child };

		if (fstatat(fd, *n, &it.st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return err_sys(err, "stat %s", child);
		}
		if ((rc = add_item(w, &it, true, err)) < 0)
			return rc;
	}
	return 0;
}

static int add_dir(struct tar_writer *w, struct item *it, bool deep, struct err *err)
{
	cleanup_buf struct buf pax = BUF_INIT;
	cleanup_free char *name = NULL;
	cleanup_fd int fd = -1;
	struct tar_header h;
	int rc;

	fd = openat(it->dir_fd, it->leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 :
			       err_sys(err, "open %s", it->as);
	if (*it->as) {
		xattrs_of(it, &pax);
		name = xasprintf("%s%s", it->as, str_ends(it->as, "/") ? "" : "/");
		h = header_of(w, it, &pax);
		h.name = name;
		h.typeflag = '5';
		if ((rc = put_header(w, &h, err)) < 0)
			return rc;
	}
	if (!deep)
		return 0;
	if (w->o.overlay && is_opaque(fd)) {
		cleanup_free char *opaque = xasprintf("%s%s.wh..wh..opq", it->as, *it->as ? "/" : "");

		h = header_of(w, it, NULL);
		h.name = opaque;
		h.typeflag = '0';
		if ((rc = put_header(w, &h, err)) < 0)
			return rc;
	}
	return add_children(w, fd, it->as, err);
}

static int add_item(struct tar_writer *w, struct item *it, bool deep, struct err *err)
{
	if (*it->as && w->o.exclude && w->o.exclude(w->o.arg, it->as, &it->st))
		return 0;
	if (is_whiteout(w, &it->st))
		return add_whiteout(w, it, err);
	switch (it->st.st_mode & S_IFMT) {
	case S_IFDIR:
		return add_dir(w, it, deep, err);
	case S_IFREG:
		return add_file(w, it, err);
	case S_IFLNK:
		return add_symlink(w, it, err);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return add_device(w, it, err);
	default: /* sockets */
		return 0;
	}
}

static int add_path(struct tar_writer *w, int dir_fd, const char *path, const char *as, bool deep,
		    struct err *err)
{
	cleanup_free char *parent = xstrdup(path), *name = xstrdup(as);
	char *slash = strrchr(parent, '/');
	struct item it = { .dir_fd = dir_fd, .leaf = path };
	cleanup_fd int fd = -1;
	size_t len = strlen(name);

	while (len > 1 && name[len - 1] == '/') /* "/" is the root's own name */
		name[--len] = '\0';
	it.as = name;
	if (slash) {
		*slash = '\0';
		fd = fs_open_in_root(dir_fd, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return err_sysnum(err, fd, "open %s", parent);
		it.dir_fd = fd;
		it.leaf = slash[1] ? slash + 1 : ".";
	}
	if (fstatat(it.dir_fd, it.leaf, &it.st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", path);
	return add_item(w, &it, deep, err);
}

int tar_writer_add(struct tar_writer *w, int dir_fd, const char *path, const char *as,
		   struct err *err)
{
	return add_path(w, dir_fd, path, as, true, err);
}

int tar_writer_add_one(struct tar_writer *w, int dir_fd, const char *path, const char *as,
		       struct err *err)
{
	return add_path(w, dir_fd, path, as, false, err);
}
