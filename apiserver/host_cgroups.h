/* SPDX-License-Identifier: MPL-2.0
 *
 * host_cgroups.h - which limits this host's cgroups can keep. Found out once; any thread.
 */
#ifndef APISERVER_HOST_CGROUPS_H
#define APISERVER_HOST_CGROUPS_H

#include <stdbool.h>

struct host_cgroups {
	bool memory, reservation, swappiness, oom_control;
	bool cpu_shares, cpu_cfs, cpuset, pids;
	bool blkio_weight, blkio_weight_device;
	bool read_bps, write_bps, read_iops, write_iops;
};

const struct host_cgroups *host_cgroups(void);
/* What the next calls of host_cgroups give instead; for tests. NULL: the host again. */
void host_cgroups_set(const struct host_cgroups *facts);

#endif
