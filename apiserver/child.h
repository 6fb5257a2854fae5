/* SPDX-License-Identifier: MPL-2.0
 *
 * child.h - spawning our own programs from any thread, and collecting their exit statuses, one pid
 * at a time: nobody else's children are touched.
 */
#ifndef APISERVER_CHILD_H
#define APISERVER_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

/* Any thread. Starts <bin_dir>/argv[0]: signals as by default and unblocked, stdin from fd0 (or
 * /dev/null when -1), stdout to /dev/null, stderr ours, fd3 as descriptor 3 when not -1, everything
 * else by its CLOEXEC flag. own_session: survives us and our terminal. */
int child_spawn(const char *const argv[], int fd0, int fd3, bool own_session, pid_t *out_pid,
		struct err *err);

/* Worker or loop: pid is ending or has ended; waits for it in the background. A pid that is not our
 * child (adopted after a restart) is fine. */
void child_reap_later(pid_t pid);
/* Worker: waits up to timeout_ms, then kills and waits. Returns the wait status, or -1. */
int child_reap(pid_t pid, int timeout_ms);

#endif
