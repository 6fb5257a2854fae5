/* SPDX-License-Identifier: MPL-2.0
 *
 * latency.h - how long the zones' output waits until it is in their logs: one histogram of the process. Any thread.
 */
#ifndef LOGSVC_LATENCY_H
#define LOGSVC_LATENCY_H

#include <stdint.h>

#define LATENCY_BOUNDS 12

extern const int64_t latency_bound_ns[LATENCY_BOUNDS];

/* One turn: no byte of it had waited for longer than ns. */
void latency_add(int64_t ns);

struct latency {
	uint64_t count[LATENCY_BOUNDS + 1]; /* by the first bound that holds; the last: beyond all */
	int64_t sum_ns;
};
void latency_get(struct latency *out);

#endif
