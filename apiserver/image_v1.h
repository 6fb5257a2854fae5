/* SPDX-License-Identifier: MPL-2.0
 *
 * image_v1.h - configurations of images whose layers each carry a JSON of their own: what schema 1
 * manifests, registries of protocol v1 and archives from before Docker 1.10 have. Pure, any thread.
 */
#ifndef APISERVER_IMAGE_V1_H
#define APISERVER_IMAGE_V1_H

#include <jansson.h>
#include <stdbool.h>

/* The step of the history that a layer's JSON tells; empty: it has no files. Owned. */
json_t *image_v1_history(const json_t *v1, bool empty);
/* The image's configuration, from the top layer's JSON: as text, keys in byte order, or NULL when it
 * is not an object of valid UTF-8. diff_ids and history: bottom first. Owned. */
char *image_v1_config(const json_t *top, const json_t *diff_ids, const json_t *history);
/* 64 lower-case hex digits. */
bool image_v1_id_valid(const char *id);

#endif
