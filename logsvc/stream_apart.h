/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_apart.h - reading a zone's pipe without waiting for whoever holds it. The capture thread.
 */
#ifndef LOGSVC_STREAM_APART_H
#define LOGSVC_STREAM_APART_H

#include "stream_priv.h"

void apart_init(struct end *e);
/* A run begins, and e->src is its end. */
void apart_begin(struct end *e);
/* The end is closed; no read is away. */
void apart_close(struct end *e);
/* Any thread: waits, but not for long, until no thread of this process is in a read any more: it could not end. */
void apart_settle(void);
/* True: it is done. False: it goes on elsewhere, and ends in stream_read_done; the caller returns at once. */
bool stream_read(struct end *e, struct reading *rd);
/* stream.c: a reading that went on elsewhere is done. The capture thread. */
void stream_read_done(const struct reading *rd);

#endif
