/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_wait.c - a zone whose log cannot be written, or whose sink has to catch up.
 *
 * Design. At the first failure the zone waits: its ring and its pipes fill, and the write is tried again every
 * RETRY_NS. After full_wait_ns it is let go (shedding): its pipes are read on, of what is in the ring the oldest is
 * dropped and counted in the ring's slot, and the log is tried as before. The first record that fits says how much
 * is missing, and what the ring holds follows. A run that ends meanwhile is not held: what it left is dropped as well, and the
 * count goes to a file of the run folder, since the ring goes with the zone.
 *
 * With spool-full=block reading stops while block_bytes of the log were not sent by the logger, whatever state that is
 * in; it is looked again every SINK_NS. A zone without writers does not wait: what is in its pipes is read to the end.
 *
 * Failure: the count is in the slot, or in the file; a successor that finds it does not wait anew.
 * Threads: the zone's capture thread.
 */
#define LOG_MODULE "stream"
#include "stream_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "retention.h"
#include "str.h"

#define RETRY_NS 250000000
#define SINK_NS	 20000000

void stream_block(struct stream *st, const struct err *err)
{
	unsigned missed;

	if (log_limit_ok(&st->complaint, 10000, &missed))
		log_err("log not written", "zone=%s: %s", st->spool.set->uuid, err->msg);
	atomic_fetch_add(&st->spool.set->errors, 1);
	if (st->spool.log.fd >= 0)
		logfile_retain(&st->spool.log);
	if (err->code == -ENOSPC || err->code == -EDQUOT)
		retention_make_room();
	if (st->state != STREAM_IDLE)
		stream_set_state(st, STREAM_BLOCKED);
	loop_timer(st->spool.cap->loop, &st->retry, RETRY_NS);
}

void stream_cannot_write(struct stream *st, const struct err *err)
{
	int64_t now = mono_ns();

	if (!st->full_ns)
		st->full_ns = now;
	if (!st->shedding && (now - st->full_ns >= st->spool.conf.full_wait_ns || spool_has_gap(&st->spool))) {
		log_err("log not written for too long; the zone goes on, its output is dropped", "zone=%s: %s", st->spool.set->uuid,
			err->msg);
		st->shedding = true;
	}
	stream_block(st, err);
	if (st->shedding && st->state == STREAM_BLOCKED)
		stream_set_state(st, STREAM_RUNNING);
}

void stream_shed(struct stream *st, int s, bool eof)
{
	st->shed_lines += spool_drop(&st->spool, s, eof, &st->shed_bytes);
}

void stream_tell_shed(struct stream *st)
{
	if (st->shed_lines && st->events.on_dropped)
		st->events.on_dropped(st->events.owner, st->shed_lines, st->shed_bytes);
	st->shed_lines = st->shed_bytes = 0;
}

bool stream_put(struct stream *st, int s)
{
	struct err err = { 0 };

	if (st->shedding || spool_commit(&st->spool, s, false, &err) == 0)
		return true;
	stream_cannot_write(st, &err);
	return st->shedding;
}

int stream_catch_up(struct stream *st, struct err *err)
{
	bool old = ring_slot(&st->spool.ring)->run != st->run;
	struct ring_slot slot;
	int rc;

	if ((rc = spool_open_log(&st->spool, err)) < 0 || (rc = spool_tell_gap(&st->spool, err)) < 0)
		return rc;
	for (int s = 0; s < 2; s++) {
		if (!ring_used(&st->spool.ring, s) && !(old && ring_slot(&st->spool.ring)->split_ns[s]))
			continue;
		/* what an earlier run left unfinished while nobody looked becomes a piece */
		if ((rc = ring_wake(&st->spool.ring, err)) < 0 || (rc = spool_commit(&st->spool, s, old, err)) < 0)
			return rc;
	}
	if (old) {
		slot = *ring_slot(&st->spool.ring);
		slot.run = st->run;
		ring_commit(&st->spool.ring, &slot);
	}
	return 0;
}

static void set_waits(struct stream *st, bool waits)
{
	struct logset *set = st->spool.set;

	st->sink_full = waits;
	pthread_mutex_lock(&set->lock);
	set->waits = waits;
	pthread_mutex_unlock(&set->lock);
}

bool stream_sink_is_full(struct stream *st)
{
	int64_t limit = st->spool.conf.block_bytes, room;

	if (!limit || st->shedding || st->spool.appended < st->look_at)
		return false;
	room = limit - logset_backlog(st->spool.set);
	if (room > 0) { /* records are longer than what was read */
		st->look_at = st->spool.appended + (uint64_t)room;
		return false;
	}
	set_waits(st, true);
	loop_timer(st->spool.cap->loop, &st->retry, SINK_NS);
	return true;
}

static void look_at_sink(struct stream *st)
{
	int64_t limit = st->spool.conf.block_bytes;

	if (limit && st->state == STREAM_STALLED && logset_backlog(st->spool.set) > limit - limit / 8) {
		loop_timer(st->spool.cap->loop, &st->retry, SINK_NS);
		return;
	}
	set_waits(st, false);
	stream_go_on(st);
}

void stream_on_retry(struct timer *t)
{
	struct stream *st = container_of(t, struct stream, retry);
	struct err err = { 0 };
	int rc;

	if (st->sink_full)
		look_at_sink(st);
	if (st->state != STREAM_BLOCKED && !st->shedding)
		return;
	rc = st->spool.ring.fd >= 0 ? stream_catch_up(st, &err) : spool_settle_gap(&st->spool, &err);
	stream_tell_shed(st);
	if (rc < 0 && err.code == -ENOENT && st->orphan) { /* the zone is gone, folder and all */
		log_warn("output of a removed zone dropped", "zone=%s", st->spool.set->uuid);
		stream_close_all(st);
	} else if (rc < 0) {
		stream_cannot_write(st, &err);
	} else {
		log_info("log is written again", "zone=%s", st->spool.set->uuid);
		st->full_ns = 0;
		st->shedding = false;
		if (st->state == STREAM_BLOCKED)
			stream_set_state(st, STREAM_RUNNING);
		else if (st->state == STREAM_IDLE && (st->orphan || st->spool.ring.fd < 0))
			stream_close_all(st);
	}
}

void stream_settle(struct stream *st)
{
	if (st->state != STREAM_IDLE || st->spool.ring.fd >= 0)
		return; /* a run goes on: it says so itself */
	st->shedding = true;
	stream_on_retry(&st->retry);
}
