/* SPDX-License-Identifier: MPL-2.0
 *
 * archiver_order.h - what logsvc and an archiver say to each other: one order, one answer, in this order, on a SEQPACKET
 * socket. The end of the socket is the end of the archiver.
 */
#ifndef LOGSVC_ARCHIVER_ORDER_H
#define LOGSVC_ARCHIVER_ORDER_H

#include <stdint.h>

#include "log_store.h"

#define ARCHIVER_MAGIC 0x61726331u /* a program of another release is no partner */

enum archiver_op {
	ARCHIVER_PUT = 1, /* the descriptor is the .gz, read-only: stored as object, and verified there */
	ARCHIVER_GET = 2, /* the descriptor is empty, for the unpacked text */
};

struct archiver_order {
	uint32_t magic, op;
	int64_t size;	 /* ARCHIVER_GET: of the object; more is refused */
	int64_t bytes;	 /* ARCHIVER_GET: of the text */
	char sha256[65]; /* ARCHIVER_GET: of the object */
	char object[LOG_OBJECT_MAX];
};

struct archiver_answer {
	uint32_t magic;
	int32_t rc; /* 0: done; negative errno, and text says why */
	int64_t retry_after_s; /* the store's wish; 0: none */
	/* ARCHIVER_PUT, done: what is in the store */
	int64_t size, bytes;
	int64_t first_ns, last_ns; /* times of the first and the last record; 0: not known */
	char sha256[65];
	char text[512];
};

#endif
