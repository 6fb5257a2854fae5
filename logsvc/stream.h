/* SPDX-License-Identifier: MPL-2.0
 *
 * stream.h - one zone's output, from its pipes to its log and its attached clients.
 *
 * A stream belongs to one capture thread from stream_new on: all other calls are posted there by
 * whoever owns it (zone.c).
 */
#ifndef LOGSVC_STREAM_H
#define LOGSVC_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "attach.h"
#include "logset.h"
#include "loop.h"
#include "spool.h"

struct stream;

struct capture *capture_new(struct err *err);

void stream_conf_fini(struct stream_conf *conf);

struct stream_events {
	/* The capture thread: everything that the run printed is committed. */
	void (*on_drained)(void *owner, uint32_t run);
	/* The capture thread: nothing is open and nobody is attached. */
	void (*on_idle)(void *owner);
	/* The capture thread: so much output was dropped, since the log could not be written. */
	void (*on_dropped)(void *owner, uint64_t lines, uint64_t bytes);
	void *owner;
};

/* Any thread; takes a reference of set and copies the paths. */
struct stream *stream_new(struct capture *cap, struct logset *set, const char *dir_path, const char *gap_path,
			  const struct stream_events *events);
struct capture *stream_capture(struct stream *st);

/* What zoneadmd hands over; descriptors are taken. */
struct stream_stdio {
	int ring_fd;   /* -1: the one that is there */
	int end_fd[2]; /* -1: none */
	uint32_t run;
	bool tty;
	bool ended; /* the run is drained already */
};

/* The capture thread: */
void stream_set_conf(struct stream *st, struct stream_conf *conf); /* takes what conf holds */
void stream_adopt(struct stream *st, const struct stream_stdio *io);
void stream_attach(struct stream *st, struct attach *a); /* taken */
/* Live from here on, but held: what comes before is in the log up to file *seq, offset *off (-1: its
 * end). Once the client has that, stream_attach_release lets it have the rest. */
void stream_attach_held(struct stream *st, struct attach *a, uint64_t *seq, int64_t *off);
void stream_attach_release(struct stream *st, uint64_t attach_id);
int stream_rotate(struct stream *st, struct err *err);
/* The zone has ended, and an earlier logsvc could not say in its log what is missing there. */
void stream_settle(struct stream *st);
/* zoneadmd has gone: closes all, after the end of what is still in the pipes. */
void stream_orphan(struct stream *st);
void stream_remove(struct stream *st); /* the zone is being removed: closes all now */
bool stream_is_idle(const struct stream *st);
void stream_free(struct stream *st);

#endif
