/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_unpack.h - the child process that unpacks one layer: `apiserver --unpack-layer`.
 *
 * Descriptors: 0 the tar (uncompressed) on a pipe; 3 the layer's temp directory, which holds an
 * empty diff/; 4 the recipe's file (layer_split.h), 5 the moves' file, both to write; 6 a pipe that
 * takes one struct unpack_result. main() hands over before it does anything else.
 */
#ifndef APISERVER_TAR_UNPACK_H
#define APISERVER_TAR_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#define UNPACK_OPTION "--unpack-layer"

enum unpack_fd { UNPACK_FD_DIR = 3, UNPACK_FD_SPLIT, UNPACK_FD_MOVES, UNPACK_FD_RESULT };

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

/* argv: apiserver --unpack-layer MAX_BYTES MAX_ENTRIES. Returns the exit status. */
int tar_unpack_main(int argc, char **argv);

#endif
