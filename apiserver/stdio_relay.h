/* SPDX-License-Identifier: MPL-2.0
 *
 * stdio_relay.h - the process that touches tenants' pipes, so that we need not.
 *
 * Whoever splices into or out of a pipe (splice(2), sendfile(2)) holds its lock for as long as the other side has nothing to give
 * or takes nothing, and every call on that pipe waits for it, close(2) and exit(2) too, whatever O_NONBLOCK says. What a program in
 * a zone has as its standard streams is such a pipe. Programs want one (they open /dev/stdout anew, which a socket cannot bear),
 * so the pipes' other ends go to `apiserver --relay-stdio`, which moves the bytes between each and a socket whose other end
 * we have. That process waits where somebody must; a tenant who makes it holds up his own streams alone, and neither our loop
 * nor our end.
 */
#ifndef APISERVER_STDIO_RELAY_H
#define APISERVER_STDIO_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define RELAY_OPTION	  "--relay-stdio"
#define RELAY_STREAMS_MAX 3

/* The request; each stream brings two descriptors: the pipe's end, the socket. */
struct relay_request {
	uint32_t n;
	bool to_pipe
		[RELAY_STREAMS_MAX]; /* from the socket into the pipe, which is its reader's input */
};

struct relay_stream {
	int *fd; /* a pipe's end, which is taken, and becomes a socket (CLOEXEC, non-blocking); -1 stays */
	bool to_pipe;
};

/* Worker. The relay goes on with a stream until one of its ends is closed. Of an output, shutdown(2) for writing says: take what is in
 * the pipe now, and then end, though others have it open. When this fails, all are closed and -1. A relay that dies is told apart: reading
 * an output fails with ECONNRESET behind what it had moved. */
int stdio_relay(const struct relay_stream *streams, size_t n, struct err *err);

/* The process. */
int stdio_relay_main(void);

#endif
