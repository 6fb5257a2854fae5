/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_cgroup.h - what zoneadmd does with control groups itself: joining, out-of-memory kills,
 * killing what is left, removing. The runtime makes them. v1, hybrid and v2.
 *
 * path is zone.json's "cgroup", the same beneath every hierarchy.
 */
#ifndef DOCKERINIT_ZONE_CGROUP_H
#define DOCKERINIT_ZONE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

int zone_cgroup_init(struct err *err); /* finds the hierarchies */

/* Puts the calling process, which must have one thread, where pid is, on the v1 hierarchies and,
 * when v2_too, on the unified one. In a child, before it changes namespaces. */
int zone_cgroup_join(pid_t pid, bool v2_too, struct err *err);
/* An O_PATH descriptor of pid's cgroup for CLONE_INTO_CGROUP, where it is not ours; -1: none. */
int zone_cgroup_v2_fd(pid_t pid);

int64_t zone_cgroup_oom_kills(const char *path); /* 0 when unknown */
/* v1's oom_kill_disable: what runs out of memory waits instead. */
bool zone_cgroup_oom_waits(const char *path);
/* A descriptor that becomes readable (and must be read) when something may have been killed:
 * compare zone_cgroup_oom_kills. -1: not to be had. */
int zone_cgroup_oom_watch(const char *path);
/* Whether it is frozen, or about to be: what joins it then stops. */
bool zone_cgroup_is_frozen(const char *path);
/* SIGKILL to all that is in it, thawed first; how many there were. */
int zone_cgroup_kill(const char *path);
/* 0 when it is gone everywhere, -EBUSY when something is still in it. */
int zone_cgroup_remove(const char *path);

#endif
