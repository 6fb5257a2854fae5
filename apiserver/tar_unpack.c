/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_unpack.c - unpacks one layer's tar in a process of its own, which sees nothing else.
 *
 * Design: the archive is hostile. libarchive parses it here, after chroot(2) into the layer's
 * empty diff/, without the capabilities that unpacking does not need: whatever names and links the
 * archive holds, they end inside the layer. (They would without the chroot: every path is resolved
 * with openat2 below diff/.) Entries are made with *at() calls relative to the
 * parent's descriptor, as root with the archive's numeric owners; libarchive's own disk writer is
 * not used (it asks NSS for names, which would load libraries from inside the layer). The locale's
 * conversion is initialised before the chroot for the same reason.
 *
 * While unpacking, the recipe is written that makes the same tar again (layer_split.h): all bytes
 * of the stream between rec_pos and the next payload are recorded as they are, the payload of a
 * plain file only as a reference. What is odd (sparse, by way of symlinks) is recorded whole.
 *
 * Whiteouts: .wh.NAME becomes a 0/0 character device, .wh..wh..opq the directory's opaque
 * attribute. Attributes that mean something to overlayfs, and 0/0 devices that come from the
 * archive, are not let in.
 *
 * Failure: any error ends with a message in the result; the engine removes the directory. A child
 * dies with the server, the server ends with the engine. A stream that the engine gives up just
 * ends; the child's word does not count then.
 */
#include "apiserver/child_server.h"
#include "apiserver/tar_unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <iconv.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "apiserver/layer_split.h"
#include "apiserver/unpack_entry.h"
#include "apiserver/child_server.h"
#include "apiserver/unpack_server.h"
#include "apiserver/zone_files.h"
#include "cleanup.h"
#include "frame.h"
#include "fs.h"
#include "str.h"

#define BLOCK_SIZE (256 * 1024)

