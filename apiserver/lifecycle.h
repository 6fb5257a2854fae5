/* SPDX-License-Identifier: MPL-2.0
 *
 * lifecycle.h - what happens to containers by themselves: their ends, restarts, and what is left of
 * them when we come back. main.c calls _init and _fini; op_*.c use the rest. Loop thread.
 */
#ifndef APISERVER_LIFECYCLE_H
#define APISERVER_LIFECYCLE_H

#include "apiserver/container.h"
#include "apiserver/zone.h"
#include "err.h"

/* After the store, the images, the networks, the volumes and logclient, before the first request:
 * loads all containers, watches those that run, ends those that ended while we were away, starts
 * (soon, on the loop) those that their policy wants running. Blocks. */
int lifecycle_init(struct err *err);
/* Running zones go on without us. */
void lifecycle_fini(void);

/* The container's run has ended; the record, events, waiters and auto-removal follow, as soon as
 * its network and volumes are released. */
void lifecycle_exited(struct container *ct, const struct zone_exit *ex);
/* Docker's restart policy, for runs that no zoneadmd decides about: after a boot, or when it was
 * killed. */
bool lifecycle_policy_wants(const struct container *ct, bool at_boot);

/* Events of a container's networks and volumes. */
void lifecycle_network_event(const struct container *ct, const struct endpoint *ep,
			     const char *action);
void lifecycle_volume_events(const struct container *ct, const char *action);

#endif
