/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_entry.c - makes one entry of a layer: file, directory, link, device, whiteout.
 *
 * Design: we are chrooted into the layer, so a symlink on the way leads at most elsewhere in the
 * layer (Docker follows them too). The parent's descriptor is kept from entry to entry: archives
 * come directory by directory. Making is tried first; only when something is in the way is it
 * looked at: a directory under a directory stays and is merged, all else is replaced. Replaced
 * files are moved to extra/, because the recipe may refer to them.
 *
 * Invariant: an existing file is never opened for writing.
 */
#include "apiserver/unpack_entry.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "str.h"

#define NAME_LEN_MAX 4096

int unpack_clean_path(const char *name, char **out, struct err *err)
{
	size_t len = strlen(name), n = 0, start;
	cleanup_free char *s = NULL;

	if (len >= NAME_LEN_MAX)
		return err_kind(err, ERR_BAD_PARAM, "archive/tar: name too long");
	s = xmalloc(len + 1);
	for (const char *p = name; *p; p += len) {
		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (!len || (len == 1 && p[0] == '.'))
			continue;
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (!n && name[0] != '/')
				return err_kind(err, ERR_BAD_PARAM, "\"%s\" is outside of \"/\"", name);
			for (start = n; start && s[start - 1] != '/';)
				start--;
			n = start ? start - 1 : 0;
			continue;
		}
		if (n)
			s[n++] = '/';
		memcpy(s + n, p, len);
		n += len;
	}
	s[n] = '\0';
	free(*out);
	*out = take_ptr(&s);
	return 0;
}

static void forget_parent(struct unpack *u)
{
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	u->parent_fd = -1;
	free(u->parent);
	u->parent = NULL;
}

static int open_at(struct unpack *u, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_DIRECTORY | O_CLOEXEC), .resolve = resolve };
	int fd, tries = 0;

	do /* EAGAIN: something was renamed anywhere meanwhile */
		fd = (int)syscall(SYS_openat2, u->root_fd, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < 128);
	return fd;
}

static int open_dir(struct unpack *u, const char *path, uint64_t resolve)
{
	return open_at(u, path, O_PATH, resolve);
}

