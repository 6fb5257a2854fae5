/* SPDX-License-Identifier: MPL-2.0
 *
 * archiver_intake.h - a rotated log in its .gz form, read from one end to the other: its checksums, whether it is whole, and what
 * it unpacks to. In blocks; memory is bounded. One thread.
 */
#ifndef LOGSVC_ARCHIVER_INTAKE_H
#define LOGSVC_ARCHIVER_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct intake_result {
	int64_t size;  /* compressed */
	int64_t bytes; /* unpacked */
	int64_t first_ns, last_ns; /* times of the first and the last record; 0: none could be read */
	unsigned char md5[16], sha256[32]; /* of the compressed form */
};

struct intake;

/* out_fd: takes the unpacked text; -1: nobody does. max_bytes: unpacked, more is an error (a bomb). */
struct intake *intake_new(int out_fd, int64_t max_bytes);
void intake_free(struct intake *in);
int intake_add(struct intake *in, const void *p, size_t len, struct err *err);
/* All has been added: 0, or -EBADMSG: not a whole gzip file. */
int intake_end(struct intake *in, struct intake_result *out, struct err *err);
/* The whole of a file, from its start. */
int intake_file(int fd, struct intake_result *out, struct err *err);

#endif
