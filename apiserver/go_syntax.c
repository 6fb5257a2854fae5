/* SPDX-License-Identifier: MPL-2.0
 *
 * go_syntax.c - a scanner for JSON that only knows why it stopped.
 *
 * Design: runs when jansson has refused a body, so speed is of no interest. An explicit stack of
 * ']' and '}' bounds the depth at Go's own limit.
 */
#include "apiserver/go_syntax.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define MAX_DEPTH 10000

struct scan {
	const char *p, *end;
	char *why;
};

static void quote_char(unsigned char c, char out[16])
{
	if (c == '\'')
		str_copy(out, 16, "'\\''");
	else if (c == '"')
		str_copy(out, 16, "'\"'");
	else if (c == '\\')
		str_copy(out, 16, "'\\\\'");
	else if (c == '\n')
		str_copy(out, 16, "'\\n'");
	else if (c == '\r')
		str_copy(out, 16, "'\\r'");
	else if (c == '\t')
		str_copy(out, 16, "'\\t'");
	else if (c < 0x20 || c == 0x7f)
		snprintf(out, 16, "'\\x%02x'", c);
	else if (c >= 0x80) /* Go takes the byte for a Latin-1 character */
		snprintf(out, 16, "'%c%c'", 0xc0 | (c >> 6), 0x80 | (c & 0x3f));
	else
		snprintf(out, 16, "'%c'", c);
}

static bool bad(struct scan *s, const char *context)
{
	char q[16];

	if (s->p >= s->end) {
		str_copy(s->why, 160, "unexpected EOF");
		return false;
	}
	quote_char((unsigned char)*s->p, q);
	snprintf(s->why, 160, "invalid character %s %s", q, context);
	return false;
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool scan_escape(struct scan *s)
{
	if (s->p >= s->end || !strchr("bfnrt\\/\"u", *s->p) || *s->p == '\0')
		return bad(s, "in string escape code");
	if (*s->p++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, s->p++)
		if (s->p >= s->end || !is_hex(s->p, 1))
			return bad(s, "in \\u hexadecimal character escape");
	return true;
}

static bool scan_string(struct scan *s)
{
	s->p++; /* the quote */
	for (;;) {
		if (s->p >= s->end || (unsigned char)*s->p < 0x20)
			return bad(s, "in string literal");
		if (*s->p == '"') {
			s->p++;
			return true;
		}
		if (*s->p++ == '\\' && !scan_escape(s))
			return false;
	}
}

static bool scan_number(struct scan *s)
{
	if (*s->p == '-') {
		s->p++;
		if (!is_digit(s))
			return bad(s, "in numeric literal");
	}
	if (*s->p == '0')
		s->p++;
	else
		while (is_digit(s))
			s->p++;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!is_digit(s))
			return bad(s, "after decimal point in numeric literal");
		while (is_digit(s))
			s->p++;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!is_digit(s))
			return bad(s, "in exponent of numeric literal");
		while (is_digit(s))
			s->p++;
	}
	return true;
}

static bool scan_literal(struct scan *s, const char *word)
{
	char context[48];

	s->p++;
	for (size_t i = 1; word[i]; i++, s->p++) {
		if (s->p >= s->end || *s->p != word[i]) {
			snprintf(context, sizeof(context), "in literal %s (expecting '%c')", word,
				 word[i]);
			return bad(s, context);
		}
	}
	return true;
}

/* A value that is no object or array. */
static bool scan_scalar(struct scan *s)
{
	if (s->p >= s->end)
		return bad(s, "");
	switch (*s->p) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_literal(s, "true");
	case 'f':
		return scan_literal(s, "false");
	case 'n':
		return scan_literal(s, "null");
	default:
		if (*s->p == '-' || is_digit(s))
			return scan_number(s);
		return bad(s, "looking for beginning of value");
	}
}

/* "key": */
static bool scan_key(struct scan *s)
{
	skip_space(s);
	if (s->p >= s->end || *s->p != '"')
		return bad(s, "looking for beginning of object key string");
	if (!scan_string(s))
		return false;
	skip_space(s);
	if (s->p >= s->end || *s->p != ':')
		return bad(s, "after object key");
	s->p++;
	return true;
}

/* After a value inside containers: closes what ends, and stops before the next value. *done: the
 * outermost has ended. */
static bool scan_after(struct scan *s, const char *stack, size_t *depth, bool *done)
{
	while (*depth > 0) {
		char close = stack[*depth - 1];

		skip_space(s);
		if (s->p < s->end && *s->p == close) {
			s->p++;
			(*depth)--;
			continue;
		}
		if (s->p >= s->end || *s->p != ',')
			return bad(s, close == '}' ? "after object key:value pair"
						   : "after array element");
		s->p++;
		return close == '}' ? scan_key(s) : true;
	}
	*done = true;
	return true;
}

static bool scan_value(struct scan *s)
{
	char stack[MAX_DEPTH];
	size_t depth = 0;
	bool done = false;

	while (!done) {
		char open;

		skip_space(s);
		open = s->p < s->end ? *s->p : '\0';
		if (open != '{' && open != '[') {
			if (!scan_scalar(s) || !scan_after(s, stack, &depth, &done))
				return false;
			continue;
		}
		if (depth == MAX_DEPTH) {
			snprintf(s->why, 160, "invalid character '%c' exceeded max depth", open);
			return false;
		}
		stack[depth++] = open == '{' ? '}' : ']';
		s->p++;
		skip_space(s);
		if (s->p < s->end && *s->p == stack[depth - 1]) {
			if (!scan_after(s, stack, &depth, &done))
				return false;
		} else if (open == '{' && !scan_key(s)) {
			return false;
		}
	}
	return true;
}

enum go_syntax go_syntax_check(const char *p, size_t len, char why[160])
{
	struct scan s = { p, p + len, why };

	why[0] = '\0';
	if (!scan_value(&s))
		return GO_SYNTAX_BAD;
	skip_space(&s);
	return s.p < s.end ? GO_SYNTAX_MORE : GO_SYNTAX_OK;
}
