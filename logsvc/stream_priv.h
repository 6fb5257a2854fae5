/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_priv.h - what stream.c and stream_wait.c share. The capture thread.
 */
#ifndef LOGSVC_STREAM_PRIV_H
#define LOGSVC_STREAM_PRIV_H

#include "log.h"
#include "stream.h"

enum stream_state { STREAM_IDLE, STREAM_RUNNING, STREAM_BLOCKED, STREAM_STALLED };

/* One read of an end, and what came of it. */
struct reading {
	struct end *e;
	struct ring *ring;
	uint64_t at; /* of the ring's positions */
	size_t max;
	size_t pending; /* in the pipe before */
	int n;		/* as ring_read_pipe's */
	bool hup;
	int peek[2];
};

/* The process that reads an end, and what is done about a read that waits (stream_apart.c). */
struct apart {
	struct source sock; /* fd -1: there is no process */
	bool ready;	    /* it is the ring's reader, and answers orders */
	struct reading rd;  /* what it is asked */
	ino_t pipe;
	pid_t tid;	   /* who reads */
	struct timer hold; /* set while a read is away */
	struct pipe_hold *breaking;
	pid_t holder;
	int64_t wait_ns;   /* until it is tried again */
	int64_t broken_ns; /* when it was tried last; 0: never */
};

struct end {
	struct source src;
	struct stream *st;
	int s; /* which stream */
	bool tty;
	bool hup;
	bool is_apart; /* read by a process of its own; away: a read is not back (stream_apart.c) */
	bool away;
	struct apart apart;
	struct timer pause; /* set while pausing */
	int64_t last_ns;    /* of the read before */
	int64_t since_ns;   /* no byte of the pipe is older; 0: it was empty */
	int64_t mark_ns;    /* nor is any behind the next old bytes */
	size_t old;
	int64_t pause_ns;   /* the last pause that was wanted */
	size_t bytes;	    /* read since the last pause, maybe in several turns */
	size_t pipe_bytes; /* 0: not known yet */
};

struct stream {
	struct spool spool;
	struct stream_events events;
	enum stream_state state;
	uint64_t ring_ino;
	struct end end[2];
	int n_away;	    /* readings that are not back */
	bool close_when_back, free_when_back;
	int n_open;	    /* ends that have not seen their end */
	uint32_t run;
	bool tty;
	bool orphan;
	struct stream_stdio *next; /* a run that waits until this one is drained */
	struct attach *attaches;
	struct timer retry;
	int64_t full_ns; /* since when the log cannot be written; 0: it can */
	bool shedding;	 /* for too long, or the zone has ended and the log does not say what is missing */
	uint64_t shed_lines, shed_bytes; /* and the owner does not know */
	bool sink_full; /* spool-full=block: STALLED for it */
	uint64_t look_at; /* spool.appended at which the backlog may have reached its limit */
	struct timer rest;
	int64_t active_ns;
	struct log_limit complaint;
};

/* stream.c */
void stream_set_state(struct stream *st, enum stream_state state);
void stream_close_all(struct stream *st);
void stream_go_on(struct stream *st); /* one that was stalled, if nothing stalls it any more */

/* stream_wait.c */
void stream_block(struct stream *st, const struct err *err);
/* The log could not be written: the zone waits, or it has waited long enough and goes on in shedding. */
void stream_cannot_write(struct stream *st, const struct err *err);
/* What stream s has in the ring goes to the log. False: the zone waits. */
bool stream_put(struct stream *st, int s);
/* It is dropped, and counted. */
void stream_shed(struct stream *st, int s, bool eof);
void stream_tell_shed(struct stream *st);
/* Everything that is in the ring goes to the log: at the start of a run, and when the disk has room. */
int stream_catch_up(struct stream *st, struct err *err);
void stream_on_retry(struct timer *t);
/* spool-full=block: the sink has to catch up before more is read. */
bool stream_sink_is_full(struct stream *st);

#endif
