/* SPDX-License-Identifier: MPL-2.0
 *
 * str.c - strings, vectors of strings, numbers, hex, ids, allocation.
 */
#include "str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool str_starts(const char *s, const char *prefix)
{
	return s && !strncmp(s, prefix, strlen(prefix));
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = s ? strlen(s) : 0, m = strlen(suffix);

	return n >= m && !strcmp(s + n - m, suffix);
}

bool str_empty(const char *s)
{
	return !s || !*s;
}

int parse_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (str_empty(s))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	if (v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	bool neg = s && *s == '-';
	uint64_t u;
	int64_t v;
	int rc;

	if (s && (*s == '-' || *s == '+'))
		s++;
	if ((rc = parse_u64(s, neg ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &u)) < 0)
		return rc;
	v = neg ? (int64_t)(0 - u) : (int64_t)u;
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
	size_t i;

	for (i = 0; i < 6; i++) {
		if (str_eq(s, yes[i]) || str_eq(s, no[i])) {
			*out = str_eq(s, yes[i]);
			return 0;
		}
	}
	return -EINVAL;
}

/* The number up to the last digit, dot or space, then a suffix of at most three letters (go-units). */
int parse_size(const char *s, unsigned base, int64_t *out)
{
	static const char units[] = "kmgtp";
	char num[64], *end, suffix[4] = "";
	const char *p, *last = NULL, *u;
	double v;
	size_t n, i;

	if (str_empty(s))
		return -EINVAL;
	for (p = s; *p; p++)
		if (isdigit((unsigned char)*p) || *p == '.' || *p == ' ')
			last = p;
	if (!last)
		return -EINVAL;
	n = last - s + 1;
	if (n >= sizeof(num) || strlen(last + 1) > 3)
		return -EINVAL;
	memcpy(num, s, n);
	while (n && num[n - 1] == ' ')
		n--;
	num[n] = '\0';
	for (i = 0; last[1 + i]; i++)
		suffix[i] = (char)tolower((unsigned char)last[1 + i]);
	p = num + (num[0] == '+');
	if (!isdigit((unsigned char)*p) && *p != '.')
		return -EINVAL;
	if (strpbrk(num, "xXpP"))
		return -EINVAL;
	v = strtod(num, &end);
	if (*end || end == num || v < 0 || v != v)
		return -EINVAL;
	if (suffix[0] && strcmp(suffix, "b") != 0) {
		u = strchr(units, suffix[0]);
		if (!u || (suffix[1] && strcmp(suffix + 1, "b") != 0 && strcmp(suffix + 1, "ib") != 0))
			return -EINVAL;
		for (i = 0; i <= (size_t)(u - units); i++)
			v *= base;
	}
	if (v >= 9.2e18)
		return -ERANGE;
	*out = (int64_t)v;
	return 0;
}

void hex_encode(char *out, const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = p;
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[s[i] >> 4];
		out[2 * i + 1] = digits[s[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(void *out, const char *s, size_t len)
{
	unsigned char *p = out;
	size_t i;
	int a, b;

	if (len % 2)
		return -EINVAL;
	for (i = 0; i < len; i += 2) {
		if ((a = hex_digit(s[i])) < 0 || (b = hex_digit(s[i + 1])) < 0)
			return -EINVAL;
		*p++ = (unsigned char)(a << 4 | b);
	}
	return 0;
}

bool is_hex(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

void random_bytes(void *p, size_t len)
{
	unsigned char *s = p;
	ssize_t n;

	while (len) {
		n = getrandom(s, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		s += n;
		len -= n;
	}
}

void id_generate(char out[65])
{
	unsigned char raw[32];
	size_t i;

	for (;;) {
		random_bytes(raw, sizeof(raw));
		hex_encode(out, raw, sizeof(raw));
		/* all digits would read as a number where a short ID is expected */
		for (i = 0; i < 12; i++)
			if (!isdigit((unsigned char)out[i]))
				return;
	}
}

void id_to_uuid(char out[37], const char *id)
{
	static const unsigned char groups[] = { 8, 4, 4, 4, 12 };
	size_t g, n = 0;

	for (g = 0; g < sizeof(groups); g++) {
		if (g)
			out[n++] = '-';
		memcpy(out + n, id, groups[g]);
		n += groups[g];
		id += groups[g];
	}
	out[n] = '\0';
}

char **strv_split(const char *s, char sep)
{
	char **v = xcalloc(1, sizeof(*v));
	size_t n = 0;
	const char *end;

	while (s && *s) {
		end = strchrnul(s, sep);
		v = xrealloc(v, (n + 2) * sizeof(*v));
		v[n++] = xstrndup(s, end - s);
		v[n] = NULL;
		s = *end ? end + 1 : end;
	}
	return v;
}

void strv_free(char **v)
{
	size_t i;

	for (i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

char **strv_dup(char *const *v)
{
	size_t n = strv_len(v), i;
	char **d = xcalloc(n + 1, sizeof(*d));

	for (i = 0; i < n; i++)
		d[i] = xstrdup(v[i]);
	return d;
}

void strv_add(char ***v, const char *s)
{
	size_t n = strv_len(*v);

	*v = xrealloc(*v, (n + 2) * sizeof(**v));
	(*v)[n] = xstrdup(s);
	(*v)[n + 1] = NULL;
}

void strv_addf(char ***v, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strv_add(v, text);
}

bool strv_has(char *const *v, const char *s)
{
	for (; v && *v; v++)
		if (!strcmp(*v, s))
			return true;
	return false;
}

int str_fmt(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return n;
}

size_t str_copy(char *out, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		n = size - 1;
	memcpy(out, s, n);
	out[n] = '\0';
	return n;
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		abort();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		abort();
	return p;
}

char *xstrdup(const char *s)
{
	return s ? xstrndup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *p;

	if (vasprintf(&p, fmt, ap) < 0)
		abort();
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = xvasprintf(fmt, ap);
	va_end(ap);
	return p;
}
