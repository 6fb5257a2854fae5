/* SPDX-License-Identifier: MPL-2.0
 *
 * image_index.h - the images and their names in memory, for the parts of the image code that need
 * several steps to be one: image_store.c, image_tags.c, image_list.c, image_remove.c.
 *
 * All of it is guarded by one recursive lock: image_lock. Pointers to entries are valid while it
 * is held. Never held over work that takes long; the layers' lock may be taken inside it.
 */
#ifndef APISERVER_IMAGE_INDEX_H
#define APISERVER_IMAGE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "err.h"

/* A name (tag or digest) of an image. */
struct image_name {
	struct image_ref ref;
	char *key; /* image_ref_key */
	char image_id[72];
};

struct image_entry {
	struct image *img;
	char **chains; /* chain ids, bottom first */
	char *labels_text;   /* config.Labels as JSON: an object, or "null" */
	int64_t last_tag_ns; /* 0: never */
	int64_t added_ns;
	/* Removed by force while stopped containers use it: not shown, kept for their start. */
	bool hidden;
	bool built;	 /* a build step's */
	unsigned n_uses; /* as such found again, since the daemon's start; the last time: */
	int64_t used_ns; /* 0: never */
	struct image_name **names; /* sorted by key */
	size_t n_names;
};

void image_lock(void);
void image_unlock(void);

/* ---- with the lock held ---- */
struct image_entry *image_entry_find(const char *image_id); /* also hidden ones */
/* Vector of all that are not hidden, in no order; owned. */
struct image_entry **image_entries(size_t *n);
struct image_entry **image_entries_hidden(size_t *n); /* the others */
bool image_any_hidden(void); /* takes the lock itself */
bool image_has_children(const char *image_id);
bool image_entry_held(const struct image_entry *e); /* somebody has a reference to the image */
int image_entry_save(const struct image_entry *e, struct err *err); /* parent, last_tag_ns, hidden, built */
/* Out of the index, the database and the disk; its layers wait for image_hold_end or layer_collect. */
int image_entry_remove(struct image_entry *e, struct err *err);

struct image_name *image_name_find(const char *key);
/* The entry gets the name; a name that another image had is taken from it. */
int image_name_set(struct image_entry *e, const struct image_ref *ref, struct err *err);
int image_name_del(struct image_name *n, struct err *err);
int image_names_init(struct err *err);

/* ---- any thread, lock taken inside ---- */
/* As image_get, but only what users may see. *name, when not NULL, gets the familiar form of the
 * reference with its tag (owned), or NULL when ref was an ID. */
int image_resolve(const char *ref, struct image **out, char **name, struct err *err);
/* Gives a name without counting as tagging (load, pull). *old_id, when not NULL, gets the image that lost
 * the name, or "". */
int image_name_add(const char *image_id, const struct image_ref *ref, char old_id[72], struct err *err);

#endif
