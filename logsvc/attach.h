/* SPDX-License-Identifier: MPL-2.0
 *
 * attach.h - a client that gets a zone's output as it is written. Made anywhere, then owned by the
 * zone's capture thread.
 */
#ifndef LOGSVC_ATTACH_H
#define LOGSVC_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"

#define ATTACH_BUFFER (1024 * 1024)

struct stream;

struct attach {
	struct attach *next;
	uint64_t id;
	struct source src; /* the client's descriptor */
	struct loop *loop;
	bool want[2];
	bool raw;     /* no frame headers: a tty */
	bool live;    /* belongs to the current run */
	bool holding; /* bytes gather until the replay has caught up */
	bool ending;  /* closes when all is sent */
	bool dead;    /* the client is gone */
	char *q;      /* what the client has not taken yet */
	size_t q_off, q_len, q_cap;
	/* Room again, or gone: the stream may go on. */
	void (*on_change)(struct attach *a);
	void *owner;
};

struct attach *attach_new(int fd, bool want_stdout, bool want_stderr);
/* the capture thread */
void attach_start(struct attach *a, struct loop *loop);
void attach_feed(struct attach *a, int s, const char *p, size_t n);
bool attach_is_full(const struct attach *a);
void attach_release(struct attach *a); /* ends holding */
void attach_end(struct attach *a);     /* close after what is queued */
/* Its stream goes: takes a, which stays until its client has taken what is queued, or is gone. */
void attach_let_go(struct attach *a);
void attach_free(struct attach *a);

#endif
