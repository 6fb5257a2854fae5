/* SPDX-License-Identifier: MPL-2.0
 *
 * spool.c - moves a zone's output from its ring into its log: records, batches, commits, rotation.
 *
 * One turn is: encode as many whole records as fit a write and the file (line.c), append them in one
 * write (logfile.c), then flip the ring's slot to say so. A crash between the last two leaves records
 * in the file that the slot does not know; logfile_open cuts them off and they are made again.
 *
 * Threads: the zone's capture thread. The buffers of struct capture are used within one call only.
 */
#define LOG_MODULE "spool"
#include "spool.h"

#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "line.h"
#include "log.h"
#include "record.h"
#include "str.h"

#define OUT_LIMIT (256 * 1024) /* a record that passes it ends a write */

static void publish(struct spool *sp)
{
	const struct ring_slot *slot = ring_slot(&sp->ring);
	struct log_counters counters = { slot->lines, slot->bytes, slot->rotations };

	logset_publish(sp->set, (int64_t)slot->log_off, &counters);
}

int spool_open_log(struct spool *sp, struct err *err)
{
	struct ring_slot slot;
	int rc;

	if (sp->log.fd >= 0 || sp->conf.no_file)
		return 0;
	slot = *ring_slot(&sp->ring);
	memset(&sp->log, 0, sizeof(sp->log));
	sp->log.fd = -1;
	if ((rc = logfile_open(&sp->log, sp->set, sp->dir_path, &slot, err)) < 0)
		return rc;
	sp->log.max_size = sp->conf.max_size;
	ring_commit(&sp->ring, &slot);
	publish(sp);
	logfile_retain(&sp->log);
	return 0;
}

int spool_rotate(struct spool *sp, int64_t now_ns, struct err *err)
{
	struct ring_slot slot;
	int rc;

	if ((rc = logfile_rotate(&sp->log, now_ns, err)) < 0)
		return rc;
	slot = *ring_slot(&sp->ring);
	slot.log_off = 0;
	slot.log_ino = sp->log.ino;
	slot.log_gen = sp->log.gen;
	slot.rotations++;
	ring_commit(&sp->ring, &slot);
	(void)failpoint("rotate.committed");
	publish(sp);
	logfile_retain(&sp->log);
	return 0;
}

/* One write: records of stream s made from what is in the ring, as far as out_limit lets. Returns how
 * the encoder stopped, or -errno with nothing committed. */
static int commit_batch(struct spool *sp, int s, bool eof, int64_t now_ns, size_t out_limit,
			bool force, struct err *err)
{
	struct capture *sc = sp->cap;
	struct ring_slot slot = *ring_slot(&sp->ring);
	uint64_t head = sp->ring.hdr->stream[s].head;
	const char *from = ring_at(&sp->ring, s, slot.tail[s]);
	struct line_batch b = {
		.p = from,
		.end = from + (head - slot.tail[s]),
		.out = sc->out,
		.out_limit = out_limit,
		.force = force,
		.eof = eof,
		.tail = sc->tail.p,
		.tail_len = sc->tail.len,
		.now_ns = now_ns,
		.split_ns = slot.split_ns[s],
		.split_tail = sc->split_tail.p,
		.split_tail_len = sc->split_tail.len,
	};
	enum line_stop stop = line_format(&b);
	bool moved = false;
	int rc;

	if (b.out_len) {
		rc = logfile_append(&sp->log, b.out, b.out_len, now_ns, &moved, err);
		if (rc < 0)
			return rc;
		(void)failpoint("stream.written");
	}
	if (eof && stop == LINE_NEED_INPUT)
		b.split_ns = 0; /* the next run starts a line */
	if (b.p == from && !moved && b.split_ns == slot.split_ns[s])
		return (int)stop;
	slot.tail[s] += (uint64_t)(b.p - from);
	slot.split_ns[s] = b.split_ns;
	slot.log_off = (uint64_t)sp->log.off;
	slot.log_ino = sp->log.ino;
	slot.log_gen = sp->log.gen;
	slot.lines += b.lines;
	slot.bytes += (uint64_t)(b.p - from);
	slot.newest_ns = now_ns;
	ring_commit(&sp->ring, &slot);
	(void)failpoint("stream.committed");
	publish(sp);
	return (int)stop;
}

static void make_tails(struct spool *sp, int s, int64_t now_ns)
{
	struct capture *sc = sp->cap;
	int64_t split_ns = ring_slot(&sp->ring)->split_ns[s];
	size_t need;

	buf_reset(&sc->tail);
	record_tail(&sc->tail, (enum record_stream)s, sp->conf.attrs, now_ns);
	buf_reserve(&sc->tail, LINE_SLACK);
	buf_reset(&sc->split_tail);
	if (split_ns) {
		record_tail(&sc->split_tail, (enum record_stream)s, sp->conf.attrs, split_ns);
		buf_reserve(&sc->split_tail, LINE_SLACK);
	}
	need = OUT_LIMIT + line_record_max(sc->tail.len + RFC3339NANO_MAX);
	if (sc->out_cap < need) {
		free(sc->out);
		sc->out = xmalloc(need);
		sc->out_cap = need;
	}
}

int spool_commit(struct spool *sp, int s, bool eof, struct err *err)
{
	int64_t now = now_ns();
	int rc, stop;

	if (sp->conf.no_file) {
		struct ring_slot slot = *ring_slot(&sp->ring);

		slot.bytes += sp->ring.hdr->stream[s].head - slot.tail[s];
		slot.tail[s] = sp->ring.hdr->stream[s].head;
		slot.split_ns[s] = 0;
		ring_commit(&sp->ring, &slot);
		return 0;
	}
	if ((rc = spool_open_log(sp, err)) < 0)
		return rc;
	make_tails(sp, s, now);
	for (;;) {
		size_t limit = OUT_LIMIT;
		bool small = false;

		if (sp->log.max_size && now >= sp->log.next_rotate_ns) {
			int64_t room = sp->log.max_size - sp->log.off;

			small = room < OUT_LIMIT;
			limit = room < 0 ? 0 : small ? (size_t)room : OUT_LIMIT;
		}
		stop = commit_batch(sp, s, eof, now, limit, !small || sp->log.off == 0, err);
		if (stop < 0 || stop == LINE_NEED_INPUT)
			return stop < 0 ? stop : 0;
		make_tails(sp, s, now); /* a split may have begun */
		if (!small)
			continue;
		if ((rc = spool_rotate(sp, now, err)) < 0) {
			log_warn("log not rotated", "zone=%s: %s", sp->set->uuid, err->msg);
			if (sp->log.next_rotate_ns <= now)
				return rc;
		}
	}
}
