/* SPDX-License-Identifier: MPL-2.0
 *
 * latency.c - the histogram of capture: counters that only grow, added to by the capture threads.
 */
#include "latency.h"

#include <stdatomic.h>

#define US 1000LL

const int64_t latency_bound_ns[LATENCY_BOUNDS] = { 100 * US,   250 * US,    500 * US,	  1000 * US,   2500 * US,   5000 * US,
						   10000 * US, 25000 * US, 50000 * US, 100000 * US, 250000 * US, 1000000 * US };

static atomic_uint_fast64_t count[LATENCY_BOUNDS + 1];
static atomic_int_fast64_t sum_ns;

void latency_add(int64_t ns)
{
	int i = 0;

	while (i < LATENCY_BOUNDS && ns > latency_bound_ns[i])
		i++;
	atomic_fetch_add_explicit(&count[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&sum_ns, ns > 0 ? ns : 0, memory_order_relaxed);
}

void latency_get(struct latency *out)
{
	for (int i = 0; i <= LATENCY_BOUNDS; i++)
		out->count[i] = atomic_load_explicit(&count[i], memory_order_relaxed);
	out->sum_ns = atomic_load_explicit(&sum_ns, memory_order_relaxed);
}
