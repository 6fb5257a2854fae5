/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_http.c - one HTTP exchange with a registry or its token server, by libcurl.
 *
 * Design: nothing of what a server sends is trusted in size: bodies have a limit, headers are kept
 * up to a number. libcurl drops the Authorization header when a redirect leads to another host, port
 * or protocol. Loopback is never reached through a proxy; otherwise the setting http_proxy, or
 * HTTP_PROXY and HTTPS_PROXY, and NO_PROXY count, in either case, as with Docker.
 */
#include "apiserver/registry_http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define BODY_MAX	(256 * 1024)
#define CONNECT_SECONDS 15L
#define SLOW_BYTES	256L /* a second, over registry-timeout */
#define WHOLE_FACTOR	5L   /* an exchange without a large body: times registry-timeout */
#define HEADERS_MAX	100
#define CA_MAX		(4 * 1024 * 1024)
#define SYSTEM_CA	"/etc/ssl/certs/ca-certificates.crt"
#define DEFAULT_CONF	"/etc/sdc-docker"

/* ---------------------------------------------------------------- where */

char *http_host(const char *url)
{
	const char *p = strstr(url, "://");

	p = p ? p + 3 : url;
	return xstrndup(p, strcspn(p, "/?#"));
}

char *http_host_name(const char *host)
{
	if (host[0] == '[')
		return xstrndup(host + 1, strcspn(host + 1, "]"));
	return xstrndup(host, strcspn(host, ":"));
}

bool http_host_is_loopback(const char *host)
{
	cleanup_free char *name = http_host_name(host);
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, name, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return str_eq(name, "localhost");
}

bool http_cancelled(const struct http_where *w)
{
	return w->cancelled && w->cancelled(w->arg);
}

static void add_authority(struct buf *all, const char *path)
{
	cleanup_buf struct buf one = BUF_INIT;
	struct err ignored = { 0 };

	if (fs_read_file(path, CA_MAX, &one, &ignored) < 0)
		return;
	buf_add(all, one.p, one.len);
	buf_addch(all, '\n');
}

/* x.cert needs x.key, and the other way round. */
static void read_client_cert(struct http_where *w, const char *name)
{
	bool is_cert = str_ends(name, ".cert");
	int stem = (int)strlen(name) - (is_cert ? 5 : 4);
	char path[1300];

	if (str_fmt(path, sizeof(path), "%s/%.*s.%s", w->certs_dir, stem, name, is_cert ? "key" : "cert") < 0)
		return;
	if (!fs_exists(path) && is_cert)
		snprintf(w->problem, sizeof(w->problem),
			 "missing key %.*s.key for client certificate %.200s in %.300s. CA certificates must use "
			 "the extension .crt", stem > 200 ? 200 : stem, name, name, w->certs_dir);
	else if (!fs_exists(path))
		snprintf(w->problem, sizeof(w->problem), "missing client certificate %.*s.cert for key %.200s in %.300s",
			 stem > 200 ? 200 : stem, name, name, w->certs_dir);
	else if (is_cert && (!w->client_cert[0] || strcmp(name, strrchr(w->client_cert, '/') + 1) < 0))
		if (str_fmt(w->client_cert, sizeof(w->client_cert), "%s/%s", w->certs_dir, name) < 0 ||
		    str_fmt(w->client_key, sizeof(w->client_key), "%s", path) < 0)
			w->client_cert[0] = '\0';
}

/* HOST/{*.crt, x.cert, x.key} */
static void read_certs(struct http_where *w)
{
	cleanup_dir DIR *d = opendir(w->certs_dir);
	cleanup_buf struct buf ca = BUF_INIT;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[1300];

		if (str_fmt(path, sizeof(path), "%s/%s", w->certs_dir, e->d_name) < 0)
			continue;
		if (str_ends(e->d_name, ".crt")) {
			if (!ca.len)
				add_authority(&ca, SYSTEM_CA);
			add_authority(&ca, path);
		} else if (str_ends(e->d_name, ".cert") || str_ends(e->d_name, ".key")) {
			read_client_cert(w, e->d_name);
		}
	}
	if (ca.len)
		w->ca_text = buf_steal(&ca);
}

void http_where_init(struct http_where *w, const char *host, bool insecure)
{
	const char *conf = engine ? engine->conf_path : "", *slash = strrchr(conf, '/');

	*w = (struct http_where){ .insecure = insecure };
	if (strchr(host, '/') || host[0] == '.' ||
	    str_fmt(w->certs_dir, sizeof(w->certs_dir), "%.*s/certs.d/%s",
		    slash ? (int)(slash - conf) : (int)strlen(DEFAULT_CONF),
		    slash ? conf : DEFAULT_CONF, host) < 0)
		w->certs_dir[0] = '\0';
	if (w->certs_dir[0])
		read_certs(w);
}

