/* SPDX-License-Identifier: MPL-2.0
 *
 * push_layer.c - one blob into a repository.
 *
 * A layer, in this order, until one works:
 *
 *	1. this repository is known to have it as some blob		HEAD
 *	2. another repository of the registry is		POST uploads/?mount=&from=
 *	3. it is known as some blob from anywhere			HEAD
 *	4. it is made again, compressed into a nameless file	HEAD, POST uploads/, PUT
 *
 * Design: the file, rather than a stream, gives digest and length before the first byte is sent:
 * one monolithic PUT, which every registry knows, and which can be repeated. It has no name, so a
 * crash leaves nothing. Compression is deterministic: no time stamp, no name, one level.
 */
#define LOG_MODULE "push"
#include "apiserver/push_layer.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "apiserver/engine.h"
#include "apiserver/image_layer.h"
#include "apiserver/push_upload.h"
#include "apiserver/registry_origins.h"
#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define OUT_SIZE      (256 * 1024)
#define MOUNTS_MAX    4
#define KNOWN_MAX     3
#define LEVEL	      6
#define GZIP_WINDOW   (15 + 16)

int push_bytes(const struct push_to *to, const char *p, size_t len, const char *digest, struct err *err)
{
	struct push_upload u = { .to = to, .digest = digest, .p = p, .len = len };
	int rc = push_blob_there(to, digest, err);

	return rc < 0 ? rc : rc ? 0 : push_upload(&u, NULL, err);
}

/* ---------------------------------------------------------------- compressing */

struct squeeze {
	z_stream z;
	EVP_MD_CTX *md;
	unsigned char *out;
	int fd;
	int64_t len;
	struct transfer *t;
};

static int squeeze_out(struct squeeze *s)
{
	size_t n = OUT_SIZE - s->z.avail_out;
	int rc = fs_write_all(s->fd, s->out, n);

	EVP_DigestUpdate(s->md, s->out, n);
	s->len += (int64_t)n;
	s->z.next_out = s->out;
	s->z.avail_out = OUT_SIZE;
	return rc;
}

static int squeeze_some(void *arg, const void *p, size_t len)
{
	struct squeeze *s = arg;
	int rc;

	if (transfer_stopped(s->t))
		return -ECANCELED;
	s->z.next_in = (unsigned char *)p;
	s->z.avail_in = (unsigned)len;
	while (s->z.avail_in) {
		if (deflate(&s->z, Z_NO_FLUSH) == Z_STREAM_ERROR)
			return -EIO;
		if (!s->z.avail_out && (rc = squeeze_out(s)) < 0)
			return rc;
	}
	return 0;
}

static int squeeze_end(struct squeeze *s)
{
	int z, rc;

	do {
		z = deflate(&s->z, Z_FINISH);
		if ((rc = squeeze_out(s)) < 0)
			return rc;
	} while (z == Z_OK || z == Z_BUF_ERROR);
	return z == Z_STREAM_END ? 0 : -EIO;
}

/* The layer, compressed, in fd. */
static int compress_layer(const struct push_to *to, const char *chain, int fd, struct descriptor *out,
			  struct err *err)
{
	struct squeeze s = { .fd = fd, .t = to->t };
	unsigned char d[EVP_MAX_MD_SIZE];
	int rc;

