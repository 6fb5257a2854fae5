/* SPDX-License-Identifier: MPL-2.0
 *
 * copy_tree.h - a directory's content into another, with owners, modes, times, xattrs and hard
 * links. Worker.
 */
#ifndef APISERVER_COPY_TREE_H
#define APISERVER_COPY_TREE_H

#include <sys/stat.h>

#include "err.h"

/* Copies what is in src_fd into dst_fd (both open directories, dst empty), and src's own owner and
 * mode. Links are never followed, so a hostile tree stays within itself. */
int copy_tree(int src_fd, int dst_fd, struct err *err);
/* Owner, mode, times and xattrs (but overlay's and ACLs) of src_dir/name for dst_dir/name. 0 or negative errno. */
int copy_tree_attributes(int src_dir, int dst_dir, const char *name, const struct stat *st);

#endif
