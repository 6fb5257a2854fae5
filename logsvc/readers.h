/* SPDX-License-Identifier: MPL-2.0
 *
 * readers.h - the threads that answer `docker logs`, and replay for attaches.
 */
#ifndef LOGSVC_READERS_H
#define LOGSVC_READERS_H

#include <stdbool.h>
#include <stdint.h>

#include "attach.h"
#include "err.h"
#include "logset.h"
#include "loop.h"
#include "stream.h"

struct read_request {
	struct logset *set; /* a reference, taken */
	int fd;		    /* taken */
	bool want[2];
	bool raw; /* a tty: no frame headers */
	bool timestamps, details, follow;
	int64_t tail;	  /* < 0: all */
	int64_t since_ns; /* 0: unset */
	int64_t until_ns; /* 0: unset */
	/* Attach with replay: once the reader has caught up, this client of the stream gets the rest. */
	struct stream *stream;
	struct attach *attach; /* taken */
	/* A reader thread: the reader is gone. */
	void (*on_done)(void *owner);
	void *owner;
};

int readers_start(struct err *err);
void readers_stop(void);
/* Any thread. */
void readers_submit(const struct read_request *req);
/* Runs what takes a while on a reader thread. */
void readers_post(void (*fn)(void *arg), void *arg);

#endif
