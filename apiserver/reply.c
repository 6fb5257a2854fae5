/* SPDX-License-Identifier: MPL-2.0
 *
 * reply.c - answers: status line and headers as Docker's, JSON, errors, chunked pieces.
 *
 * A reply that is whole is put together in the client's output buffer and written once, at the end
 * of the input batch that it answers (client.c corks) or at once when it comes later.
 *
 * A connection is not used again when the request said so, when HTTP/1.0 leaves no way to tell the
 * end of a body, or when much of the request's body has not been read.
 */
#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cleanup.h"
#include "pump.h"
#include "str.h"
#include "version.h"

#define LOG_MODULE "reply"
#include "log.h"

#define UNREAD_BODY_MAX (256 * 1024)

/* "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", made again once a second */
static const char *date_line(void)
{
	static char line[48];
	static time_t made;
	time_t now = time(NULL);
	struct tm tm;

	if (now != made) {
		made = now;
		gmtime_r(&now, &tm);
		strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	}
	return line;
}

static void add_uint(struct buf *b, uint64_t v)
{
	char tmp[24];
	int i = sizeof(tmp);

	do {
		tmp[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(b, tmp + i, sizeof(tmp) - (size_t)i);
}

static void add_status_line(struct buf *b, int status)
{
	if (status == 200) {
		buf_add(b, "HTTP/1.1 200 OK\r\n", 17);
		return;
	}
	buf_add(b, "HTTP/1.1 ", 9);
	add_uint(b, (uint64_t)status);
	buf_addch(b, ' ');
	buf_addstr(b, http_status_text(status));
	buf_add(b, "\r\n", 2);
}

/* Whether what is left of the request's body makes the connection useless. */
static bool body_in_the_way(const struct req *r)
{
	const struct http_head *h = &r->client->parse.head;

	if (r->body_done || !h->has_body || r->bs)
		return false;
	return h->expect_continue || h->content_length < 0 || h->content_length > UNREAD_BODY_MAX;
}

/* length >= 0: the body's; -1: to be told by chunks or by the connection's end. */
static void make_head(struct req *r, struct buf *b, int status, const char *content_type,
		      int64_t length)
{
	struct client *c = r->client;
	bool bodyless = status == 204 || status == 304 || status < 200;

	r->head_sent = true;
	r->status = status;
	client_stats.replies++;
	if (status >= 400)
		client_stats.errors++;
	r->no_body = bodyless || strcmp(c->parse.head.method, "HEAD") == 0;
	if (length < 0 && !bodyless) {
		if (c->parse.head.minor >= 1)
			r->chunked = true;
		else
			c->closing_after = true;
	}
	if (body_in_the_way(r))
		c->closing_after = true;
	buf_reserve(b, 512);
	add_status_line(b, status);
	buf_addstr(b, "Api-Version: " SDC_API_VERSION "\r\n");
	if (content_type && !bodyless) {
		buf_addstr(b, "Content-Type: ");
		buf_addstr(b, content_type);
		buf_add(b, "\r\n", 2);
	}
	buf_addstr(b, date_line());
	buf_addstr(b, "Docker-Experimental: true\r\n"
		      "Ostype: linux\r\n"
		      "Server: sdc-docker/" SDC_VERSION " (linux)\r\n");
	if (r->extra_headers.len)
		buf_add(b, r->extra_headers.p, r->extra_headers.len);
	if (length >= 0 && !bodyless) {
		buf_addstr(b, "Content-Length: ");
		add_uint(b, (uint64_t)length);
		buf_add(b, "\r\n", 2);
	}
	if (r->chunked)
		buf_addstr(b, "Transfer-Encoding: chunked\r\n");
	if (c->closing_after)
		buf_addstr(b, "Connection: close\r\n");
	else if (c->parse.head.minor == 0)
		buf_addstr(b, "Connection: keep-alive\r\n");
	buf_add(b, "\r\n", 2);
}

static void log_done(const struct req *r)
{
	log_debug("request done", "req=%llu method=%s path=%s status=%d us=%lld",
		  (unsigned long long)r->id, req_method(r), log_q(req_path(r)), r->status,
		  (long long)((mono_ns() - r->begun_ns) / 1000));
}

void reply_finish(struct req *r)
{
	log_done(r);
	r->pump = NULL;
	client_req_done(r->client);
}

/* Head and body, and the request is done. */
static void send_whole(struct req *r, int status, const char *content_type, const void *p,
		       size_t len)
{
	struct client *c = r->client;
	bool was_corked = c->corked;

	if (r->head_sent) {
		/* a handler that has begun a stream cannot take it back */
		log_warn("a second reply was dropped", "path=%s status=%d", log_q(req_path(r)),
			 status);
		return;
	}
	if (was_corked || client_pending(c)) {
		make_head(r, &c->out, status, content_type, (int64_t)len);
		if (!r->no_body)
			buf_add(&c->out, p, len);
	} else {
		/* one write of both, and no copy of a large body into c->out */
		static struct buf head;

		buf_reset(&head);
		make_head(r, &head, status, content_type, (int64_t)len);
		if (!r->no_body && len <= 32 * 1024)
			buf_add(&head, p, len);
		client_write(c, head.p, head.len);
		if (!r->no_body && len > 32 * 1024)
			client_write(c, p, len);
	}
	reply_finish(r);
	if (!was_corked && client_pending(c))
		client_update_poll(c);
}

void reply_json(uint64_t req, int status, struct buf *json)
{
	struct req *r = req_by_id(req);

	if (r) {
		if (json->len == 0 || json->p[json->len - 1] != '\n')
			buf_addch(json, '\n');
		send_whole(r, status, "application/json", json->p, json->len);
	}
	buf_fini(json);
}

void reply_text(uint64_t req, int status, const char *content_type, const char *text)
{
	struct req *r = req_by_id(req);

	if (r)
		send_whole(r, status, content_type, text, strlen(text));
}

void reply_empty(uint64_t req, int status)
{
	struct req *r = req_by_id(req);

	if (r)
		send_whole(r, status, NULL, "", 0);
}

void reply_error_status(uint64_t req, int status, const char *message)
{
	struct req *r = req_by_id(req);
	cleanup_buf struct buf b = BUF_INIT;

	if (!r)
		return;
	buf_addstr(&b, "{\"message\":");
	buf_json_str(&b, message, strlen(message));
	buf_addstr(&b, "}\n");
	send_whole(r, status, "application/json", b.p, b.len);
}

void reply_error(uint64_t req, const struct err *err)
{
	int status = err_http_status(err->kind);

	if (status == 304)
		reply_empty(req, status);
	else
		reply_error_status(req, status < 400 ? 500 : status, err->msg);
}

void reply_header(uint64_t req, const char *name, const char *value)
{
	struct req *r = req_by_id(req);

	if (!r || r->head_sent)
		return;
	buf_addstr(&r->extra_headers, name);
	buf_add(&r->extra_headers, ": ", 2);
	for (; *value; value++) {
		/* a value must not end the header */
		if (*value != '\r' && *value != '\n')
			buf_addch(&r->extra_headers, *value);
	}
	buf_add(&r->extra_headers, "\r\n", 2);
}

/* The rest of the body cannot be had. Nobody has acted on the request yet, unless its body streams.
 */
void reply_bad_body(struct client *c, const char *text)
{
	c->closing_after = true;
	if (c->req.head_sent || (route_flags(c->req.route) & BODY_STREAM))
		client_gone(c);
	else
		reply_error_status(c->req.id, 400, text);
}

void reply_bad_request(struct client *c, int status, const char *text)
{
	struct buf *b = &c->out;

	if (c->state == CLIENT_BODY && c->req.live) {
		reply_bad_body(c, "malformed request body");
		return;
	}
	if (c->state != CLIENT_BODY) {
		client_stats.replies++;
		client_stats.errors++;
		add_status_line(b, status);
		buf_printf(b,
			   "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
			   "Content-Length: %zu\r\n\r\n%d %s",
			   strlen(text) + 4, status, text);
	}
	c->closing_after = true;
	client_linger(c);
}

/* ---- piece by piece -----------------------------------------------------------------------------
 */

void reply_send_head(struct req *r, int status, const char *content_type, int64_t length)
{
	static struct buf head;

	buf_reset(&head);
	make_head(r, &head, status ? status : 200, content_type, length);
	client_write(r->client, head.p, head.len);
}

int reply_begin(uint64_t req, int status, const char *content_type)
{
	struct req *r = req_by_id(req);

	if (!r || r->head_sent)
		return -EPIPE;
	reply_send_head(r, status, content_type, -1);
	return 0;
}

int64_t reply_write(uint64_t req, const void *p, size_t len)
{
	struct req *r = req_by_id(req);
	struct client *c;
	char head[24];
	int n;

	if (!r || r->client->broken)
		return -EPIPE;
	c = r->client;
	if (r->no_body || len == 0)
		return (int64_t)client_pending(c);
	if (!r->chunked) {
		client_write(c, p, len);
	} else if (len <= 16 * 1024) {
		char whole[16 * 1024 + 32];

		n = snprintf(whole, sizeof(whole), "%zx\r\n", len);
		memcpy(whole + n, p, len);
		memcpy(whole + (size_t)n + len, "\r\n", 2);
		client_write(c, whole, (size_t)n + len + 2);
	} else {
		n = snprintf(head, sizeof(head), "%zx\r\n", len);
		client_write(c, head, (size_t)n);
		client_write(c, p, len);
		client_write(c, "\r\n", 2);
	}
	return c->broken ? -EPIPE : (int64_t)client_pending(c);
}

void reply_end(uint64_t req)
{
	struct req *r = req_by_id(req);

	if (!r)
		return;
	if (r->chunked && !r->no_body)
		client_write(r->client, "0\r\n\r\n", 5);
	reply_finish(r);
}

void reply_abort(uint64_t req)
{
	struct req *r = req_by_id(req);

	if (r)
		client_abort(r->client);
}
