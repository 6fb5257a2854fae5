/* SPDX-License-Identifier: MPL-2.0
 *
 * volume.h - named volumes, driver local: <lib>/volumes/NAME/_data. Own lock; any thread.
 */
#ifndef APISERVER_VOLUME_H
#define APISERVER_VOLUME_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"
#include "err.h"

int volume_init(struct err *err);
/* Existing one of that name is fine (same driver). name NULL or "": anonymous, 64 hex. labels, opts: objects or NULL.
 * *created tells whether it is new. out_name owned. */
int volume_create(const char *name, const char *driver, const json_t *labels, const json_t *opts, char **out_name, bool *created,
		  struct err *err);
/* Host path to bind; mounts driver-opts volumes (type=tmpfs, nfs, bind ...) on first use: paired with volume_unmount. Worker. */
int volume_mount(const char *name, const char *ct_id, char **out_path, struct err *err);
void volume_unmount(const char *name, const char *ct_id);
/* References of containers (running or not): a referenced one cannot be removed. */
void volume_ref(const char *name, const char *ct_id);
void volume_unref(const char *name, const char *ct_id);
int volume_remove(const char *name, bool force, struct err *err); /* 404 / 409 "remove X: volume is in use - [ids]" */
int volume_exists(const char *name);
int volume_path(const char *name, char **out_path, struct err *err); /* Mountpoint */

#endif
