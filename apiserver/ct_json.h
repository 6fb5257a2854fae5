/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_json.h - containers as the API shows them: inspect, list, filters. Loop thread.
 */
#ifndef APISERVER_CT_JSON_H
#define APISERVER_CT_JSON_H

#include "buf.h"
#include "container.h"

struct ct_sizes {
	int64_t rw, root_fs;
};
void ct_json_inspect(const struct container *ct, int api_version, const struct ct_sizes *sizes, struct buf *out);
struct ct_list_opts {
	bool all;
	int limit;
	const char *filters; /* JSON text or NULL */
	const char *since, *before; /* pre-filters */
};
/* Picks the containers to list (NULL-terminated vector of borrowed pointers, owned vector). Bad filters: Docker's status and text. */
int ct_list(const struct ct_list_opts *o, int api_version, struct container ***out, struct err *err);
/* sizes: parallel to cts, or NULL. */
void ct_json_list(struct container *const *cts, const struct ct_sizes *sizes, int api_version, struct buf *out);
char *ct_random_name(unsigned attempt); /* adjective_surname, our own lists; owned */
/* [a-zA-Z0-9][a-zA-Z0-9_.-]+ : Docker's 400 text otherwise */
int ct_check_name(const char *name, struct err *err);

/* filters={"label":["a=b"]} or the old form {"label":{"a=b":true}} as an object of arrays; allowed: NULL-terminated keys. */
int filters_parse(const char *text, const char *const *allowed, json_t **out, struct err *err);
/* A yes or no, by Docker's rules: 1, true, 0, false; both at once are an error. 0: not given, out stays; 1: given. */
int filter_bool(const json_t *filters, const char *key, bool *out, struct err *err);
/* until= and the like: RFC 3339 (also without a zone, or a date), seconds, or a duration before now. */
int filter_time_parse(const char *s, int64_t *out_ns, struct err *err);
/* Only what is older: INT64_MAX where it is not given. */
int filter_until(const json_t *filters, int64_t *out_ns, struct err *err);
bool filter_label_match(const json_t *filters, const char *key, const json_t *labels); /* key "label" or "label!" */

#endif
