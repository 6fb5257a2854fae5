/* SPDX-License-Identifier: MPL-2.0
 *
 * registry.c - the client of the Distribution API.
 *
 * Design: GET /v2/ tells whether there is a registry and what it wants to know of us; from then on
 * each request carries Basic credentials or a token, and a 401 makes one new token and one more
 * attempt. Tokens are for all scopes asked for so far, so one per pull is the rule.
 *
 * Threads: lock guards scopes and token; requests run without it.
 */
#include "apiserver/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/engine.h"
#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "apiserver/manifest.h"
#include "apiserver/schema1.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

struct registry {
	char base[512];
	struct http_where where;
	struct reg_creds none;
	const struct reg_creds *creds;
	pthread_mutex_t lock;
	bool is_v2;
	bool has_challenge;
	struct challenge challenge;
	char **scopes;
	struct token token;
	int64_t token_until_ns;
	unsigned generation; /* of token and scopes */
};

/* ---------------------------------------------------------------- opening */

static int ping(struct registry *r, struct err *err)
{
	cleanup_free char *url = xasprintf("%s/v2/", r->base);
	struct http_ask q = { .method = "Get", .url = url };
	struct http_answer a;
	int rc;

	if ((rc = http_do(&r->where, &q, &a, err)) < 0)
		return rc;
	if (a.status >= 500)
		rc = err_kind(err, ERR_SYSTEM, "Get \"%s\": received unexpected HTTP status: %ld%s", url,
			      a.status, http_status_words(a.status));
	r->is_v2 = a.status == 200 || a.status == 401 ||
		   http_answer_header(&a, "docker-distribution-api-version");
	if (a.status == 401)
		r->has_challenge = challenge_choose(a.challenges, &r->challenge);
	http_answer_fini(&a);
	return rc;
}

int registry_open(const struct reg_endpoint *ep, const struct registry_opts *o, struct registry **out,
		  struct err *err)
{
	struct registry *r = xcalloc(1, sizeof(*r));
	cleanup_free char *host = http_host(ep->base);
	int rc;

	str_copy(r->base, sizeof(r->base), ep->base);
	http_where_init(&r->where, host, ep->insecure);
	r->where.cancelled = o->cancelled;
	r->where.arg = o->arg;
	r->creds = ep->mirror || !o->creds ? &r->none : o->creds;
	r->scopes = strv_split("", ',');
	pthread_mutex_init(&r->lock, NULL);
	if ((rc = ping(r, err)) < 0)
		registry_close(r);
	else
		*out = r;
	return rc;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	http_where_fini(&r->where);
	strv_free(r->scopes);
	token_fini(&r->token);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const char *registry_base(const struct registry *r)
{
	return r->base;
}

bool registry_is_v2(const struct registry *r)
{
	return r->is_v2;
}

static void add_scope(struct registry *r, const char *scope)
{
	pthread_mutex_lock(&r->lock);
	if (!strv_has(r->scopes, scope)) {
		strv_add(&r->scopes, scope);
		token_fini(&r->token);
		r->generation++;
	}
	pthread_mutex_unlock(&r->lock);
}

void registry_scope(struct registry *r, const char *repo, const char *actions)
{
	cleanup_free char *scope = xasprintf("repository:%s:%s", repo, actions);

	add_scope(r, scope);
}

void registry_scope_search(struct registry *r)
{
	add_scope(r, "registry:catalog:search");
}

/* ---------------------------------------------------------------- authorization */

static int bearer_locked(struct registry *r, const char *method, const char *url, char **out, struct err *err)
{
	const struct token_ask q = {
		.challenge = &r->challenge,
		.creds = r->creds,
		.scopes = r->scopes,
		.method = method,
		.url = url,
	};
	int rc;

	if (r->creds->registry_token) {
		*out = xasprintf("Bearer %s", r->creds->registry_token);
		return 0;
	}
	if (r->token.text && mono_ns() >= r->token_until_ns)
		token_fini(&r->token);
	if (!r->token.text) {
		if ((rc = token_get(&r->where, &q, &r->token, err)) < 0) {
			err->kind = ERR_SYSTEM; /* a 401 of ours would say that the client is not known to us */
			return rc;
		}
		r->token_until_ns = mono_ns() + (r->token.expires_s * 1000 - 500) * 1000000;
	}
	*out = xasprintf("Bearer %s", r->token.text);
	return 0;
}

/* *out: value of Authorization, owned, NULL for none. */
static int authorize(struct registry *r, const char *method, const char *url, char **out, unsigned *gen,
		     struct err *err)
{
	int rc = 0;

