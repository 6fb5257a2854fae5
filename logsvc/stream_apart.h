/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_apart.h - reading a zone's pipe without waiting for whoever holds it. The capture thread.
 */
#ifndef LOGSVC_STREAM_APART_H
#define LOGSVC_STREAM_APART_H

#include "stream_priv.h"

/* One read of an end, and what came of it. */
struct reading {
	struct end *e;
	struct ring *ring;
	uint64_t at;	/* of the ring's positions */
	size_t pending; /* in the pipe before */
	int n;		/* as ring_read_pipe's */
	bool hup;
	int peek[2];
};

/* True: it is done. False: it goes on elsewhere, and ends in stream_read_done; the caller returns at once. */
bool stream_read(struct end *e, struct reading *rd);
/* stream.c: a reading that went on elsewhere is done. The capture thread. */
void stream_read_done(const struct reading *rd);

#endif
