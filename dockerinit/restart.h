/* SPDX-License-Identifier: MPL-2.0
 *
 * restart.h - restart policies: whether and when a zone runs again. Pure.
 */
#ifndef DOCKERINIT_RESTART_H
#define DOCKERINIT_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum restart_policy { RESTART_NO, RESTART_ALWAYS, RESTART_UNLESS_STOPPED, RESTART_ON_FAILURE };

struct restart {
	enum restart_policy policy;
	uint32_t max_retries; /* on-failure; 0: no limit */
	uint32_t count;	      /* restarts so far */
	uint32_t delay_ms;    /* of the last restart; 0: none yet */
	bool stopped_by_user; /* stop, kill or rm asked for: no restart, whatever the policy */
};

/* "" and unknown names are no. */
enum restart_policy restart_parse(const char *name);
const char *restart_name(enum restart_policy policy);
/* After a run has ended: true and the delay, count counted up; or false. */
bool restart_next(struct restart *r, int exit_code, int64_t ran_ms, uint32_t *delay_ms);

#endif
