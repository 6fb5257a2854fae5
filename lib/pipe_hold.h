/* SPDX-License-Identifier: MPL-2.0
 *
 * pipe_hold.h - makes a program that splices into a pipe let go of the pipe's lock for a moment.
 */
#ifndef LIB_PIPE_HOLD_H
#define LIB_PIPE_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

struct pipe_hold;

/* Whether a thread, or a process of one, waits for what no signal ends; one that is only slow does not. */
bool pipe_hold_waits(pid_t tid);

/* Any thread; does not wait. pipe: the inode number of a pipe that somebody waits for. In a thread of its own the programs that
 * splice into it are stopped, until pipe_hold_over or for PIPE_HOLD_MS: whoever waits goes on, and their calls begin anew after it.
 * hint: who held it the last time, or 0. NULL: no thread could be made. */
#define PIPE_HOLD_MS 1000
struct pipe_hold *pipe_hold_break(ino_t pipe, pid_t hint);
/* The wait is over, or the caller has done waiting: h is no longer his. Returns the thread that held the pipe, for the next hint; 0:
 * none was found. */
pid_t pipe_hold_over(struct pipe_hold *h);

#endif
