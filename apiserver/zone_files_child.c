/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_files_child.c - the process that goes into a zone's file system, a child of the unpacking server.
 *
 * Design: archives and zones are both hostile, and a zone may change its paths while we work. So
 * the work is done in a process of its own that can see nothing but the zone: it joins the zone's
 * mount namespace, makes the zone's root its own, then takes a private copy of the namespace and
 * removes /proc, /sys and /dev from that copy: with --pid host, /proc/1/root in there would lead to
 * the host, and neither tar nor cp has business with them. What remains is the zone's own files and
 * volumes; any link, however it is changed meanwhile, ends in there. Then all capabilities go that
 * unpacking does not need.
 *
 * The entries themselves are made by what unpacks layers (unpack_entry.h); the difference is that
 * here something may be in the way already, which is removed first as Docker does.
 *
 * Failure: what was unpacked stays, as with tar.
 */
#include "apiserver/zone_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apiserver/ct_path.h"
#include "apiserver/unpack_entry.h"
#include "apiserver/xz_read.h"
#include "apiserver/zone_files_priv.h"
#include "cleanup.h"
#include "frame.h"
#include "fs.h"
#include "str.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

#define READ_SIZE (128 * 1024)
#define TAR_BLOCK 512

static int enter_root(int root_fd, int mntns_fd, struct err *err)
{
	if (setns(mntns_fd, CLONE_NEWNS) < 0)
		return err_sys(err, "enter the container's mount namespace");
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(err, "enter the container's root");
	return 0;
}

