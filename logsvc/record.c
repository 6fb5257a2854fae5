/* SPDX-License-Identifier: MPL-2.0
 *
 * record.c - the json-file record: {"log":TEXT,"stream":S,"attrs":{..},"time":T}\n.
 *
 * The encoder of TEXT is line.c, which copies while it scans; here is all that follows the text,
 * made once per batch, and the decoder. The decoder has a short path for records as we write them
 * (keys in our order, no white space), which is the one that counts for a gigabyte of `docker logs`,
 * and a plain parser for everything else: other key orders, unknown keys, records of other engines.
 * Both accept only whole objects: anything else is damage, and the reader counts and skips it.
 */
#include "record.h"

#include <errno.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define MAX_DEPTH 32

static const char *const stream_name[RECORD_STREAMS] = { "stdout", "stderr" };

void record_tail(struct buf *out, enum record_stream stream, const char *attrs, int64_t time_ns)
{
	char stamp[RFC3339NANO_MAX];
	size_t n = fmt_rfc3339nano(stamp, time_ns);

	buf_addstr(out, "\\n\",\"stream\":\"");
	buf_addstr(out, stream_name[stream]);
	buf_addstr(out, "\",");
	if (attrs) {
		buf_addstr(out, "\"attrs\":");
		buf_addstr(out, attrs);
		buf_addch(out, ',');
	}
	buf_addstr(out, "\"time\":\"");
	buf_add(out, stamp, n);
	buf_addstr(out, "\"}\n");
}

/* ---- strings ---------------------------------------------------------------------------------- */

static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = (unsigned char)p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static char *put_utf8(char *o, unsigned c)
{
	if (c < 0x80) {
		*o++ = (char)c;
	} else if (c < 0x800) {
		*o++ = (char)(0xc0 | c >> 6);
		*o++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*o++ = (char)(0xe0 | c >> 12);
		*o++ = (char)(0x80 | (c >> 6 & 63));
		*o++ = (char)(0x80 | (c & 63));
	} else {
		*o++ = (char)(0xf0 | c >> 18);
		*o++ = (char)(0x80 | (c >> 12 & 63));
		*o++ = (char)(0x80 | (c >> 6 & 63));
		*o++ = (char)(0x80 | (c & 63));
	}
	return o;
}

/* At the byte after a backslash. Never writes more bytes than the escape has. NULL: not an escape. */
static const char *unescape_one(const char *p, const char *end, char **out)
{
	static const char from[] = "nrtbf\"\\/", to[] = "\n\r\t\b\f\"\\/";
	const char *f;
	int c, low;

	if (p >= end)
		return NULL;
	if (*p != 'u') {
		if (!*p || !(f = strchr(from, *p)))
			return NULL;
		*(*out)++ = to[f - from];
		return p + 1;
	}
	if ((c = hex4(p + 1, end)) < 0)
		return NULL;
	p += 5;
	if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
	    (low = hex4(p + 2, end)) >= 0xdc00 && low < 0xe000) {
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	} else if (c >= 0xd800 && c < 0xe000) {
		c = 0xfffd;
	}
	*out = put_utf8(*out, (unsigned)c);
	return p;
}

/* Copies up to the next quote or backslash; p may be read and o written 16 bytes too far. */
static const char *copy_plain(const char *p, const char *end, char **out)
{
	char *o = *out;
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');

	while (p < end) {
		__m128i v = _mm_loadu_si128((const __m128i *)p);
		unsigned m = (unsigned)_mm_movemask_epi8(
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)));

		_mm_storeu_si128((__m128i *)o, v);
		if (m) {
			unsigned k = (unsigned)__builtin_ctz(m);

			p += k;
			o += k;
			break;
		}
		p += 16;
		o += 16;
	}
	if (p > end) {
		o -= p - end;
		p = end;
	}
#else
	while (p < end && *p != '"' && *p != '\\')
		*o++ = *p++;
#endif
	*out = o;
	return p;
}

