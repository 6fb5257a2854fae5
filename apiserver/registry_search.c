/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_search.c - docker search.
 *
 *	GET https://index.docker.io/v1/search?q=busybox&n=25
 *	{"results": [{"name", "description", "star_count", "is_official", "is_automated"}, ...]}
 *
 * A term whose first part is a host is asked of that host. The filters are ours to apply. Nothing
 * is automated: Docker took that word back.
 */
#include "apiserver/registry_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/registry.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

#define INDEX_HOST "index.docker.io"
#define ANSWER_MAX (4 * 1024 * 1024)

/* "host/words" -> host (owned) and where the words begin. */
static char *split_host(const char *term, const char **words)
{
	const char *slash = strchr(term, '/');
	size_t n = slash ? (size_t)(slash - term) : 0;
	cleanup_free char *first = xstrndup(term, n);

	*words = term;
	if (!slash || (!strpbrk(first, ".:") && !str_eq(first, "localhost")))
		return xstrdup(INDEX_HOST);
	*words = slash + 1;
	if (str_eq(first, "docker.io") || str_eq(first, INDEX_HOST))
		return xstrdup(INDEX_HOST);
	return xstrdup(first);
}

static bool wanted(const struct registry_search *s, const json_t *o)
{
	if (s->official >= 0 && jget_bool(o, "is_official", false) != s->official)
		return false;
	return jget_int(o, "star_count", 0) >= s->stars;
}

int registry_search_read(const struct registry_search *s, const char *body, size_t len, struct buf *out,
			 struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct jw w = JW(out);
	const json_t *r;
	size_t i;
	int rc;

	if ((rc = jparse(body, len, &o, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "the index's answer");
	}
	jw_arr(&w, NULL);
	json_array_foreach(jget_arr(o, "results"), i, r) {
		if (s->automated == 1 || !wanted(s, r))
			continue;
		jw_obj(&w, NULL);
		jw_int(&w, "star_count", jget_int(r, "star_count", 0));
		jw_bool(&w, "is_official", jget_bool(r, "is_official", false));
		jw_str(&w, "name", jget_str(r, "name", ""));
		jw_bool(&w, "is_automated", false);
		jw_str(&w, "description", jget_str(r, "description", ""));
		jw_end(&w);
	}
	jw_end(&w);
	return 0;
}

/* With an identity token: it is exchanged at the registry's token server for one that may search. *reached: what failed
 * then is not the way to the registry. */
static int ask_with_token(const struct registry_search *s, const char *base, bool insecure, struct http_ask *q,
			  struct http_answer *a, bool *reached, struct err *err)
{
	const struct registry_opts o = { .creds = s->creds, .cancelled = s->cancelled, .arg = s->arg };
	struct reg_endpoint ep = { .insecure = insecure };
	struct registry *reg;
	int rc;

	str_copy(ep.base, sizeof(ep.base), base);
	if ((rc = registry_open(&ep, &o, &reg, err)) < 0)
		return rc;
	*reached = true;
	registry_scope_search(reg);
	rc = registry_ask(reg, q, a, err);
	registry_close(reg);
	return rc;
}

static int ask_with_password(const struct registry_search *s, const char *host, bool insecure, struct http_ask *q,
			     struct http_answer *a, struct err *err)
{
	cleanup_free char *auth = s->creds ? reg_creds_basic(s->creds) : NULL;
	struct http_where where;
	int rc;

	http_where_init(&where, host, insecure);
	where.cancelled = s->cancelled;
	where.arg = s->arg;
	q->auth = auth;
	rc = http_do(&where, q, a, err);
	q->auth = NULL;
	http_where_fini(&where);
	return rc;
}

static int search_at(const struct registry_search *s, const char *scheme, const char *host, const char *words,
		     bool insecure, struct buf *out, bool *reached, struct err *err)
{
	char *escaped = curl_easy_escape(NULL, words, 0);
	cleanup_free char *base = xasprintf("%s://%s", scheme, host);
	cleanup_free char *url = xasprintf("%s/v1/search?q=%s&n=%d", base, escaped ? escaped : "", s->limit);
	struct http_ask q = { .method = "Get", .url = url, .max = ANSWER_MAX };
	struct http_answer a;
	int rc;

	curl_free(escaped);
	if (s->creds && !str_empty(s->creds->identity_token))
		rc = ask_with_token(s, base, insecure, &q, &a, reached, err);
	else
		rc = ask_with_password(s, host, insecure, &q, &a, err);
	if (rc < 0)
		return rc;
	if (a.status != 200)
		rc = err_kind(err, a.status == 401 ? ERR_UNAUTHORIZED : ERR_UNAVAILABLE,
			      "Unexpected status code %ld", a.status);
	else
		rc = registry_search_read(s, buf_str(&a.body), a.body.len, out, err);
	http_answer_fini(&a);
	return rc;
}

/* What a registry that could not be reached says, in Docker's frame, and what the operator may do about it. */
static int unreachable(const char *host, const struct err *tls, const struct err *plain, struct err *err)
{
	const struct err first = *tls;

	*err = (struct err){ 0 };
	if (plain)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid registry endpoint \"http://%s/v1/\". HTTPS attempt: %.500s. HTTP attempt: %.500s", host,
				first.msg, plain->msg);
	return err_kind(err, ERR_BAD_PARAM,
			"invalid registry endpoint https://%s/v1/: %.600s. If this private registry supports only HTTP or HTTPS "
			"with an unknown CA certificate, add it to insecure-registries in sdc-docker.conf. In the case of HTTPS, "
			"if you have access to the registry's CA certificate, place it at certs.d/%s/ca.crt beside that file", host,
			first.msg, host);
}

int registry_search(const struct registry_search *s, struct buf *out, struct err *err)
{
	const char *words;
	cleanup_free char *host = split_host(s->term, &words);
	bool insecure = registry_is_insecure(host), reached = false;
	struct err second = { 0 };
	int rc = search_at(s, "https", host, words, insecure, out, &reached, err);

	if (rc == 0 || reached || err->kind != ERR_SYSTEM || str_eq(host, INDEX_HOST) || rc == -ECANCELED)
		return rc;
	if (!insecure)
		return unreachable(host, err, NULL, err);
	rc = search_at(s, "http", host, words, insecure, out, &reached, &second);
	if (rc < 0 && !reached && second.kind == ERR_SYSTEM)
		return unreachable(host, err, &second, err);
	if (rc < 0)
		*err = second;
	return rc;
}
