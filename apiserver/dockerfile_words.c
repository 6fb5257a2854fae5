/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_words.c - the words of a Dockerfile instruction.
 *
 * Design: two passes, as Docker has them: first the line is cut into words that keep their quotes,
 * then each word is taken through the shell's rules. The escape character is the backslash, or what
 * the escape directive says.
 */
#include "apiserver/dockerfile_words.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define EXPANDED_MAX	  (1024 * 1024)
#define NESTED_MAX	  20
#define PATTERN_VALUE_MAX 1024
#define PATTERN_STARS_MAX 2

char **dockerfile_words(const char *s, char escape)
{
	char **v = strv_split("", ' ');
	const char *start;
	char quote;

	for (;;) {
		while (isspace((unsigned char)*s))
			s++;
		if (!*s)
			return v;
		start = s;
		for (quote = 0; *s && (quote || !isspace((unsigned char)*s)); s++) {
			if (*s == escape && quote != '\'' && s[1])
				s++;
			else if (quote && *s == quote)
				quote = 0;
			else if (!quote && (*s == '"' || *s == '\''))
				quote = *s;
		}
		{
			cleanup_free char *word = xstrndup(start, (size_t)(s - start));

			strv_add(&v, word);
		}
	}
}

struct expander {
	const char *s;
	char *const *env;
	struct buf *out;
	struct err *err;
	int depth;
	char escape;
};

