/* SPDX-License-Identifier: MPL-2.0
 *
 * layer_pump.h - from a layer's stream as it comes to unpacked files: inflates, hashes and feeds the
 * unpacking child, all at once. Worker, blocking.
 */
#ifndef APISERVER_LAYER_PUMP_H
#define APISERVER_LAYER_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/image_store.h"
#include "err.h"

struct layer_limits {
	int64_t max_bytes;    /* of the tar */
	uint64_t max_entries;
	int64_t max_ratio;    /* tar to compressed, looked at from 1 GiB on */
	int64_t min_free_bytes;
};
extern const struct layer_limits layer_limits_default; /* and max-layer-size of the configuration */

struct layer_pumped {
	char diff_id[72]; /* digest of the tar */
	char raw_id[72];  /* digest of the stream as it came */
	int64_t raw_bytes, tar_bytes;
	int64_t size; /* of the files */
	uint64_t n_entries, n_whiteouts, n_skipped;
};

/* raw_id: the digest that the stream has to have, NULL: not known. With it a stream that does not unpack is read to its
 * end, and one of another digest is told as such: it was damaged on its way.
 * Unpacks into dir_fd, an empty directory made for it: makes diff/, split, and moves and extra/
 * where needed. dir_fd -1: only hashes. A partial result is the caller's to remove. */
int layer_pump(layer_read_fn *fn, void *arg, const char *raw_id, int dir_fd, const struct layer_limits *limits,
	       struct layer_pumped *out, struct err *err);

#endif
