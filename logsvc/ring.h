/* SPDX-License-Identifier: MPL-2.0
 *
 * ring.h - the memory that outlives logsvc: what has left a zone's pipes and is not yet in its log.
 *
 * zoneadmd makes a memfd per zone and holds it; logsvc owns the layout. One thread per ring.
 */
#ifndef LOGSVC_RING_H
#define LOGSVC_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define RING_BYTES   (256 * 1024) /* per stream; a power of two and a multiple of the page size */
#define RING_STREAMS 2

/* What is committed, all at once: the log up to log_off holds exactly the output before tail. */
struct ring_slot {
	uint64_t tail[RING_STREAMS];	 /* first byte that is not in the log */
	int64_t split_ns[RING_STREAMS]; /* time of the first piece of a line being split, or 0 */
	uint64_t log_off;
	uint64_t log_ino; /* which file log_off is about */
	uint64_t log_gen; /* counts live files of this zone since the ring was made */
	uint64_t lines;	  /* counters of the zone, exact across crashes */
	uint64_t bytes;
	uint64_t rotations;
	uint64_t gap_lines, gap_bytes; /* dropped behind log_off: the log could not be written, and does not say so yet */
	uint64_t dropped;	       /* lines, over the ring's life */
	int64_t newest_ns; /* time of the newest record in the file */
	uint32_t run;	   /* whose output tail..head is */
	uint32_t spare;
};

/* One stream's read in progress. Written in this order: the guess, then state, read(2), head, state. */
enum ring_intent { RING_IDLE = 0, RING_PIPE = 1, RING_TTY = 2 };
struct ring_stream {
	uint64_t head; /* bytes ever read */
	uint64_t intent_pos;
	uint64_t pattern; /* RING_TTY: what was there before */
	uint32_t intent_len;
	uint32_t state;
	uint32_t first_byte; /* RING_PIPE: what read(2) will put at intent_pos */
	uint32_t spare;
};

struct ring_hdr {
	uint64_t magic; /* written last */
	uint32_t data_bytes;
	uint32_t cur; /* which slot holds */
	struct ring_slot slot[2];
	struct ring_stream stream[RING_STREAMS];
};

struct ring {
	int fd;
	struct ring_hdr *hdr;
	char *data[RING_STREAMS]; /* mapped twice in a row; NULL while idle */
};

enum ring_state { RING_NEW, RING_KEPT, RING_DAMAGED };

/* Maps the ring in fd (taken over) and finishes an interrupted read. RING_NEW and RING_DAMAGED: the
 * ring is empty and its slot zero; the caller commits where the log starts. */
int ring_open(struct ring *r, int fd, enum ring_state *state, struct err *err);
void ring_close(struct ring *r); /* unmaps, closes; safe on a closed one */

/* The data areas are mapped on demand; ring_rest unmaps them and gives free memory back. */
int ring_wake(struct ring *r, struct err *err);
void ring_rest(struct ring *r);

static inline const struct ring_slot *ring_slot(const struct ring *r)
{
	return &r->hdr->slot[r->hdr->cur & 1];
}
static inline uint64_t ring_used(const struct ring *r, int s)
{
	return r->hdr->stream[s].head - ring_slot(r)->tail[s];
}
static inline const char *ring_at(const struct ring *r, int s, uint64_t pos)
{
	return r->data[s] + (pos & (RING_BYTES - 1));
}
/* Makes next what holds; a crash leaves the old or the new slot. */
void ring_commit(struct ring *r, const struct ring_slot *next);

/* Reads once from a pipe's only reader, at most max bytes and what is free. Returns the bytes read, 0
 * at the end, -EAGAIN, or another errno. peek: an empty pipe of the thread's own. ended: epoll told
 * of a hang-up, so an empty pipe is looked at for its end. *pending: what the pipe held before. */
int ring_read_pipe(struct ring *r, int s, int fd, const int peek[2], size_t max, bool ended,
		   size_t *pending);
/* The same for a pty's master, where nothing can be peeked. */
int ring_read_tty(struct ring *r, int s, int fd);

#endif
