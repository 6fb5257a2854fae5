/* SPDX-License-Identifier: MPL-2.0
 *
 * layer_split.c - the recipe of a layer's tar: written while unpacking, replayed by save and push.
 *
 * Design: layer_split.h has the format. Headers of small files compress some 30 times, so the
 * recipe is about 20 bytes a file. Replay reads the recipe from our own disk, but checks every
 * length all the same: a disk may be damaged.
 */
#include "apiserver/layer_split.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"

static const char magic[8] = { 'S', 'D', 'C', 'S', 'P', 'L', 'T', '1' };

#define RAW_MAX	  65536
#define COPY_SIZE (256 * 1024)

/* ---------------------------------------------------------------- writing */

struct split_writer {
	int fd;
	int rc;
	ZSTD_CCtx *z;
	char *out;
	size_t out_size;
	size_t raw_len;
	unsigned char raw[RAW_MAX];
};

static void put(struct split_writer *w, const void *p, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { p, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { w->out, w->out_size, 0 };

		left = ZSTD_compressStream2(w->z, &out, &in, how);
		if (ZSTD_isError(left)) {
			w->rc = w->rc ? w->rc : -EIO;
			return;
		}
		if (out.pos && !w->rc)
			w->rc = fs_write_all(w->fd, w->out, out.pos);
	} while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
}

static void flush_raw(struct split_writer *w)
{
	unsigned char head[5] = { 'R' };
	uint32_t len = htole32((uint32_t)w->raw_len);

	if (!w->raw_len)
		return;
	memcpy(head + 1, &len, 4);
	put(w, head, sizeof(head), ZSTD_e_continue);
	put(w, w->raw, w->raw_len, ZSTD_e_continue);
	w->raw_len = 0;
}

struct split_writer *split_writer_new(int fd)
{
	struct split_writer *w = xcalloc(1, sizeof(*w));

	w->fd = fd;
	w->z = ZSTD_createCCtx();
	if (!w->z)
		abort();
	ZSTD_CCtx_setParameter(w->z, ZSTD_c_compressionLevel, 1);
	w->out_size = ZSTD_CStreamOutSize();
	w->out = xmalloc(w->out_size);
	put(w, magic, sizeof(magic), ZSTD_e_continue);
	return w;
}

int split_writer_raw(struct split_writer *w, const void *p, size_t len)
{
	const char *s = p;
	size_t n;

	while (len) {
		n = RAW_MAX - w->raw_len;
		n = n < len ? n : len;
		memcpy(w->raw + w->raw_len, s, n);
		w->raw_len += n;
		s += n;
		len -= n;
		if (w->raw_len == RAW_MAX)
			flush_raw(w);
	}
	return w->rc;
}

int split_writer_file(struct split_writer *w, const char *path, uint64_t len)
{
	unsigned char head[13] = { 'F' };
	uint64_t len64 = htole64(len);
	uint32_t n = htole32((uint32_t)strlen(path));

	flush_raw(w);
	memcpy(head + 1, &len64, 8);
	memcpy(head + 9, &n, 4);
	put(w, head, sizeof(head), ZSTD_e_continue);
	put(w, path, strlen(path), ZSTD_e_continue);
	return w->rc;
}

int split_writer_end(struct split_writer *w)
{
	flush_raw(w);
	put(w, "E", 1, ZSTD_e_end);
	return w->rc;
}

void split_writer_free(struct split_writer *w)
{
	if (!w)
		return;
	ZSTD_freeCCtx(w->z);
	free(w->out);
	free(w);
}

void split_move_line(struct buf *out, uint64_t n_refs, unsigned number, const char *path)
{
	buf_printf(out, "%llu %u ", (unsigned long long)n_refs, number);
	for (; *path; path++) {
		if (*path == '\n' || *path == '\\')
			buf_addch(out, '\\');
		buf_addch(out, *path == '\n' ? 'n' : *path);
	}
	buf_addch(out, '\n');
}

/* ---------------------------------------------------------------- replay */

struct move {
	uint64_t n_refs;
	unsigned number;
	char *path;
};

struct replay {
	int fd; /* of the recipe */
	int diff_fd, extra_fd;
	ZSTD_DCtx *z;
	char *in, *copy;
	size_t in_size;
	ZSTD_inBuffer zin;
	struct move *moves;
	size_t n_moves;
	uint64_t n_refs;
};

static void replay_fini(struct replay *r)
{
	for (size_t i = 0; i < r->n_moves; i++)
		free(r->moves[i].path);
	free(r->moves);
	ZSTD_freeDCtx(r->z);
	free(r->in);
	free(r->copy);
	if (r->fd >= 0)
		close(r->fd);
	if (r->diff_fd >= 0)
		close(r->diff_fd);
	if (r->extra_fd >= 0)
		close(r->extra_fd);
}

static int torn(struct err *err)
{
	return err_kind(err, ERR_SYSTEM, "the layer's recipe is damaged");
}

/* Exactly len bytes of the recipe. */
static int get(struct replay *r, void *p, size_t len, struct err *err)
{
	ZSTD_outBuffer out = { p, len, 0 };
	ssize_t n;
	size_t rc;

	while (out.pos < len) {
		if (r->zin.pos == r->zin.size) {
			n = read(r->fd, r->in, r->in_size);
			if (n < 0)
				return err_sys(err, "read the layer's recipe");
			if (n == 0)
				return torn(err);
			r->zin = (ZSTD_inBuffer){ r->in, (size_t)n, 0 };
		}
		rc = ZSTD_decompressStream(r->z, &out, &r->zin);
		if (ZSTD_isError(rc))
			return torn(err);
	}
	return 0;
}

