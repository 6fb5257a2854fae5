/* SPDX-License-Identifier: MPL-2.0
 *
 * push_upload.c - see push_upload.h.
 *
 *	whole		PUT LOCATION?digest=				what every registry knows
 *	after a cut	GET LOCATION -> 204, Range: 0-N			how far it came
 *			PATCH LOCATION, Content-Range: N+1-M -> 202	the rest
 *			PUT LOCATION?digest=				its end
 *	after a 413	PATCH in pieces, PUT				a proxy before the registry has a limit
 *
 * Design: where a registry does not tell how far an upload came, it is begun anew: the blob's digest decides about
 * every way. Each answer may name another location for the next request.
 */
#define LOG_MODULE "push"
#include "apiserver/push_upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/registry.h"
#include "apiserver/transfer_limits.h"
#include "cleanup.h"
#include "log.h"
#include "str.h"

#define CHUNK (8LL * 1024 * 1024)

/* ---------------------------------------------------------------- asking */

int push_blob_there(const struct push_to *to, const char *digest, struct err *err)
{
	cleanup_free char *url = xasprintf("/%s/blobs/%s", to->repo, digest);
	struct http_ask q = { .method = "Head", .url = url };
	struct http_answer a;
	int rc;

	if ((rc = registry_ask(to->reg, &q, &a, err)) < 0)
		return rc;
	if (a.status == 200)
		rc = 1;
	else if (a.status != 404)
		rc = registry_refused(&a, NULL, err);
	http_answer_fini(&a);
	return rc;
}

/* The address to upload to, whole. */
static char *whole_location(const struct push_to *to, const struct http_answer *a)
{
	const char *s = http_answer_header(a, "location");

	if (s && s[0] == '/')
		return xasprintf("%s%s", registry_base(to->reg), s);
	return s && (str_starts(s, "http://") || str_starts(s, "https://")) ? xstrdup(s) : NULL;
}

int push_begin(const struct push_to *to, const char *digest, const char *from, char **location, struct err *err)
{
	cleanup_free char *query = from ? xasprintf("?mount=%s&from=%s", digest, from) : xstrdup("");
	cleanup_free char *url = xasprintf("/%s/blobs/uploads/%s", to->repo, query);
	struct http_ask q = { .method = "Post", .url = url };
	struct http_answer a;
	int rc;

	*location = NULL;
	if ((rc = registry_ask(to->reg, &q, &a, err)) < 0)
		return rc;
	if (a.status == 202) {
		*location = whole_location(to, &a);
		rc = *location ? 0 : err_kind(err, ERR_SYSTEM, "the registry gave no place to upload to");
	} else if (a.status != 201 || !from) {
		rc = registry_refused(&a, NULL, err);
	}
	http_answer_fini(&a);
	return rc;
}

/* ---------------------------------------------------------------- sending */

/* One upload at the registry. */
struct session {
	struct push_upload *u;
	char *at;	 /* its location, NULL: there is none */
	int64_t done;	 /* bytes that the registry has */
	int64_t chunk;	 /* of a PATCH; 0: all the rest */
	bool in_pieces;
	int64_t base;	 /* of the request that is under way */
	long status;
};

static void on_sent(void *arg, int64_t sent, int64_t total)
{
	const struct session *s = arg;

	(void)total;
	if (s->u->id)
		transfer_bar(s->u->to->t, s->u->id, "Pushing", s->base + sent, (int64_t)s->u->len);
}

static void next_location(struct session *s, const struct http_answer *a)
{
	char *next = whole_location(s->u->to, a);

	if (!next)
		return;
	free(s->at);
	s->at = next;
}

/* len bytes from s->done on. */
static int send_bytes(struct session *s, const char *method, const char *url, const char *range, int64_t len,
		      struct err *err)
{
	const char *const headers[] = { "Content-Type: application/octet-stream", range, NULL };
	struct http_ask q = {
		.method = method,
		.url = url,
		.headers = headers,
		.body = s->u->p ? s->u->p + s->done : NULL,
		.body_len = (size_t)len,
		.body_fd = len ? s->u->fd : 0,
		.body_from = s->done,
		.on_sent = on_sent,
		.sent_arg = s,
	};
	struct http_answer a;
	int rc;

