/* SPDX-License-Identifier: MPL-2.0
 *
 * store_s3.c - Amazon S3's REST API, and that of who speaks it too: PutObject, HeadObject, GetObject.
 *
 * Requests are signed by libcurl (AWS Signature Version 4). The body's SHA-256 is in the signature (x-amz-content-sha256) and so is
 * its MD5 (Content-MD5), which a server must refuse when it does not fit; x-amz-checksum-sha256 asks it to keep the former.
 *
 * Stored is what HEAD then shows: the length, and the checksum that the server has of what it holds: x-amz-checksum-sha256, or an
 * ETag that is the MD5 (of one part, and not encrypted with a key service's key: elsewhere an ETag is any text). None of both,
 * or another one: not stored.
 */
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "store_http.h"
#include "str.h"

#define NO_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PUT_MAX 5000000000LL /* one PUT; more would be a multipart upload */

static void sign(struct store_io *io, struct store_request *rq, const char *sha256)
{
	const char *token = store_io_conf(io)->key.token;

	store_header(rq, "x-amz-content-sha256: %s", sha256);
	if (token)
		store_header(rq, "x-amz-security-token: %s", token);
}

static bool is_md5(const char *etag, const struct store_digest *d)
{
	char hex[33];

	hex_encode(hex, d->md5, sizeof(d->md5));
	return strcasecmp(etag, hex) == 0;
}

static int verify(struct store_io *io, const char *object, const struct store_digest *d, struct err *err)
{
	struct store_request rq = { .method = "HEAD", .object = object, .body_fd = -1 };
	struct store_answer a;
	char sha256[48];
	int rc;

	store_header(&rq, "x-amz-checksum-mode: ENABLED");
	sign(io, &rq, NO_BODY);
	if ((rc = store_exchange(io, &rq, &a, true, err)) < 0)
		return rc;
	if (a.status != 200)
		return store_refused(io, &rq, &a, err);
	store_base64(sha256, d->sha256, sizeof(d->sha256));
	if (a.length != d->size)
		return err_sysnum(err, EBADMSG, "HEAD %s: the store has %lld of %lld bytes", object, (long long)a.length, (long long)d->size);
	if (a.sha256[0] ? !str_eq(a.sha256, sha256) : a.sealed || !is_md5(a.etag, d))
		return err_sysnum(err, EBADMSG, "HEAD %s: the store's checksum is not that of the log", object);
	return 0;
}

int s3_put(struct store_io *io, const char *object, int fd, const struct store_digest *d, struct err *err)
{
	struct store_request rq = { .method = "PUT", .object = object, .body_fd = fd, .body_len = d->size };
	char hex[65], md5[32], sha256[48];
	struct store_answer a;
	int rc;

	if (d->size > PUT_MAX)
		return err_sysnum(err, EFBIG, "larger than one upload may be: %lld bytes", (long long)d->size);
	hex_encode(hex, d->sha256, sizeof(d->sha256));
	store_base64(md5, d->md5, sizeof(d->md5));
	store_base64(sha256, d->sha256, sizeof(d->sha256));
	store_header(&rq, "Content-Type: application/gzip");
	store_header(&rq, "Content-MD5: %s", md5);
	store_header(&rq, "x-amz-checksum-sha256: %s", sha256);
	sign(io, &rq, hex);
	if ((rc = store_exchange(io, &rq, &a, true, err)) < 0)
		return rc;
	if (a.status != 200)
		return store_refused(io, &rq, &a, err);
	return verify(io, object, d, err);
}

int s3_get(struct store_io *io, const char *object, int64_t size, store_data_fn *on_data, void *arg, struct err *err)
{
	struct store_request rq = { .method = "GET", .object = object, .body_fd = -1, .on_data = on_data, .arg = arg, .data_len = size };
	struct store_answer a;
	int rc;

	sign(io, &rq, NO_BODY);
	if ((rc = store_exchange(io, &rq, &a, true, err)) < 0)
		return rc;
	return a.status == 200 ? 0 : store_refused(io, &rq, &a, err);
}
