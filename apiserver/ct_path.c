/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_path.c - paths inside a container: cleaning, splitting, following links. Pure but for
 * ct_path_resolve, which reads links beneath root_fd (openat2, RESOLVE_IN_ROOT).
 */
#include "ct_path.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define LINKS_MAX 255

/* Adds the parts of path to out ("" is the root), cleaned. */
static void add_parts(struct buf *out, const char *path)
{
	size_t len;

	for (; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len || (len == 1 && path[0] == '.'))
			continue;
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (out->len && out->p[out->len - 1] != '/')
				out->p[--out->len] = '\0';
			if (out->len)
				out->p[--out->len] = '\0';
			continue;
		}
		buf_addch(out, '/');
		buf_add(out, path, len);
	}
}

char *ct_path_abs(const char *path)
{
	struct buf out = BUF_INIT;
	size_t len = strlen(path);
	bool dot;

	while (len > 1 && path[len - 1] == '/')
		len--;
	dot = len && path[len - 1] == '.' && (len == 1 || path[len - 2] == '/');

	add_parts(&out, path);
	if (dot)
		buf_addstr(&out, "/.");
	else if (!out.len || str_ends(path, "/"))
		buf_addch(&out, '/');
	return buf_steal(&out);
}

char *ct_path_base(const char *abs)
{
	size_t end = strlen(abs), start;

	while (end > 1 && abs[end - 1] == '/')
		end--;
	if (end <= 1)
		return xstrdup("/");
	for (start = end; start && abs[start - 1] != '/';)
		start--;
	return xstrndup(abs + start, end - start);
}

char *ct_path_dir(const char *abs)
{
	size_t end = strlen(abs);

	while (end > 1 && abs[end - 1] == '/')
		end--;
	while (end > 1 && abs[end - 1] != '/')
		end--;
	while (end > 1 && abs[end - 1] == '/')
		end--;
	return xstrndup(abs, end ? end : 1);
}

bool ct_path_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (path[len] == '\0' || path[len] == '/');
}

/* The target of the link at path: owned, NULL when it is none (or not there). */
static char *read_link(int root_fd, const char *path)
{
	cleanup_fd int fd = fs_open_in_root(root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	char target[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	return n > 0 ? xstrndup(target, (size_t)n) : NULL;
}

char *ct_path_resolve(int root_fd, const char *abs)
{
	cleanup_buf struct buf done = BUF_INIT;
	cleanup_free char *rest = xstrdup(abs);
	const char *p = rest;
	unsigned links = 0;

	while (p += strspn(p, "/"), *p) {
		size_t len = strcspn(p, "/"), before = done.len;
		cleanup_free char *part = xstrndup(p, len), *target = NULL;
		char *next;

		p += len;
		add_parts(&done, part);
		if (done.len <= before || !(target = read_link(root_fd, done.p)))
			continue;
		if (++links > LINKS_MAX || done.len > PATH_MAX)
			return NULL;
		done.len = target[0] == '/' ? 0 : before;
		done.p[done.len] = '\0';
		next = xasprintf("%s/%s", target, p);
		free(rest);
		p = rest = next;
	}
	if (!done.len)
		buf_addch(&done, '/');
	return buf_steal(&done);
}

uint32_t go_file_mode(mode_t mode)
{
	static const struct {
		mode_t mask, bits;
		uint32_t go;
	} map[] = {
		{S_IFMT, S_IFDIR, 1u << 31},  {S_IFMT, S_IFLNK, 1u << 27},
		{S_IFMT, S_IFBLK, 1u << 26},  {S_IFMT, S_IFCHR, 1u << 26 | 1u << 21},
		{S_IFMT, S_IFIFO, 1u << 25},  {S_IFMT, S_IFSOCK, 1u << 24},
		{S_ISUID, S_ISUID, 1u << 23}, {S_ISGID, S_ISGID, 1u << 22},
		{S_ISVTX, S_ISVTX, 1u << 20},
	};
	uint32_t out = mode & 0777;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if ((mode & map[i].mask) == map[i].bits)
			out |= map[i].go;
	return out;
}
