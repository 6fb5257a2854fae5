/* SPDX-License-Identifier: MPL-2.0
 *
 * request.c - the request as handlers see it: path, version, variables, query, headers, body.
 *
 * Ids are never used twice: they count up, with the connection's slot in the low bits, so that
 * req_by_id is one array access.
 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "client.h"
#include "job.h"
#include "reply.h"
#include "str.h"
#include "version.h"

static uint64_t last_seq;
static struct client **by_slot;

void req_table_init(struct client **table)
{
	by_slot = table;
}

void req_begin(struct req *r, struct client *c)
{
	r->id = ++last_seq * CLIENT_MAX + c->slot;
	r->client = c;
	r->route = NULL;
	r->version = 0;
	r->begun_ns = mono_ns();
	buf_reset(&r->path);
	buf_reset(&r->var);
	r->n_query = 0;
	r->query_parsed = r->query_overflow = false;
	buf_reset(&r->body);
	if (r->body.cap > 256 * 1024)
		buf_fini(&r->body);
	r->body_done = r->body_too_large = false;
	r->bs = r->whole = NULL;
	r->on_gone = NULL;
	buf_reset(&r->extra_headers);
	r->head_sent = r->raw_head_sent = r->chunked = r->no_body = false;
	r->status = 0;
	r->pump = NULL;
	r->live = true;
}

void req_fini(struct req *r)
{
	buf_fini(&r->path);
	buf_fini(&r->var);
	buf_fini(&r->qtext);
	buf_fini(&r->body);
	buf_fini(&r->extra_headers);
}

uint64_t req_id(const struct req *r)
{
	return r->id;
}

struct req *req_by_id(uint64_t id)
{
	struct client *c = by_slot ? by_slot[id % CLIENT_MAX] : NULL;

	assert_loop_thread();
	return c && c->req.live && c->req.id == id ? &c->req : NULL;
}

int req_version(const struct req *r)
{
	return r->version;
}

const char *req_peer(const struct req *r)
{
	return r->client->peer;
}

const char *req_method(const struct req *r)
{
	return r->client->parse.head.method;
}

const char *req_path(const struct req *r)
{
	return buf_str(&r->path);
}

const char *req_var(const struct req *r, const char *name)
{
	(void)name; /* no route has more than one */
	return buf_str(&r->var);
}

const char *req_header(const struct req *r, const char *lower_name)
{
	return http_header(&r->client->parse.head, lower_name);
}

const struct buf *req_body(const struct req *r)
{
	return &r->body;
}

bool req_is_websocket(const struct req *r)
{
	const struct http_head *h = &r->client->parse.head;

	return h->upgrade && http_header_has(h, "upgrade", "websocket");
}

void req_on_gone(struct req *r, void (*fn)(void *arg), void *arg)
{
	r->on_gone = fn;
	r->on_gone_arg = arg;
}

/* ---- target ------------------------------------------------------------------------------------
 */

/* "1.43" as 143; -1 when it is no such number. Parts beyond the second do not count. */
static int parse_version(const char *s, size_t len)
{
	int major = 0, minor = 0;
	size_t i = 0;

	for (; i < len && s[i] >= '0' && s[i] <= '9' && major < 1000; i++)
		major = major * 10 + (s[i] - '0');
	if (i == 0 || (i < len && s[i] != '.'))
		return -1;
	for (i++; i < len && s[i] >= '0' && s[i] <= '9' && minor < 1000; i++)
		minor = minor * 10 + (s[i] - '0');
	/* 1.151 must not pass for 2.51 */
	return major * 1000 + minor;
}

static void refuse_version(struct req *r, const char *v, size_t len, bool old)
{
	struct err err = { 0 };

	if (len > 64)
		len = 64;
	if (old) {
		/* a client of before 1.24 reads errors as plain text */
		snprintf(err.msg, sizeof(err.msg),
			 "client version %.*s is too old. Minimum supported API version is %s, "
			 "please upgrade your client to a newer version\n",
			 (int)len, v, SDC_API_MIN);
		reply_text(r->id, 400, "text/plain; charset=utf-8", err.msg);
		return;
	}
	err_kind(&err, ERR_BAD_PARAM,
		 "client version %.*s is too new. Maximum supported API version is %s", (int)len, v,
		 SDC_API_VERSION);
	reply_error(r->id, &err);
}

/* Strips scheme and authority of an absolute-form target. */
static const char *target_path(const char *url)
{
	const char *p;

	if (url[0] == '/')
		return url;
	if (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) {
		p = strchr(strchr(url, ':') + 3, '/');
		return p ? p : "/";
	}
	return NULL;
}

/* "//", "/./" and "/../" are taken out as Go's path.Clean does, and the client is sent to what is
 * left, as by Docker's router. len: of the path. True: it was answered. */