	*out = NULL;
	pthread_mutex_lock(&r->lock);
	*gen = r->generation;
	if (r->has_challenge && r->challenge.scheme == CHALLENGE_BEARER) {
		rc = bearer_locked(r, method, url, out, err);
	} else if (r->has_challenge && r->challenge.scheme == CHALLENGE_BASIC) {
		*out = reg_creds_basic(r->creds);
		if (!*out)
			rc = err_kind(err, ERR_SYSTEM, "%s \"%s\": " REGISTRY_NO_BASIC, method, url);
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* After a 401. True: a second attempt has a chance. */
static bool reauthorize(struct registry *r, char *const *challenges, unsigned gen)
{
	struct challenge c;
	bool again = true;

	if (!challenge_choose(challenges, &c))
		return false;
	pthread_mutex_lock(&r->lock);
	if (gen == r->generation) {
		again = !r->has_challenge || (c.scheme == CHALLENGE_BEARER && !r->creds->registry_token);
		r->challenge = c;
		r->has_challenge = true;
		token_fini(&r->token);
		r->generation++;
	}
	pthread_mutex_unlock(&r->lock);
	return again;
}

static char *whole_url(const struct registry *r, const char *url)
{
	return url[0] == '/' ? xasprintf("%s/v2%s", r->base, url) : xstrdup(url);
}

/* Credentials go to the registry's own host only: upload locations may be elsewhere. */
static bool same_host(const struct registry *r, const char *url)
{
	cleanup_free char *a = http_host(r->base), *b = http_host(url);

	return str_eq(a, b) && str_starts(url, str_starts(r->base, "https:") ? "https:" : "http:");
}

int registry_ask(struct registry *r, struct http_ask *q, struct http_answer *a, struct err *err)
{
	cleanup_free char *url = whole_url(r, q->url);
	const char *given = q->url;
	unsigned gen = 0;
	int rc;

	q->url = url;
	for (int attempt = 0;; attempt++) {
		cleanup_free char *auth = NULL;

		if (same_host(r, url) && (rc = authorize(r, q->method, url, &auth, &gen, err)) < 0)
			break;
		q->auth = auth;
		rc = http_do(&r->where, q, a, err);
		q->auth = NULL;
		if (rc < 0 || a->status != 401 || attempt || !reauthorize(r, a->challenges, gen))
			break;
		http_answer_fini(a);
	}
	q->url = given;
	return rc;
}

/* ---------------------------------------------------------------- refusals */

static const struct {
	const char *code, *words;
	enum reg_refusal why;
} codes[] = {
	{ "UNAUTHORIZED", "authentication required", REG_UNAUTHORIZED },
	{ "DENIED", "requested access to the resource is denied", REG_DENIED },
	{ "MANIFEST_UNKNOWN", "manifest unknown", REG_MANIFEST_UNKNOWN },
	{ "NAME_UNKNOWN", "repository name not known to registry", REG_NAME_UNKNOWN },
	{ "NAME_INVALID", "invalid repository name", REG_OTHER },
	{ "MANIFEST_INVALID", "manifest invalid", REG_OTHER },
	{ "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", REG_OTHER },
	{ "BLOB_UNKNOWN", "blob unknown to registry", REG_OTHER },
	{ "BLOB_UPLOAD_INVALID", "blob upload invalid", REG_OTHER },
	{ "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", REG_OTHER },
	{ "DIGEST_INVALID", "provided digest did not match uploaded content", REG_OTHER },
	{ "SIZE_INVALID", "provided length did not match content length", REG_OTHER },
	{ "TAG_INVALID", "manifest tag did not match URI", REG_OTHER },
	{ "UNSUPPORTED", "The operation is unsupported.", REG_OTHER },
	{ "UNAVAILABLE", "service unavailable", REG_OTHER },
	{ "TOOMANYREQUESTS", "too many requests", REG_OTHER },
};

static int refusal(const char *code, const char *message, enum reg_refusal *why, struct err *err)
{
	const char *words = "unknown error", *known = "UNKNOWN";
	char text[64];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (!str_eq(codes[i].code, code))
			continue;
		words = codes[i].words;
		known = codes[i].code;
		*why = codes[i].why;
	}
	n = str_copy(text, sizeof(text), known);
	for (size_t i = 0; i < n; i++)
		text[i] = text[i] == '_' ? ' ' : (char)(text[i] | 0x20);
	return err_kind(err, *why == REG_DENIED ? ERR_FORBIDDEN : ERR_SYSTEM, "%s: %.800s", text,
			str_empty(message) ? words : message);
}

int registry_refused(const struct http_answer *a, enum reg_refusal *why, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	enum reg_refusal w = REG_OTHER;
	struct challenge c;
	const json_t *first;
	int rc;

	if (!why)
		why = &w;
	*why = REG_OTHER;
	if (a->status >= 500 || a->status < 400)
		return err_kind(err, ERR_SYSTEM, "received unexpected HTTP status: %ld%s", a->status,
				http_status_words(a->status));
	if (challenge_choose(a->challenges, &c) && c.scheme == CHALLENGE_BEARER) {
		if (str_eq(c.error, "insufficient_scope"))
			return refusal("DENIED", c.error_description, why, err);
		if (str_eq(c.error, "invalid_token"))
			return refusal("UNAUTHORIZED", c.error_description, why, err);
	}
	if (jparse(buf_str(&a->body), a->body.len, &o, &ignored) < 0)
		o = NULL;
	first = json_array_get(jget_arr(o, "errors"), 0);
	if (first)
		rc = refusal(jget_str(first, "code", ""), jget_str(first, "message", ""), why, err);
	else if (a->status == 401)
		rc = refusal("UNAUTHORIZED", "", why, err);
	else if (a->status == 403)
		rc = refusal("DENIED", "", why, err);
	else
		rc = err_kind(err, ERR_SYSTEM, "error parsing HTTP %ld response body: no errors in it: \"%.200s\"",
			      a->status, buf_str(&a->body));
	return rc;
}

/* ---------------------------------------------------------------- blobs */

struct blob_setup {
	struct registry *r;
	const char *url;
	struct curl_slist *headers;
};

static void setup_blob(CURL *curl, void *arg)
{
	struct blob_setup *b = arg;

	http_prepare(&b->r->where, curl, b->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, b->headers);
}

static int open_source(struct registry *r, const char *url, const char *auth, int64_t offset,
		       struct url_source **out, struct err *err)
{
	cleanup_free char *line = auth ? xasprintf("Authorization: %s", auth) : NULL;
	cleanup_free char *range = offset ? xasprintf("Range: bytes=%lld-", (long long)offset) : NULL;
	struct blob_setup b = { .r = r, .url = url };
	const struct url_source_opts o = {
		.setup = setup_blob,
		.arg = &b,
		.cancelled = r->where.cancelled,
		.cancelled_arg = r->where.arg,
	};

