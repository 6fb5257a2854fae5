/* SPDX-License-Identifier: MPL-2.0
 *
 * forward.h - the logger of one zone: its pages, its process, and those who wait for it. The control
 * thread.
 */
#ifndef LOGSVC_FORWARD_H
#define LOGSVC_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "logset.h"
#include "loop.h"
#include "paths.h"

struct forward;

/* Makes the pages in the zone's run folder, and takes over a logger that lives. on_idle: no logger is
 * alive and none will be started. NULL with err. */
struct forward *forward_new(struct loop *loop, const struct paths *paths, const struct conf *conf,
			    struct logset *set, void (*on_idle)(void *owner), void *owner, struct err *err);
/* Told of lines that were given up for the sink, also of those from before a restart of logsvc. */
void forward_on_dropped(struct forward *f, void (*on_dropped)(void *owner, uint64_t lines, uint64_t bytes));
/* Now, for who forgets the zone: else it is told a moment after it happened. */
void forward_tell_dropped(struct forward *f);
/* What the sink does not have: bytes of the log, and lines as far as they are known. 0: it has all. */
int64_t forward_undelivered(const struct forward *f, uint64_t *lines);
/* Ends the logger when kill_logger, forgets it otherwise; answers who waits. */
void forward_free(struct forward *f, bool kill_logger);
/* A run has started: its network and its first process (0: gone already). Starts a logger, a new one when
 * the network is not the one of the logger that lives. */
void forward_run(struct forward *f, int pid);
/* The zone has ended, and logsvc finds it so: starts a logger for what is not delivered, if none lives and
 * the grace is not over. */
void forward_resume(struct forward *f);
/* What the logger reads of log.json is this now, as a hash: one that was started with another is replaced, and
 * its successor goes on from the cursor. blocks: no file goes before the sink has it, since capture waits. */
void forward_set_conf(struct forward *f, uint64_t hash, bool blocks);
bool forward_is_busy(const struct forward *f);
/* The network that its loggers work in; borrowed, -1: it has gone. */
int forward_netns(const struct forward *f);
bool forward_is_owed(const struct forward *f); /* busy, with something that is not delivered */
/* Of those who wait: why NULL, or what went wrong. Called once. */
typedef void forward_done_fn(void *arg, const char *why);
/* Tells when all is delivered, or timeout_ms are over; see ForwardWait. */
void forward_wait(struct forward *f, unsigned timeout_ms, bool patient, forward_done_fn *done, void *arg);
/* Starts the logger before the run; see ForwardConnect. */
void forward_connect(struct forward *f, unsigned timeout_ms, forward_done_fn *done, void *arg);
/* The zone's zoneadmd has gone: if no run is being captured, none will come. */
void forward_abandon(struct forward *f);
/* A zone that ended while no logsvc was there: its logger may end too. */
void forward_settle(const struct paths *paths, const char *uuid);

#endif
