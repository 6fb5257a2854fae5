/* SPDX-License-Identifier: MPL-2.0
 *
 * job_stats.h - what the job lanes are doing, for the debug dump. Any thread.
 */
#ifndef APISERVER_JOB_STATS_H
#define APISERVER_JOB_STATS_H

#include <stdint.h>

#include "job.h"

struct job_stats {
	const char *name;
	unsigned threads, idle, queued;
	uint64_t done, failed, refused;
	unsigned n_running;
	struct {
		const char *what;
		int64_t age_ms;
	} running[16];
};
void job_stats_get(enum job_lane lane, struct job_stats *out);

#endif
