/* SPDX-License-Identifier: MPL-2.0
 *
 * record.h - one line of a host log: Docker's json-file record, both ways. Pure, any thread.
 */
#ifndef LOGSVC_RECORD_H
#define LOGSVC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum record_stream { RECORD_STDOUT, RECORD_STDERR, RECORD_STREAMS };

/* Bytes that decoders may read behind their input and write behind their output. */
#define RECORD_SLACK 32

#define RECORD_HEAD	"{\"log\":\""
#define RECORD_HEAD_LEN 8

/* What follows the text of a record, from the escaped newline on; a piece that does not end its line
 * starts RECORD_TAIL_PIECE bytes later. attrs is JSON text of an object, or NULL. */
#define RECORD_TAIL_PIECE 2
void record_tail(struct buf *out, enum record_stream stream, const char *attrs, int64_t time_ns);

struct record {
	enum record_stream stream; /* RECORD_STREAMS: the record names none */
	bool whole;		   /* the text ends its line (in \n) */
	size_t text_len;
	const char *time; /* as written, borrowed from the line; NULL when there is none */
	size_t time_len;
	const char *attrs; /* JSON text of the object, borrowed; NULL when there are none */
	size_t attrs_len;
};

/* Decodes one line (len without its \n) and puts the text into text, which has room for len +
 * RECORD_SLACK bytes; RECORD_SLACK bytes behind the line are readable. Any order of keys; unknown
 * keys are skipped. 0, or -EINVAL: the line is not a record. */
int record_decode(const char *line, size_t len, char *text, struct record *r);

/* Remembers the last second that was parsed: records come in runs of the same one. */
struct record_clock {
	char second[20];
	int64_t second_ns;
};
/* The time of a record, 0 when it has none or one that nobody can read. */
int64_t record_time_ns(const struct record *r, struct record_clock *clock);
/* "2006-01-02T15:04:05.000000000Z", 30 bytes: what `docker logs -t` prints. */
#define RECORD_TIME9 30
void record_time9(const struct record *r, char out[RECORD_TIME9]);
/* `docker logs --details`: k=v,k2=v2 sorted by key and form-encoded; nothing without attrs. */
void record_details(const struct record *r, struct buf *out);

#endif
