/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_pattern.h - the patterns of ${x#p}, ${x%p} and ${x/p/r}: "*" and "?", and a backslash
 * that takes away their meaning; no brackets. Pure.
 */
#ifndef APISERVER_DOCKERFILE_PATTERN_H
#define APISERVER_DOCKERFILE_PATTERN_H

#include <stdbool.h>

#include "buf.h"
#include "err.h"

/* Appends value without the shortest (greedy: longest) match at its start, or its end (at_end). */
int dockerfile_pattern_trim(const char *value, const char *pattern, bool at_end, bool greedy,
			    struct buf *out, struct err *err);
/* Appends value with the first (all: every) longest match replaced. An empty match counts, as in
 * Docker, unless it follows another match at once. */
int dockerfile_pattern_replace(const char *value, const char *pattern, const char *with, bool all,
			       struct buf *out, struct err *err);

#endif
