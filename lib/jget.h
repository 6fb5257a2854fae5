/* SPDX-License-Identifier: MPL-2.0
 *
 * jget.h - reading members of jansson objects without ceremony. A missing member, null or another
 * type gives the default; o may be NULL.
 */
#ifndef LIB_JGET_H
#define LIB_JGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

const char *jget_str(const json_t *o, const char *key, const char *def); /* borrowed */
int64_t jget_int(const json_t *o, const char *key, int64_t def);
bool jget_bool(const json_t *o, const char *key, bool def);
json_t *jget_obj(const json_t *o, const char *key); /* borrowed, NULL unless an object */
json_t *jget_arr(const json_t *o, const char *key); /* borrowed, NULL unless an array */
char **jget_strv(const json_t *o, const char *key); /* owned, never NULL; non-strings skipped */
void jdecref_p(json_t **p);
#define cleanup_json __attribute__((cleanup(jdecref_p)))
/* Parses text of at most max_depth levels (hostile input); -EINVAL with the parser's words. */
int jparse(const char *text, size_t len, json_t **out, struct err *err);

#endif
