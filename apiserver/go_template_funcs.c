/* SPDX-License-Identifier: MPL-2.0
 *
 * go_template_funcs.c - the functions of templates: Go's own (text/template, funcs.go) and those that Docker adds for log tags.
 *
 * lower, upper and title change ASCII letters only.
 * To extend: a row of funcs[].
 */
#include "apiserver/go_template_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define TEXT_MAX 65536

static json_t *bad(struct err *err, const char *what)
{
	(void)err_kind(err, ERR_BAD_PARAM, "%s", what);
	return NULL;
}

static json_t *text(const struct buf *b, struct err *err)
{
	json_t *v = json_stringn(b->len ? b->p : "", b->len);

	return v ? v : bad(err, "not UTF-8"); /* a character was cut */
}

/* ---- values ------------------------------------------------------------------------------------ */

bool go_value_is_true(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return json_string_length(v) > 0;
	case JSON_INTEGER:
		return json_integer_value(v) != 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	case JSON_OBJECT:
		return json_object_size(v) > 0;
	case JSON_TRUE:
		return true;
	case JSON_REAL:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_map(const json_t *v, struct buf *out)
{
	size_t n = json_object_size(v), i = 0;
	const char **keys = xcalloc(n + 1, sizeof(*keys)), *key;
	json_t *member;

	json_object_foreach ((json_t *)(uintptr_t)v, key, member)
		keys[i++] = key;
	qsort(keys, n, sizeof(*keys), by_name);
	buf_addstr(out, "map[");
	for (i = 0; i < n; i++) {
		buf_printf(out, "%s%s:", i ? " " : "", keys[i]);
		go_value_print(json_object_get(v, keys[i]), out);
	}
	buf_addch(out, ']');
	free(keys);
}

void go_value_print(const json_t *v, struct buf *out)
{
	const json_t *e;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_STRING:
		buf_add(out, json_string_value(v), json_string_length(v));
		return;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)json_integer_value(v));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_addstr(out, json_is_true(v) ? "true" : "false");
		return;
	case JSON_ARRAY:
		buf_addch(out, '[');
		json_array_foreach (v, i, e) {
			buf_addstr(out, i ? " " : "");
			go_value_print(e, out);
		}
		buf_addch(out, ']');
		return;
	case JSON_OBJECT:
		print_map(v, out);
		return;
	case JSON_REAL:
	case JSON_NULL:
		break;
	}
	buf_addstr(out, "<no value>");
}

static const char *string_of(const json_t *v, struct err *err)
{
	if (json_is_string(v))
		return json_string_value(v);
	(void)err_kind(err, ERR_BAD_PARAM, "wrong type for value; expected string; got %s",
		       json_is_integer(v)  ? "int"
		       : json_is_array(v)  ? "[]string"
		       : json_is_object(v) ? "map[string]string"
					   : "another");
	return NULL;
}

static bool int_of(const json_t *v, int64_t *out, struct err *err)
{
	*out = json_integer_value(v);
	return json_is_integer(v) || bad(err, "wrong type for value; expected int");
}

/* ---- strings ----------------------------------------------------------------------------------- */

static json_t *change_case(const json_t *v, int (*first)(int), int (*rest)(int), struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	const char *s = string_of(v, err);
	bool start = true;

	if (!s)
		return NULL;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		buf_addch(&b, (char)(c < 0x80 ? start ? first(c) : rest ? rest(c) : c : c));
		start = rest || (c < 0x80 && !isalnum(c) && c != '_');
	}
	return text(&b, err);
}

static json_t *f_lower(json_t *const *a, size_t n, struct err *err)
{
	(void)n;
	return change_case(a[0], tolower, tolower, err);
}

static json_t *f_upper(json_t *const *a, size_t n, struct err *err)
{
	(void)n;
	return change_case(a[0], toupper, toupper, err);
}

static json_t *f_title(json_t *const *a, size_t n, struct err *err)
{
	(void)n;
	return change_case(a[0], toupper, NULL, err);
}

static json_t *f_split(json_t *const *a, size_t n, struct err *err)
{
	const char *s = string_of(a[0], err), *sep = s ? string_of(a[1], err) : NULL, *next;
	json_t *list;

	(void)n;
	if (!sep)
		return NULL;
	list = json_array();
	if (!*sep) { /* its characters */
		for (size_t len; *s; s += len) {
			for (len = 1; ((unsigned char)s[len] & 0xc0) == 0x80; len++)
				;
			json_array_append_new(list, json_stringn(s, len));
		}
		return list;
	}
	for (; (next = strstr(s, sep)); s = next + strlen(sep))
		json_array_append_new(list, json_stringn(s, (size_t)(next - s)));
	json_array_append_new(list, json_string(s));
	return list;
}

