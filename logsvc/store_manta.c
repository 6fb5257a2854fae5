/* SPDX-License-Identifier: MPL-2.0
 *
 * store_manta.c - Joyent's Manta: PUT, HEAD and GET of objects, and directories, which must be there first.
 *
 * Requests are signed as draft-cavage-http-signatures has it, over the Date header alone, which is what Manta asks for:
 *
 *	Authorization: Signature keyId="/login/keys/FINGERPRINT",algorithm="rsa-sha256",signature="BASE64"
 *
 * where the signed text is "date: <the header's value>". An ECDSA key makes it ecdsa-sha256.
 * A PUT without its directories is refused (404 DirectoryDoesNotExist): then they are made, one by one, each by a PUT of
 * content-type application/json; type=directory, which does no harm to one that is there; and the object is put again.
 * Stored is what HEAD then shows: length and Content-MD5, which Manta computes of what it has.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "cleanup.h"
#include "store_http.h"
#include "store_sign.h"
#include "str.h"

#define DIRECTORY "application/json; type=directory"

static int sign(struct store_io *io, struct store_request *rq, struct err *err)
{
	const struct store_key *key = &store_io_conf(io)->key;
	cleanup_buf struct buf line = BUF_INIT;
	char date[HTTP_DATE_MAX];
	int rc;

	http_date(date, time(NULL));
	if ((rc = http_signature(key->id, key->pem, date, &line, err)) < 0)
		return rc;
	store_header(rq, "Date: %s", date);
	store_header(rq, "Authorization: %s", buf_str(&line));
	return 0;
}

static int exchange(struct store_io *io, struct store_request *rq, struct store_answer *a, struct err *err)
{
	int rc = sign(io, rq, err);

	if (rc == 0)
		return store_exchange(io, rq, a, false, err);
	curl_slist_free_all(rq->headers);
	rq->headers = NULL;
	return rc;
}

static int put_object(struct store_io *io, const char *object, int fd, const struct store_digest *d, struct store_request *rq,
		      struct store_answer *a, struct err *err)
{
	char md5[32];

	*rq = (struct store_request){ .method = "PUT", .object = object, .body_fd = fd, .body_len = d->size };
	store_base64(md5, d->md5, sizeof(d->md5));
	store_header(rq, "Content-Type: application/gzip");
	store_header(rq, "Content-MD5: %s", md5);
	return exchange(io, rq, a, err);
}

/* The directory of an object and those above it; what the store's own path begins with belongs to the operator, but may be
 * missing as well. */
static int make_directories(struct store_io *io, const char *object, struct err *err)
{
	cleanup_free char *all = xasprintf("%s%s", store_io_conf(io)->at.path, object);
	struct store_answer a;
	int rc = 0, depth = 0;

	for (char *p = all + 1; rc == 0 && (p = strchr(p, '/')); p++) {
		struct store_request rq = { .method = "PUT", .object = all, .from_top = true, .body_fd = -1 };

		if (++depth < 3) /* /login/stor is Manta's */
			continue;
		*p = '\0';
		store_header(&rq, "Content-Type: " DIRECTORY);
		rc = exchange(io, &rq, &a, err);
		if (rc == 0 && a.status != 204 && a.status != 200)
			rc = store_refused(io, &rq, &a, err);
		*p = '/';
	}
	return rc;
}

static int verify(struct store_io *io, const char *object, const struct store_digest *d, struct err *err)
{
	struct store_request rq = { .method = "HEAD", .object = object, .body_fd = -1 };
	struct store_answer a;
	char md5[32];
	int rc;

	if ((rc = exchange(io, &rq, &a, err)) < 0)
		return rc;
	if (a.status != 200)
		return store_refused(io, &rq, &a, err);
	store_base64(md5, d->md5, sizeof(d->md5));
	if (a.length != d->size)
		return err_sysnum(err, EBADMSG, "HEAD %s: the store has %lld of %lld bytes", object, (long long)a.length, (long long)d->size);
	if (!str_eq(a.md5, md5))
		return err_sysnum(err, EBADMSG, "HEAD %s: the store's checksum is not that of the log", object);
	return 0;
}

int manta_put(struct store_io *io, const char *object, int fd, const struct store_digest *d, struct err *err)
{
	struct store_request rq;
	struct store_answer a;
	int rc;

	if ((rc = put_object(io, object, fd, d, &rq, &a, err)) < 0)
		return rc;
	if (a.status == 404 && ((rc = make_directories(io, object, err)) < 0 || (rc = put_object(io, object, fd, d, &rq, &a, err)) < 0))
		return rc;
	if (a.status != 204 && a.status != 200)
		return store_refused(io, &rq, &a, err);
	return verify(io, object, d, err);
}

int manta_get(struct store_io *io, const char *object, int64_t size, store_data_fn *on_data, void *arg, struct err *err)
{
	struct store_request rq = { .method = "GET", .object = object, .body_fd = -1, .on_data = on_data, .arg = arg, .data_len = size };
	struct store_answer a;
	int rc;

	if ((rc = exchange(io, &rq, &a, err)) < 0)
		return rc;
	return a.status == 200 ? 0 : store_refused(io, &rq, &a, err);
}
