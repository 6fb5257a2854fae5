/* SPDX-License-Identifier: MPL-2.0
 *
 * json.c - recursive descent over a text in memory; see json.h.
 */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

struct reader {
	struct json *j;
	char *p;
	char *end;
	uint32_t max_values;
	int rc;
};

static int read_value(struct reader *r, int depth);

static int fail(struct reader *r, int rc)
{
	if (!r->rc)
		r->rc = rc;
	return -1;
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

/* The index of a new value, or -1. */
static int64_t add_value(struct reader *r, enum json_type type)
{
	struct json *j = r->j;

	if (j->len >= r->max_values)
		return fail(r, -E2BIG);
	if (j->len == j->cap) {
		uint32_t cap = j->cap ? j->cap * 2 : 16;
		struct json_val *v = realloc(j->v, cap * sizeof(*v));

		if (!v)
			return fail(r, -ENOMEM);
		j->v = v;
		j->cap = cap;
	}
	memset(&j->v[j->len], 0, sizeof(*j->v));
	j->v[j->len].type = type;
	j->v[j->len].next = j->len + 1;
	return j->len++;
}

static int hex4(const char *p, const char *end, uint32_t *out)
{
	uint32_t v = 0;
	int i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t)(c - 'A' + 10);
		else
			return -1;
	}
	*out = v;
	return 0;
}

static char *put_utf8(char *o, uint32_t c)
{
	if (c < 0x80) {
		*o++ = (char)c;
	} else if (c < 0x800) {
		*o++ = (char)(0xc0 | c >> 6);
		*o++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*o++ = (char)(0xe0 | c >> 12);
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	} else {
		*o++ = (char)(0xf0 | c >> 18);
		*o++ = (char)(0x80 | (c >> 12 & 0x3f));
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	}
	return o;
}

/* After "\u"; a lone surrogate becomes U+FFFD. */
static int read_unicode(struct reader *r, char **o)
{
	uint32_t c, low;

	if (hex4(r->p, r->end, &c) < 0 || c == 0)
		return fail(r, -EINVAL);
	r->p += 4;
	if (c >= 0xd800 && c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' &&
	    hex4(r->p + 2, r->end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
		r->p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xd800 && c < 0xe000) {
		c = 0xfffd;
	}
	*o = put_utf8(*o, c);
	return 0;
}

/* At the opening quote. Unescaping only ever shortens, so it is done in place. */
static int read_string(struct reader *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char *start = r->p + 1, *o = start;
	int64_t idx = add_value(r, JSON_STR);

	if (idx < 0)
		return -1;
	for (r->p++; r->p < r->end;) {
		unsigned char c = (unsigned char)*r->p++;

		if (c == '"') {
			*o = '\0';
			r->j->v[idx].s = start;
			r->j->v[idx].n = (uint32_t)(o - start);
			return 0;
		}
		if (c < 0x20)
			return fail(r, -EINVAL);
		if (c == '\\') {
			const char *f;

			if (r->p >= r->end)
				break;
			c = (unsigned char)*r->p++;
			if (c == 'u') {
				if (read_unicode(r, &o) < 0)
					return -1;
				continue;
			}
			f = c ? strchr(from, c) : NULL;
			if (!f)
				return fail(r, -EINVAL);
			c = (unsigned char)to[f - from];
		}
		*o++ = (char)c;
	}
	return fail(r, -EINVAL);
}

static bool is_digit(const struct reader *r)
{
	return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

/* Saturates instead of overflowing. */
static int read_number(struct reader *r)
{
	bool neg = *r->p == '-';
	int64_t idx = add_value(r, JSON_NUM), v = 0;

	if (idx < 0)
		return -1;
	if (neg)
		r->p++;
	if (!is_digit(r))
		return fail(r, -EINVAL);
	for (; is_digit(r); r->p++) {
		int d = *r->p - '0';

		v = v > (INT64_MAX - d) / 10 ? INT64_MAX : v * 10 + d;
	}
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!is_digit(r))
			return fail(r, -EINVAL);
		while (is_digit(r))
			r->p++;
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!is_digit(r))
			return fail(r, -EINVAL);
		while (is_digit(r))
			r->p++;
	}
	r->j->v[idx].i = neg ? -v : v;
	return 0;
}

