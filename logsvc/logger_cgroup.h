/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_cgroup.h - a logger's CPU time is the zone's.
 */
#ifndef LOGSVC_LOGGER_CGROUP_H
#define LOGSVC_LOGGER_CGROUP_H

#define LOGGER_CGROUP_MAX    1024
#define LOGGER_CGROUP_SUFFIX ".logger" /* zone_cgroup.c knows it too */

/* Puts the calling process, and what it forks, into the CPU control groups of the zone uuid, whose first process is pid. Needs
 * root. What cannot be joined is left out. */
void logger_cgroup_join(const char *uuid, int pid);
/* Leaves, and removes, the group beside the zone's that join has made on v2; the last of what was in it. */
void logger_cgroup_leave(void);
/* With root, where cgroup v2 is mounted: makes the group beside the zone's at path, gives it the zone's share of the CPU, and enters it.
 * 0 and its directory, or -errno. */
int logger_cgroup_beside(const char *root, const char *path, char dir[LOGGER_CGROUP_MAX]);

#endif
