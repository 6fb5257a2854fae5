/* SPDX-License-Identifier: MPL-2.0
 *
 * ring.h - the memory that outlives logsvc: what has left a zone's pipes and is not yet in its log.
 *
 * zoneadmd makes a memfd per zone and holds it; logsvc owns the layout. A ring has one owner, the zone's capture thread, which
 * commits; and each stream has one reader at a time, which may be the owner or somebody else (stream_apart.c). The reader
 * moves the stream's head; the owner learns of it by ring_took, and looks at nothing beyond.
 */
#ifndef LOGSVC_RING_H
#define LOGSVC_RING_H

#include <stdatomic.h>
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
	_Atomic uint64_t head; /* bytes ever read */
	uint64_t intent_pos;
	uint64_t pattern; /* RING_TTY: what was there before */
	uint32_t intent_len;
	uint32_t state;
	uint32_t first_byte; /* RING_PIPE: what read(2) will put at intent_pos */
	uint32_t apart;	     /* the run whose pipe is read by a process of its own; 0: none */
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
	char *data[RING_STREAMS];    /* mapped twice in a row; NULL while idle */
	uint64_t head[RING_STREAMS]; /* as far as the owner knows */
};

enum ring_state { RING_NEW, RING_KEPT, RING_DAMAGED };

/* Maps the ring in fd (taken over) and finishes an interrupted read, but for a stream that a reader has (ring_reader). RING_NEW and
 * RING_DAMAGED: the ring is empty and its slot zero; the caller commits where the log starts. */
int ring_open(struct ring *r, int fd, enum ring_state *state, struct err *err);
/* The same ring in the process of a stream's reader, which changes nothing of the other stream's. */
int ring_attach(struct ring *r, int fd, struct err *err);
void ring_close(struct ring *r); /* unmaps, closes; safe on a closed one */

/* Whether another process has made itself the reader of stream s. */
bool ring_has_reader(const struct ring *r, int s);
/* Makes this process the reader of s until it ends (a POSIX lock on the ring: no other descriptor of it may be closed). -EAGAIN: the
 * one before has not ended. */
int ring_be_reader(struct ring *r, int s);
/* The reader of s is no more, or this process is the one: finishes what it began. */
int ring_finish_read(struct ring *r, int s, struct err *err);

/* The data areas are mapped on demand; ring_rest unmaps them and gives free memory back. */
int ring_wake(struct ring *r, struct err *err);
void ring_rest(struct ring *r);

static inline const struct ring_slot *ring_slot(const struct ring *r)
{
	return &r->hdr->slot[r->hdr->cur & 1];
}
static inline uint64_t ring_used(const struct ring *r, int s)
{
	return r->head[s] - ring_slot(r)->tail[s];
}
/* As far as anybody has read. The reader, or nobody is. */
static inline uint64_t ring_head(const struct ring *r, int s)
{
	return atomic_load_explicit(&r->hdr->stream[s].head, memory_order_acquire);
}
static inline size_t ring_room(const struct ring *r, int s)
{
	return (size_t)(RING_BYTES - ring_used(r, s));
}
/* The owner: a reading of n bytes is over. */
static inline void ring_took(struct ring *r, int s, int n)
{
	if (n > 0)
		r->head[s] += (uint64_t)n;
}
static inline const char *ring_at(const struct ring *r, int s, uint64_t pos)
{
	return r->data[s] + (pos & (RING_BYTES - 1));
}
/* Makes next what holds; a crash leaves the old or the new slot. */
void ring_commit(struct ring *r, const struct ring_slot *next);

/* The stream's reader: reads once from a pipe, at most max bytes, which the owner knows to be free. Returns the bytes read, 0
 * at the end, -EAGAIN, or another errno. peek: an empty pipe of the thread's own. ended: epoll told
 * of a hang-up, so an empty pipe is looked at for its end. *pending: what the pipe held before. */
int ring_read_pipe(struct ring *r, int s, int fd, const int peek[2], size_t max, bool ended,
		   size_t *pending);
/* The same for a pty's master, where nothing can be peeked. */
int ring_read_tty(struct ring *r, int s, int fd);

#endif
