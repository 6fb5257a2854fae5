/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_pattern.c - see dockerfile_pattern.h.
 *
 * Design: a match is the set of places that each token of the pattern can reach, so it takes
 * length x tokens steps whatever the pattern; both are bounded, as the Dockerfile is a stranger's.
 * What is matched from the end is the same with value and pattern read backwards. "*" and "?" stop
 * at the end of a line.
 */
#include "apiserver/dockerfile_pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define WORK_MAX ((size_t)16 * 1024 * 1024)

enum token_kind { LITERAL, ANY, STAR };

struct token {
	enum token_kind kind;
	const char *p; /* LITERAL: a character's bytes */
	size_t len;
};

struct pattern {
	struct token *v;
	size_t n;
};

/* A text as characters: character i is [at[i], at[i + 1]). */
struct text {
	const char *s;
	size_t *at;
	size_t n;
};

static size_t char_len(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t want = *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf8 ? 4 : 1;

	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 1;
	return want;
}

static struct text text_of(const char *s)
{
	struct text t = { .s = s, .at = xcalloc(strlen(s) + 1, sizeof(*t.at)) };

	for (size_t i = 0; s[i]; i += char_len(s + i))
		t.at[t.n++] = i;
	t.at[t.n] = strlen(s);
	return t;
}

static void free_at(size_t **at)
{
	free(*at);
}

static void free_tokens(struct token **v)
{
	free(*v);
}

static int parse(const char *s, struct pattern *out, struct err *err)
{
	const char *whole = s;

	out->v = xcalloc(strlen(s) + 1, sizeof(*out->v));
	while (*s) {
		struct token *t = &out->v[out->n];

		if (*s == '\\') {
			s++;
			/* what had to be escaped within ${} only */
			if (*s == '}' || *s == '/')
				continue;
			if (*s != '*' && *s != '?' && *s != '\\')
				return err_kind(err, ERR_BAD_PARAM,
						"invalid pattern (%s) in substitution: invalid "
						"escape '\\%.*s'",
						whole, *s ? (int)char_len(s) : 0, s);
			*t = (struct token){ LITERAL, s, 1 };
		} else if (*s == '*') {
			*t = (struct token){ STAR, s, 1 };
		} else if (*s == '?') {
			*t = (struct token){ ANY, s, 1 };
		} else {
			*t = (struct token){ LITERAL, s, char_len(s) };
		}
		s += t->len;
		out->n++;
	}
	return 0;
}

static bool takes(const struct token *t, const struct text *x, size_t i)
{
	const char *c = x->s + x->at[i];
	size_t len = x->at[i + 1] - x->at[i];

	if (t->kind != LITERAL)
		return *c != '\n';
	return len == t->len && !memcmp(c, t->p, len);
}

/* One token on: from the places in reached (0 .. n, relative to from) to those in next. */
static void advance(const struct token *t, const struct text *x, size_t from, bool back,
		    const bool *reached, bool *next)
{
	size_t n = back ? from : x->n - from;

	for (size_t k = 0; k <= n; k++) {
		bool came = false;

		if (k > 0 && (t->kind == STAR ? next[k - 1] : reached[k - 1]))
			came = takes(t, x, back ? from - k : from + k - 1);
		next[k] = came || (t->kind == STAR && reached[k]);
	}
}

/* How many characters from place from, forwards or backwards, the pattern takes; -1: no match. */
static int64_t match(const struct pattern *p, const struct text *x, size_t from, bool back,
		     bool greedy)
{
	size_t n = back ? from : x->n - from;
	bool *a = xcalloc(n + 1, 1), *b = xcalloc(n + 1, 1), *swap;
	int64_t found = -1;

	a[0] = true;
	for (size_t i = 0; i < p->n; i++) {
		advance(&p->v[back ? p->n - 1 - i : i], x, from, back, a, b);
		swap = a;
		a = b;
		b = swap;
	}
	for (size_t k = 0; k <= n && (greedy || found < 0); k++)
		if (a[k])
			found = (int64_t)k;
	free(a);
	free(b);
	return found;
}

static int check_work(size_t n, size_t times, size_t tokens, struct err *err)
{
	if (n + 1 > WORK_MAX / (tokens + 1) || (n + 1) * (tokens + 1) > WORK_MAX / (times + 1))
		return err_kind(err, ERR_BAD_PARAM,
				"the value or the pattern of a substitution is too long");
	return 0;
}

int dockerfile_pattern_trim(const char *value, const char *pattern, bool at_end, bool greedy,
			    struct buf *out, struct err *err)
{
	struct text x = text_of(value);
	__attribute__((cleanup(free_at))) size_t *at = x.at;
	struct pattern p = { 0 };
	int64_t n;
	int rc = parse(pattern, &p, err);
	__attribute__((cleanup(free_tokens))) struct token *tokens = p.v;

	if (rc < 0 || (rc = check_work(x.n, 0, p.n, err)) < 0)
		return rc;
	n = match(&p, &x, at_end ? x.n : 0, at_end, greedy);
	if (n < 0)
		n = 0;
	if (at_end)
		buf_add(out, value, at[x.n - (size_t)n]);
	else
		buf_addstr(out, value + at[n]);
	(void)tokens;
	return 0;
}

int dockerfile_pattern_replace(const char *value, const char *pattern, const char *with, bool all,
			       struct buf *out, struct err *err)
{
	struct text x = text_of(value);
	__attribute__((cleanup(free_at))) size_t *at = x.at;
	struct pattern p = { 0 };
	bool more = true, after = false;
	int rc = parse(pattern, &p, err);
	__attribute__((cleanup(free_tokens))) struct token *tokens = p.v;

	if (rc < 0 || (rc = check_work(x.n, x.n, p.n, err)) < 0)
		return rc;
	for (size_t i = 0; i <= x.n && !buf_over(out);) {
		int64_t n = more ? match(&p, &x, i, false, true) : -1;

		if (n > 0 || (n == 0 && !after)) {
			buf_addstr(out, with);
			more = all;
		}
		after = n > 0;
		if (n > 0) {
			i += (size_t)n;
			continue;
		}
		if (i < x.n)
			buf_add(out, value + at[i], at[i + 1] - at[i]);
		i++;
	}
	(void)tokens;
	return 0;
}