	if (line)
		b.headers = curl_slist_append(b.headers, line);
	if (range)
		b.headers = curl_slist_append(b.headers, range);
	return url_source_open_with(url, &o, &b.headers, out, err);
}

int registry_blob(struct registry *r, const char *repo, const char *digest, int64_t offset,
		  struct url_source **out, int64_t *from, bool *gone, struct err *err)
{
	cleanup_free char *url = xasprintf("%s/v2/%s/blobs/%s", r->base, repo, digest);
	struct url_source *s = NULL;
	unsigned gen;
	long status;
	int rc;

	*gone = false;
	for (int attempt = 0;; attempt++) {
		cleanup_free char *auth = NULL;

		if ((rc = authorize(r, "Get", url, &auth, &gen, err)) < 0) {
			*gone = true;
			return rc;
		}
		if ((rc = open_source(r, url, auth, offset, &s, err)) < 0)
			return rc;
		status = url_source_status(s);
		if (status != 401 || attempt || !reauthorize(r, url_source_challenges(s), gen))
			break;
		url_source_free(s);
	}
	if (status == 200 || (status == 206 && offset)) {
		*from = status == 206 ? offset : 0;
		*out = s;
		return 0;
	}
	*gone = status >= 400 && status < 500 && status != 408 && status != 429;
	url_source_free(s);
	if (status == 404)
		return err_kind(err, ERR_SYSTEM, "unknown blob");
	if (status == 401 || status == 403)
		return err_kind(err, ERR_SYSTEM, "%s", status == 401 ?
				"unauthorized: authentication required" :
				"denied: requested access to the resource is denied");
	return err_kind(err, ERR_SYSTEM, "received unexpected HTTP status: %ld%s", status,
			http_status_words(status));
}

int registry_blob_text(struct registry *r, const char *repo, const char *digest, int64_t size,
		       struct buf *out, struct err *err)
{
	cleanup_free char *url = xasprintf("/%s/blobs/%s", repo, digest);
	struct http_ask q = { .method = "Get", .url = url, .max = MANIFEST_MAX };
	struct http_answer a;
	char have[72];
	int rc;

