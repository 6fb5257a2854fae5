/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_tail.h - reads a zone's log in order, from a cursor, never beyond what is committed. One thread.
 */
#ifndef LOGSVC_LOGGER_TAIL_H
#define LOGSVC_LOGGER_TAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "cursor.h"
#include "forward_page.h"
#include "logger_files.h"
#include "record.h"
#include "sink_msg.h"

struct tail {
	int sock; /* files_list, files_open */
	const struct forward_commit *page;
	struct cursor at; /* behind the record that tail_next gave */
	int fd;		  /* -1: nothing is open */
	gzFile gz;
	struct log_item item;
	int64_t after_s;  /* files that were rotated until then are passed; INT64_MIN: not known */
	bool complete;	/* nothing will be added to the file */
	int64_t limit;	/* bytes of it that may be read; of a .gz unknown, INT64_MAX */
	int64_t read_off; /* of the byte behind buf[have] */
	char *buf, *text;
	size_t pos, have, cap, text_cap;
	int64_t skip_before_ns; /* the file we were in is gone: what was sent is passed over by its time */
	struct record_clock clock;
	uint64_t damaged;
};

void tail_init(struct tail *t, int sock, const struct forward_commit *page, const struct cursor *at);
void tail_fini(struct tail *t);
void tail_seek(struct tail *t, const struct cursor *at);
/* The next record; its line is valid until the next call. 1, 0 nothing now, -errno. */
int tail_next(struct tail *t, struct sink_msg *m);
/* Bytes from the cursor at to the end; how many files hold them in *files. -errno. */
int64_t tail_behind(struct tail *t, const struct cursor *at, int *files);
/* Lines from the cursor at to what the page says; *page_lines: its count there. Reads all of it. -EAGAIN: not to be
 * told now; -errno. */
int64_t tail_count(struct tail *t, const struct cursor *at, uint64_t *page_lines);
/* All that is committed has been read; *page_lines: the page's count there. */
bool tail_at_end(const struct tail *t, uint64_t *page_lines);
/* Moves at over the next records, so many bytes of the log or a little more, and counts them as dropped and not told.
 * Reading goes on there. 1, 0: there were none, -errno. */
int tail_drop(struct tail *t, struct cursor *at, int64_t bytes);
/* Counts at's files that were removed, and moves it over them. How many lines. */
uint64_t tail_removed(struct tail *t, struct cursor *at);
bool tail_more(const struct tail *t); /* something is there to be read */

#endif
