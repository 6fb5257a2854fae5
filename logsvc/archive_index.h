/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_index.h - what of a zone's log is in the object store: a file beside the log, one JSON object a line, so that nobody has
 * to list a bucket to know. Any thread; who appends is alone (archive_uploads.c).
 *
 *	{"name":"stdio.log.20260822T123456Z.gz","object":"/OWNER/zones/UUID/stdio.log.20260822T123456Z.gz","size":N,"bytes":N,
 *	 "sha256":"...","first":"2026-08-22T...Z","last":"2026-08-22T...Z"}
 *
 * size and sha256 are the object's, bytes is the size of the text, first and last are the times of its first and last record.
 */
#ifndef LOGSVC_ARCHIVE_INDEX_H
#define LOGSVC_ARCHIVE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "log_store.h"

#define ARCHIVE_INDEX_NAME "archive.index"
#define ARCHIVE_NAME_MAX   32

struct archive_entry {
	char name[ARCHIVE_NAME_MAX]; /* of the file, while it was here */
	char object[LOG_OBJECT_MAX];
	char sha256[65];
	int64_t size, bytes;
	int64_t first_ns, last_ns; /* 0: not known */
};

/* One line, without its newline. False: it is none of ours, or damaged. Pure. */
bool archive_index_parse(const char *line, size_t len, struct archive_entry *out);
void archive_index_format(const struct archive_entry *e, struct buf *out); /* with its newline */

/* Calls fn for each entry, in the order in which they were stored, until it returns false. Lines that are damaged (the trace of a
 * crash) are passed over. No file: no entries. */
typedef bool archive_entry_fn(void *arg, const struct archive_entry *e);
void archive_index_each(int dir_fd, archive_entry_fn *fn, void *arg);
/* The entry is on the disk when this returns 0. */
int archive_index_append(int dir_fd, const struct archive_entry *e, struct err *err);

#endif
