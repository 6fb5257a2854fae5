/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_server.h - the process that unpacking children are forked from.
 *
 * A start of our program costs milliseconds (libraries, relocations), a fork of one that has
 * started does not; and layers are many: each step of a build has one. So one `apiserver
 * --unpack-layer` waits on a socket for the life of the engine, and forks a child per layer.
 */
#ifndef APISERVER_UNPACK_SERVER_H
#define APISERVER_UNPACK_SERVER_H

#include <stdint.h>

#include "err.h"

/* In this order with each request. */
enum unpack_fd { UNPACK_TAR, UNPACK_DIR, UNPACK_SPLIT, UNPACK_MOVES, UNPACK_RESULT, UNPACK_FDS };

struct unpack_request {
	int64_t max_bytes;
	uint64_t max_entries;
};

/* Worker. Has a child started with these descriptors, which stay the caller's. Starts the server when
 * there is none (any more). */
int unpack_server_ask(const struct unpack_request *rq, const int fds[UNPACK_FDS], struct err *err);

#endif