static json_t *f_join(json_t *const *a, size_t n, struct err *err)
{
	const char *sep = string_of(a[1], err);
	cleanup_buf struct buf b = BUF_INIT;
	const json_t *e;
	size_t i;

	(void)n;
	if (!sep)
		return NULL;
	if (!json_is_array(a[0]))
		return bad(err, "wrong type for value; expected []string");
	json_array_foreach (a[0], i, e) {
		buf_addstr(&b, i ? sep : "");
		go_value_print(e, &b);
	}
	return text(&b, err);
}

static json_t *f_pad(json_t *const *a, size_t n, struct err *err)
{
	const char *s = string_of(a[0], err);
	cleanup_buf struct buf b = BUF_INIT;
	int64_t before, after;

	(void)n;
	if (!s || !int_of(a[1], &before, err) || !int_of(a[2], &after, err))
		return NULL;
	if (before < 0 || after < 0 || before > TEXT_MAX || after > TEXT_MAX)
		return bad(err, "strings: negative or too large Repeat count");
	if (!*s)
		return json_string("");
	while (before-- > 0)
		buf_addch(&b, ' ');
	buf_addstr(&b, s);
	while (after-- > 0)
		buf_addch(&b, ' ');
	return text(&b, err);
}

static json_t *f_truncate(json_t *const *a, size_t n, struct err *err)
{
	const char *s = string_of(a[0], err);
	int64_t len;

	(void)n;
	if (!s || !int_of(a[1], &len, err))
		return NULL;
	if (len < 0)
		return bad(err, "slice bounds out of range");
	if ((size_t)len >= strlen(s))
		return json_incref(a[0]);
	while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
		len--; /* to a character's start */
	return json_stringn(s, (size_t)len);
}

static json_t *f_json(json_t *const *a, size_t n, struct err *err)
{
	cleanup_free char *s = json_dumps(a[0], JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	(void)n;
	return s ? json_string(s) : bad(err, "cannot be JSON");
}

static json_t *f_html(json_t *const *a, size_t n, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT, out = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		go_value_print(a[i], &b);
	for (const char *s = buf_str(&b); *s; s++) {
		static const char from[] = "\"'&<>";
		static const char *const to[] = { "&#34;", "&#39;", "&amp;", "&lt;", "&gt;" };
		const char *at = strchr(from, *s);

		if (at)
			buf_addstr(&out, to[at - from]);
		else
			buf_addch(&out, *s);
	}
	return text(&out, err);
}

static json_t *f_urlquery(json_t *const *a, size_t n, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT, out = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		go_value_print(a[i], &b);
	for (const char *s = buf_str(&b); *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			buf_addch(&out, *s);
		else
			buf_printf(&out, *s == ' ' ? "+" : "%%%02X", (unsigned char)*s);
	}
	return text(&out, err);
}

/* ---- printing ---------------------------------------------------------------------------------- */

/* Blanks between two operands where neither is a string; all: everywhere, and a newline. */
static json_t *print(json_t *const *a, size_t n, bool all, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		if (i && (all || (!json_is_string(a[i]) && !json_is_string(a[i - 1]))))
			buf_addch(&b, ' ');
		go_value_print(a[i], &b);
	}
	if (all)
		buf_addch(&b, '\n');
	return text(&b, err);
}

static json_t *f_print(json_t *const *a, size_t n, struct err *err)
{
	return print(a, n, false, err);
}

static json_t *f_println(json_t *const *a, size_t n, struct err *err)
{
	return print(a, n, true, err);
}

struct verb {
	bool minus, zero;
	int64_t width, precision; /* precision -1: none */
	char what;
};

/* Behind the %: [-0][width][.precision]verb. NULL: the format ends. */
static const char *read_verb(const char *s, struct verb *v)
{
	char *end;

	*v = (struct verb){ .precision = -1 };
	for (; *s == '-' || *s == '0'; s++)
		*(*s == '-' ? &v->minus : &v->zero) = true;
	v->width = strtol(s, &end, 10);
	s = end;
	if (*s == '.') {
		v->precision = strtol(s + 1, &end, 10);
		s = end;
	}
	v->what = *s;
	return *s ? s + 1 : NULL;
}

