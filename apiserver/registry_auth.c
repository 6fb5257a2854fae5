/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_auth.c - credentials, challenges, tokens.
 *
 *	WWW-Authenticate: Bearer realm="https://auth.example/token",service="x",scope="repository:a/b:pull"
 *
 * With user and password, or anonymously: GET realm?service=&scope=, Basic. With an identity token:
 * POST realm, grant_type=refresh_token. Secrets go to nobody else, and into no log; not over plain
 * HTTP when the registry itself was reached by TLS.
 */
#include "apiserver/registry_auth.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/b64.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define TOKEN_SECONDS 60 /* where the server does not say how long one is good */

/* ---------------------------------------------------------------- what the client told */

static char *dup_member(const json_t *o, const char *key)
{
	const char *s = jget_str(o, key, "");

	return *s ? xstrdup(s) : NULL;
}

/* "auth": base64 of user:password, where the two are not given apart. */
static void split_auth(const json_t *o, struct reg_creds *out)
{
	size_t len;
	char *text = out->user ? NULL : b64_decode(jget_str(o, "auth", ""), &len), *colon;

	if (!text)
		return;
	text[len] = '\0';
	colon = strchr(text, ':');
	if (colon && colon > text) {
		out->user = xstrndup(text, (size_t)(colon - text));
		free(out->password);
		out->password = xstrdup(colon + 1);
	}
	explicit_bzero(text, len);
	free(text);
}

static void take_members(const json_t *o, struct reg_creds *out)
{
	out->user = dup_member(o, "username");
	out->password = dup_member(o, "password");
	out->identity_token = dup_member(o, "identitytoken");
	out->registry_token = dup_member(o, "registrytoken");
	if (out->registry_token && strpbrk(out->registry_token, "\r\n")) {
		free(out->registry_token);
		out->registry_token = NULL;
	}
	split_auth(o, out);
}

/* The JSON in base64 of an X-Registry-... header, the caller's; NULL: there is none. */
static json_t *decode_header(const char *header)
{
	struct err ignored = { 0 };
	json_t *o = NULL;
	size_t len;
	char *text;

	text = str_empty(header) ? NULL : b64_decode(header, &len);
	if (!text)
		return NULL;
	if (jparse(text, len, &o, &ignored) < 0)
		o = NULL;
	explicit_bzero(text, len);
	free(text);
	return o;
}

void reg_creds_parse(const char *header, struct reg_creds *out)
{
	cleanup_json json_t *o = decode_header(header);

	*out = (struct reg_creds){ 0 };
	if (o)
		take_members(o, out);
}

/* Those of a registry: by its name, or by an address as configurations of old have it. */
static const json_t *find_creds(const json_t *all, const char *key)
{
	const json_t *o = jget_obj(all, key), *value;
	const char *address;

	if (o || str_starts(key, "https://"))
		return o;
	json_object_foreach((json_t *)all, address, value) {
		const char *host = str_starts(address, "https://")  ? address + 8
				   : str_starts(address, "http://") ? address + 7
								    : address;
		size_t n = strcspn(host, "/");

		if (strlen(key) == n && strncmp(host, key, n) == 0 && json_is_object(value))
			return value;
	}
	return NULL;
}

void reg_creds_for(const char *header, const char *domain, struct reg_creds *out)
{
	const char *key = str_eq(domain, "docker.io") ? "https://index.docker.io/v1/" : domain;
	cleanup_json json_t *all = decode_header(header);
	const json_t *o = all ? find_creds(all, key) : NULL;

	*out = (struct reg_creds){ 0 };
	if (o)
		take_members(o, out);
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void reg_creds_fini(struct reg_creds *c)
{
	wipe(&c->user);
	wipe(&c->password);
	wipe(&c->identity_token);
	wipe(&c->registry_token);
}

char *reg_creds_basic(const struct reg_creds *c)
{
	cleanup_free char *text = NULL, *encoded = NULL;
	size_t len;

	if (!c->user)
		return NULL;
	text = xasprintf("%s:%s", c->user, c->password ? c->password : "");
	len = strlen(text);
	encoded = xcalloc(1, len * 2 + 8);
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)len);
	explicit_bzero(text, len);
	return xasprintf("Basic %s", encoded);
}

