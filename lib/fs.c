/* SPDX-License-Identifier: MPL-2.0
 *
 * fs.c - whole files, atomic replacement, trees, and paths that may not leave a directory.
 */
#include "fs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

int fs_write_all(int fd, const void *p, size_t len)
{
	const char *s = p;
	ssize_t n;

	while (len) {
		n = write(fd, s, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		s += n;
		len -= n;
	}
	return 0;
}

static int read_fd(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
	ssize_t n;

	for (;;) {
		buf_reserve(out, 16384);
		n = read(fd, out->p + out->len, 16384);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "read %s", path);
		}
		if (!n)
			break;
		out->len += n;
		out->p[out->len] = '\0';
		if (out->len > max)
			return err_sysnum(err, EFBIG, "read %s", path);
	}
	return 0;
}

int fs_read_fileat(int dir_fd, const char *path, size_t max, struct buf *out, struct err *err)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, "open %s", path);
	return read_fd(fd, path, max, out, err);
}

int fs_read_file(const char *path, size_t max, struct buf *out, struct err *err)
{
	return fs_read_fileat(AT_FDCWD, path, max, out, err);
}

int fs_fsync_dir(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_via_temp(const char *path, const void *p, size_t len, mode_t mode, bool durable,
			  struct err *err)
{
	char tmp[4096], dir[4096];
	cleanup_fd int fd = -1;
	unsigned rnd;
	char *slash;
	int rc;

	random_bytes(&rnd, sizeof(rnd));
	if (str_fmt(tmp, sizeof(tmp), "%s.%08x.tmp", path, rnd) < 0)
		return err_sysnum(err, ENAMETOOLONG, "write %s", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_sys(err, "create %s", tmp);
	rc = fs_write_all(fd, p, len);
	if (!rc && fchmod(fd, mode) < 0)
		rc = -errno;
	if (!rc && durable && fsync(fd) < 0)
		rc = -errno;
	if (!rc && rename(tmp, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(tmp);
		return err_sysnum(err, rc, "write %s", path);
	}
	if (!durable)
		return 0;
	str_copy(dir, sizeof(dir), path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if ((rc = fs_fsync_dir(slash ? dir : ".")) < 0)
		return err_sysnum(err, rc, "sync the directory of %s", path);
	return 0;
}

int fs_write_atomic(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
	return write_via_temp(path, p, len, mode, true, err);
}

int fs_write_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *err)
{
	return write_via_temp(path, p, len, mode, false, err);
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
	char tmp[4096], *p;
	struct stat st;

	if (str_fmt(tmp, sizeof(tmp), "%s", path) < 0)
		return err_sysnum(err, ENAMETOOLONG, "create directory %s", path);
	if (mkdir(tmp, mode) == 0 || (errno == EEXIST && !stat(tmp, &st) && S_ISDIR(st.st_mode)))
		return 0;
	for (p = tmp + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(tmp, mode) < 0 && errno != EEXIST)
			return err_sys(err, "mkdir %s", tmp);
		*p = '/';
	}
	if (mkdir(tmp, mode) < 0 && errno != EEXIST)
		return err_sys(err, "mkdir %s", path);
	if (stat(tmp, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sysnum(err, ENOTDIR, "mkdir %s", path);
	return 0;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, int depth);

static int remove_children(int fd, dev_t dev, int depth)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int rc = 0, r, dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (dup_fd < 0)
		return -errno;
	d = fdopendir(dup_fd);
	if (!d) {
		rc = -errno;
		close(dup_fd);
		return rc;
	}
	while ((errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		r = remove_at(fd, e->d_name, dev, depth + 1);
		if (r < 0 && !rc)
			rc = r;
	}
	return rc;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, int depth)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int rc;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (dev && st.st_dev != dev)
		return -EXDEV; /* somebody's mount: not ours to empty */
	/* each level holds two descriptors; trees of hostile depth are bounded by them */
	if (depth > 4000)
		return -ELOOP;
	rc = remove_children(fd, st.st_dev, depth);
	if (rc < 0)
		return rc;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int fs_remove_tree(int dir_fd, const char *name, struct err *err)
{
	int rc = remove_at(dir_fd, name, 0, 0);

	if (rc < 0)
		return err_sysnum(err, rc, "remove %s", name);
	return 0;
}

bool fs_exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int do_openat2(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = resolve,
	};
	long fd;
	int tries = 0;

	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 128)));
	return fd < 0 ? -errno : (int)fd;
}

int fs_open_in_root(int root_fd, const char *ct_path, int flags, mode_t mode)
{
	return do_openat2(root_fd, ct_path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int fs_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	return do_openat2(dir_fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

/* Inodes with several links that were counted already: a small open-addressed set. */
struct seen {
	uint64_t *v;
	size_t n, cap;
};

static bool seen_add(struct seen *s, uint64_t dev, uint64_t ino)
{
	uint64_t key = (ino * 0x9e3779b97f4a7c15ULL ^ dev) | 1;
	size_t i, j;

	if (s->n * 2 >= s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		uint64_t *v = xcalloc(cap, sizeof(*v));

		for (i = 0; i < s->cap; i++) {
			if (!s->v[i])
				continue;
			for (j = s->v[i] & (cap - 1); v[j];)
				j = (j + 1) & (cap - 1);
			v[j] = s->v[i];
		}
		free(s->v);
		s->v = v;
		s->cap = cap;
	}
	for (i = key & (s->cap - 1); s->v[i]; i = (i + 1) & (s->cap - 1))
		if (s->v[i] == key)
			return false;
	s->v[i] = key;
	s->n++;
	return true;
}

static int size_at(int dir_fd, const char *name, struct seen *seen, int64_t *sum, int depth)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	struct stat st;
	int fd, rc = 0;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode) &&
	    (st.st_nlink < 2 || seen_add(seen, st.st_dev, st.st_ino)))
		*sum += st.st_size;
	if (!S_ISDIR(st.st_mode) || depth > 4000)
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (!rc && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = size_at(fd, e->d_name, seen, sum, depth + 1);
	}
	return rc;
}

int fs_tree_size(int dir_fd, const char *name, int64_t *out_bytes)
{
	struct seen seen = { 0 };
	int64_t sum = 0;
	int rc = size_at(dir_fd, name, &seen, &sum, 0);

	free(seen.v);
	if (rc < 0)
		return rc;
	*out_bytes = sum;
	return 0;
}
