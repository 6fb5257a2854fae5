/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_v1.c - the client of the registry protocol v1.
 *
 *	GET /v1/_ping
 *	GET /v1/repositories/REPO/images	X-Docker-Token: true, Basic
 *						-> X-Docker-Token, X-Docker-Endpoints: host, host
 *	GET /v1/repositories/REPO/tags[/TAG]	Authorization: Token ..., of an endpoint, as all below
 *	GET /v1/images/ID/ancestry		["ID", parent, ...]
 *	GET /v1/images/ID/json, /layer
 *
 * Design: the index tells the endpoints; without, it is one itself. The first that answers is used
 * for all. An endpoint gets the token, or the index's Basic credentials when it is the index: never
 * those elsewhere. Ids are checked before they are put into addresses.
 */
#include "apiserver/registry_v1.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_v1.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define JSON_MAX      (4 * 1024 * 1024)
#define CHAIN_MAX     500
#define ENDPOINTS_MAX 8

struct registry_v1 {
	char *host;    /* of the index */
	char *base;    /* https://host/v1 of the endpoint in use */
	char **bases;  /* all that may be used */
	char *repo;
	char *auth;    /* for endpoints; NULL: none */
	struct http_where where;
};

static void where_of(struct http_where *w, const char *base, bool insecure, const struct registry_opts *o)
{
	cleanup_free char *host = http_host(base);

	http_where_init(w, host, insecure || registry_is_insecure(host));
	w->cancelled = o->cancelled;
	w->arg = o->arg;
}

bool registry_v1_there(const struct reg_endpoint *ep, const struct registry_opts *o)
{
	cleanup_free char *url = xasprintf("%s/v1/_ping", ep->base);
	struct http_ask q = { .method = "Get", .url = url };
	struct err ignored = { 0 };
	struct http_where w;
	struct http_answer a;
	bool there = false;

	where_of(&w, ep->base, ep->insecure, o);
	if (http_do(&w, &q, &a, &ignored) == 0) {
		there = a.status == 200 || a.status == 401;
		http_answer_fini(&a);
	}
	http_where_fini(&w);
	return there;
}

/* ---------------------------------------------------------------- opening */

