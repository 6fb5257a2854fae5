/* SPDX-License-Identifier: MPL-2.0
 *
 * seek.h - where in a zone's logs a read begins: --tail from the end, --since by bisection. Reader
 * threads.
 */
#ifndef LOGSVC_SEEK_H
#define LOGSVC_SEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "logset.h"
#include "record.h"

struct seek_pos {
	uint64_t seq;
	int64_t off;
};

struct seek_result {
	/* Open and positioned; view.fd is -1 when there is no log. A .gz has been unpacked into an
	 * unlinked file. */
	struct log_view view;
	int64_t off;
	/* With tail: records of a stream count from here on; one of the stream "none" as well. */
	bool by_stream;
	struct seek_pos start[RECORD_STREAMS + 1];
};

static inline bool seek_before(struct seek_pos a, struct seek_pos b)
{
	return a.seq != b.seq ? a.seq < b.seq : a.off < b.off;
}

/* tail < 0: all; since_ns 0: unset. With may_unpack false, -EAGAIN: this takes a while, ask again on a
 * thread that may (nothing is open then). */
int seek_start(struct logset *set, int64_t tail, int64_t since_ns, bool may_unpack,
	       struct seek_result *out);

/* Where in a file records from since_ns on begin, or somewhat before it. */
int64_t seek_since_in(struct logset *set, const struct log_view *view, int64_t since_ns);

/* Replaces view->fd of a .gz by an unlinked file with its text, and sets the limit. -errno. */
int seek_unpack(struct logset *set, struct log_view *view);

#endif
