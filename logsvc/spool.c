/* SPDX-License-Identifier: MPL-2.0
 *
 * spool.c - moves a zone's output from its ring into its log: records, batches, commits, rotation.
 *
 * One turn is: encode as many whole records as fit a write and the file (line.c), append them in one
 * write (logfile.c), then flip the ring's slot to say so. A crash between the last two leaves records
 * in the file that the slot does not know; logfile_open cuts them off and they are made again.
 *
 * When the log cannot be written and the zone has waited long enough (stream.c), its output is dropped: encoded as
 * always, so that messages are counted as they would have been written, and not appended. The slot has the count; the first
 * record that fits again says it, and takes it out of the slot with the same flip. A crash leaves it either counted or
 * told. A count that must outlive its ring goes to a file of the run folder, with the place in the log where it belongs.
 *
 * Threads: the zone's capture thread. The buffers of struct capture are used within one call only.
 */
#define LOG_MODULE "spool"
#include "spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "line.h"
#include "log.h"
#include "record.h"
#include "retention.h"
#include "str.h"

#define OUT_LIMIT  (256 * 1024) /* a record that passes it ends a write */
#define ROOM_BYTES (512 * 1024) /* that a log must have before it says what is missing: the ring's content follows */

static void publish(struct spool *sp)
{
	const struct ring_slot *slot = ring_slot(&sp->ring);
	struct log_counters counters = { slot->lines, slot->bytes, slot->rotations, slot->dropped };

	logset_publish(sp->set, (int64_t)slot->log_off, &counters);
}

/* Of an earlier ring of this zone, when the log has nothing behind it. */
static void take_saved_gap(struct spool *sp, struct ring_slot *slot)
{
	struct gap g;

	if (slot->gap_lines || !gap_load(sp->gap_path, &g) || g.log_off != (uint64_t)sp->log.off ||
	    (g.log_ino && g.log_ino != sp->log.ino))
		return;
	slot->gap_lines = g.lines;
	slot->gap_bytes = g.bytes;
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
	take_saved_gap(sp, &slot);
	ring_commit(&sp->ring, &slot);
	if (slot.gap_lines == 0)
		(void)unlink(sp->gap_path); /* told, whatever it says */
	publish(sp);
	logfile_retain(&sp->log);
	return 0;
}

