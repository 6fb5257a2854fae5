/* SPDX-License-Identifier: MPL-2.0
 *
 * build_root.h - a file system that a build works in: an image's layers, or nothing, with a
 * writable layer on top, mounted out of everybody's sight. Worker, blocking.
 */
#ifndef APISERVER_BUILD_ROOT_H
#define APISERVER_BUILD_ROOT_H

#include "apiserver/image_store.h"
#include "apiserver/zone_files.h"
#include "err.h"

struct build_root {
	char id[65], uuid[37]; /* uuid "": not open */
	struct zone_view view; /* root_fd: paths in it by fs_open_in_root */
};

/* In two steps, for one who puts files into build_root_upper in between. */
int build_root_make(struct build_root *r, struct err *err);
int build_root_mount(struct build_root *r, const struct image *img, struct err *err);
/* img NULL: empty. */
int build_root_open(struct build_root *r, const struct image *img, struct err *err);
/* What was written, as an overlay upper directory (absolute). */
char *build_root_upper(const struct build_root *r, char out[1024]);
/* Unmounts; what was written stays until build_root_close. */
void build_root_unmount(struct build_root *r);
void build_root_close(struct build_root *r); /* one that is not open is fine */
#define cleanup_build_root __attribute__((cleanup(build_root_close)))

#endif