/* "host, host:port": those that can be hosts, with the index's scheme. */
char **registry_v1_endpoints(const char *base, const char *list)
{
	char **out = strv_split("", ',');
	cleanup_strv char **hosts = strv_split(list ? list : "", ',');
	int scheme = str_starts(base, "https:") ? 8 : 7;

	for (char **h = hosts; *h && strv_len(out) < ENDPOINTS_MAX; h++) {
		const char *host = *h + strspn(*h, " \t");
		cleanup_free char *url = NULL;
		size_t n = strcspn(host, " \t");

		if (!n || strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_[]") < n)
			continue;
		url = xasprintf("%.*s%.*s/v1", scheme, base, (int)n, host);
		strv_add(&out, url);
	}
	if (!out[0]) {
		cleanup_free char *url = xasprintf("%s/v1", base);

		strv_add(&out, url);
	}
	return out;
}

static int index_refused(const struct http_answer *a, const char *repo, struct err *err)
{
	if (a->status == 401)
		return err_kind(err, ERR_SYSTEM, "unauthorized: authentication required");
	if (a->status == 404)
		return err_kind(err, ERR_NOT_FOUND, "Error: image %s not found", repo);
	return err_kind(err, ERR_SYSTEM, "Error: Status %ld trying to pull repository %s: \"%.200s\"", a->status,
			repo, buf_str(&a->body));
}

static void take_index(struct registry_v1 *r, const char *base, const struct http_answer *a, char *basic)
{
	const char *token = http_answer_header(a, "x-docker-token");

	r->bases = registry_v1_endpoints(base, http_answer_header(a, "x-docker-endpoints"));
	if (token && !str_eq(token, "true"))
		r->auth = xasprintf("Token %s", token);
	else if (basic && !http_answer_header(a, "x-docker-endpoints"))
		r->auth = xstrdup(basic);
}

int registry_v1_open(const struct reg_endpoint *ep, const struct registry_opts *o, const char *repo,
		     struct registry_v1 **out, struct err *err)
{
	static const char *const headers[] = { "X-Docker-Token: true", "Accept: application/json", NULL };
	cleanup_free char *url = xasprintf("%s/v1/repositories/%s/images", ep->base, repo);
	cleanup_free char *basic = o->creds && !ep->mirror ? reg_creds_basic(o->creds) : NULL;
	struct http_ask q = { .method = "Get", .url = url, .headers = headers, .auth = basic, .max = JSON_MAX };
	struct registry_v1 *r = xcalloc(1, sizeof(*r));
	struct http_answer a;
	int rc;

	where_of(&r->where, ep->base, ep->insecure, o);
	r->host = http_host(ep->base);
	r->repo = xstrdup(repo);
	if ((rc = http_do(&r->where, &q, &a, err)) == 0) {
		if (a.status == 200)
			take_index(r, ep->base, &a, basic);
		else
			rc = index_refused(&a, repo, err);
		http_answer_fini(&a);
	}
	if (basic)
		explicit_bzero(basic, strlen(basic));
	if (rc < 0)
		registry_v1_close(r);
	else
		*out = r;
	return rc;
}

void registry_v1_close(struct registry_v1 *r)
{
	if (!r)
		return;
	if (r->auth)
		explicit_bzero(r->auth, strlen(r->auth));
	free(r->auth);
	free(r->repo);
	free(r->host);
	free(r->base);
	strv_free(r->bases);
	http_where_fini(&r->where);
	free(r);
}

const char *registry_v1_host(const struct registry_v1 *r)
{
	return r->host;
}

/* ---------------------------------------------------------------- asking */

/* JSON from the endpoint in use; what: for the words. */
static int get_json(struct registry_v1 *r, const char *path, const char *what, json_t **out, struct err *err)
{
	cleanup_free char *url = xasprintf("%s%s", r->base, path);
	struct http_ask q = { .method = "Get", .url = url, .auth = r->auth, .max = JSON_MAX };
	struct http_answer a;
	int rc;

	if ((rc = http_do(&r->where, &q, &a, err)) < 0)
		return rc;
	if (a.status == 401)
		rc = err_kind(err, ERR_SYSTEM, "unauthorized: authentication required");
	else if (a.status == 404)
		rc = err_kind(err, ERR_NOT_FOUND, "Server error: 404 trying to fetch %s", what);
	else if (a.status != 200)
		rc = err_kind(err, ERR_SYSTEM, "Server error: %ld trying to fetch %s", a.status, what);
	else if ((rc = jparse(buf_str(&a.body), a.body.len, out, err)) < 0) {
		err->kind = ERR_SYSTEM;
		rc = err_wrap(err, rc, "Error while reading the http response");
	}
	http_answer_fini(&a);
	return rc;
}

static void use_endpoint(struct registry_v1 *r, const char *base)
{
	struct http_where w;
	const struct registry_opts o = { .cancelled = r->where.cancelled, .arg = r->where.arg };

	where_of(&w, base, false, &o);
	w.insecure = w.insecure || (r->where.insecure && !r->base);
	http_where_fini(&r->where);
	r->where = w;
	free(r->base);
	r->base = xstrdup(base);
}

/* A library image of the Hub's kind has no slash in its name. */
static char *tags_path(const struct registry_v1 *r, const char *tag)
{
	return xasprintf("/repositories/%s%s/tags%s%s", strchr(r->repo, '/') ? "" : "library/", r->repo,
			 tag ? "/" : "", tag ? tag : "");
}

int registry_v1_tags(struct registry_v1 *r, const char *tag, json_t **out, struct err *err)
{
	cleanup_free char *path = tags_path(r, tag);
	cleanup_json json_t *o = NULL, *map = NULL;
	const char *name;
	json_t *id;
	int rc = err_kind(err, ERR_SYSTEM, "Could not reach any registry endpoint");

	for (char **b = r->bases; *b && rc < 0; b++) {
		*err = (struct err){ 0 };
		use_endpoint(r, *b);
		if ((rc = get_json(r, path, "the tags", &o, err)) < 0 && err->kind == ERR_NOT_FOUND)
			return rc;
	}
	if (rc < 0)
		return rc;
	map = tag ? json_pack("{s:O}", tag, o) : json_incref(o);
	json_object_foreach(map, name, id)
		if (!json_is_string(id) || !image_v1_id_valid(json_string_value(id)))
			return err_kind(err, ERR_SYSTEM, "the registry gives no valid image ID for the tag %.128s", name);
	if (!json_is_object(map))
		return err_kind(err, ERR_SYSTEM, "the registry's list of tags is none");
	*out = take_ptr(&map);
	return 0;
}

int registry_v1_ancestry(struct registry_v1 *r, const char *id, char ***out, struct err *err)
{
	cleanup_free char *path = xasprintf("/images/%s/ancestry", id);
	cleanup_free char *what = xasprintf("remote history for %s", id);
	cleanup_strv char **v = strv_split("", ',');
	cleanup_json json_t *o = NULL;
	const json_t *item;
	size_t i;
	int rc;

	if ((rc = get_json(r, path, what, &o, err)) < 0)
		return rc;
	if (!json_array_size(o))
		return err_kind(err, ERR_SYSTEM, "empty history for image %s", id);
	if (json_array_size(o) > CHAIN_MAX)
		return err_kind(err, ERR_SYSTEM, "image %s has %zu layers", id, json_array_size(o));
	json_array_foreach(o, i, item) {
		const char *s = json_string_value(item);

		if (!s || !image_v1_id_valid(s) || strv_has(v, s))
			return err_kind(err, ERR_SYSTEM, "image ID \"%.100s\" is invalid", s ? s : "");
		strv_add(&v, s);
	}
	*out = take_ptr(&v);
	return 0;
}

int registry_v1_json(struct registry_v1 *r, const char *id, json_t **out, struct err *err)
{
	cleanup_free char *path = xasprintf("/images/%s/json", id);
	cleanup_free char *what = xasprintf("the json of %s", id);

	return get_json(r, path, what, out, err);
}

struct layer_setup {
	struct registry_v1 *r;
	const char *url;
	struct curl_slist *headers;
};

static void setup_layer(CURL *curl, void *arg)
{
	struct layer_setup *s = arg;

	http_prepare(&s->r->where, curl, s->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, s->headers);
}

int registry_v1_layer(struct registry_v1 *r, const char *id, int64_t offset, struct url_source **out,
		      int64_t *from, bool *gone, struct err *err)
{
	cleanup_free char *url = xasprintf("%s/images/%s/layer", r->base, id);
	cleanup_free char *auth = r->auth ? xasprintf("Authorization: %s", r->auth) : NULL;
	cleanup_free char *range = offset ? xasprintf("Range: bytes=%lld-", (long long)offset) : NULL;
	struct layer_setup s = { .r = r, .url = url };
	const struct url_source_opts o = {
		.setup = setup_layer,
		.arg = &s,
		.cancelled = r->where.cancelled,
		.cancelled_arg = r->where.arg,
	};
	struct url_source *src = NULL;
	long status;
	int rc;

	if (auth)
		s.headers = curl_slist_append(s.headers, auth);
	if (range)
		s.headers = curl_slist_append(s.headers, range);
	*gone = false;
	if ((rc = url_source_open_with(url, &o, &s.headers, &src, err)) < 0)
		return rc;
	status = url_source_status(src);
	if (status == 200 || (status == 206 && offset)) {
		*from = status == 206 ? offset : 0;
		*out = src;
		return 0;
	}
	*gone = status >= 400 && status < 500 && status != 408 && status != 429;
	url_source_free(src);
	return err_kind(err, ERR_SYSTEM, "Server error: Status %ld while fetching image layer (%s)", status, id);
}