	s->status = 0;
	s->base = s->done;
	if ((rc = registry_ask(s->u->to->reg, &q, &a, err)) < 0)
		return rc;
	s->status = a.status;
	if (a.status < 200 || a.status > 299)
		rc = registry_refused(&a, NULL, err);
	else
		next_location(s, &a);
	http_answer_fini(&a);
	return rc;
}

static int put_rest(struct session *s, struct err *err)
{
	cleanup_free char *url = xasprintf("%s%cdigest=%s", s->at, strchr(s->at, '?') ? '&' : '?', s->u->digest);

	return send_bytes(s, "Put", url, NULL, (int64_t)s->u->len - s->done, err);
}

static int patch_one(struct session *s, struct err *err)
{
	int64_t left = (int64_t)s->u->len - s->done, n = s->chunk && s->chunk < left ? s->chunk : left;
	cleanup_free char *range = xasprintf("Content-Range: %lld-%lld", (long long)s->done,
					     (long long)(s->done + n - 1));
	cleanup_free char *url = xstrdup(s->at);
	int rc = send_bytes(s, "Patch", url, range, n, err);

	if (rc == 0)
		s->done += n;
	return rc;
}

static int send_all(struct session *s, struct err *err)
{
	int rc;

	if (!s->in_pieces)
		return put_rest(s, err);
	while (s->done < (int64_t)s->u->len)
		if ((rc = patch_one(s, err)) < 0)
			return rc;
	return put_rest(s, err);
}

/* ---------------------------------------------------------------- going on */

int64_t push_range_done(const char *range)
{
	int64_t last;

	if (!range || !str_starts(range, "0-") || parse_i64(range + 2, 0, INT64_MAX - 1, &last) < 0)
		return 0;
	return last ? last + 1 : 0; /* "0-0" is also what an empty upload has */
}

/* After a cut: where the upload stands. One that cannot be gone on with is forgotten. */
static void look_where(struct session *s)
{
	cleanup_free char *url = xstrdup(s->at ? s->at : "");
	struct http_ask q = { .method = "Get", .url = url };
	struct http_answer a;
	struct err ignored = { 0 };

	s->done = 0;
	s->in_pieces = s->chunk > 0;
	if (!s->at || registry_ask(s->u->to->reg, &q, &a, &ignored) < 0) {
		free(take_ptr(&s->at));
		return;
	}
	if (a.status == 204 || a.status == 202)
		s->done = push_range_done(http_answer_header(&a, "range"));
	if (s->done > 0 && s->done <= (int64_t)s->u->len) {
		next_location(s, &a);
		s->in_pieces = true;
		log_info("upload goes on", "blob=%s at=%lld", s->u->digest, (long long)s->done);
	} else {
		s->done = 0;
		free(take_ptr(&s->at));
	}
	http_answer_fini(&a);
}

/* True: the failure is no reason to give up. */
static bool again(struct session *s, unsigned attempt, const struct err *err)
{
	if (err->code == -ECANCELED || attempt + 1 >= transfer_attempts(TRANSFER_UP) || err->kind == ERR_FORBIDDEN ||
	    str_starts(err->msg, "unauthorized"))
		return false;
	if (s->status == 413 && !s->chunk) {
		s->chunk = CHUNK;
		free(take_ptr(&s->at));
		s->done = 0;
		s->in_pieces = true;
		return true;
	}
	if ((s->status >= 400 && s->status < 500 && s->status != 408 && s->status != 416 && s->status != 429) ||
	    !transfer_backoff(s->u->to->t, s->u->id ? s->u->id : "", attempt))
		return false;
	look_where(s);
	return true;
}

int push_upload(struct push_upload *u, char *location, struct err *err)
{
	struct session s = { .u = u, .at = location };
	int rc;

	for (unsigned attempt = 0;; attempt++) {
		s.status = 0;
		rc = s.at ? 0 : push_begin(u->to, u->digest, NULL, &s.at, err);
		if (rc == 0)
			rc = send_all(&s, err);
		if (rc == 0 || !again(&s, attempt, err))
			break;
		*err = (struct err){ 0 };
	}
	free(s.at);
	return rc;
}
