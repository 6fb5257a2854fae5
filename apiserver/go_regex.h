/* SPDX-License-Identifier: MPL-2.0
 *
 * go_regex.h - regular expressions of users, who write Go's (RE2): PCRE2 with bounded matching.
 * Any thread.
 */
#ifndef APISERVER_GO_REGEX_H
#define APISERVER_GO_REGEX_H

#include <stdbool.h>

#include "err.h"

struct go_regex;

/* Unanchored. Bad: 400 "error parsing regexp: <reason>: `<expr>`". */
int go_regex_compile(const char *expr, struct go_regex **out, struct err *err);
bool go_regex_match(const struct go_regex *re, const char *text);
void go_regex_free(struct go_regex *re);

#endif
