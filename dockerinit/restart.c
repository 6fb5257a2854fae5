/* SPDX-License-Identifier: MPL-2.0
 *
 * restart.c - Docker's rules: the delay begins at 100 ms and doubles up to a minute; a run of ten
 * seconds sets it back; on-failure counts its retries.
 */
#include "restart.h"

#include <string.h>

#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS   60000
#define GOOD_RUN_MS    10000

static const char *const names[] = {
	[RESTART_NO] = "no",
	[RESTART_ALWAYS] = "always",
	[RESTART_UNLESS_STOPPED] = "unless-stopped",
	[RESTART_ON_FAILURE] = "on-failure",
};

enum restart_policy restart_parse(const char *name)
{
	int i;

	for (i = RESTART_ALWAYS; i <= RESTART_ON_FAILURE; i++)
		if (name && strcmp(name, names[i]) == 0)
			return (enum restart_policy)i;
	return RESTART_NO;
}

const char *restart_name(enum restart_policy policy)
{
	return names[policy];
}

static bool wanted(const struct restart *r, int exit_code)
{
	if (r->stopped_by_user)
		return false;
	switch (r->policy) {
	case RESTART_NO:
		return false;
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		return true;
	case RESTART_ON_FAILURE:
		return exit_code != 0 && (r->max_retries == 0 || r->count < r->max_retries);
	}
	return false;
}

bool restart_next(struct restart *r, int exit_code, int64_t ran_ms, uint32_t *delay_ms)
{
	if (ran_ms >= GOOD_RUN_MS)
		r->delay_ms = 0;
	if (!wanted(r, exit_code))
		return false;
	if (r->delay_ms == 0)
		r->delay_ms = DELAY_FIRST_MS;
	else
		r->delay_ms = r->delay_ms >= DELAY_MAX_MS / 2 ? DELAY_MAX_MS : r->delay_ms * 2;
	r->count++;
	*delay_ms = r->delay_ms;
	return true;
}
