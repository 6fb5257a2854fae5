/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_origins.h - where the compressed form of a layer is known to be: which registry's
 * repository has it as which blob. Kept in the database; any thread.
 *
 * A hint, never trusted: each is asked for before it is used, and dropped when it is not there.
 */
#ifndef APISERVER_REGISTRY_ORIGINS_H
#define APISERVER_REGISTRY_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reg_origin {
	char digest[72]; /* of the gzip blob */
	int64_t size;
	char repo[512]; /* canonical: docker.io/library/busybox */
};

/* Newest first; owned. */
struct reg_origin *registry_origins(const char *diff_id, size_t *n);
void registry_origin_add(const char *diff_id, const struct reg_origin *o);
void registry_origin_del(const char *diff_id, const struct reg_origin *o);

/* What a stream, named by its digest or by a v1 registry's id, was found to be. */
bool registry_stream_diff(const char *stream, char diff_id[72]);
void registry_stream_learn(const char *stream, const char *diff_id);

#endif
