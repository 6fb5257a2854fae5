/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_pull.h - images from a registry. Worker.
 */
#ifndef APISERVER_REGISTRY_PULL_H
#define APISERVER_REGISTRY_PULL_H

#include <stdbool.h>

#include "apiserver/image_events.h"
#include "apiserver/image_ref.h"
#include "apiserver/platform.h"
#include "apiserver/registry_auth.h"
#include "apiserver/transfer.h"

struct registry_pull {
	struct image_ref ref; /* without tag and digest: all tags */
	const struct platform *platform; /* NULL: this machine's */
	const struct reg_creds *creds;
	struct image_events *events;
};

/* Errors before the first line are for an error status. */
int registry_pull(const struct registry_pull *p, struct transfer *t, struct err *err);

/* What GET /v2/NAME/tags/list answers. Pure.
 * The tags of a page, added to *tags; and the next page's whole address, from the header Link; NULL: there is none, or it is not
 * the registry's own. Owned. */
int registry_read_tags(const char *body, size_t len, char ***tags, struct err *err);
char *registry_next_page(const char *base, const char *link);

#endif