static const char *env_get(char *const *env, const char *name, size_t len)
{
	const char *found = NULL;

	for (; env && *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			found = *env + len + 1;
	return found;
}

static int expand_until(struct expander *x, char end);

/* ${x#p} and ${x%p}: the shortest, or with a doubled operator the longest, match of the pattern
 * goes from the value's start or end. */
static void expand_trim(struct expander *x, const char *value, const char *pattern, char op,
			bool longest)
{
	size_t len = strlen(value);

	for (size_t k = 0; k <= len; k++) {
		size_t n = longest ? len - k : k; /* that many bytes go */
		cleanup_free char *part = op == '#' ? xstrndup(value, n) : xstrdup(value + len - n);

		if (fnmatch(pattern, part, 0) != 0)
			continue;
		if (op == '#')
			buf_addstr(x->out, value + n);
		else
			buf_add(x->out, value, len - n);
		return;
	}
	buf_addstr(x->out, value);
}

/* ${x/p/r} and ${x//p/r}: the first, or every, longest match. */
static void expand_replace(struct expander *x, const char *value, const char *pattern,
			   const char *with, bool all)
{
	bool more = *pattern;

	while (*value) {
		size_t n = more ? strlen(value) : 0;

		for (; n > 0; n--) {
			cleanup_free char *part = xstrndup(value, n);

			if (!fnmatch(pattern, part, 0))
				break;
		}
		if (!n) {
			buf_addch(x->out, *value++);
			continue;
		}
		buf_addstr(x->out, with);
		value += n;
		more = all;
	}
}

/* The operator's word, expanded, as far as end or stop; x is left behind that. */
static int operator_word(struct expander *x, char end, struct buf *word)
{
	struct buf *out = x->out;
	int rc;

	buf_init(word, EXPANDED_MAX);
	x->out = word;
	rc = expand_until(x, end);
	x->out = out;
	return rc;
}

/* Matching takes a time that grows by the value's length with each of them. */
static bool too_many_stars(const char *pattern)
{
	unsigned n = 0;

	for (; *pattern; pattern++)
		n += *pattern == '*' && pattern[1] != '*';
	return n > PATTERN_STARS_MAX;
}

static int expand_pattern(struct expander *x, const char *name, size_t len)
{
	const char *value = env_get(x->env, name, len);
	cleanup_buf struct buf pattern = BUF_INIT, with = BUF_INIT;
	char op = *x->s++;
	bool twice = *x->s == op;
	int rc;

	x->s += twice;
	if ((rc = operator_word(x, op == '/' ? '/' : '}', &pattern)) < 0)
		return rc;
	if (op == '/' && (rc = operator_word(x, '}', &with)) < 0)
		return rc;
	if ((value && strlen(value) > PATTERN_VALUE_MAX) || too_many_stars(buf_str(&pattern)))
		return err_kind(x->err, ERR_BAD_PARAM, "%.*s: the value or the pattern is too long",
				(int)len, name);
	if (op == '/')
		expand_replace(x, value ? value : "", buf_str(&pattern), buf_str(&with), twice);
	else
		expand_trim(x, value ? value : "", buf_str(&pattern), op, twice);
	return 0;
}

/* After "${name": the operator and its word. */
static int expand_operator(struct expander *x, const char *name, size_t len)
{
	const char *value = env_get(x->env, name, len);
	bool colon = *x->s == ':', is_set;
	cleanup_buf struct buf word = BUF_INIT;
	char op;
	int rc;

	if (!colon && *x->s && strchr("#%/", *x->s))
		return expand_pattern(x, name, len);
	if (colon)
		x->s++;
	op = *x->s;
	if (!op || !strchr("-+?", op))
		return err_kind(x->err, ERR_BAD_PARAM, "unsupported modifier (%c) in substitution",
				op);
	x->s++;
	if ((rc = operator_word(x, '}', &word)) < 0)
		return rc;
	is_set = value && (!colon || *value);
	if (op == '?' && !is_set)
		return err_kind(x->err, ERR_BAD_PARAM, "%.*s: %s", (int)len, name,
				word.len ? word.p : "not set");
	if (op == '+')
		buf_addstr(x->out, is_set ? buf_str(&word) : "");
	else
		buf_addstr(x->out, is_set ? value : buf_str(&word));
	return 0;
}

static size_t name_len(const char *s)
{
	size_t n = 0;

	if (isdigit((unsigned char)*s) || (*s && strchr("@*#", *s)))
		return 1;
	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

static int expand_dollar(struct expander *x)
{
	const char *name, *value;
	size_t len;

	if (*x->s != '{') {
		len = name_len(x->s);
		if (!len) {
			buf_addch(x->out, '$');
			return 0;
		}
		value = env_get(x->env, x->s, len);
		buf_addstr(x->out, value ? value : "");
		x->s += len;
		return 0;
	}
	name = ++x->s;
	len = name_len(name);
	if (!len)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: bad substitution");
	x->s += len;
	if (*x->s == '}') {
		x->s++;
		value = env_get(x->env, name, len);
		buf_addstr(x->out, value ? value : "");
		return 0;
	}
	if (!*x->s)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: missing '}'");
	return expand_operator(x, name, len);
}

static int expand_double(struct expander *x)
{
	int rc;

	while (*x->s != '"') {
		if (!*x->s)
			return err_kind(x->err, ERR_BAD_PARAM,
					"unexpected end of statement while looking for matching "
					"double-quote");
		if (*x->s == '$') {
			x->s++;
			if ((rc = expand_dollar(x)) < 0)
				return rc;
			continue;
		}
		if (*x->s == x->escape && x->s[1] &&
		    (strchr("\"$", x->s[1]) || x->s[1] == x->escape))
			x->s++;
		buf_addch(x->out, *x->s++);
	}
	x->s++;
	return 0;
}

static int expand_single(struct expander *x)
{
	const char *end = strchr(x->s, '\'');

	if (!end)
		return err_kind(
			x->err, ERR_BAD_PARAM,
			"unexpected end of statement while looking for matching single-quote");
	buf_add(x->out, x->s, (size_t)(end - x->s));
	x->s = end + 1;
	return 0;
}

static int expand_until(struct expander *x, char end)
{
	int rc = 0;

	if (++x->depth > NESTED_MAX)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: nested too deep");
	while (rc == 0 && *x->s != end) {
		char c = *x->s;

		if (!c)
			return err_kind(x->err, ERR_BAD_PARAM, "syntax error: missing '%c'", end);
		x->s++;
		if (c == '\'')
			rc = expand_single(x);
		else if (c == '"')
			rc = expand_double(x);
		else if (c == '$')
			rc = expand_dollar(x);
		else if (c == x->escape && *x->s)
			buf_addch(x->out, *x->s++);
		else
			buf_addch(x->out, c);
	}
	if (rc == 0 && end)
		x->s++;
	x->depth--;
	return rc;
}

int dockerfile_expand(const char *word, char escape, char *const *env, char **out, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct expander x = {
		.s = word,
		.env = env,
		.out = &b,
		.err = err,
		.escape = escape,
	};
	int rc;

	buf_init(&b, EXPANDED_MAX);
	if ((rc = expand_until(&x, '\0')) < 0)
		return rc;
	if (buf_over(&b))
		return err_kind(err, ERR_BAD_PARAM, "word is too long after substitution");
	*out = xstrdup(buf_str(&b));
	return 0;
}

int dockerfile_expand_words(const char *s, char escape, char *const *env, char ***out,
			    struct err *err)
{
	cleanup_strv char **in = dockerfile_words(s, escape);
	cleanup_strv char **v = strv_split("", ' ');
	int rc;

	for (char **w = in; *w; w++) {
		cleanup_free char *one = NULL;
		cleanup_strv char **parts = NULL;

		if ((rc = dockerfile_expand(*w, escape, env, &one, err)) < 0)
			return rc;
		/* only what a variable brought in is split again */
		if (strpbrk(*w, "'\"") || strchr(*w, escape))
			strv_add(&v, one);
		else
			for (char **p = parts = dockerfile_words(one, escape); *p; p++)
				strv_add(&v, *p);
	}
	*out = take_ptr(&v);
	return 0;
}

int dockerfile_json_form(const char *s, char ***out, struct err *err)
{
	cleanup_json json_t *a = NULL;
	struct err ignored = { 0 };
	json_t *item;
	size_t i;

	while (isspace((unsigned char)*s))
		s++;
	if (*s != '[' || jparse(s, strlen(s), &a, &ignored) < 0 || !json_is_array(a))
		return 0;
	json_array_foreach (a, i, item)
		if (!json_is_string(item))
			return err_kind(err, ERR_BAD_PARAM,
					"when using JSON array syntax, arrays must be comprised of "
					"strings only");
	*out = strv_split("", ' ');
	json_array_foreach (a, i, item)
		strv_add(out, json_string_value(item));
	return 1;
}
