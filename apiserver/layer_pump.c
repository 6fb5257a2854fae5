/* SPDX-License-Identifier: MPL-2.0
 *
 * layer_pump.c - inflates a layer, hashes it and feeds it to the unpacking child.
 *
 *	fn --raw--> [inflate] --tar--> slots --> pipe --> child (tar_unpack.c): files, recipe
 *	                                 \--> hashing thread: diff_id
 *
 * Design: the caller's thread reads, inflates (libarchive's raw format for gzip, zstd and bzip2;
 * xz_read.c) and writes the pipe; a second thread hashes the same slots; the child unpacks. So
 * the slowest of the three decides, and memory is the slots'. What is not compressed goes from fn
 * straight into a slot, and is hashed once unless its digest is known: the two would be the same.
 *
 * Invariant: what a child made of a stream that did not come whole is removed by the caller, whatever
 * the child says about it.
 */
#define LOG_MODULE "layer"
#include "apiserver/layer_pump.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "apiserver/engine.h"
#include "apiserver/tar_unpack.h"
#include "apiserver/unpack_server.h"
#include "apiserver/xz_read.h"
#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define SLOT_SIZE (256 * 1024)
#define N_SLOTS	  8
#define RAW_SIZE  (32 * 1024) /* a bomb makes 32 MB of it, then fn can tell that nobody wants them */

const struct layer_limits layer_limits_default = {
	.max_bytes = 256LL << 30,
	.max_entries = 10 * 1000 * 1000,
	.max_ratio = 2000,
	.min_free_bytes = 64LL << 20,
};

struct pump {
	layer_read_fn *fn;
	void *arg;
	const struct layer_limits *limits;
	struct layer_pumped *out;
	struct err *err;
	int read_rc; /* of fn, when it failed */
	EVP_MD_CTX *raw_hash; /* NULL: not needed (yet) */
	/* the head of the stream, read to see what it is */
	unsigned char head[8];
	size_t head_len, head_pos;
	unsigned char *raw; /* RAW_SIZE, what libarchive reads from */
	/* slots between this thread and the hashing one */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned char *slot[N_SLOTS];
	size_t slot_len[N_SLOTS];
	uint64_t filled, hashed;
	bool done;
	EVP_MD_CTX *tar_hash;
	int dir_fd;
	int pipe_fd; /* to the child, -1 without one */
	int result_fd;
	int64_t next_space_check;
};

/* ---------------------------------------------------------------- the stream as it comes */

static ssize_t raw_read(void *arg, void *buf, size_t len)
{
	struct pump *p = arg;
	ssize_t n;

	if (p->head_pos < p->head_len) {
		n = (ssize_t)(p->head_len - p->head_pos);
		n = (size_t)n < len ? n : (ssize_t)len;
		memcpy(buf, p->head + p->head_pos, (size_t)n);
		p->head_pos += (size_t)n;
		return n;
	}
	n = p->fn(p->arg, buf, len);
	if (n < 0) {
		p->read_rc = (int)n;
		return n;
	}
	if (p->raw_hash)
		EVP_DigestUpdate(p->raw_hash, buf, (size_t)n);
	p->out->raw_bytes += n;
	if (p->out->raw_bytes > p->limits->max_bytes)
		return p->read_rc = -EFBIG;
	return n;
}

/* err for what raw_read returned. */
static int read_failed(struct pump *p, int rc)
{
	if (rc == -EFBIG)
		return err_kind(p->err, ERR_SYSTEM, "layer is larger than %lld bytes",
				(long long)p->limits->max_bytes);
	return err_sysnum(p->err, rc, "read the layer");
}

static int read_head(struct pump *p)
{
	ssize_t n;

	while (p->head_len < sizeof(p->head)) {
		n = p->fn(p->arg, p->head + p->head_len, sizeof(p->head) - p->head_len);
		if (n < 0) {
			p->read_rc = (int)n;
			return err_sysnum(p->err, (int)n, "read the layer");
		}
		if (n == 0)
			break;
		p->head_len += (size_t)n;
	}
	if (p->raw_hash)
		EVP_DigestUpdate(p->raw_hash, p->head, p->head_len);
	p->out->raw_bytes = (int64_t)p->head_len;
	return 0;
}

