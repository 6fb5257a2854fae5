/* SPDX-License-Identifier: MPL-2.0
 *
 * http.c - requests from bytes, over http-parser (llhttp has the same callbacks: only this file
 * would change).
 *
 * Design: the library calls back in the middle of its work; callers here want to decide between the
 * head, the body and the end of a message. So each of these callbacks pauses the library and leaves
 * an event, which http_next returns.
 *
 * What the library lets through and this file refuses: blanks and other non-token characters in
 * header names ("Host : x" is how two servers are made to disagree), control characters in values,
 * folded header lines, versions other than 1.0 and 1.1, no or two Host headers in 1.1, too many
 * headers, fragments and control characters in URLs. The library itself refuses two different
 * framings (Transfer-Encoding with Content-Length, two Content-Lengths, unknown codings), bare CR
 * and heads of more than HTTP_MAX_HEAD bytes.
 */
#include "http.h"

#include <string.h>
#include <strings.h>

#include "str.h"

enum { CB_NONE, CB_URL, CB_FIELD, CB_VALUE };

static int refuse(struct http_parse *hp, int status, const char *text)
{
	hp->bad_status = status;
	hp->bad_text = text;
	hp->pending = HTTP_EV_BAD;
	return -1;
}

static const bool token_char[256] = {
	['!'] = true,	      ['#'] = true,	    ['$'] = true, ['%'] = true,
	['&'] = true,	      ['\''] = true,	    ['*'] = true, ['+'] = true,
	['-'] = true,	      ['.'] = true,	    ['^'] = true, ['_'] = true,
	['`'] = true,	      ['|'] = true,	    ['~'] = true, ['0' ... '9'] = true,
	['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static int on_message_begin(http_parser *p)
{
	struct http_parse *hp = p->data;
	struct http_head *h = &hp->head;

	buf_reset(&h->text);
	if (h->text.cap > HTTP_KEEP_HEAD)
		buf_fini(&h->text);
	h->n_headers = 0;
	hp->last_cb = CB_NONE;
	hp->n_head_bytes = 0;
	hp->any = true;
	return 0;
}

static int add_text(struct http_parse *hp, const char *at, size_t len)
{
	hp->n_head_bytes += (uint32_t)len;
	if (hp->n_head_bytes > HTTP_MAX_HEAD)
		return refuse(hp, 431, "request header too large");
	buf_add(&hp->head.text, at, len);
	return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
	struct http_parse *hp = p->data;

	if (hp->head.text.len + len > HTTP_MAX_URL)
		return refuse(hp, 414, "request URI too long");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return refuse(hp, 400, "malformed request URI");
	}
	hp->last_cb = CB_URL;
	return add_text(hp, at, len);
}

/* Ends the string that the text ends with. */
static void end_string(struct http_parse *hp)
{
	struct http_head *h = &hp->head;

	if (hp->last_cb == CB_VALUE) {
		/* blanks at the end are no part of the value */
		size_t start = h->headers[h->n_headers - 1].value;

		while (h->text.len > start &&
		       (h->text.p[h->text.len - 1] == ' ' || h->text.p[h->text.len - 1] == '\t'))
			h->text.len--;
	}
	buf_addch(&h->text, '\0');
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
	struct http_parse *hp = p->data;
	struct http_head *h = &hp->head;
	size_t start;

	hp->value_in_call = false;
	if (hp->last_cb != CB_FIELD) {
		if (h->n_headers == HTTP_MAX_HEADERS)
			return refuse(hp, 431, "too many request headers");
		end_string(hp);
		h->headers[h->n_headers++] = (struct http_header){ .name = (uint32_t)h->text.len };
		hp->last_cb = CB_FIELD;
	}
	start = h->text.len;
	if (add_text(hp, at, len) < 0)
		return -1;
	for (size_t i = start; i < h->text.len; i++) {
		char *c = &h->text.p[i];

		if (!token_char[(unsigned char)*c])
			return refuse(hp, 400, "malformed header name");
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
	struct http_parse *hp = p->data;
	struct http_head *h = &hp->head;

	/* a second piece within one call is a folded line; in the next call it is the same value's
	 * rest */
	if (hp->last_cb == CB_VALUE && hp->value_in_call)
		return refuse(hp, 400, "folded header line");
	hp->value_in_call = true;
	if (hp->last_cb != CB_VALUE) {
		end_string(hp);
		h->headers[h->n_headers - 1].value = (uint32_t)h->text.len;
		hp->last_cb = CB_VALUE;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return refuse(hp, 400, "malformed header value");
	}
	return add_text(hp, at, len);
}

static int check_hosts(struct http_parse *hp)
{
	unsigned n = 0;

	for (unsigned i = 0; i < hp->head.n_headers; i++) {
		if (str_eq(hp->head.text.p + hp->head.headers[i].name, "host"))
			n++;
	}
	if (n > 1)
		return refuse(hp, 400, "too many Host headers");
	if (n == 0 && hp->head.minor >= 1)
		return refuse(hp, 400, "missing required Host header");
	return 0;
}

static int on_headers_complete(http_parser *p)
{
	struct http_parse *hp = p->data;
	struct http_head *h = &hp->head;
	const char *expect;

	end_string(hp);
	hp->last_cb = CB_NONE;
	if (p->http_major != 1 || p->http_minor > 1)
		return refuse(hp, 505, "unsupported protocol version");
	h->method = http_method_str((enum http_method)p->method);
	h->minor = p->http_minor;
	if (check_hosts(hp) < 0)
		return -1;
	/* the library would tell only after this callback */
	if (p->uses_transfer_encoding && !(p->flags & F_CHUNKED))
		return refuse(hp, 400, "unsupported transfer encoding");
	h->keep_alive = http_should_keep_alive(p) != 0;
	h->upgrade = p->upgrade != 0;
	h->content_length = (p->flags & F_CHUNKED)	   ? -1
			    : (p->flags & F_CONTENTLENGTH) ? (int64_t)p->content_length
							   : 0;
	if ((p->flags & F_CONTENTLENGTH) && p->content_length > INT64_MAX / 2)
		return refuse(hp, 400, "bad Content-Length");
	h->has_body = h->content_length != 0;
	expect = http_header(h, "expect");
	h->expect_continue = expect && h->minor >= 1 && strcasecmp(expect, "100-continue") == 0;
	if (expect && *expect && strcasecmp(expect, "100-continue") != 0)
		return refuse(hp, 417, "unsupported expectation"); /* RFC 9110, 10.1.1 */
	hp->pending = HTTP_EV_HEAD;
	http_parser_pause(p, 1);
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_parse *hp = p->data;

	hp->body = at;
	hp->n_body = len;
	hp->pending = HTTP_EV_BODY;
	http_parser_pause(p, 1);
	return 0;
}

static int on_message_complete(http_parser *p)
{
	struct http_parse *hp = p->data;

	hp->pending = HTTP_EV_END;
	hp->any = false;
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void http_init(struct http_parse *hp)
{
	memset(hp, 0, sizeof(*hp));
	http_parser_set_max_header_size(HTTP_MAX_HEAD);
	http_parser_init(&hp->parser, HTTP_REQUEST);
	hp->parser.data = hp;
}

void http_fini(struct http_parse *hp)
{
	buf_fini(&hp->head.text);
}

enum http_event http_next(struct http_parse *hp, const char *p, size_t len, size_t *used,
			  const char **body, size_t *n_body)
{
	enum http_errno errnum;

	*used = 0;
	if (len == 0)
		return HTTP_EV_MORE; /* to the library this would be the end of the input */
	hp->pending = HTTP_EV_MORE;
	hp->value_in_call = false;
	if (HTTP_PARSER_ERRNO(&hp->parser) == HPE_PAUSED)
		http_parser_pause(&hp->parser, 0);
	*used = http_parser_execute(&hp->parser, &settings, p, len);
	if (hp->pending == HTTP_EV_BAD)
		return HTTP_EV_BAD;
	errnum = HTTP_PARSER_ERRNO(&hp->parser);
	if (errnum != HPE_OK && errnum != HPE_PAUSED) {
		hp->bad_status = errnum == HPE_HEADER_OVERFLOW ? 431 : 400;
		hp->bad_text =
			errnum == HPE_HEADER_OVERFLOW ? "request header too large" : "Bad Request";
		return HTTP_EV_BAD;
	}
	if (hp->pending == HTTP_EV_BODY) {
		*body = hp->body;
		*n_body = hp->n_body;
	}
	return (enum http_event)hp->pending;
}

const char *http_header(const struct http_head *head, const char *lower_name)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (strcmp(head->text.p + head->headers[i].name, lower_name) == 0)
			return head->text.p + head->headers[i].value;
	}
	return NULL;
}

bool http_header_has(const struct http_head *head, const char *lower_name, const char *token)
{
	size_t want = strlen(token);

	for (unsigned i = 0; i < head->n_headers; i++) {
		const char *s = head->text.p + head->headers[i].value;

		if (strcmp(head->text.p + head->headers[i].name, lower_name) != 0)
			continue;
		while (*s) {
			size_t n;

			s += strspn(s, " \t,");
			n = strcspn(s, ",");
			while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
				n--;
			if (n == want && strncasecmp(s, token, n) == 0)
				return true;
			s += strcspn(s, ",");
		}
	}
	return false;
}

const char *http_status_text(int status)
{
	switch (status) {
#define XX(num, name, string)                                                                      \
	case num:                                                                                  \
		return #string;
		HTTP_STATUS_MAP(XX)
#undef XX
	}
	return "Unknown";
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_unescape(struct buf *out, const char *p, size_t len, bool plus)
{
	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (c == '+' && plus) {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 2 < len ? hex_value(p[i + 1]) : -1;
			int lo = hi >= 0 ? hex_value(p[i + 2]) : -1;

			if (lo < 0 || (hi == 0 && lo == 0))
				return -1;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		buf_addch(out, c);
	}
	return 0;
}
