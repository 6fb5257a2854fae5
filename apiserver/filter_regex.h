/* SPDX-License-Identifier: MPL-2.0
 *
 * filter_regex.h - values of a list's filter that are regular expressions: names, mostly. Any thread.
 *
 * As moby's filters.Args.Match: a text that is one of the values matches, or one in which an expression is found; a value
 * that is no expression stands for itself alone.
 */
#ifndef APISERVER_FILTER_REGEX_H
#define APISERVER_FILTER_REGEX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct go_regex;

struct filter_regex {
	const json_t *values; /* borrowed from the filters */
	struct go_regex **v;  /* NULL entries: no expression */
	size_t n;
};

/* f is zeroes. filters has to outlive it. */
void filter_regex_init(struct filter_regex *f, const json_t *filters, const char *key);
void filter_regex_fini(struct filter_regex *f);
#define cleanup_filter_regex __attribute__((cleanup(filter_regex_fini)))
/* True, too, where the filter was not given. */
bool filter_regex_match(const struct filter_regex *f, const char *text);

#endif