static bool redirect_unclean(struct req *r, const char *path, size_t len)
{
	cleanup_buf struct buf b = BUF_INIT;
	bool unclean = false;

	buf_reserve(&b, len + 2);
	for (size_t i = 0; i < len;) {
		size_t n = strcspn(path + i + 1, "/?");

		if (n == 0 && i + 1 < len) {
			unclean = true;
		} else if (n == 1 && path[i + 1] == '.') {
			unclean = true;
		} else if (n == 2 && path[i + 1] == '.' && path[i + 2] == '.') {
			unclean = true;
			while (b.len && b.p[--b.len] != '/')
				;
		} else {
			buf_add(&b, path + i, n + 1);
		}
		i += n + 1;
	}
	if (!unclean)
		return false;
	if (b.len == 0)
		buf_addch(&b, '/');
	buf_addstr(&b, path + len); /* the query */
	reply_header(r->id, "Location", buf_str(&b));
	reply_empty(r->id, 301);
	return true;
}

int req_parse_target(struct req *r)
{
	const char *path = target_path(r->client->parse.head.text.p), *v = NULL;
	size_t len, n_v = 0;

	r->version = 151;
	if (!path) {
		reply_error_status(r->id, 400, "malformed request URI");
		return -1;
	}
	len = strcspn(path, "?");
	if (redirect_unclean(r, path, len))
		return -1;
	/* /v1.43/... ; digits and dots only, as Docker's pattern has it */
	if (path[1] == 'v' && path[2] >= '0' && path[2] <= '9') {
		n_v = strspn(path + 2, "0123456789.");
		if (path[2 + n_v] == '/') {
			v = path + 2;
			path += 2 + n_v;
			len -= 2 + n_v;
		}
	}
	if (http_unescape(&r->path, path, len, false) < 0) {
		reply_error_status(r->id, 400, "malformed request URI");
		return -1;
	}
	if (route_match(r) < 0)
		return -1;
	if (v) {
		int n = parse_version(v, n_v);

		if (n < 1024 || n > 1051) {
			refuse_version(r, v, n_v, n < 1024);
			return -1;
		}
		r->version = 100 + n - 1000;
	}
	return 0;
}

/* ---- query -------------------------------------------------------------------------------------
 */

static void add_pair(struct req *r, const char *p, size_t len)
{
	const char *eq = memchr(p, '=', len);
	size_t n_name = eq ? (size_t)(eq - p) : len, start = r->qtext.len, value;

	/* as Go: a pair that cannot be decoded is left out, and one with a semicolon */
	if (len == 0 || memchr(p, ';', len))
		return;
	if (r->n_query == REQ_MAX_QUERY) {
		r->query_overflow = true;
		return;
	}
	if (http_unescape(&r->qtext, p, n_name, true) < 0)
		goto bad;
	buf_addch(&r->qtext, '\0');
	value = r->qtext.len;
	if (eq && http_unescape(&r->qtext, eq + 1, len - n_name - 1, true) < 0)
		goto bad;
	buf_addch(&r->qtext, '\0');
	r->query[r->n_query].name = (uint32_t)start;
	r->query[r->n_query++].value = (uint32_t)value;
	return;
bad:
	r->qtext.len = start;
}

static void add_pairs(struct req *r, const char *q, size_t len)
{
	for (size_t n; len; q += n, len -= n) {
		const char *amp = memchr(q, '&', len);

		n = amp ? (size_t)(amp - q) : len;
		add_pair(r, q, n);
		n += amp != NULL;
	}
}

/* Parameters in the body, as Go's Request.ParseForm takes them. */
static bool has_form(const struct req *r)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = req_header(r, "content-type"), *method = req_method(r);

	return type && r->body.len && !(route_flags(r->route) & BODY_STREAM) &&
	       strncasecmp(type, form, strlen(form)) == 0 && strchr("; \t", type[strlen(form)]) &&
	       (str_eq(method, "POST") || str_eq(method, "PUT") || str_eq(method, "PATCH"));
}

static void parse_query(struct req *r)
{
	const char *q = strchr(r->client->parse.head.text.p, '?');

	r->query_parsed = true;
	buf_reset(&r->qtext);
	if (has_form(r)) /* before those of the URL */
		add_pairs(r, r->body.p, r->body.len);
	if (q)
		add_pairs(r, q + 1, strlen(q + 1));
}

bool req_query_overflows(struct req *r)
{
	if (!r->query_parsed)
		parse_query(r);
	return r->query_overflow;
}

const char *req_query(const struct req *cr, const char *name)
{
	struct req *r = (struct req *)cr; /* the parsing is done late */

	if (!r->query_parsed)
		parse_query(r);
	for (unsigned i = 0; i < r->n_query; i++) {
		if (strcmp(r->qtext.p + r->query[i].name, name) == 0)
			return r->qtext.p + r->query[i].value;
	}
	return NULL;
}

char **req_query_all(const struct req *r, const char *name)
{
	char **v = xcalloc(1, sizeof(*v));

	(void)req_query(r, name);
	for (unsigned i = 0; i < r->n_query; i++) {
		if (strcmp(r->qtext.p + r->query[i].name, name) == 0)
			strv_add(&v, r->qtext.p + r->query[i].value);
	}
	return v;
}

bool req_query_bool(const struct req *r, const char *name, bool def)
{
	const char *s = req_query(r, name);

	if (!s)
		return def;
	while (*s == ' ' || *s == '\t')
		s++;
	return !(*s == '\0' || strcmp(s, "0") == 0 || strcasecmp(s, "no") == 0 ||
		 strcasecmp(s, "false") == 0 || strcasecmp(s, "none") == 0);
}
