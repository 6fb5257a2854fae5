/* SPDX-License-Identifier: MPL-2.0
 *
 * jw.c - JSON text, piece by piece.
 */
#include "jw.h"

#include <assert.h>
#include <string.h>

static void before(struct jw *w, const char *key)
{
	if (w->comma)
		buf_addch(w->b, ',');
	if (key) {
		buf_json_str(w->b, key, strlen(key));
		buf_addch(w->b, ':');
	}
	w->comma = true;
}

static void push(struct jw *w, bool arr)
{
	assert(w->depth < 60);
	w->depth++;
	if (arr)
		w->is_arr |= 1ULL << w->depth;
	else
		w->is_arr &= ~(1ULL << w->depth);
	w->comma = false;
}

void jw_obj(struct jw *w, const char *key)
{
	before(w, key);
	buf_addch(w->b, '{');
	push(w, false);
}

void jw_arr(struct jw *w, const char *key)
{
	before(w, key);
	buf_addch(w->b, '[');
	push(w, true);
}

void jw_end(struct jw *w)
{
	assert(w->depth > 0);
	buf_addch(w->b, w->is_arr >> w->depth & 1 ? ']' : '}');
	w->depth--;
	w->comma = true;
}

void jw_strn(struct jw *w, const char *key, const char *s, size_t len)
{
	before(w, key);
	buf_json_str(w->b, s, len);
}

void jw_str(struct jw *w, const char *key, const char *s)
{
	if (!s)
		jw_null(w, key);
	else
		jw_strn(w, key, s, strlen(s));
}

void jw_int(struct jw *w, const char *key, int64_t v)
{
	before(w, key);
	buf_printf(w->b, "%lld", (long long)v);
}

void jw_uint(struct jw *w, const char *key, uint64_t v)
{
	before(w, key);
	buf_printf(w->b, "%llu", (unsigned long long)v);
}

void jw_bool(struct jw *w, const char *key, bool v)
{
	before(w, key);
	buf_addstr(w->b, v ? "true" : "false");
}

void jw_null(struct jw *w, const char *key)
{
	before(w, key);
	buf_add(w->b, "null", 4);
}

void jw_raw(struct jw *w, const char *key, const char *json)
{
	before(w, key);
	buf_addstr(w->b, json);
}