/* A mount namespace of our own without the kernel's file systems. */
static int narrow_view(struct err *err)
{
	static const char *const unwanted[] = {"/proc", "/sys", "/dev"};

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "copy the container's mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make the copied mounts private");
	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++) {
		/* more than one may lie on top of another */
		while (umount2(unwanted[i], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (errno != EINVAL && errno != ENOENT)
			return err_sys(err, "unmount %s from the copy", unwanted[i]);
	}
	return 0;
}

/* ---- unpacking ---- */

struct extract {
	const struct zone_files_request *req;
	int tar_fd;
	struct unpack u;
	bool ended; /* without its last padding */
	struct xz_read *xz;
	char block[READ_SIZE];
};

static ssize_t read_tar(void *arg, void *p, size_t len)
{
	struct extract *x = arg;
	ssize_t n;

	do {
		n = read(x->tar_fd, p, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **out)
{
	struct extract *x = arg;
	ssize_t n = xz_read(x->xz, x->block, sizeof(x->block));

	if (n < 0)
		archive_set_error(a, (int)-n, "%s", xz_read_why(x->xz) ? xz_read_why(x->xz) : "read the stream");
	*out = x->block;
	return n < 0 ? ARCHIVE_FATAL : n;
}

/* Name of an entry -> path from the zone's root, without a leading slash. */
static int entry_path(const struct extract *x, const char *name, char **out, struct err *err)
{
	cleanup_free char *rel = NULL;
	const char *dir = x->req->ct_dir + 1;
	int rc;

	if ((rc = unpack_clean_path(name, &rel, err)) < 0)
		return rc;
	free(*out);
	*out = !*rel ? xstrdup("") : *dir ? xasprintf("%s/%s", dir, rel) : take_ptr(&rel);
	return 0;
}

/* Two directories are merged; all else that is in the way goes. */
static int clear_way(struct extract *x, bool entry_is_dir)
{
	struct unpack *u = &x->u;
	struct stat st;

	if (fstatat(u->parent_fd, u->leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(&u->err, "stat %s", u->path);
	if (S_ISDIR(st.st_mode) && entry_is_dir)
		return 0;
	if (x->req->no_overwrite_dir_non_dir && S_ISDIR(st.st_mode))
		return err_kind(&u->err, ERR_SYSTEM,
				"cannot overwrite directory \"/%s\" with non-directory \"%s\"",
				u->path, x->req->ct_dir);
	if (x->req->no_overwrite_dir_non_dir && entry_is_dir)
		return err_kind(&u->err, ERR_SYSTEM,
				"cannot overwrite non-directory \"/%s\" with directory \"%s\"",
				u->path, x->req->ct_dir);
	return fs_remove_tree(u->parent_fd, u->leaf, &u->err);
}

/* The docker CLI 28 ends some archives right after the last file's bytes, without what fills them
 * up to a block. Docker takes that, too. */
static bool only_padding_missing(struct archive *a, int fd, int64_t size)
{
	static const char text[] = "Truncated input file (needed ";
	const char *s = archive_error_string(a);
	struct stat st;

	return s && str_starts(s, text) && strtol(s + strlen(text), NULL, 10) < TAR_BLOCK &&
	       fstat(fd, &st) == 0 && st.st_size == size;
}

static int make_file(struct extract *x, struct archive *a, struct archive_entry *e)
{
	bool sparse = archive_entry_sparse_count(e) > 0;
	struct unpack *u = &x->u;
	cleanup_fd int fd = -1;
	int rc;

	if (archive_entry_size(e) < 0)
		return err_kind(&u->err, ERR_BAD_PARAM, "%s: bad size", u->path);
	if ((rc = unpack_make_file(u, e, &fd)) < 0)
		return rc;
	if ((rc = unpack_write_data(u, a, fd, archive_entry_size(e), sparse)) < 0) {
		x->ended = !sparse && only_padding_missing(a, fd, archive_entry_size(e));
		if (!x->ended)
			return rc;
	}
	return unpack_apply_meta(u, e, fd);
}

static int extract_one(struct extract *x, struct archive *a, struct archive_entry *e)
{
	const char *name = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
	cleanup_free char *target = NULL;
	struct unpack *u = &x->u;
	bool is_dir = !link && archive_entry_filetype(e) == AE_IFDIR;
	int rc;

	if (!name)
		return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: invalid tar header");
	if ((rc = entry_path(x, name, &u->path, &u->err)) < 0)
		return rc;
	if (!u->path[0])
		return is_dir ? 0
			      : err_kind(&u->err, ERR_BAD_PARAM,
					 "archive/tar: entry without a name");
	if ((rc = unpack_open_parent(u)) < 0 || (rc = clear_way(x, is_dir)) < 0)
		return rc;
	if (x->req->chown) {
		archive_entry_set_uid(e, x->req->uid);
		archive_entry_set_gid(e, x->req->gid);
	}
	if (link) {
		rc = entry_path(x, link, &target, &u->err);
		return rc < 0 ? rc : unpack_hardlink(u, target);
	}
	return archive_entry_filetype(e) == AE_IFREG ? make_file(x, a, e) : unpack_no_file(u, e);
}

static int extract_all(struct extract *x)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int rc = 0, ar;

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_zstd(a);
	x->xz = xz_read_new(read_tar, x);
	/* a stream that cannot be inflated from its start looks empty but for the error */
	if (archive_read_open(a, x, NULL, on_read, NULL) != ARCHIVE_OK || archive_errno(a))
		rc = unpack_archive_error(&x->u, a);
	while (rc >= 0 && !x->ended && (ar = archive_read_next_header(a, &e)) != ARCHIVE_EOF)
		if ((rc = unpack_check(&x->u)) == 0)
			rc = ar < ARCHIVE_WARN ? unpack_archive_error(&x->u, a) : extract_one(x, a, e);
	archive_read_free(a);
	xz_read_free(x->xz);
	return rc < 0 ? rc : unpack_finish_dirs(&x->u);
}

static int extract(struct zone_files_request *req, int sock, int tar_fd, struct err *err)
{
	struct extract *x = xcalloc(1, sizeof(*x));
	cleanup_fd int dir_fd = -1;
	int rc;

	x->req = req;
	x->tar_fd = tar_fd;
	x->u.parent_fd = -1;
	x->u.cancel_fd = sock;
	x->u.path = xstrdup("");
	x->u.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (x->u.root_fd < 0)
		return err_sys(err, "open the container's root");
	dir_fd = fs_open_in_root(x->u.root_fd, req->ct_dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir_fd < 0)
		return err_sysnum(err, dir_fd, "open %s", req->ct_dir);
	rc = extract_all(x);
	if (rc < 0)
		*err = x->u.err;
	return rc;
}

/* ---- the process ---- */

static int serve(const struct frame *f, struct zone_files_request *req, int sock, int tar_fd, int *out_fd,
		 struct err *err)
{
	int rc;

	if (f->data.len != sizeof(*req) || f->n_fds != 2)
		return err_kind(err, ERR_SYSTEM, "bad request");
	memcpy(req, f->data.p, sizeof(*req));
	req->ct_dir[sizeof(req->ct_dir) - 1] = '\0';
	if ((rc = enter_root(f->fds[0], f->fds[1], err)) < 0)
		return rc;
	if (req->op == ZONE_FILES_CLONE_ROOT) {
		*out_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | O_CLOEXEC);
		return *out_fd < 0 ? err_sys(err, "copy the container's root mount") : 0;
	}
	if ((rc = narrow_view(err)) < 0 || (rc = unpack_drop_capabilities(err)) < 0)
		return rc;
	return extract(req, sock, tar_fd, err);
}

void zone_files_child(int sock, int tar_fd)
{
	struct zone_files_request *req = xcalloc(1, sizeof(*req));
	struct zone_files_reply reply = {0};
	struct frame f = FRAME_INIT;
	struct err err = {0};
	int fds[2] = {-1, -1}, rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fds[0] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fds[0] < 0 || frame_recv(sock, &f, 10000) != 1)
		_exit(1);
	rc = serve(&f, req, sock, tar_fd, &fds[1], &err);
	reply.rc = rc < 0 ? rc : 0;
	reply.kind = err.kind;
	str_copy(reply.msg, sizeof(reply.msg), err.msg);
	rc = frame_send(sock, &reply, sizeof(reply), fds, fds[1] < 0 ? 1 : 2, 10000);
	_exit(rc < 0 || reply.rc < 0);
}
