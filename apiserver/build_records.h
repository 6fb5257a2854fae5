/* SPDX-License-Identifier: MPL-2.0
 *
 * build_records.h - the build cache as docker system df and docker builder prune know it. Worker.
 */
#ifndef APISERVER_BUILD_RECORDS_H
#define APISERVER_BUILD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/image_events.h"
#include "apiserver/image_list.h"
#include "apiserver/image_remove.h"
#include "buf.h"
#include "err.h"

/* A build step's image that has no name. */
struct build_record {
	char id[72], parent[72]; /* parent "": none */
	char *step;		 /* what made it, from its history */
	char *labels_text;	 /* JSON */
	int64_t size;		 /* of its own layer */
	int64_t created_ns, used_ns;
	unsigned uses;	/* how often it was found in the cache since the daemon's start, and once */
	bool in_use;	/* something with a name was built on it, or a container or build has it */
	bool pinned;	/* a container or a build has it */
	bool shared;	/* its layer belongs to something else, too: removing it frees nothing */
	unsigned n_children;
};

struct build_records {
	struct build_record *v;
	size_t n;
};

/* uses: of images by containers. */
void build_records_get(const struct image_use *uses, size_t n_uses, struct build_records *out);
void build_records_fini(struct build_records *r);
/* A JSON array as in /system/df. Returns the bytes that belong to the cache alone. */
int64_t build_records_json(const struct build_records *r, int api_version, struct buf *out);

struct build_prune_opts {
	const char *filters; /* JSON text or NULL */
	bool all;	     /* also what images with names were built on: they stay */
	/* Limits in bytes, 0: not given. With any of them the longest unused go until all are kept. */
	int64_t reserved; /* so much of the cache stays in any case */
	int64_t max_used; /* the cache is at most that large */
	int64_t min_free; /* the disk has at least that much free */
	const struct image_use *uses;
	size_t n_uses;
};
/* *out: what was removed, oldest use first. */
int build_prune(const struct build_prune_opts *o, struct image_removed *out,
		struct image_events *ev, struct err *err);

#endif
