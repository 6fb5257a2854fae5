/* SPDX-License-Identifier: MPL-2.0
 *
 * root_mkdir.c - see root_mkdir.h.
 */
#include "root_mkdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define MAX_LINKS 40 /* on the way, as the kernel's limit */

/* Puts where the link name in parent leads before the parts that follow it: the words of the way
 * that is left, from sofar (which becomes "/" for an absolute link). Returns 0 or a negative errno. */
static int follow_link(int parent, const char *name, struct buf *sofar, char ***parts)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);
	char **way;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (target[0] == '/') {
		buf_reset(sofar);
		buf_addch(sofar, '/');
	}
	way = strv_split(target, '/');
	for (char **p = *parts; *p; p++)
		strv_add(&way, *p);
	strv_free(*parts);
	*parts = way;
	return 0;
}

/* Makes one part of a directory's path; 1: made, 0: it was there, -EEXIST: something else is. */
static int make_part(int root_fd, int parent, const char *name, const char *whole,
		     const struct dir_owner *own, bool theirs)
{
	cleanup_fd int made = -1,
		       fd = fs_open_in_root(root_fd, whole, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd >= 0)
		return 0;
	if (fd != -ENOENT || str_eq(name, ".."))
		return fd;
	if (mkdirat(parent, name, 0755) < 0)
		return -errno;
	made = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (made < 0 || fchmod(made, 0755) < 0 ||
	    fchown(made, theirs ? own->uid : 0, theirs ? own->gid : 0) < 0)
		return -errno;
	return 1;
}

/* The first of a vector, which has one less then. Owned. */
static char *take_first(char **v)
{
	char *first = v[0];

	memmove(v, v + 1, strv_len(v) * sizeof(*v));
	return first;
}

int root_mkdir(int root_fd, const char *path, const struct dir_owner *own, bool *existed, struct err *err)
{
	cleanup_strv char **parts = strv_split(path, '/');
	cleanup_buf struct buf sofar = BUF_INIT;
	int links = 0, rc;

	*existed = true;
	buf_addch(&sofar, '/');
	while (parts[0]) {
		cleanup_fd int parent = -1;
		cleanup_free char *name = take_first(parts);
		bool theirs = own->above || !parts[0] || (!*parts[0] && !parts[1]);
		size_t before = sofar.len;

		if (!*name || str_eq(name, "."))
			continue;
		parent = fs_open_in_root(root_fd, buf_str(&sofar),
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		if (parent < 0)
			return err_sysnum(err, parent, "mkdir %s", path);
		buf_printf(&sofar, "%s/", name);
		rc = make_part(root_fd, parent, name, buf_str(&sofar), own, theirs);
		if (rc == -EEXIST && ++links <= MAX_LINKS) {
			sofar.len = before;
			sofar.p[before] = '\0';
			if ((rc = follow_link(parent, name, &sofar, &parts)) == -EINVAL)
				rc = -ENOTDIR;
		}
		if (rc < 0)
			return err_sysnum(err, rc, "mkdir %s", path);
		if (rc == 1)
			*existed = false;
	}
	return 0;
}
