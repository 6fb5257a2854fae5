/* SPDX-License-Identifier: MPL-2.0
 *
 * line.h - raw output of a stream into records: the hot path. Pure, any thread.
 */
#ifndef LOGSVC_LINE_H
#define LOGSVC_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_PIECE 16384 /* a longer line is split, as Docker does it (contract 1.1) */
#define LINE_SLACK 64	 /* readable behind the input; writable behind a record */

enum line_stop {
	LINE_NEED_INPUT, /* no whole line and no whole piece is left */
	LINE_FULL,	 /* the next record would pass out_limit */
};

struct line_batch {
	const char *p, *end; /* input; p advances to what is not encoded yet */
	char *out;	     /* room: out_limit + line_record_max(tail_len) */
	size_t out_len;	     /* advances */
	size_t out_limit;
	bool force;	     /* the first record may pass out_limit */
	bool eof;	     /* what is left without a newline is a piece */
	const char *tail;    /* record_tail() at the batch's time */
	size_t tail_len;
	/* A line that is being split keeps the time of its first piece in all pieces. */
	int64_t now_ns;	 /* the batch's time */
	int64_t split_ns; /* in and out: time of the first piece, 0: not inside a split line */
	const char *split_tail; /* record_tail() at split_ns; needed when split_ns is set */
	size_t split_tail_len;
	uint64_t lines; /* in and out: records made */
};

/* The longest record: every byte escaped to six. */
size_t line_record_max(size_t tail_len);
enum line_stop line_format(struct line_batch *b);

#endif
