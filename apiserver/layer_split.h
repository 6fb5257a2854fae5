/* SPDX-License-Identifier: MPL-2.0
 *
 * layer_split.h - what is needed beside a layer's files to make its tar again, byte for byte.
 *
 * The recipe of a layer: the tar's own bytes (headers, padding, what is odd) as they were, and a
 * reference where a file's content stood. A zstd stream of records, integers little-endian:
 *
 *	"SDCSPLT1"			once, at the start
 *	'R' u32 len, bytes		these bytes as they are
 *	'F' u64 len, u32 n, path	len bytes of the file path (relative to diff/, no symlinks)
 *	'E'				the end; a recipe without it is torn
 *
 * Entries of one archive may replace each other. The file that a later entry replaced is kept as
 * extra/<number>, and the file "moves" has a line for each, "<n> <number> <path>\n" with newline
 * and backslash in path as \n and \\: references before the n-th (from 0) to path, or to what is
 * beneath it, mean extra/<number>.
 */
#ifndef APISERVER_LAYER_SPLIT_H
#define APISERVER_LAYER_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "tar_write.h"

#define LAYER_SPLIT_PATH_MAX 8192
#define LAYER_MOVES_MAX	     4096

/* ---- the writing side: the unpacking child ---- */
struct split_writer;
struct split_writer *split_writer_new(int fd); /* fd borrowed */
int split_writer_raw(struct split_writer *w, const void *p, size_t len);
int split_writer_file(struct split_writer *w, const char *path, uint64_t len);
int split_writer_end(struct split_writer *w); /* 0 or negative errno of any write so far */
void split_writer_free(struct split_writer *w);
/* One line of "moves". */
void split_move_line(struct buf *out, uint64_t n_refs, unsigned number, const char *path);

/* ---- the reading side, any thread ---- */
/* Gives the tar of the layer in layer_fd (diff/, extra/, split, moves) to fn. What is missing or
 * torn is an error; that the bytes are right is for the caller's hash to say. */
int split_replay(int layer_fd, tar_write_fn *fn, void *arg, struct err *err);

#endif
