/* SPDX-License-Identifier: MPL-2.0
 *
 * store.h - an object store, as the archiver sees it: puts a file so that it is surely there, and gets one. One thread.
 *
 * store_s3.c and store_manta.c say how a request is made and what an answer means; store_http.c carries it.
 */
#ifndef LOGSVC_STORE_H
#define LOGSVC_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "log_store.h"
#include "store_key.h"

struct store_digest {
	int64_t size;
	unsigned char md5[16], sha256[32];
};

struct store_io; /* store_http.h */

/* Stores the first d->size bytes of fd, which hash to d, as object ("/..."). 0 only when the store has shown that it holds these
 * bytes: its own checksum of what it has, asked for after it said that it took them. Done again with the same bytes it is
 * the same. */
typedef int store_put_fn(struct store_io *io, const char *object, int fd, const struct store_digest *d, struct err *err);
/* Hands an object's bytes to on_data as they come, size of them; more or fewer are an error. */
typedef int store_data_fn(void *arg, const void *p, size_t len, struct err *err);
typedef int store_get_fn(struct store_io *io, const char *object, int64_t size, store_data_fn *on_data, void *arg,
			 struct err *err);

store_put_fn s3_put, manta_put;
store_get_fn s3_get, manta_get;

#endif
