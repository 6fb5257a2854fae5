/* SPDX-License-Identifier: MPL-2.0
 *
 * image_import.h - an image from the tar of a root file system. Worker.
 */
#ifndef APISERVER_IMAGE_IMPORT_H
#define APISERVER_IMAGE_IMPORT_H

#include "apiserver/image_events.h"
#include "apiserver/image_store.h"
#include "err.h"

struct image_import {
	const char *repo, *tag;	 /* repo NULL or "": untagged */
	const char *message;	 /* "": "Imported from <source>" */
	const char *source;	 /* "-" or the URL */
	const char *platform;	 /* os[/arch[/variant]], NULL: the host's */
	char *const *changes;
};

/* Checks what can be checked before the stream is read. */
int image_import_check(const struct image_import *im, struct err *err);
int image_import_run(const struct image_import *im, layer_read_fn *fn, void *arg, char out_id[72],
		     struct image_events *ev, struct err *err);
/* repo and tag parameters -> reference, by Docker's rules; repo "" gives 0 and leaves *out NULL. */
int image_repo_tag(const char *repo, const char *tag, char **out, struct err *err);

#endif
