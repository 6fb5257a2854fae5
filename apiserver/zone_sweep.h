/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_sweep.h - what is left of a zone whose zoneadmd is gone: processes, cgroups, runtime state.
 */
#ifndef APISERVER_ZONE_SWEEP_H
#define APISERVER_ZONE_SWEEP_H

#include <stdbool.h>

#include "apiserver/zone.h"

/* Worker, or before the loop. Ends a zone without a zoneadmd: kills what is in its cgroups, removes
 * them, the runtime's state and <run>/zones/UUID. Returns the number of processes that were killed.
 * Nothing left is fine. */
int zone_sweep(const char *uuid);
/* Worker. The same for a zoneadmd that was killed just now: its runtime dies with it, but may make a
 * cgroup while it does. */
int zone_sweep_killed(const char *uuid);
/* The same as zone_sweep, where a zoneadmd may still be there: that is killed first. */
void zone_kill(const char *uuid);
/* The same by the connection to that zoneadmd, which is open yet: it may have left its socket. */
void zone_kill_peer(int fd, const char *uuid);

/* The last recorded end of the zone, <zones>/UUID/config/exit.json; false: none, or not readable.
 * *started_ns is of the run that ended. */
bool zone_read_exit(const char *uuid, struct zone_exit *out, int64_t *started_ns);

#endif