static int read_moves(struct replay *r, int layer_fd, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	char *line, *next, *end, *to;
	int rc;

	rc = fs_read_fileat(layer_fd, "moves", 64 * 1024 * 1024, &b, &ignored);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_wrap(err, rc, "%s", ignored.msg);
	for (line = b.p; line && *line; line = next) {
		struct move *m;

		next = strchr(line, '\n');
		if (!next || r->n_moves == LAYER_MOVES_MAX)
			return torn(err);
		*next++ = '\0';
		r->moves = xrealloc(r->moves, (r->n_moves + 1) * sizeof(*r->moves));
		m = &r->moves[r->n_moves++];
		*m = (struct move){ 0 };
		m->n_refs = strtoull(line, &end, 10);
		m->number = (unsigned)strtoul(end, &end, 10);
		if (*end != ' ')
			return torn(err);
		m->path = to = xstrdup(end + 1);
		for (char *from = to; *from; from++) {
			if (*from == '\\' && from[1])
				*to++ = *++from == 'n' ? '\n' : *from;
			else
				*to++ = *from;
		}
		*to = '\0';
	}
	return 0;
}

/* Opens what the reference means: the file itself, or where a later entry's replacing moved it. */
static int open_ref(struct replay *r, const char *path)
{
	char moved[LAYER_SPLIT_PATH_MAX + 32];

	for (size_t i = 0; i < r->n_moves; i++) {
		const struct move *m = &r->moves[i];
		size_t n = strlen(m->path);

		if (r->n_refs > m->n_refs || strncmp(path, m->path, n) != 0 ||
		    (path[n] && path[n] != '/'))
			continue;
		if (str_fmt(moved, sizeof(moved), "%u%s", m->number, path + n) < 0)
			return -1;
		return fs_open_beneath(r->extra_fd, moved, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	}
	return fs_open_beneath(r->diff_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
}

static int replay_file(struct replay *r, tar_write_fn *fn, void *arg, struct err *err)
{
	char path[LAYER_SPLIT_PATH_MAX + 1];
	unsigned char head[12];
	cleanup_fd int fd = -1;
	uint64_t left;
	uint32_t n;
	ssize_t got;
	int rc;

	if ((rc = get(r, head, sizeof(head), err)) < 0)
		return rc;
	memcpy(&left, head, 8);
	left = le64toh(left);
	memcpy(&n, head + 8, 4);
	n = le32toh(n);
	if (!n || n > LAYER_SPLIT_PATH_MAX)
		return torn(err);
	if ((rc = get(r, path, n, err)) < 0)
		return rc;
	path[n] = '\0';
	r->n_refs++;
	fd = open_ref(r, path);
	if (fd < 0)
		return err_sysnum(err, fd, "open %s of the layer", path);
	while (left) {
		got = read(fd, r->copy, left < COPY_SIZE ? left : COPY_SIZE);
		if (got < 0)
			return err_sys(err, "read %s of the layer", path);
		if (got == 0)
			return err_kind(err, ERR_SYSTEM, "%s of the layer is too short", path);
		if ((rc = fn(arg, r->copy, (size_t)got)) < 0)
			return err_sysnum(err, rc, "write the layer");
		left -= (uint64_t)got;
	}
	return 0;
}

static int replay_raw(struct replay *r, tar_write_fn *fn, void *arg, struct err *err)
{
	uint32_t len;
	int rc;

	if ((rc = get(r, &len, 4, err)) < 0)
		return rc;
	len = le32toh(len);
	if (len > RAW_MAX)
		return torn(err);
	if ((rc = get(r, r->copy, len, err)) < 0)
		return rc;
	if ((rc = fn(arg, r->copy, len)) < 0)
		return err_sysnum(err, rc, "write the layer");
	return 0;
}

static int replay_all(struct replay *r, tar_write_fn *fn, void *arg, struct err *err)
{
	char head[sizeof(magic)], type;
	int rc;

	if ((rc = get(r, head, sizeof(head), err)) < 0)
		return rc;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return torn(err);
	for (;;) {
		if ((rc = get(r, &type, 1, err)) < 0)
			return rc;
		if (type == 'E')
			return 0;
		if (type == 'R')
			rc = replay_raw(r, fn, arg, err);
		else if (type == 'F')
			rc = replay_file(r, fn, arg, err);
		else
			rc = torn(err);
		if (rc < 0)
			return rc;
	}
}

int split_replay(int layer_fd, tar_write_fn *fn, void *arg, struct err *err)
{
	struct replay r = { .fd = -1, .diff_fd = -1, .extra_fd = -1 };
	int rc;

	r.fd = openat(layer_fd, "split", O_RDONLY | O_CLOEXEC);
	if (r.fd < 0)
		return err_sys(err, "open the layer's recipe");
	r.diff_fd = openat(layer_fd, "diff", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r.extra_fd = openat(layer_fd, "extra", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r.z = ZSTD_createDCtx();
	r.in_size = ZSTD_DStreamInSize();
	r.in = xmalloc(r.in_size);
	r.copy = xmalloc(COPY_SIZE);
	if (r.diff_fd < 0)
		rc = err_sys(err, "open the layer's files");
	else
		rc = read_moves(&r, layer_fd, err);
	if (rc == 0)
		rc = replay_all(&r, fn, arg, err);
	replay_fini(&r);
	return rc;
}
