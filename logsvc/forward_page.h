/* SPDX-License-Identifier: MPL-2.0
 *
 * forward_page.h - the two pages of shared memory between logsvc and a zone's logger; tmpfs files of
 * the zone's run folder, made by logsvc. They outlive both.
 *
 * logcommit	logsvc writes, the logger reads: how far the log may be read
 * forward	the logger writes, logsvc reads (and trusts no number of): how far it has come. A live
 *		logger holds a flock on it.
 */
#ifndef LOGSVC_FORWARD_PAGE_H
#define LOGSVC_FORWARD_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define FORWARD_PAGE	      4096
#define FORWARD_COMMIT_NAME   "logcommit"
#define FORWARD_STATUS_NAME   "forward"
#define FORWARD_CURSOR_NAME   "forward.cursor" /* in the logs folder */
#define FORWARD_REMOVED_NAME  "removed" /* the container has gone, and its log once it is delivered */
#define FORWARD_COMMIT_MAGIC  0x746d6332u
#define FORWARD_STATUS_MAGIC  0x74617431u

/* A file that went before the logger was known to have passed it (removed.c). */
#define FORWARD_REMOVED_MAX 48
struct removed_file {
	_Atomic uint64_t ino;
	_Atomic int64_t born_ns, time_s;	 /* when it was made; of its rotation */
	_Atomic uint64_t lines, bytes;		 /* in it */
	_Atomic uint64_t all_lines, all_bytes; /* of all up to it */
};

struct forward_commit {
	uint32_t magic;
	_Atomic uint32_t seq;	   /* odd while live_ino, live_off and lines change */
	_Atomic uint64_t live_ino; /* 0: no live file is open */
	_Atomic uint64_t live_off;
	_Atomic uint64_t lines; /* captured so far, up to live_off; counts */
	_Atomic uint64_t seen_lines; /* logsvc's: the zone's counter when lines was last raised */
	_Atomic uint32_t running; /* a run is not drained */
	_Atomic int64_t ended_ns; /* when it ended, mono_ns(); 0: it has not */
	_Atomic uint64_t removed_n; /* counts; the last ones are in removed */
	struct removed_file removed[FORWARD_REMOVED_MAX];
	_Atomic uint64_t conf; /* of the logger that was started last: struct zone's logger_conf */
	_Atomic uint64_t dropped_told; /* of the status page's dropped: what is an event already */
	_Atomic uint32_t told_valid;
	_Atomic uint32_t changes; /* counts; what the logger waits for (futex) */
	_Atomic uint64_t dropped_bytes_told;
};

_Static_assert(sizeof(struct forward_commit) <= FORWARD_PAGE, "a page holds it");

enum forward_state { FORWARD_CONNECTING, FORWARD_CONNECTED };

struct forward_status {
	uint32_t magic;
	_Atomic uint32_t pid;
	_Atomic uint32_t waiting; /* on changes */
	_Atomic uint32_t state;
	_Atomic uint32_t done;	     /* all up to this value of changes is delivered and saved ... */
	_Atomic uint32_t done_valid; /* ... when this is set */
	_Atomic uint64_t saved_ino;  /* the saved cursor's file; 0: there is no cursor yet */
	_Atomic int64_t saved_born_ns; /* when it was made: inodes are used again */
	_Atomic int64_t saved_off;
	/* What was sent, beyond what is saved: the same while nothing is connected. Changes in several steps. */
	_Atomic uint64_t sent_ino;
	_Atomic int64_t sent_born_ns, sent_off;
	_Atomic int64_t since_ns; /* of state; wall clock */
	_Atomic int64_t behind_bytes;
	_Atomic int64_t behind_lines; /* -1: not counted yet */
	_Atomic int64_t line_base; /* page's lines that are no record of the cursor's counts ... */
	_Atomic uint32_t based;	   /* ... when this is set */
	_Atomic uint64_t delivered; /* lines, over the life of the cursor */
	_Atomic uint64_t dropped;
	char error[512]; /* the last one; NUL-terminated */
	_Atomic uint64_t dropped_bytes; /* written before dropped */
	_Atomic uint64_t sent_lines; /* delivered and dropped up to what was sent, and 1; 0: not known */
};

#endif