/* The text without its width; false: not a verb for this value. */
static bool format_value(const struct verb *v, const json_t *arg, struct buf *b)
{
	bool is_int = json_is_integer(arg);

	if (strchr("sv", v->what) && (v->what == 'v' || json_is_string(arg))) {
		go_value_print(arg, b);
		if (v->precision >= 0 && json_is_string(arg) && (size_t)v->precision < b->len) {
			size_t len = (size_t)v->precision;

			while (len > 0 && ((unsigned char)b->p[len] & 0xc0) == 0x80)
				len--;
			b->p[b->len = len] = '\0';
		}
		return true;
	}
	if (v->what == 'q' && json_is_string(arg)) {
		cleanup_free char *s = json_dumps(arg, JSON_ENCODE_ANY);

		buf_addstr(b, s ? s : "\"\"");
		return true;
	}
	if (strchr("dxX", v->what) && is_int) {
		buf_printf(b,
			   v->what == 'd'   ? "%lld"
			   : v->what == 'x' ? "%llx"
					    : "%llX",
			   (long long)json_integer_value(arg));
		return true;
	}
	if (v->what == 't' && json_is_boolean(arg)) {
		go_value_print(arg, b);
		return true;
	}
	return false;
}

static bool format_one(const struct verb *v, const json_t *arg, struct buf *out, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	int64_t pad;

	if (v->width > 1024 || v->precision > 1024) {
		(void)bad(err, "a width of more than 1024");
		return false;
	}
	if (!format_value(v, arg, &b)) {
		(void)err_kind(err, ERR_BAD_PARAM, "the verb %%%c is not for this value",
			       isprint((unsigned char)v->what) ? v->what : '?');
		return false;
	}
	pad = v->width - (int64_t)b.len;
	for (; !v->minus && pad > 0; pad--)
		buf_addch(out, v->zero ? '0' : ' ');
	buf_add(out, buf_str(&b), b.len);
	for (; v->minus && pad > 0; pad--)
		buf_addch(out, ' ');
	return true;
}

static json_t *f_printf(json_t *const *a, size_t n, struct err *err)
{
	const char *s = string_of(a[0], err);
	cleanup_buf struct buf out = BUF_INIT;
	size_t at = 1;
	struct verb v;

	if (!s)
		return NULL;
	while (s && *s) {
		if (*s != '%') {
			buf_addch(&out, *s++);
			continue;
		}
		if (!(s = read_verb(s + 1, &v)))
			buf_addstr(&out, "%!(NOVERB)");
		else if (v.what == '%')
			buf_addch(&out, '%');
		else if (at == n)
			buf_printf(&out, "%%!%c(MISSING)", v.what);
		else if (!format_one(&v, a[at++], &out, err))
			return NULL;
	}
	for (size_t first = at; at < n; at++) {
		buf_addstr(&out, at == first ? "%!(EXTRA string=" : ", string=");
		go_value_print(a[at], &out);
		buf_addstr(&out, at + 1 == n ? ")" : "");
	}
	return text(&out, err);
}

/* ---- looking into values ----------------------------------------------------------------------- */

static json_t *f_len(json_t *const *a, size_t n, struct err *err)
{
	(void)n;
	if (json_is_string(a[0]))
		return json_integer((json_int_t)json_string_length(a[0]));
	if (json_is_array(a[0]))
		return json_integer((json_int_t)json_array_size(a[0]));
	if (json_is_object(a[0]))
		return json_integer((json_int_t)json_object_size(a[0]));
	return bad(err, "len of what has none");
}

static json_t *f_index(json_t *const *a, size_t n, struct err *err)
{
	json_t *v = a[0];
	int64_t at;

	for (size_t i = 1; i < n; i++) {
		if (json_is_object(v)) {
			const char *key = string_of(a[i], err);

			if (!key)
				return NULL;
			if (!(v = json_object_get(v, key)))
				return i + 1 == n ? json_string("")
						  : bad(err, "index of nil pointer");
			continue;
		}
		if (!json_is_array(v))
			return bad(err, json_is_null(v) ? "index of untyped nil"
							: "can't index item of its type");
		if (!int_of(a[i], &at, err))
			return NULL;
		if (at < 0 || (size_t)at >= json_array_size(v)) {
			(void)err_kind(err, ERR_BAD_PARAM, "index out of range: %lld",
				       (long long)at);
			return NULL;
		}
		v = json_array_get(v, (size_t)at);
	}
	return json_incref(v);
}

