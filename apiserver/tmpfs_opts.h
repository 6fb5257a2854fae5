/* SPDX-License-Identifier: MPL-2.0
 *
 * tmpfs_opts.h - mount options of --tmpfs, merged over Docker's defaults. Pure.
 */
#ifndef APISERVER_TMPFS_OPTS_H
#define APISERVER_TMPFS_OPTS_H

#include "err.h"

/* "size=1m,exec" -> owned vector noexec.. with what the user set in its place. BAD_PARAM: Invalid
 * tmpfs option "x". */
int tmpfs_opts_merge(const char *user, char ***out, struct err *err);

#endif
