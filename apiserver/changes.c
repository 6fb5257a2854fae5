/* SPDX-License-Identifier: MPL-2.0
 *
 * changes.c - compares an overlay's upper directory with its lowers.
 *
 * What overlayfs leaves in the upper says nearly all:
 *	0/0 character device	deleted, if a lower has it
 *	opaque directory	was deleted and made anew: what the lowers have in it and the
 *				upper has not is deleted
 *	other entry		modified when a lower has it, else added
 *	directory		copied up for what is beneath: modified when something beneath is,
 *				or when its own owner, mode or times differ
 *
 * So every directory above a change is shown as modified, as Docker does. What the engine itself
 * puts there is not shown: /native, the log of dockerinit, the mount points of the base layer.
 *
 * The zone may run and change its files meanwhile: an entry that goes away while we look is left
 * out.
 */
#include "changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "engine.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "paths.h"
#include "str.h"

#define DEPTH_MAX 1024

static const char *const hidden[] = {"/native", "/var/log/sdc-dockerinit.log", "/.dockerenv"};
/* Directories and files that a runtime mounts over; made by it when the image lacks them. */
static const char *const mount_points[] = {
	"/dev",	     "/proc",	     "/sys",	 "/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
	"/etc/mtab", "/dev/console", "/dev/pts", "/dev/shm",   "/dev/mqueue"};

struct walk {
	char *const *lowers;
	int *lower_fds; /* -1: cannot be opened */
	size_t n_lowers;
	struct change *v;
	size_t n;
	unsigned depth;
	struct err *err;
};

static bool is_in(const char *path, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(path, list[i]))
			return true;
	return false;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int dir_fd)
{
	char v;

	return fgetxattr(dir_fd, "trusted.overlay.opaque", &v, 1) == 1 && v == 'y';
}

/* ---- the lowers, as one tree ---- */

enum seek { SEEK_FOUND, SEEK_NOT_HERE, SEEK_HIDDEN };

/* One layer: is path ("/a/b") there? HIDDEN: this layer hides it from those beneath. */
static enum seek seek_layer(int layer_fd, const char *path, struct stat *st)
{
	cleanup_fd int fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool opaque = false;
	size_t len;