int spool_rotate(struct spool *sp, int64_t now_ns, struct err *err)
{
	struct ring_slot slot;
	int rc;

	rc = logfile_rotate(&sp->log, now_ns, err);
	if (rc < 0 && (err->code == -ENOSPC || err->code == -EDQUOT)) /* no inode left for one more file, or no block for its name */
		retention_make_room();
	if (rc < 0)
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

/* All that is in the ring of stream s, for line_format. */
static struct line_batch batch_of(struct spool *sp, int s, bool eof, int64_t now_ns, size_t out_limit, bool force)
{
	struct capture *sc = sp->cap;
	const struct ring_slot *slot = ring_slot(&sp->ring);
	const char *from = ring_at(&sp->ring, s, slot->tail[s]);

	return (struct line_batch){
		.p = from,
		.end = from + ring_used(&sp->ring, s),
		.out = sc->out,
		.out_limit = out_limit,
		.force = force,
		.eof = eof,
		.tail = sc->tail.p,
		.tail_len = sc->tail.len,
		.now_ns = now_ns,
		.split_ns = slot->split_ns[s],
		.split_tail = sc->split_tail.p,
		.split_tail_len = sc->split_tail.len,
	};
}

/* One write: records of stream s made from what is in the ring, as far as out_limit lets. Returns how
 * the encoder stopped, or -errno with nothing committed. */
static int commit_batch(struct spool *sp, int s, bool eof, int64_t now_ns, size_t out_limit,
			bool force, struct err *err)
{
	struct ring_slot slot = *ring_slot(&sp->ring);
	struct line_batch b = batch_of(sp, s, eof, now_ns, out_limit, force);
	const char *from = b.p;
	enum line_stop stop = line_format(&b);
	bool moved = false;
	int rc;

	if (b.out_len) {
		logfile_note_times(&sp->log, slot.split_ns[s] && slot.split_ns[s] < now_ns ? slot.split_ns[s] : now_ns, now_ns);
		rc = logfile_append(&sp->log, b.out, b.out_len, now_ns, &moved, err);
		if (rc < 0)
			return rc;
		(void)failpoint("stream.written");
		sp->appended += b.out_len;
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

/* ---- what is missing -------------------------------------------------------------------------- */

/* Messages are told by their length without the newline. */
static uint64_t text_bytes(const char *p, const char *end)
{
	uint64_t n = (uint64_t)(end - p);

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n--;
		p++;
	}
	return n;
}

uint64_t spool_drop(struct spool *sp, int s, bool eof, uint64_t *bytes)
{
	uint64_t lines = 0;
	enum line_stop stop = LINE_FULL;

	while (stop != LINE_NEED_INPUT) {
		struct ring_slot slot = *ring_slot(&sp->ring);
		struct line_batch b;
		const char *from;
		uint64_t text;

		make_tails(sp, s, now_ns());
		b = batch_of(sp, s, eof, now_ns(), OUT_LIMIT, true);
		from = b.p;
		stop = line_format(&b);
		text = text_bytes(from, b.p);
		slot.tail[s] += (uint64_t)(b.p - from);
		slot.split_ns[s] = eof && stop == LINE_NEED_INPUT ? 0 : b.split_ns;
		slot.gap_lines += b.lines;
		slot.gap_bytes += text;
		slot.dropped += b.lines;
		ring_commit(&sp->ring, &slot);
		(void)failpoint("gap.counted");
		lines += b.lines;
		*bytes += text;
	}
	if (sp->log.fd >= 0)
		publish(sp);
	return lines;
}

bool spool_has_gap(const struct spool *sp)
{
	return sp->ring.fd >= 0 && ring_slot(&sp->ring)->gap_lines > 0;
}

static void make_gap_record(const struct spool *sp, const struct gap *g, int64_t now_ns, struct buf *out)
{
	gap_record(out, g, sp->tty ? RECORD_STDOUT : RECORD_STDERR, sp->conf.attrs, now_ns);
}

int spool_tell_gap(struct spool *sp, struct err *err)
{
	struct ring_slot slot = *ring_slot(&sp->ring);
	struct gap g = { .lines = slot.gap_lines, .bytes = slot.gap_bytes };
	cleanup_buf struct buf rec = BUF_INIT;
	int64_t now = now_ns();
	bool moved = false;
	int rc;

	if (!g.lines || sp->log.fd < 0)
		return 0;
	make_gap_record(sp, &g, now, &rec);
	if (sp->log.max_size && sp->log.off && sp->log.off + (int64_t)rec.len > sp->log.max_size && logfile_may_rotate(&sp->log) &&
	    spool_rotate(sp, now, err) == 0)
		slot = *ring_slot(&sp->ring);
	logfile_note_times(&sp->log, now, now);
	/* it may fit where what follows does not, time and again */
	if ((rc = logfile_reserve(&sp->log, ROOM_BYTES, err)) < 0 ||
	    (rc = logfile_append(&sp->log, rec.p, rec.len, now, &moved, err)) < 0)
		return rc;
	(void)failpoint("gap.written");
	slot.log_off = (uint64_t)sp->log.off;
	slot.log_ino = sp->log.ino;
	slot.log_gen = sp->log.gen;
	slot.gap_lines = slot.gap_bytes = 0;
	slot.newest_ns = now;
	ring_commit(&sp->ring, &slot);
	(void)failpoint("gap.told");
	publish(sp);
	(void)unlink(sp->gap_path);
	log_warn("output was dropped: the log could not be written", "zone=%s lines=%llu bytes=%llu", sp->set->uuid,
		 (unsigned long long)g.lines, (unsigned long long)g.bytes);
	return 0;
}

void spool_save_gap(struct spool *sp)
{
	const struct ring_slot *slot = ring_slot(&sp->ring);
	struct gap g = { slot->gap_lines, slot->gap_bytes, slot->log_ino, slot->log_off };
	struct err err = { 0 };

	if (gap_save(sp->gap_path, &g, &err) < 0)
		log_err("what was dropped may not be told", "zone=%s lines=%llu bytes=%llu: %s", sp->set->uuid,
			(unsigned long long)g.lines, (unsigned long long)g.bytes, err.msg);
}

int spool_settle_gap(struct spool *sp, struct err *err)
{
	struct ring_slot slot = { 0 };
	cleanup_buf struct buf rec = BUF_INIT;
	bool moved = false;
	struct gap g;
	int rc;

	if (!gap_load(sp->gap_path, &g))
		return 0;
	memset(&sp->log, 0, sizeof(sp->log));
	sp->log.fd = -1;
	if ((rc = logfile_open(&sp->log, sp->set, sp->dir_path, &slot, err)) < 0)
		return rc;
	if (g.log_off == (uint64_t)sp->log.off && (!g.log_ino || g.log_ino == sp->log.ino)) {
		int64_t now = now_ns();

		make_gap_record(sp, &g, now, &rec);
		logfile_note_times(&sp->log, now, now);
		rc = logfile_append(&sp->log, rec.p, rec.len, now, &moved, err);
	}
	if (rc == 0) {
		logset_publish(sp->set, sp->log.off, NULL);
		(void)unlink(sp->gap_path);
	}
	logfile_close(&sp->log);
	return rc;
}

/* ---- to the log ------------------------------------------------------------------------------- */

int spool_commit(struct spool *sp, int s, bool eof, struct err *err)
{
	int64_t now = now_ns();
	int rc, stop;

	if (sp->conf.no_file) {
		struct ring_slot slot = *ring_slot(&sp->ring);

		slot.bytes += sp->ring.head[s] - slot.tail[s];
		slot.tail[s] = sp->ring.head[s];
		slot.split_ns[s] = 0;
		ring_commit(&sp->ring, &slot);
		return 0;
	}
	if ((rc = spool_open_log(sp, err)) < 0 || (rc = spool_tell_gap(sp, err)) < 0)
		return rc;
	make_tails(sp, s, now);
	for (;;) {
		size_t limit = OUT_LIMIT;
		bool small = false;

		if (sp->log.max_size && logfile_may_rotate(&sp->log)) {
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
			if (logfile_may_rotate(&sp->log))
				return rc;
		}
	}
}
