/* SPDX-License-Identifier: MPL-2.0
 *
 * image_archive.h - images in archives: docker load and docker save. Worker, blocking.
 */
#ifndef APISERVER_IMAGE_ARCHIVE_H
#define APISERVER_IMAGE_ARCHIVE_H

#include <stdbool.h>

#include "apiserver/image_events.h"
#include "apiserver/image_store.h"
#include "apiserver/platform.h"
#include "apiserver/progress.h"
#include "apiserver/tar_write.h"
#include "err.h"

struct image_load_opts {
	const struct platform *platform; /* only this one; NULL: all of them, of an index this machine's */
	bool quiet;	      /* no bars */
	bool (*cancelled)(void *arg); /* NULL: nobody can; also asked when fn has given all */
	void *cancelled_arg;
};

/* docker-archive (manifest.json, or the old repositories), OCI layout (index.json); compressed or
 * not. Lines go to progress, which may be NULL. */
int image_load(layer_read_fn *fn, void *arg, const struct image_load_opts *o, struct progress *progress,
	       struct image_events *ev, struct err *err);

/* What to save: resolved at once, so that a wrong name, or one of another platform than only (NULL: any), is an error
 * before the first byte. */
struct image_save;
int image_save_new(char *const *names, const struct platform *only, struct image_save **out, struct image_events *ev,
		   struct err *err);
int image_save_write(struct image_save *s, tar_write_fn *fn, void *arg, struct err *err);
void image_save_free(struct image_save *s); /* NULL is fine */

#endif
