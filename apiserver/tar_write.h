/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_write.h - writes tar streams (ustar, pax records only where needed) of trees, read through
 * directory descriptors: layers of commit, docker export, docker cp. Worker; any thread, blocking.
 *
 *	struct tar_writer *w = tar_writer_new(fn, arg, &(struct tar_write_opts){ .sorted = true });
 *	tar_writer_add(w, dir_fd, "etc", "etc", err);	entry "etc/" and all that is beneath
 *	tar_writer_add(w, root_fd, ".", "", err);	all that is in root_fd, no entry for itself
 *	tar_writer_end(w, err);				the closing blocks
 *	tar_writer_free(w);
 *
 * Symbolic links are never followed below dir_fd; a file that changes size while it is read is
 * padded with zeros or cut to the size that its header told. Hard links within all trees of one
 * writer become link entries. Sockets are left out, as in Docker.
 */
#ifndef APISERVER_TAR_WRITE_H
#define APISERVER_TAR_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"

/* Takes len bytes: 0, or a negative errno that ends the writing (-EPIPE: the reader went away). */
typedef int tar_write_fn(void *arg, const void *p, size_t len);
/* tar_write_fn for a descriptor: arg points to an int. */
int tar_write_to_fd(void *arg, const void *p, size_t len);

struct tar_write_opts {
	/* The tree is an overlay upper or a layer: char 0/0 becomes .wh.NAME, the opaque attribute
	 * .wh..wh..opq; trusted.overlay.* attributes are left out (they are in any case). */
	bool overlay;
	const mode_t *force_mode; /* of every entry, instead of its own; NULL: its own */
	bool sorted; /* by name within each directory: the same tree gives the same bytes */
	/* true leaves the entry (with all beneath) out. name is the one in the archive, without a
	 * trailing slash. May be NULL. */
	bool (*exclude)(void *arg, const char *name, const struct stat *st);
	bool (*cancelled)(void *arg); /* asked often; true ends with -ECANCELED. May be NULL */
	void *arg;
	/* Maps the link text of symbolic links (docker cp of container paths). May be NULL; owned
	 * result, or NULL to keep the text. */
	char *(*map_link)(void *arg, const char *name, const char *target);
};

struct tar_writer;
struct tar_writer *tar_writer_new(tar_write_fn *fn, void *fn_arg, const struct tar_write_opts *o);
/* Adds path (beneath dir_fd; "." is dir_fd itself) under the name as; a directory with all that is
 * beneath. as "": no entry for the directory itself, its children at the top. */
int tar_writer_add(struct tar_writer *w, int dir_fd, const char *path, const char *as,
		   struct err *err);
/* The same without what is beneath a directory. */
int tar_writer_add_one(struct tar_writer *w, int dir_fd, const char *path, const char *as,
		       struct err *err);
/* A regular file from memory, root's, with the given mode and mtime (seconds). */
int tar_writer_add_bytes(struct tar_writer *w, const char *as, const void *p, size_t len,
			 mode_t mode, int64_t mtime, struct err *err);
/* A file whose bytes the caller writes: header, then exactly size bytes by tar_writer_data, then
 * tar_writer_pad. */
int tar_writer_add_header(struct tar_writer *w, const char *as, char typeflag, int64_t size,
			  mode_t mode, int64_t mtime, const char *linkname, struct err *err);
int tar_writer_data(struct tar_writer *w, const void *p, size_t len, struct err *err);
int tar_writer_pad(struct tar_writer *w, struct err *err);
int tar_writer_end(struct tar_writer *w, struct err *err);
void tar_writer_free(struct tar_writer *w);		   /* NULL is fine */

#endif
