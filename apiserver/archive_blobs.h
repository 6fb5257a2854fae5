/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_blobs.h - what an image archive holds, by name, read in one pass. Worker, one thread.
 */
#ifndef APISERVER_ARCHIVE_BLOBS_H
#define APISERVER_ARCHIVE_BLOBS_H

#include <jansson.h>

#include "apiserver/image_archive.h"
#include "apiserver/image_layer.h"
#include "apiserver/progress.h"
#include "buf.h"
#include "err.h"

struct archive_blob {
	char *link; /* the entry is a link to this name; else NULL */
	struct buf text; /* small files */
	/* layers: diff_id is set. The stage is NULL once used, or when we had those contents already. */
	char diff_id[72];
	char raw_id[72];
	struct layer_stage *stage;
};

struct archive_blobs;

/* Reads the whole stream: layers are unpacked into stages, small files kept. */
int archive_blobs_read(layer_read_fn *fn, void *arg, const struct image_load_opts *o, struct progress *progress,
		       struct archive_blobs **out, struct err *err);
/* By name, links followed; NULL: not there. Borrowed. */
struct archive_blob *archive_blob_find(struct archive_blobs *b, const char *name);
/* "sha256:X" -> the file blobs/sha256/X, its digest checked; NULL with err. */
struct archive_blob *archive_blob_digest(struct archive_blobs *b, const char *digest, struct err *err);
/* Parses a small file; NOT_FOUND when it is missing. */
int archive_blob_json(struct archive_blobs *b, const char *name, json_t **out, struct err *err);
/* Puts a layer of the archive on top of parent_chain; its contents must have diff_id. */
int archive_blob_layer(struct archive_blob *blob, const char *diff_id, const char *parent_chain,
		       struct layer_info *out, struct err *err);
void archive_blobs_free(struct archive_blobs *b); /* NULL is fine; drops unused stages */

#endif
