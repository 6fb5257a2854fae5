/* SPDX-License-Identifier: MPL-2.0
 *
 * copy_tree.h - a directory's content into another, with owners, modes, times, xattrs and hard
 * links. Worker.
 */
#ifndef APISERVER_COPY_TREE_H
#define APISERVER_COPY_TREE_H

#include "err.h"

/* Copies what is in src_fd into dst_fd (both open directories, dst empty), and src's own owner and
 * mode. Links are never followed, so a hostile tree stays within itself. */
int copy_tree(int src_fd, int dst_fd, struct err *err);

#endif