void http_where_fini(struct http_where *w)
{
	free(w->ca_text);
	w->ca_text = NULL;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return http_cancelled(arg);
}

/* NULL: what libcurl finds in the environment. */
static const char *proxy_for(const char *url)
{
	const char *p = engine && engine->conf ? conf_str(engine->conf, "http_proxy") : "";

	if (*p)
		return p;
	p = str_starts(url, "https:") ? NULL : getenv("HTTP_PROXY");
	return str_empty(p) || getenv("http_proxy") ? NULL : p;
}

static long patience(void)
{
	int64_t n = engine && engine->conf ? conf_int(engine->conf, "registry-timeout") : 60;

	return n < 1 ? 1 : n > 3600 ? 3600 : (long)n;
}

void http_prepare(const struct http_where *w, CURL *curl, const char *url)
{
	cleanup_free char *host = http_host(url);
	const char *proxy = http_host_is_loopback(host) ? "" : proxy_for(url);

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* as Docker: one transfer a connection, whose end says more than that of a stream in it */
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sdc-docker");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, patience());
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, w->insecure ? 0L : 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, w->insecure ? 0L : 2L);
	if (proxy)
		curl_easy_setopt(curl, CURLOPT_PROXY, proxy);
	if (w->ca_text) {
		struct curl_blob blob = { w->ca_text, strlen(w->ca_text), CURL_BLOB_NOCOPY };

		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (w->client_cert[0]) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, w->client_cert);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, w->client_key);
	}
	if (w->cancelled) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)w);
	}
}

/* ---------------------------------------------------------------- failures */

static int dial_failed(CURL *curl, const char *get, const char *host, bool tls, struct err *err)
{
	char words[64] = "connection refused";
	long port = 0, errnum = 0;
	char *ip = NULL;

	curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &ip);
	curl_easy_getinfo(curl, CURLINFO_PRIMARY_PORT, &port);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &errnum);
	if (errnum) {
		char space[64];
		const char *s = strerror_r((int)errnum, space, sizeof(space));

		snprintf(words, sizeof(words), "%c%s", s[0] | 0x20, s + 1);
	}
	if (str_empty(ip)) { /* libcurl does not tell those that refused */
		const char *colon = strrchr(host, ':');
		bool has_port = colon && !strchr(colon, ']');

		return err_kind(err, ERR_SYSTEM, "%s: dial tcp %s%s: connect: %s", get, host,
				has_port ? "" : tls ? ":443" : ":80", words);
	}
	return err_kind(err, ERR_SYSTEM, "%s: dial tcp %s%s%s:%ld: connect: %s", get,
			strchr(ip, ':') ? "[" : "", ip, strchr(ip, ':') ? "]" : "", port, words);
}

static const char *tls_words(const char *detail)
{
	if (strstr(detail, "wrong version number") || strstr(detail, "packet length too long"))
		return "http: server gave HTTP response to HTTPS client";
	if (strstr(detail, "self-signed") || strstr(detail, "self signed") ||
	    strstr(detail, "unable to get local issuer"))
		return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
	if (strstr(detail, "expired"))
		return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
	return detail;
}

int http_failed(CURL *curl, CURLcode rc, const char *method, const char *url, const char *detail,
		struct err *err)
{
	cleanup_free char *get = xasprintf("%s \"%s\"", method, url), *host = http_host(url);

	if (str_empty(detail))
		detail = curl_easy_strerror(rc);
	if (strstr(detail, "getpeername() failed")) /* how libcurl notices that the other side has hung up */
		detail = "connection reset by peer";
	switch (rc) {
	case CURLE_ABORTED_BY_CALLBACK:
		err_kind(err, ERR_SYSTEM, "%s: context canceled", get);
		return err->code = -ECANCELED;
	case CURLE_COULDNT_RESOLVE_HOST:
		host[host[0] == '[' ? strlen(host) : strcspn(host, ":")] = '\0';
		return err_kind(err, ERR_SYSTEM, "%s: dial tcp: lookup %s: no such host", get, host);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_kind(err, ERR_SYSTEM, "%s: proxyconnect tcp: dial tcp: lookup of the proxy: no such host",
				get);
	case CURLE_COULDNT_CONNECT:
		return dial_failed(curl, get, host, str_starts(url, "https:"), err);
	case CURLE_OPERATION_TIMEDOUT:
		return err_kind(err, ERR_SYSTEM, "%s: net/http: request canceled (Client.Timeout exceeded "
						 "while awaiting headers)", get);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_kind(err, ERR_SYSTEM, "%s: %s", get, tls_words(detail));
	case CURLE_TOO_MANY_REDIRECTS:
		return err_kind(err, ERR_SYSTEM, "%s: stopped after 10 redirects", get);
	case CURLE_GOT_NOTHING:
		return err_kind(err, ERR_SYSTEM, "%s: EOF", get);
	default:
		return err_kind(err, ERR_SYSTEM, "%s: %s", get, detail);
	}
}

