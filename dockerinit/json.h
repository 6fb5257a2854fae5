/* SPDX-License-Identifier: MPL-2.0
 *
 * json.h - a small JSON reader for the static programs: one flat array of values, strings unescaped
 * in place in the caller's text. Bounded: depth 32, values, size by the caller. Strings with an
 * escaped NUL are refused, so every string is also a C string.
 */
#ifndef DOCKERINIT_JSON_H
#define DOCKERINIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUM, JSON_STR, JSON_ARR, JSON_OBJ };

struct json_val {
	uint8_t type;
	uint32_t next; /* index of the value after this one and all that it holds */
	uint32_t n;    /* members of an array or object; bytes of a string */
	union {
		const char *s; /* JSON_STR */
		int64_t i;     /* JSON_NUM (fractions are cut off), JSON_BOOL */
	};
};

struct json {
	struct json_val *v; /* v[0] is the top */
	uint32_t len;
	uint32_t cap;
};

/* Reads text (changed in place, must outlive j). 0, -EINVAL, -E2BIG (more than max_values),
 * -ENOMEM; j is empty on failure. */
int json_parse(struct json *j, char *text, size_t len, uint32_t max_values);
void json_fini(struct json *j);

/* Members; NULL when obj is NULL, not an object, or lacks key. The first of equal keys counts. */
const struct json_val *json_get(const struct json *j, const struct json_val *obj, const char *key);
const char *json_str(const struct json *j, const struct json_val *obj, const char *key,
		     const char *def);
int64_t json_int(const struct json *j, const struct json_val *obj, const char *key, int64_t def);
bool json_bool(const struct json *j, const struct json_val *obj, const char *key, bool def);
/* Iterates an array, or the alternating keys and values of an object:
 *	for (e = json_first(j, arr); e; e = json_next(j, arr, e)) */
const struct json_val *json_first(const struct json *j, const struct json_val *box);
const struct json_val *json_next(const struct json *j, const struct json_val *box,
				 const struct json_val *e);
/* An array's strings as a NULL-terminated vector (one free(); the strings stay in the text). NULL
 * when out of memory; an empty vector when arr is no array; others than strings are skipped. */
char **json_strv(const struct json *j, const struct json_val *arr, size_t *n);

#endif
