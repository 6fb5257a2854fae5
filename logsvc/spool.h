/* SPDX-License-Identifier: MPL-2.0
 *
 * spool.h - the ring and the log of one zone, and the way from one to the other. Embedded in struct
 * stream; the capture thread.
 */
#ifndef LOGSVC_SPOOL_H
#define LOGSVC_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "gap.h"
#include "logfile.h"
#include "logset.h"
#include "ring.h"

/* A capture thread, and what its streams share: nothing here survives a call into a stream. */
struct capture {
	struct loop *loop;
	char *out; /* encoded records */
	size_t out_cap;
	struct buf tail, split_tail;
	int peek[2]; /* an empty pipe, for tee(2) */
};

struct stream_conf {
	bool no_file;	  /* driver none: attached clients only */
	char *attrs;	  /* JSON text of the record's attrs, or NULL */
	int64_t max_size; /* 0: never rotate */
	uint32_t max_files;
	bool compress;
	int64_t block_bytes;  /* spool-full=block: reading waits while so much of the log was not sent; 0: never */
	int64_t full_wait_ns; /* how long a zone waits for a log that cannot be written, before it is dropped */
};

struct spool {
	struct capture *cap;
	struct logset *set;
	char *dir_path;
	char *gap_path; /* GAP_NAME's */
	bool tty;
	struct stream_conf conf;
	struct ring ring;   /* fd -1: none */
	struct logfile log; /* fd -1: not open */
	uint64_t appended;  /* bytes, by this process */
};

/* Opens the log where the ring says it goes on; nothing when it is open. */
int spool_open_log(struct spool *sp, struct err *err);
/* Moves all whole lines of stream s from the ring, which is awake, to the log; with eof the unfinished
 * one as well. -errno: what is not in the log is still in the ring. */
int spool_commit(struct spool *sp, int s, bool eof, struct err *err);
int spool_rotate(struct spool *sp, int64_t now_ns, struct err *err);

/* What stream s has in the ring, which is awake, goes to nowhere and is counted; whole lines, or with eof all. Returns
 * the number of messages. */
uint64_t spool_drop(struct spool *sp, int s, bool eof, uint64_t *bytes);
/* Something is missing at the end of the log, and it does not say so yet. */
bool spool_has_gap(const struct spool *sp);
/* Says so, before anything else is written; the log is open. Nothing when nothing is missing. */
int spool_tell_gap(struct spool *sp, struct err *err);
/* The ring will go before the log can be written: what it knows of the gap is kept beside it. */
void spool_save_gap(struct spool *sp);
/* There is no ring any more: tells what spool_save_gap has kept. */
int spool_settle_gap(struct spool *sp, struct err *err);

#endif
