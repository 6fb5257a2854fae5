/* SPDX-License-Identifier: MPL-2.0
 *
 * recovery.h - rebuilding the truth: from the records, the zones' directories, and live zoneadmds.
 */
#ifndef APISERVER_RECOVERY_H
#define APISERVER_RECOVERY_H

#include "apiserver/container.h"
#include "err.h"

/* Before the loop runs: lifecycle_init's work. What takes time (removals, starts) is posted to the
 * loop. */
int recovery_run(struct err *err);
/* Loop: a running container's zoneadmd has gone without a word. Ends it as its files say, or as
 * killed; restarts it if its policy says so. */
void recovery_zone_lost(struct container *ct);
/* Loop: starts it again, as its policy wants. */
void recovery_start(struct container *ct);

#endif
