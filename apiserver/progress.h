/* SPDX-License-Identifier: MPL-2.0
 *
 * progress.h - the JSON lines that long jobs (load, import, pull, build) stream to their client.
 *
 * Made on the loop, written by one worker, ended on the loop. The reply starts with the first line;
 * a job that fails before that can still be answered with an error status. Writing never fails for
 * the job: when the client has gone, lines are dropped (progress_gone tells).
 */
#ifndef APISERVER_PROGRESS_H
#define APISERVER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct progress;

/* ---- loop ---- */
struct progress *progress_new(uint64_t req);
/* Ends and frees. failed: what the job returned, or NULL. As an error status when nothing was
 * written yet, otherwise as the stream's last line. */
void progress_end(struct progress *p, const struct err *failed);

/* ---- the one worker; p NULL writes nothing ---- */
void progress_start(struct progress *p); /* the reply begins even without a line */
void progress_line(struct progress *p, const char *json);
/* {"status": ..., "id": ...}; id NULL: none. */
void progress_status(struct progress *p, const char *id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* {"stream": ...} */
void progress_text(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* {"status": action, "progressDetail": {...}, "progress": "[==>  ]", "id": ...}; at most every 100 ms,
 * unless current is total. total <= 0: not known. */
void progress_bar(struct progress *p, const char *id, const char *action, int64_t current,
		  int64_t total);
bool progress_gone(const struct progress *p);

#endif
