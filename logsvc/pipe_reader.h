/* SPDX-License-Identifier: MPL-2.0
 *
 * pipe_reader.h - the process that reads a pipe whose lock somebody holds (logsvc --read-pipe), and what it is told.
 *
 * A SEQPACKET socket: one order, one answer, in this order. The end of the socket is the end of the reader, once it is out of its read.
 */
#ifndef LOGSVC_PIPE_READER_H
#define LOGSVC_PIPE_READER_H

#include <stdint.h>

#define PIPE_READER_MAGIC 0x70697031u /* a program of another release is no partner */

enum pipe_op {
	PIPE_TAKE =
		1, /* with two descriptors, the ring and the pipe: be the reader of this stream. Answered when it is */
	PIPE_READ = 2,
};

struct pipe_order {
	uint32_t magic, op;
	uint32_t stream;
	/* PIPE_READ */
	uint32_t hup;
	uint64_t at;  /* the stream's head as logsvc knows it */
	uint64_t max; /* so much is free in the ring */
};

struct pipe_answer {
	uint32_t magic;
	int32_t n;	  /* bytes behind at that are in the ring now; or as ring_read_pipe's */
	uint64_t pending; /* in the pipe before */
};

/* Does not return before the socket's end. The exit status. */
int pipe_reader_main(int sock);

#endif
