/* SPDX-License-Identifier: MPL-2.0
 *
 * timefmt.c - times and durations as Docker writes and reads them (declared in str.h).
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "str.h"

#define NS	   1000000000LL
#define UNIX_MAX_S 9223372035LL

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS + ts.tv_nsec + failpoint_clock_ns();
}

int64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* Floor division: times before 1970 keep a positive fraction. */
static void split_ns(int64_t ns, time_t *sec, long *frac)
{
	*sec = ns / NS;
	*frac = ns % NS;
	if (*frac < 0) {
		*frac += NS;
		(*sec)--;
	}
}

static size_t fmt_seconds(char *out, int64_t ns, long *frac)
{
	struct tm tm;
	time_t sec;

	split_ns(ns, &sec, frac);
	gmtime_r(&sec, &tm);
	return (size_t)snprintf(out, RFC3339NANO_MAX, "%04d-%02d-%02dT%02d:%02d:%02d",
				(tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
				tm.tm_min, tm.tm_sec);
}

size_t fmt_rfc3339_9(char out[RFC3339NANO_MAX], int64_t ns)
{
	long frac;
	size_t n = fmt_seconds(out, ns, &frac);

	return n + (size_t)snprintf(out + n, RFC3339NANO_MAX - n, ".%09ldZ", frac);
}

size_t fmt_rfc3339nano(char out[RFC3339NANO_MAX], int64_t ns)
{
	size_t n = fmt_rfc3339_9(out, ns) - 1; /* without the Z */

	while (out[n - 1] == '0')
		n--;
	if (out[n - 1] == '.')
		n--;
	out[n++] = 'Z';
	out[n] = '\0';
	return n;
}

/* Up to nine digits of a fraction, right-padded; digits beyond are cut. */
static int64_t fraction_ns(const char *s, size_t len)
{
	int64_t v = 0;
	size_t i;

	for (i = 0; i < 9; i++)
		v = v * 10 + (i < len ? s[i] - '0' : 0);
	return v;
}

static size_t count_digits(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && isdigit((unsigned char)*p))
		p++;
	return (size_t)(p - s);
}

int parse_unix_time_ns(const char *s, int64_t *out_ns)
{
	const char *end, *dot;
	char sec[24];
	int64_t v, frac = 0;
	int rc;

	if (str_empty(s))
		return -EINVAL;
	end = s + strlen(s);
	dot = strchr(s, '.');
	if ((size_t)((dot ? dot : end) - s) >= sizeof(sec))
		return count_digits(s, dot ? dot : end) < sizeof(sec) - 1 ? -EINVAL : -ERANGE;
	memcpy(sec, s, (dot ? dot : end) - s);
	sec[(dot ? dot : end) - s] = '\0';
	if ((rc = parse_i64(sec, INT64_MIN, INT64_MAX, &v)) < 0)
		return rc;
	/* what does not fit into nanoseconds (the year 2262) is that far away */
	v = v < -UNIX_MAX_S ? -UNIX_MAX_S : v > UNIX_MAX_S ? UNIX_MAX_S : v;
	if (dot) {
		if (!dot[1] || count_digits(dot + 1, end) != (size_t)(end - dot - 1) || end - dot - 1 > 20)
			return -EINVAL;
		frac = fraction_ns(dot + 1, (size_t)(end - dot - 1));
	}
	*out_ns = v * NS + frac; /* the fraction counts forward, also of a negative number */
	return 0;
}

static int two_digits(const char *s)
{
	if (!isdigit((unsigned char)s[0]) || !isdigit((unsigned char)s[1]))
		return -1000;
	return (s[0] - '0') * 10 + s[1] - '0';
}

int parse_rfc3339_ns(const char *s, size_t len, int64_t *out_ns)
{
	const char *end = s + len, *p;
	struct tm tm = { 0 };
	int64_t frac = 0, off = 0, sec;
	int h, m;
	size_t n;

	if (len < 20 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') ||
	    s[13] != ':' || s[16] != ':')
		return -EINVAL;
	tm.tm_year = two_digits(s) * 100 + two_digits(s + 2) - 1900;
	tm.tm_mon = two_digits(s + 5) - 1;
	tm.tm_mday = two_digits(s + 8);
	tm.tm_hour = two_digits(s + 11);
	tm.tm_min = two_digits(s + 14);
	tm.tm_sec = two_digits(s + 17);
	if (tm.tm_year < -1900 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
	    tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -EINVAL;
	p = s + 19;
	if (*p == '.' || *p == ',') {
		n = count_digits(p + 1, end);
		if (!n)
			return -EINVAL;
		frac = fraction_ns(p + 1, n);
		p += 1 + n;
	}
	if (p == end)
		return -EINVAL;
	if (*p == '+' || *p == '-') {
		if (end - p != 6 || p[3] != ':')
			return -EINVAL;
		h = two_digits(p + 1);
		m = two_digits(p + 4);
		if (h < 0 || h > 23 || m < 0 || m > 59)
			return -EINVAL;
		off = (h * 3600 + m * 60) * (*p == '+' ? 1 : -1);
	} else if ((*p != 'Z' && *p != 'z') || end - p != 1) {
		return -EINVAL;
	}
	sec = timegm(&tm) - off;
	if (__builtin_mul_overflow(sec, NS, &sec) || __builtin_add_overflow(sec, frac, &sec))
		return -ERANGE;
	*out_ns = sec;
	return 0;
}

int parse_duration_ns(const char *s, int64_t *out)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "ns", 1 },	   { "us", 1000 },	{ "\xc2\xb5s", 1000 },
		      { "\xce\xbcs", 1000 }, { "ms", 1000000 }, { "s", NS },
		      { "m", 60 * NS },	   { "h", 3600 * NS } };
	bool neg = false;
	int64_t total = 0, v, scaled;
	long double frac, scale;
	size_t i, n;

	if (str_empty(s))
		return -EINVAL;
	if (*s == '-' || *s == '+')
		neg = *s++ == '-';
	if (!strcmp(s, "0")) {
		*out = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		bool digits = false;

		for (v = 0; isdigit((unsigned char)*s); s++, digits = true)
			if (__builtin_mul_overflow(v, 10, &v) ||
			    __builtin_add_overflow(v, *s - '0', &v))
				return -ERANGE;
		frac = 0;
		if (*s == '.') {
			for (s++, scale = 0.1L; isdigit((unsigned char)*s); s++, scale /= 10, digits = true)
				frac += (*s - '0') * scale;
		}
		if (!digits)
			return -EINVAL;
		for (n = 0; s[n] && s[n] != '.' && !isdigit((unsigned char)s[n]);)
			n++;
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strlen(units[i].name) == n && !strncmp(s, units[i].name, n))
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		s += n;
		if (__builtin_mul_overflow(v, units[i].ns, &scaled) ||
		    __builtin_add_overflow(scaled, (int64_t)(frac * units[i].ns), &scaled) ||
		    __builtin_add_overflow(total, scaled, &total))
			return -ERANGE;
	}
	*out = neg ? -total : total;
	return 0;
}

int parse_age_ns(const char *s, int64_t *out)
{
	size_t len = strlen(s);
	char number[24];
	int64_t n;

	if (len > 1 && len < sizeof(number) && s[len - 1] == 'd') {
		(void)str_copy(number, len, s);
		if (parse_i64(number, 1, 36500, &n) == 0) {
			*out = n * 86400 * 1000000000;
			return 0;
		}
	}
	if (parse_duration_ns(s, &n) < 0 || n <= 0)
		return -EINVAL;
	*out = n;
	return 0;
}
