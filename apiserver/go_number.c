/* SPDX-License-Identifier: MPL-2.0
 *
 * go_number.c - Go's words for numbers, sizes and durations.
 *
 * The order of the checks is that of Go's functions, as the first one that fails is what a user reads.
 */
#include "apiserver/go_number.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "str.h"

#define SEC INT64_C(1000000000)

int go_err_int(const char *func, const char *value, struct err *err)
{
	const char *digits = value + (*value == '-' || *value == '+');
	bool number = *digits && !digits[strspn(digits, "0123456789")];

	return err_kind(err, ERR_BAD_PARAM, "strconv.%s: parsing \"%s\": %s", func, value, number ? "value out of range" : "invalid syntax");
}

/* Decimal, with digits; blanks and hexadecimal forms, which strtod takes, are none. */
static bool is_float(const char *s)
{
	char *end;

	if (!*s || s[strspn(s, "0123456789.+-eE")])
		return false;
	(void)strtod(s, &end);
	return !*end;
}

int go_err_size(const char *value, struct err *err)
{
	cleanup_free char *num = NULL, *suffix = NULL;
	size_t n = strlen(value);

	while (n > 0 && !strchr("0123456789. ", value[n - 1]))
		n--;
	if (n == 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid size: '%s'", value);
	num = xstrndup(value, value[n - 1] == ' ' ? n - 1 : n);
	if (!is_float(num))
		return err_kind(err, ERR_BAD_PARAM, "strconv.ParseFloat: parsing \"%s\": invalid syntax", num);
	if (*num == '-')
		return err_kind(err, ERR_BAD_PARAM, "invalid size: '%s'", value);
	suffix = xstrdup(value + n);
	for (char *p = suffix; *p && strlen(suffix) <= 3; p++)
		*p = (char)tolower((unsigned char)*p);
	return err_kind(err, ERR_BAD_PARAM, "invalid suffix: '%s'", suffix);
}

/* A number and its unit; returns what is behind, or NULL with err. */
static const char *duration_part(const char *s, const char *value, struct err *err)
{
	static const char *const units[] = { "ns", "us", "\xc2\xb5s", "\xce\xbcs", "ms", "s", "m", "h", NULL };
	size_t whole = strspn(s, "0123456789"), frac = s[whole] == '.' ? 1 + strspn(s + whole + 1, "0123456789") : 0, n;

	if (whole + frac == 0 || (whole == 0 && frac == 1)) {
		(void)err_kind(err, ERR_BAD_PARAM, "time: invalid duration \"%s\"", value);
		return NULL;
	}
	s += whole + frac;
	n = strcspn(s, ".0123456789");
	for (size_t i = 0; units[i]; i++)
		if (strlen(units[i]) == n && memcmp(units[i], s, n) == 0)
			return s + n;
	if (n == 0)
		(void)err_kind(err, ERR_BAD_PARAM, "time: missing unit in duration \"%s\"", value);
	else
		(void)err_kind(err, ERR_BAD_PARAM, "time: unknown unit \"%.*s\" in duration \"%s\"", (int)n, s, value);
	return NULL;
}

int go_err_duration(const char *value, struct err *err)
{
	const char *s = value + (*value == '-' || *value == '+');

	while (*s)
		if (!(s = duration_part(s, value, err)))
			return err->code;
	return err_kind(err, ERR_BAD_PARAM, "time: invalid duration \"%s\"", value); /* nothing, or too large */
}

/* v units of 10^digits, without zeros at the end */
static void add_fraction(struct buf *b, int64_t v, int digits, const char *unit)
{
	char frac[24];
	int64_t one = 1;
	size_t n;

	for (int i = 0; i < digits; i++)
		one *= 10;
	(void)!str_fmt(frac, sizeof(frac), ".%0*" PRId64, digits, v % one);
	for (n = strlen(frac); n > 0 && (frac[n - 1] == '0' || frac[n - 1] == '.'); n--)
		frac[n - 1] = '\0';
	buf_printf(b, "%" PRId64 "%s%s", v / one, frac, unit);
}

const char *go_duration_str(int64_t ns, char *out, size_t size)
{
	cleanup_buf struct buf b = BUF_INIT;

	if (ns >= 3600 * SEC)
		buf_printf(&b, "%" PRId64 "h", ns / (3600 * SEC));
	if (ns >= 60 * SEC)
		buf_printf(&b, "%" PRId64 "m", ns / (60 * SEC) % 60);
	if (ns == 0 || ns >= SEC)
		add_fraction(&b, ns % (60 * SEC), 9, "s");
	else if (ns >= 1000000)
		add_fraction(&b, ns, 6, "ms");
	else if (ns >= 1000)
		add_fraction(&b, ns, 3, "\xc2\xb5s");
	else
		buf_printf(&b, "%" PRId64 "ns", ns);
	(void)str_copy(out, size, buf_str(&b));
	return out;
}
