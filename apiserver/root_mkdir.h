/* SPDX-License-Identifier: MPL-2.0
 *
 * root_mkdir.h - directories made in a root file system that is not ours, wherever its links lead, and never
 * outside of it. Worker.
 */
#ifndef APISERVER_ROOT_MKDIR_H
#define APISERVER_ROOT_MKDIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

/* Whose a new directory is; above: those made above it, too. */
struct dir_owner {
	uid_t uid;
	gid_t gid;
	bool above;
};

/* Makes what is missing of path, with mode 0755; *existed: nothing was. -ENOTDIR: something else is there. */
int root_mkdir(int root_fd, const char *path, const struct dir_owner *own, bool *existed, struct err *err);

#endif
