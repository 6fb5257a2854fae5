/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_mount.h - a zone's root file system, in a mount namespace of its own.
 */
#ifndef DOCKERINIT_ZONE_MOUNT_H
#define DOCKERINIT_ZONE_MOUNT_H

#include <stdbool.h>

#include "err.h"
#include "zone_conf.h"

/* A private mount namespace with the overlay at c->target. Only in a child process: it changes the
 * namespace and, with many layers, the working directory. cgroup_view: a view of /sys/fs/cgroup
 * that crun accepts on hosts whose unified hierarchy has controllers. */
int zone_mount(const struct zone_conf *c, bool cgroup_view, struct err *err);

/* zoneadmd --rootfs ZONE_JSON: see the head of zone_mount.c. Exit status. */
int zone_mount_helper(const char *zone_json);

#endif
