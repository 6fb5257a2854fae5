/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_cgroup.h - a logger's CPU time is the zone's.
 */
#ifndef LOGSVC_LOGGER_CGROUP_H
#define LOGSVC_LOGGER_CGROUP_H

/* Puts the calling process, and what it forks, into the CPU control groups of the zone uuid, whose first process is pid. Needs
 * root. What cannot be joined is left out. */
void logger_cgroup_join(const char *uuid, int pid);

#endif
