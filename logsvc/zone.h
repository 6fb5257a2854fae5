/* SPDX-License-Identifier: MPL-2.0
 *
 * zone.h - the zones that logsvc knows, and the connections to their zoneadmds. The control thread.
 */
#ifndef LOGSVC_ZONE_H
#define LOGSVC_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "forward.h"
#include "loop.h"
#include "loss.h"
#include "map.h"
#include "paths.h"
#include "stream.h"

#define MAX_CAPTURES 4

struct zones {
	struct loop *loop; /* the control thread's */
	const struct paths *paths;
	struct conf *conf; /* apiserver tells us of changes */
	struct capture *captures[MAX_CAPTURES];
	unsigned n_captures;
	unsigned next_capture;
	struct map by_uuid; /* struct zone */
	unsigned adopting;  /* zones found at start that have not answered yet */
	/* The zone is captured, or err says why not; for one zones_open with this tag. */
	void (*on_opened)(void *owner, uint64_t tag, const struct err *err);
	void (*on_settled)(void *owner, const char *uuid); /* an ended zone has no logger any more */
	void *owner;
	struct losses losses;
};

struct zone {
	struct zones *zones;
	char uuid[37];
	struct logset *set;
	struct stream *stream;
	char driver[32];
	bool tty;
	bool no_file;	/* driver none */
	bool no_reads;	/* cache-disabled with a driver that cannot be read */
	bool blocks;	/* spool-full=block */
	bool removed;	/* the container has gone; the log goes when it is delivered, or forward's grace is over */
	bool forgotten; /* out of the table; freed when the capture thread is done with it */
	unsigned readers;
	uint64_t logger_conf;	/* hash of what a logger reads of log.json */
	struct forward *forward; /* NULL: the driver has no sink, or it was not opened yet */
	struct source link; /* fd -1: none */
	uint64_t link_seq;
	bool linked; /* zoneadmd has answered */
	bool found_at_start;
	struct timer retry;
	struct timer keep_timer; /* removed: when it is looked at again */
	unsigned tries;
	struct zone_opener *openers;
	struct loss loss;
};

int zones_init(struct zones *zs, struct loop *loop, const struct paths *paths,
	       struct conf *conf, struct err *err);
void zones_stop(struct zones *zs); /* ends the capture threads */
void zones_adopt_all(struct zones *zs); /* what is in <run>/zones */

struct zone *zones_find(struct zones *zs, const char *uuid); /* or NULL */
/* Made from disk when it is not known. NULL with err: no such zone. */
struct zone *zones_get(struct zones *zs, const char *uuid, struct err *err);
/* The same for one that need not exist yet (attach before Open). */
struct zone *zones_expect(struct zones *zs, const char *uuid);
void zone_open(struct zone *z, uint64_t tag);
void zone_load_conf(struct zone *z); /* config/log.json, again */
void zones_load_conf(struct zones *zs); /* of all */
/* The container is being removed. What its log driver's sink has not got yet is kept: then FORWARD_REMOVED_NAME is
 * in the run folder, and logsvc removes the zone's folders itself later. */
void zone_remove(struct zone *z);
void zone_reader_done(struct zone *z); /* readers was counted up before */
/* Made when it is not there yet. NULL with err: the driver has no sink, or no memory for its pages. */
struct forward *zone_forward(struct zone *z, struct err *err);
/* Lets go of a zone that nothing happens in. */
void zone_release(struct zone *z);

#endif
