/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_http.h - one HTTP exchange with a registry or its token server. Worker, blocking.
 */
#ifndef APISERVER_REGISTRY_HTTP_H
#define APISERVER_REGISTRY_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

/* How a host is spoken to. */
struct http_where {
	bool insecure;	      /* certificates are not looked at */
	char certs_dir[1024]; /* *.crt, *.cert + *.key; "": none */
	char *ca_text;	      /* what certs_dir adds to the system's authorities, with them; NULL: nothing */
	char client_cert[1300], client_key[1300];
	char problem[800]; /* what is wrong in certs_dir; "": nothing. Each exchange fails with it */
	bool (*cancelled)(void *arg); /* NULL: never */
	void *arg;
};

/* host with its port: <conf dir>/certs.d/HOST is looked at. */
void http_where_init(struct http_where *w, const char *host, bool insecure);
void http_where_fini(struct http_where *w);
bool http_cancelled(const struct http_where *w);

struct http_ask {
	const char *method; /* "Get", "Head", "Post", "Put", "Patch": as Go writes them in errors */
	const char *url;
	const char *auth;	    /* value of Authorization; NULL: none */
	const char *const *headers; /* NULL-terminated lines; NULL: none */
	const char *body;	    /* with body_len; NULL: none, or of body_fd */
	size_t body_len;
	int body_fd; /* 0: none; body_len bytes from body_from on */
	int64_t body_from;
	void (*on_sent)(void *arg, int64_t sent, int64_t total);
	void *sent_arg;
	size_t max; /* of the answer's body; 0: 256 KiB */
};

struct http_answer {
	long status;
	struct buf body;
	int64_t retry_after; /* seconds that the server wants us to wait; 0: it said nothing */
	char **headers;	     /* "name: value", names in lower case; never NULL after http_do */
	char **challenges;   /* each WWW-Authenticate; never NULL after http_do */
};
/* Value of the first header of a name (lower case); NULL: absent. */
const char *http_answer_header(const struct http_answer *a, const char *name);

/* An answer of any status is success. Redirects of Get and Head are followed, without credentials
 * to other hosts. Errors have Go's words: Get "URL": dial tcp ... */
int http_do(const struct http_where *w, const struct http_ask *q, struct http_answer *a,
	    struct err *err);
void http_answer_fini(struct http_answer *a);

/* TLS, proxy and time limits for a handle of one's own: who is slower than a few hundred bytes a
 * second for registry-timeout is given up. */
void http_prepare(const struct http_where *w, CURL *curl, const char *url);
/* err for a failed transfer; returns negative errno. */
int http_failed(CURL *curl, CURLcode rc, const char *method, const char *url, const char *detail,
		struct err *err);
/* Host and port of a URL: up to the path. Owned. */
char *http_host(const char *url);
/* Without the port, and the brackets of an IPv6 address. Owned. */
char *http_host_name(const char *host);
bool http_host_is_loopback(const char *host);

#endif
