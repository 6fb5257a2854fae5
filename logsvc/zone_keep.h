/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_keep.h - logs that are looked after although nothing happens in their zone: of containers that have gone, and what
 * retention and uploads ask of zones. The control thread.
 */
#ifndef LOGSVC_ZONE_KEEP_H
#define LOGSVC_ZONE_KEEP_H

#include "retention.h"
#include "zone.h"

void zone_keep_hooks(struct zones *zs, struct retention_zones *out); /* for retention_start */
void zone_keep_watch(struct zone *z); /* a new zone's set tells when its files have settled */

/* The container is being removed. True: the log outlives it, and whoever comes after us knows: what its log driver's sink or the
 * object store has not got yet is kept. */
bool zone_keep_log(struct zone *z);
/* Of such a zone, idle now: is there something to store yet, within LOG_ARCHIVE_GRACE? Then it is under way. */
bool zone_keep_holds(struct zone *z);
void zone_keep_remove_folders(struct zone *z); /* what apiserver has left of a removed container */

#endif
