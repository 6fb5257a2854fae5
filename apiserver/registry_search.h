/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_search.h - docker search: the old index API, GET /v1/search. Worker.
 */
#ifndef APISERVER_REGISTRY_SEARCH_H
#define APISERVER_REGISTRY_SEARCH_H

#include <stdbool.h>

#include "apiserver/registry_auth.h"
#include "buf.h"
#include "err.h"

struct registry_search {
	const char *term; /* [host/]words */
	int limit;	  /* 1 .. 100 */
	int official, automated; /* -1: either */
	int64_t stars;	  /* at least */
	const struct reg_creds *creds;
	bool (*cancelled)(void *arg);
	void *arg;
};

/* out: the JSON array that the API answers. */
int registry_search(const struct registry_search *s, struct buf *out, struct err *err);

/* The same of an index's answer of status 200, filtered. Pure. */
int registry_search_read(const struct registry_search *s, const char *body, size_t len, struct buf *out, struct err *err);

#endif
