/* SPDX-License-Identifier: MPL-2.0
 *
 * child.h - starts the programs that stand beside logsvc: logger, archiver. Any thread.
 */
#ifndef LOGSVC_CHILD_H
#define LOGSVC_CHILD_H

#include <sys/types.h>

/* argv[0] is the program's name, in logsvc's own folder. It gets stderr and keep_fd (-1: none), under the same number. The pid, or -errno.
 * Nobody waits for it: SIGCHLD is ignored. */
pid_t child_spawn(char *const argv[], int keep_fd);

#endif
