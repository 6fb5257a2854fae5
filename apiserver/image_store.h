/* SPDX-License-Identifier: MPL-2.0
 *
 * image_store.h - images and layers on disk: content-addressed, shared, whole or not there at all.
 *
 * <lib>/images/sha256/<config digest>	the image's config JSON, verbatim (its digest is the image ID)
 * <lib>/layers/sha256/<chain id>/	diff/ (unpacked layer), layer.json {diff_id, parent chain, size, tar-split-like facts}
 * The index is in memory behind its own lock; any thread. struct image is immutable and reference-counted.
 */
#ifndef APISERVER_IMAGE_STORE_H
#define APISERVER_IMAGE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define IMAGE_LAYERS_MAX 500 /* as one overlay mount takes them */

struct image {
	char id[72];	    /* sha256:<64 hex> */
	char *config_text;  /* the whole image config JSON as stored; parse your own json_t from it */
	char **diff_ids;    /* bottom first */
	char **layer_dirs;  /* absolute .../diff directories, bottom first, one per diff id */
	int64_t size;	    /* bytes of all layers */
	int64_t created_ns;
	char *os, *architecture, *variant;
	char *parent; /* image ID or "" */
	/* private */
	int refs_;
	struct image *older_; /* what it was before image_set_parent; held */
};

int image_store_init(struct err *err); /* loads, finishes or removes what a crash left */
/* By reference (busybox, busybox:latest, name@sha256:..., sha256:..., short id) by Docker's rules. Not there: NOT_FOUND
 * "No such image: X". The caller unrefs. */
int image_get(const char *ref, struct image **out, struct err *err);
struct image *image_ref(struct image *img);
void image_unref(struct image *img);

/* tags: canonical "docker.io/library/busybox:latest" inside, familiar "busybox:latest" outside */
int image_tag(const char *image_id, const char *ref, struct err *err);
char **image_tags(const char *image_id);    /* familiar, sorted; owned */
char **image_digests(const char *image_id); /* name@sha256:..., owned */
void image_digest_of(const void *p, size_t len, char out[72]); /* sha256:<64 hex>; pure */

/* Keeps layers that no image refers to yet (or no longer) on disk: around each layer_add .. image_add. Counted. */
void image_hold_begin(void);
void image_hold_end(void);

/* New layer from a tar stream read by fn (uncompressed, gzip, zstd, bzip2 or xz: detected): unpacked safely below a temp directory in
 * a chrooted, privilege-poor child, digest computed on the way, renamed into place. parent_chain "" for the first. */
typedef ssize_t layer_read_fn(void *arg, void *p, size_t len);
struct layer_info {
	char diff_id[72];
	char chain_id[72];
	int64_t size;
};
int layer_add(layer_read_fn *fn, void *arg, const char *parent_chain, const char *expect_diff_id, struct layer_info *out,
	      struct err *err);
/* New image from its config JSON (rootfs.diff_ids name existing layers). out_id gets sha256:... */
int image_add(const char *config_text, size_t len, const char *parent_id, char out_id[72], struct err *err);
/* The same for a build step's: it counts as build cache while it has no name. */
int image_add_built(const char *config_text, size_t len, const char *parent_id, char out_id[72], struct err *err);
/* The image it was built on ("": none), for docker history and the build cache. An ancestor that descends from it
 * is refused. */
int image_set_parent(const char *image_id, const char *parent_id, struct err *err);

#endif