	if (size > MANIFEST_MAX)
		return err_kind(err, ERR_SYSTEM, "blob %s is too large: %lld bytes", digest, (long long)size);
	if ((rc = registry_ask(r, &q, &a, err)) < 0)
		return rc;
	image_digest_of(buf_str(&a.body), a.body.len, have);
	if (a.status != 200)
		rc = registry_refused(&a, NULL, err);
	else if (!str_eq(have, digest))
		rc = err_kind(err, ERR_SYSTEM, "image config verification failed for digest %s", digest);
	else if (size >= 0 && (int64_t)a.body.len != size)
		rc = err_kind(err, ERR_SYSTEM, "blob %s has %zu bytes, not %lld", digest, a.body.len,
			      (long long)size);
	if (rc == 0) {
		*out = a.body;
		a.body = (struct buf){ 0 };
	}
	http_answer_fini(&a);
	return rc;
}

/* ---------------------------------------------------------------- manifests */

/* That of schema 1 leaves the signatures out. */
static void manifest_digest(const struct buf *text, char digest[72])
{
	cleanup_buf struct buf payload = BUF_INIT;

	if (schema1_payload(buf_str(text), text->len, &payload))
		image_digest_of(buf_str(&payload), payload.len, digest);
	else
		image_digest_of(buf_str(text), text->len, digest);
}

static const char *const accept_manifests[] = {
	"Accept: " MANIFEST_DOCKER ", " MANIFEST_DOCKER_LIST ", " MANIFEST_OCI ", " MANIFEST_OCI_INDEX
	", " MANIFEST_SCHEMA1_SIGNED ", " MANIFEST_SCHEMA1 ", application/json;q=0.5",
	NULL,
};

int registry_manifest_head(struct registry *r, const char *repo, const char *tag, char digest[72], struct err *err)
{
	cleanup_free char *url = xasprintf("/%s/manifests/%s", repo, tag);
	struct http_ask q = { .method = "Head", .url = url, .headers = accept_manifests };
	struct http_answer a;
	const char *told;
	int rc;

	digest[0] = '\0';
	if ((rc = registry_ask(r, &q, &a, err)) < 0)
		return rc;
	told = http_answer_header(&a, "docker-content-digest");
	if (a.status == 200 && told && image_id_valid(told))
		str_copy(digest, 72, told);
	http_answer_fini(&a);
	return 0;
}

int registry_manifest(struct registry *r, const char *repo, const char *ref, struct manifest_text *out,
		      enum reg_refusal *why, struct err *err)
{
	cleanup_free char *url = xasprintf("/%s/manifests/%s", repo, ref);
	struct http_ask q = { .method = "Get", .url = url, .headers = accept_manifests, .max = MANIFEST_MAX };
	struct http_answer a;
	const char *type;
	int rc;

	*why = REG_OTHER;
	if ((rc = registry_ask(r, &q, &a, err)) < 0)
		return rc;
	if (a.status != 200) {
		rc = registry_refused(&a, why, err);
		http_answer_fini(&a);
		return rc;
	}
	manifest_digest(&a.body, out->digest);
	if (strchr(ref, ':') && !str_eq(out->digest, ref)) {
		http_answer_fini(&a);
		return err_kind(err, ERR_SYSTEM, "manifest verification failed for digest %s", ref);
	}
	type = http_answer_header(&a, "content-type");
	str_copy(out->content_type, sizeof(out->content_type), type ? type : "");
	out->text = a.body;
	a.body = (struct buf){ 0 };
	http_answer_fini(&a);
	return 0;
}
