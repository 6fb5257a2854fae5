/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_store.h - a zone's metadata: one JSON object of strings in a file, in memory only while
 * somebody asks. Changes replace the file (without fsync: a guest must not be able to make the host
 * sync as often as it likes).
 */
#ifndef DOCKERINIT_MDATA_STORE_H
#define DOCKERINIT_MDATA_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "err.h"
#include "json.h"

#define MDATA_KEY_MAX	 1024
#define MDATA_VALUE_MAX	 (64 * 1024) /* of a guest's key */
#define MDATA_GUEST_KEYS 256
#define MDATA_GUEST_MAX	 (1024 * 1024) /* all keys and values of the guest's together */

struct mdata_store {
	const char *path; /* borrowed */
	bool loaded;
	struct buf text;
	struct json j;
};

int mdata_store_load(struct mdata_store *s, struct err *err); /* a missing file is empty */
void mdata_store_drop(struct mdata_store *s);		      /* forgets what was loaded */
/* NULL when there is none; borrowed until the next change or drop. */
const char *mdata_store_get(const struct mdata_store *s, const char *key, size_t *len);
/* The guest's own keys, a newline between them. */
void mdata_store_keys(const struct mdata_store *s, struct buf *out);
/* value NULL deletes. as_guest: within the guest's limits. */
int mdata_store_set(struct mdata_store *s, const char *key, const char *value, size_t len,
		    bool as_guest, struct err *err);
/* Namespaces that a guest cannot change: sdc: and docker: */
bool mdata_is_readonly(const char *key);

#endif
