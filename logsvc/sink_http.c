/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_http.c - HTTP by libcurl, within a logger's fence.
 *
 * Design. libcurl comes with some 30 libraries, which would be most of a logger's memory: it is loaded by the loggers
 * that need it only, before the fence closes. Names are looked up here and handed over as addresses, since libcurl
 * does so in a thread of its own, which the fence forbids. Redirects are not followed and no proxy is used: the
 * request goes where the option says, or nowhere.
 */
#include "sink_http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "http_name.h"
#include "str.h"

#define CURL_SO		"libcurl.so.4"
#define RESOLVE_S	60
#define CONNECT_MS	5000
#define RETRY_AFTER_MAX 3600

#define CURL_CALLS(X)                                                                                                             \
	X(curl_global_init) X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_perform) X(curl_easy_getinfo) X(curl_easy_cleanup) \
	X(curl_easy_strerror) X(curl_slist_append) X(curl_slist_free_all)

static struct {
#define X(name) __typeof__(name) *name;
	CURL_CALLS(X)
#undef X
} curl;

#define SET(h, option, value) (void)(*curl.curl_easy_setopt)((h)->easy, CURLOPT_##option, value)

struct http {
	const struct http_conf *conf;
	CURL *easy;
	struct curl_slist *headers, *addresses;
	int64_t resolved_ns; /* 0: not yet */
	struct http_answer *answer;
	char error[CURL_ERROR_SIZE];
};

static int load(struct err *err)
{
	static void *so;

	if (so)
		return 0;
	so = dlopen(CURL_SO, RTLD_NOW | RTLD_LOCAL);
	if (!so)
		return err_kind(err, ERR_SYSTEM, "load %s: %s", CURL_SO, dlerror());
#define X(name)                                                                                                                   \
	if (!(*(void **)&curl.name = dlsym(so, #name)))                                                                           \
		return err_kind(err, ERR_SYSTEM, "%s has no " #name, CURL_SO);
	CURL_CALLS(X)
#undef X
	if ((*curl.curl_global_init)(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_kind(err, ERR_SYSTEM, "%s cannot be used", CURL_SO);
	return 0;
}

/* ---- set-up ----------------------------------------------------------------------------------- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_answer *a = ((struct http *)arg)->answer;
	size_t room = a ? sizeof(a->body) - a->body_len : 0, len = size * n;

	if (a && room) {
		memcpy(a->body + a->body_len, p, len < room ? len : room);
		a->body_len += len < room ? len : room;
	}
	return len;
}

static void add(struct curl_slist **list, const char *text)
{
	struct curl_slist *more = (*curl.curl_slist_append)(*list, text);

	if (!more)
		abort();
	*list = more;
}

static void set_blob(struct http *h, CURLoption option, char *text)
{
	struct curl_blob blob = { .data = text, .len = text ? strlen(text) : 0, .flags = CURL_BLOB_NOCOPY };

	if (text)
		(void)(*curl.curl_easy_setopt)(h->easy, option, &blob);
}

static void set_tls(struct http *h, const struct net_tls_conf *t)
{
	SET(h, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (t->ca_cert) {
		SET(h, CAINFO, (char *)NULL);
		SET(h, CAPATH, (char *)NULL); /* that one, and not the system's as well */
		set_blob(h, CURLOPT_CAINFO_BLOB, t->ca_cert);
	}
	set_blob(h, CURLOPT_SSLCERT_BLOB, t->cert);
	set_blob(h, CURLOPT_SSLKEY_BLOB, t->key);
}

static void set_up(struct http *h)
{
	const struct http_conf *c = h->conf;

	add(&h->headers, "Content-Type: application/x-protobuf");
	add(&h->headers, "Content-Encoding: gzip");
	add(&h->headers, "Expect:");
	for (char *const *p = c->headers; p && *p; p++)
		add(&h->headers, *p);
	SET(h, URL, c->url);
	SET(h, PROTOCOLS_STR, "http,https");
	SET(h, HTTPHEADER, h->headers);
	SET(h, USERAGENT, "sdc-docker");
	SET(h, POST, 1L);
	SET(h, NOSIGNAL, 1L);
	SET(h, NOPROXY, "*");
	SET(h, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(h, TIMEOUT_MS, (long)c->timeout_ms);
	SET(h, CONNECTTIMEOUT_MS, (long)(c->timeout_ms < CONNECT_MS ? c->timeout_ms : CONNECT_MS));
	SET(h, MAXLIFETIME_CONN, (long)RESOLVE_S); /* so that a new address is used */
	SET(h, BUFFERSIZE, (long)HTTP_BODY_MAX);
	SET(h, WRITEFUNCTION, on_body);
	SET(h, WRITEDATA, h);
	SET(h, ERRORBUFFER, h->error);
	set_tls(h, c->tls);
}

struct http *http_new(const struct http_conf *conf, struct err *err)
{
	struct http *h;

	if (load(err) < 0)
		return NULL;
	h = xcalloc(1, sizeof(*h));
	h->conf = conf;
	h->easy = (*curl.curl_easy_init)();
	if (!h->easy) {
		free(h);
		err_sysnum(err, ENOMEM, "libcurl");
		return NULL;
	}
	set_up(h);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	(*curl.curl_easy_cleanup)(h->easy);
	(*curl.curl_slist_free_all)(h->headers);
	(*curl.curl_slist_free_all)(h->addresses);
	free(h);
}

/* ---- exchanges -------------------------------------------------------------------------------- */

static int resolve(struct http *h, struct err *err)
{
	cleanup_buf struct buf line = BUF_INIT;
	int rc;

	if (h->resolved_ns && mono_ns() - h->resolved_ns < RESOLVE_S * 1000000000LL)
		return 0;
	if ((rc = http_name_resolve(h->conf->host, h->conf->port, &line, err)) < 0)
		return rc;
	h->resolved_ns = mono_ns();
	if (!line.len)
		return 0;
	(*curl.curl_slist_free_all)(h->addresses);
	h->addresses = NULL;
	add(&h->addresses, buf_str(&line));
	SET(h, RESOLVE, h->addresses);
	return 0;
}

int http_post(struct http *h, const void *p, size_t len, struct http_answer *out, struct err *err)
{
	curl_off_t after = 0;
	CURLcode code;
	int rc;

	out->status = 0;
	out->retry_after_s = 0;
	out->body_len = 0;
	if ((rc = resolve(h, err)) < 0)
		return rc;
	h->answer = out;
	h->error[0] = '\0';
	SET(h, POSTFIELDS, p);
	SET(h, POSTFIELDSIZE_LARGE, (curl_off_t)len);
	code = (*curl.curl_easy_perform)(h->easy);
	h->answer = NULL;
	if (code != CURLE_OK) {
		http_close(h);
		return err_kind(err, ERR_SYSTEM, "post to %s: %s", h->conf->url,
				h->error[0] ? h->error : (*curl.curl_easy_strerror)(code));
	}
	(void)(*curl.curl_easy_getinfo)(h->easy, CURLINFO_RESPONSE_CODE, &out->status);
	if ((*curl.curl_easy_getinfo)(h->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
		out->retry_after_s = after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int64_t)after;
	SET(h, FRESH_CONNECT, 0L);
	return 0;
}

void http_close(struct http *h)
{
	h->resolved_ns = 0;
	SET(h, FRESH_CONNECT, 1L);
}