	for (path++; fd >= 0; path += len + 1) {
		cleanup_free char *part = NULL;
		int next;

		len = strcspn(path, "/");
		part = xstrndup(path, len);
		opaque |= is_opaque(fd);
		if (fstatat(fd, part, st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		if (is_whiteout(st))
			return SEEK_HIDDEN;
		if (!path[len])
			return SEEK_FOUND;
		if (!S_ISDIR(st->st_mode))
			return SEEK_HIDDEN;
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return opaque ? SEEK_HIDDEN : SEEK_NOT_HERE;
}

static bool in_lowers(const struct walk *w, const char *path, struct stat *st)
{
	for (size_t i = 0; i < w->n_lowers; i++) {
		enum seek s =
			w->lower_fds[i] < 0 ? SEEK_NOT_HERE : seek_layer(w->lower_fds[i], path, st);

		if (s != SEEK_NOT_HERE)
			return s == SEEK_FOUND;
	}
	return false;
}

/* ---- the walk ---- */

static void add_change(struct walk *w, const char *path, enum change_kind kind)
{
	if (!(w->n & (w->n - 1)))
		w->v = xrealloc(w->v, (w->n ? w->n * 2 : 1) * sizeof(*w->v));
	w->v[w->n++] = (struct change){.path = xstrdup(path), .kind = kind};
}

/* Names of a directory, sorted; owned vector. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **list_names(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	size_t n = 0, cap = 0;
	char **names = NULL;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
			continue;
		if (n + 1 >= cap) {
			cap = cap ? cap * 2 : 16;
			names = xrealloc(names, cap * sizeof(*names));
		}
		names[n++] = xstrdup(de->d_name);
	}
	if (!names)
		names = xmalloc(sizeof(*names));
	names[n] = NULL;
	qsort(names, n, sizeof(*names), compare_names);
	return names;
}

/* A directory that was replaced: what the lowers have in it and upper_names has not. */
static void add_deleted_beneath(struct walk *w, const char *path, char *const *upper_names)
{
	for (size_t i = 0; i < w->n_lowers; i++) {
		cleanup_fd int fd =
			w->lower_fds[i] < 0
				? -1
				: fs_open_beneath(w->lower_fds[i], path + 1,
						  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		cleanup_strv char **names = fd < 0 ? NULL : list_names(fd);

		for (char **n = names; n && *n; n++) {
			cleanup_free char *child = xasprintf("%s/%s", path, *n);
			struct stat st;
			bool known = strv_has((char **)upper_names, *n);

			for (size_t k = 0; k < w->n && !known; k++)
				known = str_eq(w->v[k].path, child);
			if (!known && in_lowers(w, child, &st))
				add_change(w, child, CHANGE_DELETED);
		}
	}
}

static bool is_same_dir(const struct stat *a, const struct stat *b)
{
	return S_ISDIR(a->st_mode) && S_ISDIR(b->st_mode) && a->st_mode == b->st_mode &&
	       a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int walk_dir(struct walk *w, int dir_fd, const char *path);

/* A directory of the upper; its own line comes first, and goes again when it has nothing to tell.
 */
static int visit_dir(struct walk *w, int fd, const char *path, const struct stat *st)
{
	struct stat low;
	bool was_there = in_lowers(w, path, &low), placeholder;
	size_t at = w->n;
	int rc;

	add_change(w, path, was_there ? CHANGE_MODIFIED : CHANGE_ADDED);
	if (was_there && S_ISDIR(low.st_mode) && is_opaque(fd)) {
		cleanup_strv char **names = list_names(fd);

		add_deleted_beneath(w, path, names);
	}
	if ((rc = walk_dir(w, fd, path)) < 0)
		return rc;
	/* the directory of dockerinit's log changes by our doing; so do mount points */
	placeholder = str_eq(path, "/var/log") || (!was_there && str_eq(path, "/var")) ||
		      is_in(path, mount_points, ARRAY_SIZE(mount_points));
	if (w->n == at + 1 && (placeholder || (was_there && is_same_dir(st, &low)))) {
		free(w->v[at].path);
		w->n = at;
	}
	return 0;
}

static int visit(struct walk *w, int dir_fd, const char *name, const char *path)
{
	struct stat st, low;

	if (is_in(path, hidden, ARRAY_SIZE(hidden)) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (is_whiteout(&st)) {
		if (in_lowers(w, path, &low))
			add_change(w, path, CHANGE_DELETED);
		return 0;
	}
	if (S_ISDIR(st.st_mode)) {
		cleanup_fd int fd =
			openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		return fd < 0 ? 0 : visit_dir(w, fd, path, &st);
	}
	if (is_in(path, mount_points, ARRAY_SIZE(mount_points)) && st.st_size == 0)
		return 0;
	add_change(w, path, in_lowers(w, path, &low) ? CHANGE_MODIFIED : CHANGE_ADDED);
	return 0;
}

static int walk_dir(struct walk *w, int dir_fd, const char *path)
{
	cleanup_strv char **names = list_names(dir_fd);
	int rc = 0;

	if (++w->depth > DEPTH_MAX)
		return err_kind(w->err, ERR_SYSTEM, "directories are nested too deep");
	for (char **n = names; *n && rc >= 0; n++) {
		cleanup_free char *child = xasprintf("%s/%s", path, *n);

		rc = visit(w, dir_fd, *n, child);
	}
	w->depth--;
	return rc;
}

/* Docker's order: by path, with "/" before all else, so that a directory is followed by what is in
 * it. */
static int compare_changes(const void *a, const void *b)
{
	const unsigned char *x = (const unsigned char *)((const struct change *)a)->path;
	const unsigned char *y = (const unsigned char *)((const struct change *)b)->path;

	while (*x && *x == *y)
		x++, y++;
	return (*x == '/' ? 1 : *x) - (*y == '/' ? 1 : *y);
}

int changes_find(const char *upper, char *const *lowers, struct change **out, size_t *n,
		 struct err *err)
{
	cleanup_fd int fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk w = {.lowers = lowers, .n_lowers = strv_len(lowers), .err = err};
	int rc;

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, "open %s", upper);
	w.lower_fds = xcalloc(w.n_lowers + 1, sizeof(int));
	for (size_t i = 0; i < w.n_lowers; i++)
		w.lower_fds[i] = open(lowers[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? 0 : walk_dir(&w, fd, "");
	for (size_t i = 0; i < w.n_lowers; i++)
		if (w.lower_fds[i] >= 0)
			close(w.lower_fds[i]);
	free(w.lower_fds);
	if (rc < 0) {
		changes_free(w.v, w.n);
		return rc;
	}
	if (w.n)
		qsort(w.v, w.n, sizeof(*w.v), compare_changes);
	*out = w.v;
	*n = w.n;
	return 0;
}

void changes_free(struct change *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].path);
	free(v);
}

int changes_json(const char *uuid, struct buf *out, struct err *err)
{
	char zone_json[1024], upper[1024];
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *zone = NULL;
	cleanup_strv char **lowers = NULL;
	struct change *v = NULL;
	struct jw w = JW(out);
	size_t n = 0;
	int rc;

	paths_zone(&engine->paths, uuid, "config/zone.json", zone_json);
	paths_zone(&engine->paths, uuid, "diff", upper);
	if (fs_exists(zone_json)) {
		if ((rc = fs_read_file(zone_json, 1 << 20, &text, err)) < 0 ||
		    (rc = jparse(text.p, text.len, &zone, err)) < 0)
			return rc;
		lowers = jget_strv(jget_obj(zone, "rootfs"), "lowers");
		if ((rc = changes_find(upper, lowers, &v, &n, err)) < 0)
			return rc;
	}
	if (!n) { /* as Docker's */
		jw_null(&w, NULL);
		return 0;
	}
	jw_arr(&w, NULL);
	for (size_t i = 0; i < n; i++) {
		jw_obj(&w, NULL);
		jw_str(&w, "Path", v[i].path);
		jw_int(&w, "Kind", v[i].kind);
		jw_end(&w);
	}
	jw_end(&w);
	changes_free(v, n);
	return 0;
}
