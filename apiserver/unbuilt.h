/* SPDX-License-Identifier: MPL-2.0
 *
 * unbuilt.h - declarations of what unbuilt.c stands in for, where no header has landed yet.
 */
#ifndef APISERVER_UNBUILT_H
#define APISERVER_UNBUILT_H

#include "err.h"

int lifecycle_init(struct err *err);
void lifecycle_fini(void);

#endif
