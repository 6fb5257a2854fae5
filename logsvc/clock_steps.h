/* SPDX-License-Identifier: MPL-2.0
 *
 * clock_steps.h - where the times in a zone's log go back: the clock was set, or a line that was split kept the time of its first
 * piece for long. With that a read by time may bisect all the rest. Not thread-safe: under the logset's lock.
 */
#ifndef LOGSVC_CLOCK_STEPS_H
#define LOGSVC_CLOCK_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define CLOCK_STEPS_NAME "clock.steps" /* in the logs folder */
#define CLOCK_STEPS_MAX	 32
#define CLOCK_STEP_NS	 1000000000LL /* what goes back by less is no step, and is read over by whoever bisects */

struct clock_step {
	int64_t from_ns, to_ns; /* records with times in here are not in order */
};

struct clock_steps {
	struct clock_step v[CLOCK_STEPS_MAX];
	size_t n;
	int64_t newest_ns; /* of all records there ever were; 0: not known */
};

/* Records with times from oldest_ns to newest_ns are about to follow. True: there is a step to be saved before they do. */
bool clock_steps_note(struct clock_steps *cs, int64_t oldest_ns, int64_t newest_ns);
/* Records before and behind a place may be older and younger than ns, and the other way round. */
bool clock_steps_has(const struct clock_steps *cs, int64_t ns);
/* A file that is not there, or makes no sense, is none. */
void clock_steps_load(struct clock_steps *cs, int dir_fd);
/* Of the text of that file; lines that make no sense are left out. Pure. */
void clock_steps_parse(struct clock_steps *cs, const char *text);
int clock_steps_save(const struct clock_steps *cs, const char *dir_path, struct err *err);

#endif
