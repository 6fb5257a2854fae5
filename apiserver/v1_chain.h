/* SPDX-License-Identifier: MPL-2.0
 *
 * v1_chain.h - how long a chain of layers gets while its links come, in whatever order. Any thread, pure.
 */
#ifndef APISERVER_V1_CHAIN_H
#define APISERVER_V1_CHAIN_H

#include <stddef.h>

#include "apiserver/image_store.h"
#include "map.h"

struct v1_chains {
	struct map by_id;
};

void v1_chains_init(struct v1_chains *c);
void v1_chains_fini(struct v1_chains *c);
/* id rests on parent ("": on nothing). Returns how many layers the longest chain through id has as far
 * as it is known; of one that is longer than IMAGE_LAYERS_MAX, or runs in a circle, IMAGE_LAYERS_MAX + 1. */
size_t v1_chains_add(struct v1_chains *c, const char *id, const char *parent);

#endif
