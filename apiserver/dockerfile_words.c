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
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/dockerfile_pattern.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define EXPANDED_MAX (1024 * 1024)
#define NESTED_MAX   20

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

char **dockerfile_fields(const char *s)
{
	char **v = strv_split("", ' ');

	for (;;) {
		const char *start;

		while (isspace((unsigned char)*s))
			s++;
		if (!*s)
			return v;
		for (start = s; *s && !isspace((unsigned char)*s);)
			s++;
		{
			cleanup_free char *word = xstrndup(start, (size_t)(s - start));

			strv_add(&v, word);
		}
	}
}

/* "name value with blanks": the first white space is the end of the name, even within quotes. */
static int old_pair(const char *s, const char *what, char ***out, struct err *err)
{
	cleanup_free char *text = xstrdup(s + strspn(s, " \t\r\v\f"));
	size_t n = strlen(text);
	char *value;

	while (n && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
	value = text + strcspn(text, " \t\r\v\f");
	if (!*value)
		return err_kind(err, ERR_BAD_PARAM, "%s must have two arguments", what);
	*value++ = '\0';
	value += strspn(value, " \t\r\v\f");
	strv_add(out, text);
	strv_add(out, value);
	return 0;
}

int dockerfile_pairs(const char *s, char escape, const char *what, char ***out, struct err *err)
{
	cleanup_strv char **words = dockerfile_words(s, escape), **v = strv_split("", ' ');
	int rc = 0;

	if (words[0] && !strchr(words[0], '='))
		rc = old_pair(s, what, &v, err);
	else
		for (char **w = words; *w; w++) {
			char *eq = strchr(*w, '=');

			if (!eq) {
				cleanup_buf struct buf quoted = BUF_INIT;

				dockerfile_quote(&quoted, *w);
				return err_kind(err, ERR_BAD_PARAM,
						"Syntax error - can't find = in %.400s. Must be of "
						"the form: name=value",
						buf_str(&quoted));
			}
			*eq = '\0';
			strv_add(&v, *w);
			strv_add(&v, eq + 1);
		}
	if (rc == 0)
		*out = take_ptr(&v);
	return rc;
}

struct expander {
	const char *s;
	char *const *env;
	struct buf *out;
	struct err *err;
	int depth;
	char escape;
	bool raw; /* escapes stay */
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

/* The operator's word, expanded, as far as end or stop; x is left behind that. raw: its escapes
 * stay, they are the pattern's. */
static int operator_word(struct expander *x, char end, bool raw, struct buf *word)
{
	struct buf *out = x->out;
	bool was_raw = x->raw;
	int rc;

	buf_init(word, EXPANDED_MAX);
	x->out = word;
	x->raw = raw;
	rc = expand_until(x, end);
	x->raw = was_raw;
	x->out = out;
	if (rc < 0 && !*x->s)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: missing '%c'%s", end,
				end == '/' ? " in ${}" : "");
	return rc;
}

static int unsupported(struct expander *x, bool colon, const char *op)
{
	return err_kind(x->err, ERR_BAD_PARAM, "unsupported modifier (%s%.1s) in substitution",
			colon ? ":" : "", op);
}

/* ${x#p} ${x##p} ${x%p} ${x%%p} */
static int expand_trim(struct expander *x, const char *value, char op)
{
	cleanup_buf struct buf pattern = BUF_INIT;
	const char *p;
	bool greedy;
	int rc;

	if ((rc = operator_word(x, '}', true, &pattern)) < 0)
		return rc;
	p = buf_str(&pattern);
	greedy = *p == op;
	return dockerfile_pattern_trim(value, p + greedy, op == '%', greedy, x->out, x->err);
}

/* ${x/p/r} ${x//p/r} */
static int expand_replace(struct expander *x, const char *value)
{
	cleanup_buf struct buf pattern = BUF_INIT, with = BUF_INIT;
	bool all = *x->s == '/';
	int rc;

	x->s += all;
	if ((rc = operator_word(x, '/', true, &pattern)) < 0 ||
	    (rc = operator_word(x, '}', true, &with)) < 0)
		return rc;
	return dockerfile_pattern_replace(value, buf_str(&pattern), buf_str(&with), all, x->out,
					  x->err);
}

/* ${x-w} ${x+w} ${x?w}, and with a colon, to which an empty value is none. */
static int expand_default(struct expander *x, const char *name, size_t len, bool colon)
{
	const char *value = env_get(x->env, name, len), *op = x->s++;
	cleanup_buf struct buf word = BUF_INIT;
	bool is_set = value && (!colon || *value);
	int rc;

	if ((rc = operator_word(x, '}', false, &word)) < 0)
		return rc;
	switch (*op) {
	case '?':
		if (!is_set)
			return err_kind(x->err, ERR_BAD_PARAM, "%.*s: %s", (int)len, name,
					word.len ? word.p
					: value	 ? "is not allowed to be empty"
						 : "is not allowed to be unset");
		buf_addstr(x->out, value);
		return 0;
	case '+':
		buf_addstr(x->out, is_set ? buf_str(&word) : "");
		return 0;
	case '-':
		buf_addstr(x->out, is_set ? value : buf_str(&word));
		return 0;
	default:
		return unsupported(x, colon, op);
	}
}

/* After "${name": the operator and its word. */
static int expand_operator(struct expander *x, const char *name, size_t len)
{
	const char *value = env_get(x->env, name, len), *op = x->s;

	switch (*op) {
	case ':':
		if (op[1] == '#' || op[1] == '%')
			return unsupported(x, true, op + 1);
		x->s++;
		if (!*x->s)
			return err_kind(x->err, ERR_BAD_PARAM, "syntax error: missing '}'");
		return expand_default(x, name, len, true);
	case '-':
	case '+':
	case '?':
		return expand_default(x, name, len, false);
	case '#':
	case '%':
		x->s++;
		return expand_trim(x, value ? value : "", *op);
	case '/':
		x->s++;
		return expand_replace(x, value ? value : "");
	default:
		return unsupported(x, false, op);
	}
}

/* Letters, digits and _; a number; or one of the shell's special parameters. */
static size_t name_len(const char *s)
{
	size_t n = 0;

	if (isdigit((unsigned char)*s)) {
		while (isdigit((unsigned char)s[n]))
			n++;
		return n;
	}
	if (*s && strchr("@*#?-$!", *s))
		return 1;
	while (isalnum((unsigned char)s[n]) || s[n] == '_' || (unsigned char)s[n] >= 0x80)
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
	if (!*name)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: missing '}'");
	if (strchr("{}:", *name))
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: bad substitution");
	len = name_len(name);
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
		    (strchr("\"$", x->s[1]) || x->s[1] == x->escape)) {
			if (x->raw)
				buf_addch(x->out, *x->s);
			x->s++;
		}
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

/* Behind an escape: the next character as it is. One at the end is nothing. */
static void expand_escape(struct expander *x)
{
	if (x->raw)
		buf_addch(x->out, x->escape);
	if (*x->s)
		buf_addch(x->out, *x->s++);
}

static int expand_until(struct expander *x, char end)
{
	int rc = 0;

	if (++x->depth > NESTED_MAX)
		return err_kind(x->err, ERR_BAD_PARAM, "syntax error: nested too deep");
	while (rc == 0 && *x->s != end) {
		char c = *x->s;

		if (!c)
			return err_kind(x->err, ERR_BAD_PARAM,
					"unexpected end of statement while looking for matching %c",
					end);
		x->s++;
		if (c == '\'')
			rc = expand_single(x);
		else if (c == '"')
			rc = expand_double(x);
		else if (c == '$')
			rc = expand_dollar(x);
		else if (c == x->escape)
			expand_escape(x);
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
	if ((rc = expand_until(&x, '\0')) < 0) {
		cleanup_buf struct buf quoted = BUF_INIT;

		dockerfile_quote(&quoted, word);
		return err_wrap(err, rc, "failed to process %.400s", buf_str(&quoted));
	}
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

/* How Go's %q shows a control character. */
static void quote_control(struct buf *b, unsigned char c)
{
	static const char names[] = "abtnvfr"; /* 7 to 13 */

	if (c >= 7 && c <= 13)
		buf_printf(b, "\\%c", names[c - 7]);
	else
		buf_printf(b, "\\x%02x", c);
}

void dockerfile_quote(struct buf *b, const char *s)
{
	buf_addch(b, '"');
	for (; s && *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			quote_control(b, (unsigned char)*s);
		else
			buf_addch(b, *s);
	}
	buf_addch(b, '"');
}

void dockerfile_quote_char(struct buf *b, int64_t c)
{
	buf_addch(b, '\'');
	if (c == '\'' || c == '\\')
		buf_printf(b, "\\%c", (int)c);
	else if (c >= 0 && (c < 0x20 || c == 0x7f))
		quote_control(b, (unsigned char)c);
	else if (c >= 0x20 && c < 0x7f)
		buf_addch(b, (char)c);
	else
		buf_printf(b, "\\u%04llx", (unsigned long long)c);
	buf_addch(b, '\'');
}
