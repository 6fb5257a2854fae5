/* SPDX-License-Identifier: MPL-2.0
 *
 * str.h - strings: numbers with range checks, ids, hex, units, times. Pure, any thread.
 *
 * The parse functions accept the whole string or nothing: 0, or -EINVAL / -ERANGE.
 */
#ifndef LIB_STR_H
#define LIB_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

bool str_eq(const char *a, const char *b); /* NULL-safe */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_empty(const char *s); /* NULL or "" */

int parse_i64(const char *s, int64_t min, int64_t max, int64_t *out); /* decimal */
int parse_u64(const char *s, uint64_t max, uint64_t *out);
/* Go's ParseBool: 1 t T TRUE true True 0 f F FALSE false False. */
int parse_bool(const char *s, bool *out);
/* go-units grammar (logging contract 1.5): 10, 1.5g, "10 m", 5KiB. base is 1000 or 1024. */
int parse_size(const char *s, unsigned base, int64_t *out);
/* Go's ParseDuration: 300ms, 1.5h, 2h45m; nanoseconds. */
int parse_duration_ns(const char *s, int64_t *out);
/* An age: a positive duration, or whole days ("7d"); nanoseconds. */
int parse_age_ns(const char *s, int64_t *out);
/* "sec[.nanos]" as Docker's since and until (contract 6.3). */
int parse_unix_time_ns(const char *s, int64_t *out_ns);
/* RFC 3339 with optional fraction and Z or offset. */
int parse_rfc3339_ns(const char *s, size_t len, int64_t *out_ns);

#define RFC3339NANO_MAX 36
/* 2026-08-22T12:34:56.789Z, trailing zeros dropped as Go's RFC3339Nano; returns the length. */
size_t fmt_rfc3339nano(char out[RFC3339NANO_MAX], int64_t ns);
/* Always nine digits, as docker logs -t. */
size_t fmt_rfc3339_9(char out[RFC3339NANO_MAX], int64_t ns);
int64_t now_ns(void);  /* CLOCK_REALTIME */
int64_t mono_ns(void); /* CLOCK_MONOTONIC */

void hex_encode(char *out, const void *p, size_t len); /* 2*len + NUL */
int hex_decode(void *out, const char *s, size_t len);  /* len hex digits; -EINVAL */
bool is_hex(const char *s, size_t len);
/* 32 random bytes as 64 hex digits (not all decimal digits in the first 12, as Docker). */
void id_generate(char out[65]);
/* First 32 hex digits as 8-4-4-4-12. */
void id_to_uuid(char out[37], const char *id);
void random_bytes(void *p, size_t len);

/* A NULL-terminated vector of strings, one allocation each. */
char **strv_split(const char *s, char sep); /* "" gives an empty vector */
void strv_free(char **v);
size_t strv_len(char *const *v);
char **strv_dup(char *const *v);
void strv_add(char ***v, const char *s);
/* At most 511 bytes, the rest is cut off. */
void strv_addf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strv_has(char *const *v, const char *s);
#define cleanup_strv __attribute__((cleanup(strv_freep)))
static inline void strv_freep(char ***v)
{
	strv_free(*v);
}

/* snprintf that turns truncation into -ENAMETOOLONG; returns the length. */
int str_fmt(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)))
__attribute__((warn_unused_result));
size_t str_copy(char *out, size_t size, const char *s); /* truncates; returns the length copied */

void *xmalloc(size_t n) __attribute__((malloc, warn_unused_result)); /* abort on failure */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));
void *xrealloc(void *p, size_t n) __attribute__((warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc)); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), malloc));

#endif
