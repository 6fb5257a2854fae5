/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_layers.h - the layers of one image, from a registry into the store. Worker.
 */
#ifndef APISERVER_PULL_LAYERS_H
#define APISERVER_PULL_LAYERS_H

#include "apiserver/manifest.h"
#include "apiserver/registry.h"
#include "apiserver/transfer.h"
#include "err.h"

struct pull_layers {
	struct registry *reg;
	const char *repo;	    /* path on the registry */
	const char *canonical_repo; /* for the origins */
	const struct manifest *manifest;
	char *const *diff_ids; /* as many as the manifest has layers */
	struct transfer *t;
};

/* An image hold must be on. */
int pull_layers(const struct pull_layers *p, struct err *err);

#endif
