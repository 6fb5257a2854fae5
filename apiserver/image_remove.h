/* SPDX-License-Identifier: MPL-2.0
 *
 * image_remove.h - docker rmi and image prune. Worker.
 */
#ifndef APISERVER_IMAGE_REMOVE_H
#define APISERVER_IMAGE_REMOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/image_events.h"
#include "apiserver/image_list.h"
#include "buf.h"
#include "err.h"

/* What was done, in order: the answer of DELETE and prune. */
struct image_removed {
	struct image_removal {
		bool deleted; /* else untagged */
		bool image;   /* else a layer */
		char *text;
	} *v;
	size_t n;
	int64_t bytes; /* of layers that nobody uses any more */
};
void image_removed_fini(struct image_removed *r);
void image_removed_json(const struct image_removed *r, struct buf *out); /* a JSON array */

struct image_remove_opts {
	bool force;
	bool prune; /* parents without a name too */
	const struct platform *platform; /* only an image of it; NULL: any */
	const struct image_use *uses;
	size_t n_uses;
};
/* By Docker's rules, with its texts. */
int image_remove(const char *ref, const struct image_remove_opts *o, struct image_removed *out,
		 struct image_events *ev, struct err *err);
/* filters: JSON text or NULL. What cannot be removed stays. o->force and o->prune are not looked at. */
int image_prune(const char *filters, const struct image_remove_opts *o, struct image_removed *out,
		struct image_events *ev, struct err *err);
/* Removes what was kept only for containers that are gone by now. How many images no container has, but a job holds. */
size_t image_hidden_collect(void);

#endif
