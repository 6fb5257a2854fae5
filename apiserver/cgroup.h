/* SPDX-License-Identifier: MPL-2.0
 *
 * cgroup.h - a running zone's cgroups, v1, hybrid and v2: statistics, freezing, live limits. Worker
 * (files), by pid and cgroup path.
 */
#ifndef APISERVER_CGROUP_H
#define APISERVER_CGROUP_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"
#include "container.h"
#include "err.h"

int cgroup_freeze(const struct ct_spec *spec, bool frozen, struct err *err);
int cgroup_update(const struct ct_spec *spec,
		  struct err *err); /* writes host_config's limits to the live cgroup */
int cgroup_pids(const struct ct_spec *spec, int **out, size_t *n, struct err *err); /* for top */
void cgroup_prewarm(
	void); /* any thread, cheap: a no-op self-write that starts the RCU grace period early */
int cgroup_detect(void); /* enum cgroup_mode */

#endif
