/* SPDX-License-Identifier: MPL-2.0
 *
 * err.c - filling struct err, and what an error kind means to an HTTP client.
 */
#include "err.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int status;
	int code;
} kinds[] = {
	[ERR_NONE] = { 200, 0 },
	[ERR_SYSTEM] = { 500, -EIO },
	[ERR_BAD_PARAM] = { 400, -EINVAL },
	[ERR_UNAUTHORIZED] = { 401, -EACCES },
	[ERR_FORBIDDEN] = { 403, -EPERM },
	[ERR_NOT_FOUND] = { 404, -ENOENT },
	[ERR_CONFLICT] = { 409, -EBUSY },
	[ERR_NOT_MODIFIED] = { 304, -EALREADY },
	[ERR_NOT_IMPLEMENTED] = { 501, -ENOSYS },
	[ERR_UNAVAILABLE] = { 503, -EAGAIN },
};

static int sysnum_v(struct err *err, int errnum, const char *fmt, va_list ap)
{
	int n, e = errnum < 0 ? -errnum : errnum;

	err->code = e ? -e : -EIO;
	err->kind = ERR_SYSTEM;
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg)) {
		/* per thread in glibc (2.32 on), constant text in musl; clients know Go's texts, which begin with
		 * a small letter */
		const char *why = strerror(e ? e : EIO);

		snprintf(err->msg + n, sizeof(err->msg) - n, ": %c%s",
			 islower((unsigned char)why[1]) || why[1] == ' ' ? tolower((unsigned char)why[0]) : why[0], why + 1);
	}
	return err->code;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int e = errno;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = sysnum_v(err, e, fmt, ap);
	va_end(ap);
	return rc;
}

int err_sysnum(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = sysnum_v(err, errnum, fmt, ap);
	va_end(ap);
	return rc;
}

int err_kind(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	err->kind = kind;
	err->code = kinds[kind].code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return err->code;
}

int err_wrap(struct err *err, int rc, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	int n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg)) {
		size_t left = sizeof(err->msg) - n, want = strlen(old);
		char *p = err->msg + n;

		if (left > 3) {
			*p++ = ':';
			*p++ = ' ';
			left -= 3;
			memcpy(p, old, want < left ? want : left);
			p[want < left ? want : left] = '\0';
		}
	}
	return rc;
}

int err_http_status(enum err_kind kind)
{
	if ((unsigned)kind >= sizeof(kinds) / sizeof(kinds[0]))
		return 500;
	return kinds[kind].status;
}
