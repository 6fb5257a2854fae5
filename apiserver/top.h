/* SPDX-License-Identifier: MPL-2.0
 *
 * top.h - docker top: the machine's ps, its lines for a zone's processes only. Worker.
 */
#ifndef APISERVER_TOP_H
#define APISERVER_TOP_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

/* Appends {"Processes":[[..]],"Titles":[..]} for pids. */
int top_run(const char *ps_args, const int *pids, size_t n_pids, struct buf *json, struct err *err);
/* The two halves, for tests. pure */
int top_check_args(const char *ps_args, struct err *err);
int top_parse(char *ps_output, const int *pids, size_t n_pids, struct buf *json, struct err *err);

#endif
