/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_unpack.h - `apiserver --unpack-layer`: the unpacking server and its children.
 *
 * A child_server.h. Each packet is a struct unpack_request; for a
 * layer with the descriptors of enum unpack_fd: the tar (uncompressed) on a pipe; the layer's temp directory,
 * which holds an empty diff/; the recipe's file (layer_split.h) and the moves' file, to write; a pipe
 * that takes one struct unpack_result. main() hands over before it does anything else.
 */
#ifndef APISERVER_TAR_UNPACK_H
#define APISERVER_TAR_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#define UNPACK_OPTION "--unpack-layer"

struct unpack_result {
	uint32_t magic;
	int32_t rc; /* 0 or a negative errno, then msg says what */
	int64_t size; /* sum of the regular files' sizes */
	uint64_t n_entries;
	uint64_t n_whiteouts; /* .wh. entries */
	uint64_t n_skipped;   /* devices we were not allowed to make, attributes not taken over */
	char msg[1024];
};
#define UNPACK_MAGIC 0x53444355u

/* Returns the exit status. */
int tar_unpack_main(int argc, char **argv);

#endif