static bool is_compressed(const struct pump *p)
{
	static const struct {
		unsigned char magic[6];
		size_t len;
	} known[] = {
		{ { 0x1f, 0x8b }, 2 },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
		{ { 'B', 'Z', 'h' }, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (p->head_len >= known[i].len && !memcmp(p->head, known[i].magic, known[i].len))
			return true;
	/* a skippable zstd frame (pzstd, estargz) may come first */
	return p->head_len >= 4 && (p->head[0] & 0xf0) == 0x50 && p->head[1] == 0x2a &&
	       p->head[2] == 0x4d && p->head[3] == 0x18;
}

/* ---------------------------------------------------------------- slots */

static void *hash_main(void *arg)
{
	struct pump *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		unsigned i = p->hashed % N_SLOTS;

		if (p->hashed == p->filled) {
			if (p->done)
				break;
			pthread_cond_wait(&p->cond, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		EVP_DigestUpdate(p->tar_hash, p->slot[i], p->slot_len[i]);
		pthread_mutex_lock(&p->lock);
		p->hashed++;
		pthread_cond_broadcast(&p->cond);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static unsigned char *slot_take(struct pump *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->filled - p->hashed == N_SLOTS)
		pthread_cond_wait(&p->cond, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return p->slot[p->filled % N_SLOTS];
}

static int check_limits(struct pump *p)
{
	const struct layer_limits *l = p->limits;
	struct statvfs st;

	if (p->out->tar_bytes > l->max_bytes)
		return err_kind(p->err, ERR_SYSTEM, "layer is larger than %lld bytes",
				(long long)l->max_bytes);
	if (p->out->tar_bytes > 1LL << 30 && p->out->tar_bytes / l->max_ratio > p->out->raw_bytes)
		return err_kind(p->err, ERR_SYSTEM, "layer expands more than %lld times",
				(long long)l->max_ratio);
	if (p->dir_fd >= 0 && p->out->tar_bytes >= p->next_space_check) {
		p->next_space_check = p->out->tar_bytes + (64 << 20);
		if (fstatvfs(p->dir_fd, &st) == 0 &&
		    (int64_t)(st.f_bavail * st.f_frsize) < l->min_free_bytes)
			return err_sysnum(p->err, ENOSPC, "write the layer");
	}
	return 0;
}

/* The slot that slot_take gave holds len bytes of the tar. */
static int slot_give(struct pump *p, size_t len)
{
	unsigned i = p->filled % N_SLOTS;
	int rc;

	p->slot_len[i] = len;
	p->out->tar_bytes += (int64_t)len;
	if ((rc = check_limits(p)) < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	p->filled++;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	if (p->pipe_fd >= 0 && (rc = fs_write_all(p->pipe_fd, p->slot[i], len)) < 0)
		return err_sysnum(p->err, rc, "write to the unpacking child");
	return 0;
}

/* Through fn, which comes down to raw_read, to its end. <0: what it failed with; err is not set for -EBADMSG. */
static int pump_from(struct pump *p, layer_read_fn *fn, void *arg)
{
	ssize_t n;
	size_t len;
	int rc;

	do {
		unsigned char *slot = slot_take(p);

		for (len = 0; len < SLOT_SIZE; len += (size_t)n) {
			n = fn(arg, slot + len, SLOT_SIZE - len);
			if (n < 0)
				return p->read_rc < 0 ? read_failed(p, p->read_rc) : (int)n;
			if (n == 0)
				break;
		}
		if (len && (rc = slot_give(p, len)) < 0)
			return rc;
	} while (len == SLOT_SIZE);
	return 0;
}

static int pump_xz(struct pump *p)
{
	struct xz_read *x = xz_read_new(raw_read, p);
	int rc = pump_from(p, xz_read, x);

	if (xz_read_why(x))
		rc = err_kind(p->err, ERR_SYSTEM, "decompress the layer: %s", xz_read_why(x));
	xz_read_free(x);
	return rc;
}

static la_ssize_t on_raw_read(struct archive *a, void *arg, const void **out)
{
	struct pump *p = arg;
	ssize_t n = raw_read(p, p->raw, RAW_SIZE);

	if (n < 0)
		archive_set_error(a, (int)-n, "read the layer");
	*out = p->raw;
	return n < 0 ? ARCHIVE_FATAL : n;
}

static int inflate_error(struct pump *p, struct archive *a)
{
	const char *s = archive_error_string(a);

	if (p->read_rc < 0)
		return read_failed(p, p->read_rc);
	if (s && strstr(s, "runcated"))
		return err_kind(p->err, ERR_SYSTEM, "unexpected EOF");
	return err_kind(p->err, ERR_SYSTEM, "decompress the layer: %s", s ? s : "bad data");
}

static int pump_inflated(struct pump *p, struct archive *a)
{
	struct archive_entry *e;
	const void *data;
	size_t len, n, used = 0;
	unsigned char *slot = slot_take(p);
	int64_t offset;
	int rc, ar;

	/* a stream that cannot be inflated from its start looks empty but for the error */
	if (archive_read_open(a, p, NULL, on_raw_read, NULL) != ARCHIVE_OK || archive_errno(a))
		return inflate_error(p, a);
	/* one filter and the stream itself: what is compressed once more, or not at all, is no tar */
	if (archive_filter_count(a) != 2)
		return err_kind(p->err, ERR_SYSTEM, "archive/tar: invalid tar header");
	ar = archive_read_next_header(a, &e);
	if (ar == ARCHIVE_EOF)
		return 0;
	if (ar < ARCHIVE_WARN)
		return inflate_error(p, a);
	while ((ar = archive_read_data_block(a, &data, &len, &offset)) == ARCHIVE_OK) {
		for (const char *s = data; len; s += n, len -= n) {
			n = len < SLOT_SIZE - used ? len : SLOT_SIZE - used;
			memcpy(slot + used, s, n);
			used += n;
			if (used < SLOT_SIZE)
				continue;
			if ((rc = slot_give(p, used)) < 0)
				return rc;
			slot = slot_take(p);
			used = 0;
		}
	}
	if (ar != ARCHIVE_EOF)
		return inflate_error(p, a);
	return used ? slot_give(p, used) : 0;
}

/* What follows the compressed data counts for the digest of the stream. */
static int drain_raw(struct pump *p)
{
	ssize_t n;

	while ((n = raw_read(p, p->raw, RAW_SIZE)) > 0)
		;
	return n < 0 ? read_failed(p, (int)n) : 0;
}

static EVP_MD_CTX *new_hash(void)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (!md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL))
		abort();
	return md;
}

static int pump_stream(struct pump *p)
{
	struct archive *a;
	bool xz;
	int rc;

	if ((rc = read_head(p)) < 0)
		return rc;
	xz = xz_is(p->head, p->head_len);
	if (!xz && !is_compressed(p))
		return pump_from(p, raw_read, p);
	if (!p->raw_hash) {
		p->raw_hash = new_hash();
		EVP_DigestUpdate(p->raw_hash, p->head, p->head_len);
	}
	if (xz) {
		rc = pump_xz(p);
		return rc < 0 ? rc : drain_raw(p);
	}
	a = archive_read_new();
	if (!a)
		abort();
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	rc = pump_inflated(p, a);
	archive_read_free(a);
	return rc < 0 ? rc : drain_raw(p);
}

/* ---------------------------------------------------------------- the child */

static int pipe_pair(int *r, int *w, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	*r = pair[0];
	*w = pair[1];
	return 0;
}

static int start_child(struct pump *p)
{
	cleanup_fd int split = -1, moves = -1, tar_r = -1, res_w = -1, tar_w = -1, res_r = -1;
	const struct unpack_request rq = { UNPACK_LAYER, p->limits->max_bytes, p->limits->max_entries };
	int rc;

	if (mkdirat(p->dir_fd, "diff", 0755) < 0)
		return err_sys(p->err, "mkdir diff");
	split = openat(p->dir_fd, "split", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	moves = openat(p->dir_fd, "moves", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (split < 0 || moves < 0)
		return err_sys(p->err, "make the layer's recipe");
	if ((rc = pipe_pair(&tar_r, &tar_w, p->err)) < 0 || (rc = pipe_pair(&res_r, &res_w, p->err)) < 0)
		return rc;
	(void)fcntl(tar_w, F_SETPIPE_SZ, 1 << 20);
	rc = unpack_server_ask(&rq, (const int[UNPACK_FDS]){ tar_r, p->dir_fd, split, moves, res_w }, UNPACK_FDS, p->err);
	if (rc < 0)
		return rc;
	p->pipe_fd = take_fd(&tar_w);
	p->result_fd = take_fd(&res_r);
	return 0;
}

/* The stream has ended or was given up: takes the child's word. rc: of the pump so far; a child's
 * own reason for hanging up is the better one. Returns when the child is done with the directory. */
static int end_child(struct pump *p, int rc)
{
	struct unpack_result res = { 0 };
	bool hung_up = rc == -EPIPE && p->read_rc == 0;
	size_t got = 0;
	ssize_t n;

	close(take_fd(&p->pipe_fd));
	while (got < sizeof(res)) {
		n = read(p->result_fd, (char *)&res + got, sizeof(res) - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(take_fd(&p->result_fd));
	if (rc < 0 && !hung_up)
		return rc;
	res.msg[sizeof(res.msg) - 1] = '\0';
	if (got < sizeof(res) || res.magic != UNPACK_MAGIC)
		return err_kind(p->err, ERR_SYSTEM, "the unpacking child died");
	if (res.rc < 0) {
		*p->err = (struct err){ 0 };
		return err_kind(p->err, ERR_SYSTEM, "Error processing tar file(exit status 1): %s",
				res.msg);
	}
	if (rc < 0)
		return rc;
	p->out->size = res.size;
	p->out->n_entries = res.n_entries;
	p->out->n_whiteouts = res.n_whiteouts;
	p->out->n_skipped = res.n_skipped;
	return 0;
}

/* ---------------------------------------------------------------- all of it */

static void digest_text(EVP_MD_CTX *md, char out[72])
{
	unsigned char d[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_DigestFinal_ex(md, d, &len);
	memcpy(out, "sha256:", 7);
	hex_encode(out + 7, d, 32);
}

static void pump_init(struct pump *p, bool known)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->cond, NULL);
	p->raw = xmalloc(RAW_SIZE);
	for (int i = 0; i < N_SLOTS; i++)
		p->slot[i] = xmalloc(SLOT_SIZE);
	p->tar_hash = new_hash();
	p->raw_hash = known ? new_hash() : NULL;
}

static void pump_fini(struct pump *p)
{
	EVP_MD_CTX_free(p->raw_hash);
	EVP_MD_CTX_free(p->tar_hash);
	for (int i = 0; i < N_SLOTS; i++)
		free(p->slot[i]);
	free(p->raw);
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
}

/* rc: a failure; which may be that of the stream. */
static int blame_stream(struct pump *p, const char *raw_id, int rc)
{
	ssize_t n;

	while ((n = raw_read(p, p->raw, RAW_SIZE)) > 0)
		;
	if (n < 0)
		return rc;
	digest_text(p->raw_hash, p->out->raw_id);
	if (str_eq(p->out->raw_id, raw_id))
		return rc;
	*p->err = (struct err){ 0 };
	return err_kind(p->err, ERR_SYSTEM, "filesystem layer verification failed for digest %s", raw_id);
}

int layer_pump(layer_read_fn *fn, void *arg, const char *raw_id, int dir_fd, const struct layer_limits *limits,
	       struct layer_pumped *out, struct err *err)
{
	struct pump p = { .fn = fn, .arg = arg, .dir_fd = dir_fd, .pipe_fd = -1, .result_fd = -1, .err = err };
	struct layer_limits own = layer_limits_default;
	pthread_t hasher;
	int rc;

	*out = (struct layer_pumped){ 0 };
	p.out = out;
	if (!limits) {
		if (engine->conf)
			own.max_bytes = conf_int(engine->conf, "max-layer-size");
		limits = &own;
	}
	p.limits = limits;
	pump_init(&p, raw_id != NULL);
	rc = dir_fd >= 0 ? start_child(&p) : 0;
	if (rc == 0 && (rc = pthread_create(&hasher, NULL, hash_main, &p)) != 0) {
		rc = err_sysnum(err, rc, "start the hashing thread");
		if (dir_fd >= 0)
			rc = end_child(&p, rc);
	} else if (rc == 0) {
		rc = pump_stream(&p);
		if (dir_fd >= 0)
			rc = end_child(&p, rc);
		pthread_mutex_lock(&p.lock);
		p.done = true;
		pthread_cond_broadcast(&p.cond);
		pthread_mutex_unlock(&p.lock);
		pthread_join(hasher, NULL);
	}
	if (rc == 0) {
		digest_text(p.tar_hash, out->diff_id);
		if (p.raw_hash)
			digest_text(p.raw_hash, out->raw_id);
		else
			memcpy(out->raw_id, out->diff_id, sizeof(out->raw_id));
	} else if (raw_id && p.read_rc == 0 && rc != -ECANCELED) {
		rc = blame_stream(&p, raw_id, rc);
	}
	pump_fini(&p);
	return rc;
}
