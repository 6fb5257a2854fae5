/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_layers.h - the layers of one image, from a registry into the store. Worker.
 */
#ifndef APISERVER_PULL_LAYERS_H
#define APISERVER_PULL_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/transfer.h"
#include "apiserver/url_source.h"
#include "err.h"

/* One layer, as the manifest or the registry tells of it. All borrowed. */
struct pull_layer {
	const char *digest;  /* of the stream; NULL: nothing tells it (registry v1) */
	const char *key;     /* what names the stream where digest is NULL: host and id */
	const char *diff_id; /* NULL: found out when it has come (schema 1, registry v1) */
	int64_t size;	     /* of the stream; -1: not told */
	bool is_gzip;	     /* what push may name again */
	char id[13];	     /* for the progress lines */
};

struct pull_layers {
	/* The stream of a layer from offset on; as registry_blob (registry.h). */
	int (*open)(void *arg, const struct pull_layer *l, int64_t offset, struct url_source **out,
		    int64_t *from, bool *gone, struct err *err);
	void *arg;
	const char *canonical_repo;  /* for the origins; NULL: none are kept */
	const struct pull_layer *v; /* bottom first */
	size_t n;
	struct transfer *t;
};

/* An image hold must be on. diff_ids, when not NULL, gets those of all n layers, n elements of 72 bytes. */
int pull_layers(const struct pull_layers *p, char (*diff_ids)[72], struct err *err);

#endif