/* p is behind the opening quote; returns what is behind the closing one, or NULL. */
static const char *read_string(const char *p, const char *end, char **out)
{
	for (;;) {
		p = copy_plain(p, end, out);
		if (p >= end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (!(p = unescape_one(p + 1, end, out)))
			return NULL;
	}
}

/* ---- the short path --------------------------------------------------------------------------- */

#define STARTS(p, end, lit) ((size_t)((end) - (p)) >= sizeof(lit) - 1 && !memcmp(p, lit, sizeof(lit) - 1))

/* Skips {...} of strings, numbers and objects; NULL when it does not close. */
static const char *skip_object(const char *p, const char *end)
{
	int depth = 0;

	for (; p < end; p++) {
		if (*p == '"') {
			for (p++; p < end && *p != '"'; p++)
				p += *p == '\\';
		} else if (*p == '{' || *p == '[') {
			if (++depth > MAX_DEPTH)
				return NULL;
		} else if ((*p == '}' || *p == ']') && --depth == 0) {
			return p + 1;
		}
	}
	return NULL;
}

/* What we write ourselves: true when the whole line was taken. */
static bool decode_own(const char *line, const char *end, char *text, struct record *r)
{
	const char *p;
	char *o = text;

	if (!STARTS(line, end, RECORD_HEAD))
		return false;
	if (!(p = read_string(line + RECORD_HEAD_LEN, end, &o)))
		return false;
	r->text_len = (size_t)(o - text);
	if (STARTS(p, end, ",\"stream\":\"stdout\","))
		r->stream = RECORD_STDOUT;
	else if (STARTS(p, end, ",\"stream\":\"stderr\","))
		r->stream = RECORD_STDERR;
	else
		return false;
	p += sizeof(",\"stream\":\"stdout\",") - 1;
	if (STARTS(p, end, "\"attrs\":{")) {
		r->attrs = p + 8;
		if (!(p = skip_object(r->attrs, end)) || p >= end || *p != ',')
			return false;
		r->attrs_len = (size_t)(p++ - r->attrs);
	}
	if (!STARTS(p, end, "\"time\":\"") || end - p < 11 || memcmp(end - 3, "Z\"}", 3))
		return false;
	r->time = p + 8;
	r->time_len = (size_t)(end - 2 - r->time);
	return r->time_len <= 30 && !memchr(r->time, '"', r->time_len);
}

/* ---- any JSON object -------------------------------------------------------------------------- */

static const char *skip_ws(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* Any value but a string. */
static const char *skip_value(const char *p, const char *end)
{
	const char *start = p;

	if (p < end && (*p == '{' || *p == '['))
		return skip_object(p, end);
	while (p < end && *p != ',' && *p != '}' && *p != ' ' && *p != '"')
		p++;
	return p > start ? p : NULL;
}

/* One member: "key" : value. The key is short or none of ours; strings that do not count go to the
 * free room behind the text. */
static const char *decode_member(const char *p, const char *end, char *text, struct record *r)
{
	const char *key = p + 1, *value;
	char *o = text + r->text_len, *scratch = o;
	size_t key_len;

	if (p >= end || *p != '"' || !(p = read_string(key, end, &scratch)))
		return NULL;
	key_len = (size_t)(p - 1 - key);
	p = skip_ws(p, end);
	if (p >= end || *p != ':')
		return NULL;
	p = skip_ws(p + 1, end);
	value = p;
	if (p >= end)
		return NULL;
	if (*p != '"') {
		if (!(p = skip_value(p, end)))
			return NULL;
		if (key_len == 5 && !memcmp(key, "attrs", 5) && *value == '{') {
			r->attrs = value;
			r->attrs_len = (size_t)(p - value);
		}
		return p;
	}
	if (key_len == 3 && !memcmp(key, "log", 3)) {
		o = text;
		if ((p = read_string(p + 1, end, &o)))
			r->text_len = (size_t)(o - text);
		return p;
	}
	scratch = o;
	if (!(p = read_string(p + 1, end, &scratch)))
		return NULL;
	if (key_len == 6 && !memcmp(key, "stream", 6)) {
		size_t n = (size_t)(scratch - o);

		r->stream = n == 6 && !memcmp(o, "stdout", 6)	? RECORD_STDOUT
			    : n == 6 && !memcmp(o, "stderr", 6) ? RECORD_STDERR
								: RECORD_STREAMS;
	} else if (key_len == 4 && !memcmp(key, "time", 4)) {
		r->time = value + 1;
		r->time_len = (size_t)(p - 1 - r->time);
	}
	return p;
}

static int decode_any(const char *p, const char *end, char *text, struct record *r)
{
	p = skip_ws(p, end);
	if (p >= end || *p != '{')
		return -EINVAL;
	p = skip_ws(p + 1, end);
	while (p < end && *p != '}') {
		if (!(p = decode_member(p, end, text, r)))
			return -EINVAL;
		p = skip_ws(p, end);
		if (p < end && *p == ',') {
			p = skip_ws(p + 1, end);
			if (p < end && *p == '}')
				return -EINVAL;
		} else if (p >= end || *p != '}') {
			return -EINVAL;
		}
	}
	if (p >= end || skip_ws(p + 1, end) != end)
		return -EINVAL;
	return 0;
}

int record_decode(const char *line, size_t len, char *text, struct record *r)
{
	int rc = 0;

	memset(r, 0, sizeof(*r));
	r->stream = RECORD_STREAMS;
	if (!decode_own(line, line + len, text, r)) {
		memset(r, 0, sizeof(*r));
		r->stream = RECORD_STREAMS;
		rc = decode_any(line, line + len, text, r);
	}
	r->whole = rc == 0 && r->text_len && text[r->text_len - 1] == '\n';
	return rc;
}

/* ---- times and attributes --------------------------------------------------------------------- */

int64_t record_time_ns(const struct record *r, struct record_clock *clock)
{
	int64_t ns = 0, frac = 0;
	size_t i;

	if (!r->time)
		return 0;
	if (r->time_len >= 20 && r->time_len <= 30 && r->time[r->time_len - 1] == 'Z' &&
	    (r->time_len == 20 || r->time[19] == '.')) {
		if (memcmp(clock->second, r->time, 19) != 0) {
			char whole[21];

			memcpy(whole, r->time, 19);
			memcpy(whole + 19, "Z", 2);
			if (parse_rfc3339_ns(whole, 20, &ns) < 0)
				return 0;
			memcpy(clock->second, r->time, 19);
			clock->second_ns = ns;
		}
		for (i = 20; i < 29; i++) {
			unsigned d = i + 1 < r->time_len ? (unsigned)(r->time[i] - '0') : 0u;

			if (d > 9)
				return 0;
			frac = frac * 10 + d;
		}
		return clock->second_ns + frac;
	}
	return parse_rfc3339_ns(r->time, r->time_len, &ns) < 0 ? 0 : ns;
}

void record_time9(const struct record *r, char out[RECORD_TIME9])
{
	struct record_clock clock = { { 0 }, 0 };
	char stamp[RFC3339NANO_MAX];

	if (r->time && r->time_len >= 20 && r->time_len <= 30 && r->time[r->time_len - 1] == 'Z') {
		memcpy(out, "0000-00-00T00:00:00.000000000Z", RECORD_TIME9);
		memcpy(out, r->time, r->time_len - 1);
		out[19] = '.';
		return;
	}
	fmt_rfc3339_9(stamp, record_time_ns(r, &clock));
	memcpy(out, stamp, RECORD_TIME9);
}

static void add_query_escaped(struct buf *out, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (; *s; s++) {
		if (strchr(plain, *s))
			buf_addch(out, *s);
		else if (*s == ' ')
			buf_addch(out, '+');
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void record_details(const struct record *r, struct buf *out)
{
	cleanup_json json_t *o = NULL;
	cleanup_free const char **keys = NULL;
	struct err ignored = { 0 };
	const char *key;
	json_t *value;
	size_t n = 0;

	if (!r->attrs || jparse(r->attrs, r->attrs_len, &o, &ignored) < 0)
		return;
	keys = xcalloc(json_object_size(o) + 1, sizeof(*keys));
	json_object_foreach(o, key, value)
		keys[n++] = key;
	qsort(keys, n, sizeof(*keys), by_name);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addch(out, ',');
		add_query_escaped(out, keys[i]);
		buf_addch(out, '=');
		add_query_escaped(out, jget_str(o, keys[i], ""));
	}
}
