/* SPDX-License-Identifier: MPL-2.0
 *
 * schema1.h - image manifests of version 2, schema 1, as registries from before 2016 have them. Pure,
 * any thread.
 */
#ifndef APISERVER_SCHEMA1_H
#define APISERVER_SCHEMA1_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "err.h"

#define MANIFEST_SCHEMA1	"application/vnd.docker.distribution.manifest.v1+json"
#define MANIFEST_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

struct schema1_layer {
	char digest[72]; /* sha256:<64 hex>, checked */
	bool empty;	 /* a step without files: nothing to fetch */
};

struct schema1 {
	struct schema1_layer *v; /* bottom first, repeated ones left out */
	size_t n;
	json_t *top;	 /* the JSON of the uppermost layer */
	json_t *history; /* bottom first */
};

/* Signatures are checked where there are any; name and tag are not looked at, as with Docker. ref: for the
 * words. */
int schema1_parse(const char *text, size_t len, const char *ref, struct schema1 *out, struct err *err);
void schema1_fini(struct schema1 *m);
/* The bytes that the manifest's digest is of: the text without its signatures. False: it has none,
 * or they are malformed; then the digest is of the text. */
bool schema1_payload(const char *text, size_t len, struct buf *out);

#endif
