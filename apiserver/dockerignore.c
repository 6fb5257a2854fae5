/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerignore.c - the rules of a .dockerignore.
 *
 * Design: the context has mostly gone through Docker's client, which has left out what the rules name. What it kept must not
 * go here. So a pattern is compared in the very way of its package patternmatcher, oddities included: one without
 * metacharacters is plain text; "**" at one end only is a prefix or a suffix ("**.log" is any file of that kind); all others
 * become a regular expression, in which "^", "|", "{" and a backslash before a letter mean what they mean there. What is a
 * pattern at all, Go's filepath.Match says.
 *
 * Failure: an expression that needs too many steps (go_regex.h) does not match; the file stays.
 */
#include "apiserver/dockerignore.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/build_source.h"
#include "apiserver/go_regex.h"
#include "buf.h"
#include "cleanup.h"
#include "str.h"

enum rule_kind { RULE_EXACT, RULE_PREFIX, RULE_SUFFIX, RULE_REGEX };

struct rule {
	enum rule_kind kind;
	bool exception;
	char *text; /* without "!"; of a prefix or suffix without its "**" */
	struct go_regex *re; /* NULL: none, it never matches */
};

struct dockerignore {
	struct rule *v;
	size_t n;
	bool exceptions;
};

/* ---------------------------------------------------------------- is it a pattern */

/* One character of a class; false: there is none. */
static bool class_char(const char **p)
{
	if (!**p || **p == '-' || **p == ']')
		return false;
	*p += **p == '\\';
	if (!**p)
		return false;
	do /* all of its bytes */
		++*p;
	while (((unsigned char)**p & 0xc0) == 0x80);
	return true;
}

/* [...], p behind the bracket. */
static bool class_valid(const char **p)
{
	bool first = true;

	*p += **p == '^';
	for (; first || **p != ']'; first = false) {
		if (!class_char(p))
			return false;
		if (**p == '-' && (++*p, !class_char(p)))
			return false;
	}
	++*p;
	return true;
}

static bool pattern_valid(const char *p)
{
	while (*p) {
		if (*p == '[') {
			p++;
			if (!class_valid(&p))
				return false;
		} else if (*p == '\\' && !*++p) {
			return false;
		} else {
			p++;
		}
	}
	return true;
}

/* ---------------------------------------------------------------- one rule */

/* "**" with p behind it; first: the pattern begins with it. */
static const char *double_star(const char *p, bool first, enum rule_kind *kind, struct buf *re)
{
	p += *p == '/';
	if (*p) {
		buf_add(re, "(.*/)?", 6);
		*kind = RULE_REGEX;
	} else if (*kind == RULE_EXACT) {
		*kind = RULE_PREFIX;
	} else {
		buf_add(re, ".*", 2);
		*kind = RULE_REGEX;
	}
	if (first)
		*kind = RULE_SUFFIX;
	return p;
}

/* The pattern as an expression, as far as *kind asks for one. */
static void translate(const char *pattern, enum rule_kind *kind, struct buf *re)
{
	const char *p = pattern;

	*kind = RULE_EXACT;
	buf_addch(re, '^');
	while (*p) {
		char c = *p++;

		if (c == '*' && *p == '*') {
			p = double_star(p + 1, p == pattern + 1, kind, re);
			continue;
		}
		if (c == '*' || c == '?') {
			buf_printf(re, "[^/]%s", c == '*' ? "*" : "");
			*kind = RULE_REGEX;
		} else if (strchr(".+()$", c)) {
			buf_printf(re, "\\%c", c);
		} else if (c == '\\' && *p) {
			buf_printf(re, "\\%c", *p++);
			*kind = RULE_REGEX;
		} else {
			buf_addch(re, c);
			if (c == '[' || c == ']')
				*kind = RULE_REGEX;
		}
	}
	buf_add(re, "\\z", 2);
}

static void rule_init(struct rule *r, const char *pattern, bool exception)
{
	cleanup_buf struct buf re = BUF_INIT;
	struct err ignored = { 0 };
	size_t n = strlen(pattern);

	*r = (struct rule){ .exception = exception };
	translate(pattern, &r->kind, &re);
	r->text = r->kind == RULE_SUFFIX ? xstrdup(pattern + 2)
					 : xstrndup(pattern, r->kind == RULE_PREFIX ? n - 2 : n);
	if (r->kind == RULE_REGEX && go_regex_compile(buf_str(&re), &r->re, &ignored) < 0)
		r->re = NULL;
}

static bool rule_matches(const struct rule *r, const char *s)
{
	switch (r->kind) {
	case RULE_EXACT:
		return str_eq(r->text, s);
	case RULE_PREFIX:
		return str_starts(s, r->text);
	case RULE_SUFFIX: /* a file in no folder, too */
		return str_ends(s, r->text) || (r->text[0] == '/' && str_eq(s, r->text + 1));
	case RULE_REGEX:
		break;
	}
	return r->re && go_regex_match(r->re, s);
}

/* The path itself, or a folder that it is in. */
static bool matches_or_parent(const struct rule *r, const char *path)
{
	cleanup_free char *s = xstrdup(path);
	char *slash;

	for (;;) {
		if (rule_matches(r, s))
			return true;
		if (!(slash = strrchr(s, '/')))
			return false;
		*slash = '\0';
	}
}

/* ---------------------------------------------------------------- the file */

static char *trimmed(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		;
	s[n] = '\0';
	return s;
}

/* False: the line is no pattern. */
static bool add_line(struct dockerignore *d, char *line)
{
	char *s = *line == '#' ? line + strlen(line) : trimmed(line);
	bool exception = *s == '!', absolute;
	cleanup_free char *clean = NULL;
	const char *pattern;

	if (!*s)
		return true;
	if (exception && !*(s = trimmed(s + 1)))
		return false;
	absolute = *s == '/';
	pattern = clean = build_path_clean(s);
	if (!exception && *clean == '!') { /* "/!x" is one, too */
		exception = true;
		pattern++;
	}
	if ((exception && absolute && !*pattern) || !pattern_valid(pattern))
		return false;
	d->exceptions |= exception;
	if (!*pattern || (!absolute && build_path_leads_out(s)))
		return true; /* nothing in the context */
	d->v = xrealloc(d->v, (d->n + 1) * sizeof(*d->v));
	rule_init(&d->v[d->n++], pattern, exception);
	return true;
}

struct dockerignore *dockerignore_parse(const char *text)
{
	cleanup_strv char **lines = strv_split(str_starts(text, "\xef\xbb\xbf") ? text + 3 : text, '\n');
	struct dockerignore *d = xcalloc(1, sizeof(*d));

	for (char **l = lines; *l; l++) {
		if (!add_line(d, *l)) {
			dockerignore_free(d);
			return NULL;
		}
	}
	return d;
}

void dockerignore_free(struct dockerignore *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].text);
		go_regex_free(d->v[i].re);
	}
	free(d->v);
	free(d);
}

bool dockerignore_excludes(const struct dockerignore *d, const char *path)
{
	bool out = false;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].exception == out && matches_or_parent(&d->v[i], path))
			out = !out;
	return out;
}

bool dockerignore_is_empty(const struct dockerignore *d)
{
	return d->n == 0;
}

bool dockerignore_has_exceptions(const struct dockerignore *d)
{
	return d->exceptions;
}
