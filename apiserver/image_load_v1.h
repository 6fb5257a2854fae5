/* SPDX-License-Identifier: MPL-2.0
 *
 * image_load_v1.h - archives from before Docker 1.10: "repositories", and a folder per layer.
 */
#ifndef APISERVER_IMAGE_LOAD_V1_H
#define APISERVER_IMAGE_LOAD_V1_H

#include <stddef.h>

#include "apiserver/archive_blobs.h"
#include "err.h"

struct load;
int image_load_v1(struct load *l, struct archive_blobs *blobs, struct err *err);

/* image_load.c, for it. */
int image_load_one(struct load *l, const char *config_text, size_t len, char *const *layer_paths,
		   char *const *names, const char *parent, char out_id[72], struct err *err);
void image_load_tell_id(struct load *l, const char *id);

#endif
