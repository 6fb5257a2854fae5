/* SPDX-License-Identifier: MPL-2.0
 *
 * container_private.h - what container.c and its neighbours share and nobody else needs.
 */
#ifndef APISERVER_CONTAINER_PRIVATE_H
#define APISERVER_CONTAINER_PRIVATE_H

#include "apiserver/container.h"

void ct_endpoints_copy(struct endpoint **dst, size_t *n_dst, const struct endpoint *src,
		       size_t n_src);
void ct_endpoints_free(struct endpoint *v, size_t n);

/* The one container whose id begins so; NULL if there is none, or several. */
struct container *container_by_prefix(const char *prefix, bool *ambiguous);

/* ct_text.c */
void container_text_drop(struct container *ct);

/* container_persist.c: queues the deletion of the record. */
void container_unsave(const char *id);

#endif
