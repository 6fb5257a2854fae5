/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_files_priv.h - what zone_files.c asks its child (zone_files_child.c) for.
 *
 * Over a SEQPACKET socket: one request with the zone's root and mount namespace, one reply with a pidfd of
 * the child, and the copy of the root when that was asked for. The tar comes by a pipe. Both ends are the
 * same program, so the structs go as they are.
 */
#ifndef APISERVER_ZONE_FILES_PRIV_H
#define APISERVER_ZONE_FILES_PRIV_H

#include <stdbool.h>
#include <stdint.h>

enum zone_files_op { ZONE_FILES_EXTRACT, ZONE_FILES_CLONE_ROOT };

struct zone_files_request {
	uint32_t op;
	bool no_overwrite_dir_non_dir, chown;
	uint32_t uid, gid;
	char ct_dir[4096];
};

struct zone_files_reply {
	int32_t rc; /* 0, or a negative errno with kind and msg */
	int32_t kind;
	char msg[1024];
};

#endif
