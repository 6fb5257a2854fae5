/* SPDX-License-Identifier: MPL-2.0
 *
 * image_layer.h - the layers on disk: staged, put in place, shared, counted, taken away.
 *
 * <lib>/layers/sha256/<chain id>/	diff/ the files; split, moves, extra/ the tar's recipe
 *					(layer_split.h); layer.json; unsynced until syncfs(2)
 * <lib>/layers/tmp/			what is being made or removed; emptied at start
 *
 * Own lock; any thread. A layer lives while an image refers to it, and while any hold is on
 * (image_hold_begin, image_store.h): what a job has added, or found, stays until its image is there.
 */
#ifndef APISERVER_IMAGE_LAYER_H
#define APISERVER_IMAGE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/image_store.h"
#include "apiserver/layer_pump.h"
#include "apiserver/tar_write.h"
#include "err.h"

/* A layer's unpacked files without a place in any chain yet. */
struct layer_stage {
	struct layer_pumped pumped;
	char name[33]; /* beneath tmp/; "" when in place */
};

/* Loads, sweeps tmp/, checks what a power cut may have torn. */
int layer_init(struct err *err);
int layer_stage_new(layer_read_fn *fn, void *arg, const char *raw_id, struct layer_stage **out, struct err *err);
/* Puts the stage in place on top of parent_chain ("": first); when the layer is there already, the
 * stage is dropped. Takes the stage. */
int layer_stage_commit(struct layer_stage *st, const char *parent_chain, struct layer_info *out,
		       struct err *err);
void layer_stage_free(struct layer_stage *st); /* NULL is fine; removes the files */

/* sha256:... of a layer with diff_id on parent_chain. Pure. */
void layer_chain_id(const char *parent_chain, const char *diff_id, char out[72]);
bool layer_find(const char *chain_id, struct layer_info *out);
/* Any layer with these contents, whatever is beneath it. */
bool layer_find_diff(const char *diff_id, struct layer_info *out);
/* The same contents on another parent: made again from a layer that has them. */
int layer_copy(const char *diff_id, const char *parent_chain, struct layer_info *out, struct err *err);
void layer_diff_dir(const char *chain_id, char out[1024]);
/* The layer's tar, byte for byte; an error at the end when its digest is not diff_id. */
int layer_export(const char *chain_id, tar_write_fn *fn, void *arg, struct err *err);
int64_t layer_tar_bytes(const char *chain_id); /* length of that tar */

void layer_ref(const char *chain_id); /* an image refers to it */
void layer_unref(const char *chain_id);
/* Removes layers that nobody refers to, unless holds are on. Returns bytes freed. */
int64_t layer_collect(void);
void layer_hold(void);
void layer_release(void);
unsigned layer_refs(const char *chain_id);

#endif
