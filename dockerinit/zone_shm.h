/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_shm.h - /dev/shm of another zone, for a zone that shares its IPC namespace.
 */
#ifndef DOCKERINIT_ZONE_SHM_H
#define DOCKERINIT_ZONE_SHM_H

#include <sys/types.h>

#include "err.h"

/* Mounts what pid sees as /dev/shm at the directory at, of our mount namespace. Only in a child
 * process that has a mount namespace of its own, where the mount that holds at is private. */
int zone_shm_join(pid_t pid, const char *at, struct err *err);

#endif