/* ---------------------------------------------------------------- the exchange */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_answer *a = arg;

	buf_add(&a->body, p, size * n);
	return buf_over(&a->body) ? 0 : size * n;
}

static void drop_headers(struct http_answer *a)
{
	strv_free(a->headers);
	strv_free(a->challenges);
	a->headers = strv_split("", ',');
	a->challenges = strv_split("", ',');
}

void http_answer_fini(struct http_answer *a)
{
	strv_free(a->headers);
	strv_free(a->challenges);
	a->headers = a->challenges = NULL;
	buf_fini(&a->body);
}

const char *http_answer_header(const struct http_answer *a, const char *name)
{
	size_t len = strlen(name);

	for (char **h = a->headers; h && *h; h++)
		if (strncmp(*h, name, len) == 0 && (*h)[len] == ':')
			return *h + len + 2;
	return NULL;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_answer *a = arg;
	cleanup_free char *line = xstrndup(p, size * n);
	char *value = strchr(line, ':');
	size_t len = strlen(line);

	while (len && strchr("\r\n \t", line[len - 1]))
		line[--len] = '\0';
	if (str_starts(line, "HTTP/")) { /* the next answer: of a redirect */
		drop_headers(a);
		buf_reset(&a->body);
	}
	if (!value)
		return size * n;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (char *s = line; *s; s++)
		*s = *s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s;
	if (str_eq(line, "www-authenticate")) {
		if (strv_len(a->challenges) < 16)
			strv_add(&a->challenges, value);
	} else if (strv_len(a->headers) < HEADERS_MAX) {
		cleanup_free char *whole = xasprintf("%s: %s", line, value);

		strv_add(&a->headers, whole);
	}
	return size * n;
}

struct sending {
	const struct http_ask *q;
	int64_t pos;
};

static size_t on_send(char *p, size_t size, size_t n, void *arg)
{
	struct sending *s = arg;
	size_t left = s->q->body_len - (size_t)s->pos, want = size * n < left ? size * n : left;
	ssize_t got;

	got = want ? pread(s->q->body_fd, p, want, s->q->body_from + s->pos) : 0;
	if (got < 0 || (got == 0 && want)) /* the other side would wait for the rest */
		return CURL_READFUNC_ABORT;
	s->pos += got;
	if (s->q->on_sent)
		s->q->on_sent(s->q->sent_arg, s->pos, (int64_t)s->q->body_len);
	return (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct sending *s = arg;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	s->pos = offset;
	return CURL_SEEKFUNC_OK;
}

static void set_method(CURL *curl, const struct http_ask *q, struct sending *s)
{
	if (str_eq(q->method, "Head")) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (q->body_fd > 0) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(curl, CURLOPT_READDATA, s);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, s);
		curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
		if (str_eq(q->method, "Patch"))
			curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
	} else if (!str_eq(q->method, "Get")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		if (str_eq(q->method, "Put"))
			curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
		if (str_eq(q->method, "Patch"))
			curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
	}
	if (q->body_fd <= 0)
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, WHOLE_FACTOR * patience());
	if (str_eq(q->method, "Get") || str_eq(q->method, "Head"))
		curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
}

int http_do(const struct http_where *w, const struct http_ask *q, struct http_answer *a,
	    struct err *err)
{
	cleanup_free char *auth = q->auth ? xasprintf("Authorization: %s", q->auth) : NULL;
	struct curl_slist *headers = NULL;
	struct sending s = { .q = q };
	CURL *curl = curl_easy_init();
	char detail[CURL_ERROR_SIZE] = "";
	curl_off_t wait = 0;
	CURLcode rc;
	int ret = 0;

	if (w->problem[0]) {
		curl_easy_cleanup(curl);
		return err_kind(err, ERR_SYSTEM, "%s", w->problem);
	}
	if (!curl)
		return err_sysnum(err, ENOMEM, "%s \"%s\"", q->method, q->url);
	*a = (struct http_answer){ .headers = strv_split("", ','), .challenges = strv_split("", ',') };
	buf_init(&a->body, q->max ? q->max : BODY_MAX);
	http_prepare(w, curl, q->url);
	set_method(curl, q, &s);
	for (const char *const *h = q->headers; h && *h; h++)
		headers = curl_slist_append(headers, *h);
	if (auth)
		headers = curl_slist_append(headers, auth);
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK)
		a->retry_after = wait;
	if (rc != CURLE_OK && buf_over(&a->body))
		ret = err_kind(err, ERR_SYSTEM, "%s \"%s\": the answer is longer than %zu bytes", q->method,
			       q->url, a->body.max);
	else if (rc != CURLE_OK)
		ret = http_failed(curl, rc, q->method, q->url, detail, err);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (auth)
		explicit_bzero(auth, strlen(auth));
	if (ret < 0)
		http_answer_fini(a);
	return ret;
}
