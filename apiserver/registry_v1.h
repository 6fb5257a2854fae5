/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_v1.h - the client of the registry protocol v1, which servers from before 2015 speak: no
 * digests, an image is a chain of layers with random ids. Worker, blocking; after opening, several
 * threads at once.
 */
#ifndef APISERVER_REGISTRY_V1_H
#define APISERVER_REGISTRY_V1_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "apiserver/registry.h"
#include "apiserver/url_source.h"
#include "buf.h"
#include "err.h"

struct registry_v1;

/* There is such a registry at this endpoint. */
bool registry_v1_there(const struct reg_endpoint *ep, const struct registry_opts *o);
/* Asks the index for a repository (path): its token and its endpoints. NOT_FOUND: it has none such. */
int registry_v1_open(const struct reg_endpoint *ep, const struct registry_opts *o, const char *repo,
		     struct registry_v1 **out, struct err *err);
void registry_v1_close(struct registry_v1 *r); /* NULL is fine */
const char *registry_v1_host(const struct registry_v1 *r); /* the index's */

/* {"tag": "id", ...}, or only tag's (NULL: all). NOT_FOUND: there is none. Owned. */
int registry_v1_tags(struct registry_v1 *r, const char *tag, json_t **out, struct err *err);
/* The ids of a chain, top first, checked. Owned. */
int registry_v1_ancestry(struct registry_v1 *r, const char *id, char ***out, struct err *err);
/* A layer's JSON. Owned. */
int registry_v1_json(struct registry_v1 *r, const char *id, json_t **out, struct err *err);
/* A layer's archive; as registry_blob. */
int registry_v1_layer(struct registry_v1 *r, const char *id, int64_t offset, struct url_source **out,
		      int64_t *from, bool *gone, struct err *err);

/* Where X-Docker-Endpoints sends, ending in /v1; base itself where it names nobody. Pure, owned. */
char **registry_v1_endpoints(const char *base, const char *list);

#endif
