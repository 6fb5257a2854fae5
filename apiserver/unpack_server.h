/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_server.h - the process that unpacking children are forked from.
 *
 * A start of our program costs milliseconds (libraries, relocations), a fork of one that has
 * started does not; and layers are many: each step of a build has one. So one `apiserver
 * --unpack-layer` waits on a socket for the life of the engine, and forks a child per layer, and
 * one for each look into a zone's file system (zone_files.h).
 */
#ifndef APISERVER_UNPACK_SERVER_H
#define APISERVER_UNPACK_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum unpack_kind { UNPACK_LAYER, UNPACK_ZONE };

/* Of a layer, in this order. A zone's request brings the socket of zone_files_priv.h, and the tar if there is one. */
enum unpack_fd { UNPACK_TAR, UNPACK_DIR, UNPACK_SPLIT, UNPACK_MOVES, UNPACK_RESULT, UNPACK_FDS };

struct unpack_request {
	uint32_t kind;
	int64_t max_bytes; /* of a layer */
	uint64_t max_entries;
};

/* Worker. Has a child started with these descriptors, which stay the caller's. Starts the server when
 * there is none (any more). A child that cannot be started shows as one that has closed its descriptors. */
int unpack_server_ask(const struct unpack_request *rq, const int *fds, size_t n_fds, struct err *err);

#endif
