/* SPDX-License-Identifier: MPL-2.0
 *
 * store.h - the state database: the seam behind which SQLite sits (etcd may come).
 *
 * Kinds are tables of (key, owner_uuid, server_uuid, JSON value). Any thread; a write is durable (WAL, synchronous
 * NORMAL: survives kill -9 of us; a power cut may lose the last moments but never corrupts) when the call
 * returns. apiserver is the only writer.
 */
#ifndef APISERVER_STORE_H
#define APISERVER_STORE_H

#include "err.h"

enum store_kind { STORE_CONTAINER, STORE_IMAGE, STORE_TAG, STORE_VOLUME, STORE_NETWORK, STORE_META, STORE_KINDS };

int store_open(const char *path, struct err *err);
void store_close(void);
int store_put(enum store_kind kind, const char *key, const char *json, struct err *err);
int store_del(enum store_kind kind, const char *key, struct err *err); /* missing is fine */
int store_get(enum store_kind kind, const char *key, char **out_json, struct err *err); /* *out NULL: none */
/* Calls fn for each; stops at a negative return, which it returns. */
int store_each(enum store_kind kind, int (*fn)(const char *key, const char *json, void *arg, struct err *err), void *arg,
	       struct err *err);

#endif
