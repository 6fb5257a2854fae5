/* SPDX-License-Identifier: MPL-2.0
 *
 * buf.c - growable bytes; and the JSON string escape that logs and answers share.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "str.h"

void buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void buf_fini(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->cap = 0;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->over = false;
	if (b->p)
		b->p[0] = '\0';
}

bool buf_over(const struct buf *b)
{
	return b->over;
}

void buf_reserve(struct buf *b, size_t extra)
{
	size_t need, cap;

	if (__builtin_add_overflow(b->len, extra, &need) || need > SIZE_MAX / 2 - 1)
		abort();
	need++;
	if (need <= b->cap)
		return;
	cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
	b->p[b->len] = '\0';
}

/* Whether extra more bytes are allowed; makes room. */
static bool buf_room(struct buf *b, size_t extra)
{
	if (b->max && (b->over || extra > b->max || b->len > b->max - extra)) {
		b->over = true;
		return false;
	}
	buf_reserve(b, extra);
	return true;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
	if (!len || !buf_room(b, len))
		return;
	memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void buf_addstr(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addch(struct buf *b, char c)
{
	if (b->len + 1 < b->cap && (!b->max || b->len < b->max)) {
		b->p[b->len++] = c;
		b->p[b->len] = '\0';
		return;
	}
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0 && buf_room(b, n)) {
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
		b->len += n;
	}
	va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
	} else if (n) {
		memmove(b->p, b->p + n, b->len - n);
		b->len -= n;
	}
	if (b->p)
		b->p[b->len] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->p ? b->p : "";
}

char *buf_steal(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");

	b->p = NULL;
	b->len = b->cap = 0;
	return p;
}

/* Length of the valid UTF-8 sequence at s (n bytes left), 0 when there is none: as Go decodes. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	unsigned char c = s[0], lo = 0x80, hi = 0xbf;
	size_t want, i;

	if (c >= 0xc2 && c <= 0xdf)
		want = 2;
	else if (c >= 0xe0 && c <= 0xef)
		want = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		want = 4;
	else
		return 0;
	if (n < want)
		return 0;
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f; /* surrogates */
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < want; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return want;
}

/* Plain bytes that need no escape in Go's HTML-safe JSON. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* The first byte that is not plain, or end. Sixteen at a time: a log line is mostly plain, and each is looked at when it is
 * forwarded as JSON. As signed numbers, control characters and what is not ASCII are less than a space. */
static const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
	const __m128i space = _mm_set1_epi8(' '), backslash = _mm_set1_epi8('\\'), but2 = _mm_set1_epi8((char)0xfd),
		      angle = _mm_set1_epi8('<'), but4 = _mm_set1_epi8((char)0xfb), quote = _mm_set1_epi8('"');

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i odd = _mm_or_si128(_mm_cmplt_epi8(v, space), _mm_cmpeq_epi8(v, backslash));
		unsigned at;

		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(_mm_and_si128(v, but2), angle)); /* < and > */
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(_mm_and_si128(v, but4), quote)); /* " and & */
		at = (unsigned)_mm_movemask_epi8(odd);
		if (at)
			return p + __builtin_ctz(at);
	}
#endif
	while (p < end && is_plain(*p))
		p++;
	return p;
}

static void escape_ascii(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_add(b, "\\\"", 2);
		break;
	case '\\':
		buf_add(b, "\\\\", 2);
		break;
	case '\n':
		buf_add(b, "\\n", 2);
		break;
	case '\r':
		buf_add(b, "\\r", 2);
		break;
	case '\t':
		buf_add(b, "\\t", 2);
		break;
	default:
		buf_printf(b, "\\u%04x", c);
		break;
	}
}

void buf_json_str(struct buf *b, const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len, *run;
	size_t n;

	buf_addch(b, '"');
	while (p < end) {
		run = p;
		p = skip_plain(p, end);
		buf_add(b, run, p - run);
		if (p == end)
			break;
		if (*p < 0x80) {
			escape_ascii(b, *p++);
			continue;
		}
		n = utf8_len(p, end - p);
		if (!n) {
			buf_add(b, "\\ufffd", 6);
			p++;
		} else if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
			buf_printf(b, "\\u202%x", p[2] & 0xf);
			p += 3;
		} else {
			buf_add(b, p, n);
			p += n;
		}
	}
	buf_addch(b, '"');
}
