/* SPDX-License-Identifier: MPL-2.0
 *
 * gap.h - what is missing in a zone's log because it could not be written, and how the log says so. Pure but for the
 * file; any thread.
 */
#ifndef LOGSVC_GAP_H
#define LOGSVC_GAP_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "record.h"

#define GAP_NAME "loggap" /* in the zone's run folder */

/* The gap is at log_off of the file log_ino (0: there was none yet): that is where its record goes. */
struct gap {
	uint64_t lines, bytes;
	uint64_t log_ino, log_off;
};

/* The record that stands for the gap, with its newline. */
void gap_record(struct buf *out, const struct gap *g, enum record_stream stream, const char *attrs, int64_t now_ns);
/* A gap that outlives its ring: the zone has ended before the log could be written again. 0 or -errno. */
int gap_save(const char *path, const struct gap *g, struct err *err);
/* False: there is none, or it makes no sense. */
bool gap_load(const char *path, struct gap *g);

#endif
