/* SPDX-License-Identifier: MPL-2.0
 *
 * resize_param.h - ?h= and ?w= of the resize calls. Loop.
 */
#ifndef APISERVER_RESIZE_PARAM_H
#define APISERVER_RESIZE_PARAM_H

#include "apiserver/request.h"
#include "err.h"

/* Rows and columns; what is above a terminal's 65535 counts as that. BAD_PARAM, in Docker's words. */
int resize_param(const struct req *r, unsigned *rows, unsigned *cols, struct err *err);

#endif
