/* SPDX-License-Identifier: MPL-2.0
 *
 * retention.h - which rotated logs go, and when: the zone's max-file, MAX_LOG_AGE, MAX_TOTAL_LOG_SIZE. Any thread.
 */
#ifndef LOGSVC_RETENTION_H
#define LOGSVC_RETENTION_H

#include "conf.h"
#include "err.h"
#include "logset.h"
#include "loop.h"
#include "paths.h"

struct sweep; /* a look at all zones */

/* What retention wants of who knows the zones (zone.c). Neither may block. */
struct retention_zones {
	/* Calls retention_known for each set that logsvc has, on any thread, and then retention_listed. */
	void (*list)(void *owner, struct sweep *sw);
	/* A zone that is only on the disk has files to upload: it is to be opened, and retention_apply called for its set. */
	void (*wake)(void *owner, const char *uuid);
	/* A file with so much in it went before it was stored. */
	void (*lost)(void *owner, const char *uuid, uint64_t lines, uint64_t bytes);
	void *owner;
};
void retention_known(struct sweep *sw, struct logset *set); /* takes a reference of its own */
void retention_listed(struct sweep *sw);

int retention_start(const struct paths *paths, const struct conf *conf, const struct retention_zones *zones, struct err *err);
void retention_stop(void);
void retention_conf_changed(void);

/* The rules of one zone: removes what is beyond max-file or too old, and hands what is left to who compresses and uploads it.
 * How many could not be removed. */
unsigned retention_apply(struct logset *set);
/* Soon: the budget of all zones, and what a start of logsvc has to find. */
void retention_sweep(void);
/* The disk is full: frees rotated logs, the oldest first, stored ones before others. */
void retention_make_room(void);

#endif
