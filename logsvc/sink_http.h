/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_http.h - POST requests of a logger, one at a time over one connection that is kept. One thread.
 */
#ifndef LOGSVC_SINK_HTTP_H
#define LOGSVC_SINK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "sink_net.h"

/* Borrowed for the life of the connection. */
struct http_conf {
	const char *url;
	const char *host, *port; /* of url; looked up anew after errors and every minute */
	char *const *headers;	 /* "name: value", NULL-terminated */
	int timeout_ms;		 /* of one exchange */
	const struct net_tls_conf *tls;
};

#define HTTP_BODY_MAX 16384

struct http_answer {
	long status;
	int64_t retry_after_s; /* 0: the server did not say */
	char body[HTTP_BODY_MAX];
	size_t body_len; /* more than fits is cut off */
};

struct http;

/* Loads libcurl: in a process that may still open files. NULL with err. */
struct http *http_new(const struct http_conf *conf, struct err *err);
void http_free(struct http *h); /* NULL is fine */
/* 0 with an answer, whatever its status; or negative: there was none. */
int http_post(struct http *h, const void *p, size_t len, struct http_answer *out, struct err *err);
/* Drops the connection; the next request looks the name up. */
void http_close(struct http *h);

#endif
