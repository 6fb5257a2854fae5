/* SPDX-License-Identifier: MPL-2.0
 *
 * err.h - the error that a function hands to its caller.
 *
 * A fallible function returns 0 (or a count) on success and a negative errno on failure, and then
 * fills *err, its last parameter, which is never NULL. It is set once, where the failure happens;
 * callers add context with err_wrap only where it helps the reader. By value and of a fixed size:
 * nothing to free, usable out of memory and after fork, and it travels in messages.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <errno.h>
#include <stdarg.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_SYSTEM,	     /* 500 */
	ERR_BAD_PARAM,	     /* 400 */
	ERR_UNAUTHORIZED,    /* 401 */
	ERR_FORBIDDEN,	     /* 403 */
	ERR_NOT_FOUND,	     /* 404 */
	ERR_CONFLICT,	     /* 409 */
	ERR_NOT_MODIFIED,    /* 304 */
	ERR_NOT_IMPLEMENTED, /* 501 */
	ERR_UNAVAILABLE,     /* 503 */
};

struct err {
	int code;	    /* negative errno */
	enum err_kind kind; /* maps to an HTTP status */
	char msg[1024];	    /* lower case, no newline; truncated when longer */
};

/* Uses errno: "<formatted>: <strerror>"; kind ERR_SYSTEM. Returns -errno. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with a given errno value (positive or negative). */
int err_sysnum(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Kind and text; the code returned is the kind's usual errno, negative. */
int err_kind(struct err *err, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "<formatted>: " before the message that is there. Returns rc. */
int err_wrap(struct err *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The HTTP status of a kind. Pure. */
int err_http_status(enum err_kind kind);

#endif
