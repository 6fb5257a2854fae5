/* SPDX-License-Identifier: MPL-2.0
 *
 * image_list.h - images as the API shows them: list, inspect, history. From memory; any thread.
 */
#ifndef APISERVER_IMAGE_LIST_H
#define APISERVER_IMAGE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/image_store.h"
#include "buf.h"
#include "err.h"

/* Which container uses which image; made on the loop (image_uses_collect, api_images.c). */
struct image_use {
	char ct_id[65];
	char image_id[80];
	bool running; /* or paused, or restarting */
};

struct image_list_opts {
	bool all;	     /* intermediate ones too */
	bool shared_size;    /* else -1 */
	const char *filters; /* JSON text or NULL */
	/* NULL: Containers is -1 */
	const struct image_use *uses;
	size_t n_uses;
};
/* GET /images/json. Bad filters: Docker's status and text. */
int image_json_list(const struct image_list_opts *o, int api_version, struct buf *out,
		    struct err *err);
/* GET /images/NAME/json. compose_v1: for docker-compose 1, which asks in the newest version that we have
 * and cannot do without ContainerConfig, of which it takes the volumes. */
void image_json_inspect(const struct image *img, int api_version, bool compose_v1, struct buf *out);
int image_json_history(const struct image *img, struct buf *out, struct err *err);
/* Bytes of all layers on disk, each once: system df's LayersSize. */
int64_t image_layers_size(void);

#endif