static int read_box(struct reader *r, bool obj, int depth)
{
	char close = obj ? '}' : ']';
	int64_t idx = add_value(r, obj ? JSON_OBJ : JSON_ARR);
	uint32_t n = 0;

	if (idx < 0)
		return -1;
	if (depth >= DEPTH_MAX)
		return fail(r, -EINVAL);
	r->p++;
	skip_space(r);
	if (r->p < r->end && *r->p == close) {
		r->p++;
		return 0;
	}
	for (;;) {
		skip_space(r);
		if (obj) {
			if (r->p >= r->end || *r->p != '"')
				return fail(r, -EINVAL);
			if (read_string(r) < 0)
				return -1;
			skip_space(r);
			if (r->p >= r->end || *r->p++ != ':')
				return fail(r, -EINVAL);
		}
		if (read_value(r, depth + 1) < 0)
			return -1;
		n++;
		skip_space(r);
		if (r->p >= r->end)
			return fail(r, -EINVAL);
		if (*r->p == ',') {
			r->p++;
			continue;
		}
		if (*r->p++ != close)
			return fail(r, -EINVAL);
		r->j->v[idx].n = n;
		r->j->v[idx].next = r->j->len;
		return 0;
	}
}

static int read_word(struct reader *r, const char *word, enum json_type type, int64_t i)
{
	size_t n = strlen(word);
	int64_t idx;

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return fail(r, -EINVAL);
	r->p += n;
	if ((idx = add_value(r, type)) < 0)
		return -1;
	r->j->v[idx].i = i;
	return 0;
}

static int read_value(struct reader *r, int depth)
{
	skip_space(r);
	if (r->p >= r->end)
		return fail(r, -EINVAL);
	switch (*r->p) {
	case '{':
		return read_box(r, true, depth);
	case '[':
		return read_box(r, false, depth);
	case '"':
		return read_string(r);
	case 't':
		return read_word(r, "true", JSON_BOOL, 1);
	case 'f':
		return read_word(r, "false", JSON_BOOL, 0);
	case 'n':
		return read_word(r, "null", JSON_NULL, 0);
	default:
		if (*r->p == '-' || is_digit(r))
			return read_number(r);
		return fail(r, -EINVAL);
	}
}

int json_parse(struct json *j, char *text, size_t len, uint32_t max_values)
{
	struct reader r = { .j = j, .p = text, .end = text + len, .max_values = max_values };

	memset(j, 0, sizeof(*j));
	if (len > UINT32_MAX / 2)
		return -E2BIG;
	if (read_value(&r, 0) == 0) {
		skip_space(&r);
		if (r.p != r.end)
			fail(&r, -EINVAL);
	}
	if (r.rc)
		json_fini(j);
	return r.rc;
}

void json_fini(struct json *j)
{
	free(j->v);
	memset(j, 0, sizeof(*j));
}

const struct json_val *json_first(const struct json *j, const struct json_val *box)
{
	if (!box || (box->type != JSON_ARR && box->type != JSON_OBJ) || box->n == 0)
		return NULL;
	(void)j;
	return box + 1;
}

const struct json_val *json_next(const struct json *j, const struct json_val *box,
				 const struct json_val *e)
{
	return e->next < box->next ? &j->v[e->next] : NULL;
}

const struct json_val *json_get(const struct json *j, const struct json_val *obj, const char *key)
{
	const struct json_val *k, *v;

	if (!obj || obj->type != JSON_OBJ)
		return NULL;
	for (k = json_first(j, obj); k; k = json_next(j, obj, v)) {
		v = &j->v[k->next];
		if (strcmp(k->s, key) == 0)
			return v;
	}
	return NULL;
}

const char *json_str(const struct json *j, const struct json_val *obj, const char *key,
		     const char *def)
{
	const struct json_val *v = json_get(j, obj, key);

	return v && v->type == JSON_STR ? v->s : def;
}

int64_t json_int(const struct json *j, const struct json_val *obj, const char *key, int64_t def)
{
	const struct json_val *v = json_get(j, obj, key);

	return v && v->type == JSON_NUM ? v->i : def;
}

bool json_bool(const struct json *j, const struct json_val *obj, const char *key, bool def)
{
	const struct json_val *v = json_get(j, obj, key);

	return v && v->type == JSON_BOOL ? v->i != 0 : def;
}

char **json_strv(const struct json *j, const struct json_val *arr, size_t *n)
{
	const struct json_val *e;
	size_t max = arr && arr->type == JSON_ARR ? arr->n : 0, i = 0;
	char **v = calloc(max + 1, sizeof(*v));

	if (!v)
		return NULL;
	if (max)
		for (e = json_first(j, arr); e; e = json_next(j, arr, e))
			if (e->type == JSON_STR)
				v[i++] = (char *)(uintptr_t)e->s;
	if (n)
		*n = i;
	return v;
}
