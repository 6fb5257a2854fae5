/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_path.h - paths inside a container, as docker cp has them. Nothing here trusts one as a host
 * path.
 */
#ifndef APISERVER_CT_PATH_H
#define APISERVER_CT_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Absolute and cleaned ("a/../b" is "/b"); a trailing "/" or "/." stays: it means "what the link
 * points to" and "what is in it". Owned. */
char *ct_path_abs(const char *path);
/* The last part as Go's filepath.Base: "/" for the root, "." for "/x/.". Owned. */
char *ct_path_base(const char *abs);
/* All but the last part; "/" at least. Owned. */
char *ct_path_dir(const char *abs);
/* True for dir itself and what is beneath. */
bool ct_path_within(const char *path, const char *dir);

/* Where abs leads when every symlink is followed inside the root, the last one too; what does not
 * exist is kept as written. Owned; NULL: more than 255 links. For showing and comparing only: a
 * zone can change links meanwhile. */
char *ct_path_resolve(int root_fd, const char *abs);

/* st_mode -> Go's os.FileMode bits. Pure. */
uint32_t go_file_mode(mode_t mode);

#endif