/* Makes the directories of path that the archive has no entry for (yet). */
static int make_implied(struct unpack *u, const char *path)
{
	cleanup_free char *s = xstrdup(path);
	cleanup_fd int fd = -1;
	char *part = s, *slash;

	for (;;) {
		slash = strchr(part, '/');
		if (slash)
			*slash = '\0';
		if (mkdirat(fd < 0 ? u->root_fd : fd, part, 0755) < 0 && errno != EEXIST)
			return err_sys(&u->err, "mkdir %s", s);
		if (!slash)
			return 0;
		if (fd >= 0)
			close(fd);
		fd = open_dir(u, s, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (fd < 0)
			return err_sys(&u->err, "open %s", s);
		*slash = '/';
		part = slash + 1;
	}
}

int unpack_open_parent(struct unpack *u)
{
	char *slash = strrchr(u->path, '/');
	cleanup_free char *dir = slash ? xstrndup(u->path, (size_t)(slash - u->path)) : xstrdup(".");
	int rc;

	u->leaf = slash ? slash + 1 : u->path[0] ? u->path : ".";
	if (u->parent_fd >= 0 && str_eq(u->parent, dir))
		return 0;
	forget_parent(u);
	for (int tries = 0; u->parent_fd < 0; tries++) {
		u->parent_odd = false;
		u->parent_fd = open_dir(u, dir, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (u->parent_fd < 0 && errno == ELOOP) {
			u->parent_odd = true;
			u->parent_fd = open_dir(u, dir, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		}
		if (u->parent_fd >= 0)
			break;
		if (errno != ENOENT || tries)
			return err_sys(&u->err, "open %s", dir);
		if ((rc = make_implied(u, dir)) < 0)
			return rc;
	}
	if (fchdir(u->parent_fd) < 0)
		return err_sys(&u->err, "chdir %s", dir);
	u->parent = take_ptr(&dir);
	return 0;
}

/* Something is where this entry belongs: takes it out of the way. */
static int make_room(struct unpack *u)
{
	char to[32];
	struct stat st;

	if (!u->path[0])
		return err_kind(&u->err, ERR_BAD_PARAM, "the layer's root is not a directory");
	if (fstatat(u->parent_fd, u->leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(&u->err, "stat %s", u->path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		if (unlinkat(u->parent_fd, u->leaf, 0) < 0)
			return err_sys(&u->err, "unlink %s", u->path);
		return 0;
	}
	if (u->n_moves == LAYER_MOVES_MAX)
		return err_kind(&u->err, ERR_BAD_PARAM, "layer replaces its own files more than %d times",
				LAYER_MOVES_MAX);
	if (!u->n_moves && mkdirat(u->layer_fd, "extra", 0700) < 0)
		return err_sys(&u->err, "mkdir extra");
	snprintf(to, sizeof(to), "extra/%u", u->n_moves);
	if (renameat(u->parent_fd, u->leaf, u->layer_fd, to) < 0)
		return err_sys(&u->err, "move %s away", u->path);
	split_move_line(&u->moves, u->n_refs, u->n_moves++, u->path);
	return 0;
}

/* ---------------------------------------------------------------- owner, mode, attributes, times */

/* Attributes are the archive's word: only those that mean something in a zone and nothing to us. */
static bool xattr_allowed(const char *name)
{
	if (str_starts(name, "user."))
		return !str_starts(name, "user.overlay.");
	return str_eq(name, "security.capability") || str_starts(name, "system.posix_acl_");
}

static int apply_xattrs(struct unpack *u, struct archive_entry *e, int fd)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		int rc;

		if (!name || !xattr_allowed(name)) {
			u->res.n_skipped++;
			continue;
		}
		rc = fd >= 0 ? fsetxattr(fd, name, value, len, 0) : lsetxattr(u->leaf, name, value, len, 0);
		if (rc < 0 && (errno == EOPNOTSUPP || errno == EPERM))
			u->res.n_skipped++;
		else if (rc < 0)
			return err_sys(&u->err, "set %s of %s", name, u->path);
	}
	return 0;
}

static void entry_times(struct archive_entry *e, struct timespec t[2])
{
	t[1].tv_sec = archive_entry_mtime(e);
	t[1].tv_nsec = archive_entry_mtime_nsec(e);
	if (t[1].tv_sec < -(1LL << 31) || t[1].tv_sec >= 1LL << 34 || t[1].tv_nsec < 0 ||
	    t[1].tv_nsec > 999999999)
		t[1] = (struct timespec){ 0 };
	t[0] = t[1];
}

static int entry_owner(struct unpack *u, struct archive_entry *e, uid_t *uid, gid_t *gid)
{
	la_int64_t id_u = archive_entry_uid(e), id_g = archive_entry_gid(e);

	if (id_u < 0 || id_g < 0 || id_u >= UINT32_MAX || id_g >= UINT32_MAX)
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: owner out of range", u->path);
	*uid = (uid_t)id_u;
	*gid = (gid_t)id_g;
	return 0;
}

int unpack_apply_meta(struct unpack *u, struct archive_entry *e, int fd)
{
	mode_t mode = archive_entry_perm(e) & 07777;
	struct timespec t[2];
	uid_t uid;
	gid_t gid;
	int rc;

	if ((rc = entry_owner(u, e, &uid, &gid)) < 0)
		return rc;
	if ((uid || gid) && fchown(fd, uid, gid) < 0)
		return err_sys(&u->err, "chown %s", u->path);
	if ((mode & 07000) && fchmod(fd, mode) < 0)
		return err_sys(&u->err, "chmod %s", u->path);
	if ((rc = apply_xattrs(u, e, fd)) < 0)
		return rc;
	entry_times(e, t);
	if (futimens(fd, t) < 0)
		return err_sys(&u->err, "set times of %s", u->path);
	return 0;
}

/* The same for what cannot be opened. Symlinks have no mode. */
static int apply_meta_at(struct unpack *u, struct archive_entry *e, bool chmod_too)
{
	struct timespec t[2];
	uid_t uid;
	gid_t gid;
	int rc;

	if ((rc = entry_owner(u, e, &uid, &gid)) < 0)
		return rc;
	if (fchownat(u->parent_fd, u->leaf, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(&u->err, "chown %s", u->path);
	if (chmod_too && fchmodat(u->parent_fd, u->leaf, archive_entry_perm(e) & 07777, 0) < 0)
		return err_sys(&u->err, "chmod %s", u->path);
	if ((rc = apply_xattrs(u, e, -1)) < 0)
		return rc;
	entry_times(e, t);
	if (utimensat(u->parent_fd, u->leaf, t, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(&u->err, "set times of %s", u->path);
	return 0;
}

/* ---------------------------------------------------------------- kinds of entries */

int unpack_make_file(struct unpack *u, struct archive_entry *e, int *out_fd)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	mode_t mode = archive_entry_perm(e) & 0777;
	int fd, rc;

	fd = openat(u->parent_fd, u->leaf, flags, mode);
	if (fd < 0 && errno == EEXIST) {
		if ((rc = make_room(u)) < 0)
			return rc;
		fd = openat(u->parent_fd, u->leaf, flags, mode);
	}
	if (fd < 0)
		return err_sys(&u->err, "create %s", u->path);
	*out_fd = fd;
	return 0;
}

static void dir_times_later(struct unpack *u, struct archive_entry *e)
{
	struct unpack_dir_time *d;

	if (u->n_dirs == u->cap_dirs) {
		u->cap_dirs = u->cap_dirs ? u->cap_dirs * 2 : 256;
		u->dirs = xrealloc(u->dirs, u->cap_dirs * sizeof(*u->dirs));
	}
	d = &u->dirs[u->n_dirs++];
	d->path = xstrdup(u->path[0] ? u->path : ".");
	entry_times(e, d->t);
}

static int unpack_dir(struct unpack *u, struct archive_entry *e)
{
	struct stat st;
	int rc;

	if (u->path[0] && mkdirat(u->parent_fd, u->leaf, 0700) < 0) {
		if (errno != EEXIST)
			return err_sys(&u->err, "mkdir %s", u->path);
		if (fstatat(u->parent_fd, u->leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(&u->err, "stat %s", u->path);
		if (!S_ISDIR(st.st_mode)) {
			if ((rc = make_room(u)) < 0)
				return rc;
			if (mkdirat(u->parent_fd, u->leaf, 0700) < 0)
				return err_sys(&u->err, "mkdir %s", u->path);
			/* a whiteout of this layer was here: it goes on hiding */
			if (S_ISCHR(st.st_mode) && !st.st_rdev &&
			    lsetxattr(u->leaf, "trusted.overlay.opaque", "y", 1, 0) < 0)
				return err_sys(&u->err, "make %s opaque", u->path);
		}
	}
	dir_times_later(u, e);
	return apply_meta_at(u, e, true);
}

static int unpack_symlink(struct unpack *u, struct archive_entry *e)
{
	const char *target = archive_entry_symlink(e);
	int rc;

	if (!target || !*target)
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: symlink without a target", u->path);
	if (symlinkat(target, u->parent_fd, u->leaf) < 0) {
		if (errno != EEXIST)
			return err_sys(&u->err, "symlink %s", u->path);
		if ((rc = make_room(u)) < 0)
			return rc;
		if (symlinkat(target, u->parent_fd, u->leaf) < 0)
			return err_sys(&u->err, "symlink %s", u->path);
	}
	u->res.size += (int64_t)strlen(target); /* as stat tells, and Docker counts */
	return apply_meta_at(u, e, false);
}

/* Links fd's leaf to this entry's place. */
static int link_here(struct unpack *u, int fd, const char *leaf, const char *path)
{
	struct stat st;
	int rc;

	if (fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: hard link to a whiteout", u->path);
	if (linkat(fd, leaf, u->parent_fd, u->leaf, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(&u->err, "link %s to %s", u->path, path);
	if ((rc = make_room(u)) < 0)
		return rc;
	if (linkat(fd, leaf, u->parent_fd, u->leaf, 0) < 0)
		return err_sys(&u->err, "link %s to %s", u->path, path);
	return 0;
}

int unpack_hardlink(struct unpack *u, const char *target)
{
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	char *slash;
	int rc;

	if (!u->path[0])
		return err_kind(&u->err, ERR_BAD_PARAM, "the layer's root is a link");
	if ((rc = unpack_clean_path(target, &path, &u->err)) < 0)
		return rc;
	if (str_eq(path, u->path))
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: hard link to itself", u->path);
	slash = strrchr(path, '/');
	if (!slash)
		return link_here(u, u->root_fd, path, path);
	*slash = '\0';
	fd = open_dir(u, path, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return err_sys(&u->err, "link %s to %s/%s", u->path, path, slash + 1);
	return link_here(u, fd, slash + 1, slash + 1);
}

static mode_t entry_ifmt(struct archive_entry *e)
{
	switch (archive_entry_filetype(e)) {
	case AE_IFCHR:
		return S_IFCHR;
	case AE_IFBLK:
		return S_IFBLK;
	default:
		return S_IFIFO;
	}
}

static int unpack_device(struct unpack *u, struct archive_entry *e)
{
	mode_t fmt = entry_ifmt(e);
	dev_t dev = makedev((unsigned)archive_entry_rdevmajor(e), (unsigned)archive_entry_rdevminor(e));
	int rc;

	if (!u->path[0])
		return err_kind(&u->err, ERR_BAD_PARAM, "the layer's root is a device");
	if (fmt == S_IFIFO)
		dev = 0;
	if (fmt == S_IFCHR && dev == 0)
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: a 0/0 device is not allowed", u->path);
	for (int tries = 0;; tries++) {
		if (mknodat(u->parent_fd, u->leaf, fmt | 0600, dev) == 0)
			break;
		if (errno == EPERM) {
			u->res.n_skipped++;
			return 0;
		}
		if (errno != EEXIST || tries)
			return err_sys(&u->err, "mknod %s", u->path);
		if ((rc = make_room(u)) < 0)
			return rc;
	}
	return apply_meta_at(u, e, true);
}

int unpack_no_file(struct unpack *u, struct archive_entry *e)
{
	switch (archive_entry_filetype(e)) {
	case AE_IFDIR:
		return unpack_dir(u, e);
	case AE_IFLNK:
		return unpack_symlink(u, e);
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return unpack_device(u, e);
	default:
		u->res.n_skipped++;
		return 0;
	}
}

int unpack_whiteout(struct unpack *u)
{
	const char *hidden = u->leaf + 4;
	struct stat st;

	u->res.n_whiteouts++;
	if (str_eq(u->leaf, ".wh..wh..opq")) {
		if (lsetxattr(".", "trusted.overlay.opaque", "y", 1, 0) < 0)
			return err_sys(&u->err, "make %s opaque", u->parent);
		return 0;
	}
	if (str_starts(hidden, ".wh."))
		return 0; /* AUFS' own */
	if (!*hidden || str_eq(hidden, ".") || str_eq(hidden, ".."))
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: whiteout of nothing", u->path);
	u->leaf = hidden;
	if (mknodat(u->parent_fd, hidden, S_IFCHR, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(&u->err, "whiteout %s", u->path);
	/* What this layer itself brings stays, and hides what is beneath; a directory only when
	 * it is opaque. */
	if (fstatat(u->parent_fd, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(&u->err, "stat %s", u->path);
	if (S_ISDIR(st.st_mode) && lsetxattr(hidden, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(&u->err, "make %s opaque", u->path);
	return 0;
}

/* Last entry first would be wrong where two name one directory: in order, the later wins. */
int unpack_finish_dirs(struct unpack *u)
{
	for (size_t i = 0; i < u->n_dirs; i++) {
		const struct unpack_dir_time *d = &u->dirs[i];
		int fd = open_at(u, d->path, O_RDONLY | O_NOFOLLOW,
				 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue; /* replaced since */
		if (fd < 0)
			return err_sys(&u->err, "open %s", d->path);
		if (futimens(fd, d->t) < 0) {
			close(fd);
			return err_sys(&u->err, "set times of %s", d->path);
		}
		close(fd);
	}
	return 0;
}
