/* SPDX-License-Identifier: MPL-2.0
 *
 * failpoint.h - named places where a test makes a step fail or the process die.
 *
 * SDC_FAILPOINTS="name=fail;other=kill;third=3*kill" in the environment: fail makes failpoint()
 * return true, kill is SIGKILL to oneself, N* lets the first N-1 passes go. Compiled to false unless
 * built with -DFAILPOINTS (make TESTING=1, the default of make check's builds).
 *
 * SDC_CLOCK=FILE: what now_ns() says is off by the nanoseconds that FILE holds, an int64_t that tests change: a clock that
 * is set.
 */
#ifndef LIB_FAILPOINT_H
#define LIB_FAILPOINT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef FAILPOINTS
bool failpoint(const char *name);
int64_t failpoint_clock_ns(void);
#else
#define failpoint(name) false
#define failpoint_clock_ns() 0
#endif

#endif