static json_t *f_slice(json_t *const *a, size_t n, struct err *err)
{
	int64_t from = 0, to;
	json_t *list;

	if (!json_is_string(a[0]) && !json_is_array(a[0]))
		return bad(err, "can't slice item of its type");
	to = json_is_string(a[0]) ? (int64_t)json_string_length(a[0])
				  : (int64_t)json_array_size(a[0]);
	if (n > 1 && !int_of(a[1], &from, err))
		return NULL;
	if (from < 0 || from > to) {
		(void)err_kind(err, ERR_BAD_PARAM, "index out of range: %lld", (long long)from);
		return NULL;
	}
	if (n > 2) {
		int64_t max = to;

		if (!int_of(a[2], &to, err))
			return NULL;
		if (to < from || to > max) {
			(void)err_kind(err, ERR_BAD_PARAM, "index out of range: %lld",
				       (long long)to);
			return NULL;
		}
	}
	if (json_is_string(a[0])) {
		list = json_stringn(json_string_value(a[0]) + from, (size_t)(to - from));
		return list ? list : bad(err, "not UTF-8");
	}
	list = json_array();
	for (; from < to; from++)
		json_array_append(list, json_array_get(a[0], (size_t)from));
	return list;
}

/* ---- logic ------------------------------------------------------------------------------------- */

static json_t *f_not(json_t *const *a, size_t n, struct err *err)
{
	(void)n;
	(void)err;
	return json_boolean(!go_value_is_true(a[0]));
}

/* and, or: where no operand is left out; go_template_exec.c does the rest. */
static json_t *f_last(json_t *const *a, size_t n, struct err *err)
{
	(void)err;
	return json_incref(a[n - 1]);
}

/* -1, 0, 1; or 2 with err: they cannot be compared. */
static int compare(const json_t *a, const json_t *b, struct err *err)
{
	int64_t x = json_integer_value(a), y = json_integer_value(b);
	int rc;

	if (json_is_string(a) && json_is_string(b)) {
		rc = strcmp(json_string_value(a), json_string_value(b));
		return rc < 0 ? -1 : rc > 0;
	}
	if (json_is_integer(a) && json_is_integer(b))
		return x < y ? -1 : x > y;
	if (json_is_boolean(a) && json_is_boolean(b))
		return json_is_true(a) != json_is_true(b);
	(void)bad(err, "incompatible types for comparison");
	return 2;
}

static json_t *f_eq(json_t *const *a, size_t n, struct err *err)
{
	for (size_t i = 1; i < n; i++) {
		int rc = compare(a[0], a[i], err);

		if (rc == 2)
			return NULL;
		if (rc == 0)
			return json_true();
	}
	return json_false();
}

#define COMPARISON(name, test)                                                                     \
	static json_t *name(json_t *const *a, size_t n, struct err *err)                           \
	{                                                                                          \
		int rc = compare(a[0], a[1], err);                                                 \
                                                                                                   \
		(void)n;                                                                           \
		return rc == 2 ? NULL : json_boolean(test);                                        \
	}
COMPARISON(f_ne, rc != 0)
COMPARISON(f_lt, rc < 0)
COMPARISON(f_le, rc <= 0)
COMPARISON(f_gt, rc > 0)
COMPARISON(f_ge, rc >= 0)

const struct go_func *go_func_find(const char *name)
{
	static const struct go_func funcs[] = {
		{ "and", 1, -1, f_last },
		{ "or", 1, -1, f_last },
		{ "not", 1, 1, f_not },
		{ "eq", 2, -1, f_eq },
		{ "ne", 2, 2, f_ne },
		{ "lt", 2, 2, f_lt },
		{ "le", 2, 2, f_le },
		{ "gt", 2, 2, f_gt },
		{ "ge", 2, 2, f_ge },
		{ "len", 1, 1, f_len },
		{ "index", 1, -1, f_index },
		{ "slice", 1, 3, f_slice },
		{ "print", 0, -1, f_print },
		{ "println", 0, -1, f_println },
		{ "printf", 1, -1, f_printf },
		{ "html", 0, -1, f_html },
		{ "urlquery", 0, -1, f_urlquery },
		{ "json", 1, 1, f_json },
		{ "split", 2, 2, f_split },
		{ "join", 2, 2, f_join },
		{ "title", 1, 1, f_title },
		{ "lower", 1, 1, f_lower },
		{ "upper", 1, 1, f_upper },
		{ "pad", 3, 3, f_pad },
		{ "truncate", 2, 2, f_truncate },
	};

	for (size_t i = 0; i < ARRAY_SIZE(funcs); i++)
		if (strcmp(funcs[i].name, name) == 0)
			return &funcs[i];
	return NULL;
}