/* ---------------------------------------------------------------- challenges */

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip(const char *p, const char *set)
{
	return p + strspn(p, set);
}

static size_t token_len(const char *p)
{
	size_t n = 0;

	while (is_token_char(p[n]))
		n++;
	return n;
}

/* A value, quoted or not, into out; what does not fit makes it empty. Returns what follows. */
static const char *take_value(const char *p, char *out, size_t size)
{
	size_t n = 0, len;

	if (*p != '"') {
		len = strcspn(p, ", \t");
		if (len < size) {
			memcpy(out, p, len);
			out[len] = '\0';
		}
		return p + len;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n < size)
			out[n] = *p;
		n++;
	}
	if (n >= size)
		n = 0;
	out[n] = '\0';
	return *p ? p + 1 : p;
}

static const char *take_param(struct challenge *c, const char *name, size_t len, const char *value)
{
	char ignored[16] = "";
	const struct {
		const char *name;
		char *out;
		size_t size;
	} known[] = {
		{ "realm", c->realm, sizeof(c->realm) },
		{ "service", c->service, sizeof(c->service) },
		{ "scope", c->scope, sizeof(c->scope) },
		{ "error", c->error, sizeof(c->error) },
		{ "error_description", c->error_description, sizeof(c->error_description) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == len && strncasecmp(known[i].name, name, len) == 0)
			return take_value(value, known[i].out, known[i].size);
	return take_value(value, ignored, sizeof(ignored));
}

static enum challenge_scheme scheme_of(const char *s, size_t len)
{
	if (len == 6 && strncasecmp(s, "bearer", 6) == 0)
		return CHALLENGE_BEARER;
	if (len == 5 && strncasecmp(s, "basic", 5) == 0)
		return CHALLENGE_BASIC;
	return CHALLENGE_OTHER;
}

size_t challenge_parse(const char *header, struct challenge *out, size_t max)
{
	struct challenge *c = NULL, dropped;
	const char *p = skip(header, ", \t");
	size_t n = 0;

	while (*p) {
		size_t len = token_len(p);
		const char *next = skip(p + len, " \t");

		if (!len) { /* not ours to understand: to the next comma */
			p = skip(p + strcspn(p, ","), ", \t");
			continue;
		}
		if (*next == '=' && c) {
			p = take_param(c, p, len, skip(next + 1, " \t"));
		} else {
			c = n < max ? &out[n++] : &dropped;
			*c = (struct challenge){ .scheme = scheme_of(p, len) };
			p += len;
		}
		p = skip(p, ", \t");
	}
	return n;
}

bool challenge_choose(char *const *headers, struct challenge *out)
{
	struct challenge v[CHALLENGES_MAX];
	bool found = false;

	for (; headers && *headers; headers++) {
		size_t n = challenge_parse(*headers, v, CHALLENGES_MAX);

		for (size_t i = 0; i < n; i++) {
			if (v[i].scheme == CHALLENGE_OTHER || (found && v[i].scheme <= out->scheme))
				continue;
			*out = v[i];
			found = true;
		}
	}
	return found;
}

/* ---------------------------------------------------------------- tokens */

static void add_field(struct buf *b, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(NULL, value, 0);

	buf_printf(b, "%s%s=%s", b->len && b->p[b->len - 1] != '?' && b->p[b->len - 1] != '&' ? "&" : "",
		   name, escaped ? escaped : "");
	curl_free(escaped);
}

static int ask_refresh(const struct http_where *w, const struct token_ask *q, struct http_answer *a,
		       struct err *err)
{
	static const char *const form[] = { "Content-Type: application/x-www-form-urlencoded", NULL };
	cleanup_buf struct buf body = BUF_INIT, scope = BUF_INIT;
	struct http_ask ask = { .method = "Post", .url = q->challenge->realm, .headers = form };
	int rc;

	for (char *const *s = q->scopes; s && *s; s++)
		buf_printf(&scope, "%s%s", scope.len ? " " : "", *s);
	add_field(&body, "grant_type", "refresh_token");
	add_field(&body, "service", q->challenge->service);
	add_field(&body, "client_id", "docker");
	add_field(&body, "scope", buf_str(&scope));
	add_field(&body, "refresh_token", q->creds->identity_token);
	ask.body = buf_str(&body);
	ask.body_len = body.len;
	rc = http_do(w, &ask, a, err);
	explicit_bzero(body.p, body.len);
	return rc;
}

static int ask_basic(const struct http_where *w, const struct token_ask *q, struct http_answer *a,
		     struct err *err)
{
	cleanup_free char *auth = reg_creds_basic(q->creds);
	cleanup_buf struct buf url = BUF_INIT;
	struct http_ask ask = { .method = "Get", .auth = auth };

	buf_addstr(&url, q->challenge->realm);
	buf_addch(&url, strchr(q->challenge->realm, '?') ? '&' : '?');
	if (q->creds->user)
		add_field(&url, "account", q->creds->user);
	if (q->offline) {
		add_field(&url, "client_id", "docker");
		add_field(&url, "offline_token", "true");
	}
	for (char *const *s = q->scopes; s && *s; s++)
		add_field(&url, "scope", *s);
	if (q->challenge->service[0])
		add_field(&url, "service", q->challenge->service);
	ask.url = buf_str(&url);
	return http_do(w, &ask, a, err);
}

/* {"details": ...} is the Hub's word, {"errors": [{"message": ...}]} the registry's. */
static int token_refused(const struct http_answer *a, const struct token_ask *q, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	const char *words = NULL;

	if (jparse(buf_str(&a->body), a->body.len, &o, &ignored) == 0) {
		words = jget_str(o, "details", NULL);
		if (!words)
			words = jget_str(json_array_get(jget_arr(o, "errors"), 0), "message", NULL);
	}
	if (a->status == 401)
		return err_kind(err, ERR_UNAUTHORIZED, "%s \"%s\": unauthorized: %.300s", q->method, q->url,
				words ? words : "authentication required");
	if (a->status == 403)
		return err_kind(err, ERR_SYSTEM, "%s \"%s\": denied: %.300s", q->method, q->url,
				words ? words : "requested access to the resource is denied");
	return err_kind(err, ERR_SYSTEM,
			"%s \"%s\": failed to fetch a token from %s: unexpected status %ld%s%.300s", q->method,
			q->url, q->challenge->realm, a->status, words ? ": " : "", words ? words : "");
}

int token_read(const char *body, size_t len, struct token *out, struct err *err)
{
	cleanup_json json_t *o = NULL;
	const char *text, *refresh;
	int64_t good;
	int rc;

	if ((rc = jparse(body, len, &o, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "the token server's answer");
	}
	text = jget_str(o, "token", "");
	refresh = jget_str(o, "refresh_token", "");
	good = jget_int(o, "expires_in", TOKEN_SECONDS);
	if (!*text)
		text = jget_str(o, "access_token", "");
	if (!*text || strpbrk(text, "\r\n"))
		return err_kind(err, ERR_SYSTEM, "authorization server did not include a token in the response");
	*out = (struct token){
		.text = xstrdup(text),
		.refresh = *refresh ? xstrdup(refresh) : NULL,
		.expires_s = good > 0 && good < INT32_MAX ? good : TOKEN_SECONDS,
	};
	return 0;
}

void token_fini(struct token *t)
{
	wipe(&t->text);
	wipe(&t->refresh);
}

int token_get(const struct http_where *w, const struct token_ask *q, struct token *out, struct err *err)
{
	const char *realm = q->challenge->realm;
	struct http_answer a;
	int rc;

	if (!str_starts(realm, "https://") && !str_starts(realm, "http://"))
		return err_kind(err, ERR_SYSTEM, "the registry's challenge has no usable realm");
	if (!w->insecure && str_starts(realm, "http://") && (q->creds->user || q->creds->identity_token))
		return err_kind(err, ERR_SYSTEM, "credentials are not sent to %s without TLS", realm);
	if (q->creds->identity_token)
		rc = ask_refresh(w, q, &a, err);
	else
		rc = ask_basic(w, q, &a, err);
	if (rc < 0)
		return rc;
	if (a.status != 200) {
		rc = token_refused(&a, q, err);
		http_answer_fini(&a);
		return rc;
	}
	rc = token_read(buf_str(&a.body), a.body.len, out, err);
	explicit_bzero(a.body.p, a.body.len);
	http_answer_fini(&a);
	return rc;
}
