/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_v1.h - images from a registry of protocol v1. Worker.
 */
#ifndef APISERVER_PULL_V1_H
#define APISERVER_PULL_V1_H

#include "apiserver/image_ref.h"
#include "apiserver/registry.h"
#include "apiserver/transfer.h"
#include "err.h"

/* ref without a tag: all tags. *changed: a name is new or leads elsewhere than before. */
int pull_v1(const struct reg_endpoint *ep, const struct registry_opts *o, const struct image_ref *ref,
	    struct transfer *t, bool *changed, struct err *err);

#endif
