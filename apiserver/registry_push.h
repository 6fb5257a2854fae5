/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_push.h - images to a registry. Worker.
 */
#ifndef APISERVER_REGISTRY_PUSH_H
#define APISERVER_REGISTRY_PUSH_H

#include "apiserver/image_events.h"
#include "apiserver/image_ref.h"
#include "apiserver/platform.h"
#include "apiserver/registry_auth.h"
#include "apiserver/transfer.h"

struct registry_push {
	struct image_ref ref; /* without a tag: all tags */
	const struct platform *platform; /* the image has to be of it; NULL: any */
	const struct reg_creds *creds;
	struct image_events *events;
};

/* The first line is written before anything but the platform can fail, as by Docker. */
int registry_push(const struct registry_push *p, struct transfer *t, struct err *err);

#endif
