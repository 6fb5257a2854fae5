/* SPDX-License-Identifier: MPL-2.0
 *
 * mount_parse.h - the two ways in which a user writes a mount: "src:dst:mode", and an object of
 * HostConfig.Mounts. Pure, but that the sources of Mounts' binds must exist.
 */
#ifndef APISERVER_MOUNT_PARSE_H
#define APISERVER_MOUNT_PARSE_H

#include <jansson.h>

#include "container.h"
#include "err.h"

int mount_parse_bind(const char *text, struct ct_mount *out, struct err *err);
int mount_parse_api(const json_t *o, struct ct_mount *out, struct err *err);
bool mount_mode_valid(const char *mode); /* ro,z,rprivate,... */
bool mount_mode_has(const char *mode, const char *word);
char *mount_clean_path(const char *path); /* Go's path.Clean; owned */
void ct_mount_clear(struct ct_mount *m);  /* frees the members */
void mounts_remove(struct ct_mounts *ms, size_t i);

#endif