	s.out = xmalloc(OUT_SIZE);
	s.md = EVP_MD_CTX_new();
	s.z.next_out = s.out;
	s.z.avail_out = OUT_SIZE;
	if (!s.md || !EVP_DigestInit_ex(s.md, EVP_sha256(), NULL) ||
	    deflateInit2(&s.z, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	rc = layer_export(chain, squeeze_some, &s, err);
	if (rc < 0 && !err->msg[0])
		err_sysnum(err, rc, "compress layer %s", chain);
	if (rc == 0 && (rc = squeeze_end(&s)) < 0)
		rc = err_sysnum(err, rc, "compress layer %s", chain);
	deflateEnd(&s.z);
	EVP_DigestFinal_ex(s.md, d, NULL);
	EVP_MD_CTX_free(s.md);
	free(s.out);
	if (rc < 0)
		return rc;
	memcpy(out->digest, "sha256:", 7);
	hex_encode(out->digest + 7, d, 32);
	out->size = s.len;
	return 0;
}

/* ---------------------------------------------------------------- one layer */

struct pushing {
	const struct push_to *to;
	const char *diff_id;
	char id[13];
	struct reg_origin *known;
	size_t n_known;
	char *location; /* of an upload that a refused mount has begun */
	struct descriptor *out;
};

static void found(struct pushing *p, const char *digest, int64_t size)
{
	struct reg_origin o = { .size = size };

	str_copy(p->out->digest, sizeof(p->out->digest), digest);
	p->out->size = size;
	str_copy(o.digest, sizeof(o.digest), digest);
	str_copy(o.repo, sizeof(o.repo), p->to->canonical_repo);
	registry_origin_add(p->diff_id, &o);
}

/* Steps 1 and 3. */
static int known_there(struct pushing *p, bool here, struct err *err)
{
	unsigned asked = 0;
	int rc;

	for (size_t i = 0; i < p->n_known && asked < KNOWN_MAX; i++) {
		const struct reg_origin *o = &p->known[i];

		if (str_eq(o->repo, p->to->canonical_repo) != here || o->size <= 0)
			continue;
		asked++;
		if ((rc = push_blob_there(p->to, o->digest, err)) < 0)
			return rc;
		if (rc) {
			transfer_line(p->to->t, p->id, "Layer already exists");
			found(p, o->digest, o->size);
			return 1;
		}
		if (here)
			registry_origin_del(p->diff_id, o);
	}
	return 0;
}

/* The path of a repository of the same registry; NULL: it is of another. */
static const char *sibling(const struct push_to *to, const struct reg_origin *o)
{
	size_t n = strlen(to->domain);

	if (strncmp(o->repo, to->domain, n) != 0 || o->repo[n] != '/' || str_eq(o->repo, to->canonical_repo))
		return NULL;
	return o->repo + n + 1;
}

static int mount_from_sibling(struct pushing *p, struct err *err)
{
	unsigned asked = 0;
	int rc;

	for (size_t i = 0; i < p->n_known && asked < MOUNTS_MAX && !p->location; i++) {
		const struct reg_origin *o = &p->known[i];
		const char *from = sibling(p->to, o);
		struct err why = { 0 };

		if (!from || o->size <= 0)
			continue;
		asked++;
		registry_scope(p->to->reg, from, "pull");
		rc = push_begin(p->to, o->digest, from, &p->location, &why);
		if (rc == 0 && !p->location) {
			transfer_line(p->to->t, p->id, "Mounted from %s", from);
			found(p, o->digest, o->size);
			return 1;
		}
		if (rc < 0 && why.code == -ECANCELED) {
			*err = why;
			return rc;
		}
		registry_origin_del(p->diff_id, o);
	}
	return 0;
}

static int make_and_send(struct pushing *p, const char *chain, struct err *err)
{
	cleanup_free char *dir = xasprintf("%s/layers/tmp", engine->paths.lib);
	cleanup_fd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct push_upload u = { .to = p->to, .id = p->id };
	struct descriptor d;
	int rc;

	if (fd < 0)
		return err_sys(err, "make a temporary file in %s", dir);
	if ((rc = compress_layer(p->to, chain, fd, &d, err)) < 0 ||
	    (rc = push_blob_there(p->to, d.digest, err)) < 0)
		return rc;
	if (rc) {
		transfer_line(p->to->t, p->id, "Layer already exists");
		found(p, d.digest, d.size);
		return 0;
	}
	u.digest = d.digest;
	u.fd = fd;
	u.len = (size_t)d.size;
	if ((rc = push_upload(&u, take_ptr(&p->location), err)) < 0)
		return rc;
	transfer_line(p->to->t, p->id, "Pushed");
	found(p, d.digest, d.size);
	return 0;
}

int push_layer(const struct push_to *to, const char *chain, const char *diff_id, struct descriptor *out,
	       struct err *err)
{
	struct pushing p = { .to = to, .diff_id = diff_id, .out = out };
	int rc;

	*out = (struct descriptor){ 0 };
	str_copy(out->media_type, sizeof(out->media_type), MANIFEST_DOCKER_LAYER);
	str_copy(p.id, sizeof(p.id), diff_id + 7);
	p.known = registry_origins(diff_id, &p.n_known);
	rc = known_there(&p, true, err);
	if (rc == 0)
		rc = mount_from_sibling(&p, err);
	if (rc == 0)
		rc = known_there(&p, false, err);
	if (rc == 0)
		rc = make_and_send(&p, chain, err);
	free(p.known);
	free(p.location);
	return rc < 0 ? rc : 0;
}
