/* SPDX-License-Identifier: MPL-2.0
 *
 * registry.h - the client of the Distribution API: endpoints of a registry, requests with whatever
 * authorization it asks for, blobs. Worker, blocking; a struct registry may be used by several
 * threads at once.
 */
#ifndef APISERVER_REGISTRY_H
#define APISERVER_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/registry_auth.h"
#include "apiserver/registry_http.h"
#include "apiserver/url_source.h"
#include "err.h"

/* One way to reach a registry. */
struct reg_endpoint {
	char base[512]; /* https://host[:port][/path], without a slash at the end */
	bool insecure, mirror;
};
#define REG_ENDPOINTS_MAX 12
/* In the order in which they are tried: the mirrors (of docker.io, when mirrors is asked for), TLS,
 * and plain HTTP for loopback and insecure-registries. */
size_t registry_endpoints(const char *domain, bool mirrors, struct reg_endpoint out[REG_ENDPOINTS_MAX]);
/* May look names up: worker. */
bool registry_is_insecure(const char *host);
/* net: "10.0.0.0/8", "fd00::/8". Pure. */
bool registry_net_has(const char *net, const char *address);

struct registry;
struct registry_opts {
	const struct reg_creds *creds; /* borrowed */
	bool (*cancelled)(void *arg);
	void *arg;
};
/* Asks /v2/. A mirror gets no credentials. */
int registry_open(const struct reg_endpoint *ep, const struct registry_opts *o, struct registry **out,
		  struct err *err);
void registry_close(struct registry *r); /* NULL is fine */
const char *registry_base(const struct registry *r);
/* False: what answered at /v2/ is no registry of this protocol; perhaps of v1. */
bool registry_is_v2(const struct registry *r);
/* What an error ends in where the registry wants Basic credentials and there are none. */
#define REGISTRY_NO_BASIC "no basic auth credentials"
/* Tokens from now on are also for this. actions: "pull", "pull,push". */
void registry_scope(struct registry *r, const char *repo, const char *actions);
void registry_scope_search(struct registry *r); /* for searching its catalog */

/* q->url may start with a slash: below /v2 of the registry. Refreshes a token that has run out.
 * Any status is success; see registry_refused. */
int registry_ask(struct registry *r, struct http_ask *q, struct http_answer *a, struct err *err);

/* What a registry means with a status of 400 and above. */
enum reg_refusal { REG_OTHER, REG_UNAUTHORIZED, REG_DENIED, REG_MANIFEST_UNKNOWN, REG_NAME_UNKNOWN };
/* err gets Docker's words, "manifest unknown: manifest unknown"; returns negative errno. */
int registry_refused(const struct http_answer *a, enum reg_refusal *why, struct err *err);

/* The bytes of a blob from offset on. *from: where they really begin (0 when the registry knows no
 * ranges). status of 400 and above is an error; *gone says that trying again is no use. */
int registry_blob(struct registry *r, const char *repo, const char *digest, int64_t offset,
		  struct url_source **out, int64_t *from, bool *gone, struct err *err);
/* A small blob, whole, its digest checked. */
int registry_blob_text(struct registry *r, const char *repo, const char *digest, int64_t size,
		       struct buf *out, struct err *err);

struct manifest_text {
	struct buf text;
	char digest[72];
	char content_type[128];
};
/* The digest of what tag names, by HEAD, which registries that count fetches do not count. "" when the answer does not tell
 * it, whatever its status: then registry_manifest does. */
int registry_manifest_head(struct registry *r, const char *repo, const char *tag, char digest[72], struct err *err);
/* ref: a tag, or a digest, which is then checked. */
int registry_manifest(struct registry *r, const char *repo, const char *ref, struct manifest_text *out,
		      enum reg_refusal *why, struct err *err);

#endif