static int stream_fill(struct unpack *u)
{
	size_t len = 0;
	ssize_t n;

	while (len < BLOCK_SIZE) {
		n = read(u->in_fd, u->block + len, BLOCK_SIZE - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	u->block_start += u->block_len;
	u->block_len = len;
	return 0;
}

/* Records the bytes of the current block from rec_pos up to the offset end. */
static void record_to(struct unpack *u, uint64_t end)
{
	uint64_t block_end = u->block_start + u->block_len;

	if (end > block_end)
		end = block_end;
	if (u->rec_pos >= end)
		return;
	split_writer_raw(u->split, u->block + (u->rec_pos - u->block_start), end - u->rec_pos);
	u->rec_pos = end;
}

/* libarchive wants the next block. What of this one no entry has claimed as payload is recorded. */
static la_ssize_t on_read(struct archive *a, void *arg, const void **out)
{
	struct unpack *u = arg;
	int rc;

	record_to(u, UINT64_MAX);
	if ((rc = stream_fill(u)) < 0) {
		archive_set_error(a, -rc, "read the stream");
		return -1;
	}
	*out = u->block;
	return (la_ssize_t)u->block_len;
}

/* The header that ends at data_pos has been read. True: its payload may be a reference. */
static bool record_header(struct unpack *u, uint64_t data_pos)
{
	if (u->rec_pos > data_pos)
		return false; /* looked ahead too far: go on recording */
	record_to(u, data_pos);
	return u->rec_pos == data_pos;
}

int unpack_check(struct unpack *u)
{
	struct pollfd p = { .fd = u->cancel_fd, .events = POLLIN | POLLRDHUP };

	if (u->cancel_fd < 0 || poll(&p, 1, 0) <= 0)
		return 0;
	return err_sysnum(&u->err, ECANCELED, "write %s", u->path);
}

static int write_block(struct unpack *u, int fd, const void *p, size_t len, int64_t offset,
		       int64_t *pos)
{
	const char *s = p;
	ssize_t n;

	while (len) {
		if (offset == *pos)
			n = write(fd, s, len);
		else
			n = pwrite(fd, s, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(&u->err, "write %s", u->path);
		if (offset == *pos)
			*pos += n;
		s += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

int unpack_write_data(struct unpack *u, struct archive *a, int fd, int64_t size, bool sparse)
{
	int64_t pos = 0, got = 0, offset;
	const void *p;
	size_t len;
	int rc;

	while ((rc = archive_read_data_block(a, &p, &len, &offset)) == ARCHIVE_OK ||
	       rc == ARCHIVE_WARN) {
		if (offset < 0 || offset > size || (int64_t)len > size - offset)
			return err_kind(&u->err, ERR_BAD_PARAM, "%s: data beyond its size", u->path);
		if ((rc = unpack_check(u)) < 0 || (rc = write_block(u, fd, p, len, offset, &pos)) < 0)
			return rc;
		got += (int64_t)len;
	}
	if (rc != ARCHIVE_EOF)
		return unpack_archive_error(u, a);
	if (!sparse && got != size) /* a size of a sparse file whose map makes no sense */
		return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: invalid tar header");
	if (sparse && ftruncate(fd, size) < 0)
		return err_sys(&u->err, "truncate %s", u->path);
	return 0;
}

static int unpack_file(struct unpack *u, struct archive *a, struct archive_entry *e)
{
	uint64_t data_pos = (uint64_t)archive_filter_bytes(a, 0);
	int64_t size = archive_entry_size(e);
	bool sparse = archive_entry_sparse_count(e) > 0, ref;
	cleanup_fd int fd = -1;
	int rc;

	if (size < 0 || size > u->max_bytes - u->res.size)
		return err_kind(&u->err, ERR_BAD_PARAM, "layer is larger than %lld bytes",
				(long long)u->max_bytes);
	u->res.size += size;
	if ((rc = unpack_make_file(u, e, &fd)) < 0)
		return rc;
	ref = record_header(u, data_pos) && !sparse && size > 0 && !u->parent_odd &&
	      strlen(u->path) <= LAYER_SPLIT_PATH_MAX;
	if (ref) {
		split_writer_file(u->split, u->path, (uint64_t)size);
		u->n_refs++;
		u->rec_pos = data_pos + (uint64_t)size;
	}
	if ((rc = unpack_write_data(u, a, fd, size, sparse)) < 0)
		return rc;
	return unpack_apply_meta(u, e, fd);
}

static int unpack_one(struct unpack *u, struct archive *a, struct archive_entry *e)
{
	const char *name = archive_entry_pathname(e);
	int rc;

	if (++u->res.n_entries > u->max_entries)
		return err_kind(&u->err, ERR_BAD_PARAM, "layer has more than %llu entries",
				(unsigned long long)u->max_entries);
	if (!name)
		return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: invalid tar header");
	if ((rc = unpack_clean_path(name, &u->path, &u->err)) < 0)
		return rc;
	if (!u->path[0] && archive_entry_filetype(e) != AE_IFDIR)
		return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: entry without a name");
	if ((rc = unpack_open_parent(u)) < 0)
		return rc;
	if (u->path[0] && str_starts(u->leaf, ".wh."))
		return unpack_whiteout(u);
	if (archive_entry_hardlink(e))
		return unpack_hardlink(u, archive_entry_hardlink(e));
	return archive_entry_filetype(e) == AE_IFREG ? unpack_file(u, a, e) : unpack_no_file(u, e);
}

int unpack_archive_error(struct unpack *u, struct archive *a)
{
	const char *s = archive_error_string(a);

	if (!s || strstr(s, "nrecognized") || strstr(s, "amaged"))
		return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: invalid tar header");
	if (strstr(s, "runcated") || str_eq(s, "unexpected EOF"))
		return err_kind(&u->err, ERR_BAD_PARAM, "unexpected EOF");
	return err_kind(&u->err, ERR_BAD_PARAM, "archive/tar: %s", s);
}

/* After the last entry: padding and whatever else follows belongs to the stream too. */
static int drain(struct unpack *u)
{
	int rc;

	do {
		record_to(u, UINT64_MAX);
		if ((rc = stream_fill(u)) < 0)
			return err_sysnum(&u->err, rc, "read the stream");
	} while (u->block_len);
	return 0;
}

int unpack_run(struct unpack *u)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int rc = 0, ar;

	if (!a)
		abort();
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (archive_read_open(a, u, NULL, on_read, NULL) != ARCHIVE_OK)
		rc = unpack_archive_error(u, a);
	while (rc == 0) {
		ar = archive_read_next_header(a, &e);
		if (ar == ARCHIVE_EOF)
			break;
		rc = ar < ARCHIVE_WARN ? unpack_archive_error(u, a) : unpack_one(u, a, e);
	}
	if (rc == 0)
		rc = drain(u);
	archive_read_free(a);
	if (rc == 0)
		rc = unpack_finish_dirs(u);
	if (rc == 0 && (rc = split_writer_end(u->split)) < 0)
		rc = err_sysnum(&u->err, rc, "write the layer's recipe");
	if (rc == 0 && u->moves.len &&
	    (rc = fs_write_all(u->moves_fd, u->moves.p, u->moves.len)) < 0)
		rc = err_sysnum(&u->err, rc, "write the layer's moves");
	return rc;
}

/* Keeps what making files of any owner and kind needs, and nothing else. */
int unpack_drop_capabilities(struct err *err)
{
	static const int keep[] = { CAP_CHOWN,	CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
				    CAP_FSETID, CAP_MKNOD,	  CAP_SETFCAP,	       CAP_SYS_ADMIN };
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } }, now[2] = { { 0 } };

	if (syscall(SYS_capget, &head, now) < 0)
		return err_sys(err, "capget");
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		data[keep[i] / 32].permitted |= 1u << (keep[i] % 32);
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted &= now[i].permitted;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, "capset");
	return 0;
}

void unpack_prepare(void)
{
	const struct rlimit no_core = { 0, 0 };
	iconv_t cd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	setrlimit(RLIMIT_CORE, &no_core);
	setlocale(LC_CTYPE, "C.UTF-8");
	cd = iconv_open("UTF-8", "ISO-8859-1");
	if (cd != (iconv_t)-1)
		iconv_close(cd);
}

static int enter(struct unpack *u)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	u->root_fd = openat(u->layer_fd, "diff", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (u->root_fd < 0)
		return err_sys(&u->err, "open the layer's directory");
	if (fchdir(u->root_fd) < 0 || chroot(".") < 0)
		return err_sys(&u->err, "chroot to the layer's directory");
	return unpack_drop_capabilities(&u->err);
}

void unpack_init(struct unpack *u, int split_fd)
{
	*u = (struct unpack){ .root_fd = -1, .parent_fd = -1, .in_fd = -1, .layer_fd = -1, .moves_fd = -1, .cancel_fd = -1 };
	u->path = xstrdup("");
	u->block = xmalloc(BLOCK_SIZE);
	u->split = split_writer_new(split_fd);
}

void unpack_fini(struct unpack *u)
{
	for (size_t i = 0; i < u->n_dirs; i++)
		free(u->dirs[i].path);
	free(u->dirs);
	buf_fini(&u->moves);
	split_writer_free(u->split);
	free(u->block);
	free(u->path);
	free(u->parent);
	if (u->parent_fd >= 0)
		close(u->parent_fd);
}

/* One layer, in a child of its own. */
static void __attribute__((noreturn)) child(const struct unpack_request *rq, const int fds[UNPACK_FDS])
{
	struct unpack *u = xcalloc(1, sizeof(*u));
	int rc;

	close(CHILD_SERVER_SOCKET);
	unpack_init(u, fds[UNPACK_SPLIT]);
	u->in_fd = fds[UNPACK_TAR];
	u->layer_fd = fds[UNPACK_DIR];
	u->moves_fd = fds[UNPACK_MOVES];
	u->max_bytes = rq->max_bytes;
	u->max_entries = rq->max_entries;
	rc = enter(u);
	if (rc == 0)
		rc = unpack_run(u);
	u->res.magic = UNPACK_MAGIC;
	u->res.rc = rc < 0 ? rc : 0;
	str_copy(u->res.msg, sizeof(u->res.msg), rc < 0 ? u->err.msg : "");
	rc = fs_write_all(fds[UNPACK_RESULT], &u->res, sizeof(u->res));
	_exit(rc < 0 || u->res.rc < 0);
}

/* A fork that fails shows to the engine as descriptors that are closed without an answer. */
static void serve(const struct frame *f)
{
	struct unpack_request rq;

	if (f->data.len != sizeof(rq))
		return;
	memcpy(&rq, f->data.p, sizeof(rq));
	if (rq.kind == UNPACK_LAYER && f->n_fds == UNPACK_FDS && fork() == 0)
		child(&rq, f->fds);
	if (rq.kind == UNPACK_ZONE && (f->n_fds == 1 || f->n_fds == 2) && fork() == 0) {
		close(CHILD_SERVER_SOCKET);
		zone_files_child(f->fds[0], f->n_fds > 1 ? f->fds[1] : -1);
	}
}

/* Until the engine closes its end. */
int tar_unpack_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	unpack_prepare();
	prctl(PR_SET_PDEATHSIG, 0); /* the worker that started us may end: our sign is the socket */
	signal(SIGCHLD, SIG_IGN);   /* children need no reaping */
	for (;;) {
		struct pollfd p = { .fd = CHILD_SERVER_SOCKET, .events = POLLIN };
		cleanup_frame struct frame f = FRAME_INIT;
		int rc;

		if (poll(&p, 1, -1) < 0 && errno == EINTR)
			continue;
		rc = frame_recv(CHILD_SERVER_SOCKET, &f, 0);
		if (rc == -EAGAIN)
			continue;
		if (rc <= 0)
			return rc < 0;
		serve(&f);
	}
}
