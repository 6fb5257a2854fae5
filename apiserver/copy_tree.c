/* SPDX-License-Identifier: MPL-2.0
 *
 * copy_tree.c - see copy_tree.h. Every step works on a name in an open directory with O_NOFOLLOW.
 */
#include "copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "map.h"
#include "str.h"

#define MAX_DEPTH  128
#define XATTR_LIST (64 * 1024)
#define XATTR_SIZE (64 * 1024)

struct copy {
	int dst_root;
	struct map links; /* "dev:ino" to the first copy's path beneath dst_root */
};

/* Through /proc, so that symlinks and O_PATH work alike. */
static void copy_xattrs(int src_dir, const char *src_name, int dst_dir, const char *dst_name)
{
	cleanup_free char *names = xmalloc(XATTR_LIST);
	cleanup_free char *value = xmalloc(XATTR_SIZE);
	char src[320], dst[320], *p;
	ssize_t n, len;

	if (str_fmt(src, sizeof(src), "/proc/self/fd/%d/%s", src_dir, src_name) < 0 ||
	    str_fmt(dst, sizeof(dst), "/proc/self/fd/%d/%s", dst_dir, dst_name) < 0)
		return;
	n = llistxattr(src, names, XATTR_LIST);
	for (p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		if (str_starts(p, "trusted.overlay.") || str_starts(p, "system.posix_acl"))
			continue;
		len = lgetxattr(src, p, value, XATTR_SIZE);
		if (len >= 0)
			(void)lsetxattr(dst, p, value, (size_t)len,
					0); /* not every file system takes them */
	}
}

static int copy_bytes(int in, int out)
{
	char chunk[64 * 1024];
	ssize_t n;
	int rc;

	for (;;) {
		n = copy_file_range(in, NULL, out, NULL, 1 << 26, 0);
		if (n == 0)
			return 0;
		if (n < 0)
			break;
	}
	while ((n = read(in, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if ((rc = fs_write_all(out, chunk, (size_t)n)) < 0)
			return rc;
	}
	return 0;
}

static int copy_file(int src_dir, int dst_dir, const char *name)
{
	cleanup_fd int in = openat(src_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
		       out = -1;

	if (in < 0)
		return -errno;
	out = openat(dst_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	return copy_bytes(in, out);
}

static int copy_symlink(int src_dir, int dst_dir, const char *name)
{
	char target[4096];
	ssize_t n = readlinkat(src_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, dst_dir, name) < 0 ? -errno : 0;
}

int copy_tree_attributes(int src_dir, int dst_dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(dst_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(dst_dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	/* after chown, which clears capabilities */
	copy_xattrs(src_dir, name, dst_dir, name);
	(void)utimensat(dst_dir, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int copy_dir(struct copy *c, int src, int dst, const char *rel, int depth);

static int copy_subdir(struct copy *c, int src_dir, int dst_dir, const char *name, const char *rel,
		       int depth)
{
	cleanup_fd int src = -1, dst = -1;

	if (mkdirat(dst_dir, name, 0700) < 0)
		return -errno;
	src = openat(src_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dst = openat(dst_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (src < 0 || dst < 0)
		return -errno;
	return copy_dir(c, src, dst, rel, depth + 1);
}

/* 1 when it was made as a link to an earlier copy. */
static int link_earlier(struct copy *c, int dst_dir, const char *name, const char *rel,
			const struct stat *st)
{
	const char *first;
	char key[48];

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
		 (unsigned long long)st->st_ino);
	first = map_get(&c->links, key);
	if (first)
		return linkat(c->dst_root, first, dst_dir, name, 0) == 0 ? 1 : 0;
	free(map_set(&c->links, key, xstrdup(rel)));
	return 0;
}

static int copy_entry(struct copy *c, int src_dir, int dst_dir, const char *name, const char *rel,
		      int depth)
{
	struct stat st;
	int rc = 0;

	if (fstatat(src_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (link_earlier(c, dst_dir, name, rel, &st) == 1)
		return 0;
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		rc = copy_subdir(c, src_dir, dst_dir, name, rel, depth);
		break;
	case S_IFREG:
		rc = copy_file(src_dir, dst_dir, name);
		break;
	case S_IFLNK:
		rc = copy_symlink(src_dir, dst_dir, name);
		break;
	case S_IFSOCK:
		return 0;
	default:
		if (mknodat(dst_dir, name, st.st_mode & (S_IFMT | 07777), st.st_rdev) < 0)
			rc = -errno;
		break;
	}
	return rc < 0 ? rc : copy_tree_attributes(src_dir, dst_dir, name, &st);
}

static int copy_dir(struct copy *c, int src, int dst, const char *rel, int depth)
{
	cleanup_dir DIR *d = NULL;
	char path[4096];
	struct dirent *e;
	int rc, fd;

	if (depth > MAX_DEPTH)
		return -ELOOP;
	fd = fcntl(src, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || !(d = fdopendir(fd))) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if ((rc = str_fmt(path, sizeof(path), "%s%s%s", rel, *rel ? "/" : "", e->d_name)) <
		    0)
			return rc;
		if ((rc = copy_entry(c, src, dst, e->d_name, path, depth)) < 0)
			return rc;
	}
	return -errno;
}

int copy_tree(int src_fd, int dst_fd, struct err *err)
{
	struct copy c = { .dst_root = dst_fd };
	struct stat st;
	int rc;

	map_init(&c.links);
	rc = copy_dir(&c, src_fd, dst_fd, "", 0);
	map_fini(&c.links, free);
	if (rc < 0)
		return err_sysnum(err, rc, "copy the image's content to the volume");
	if (fstat(src_fd, &st) < 0 || fchown(dst_fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(dst_fd, st.st_mode & 07777) < 0)
		return err_sys(err, "set the volume's owner and mode");
	return 0;
}
