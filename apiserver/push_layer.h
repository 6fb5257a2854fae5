/* SPDX-License-Identifier: MPL-2.0
 *
 * push_layer.h - one blob into a repository: a layer, or an image's configuration. Worker; several
 * threads at once.
 */
#ifndef APISERVER_PUSH_LAYER_H
#define APISERVER_PUSH_LAYER_H

#include "apiserver/manifest.h"
#include "apiserver/registry.h"
#include "apiserver/transfer.h"
#include "err.h"

struct push_to {
	struct registry *reg;
	const char *domain;	    /* docker.io */
	const char *repo;	    /* path on the registry */
	const char *canonical_repo; /* docker.io/library/busybox */
	struct transfer *t;
};

/* The layer's files are in the store under chain. out: what the manifest is to say. */
int push_layer(const struct push_to *to, const char *chain, const char *diff_id, struct descriptor *out,
	       struct err *err);
int push_bytes(const struct push_to *to, const char *p, size_t len, const char *digest, struct err *err);

#endif
