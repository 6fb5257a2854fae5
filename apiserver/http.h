/* SPDX-License-Identifier: MPL-2.0
 *
 * http.h - HTTP/1.x requests from bytes: a pull parser over the parser library, which only http.c
 * knows. Pure; no sockets, no allocation per request once warm.
 *
 *	while ((ev = http_next(&hp, p, len, &used, &body, &n_body)) ...) { p += used; len -= used; }
 */
#ifndef APISERVER_HTTP_H
#define APISERVER_HTTP_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define HTTP_MAX_HEAD	 (1024 * 1024) /* Go's: build arguments and filters are in URLs */
#define HTTP_MAX_URL	 (1000 * 1024)
#define HTTP_MAX_HEADERS 256
#define HTTP_KEEP_HEAD	 (64 * 1024) /* more room than this is given back after a request */

enum http_event {
	HTTP_EV_MORE, /* all of the input is used */
	HTTP_EV_HEAD, /* head is whole; see struct http_head */
	HTTP_EV_BODY, /* *body, *n_body: a piece of the body */
	HTTP_EV_END,  /* the message is whole; the next call begins another one */
	HTTP_EV_BAD,  /* not HTTP, or refused: see bad_status; the connection is of no use any more
		       */
};

struct http_header {
	uint32_t name, value; /* offsets into text, NUL-terminated; names in lower case */
};

struct http_head {
	const char *method; /* static text */
	struct buf text;    /* the URL at offset 0, then headers */
	struct http_header headers[HTTP_MAX_HEADERS];
	unsigned n_headers;
	unsigned minor; /* HTTP/1.minor */
	bool keep_alive;
	bool upgrade; /* Connection: upgrade with an Upgrade header */
	bool expect_continue;
	bool has_body;
	int64_t content_length; /* -1: chunked */
};

struct http_parse {
	http_parser parser;
	struct http_head head;
	/* between callbacks */
	uint8_t pending; /* enum http_event that a callback has left */
	uint8_t last_cb; /* what the text's end is part of */
	bool value_in_call;
	bool any; /* bytes of this message were seen */
	uint32_t n_head_bytes;
	int bad_status;
	const char *bad_text;
	const char *body;
	size_t n_body;
};

void http_init(struct http_parse *hp);
void http_fini(struct http_parse *hp);
enum http_event http_next(struct http_parse *hp, const char *p, size_t len, size_t *used,
			  const char **body, size_t *n_body);
/* NULL if absent; the first of several. */
const char *http_header(const struct http_head *head, const char *lower_name);
/* Whether a comma-separated header holds a token, in any case. */
bool http_header_has(const struct http_head *head, const char *lower_name, const char *token);
const char *http_status_text(int status);

/* %XX (and + as a blank when plus is set) decoded onto the end of out, without a NUL added. -1: a
 * bad escape, or a NUL byte. */
int http_unescape(struct buf *out, const char *p, size_t len, bool plus);

#endif
