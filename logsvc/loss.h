/* SPDX-License-Identifier: MPL-2.0
 *
 * loss.h - what a zone's log or its sink will never get: counted by cause, and told to the clients that watch. The control
 * thread.
 */
#ifndef LOGSVC_LOSS_H
#define LOGSVC_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

struct zone;

enum loss_cause {
	LOSS_LOG,     /* the log could not be written for too long */
	LOSS_BACKLOG, /* given up for the sink: too much waited, or was tried too often */
	LOSS_REMOVED, /* the log was removed with its container before the sink had it */
	LOSS_UNSTORED, /* a limit removed it before the object store had it */
	LOSS_CAUSES,
};

/* In struct zone: what was not told yet. */
struct loss {
	uint64_t lines[LOSS_CAUSES], bytes[LOSS_CAUSES];
	int64_t told_ns[LOSS_CAUSES];
};

/* Of all zones: the telling. tell returns false when nobody watches; then it is kept and tried again. */
struct losses {
	struct loop *loop;
	struct timer timer;
	bool (*tell)(void *owner, const char *uuid, const char *cause, uint64_t lines, uint64_t bytes);
	void *owner;
};

/* More was lost, 0 where a number is not known: told within LOSS_DELAY, and then at most every LOSS_EVERY. */
void loss_add(struct zone *z, enum loss_cause cause, uint64_t lines, uint64_t bytes);
/* Tells what is left now, of a zone that is being forgotten. */
void loss_flush(struct zone *z);
/* Somebody watches from now on. */
void losses_retry(struct losses *ls);

#endif
