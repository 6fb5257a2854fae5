/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_entry.h - the making of one entry, inside the unpacking child (tar_unpack.c). One thread,
 * chrooted.
 */
#ifndef APISERVER_UNPACK_ENTRY_H
#define APISERVER_UNPACK_ENTRY_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "apiserver/layer_split.h"
#include "apiserver/tar_unpack.h"
#include "buf.h"
#include "err.h"

/* A directory whose times are set when all is in it. */
struct unpack_dir_time {
	char *path;
	struct timespec t[2];
};

struct unpack {
	struct unpack_result res;
	struct err err;
	int64_t max_bytes;
	uint64_t max_entries;
	int in_fd, layer_fd, moves_fd;
	int cancel_fd; /* a socket on which anything means that the result is not wanted any more; -1: none */
	/* the stream, and what of it is recorded */
	char *block;
	size_t block_len;
	uint64_t block_start;
	uint64_t rec_pos;
	struct split_writer *split;
	uint64_t n_refs;
	struct buf moves;
	unsigned n_moves;
	/* where we are */
	int root_fd;
	char *path;	  /* cleaned name of this entry, "" for the layer's root */
	const char *leaf; /* its last part, "." for the root */
	char *parent;	  /* the directory parent_fd stands for */
	int parent_fd;
	bool parent_odd; /* reached by a symlink of the layer */
	struct unpack_dir_time *dirs;
	size_t n_dirs, cap_dirs;
};

/* tar_unpack.c */
/* What a process that unpacks does first: dies with its parent, leaves no core, loads what libarchive needs for
 * character sets before it can see foreign files. */
void unpack_prepare(void);
int unpack_drop_capabilities(struct err *err);
/* ECANCELED by cancel_fd, else 0. */
int unpack_check(struct unpack *u);
/* The entry's data into fd. */
int unpack_write_data(struct unpack *u, struct archive *a, int fd, int64_t size, bool sparse);
/* tar_unpack.c: all of the archive on in_fd, below root_fd. Changes the working directory. */
int unpack_run(struct unpack *u);
void unpack_init(struct unpack *u, int split_fd);
void unpack_fini(struct unpack *u);
int unpack_archive_error(struct unpack *u, struct archive *a);
/* "./a//b/../c/" -> "a/c"; "/" and "." -> "". Names that lead out: BAD_PARAM. Replaces *out. */
int unpack_clean_path(const char *name, char **out, struct err *err);
int unpack_open_parent(struct unpack *u);
int unpack_whiteout(struct unpack *u);
int unpack_hardlink(struct unpack *u, const char *target);
int unpack_make_file(struct unpack *u, struct archive_entry *e, int *out_fd);
/* A folder, link, device or pipe; what is none of these (a socket) is passed over and counted. */
int unpack_no_file(struct unpack *u, struct archive_entry *e);
/* Owner, mode, attributes, times of a file that fd is open on. */
int unpack_apply_meta(struct unpack *u, struct archive_entry *e, int fd);
int unpack_finish_dirs(struct unpack *u);

#endif
