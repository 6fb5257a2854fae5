/* SPDX-License-Identifier: MPL-2.0
 *
 * mountinfo.h - questions about this process's mounts, from /proc/self/mountinfo. Any thread.
 */
#ifndef APISERVER_MOUNTINFO_H
#define APISERVER_MOUNTINFO_H

#include <stdbool.h>

#include "err.h"

/* The mount that path lies on: its mount point (owned) and whether it is shared or a slave. */
int mount_propagation(const char *path, char **out_at, bool *shared, bool *slave, struct err *err);

#endif
