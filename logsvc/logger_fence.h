/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_fence.h - the system calls that a logger's network side may make.
 */
#ifndef LOGSVC_LOGGER_FENCE_H
#define LOGSVC_LOGGER_FENCE_H

#include "err.h"

/* For the rest of the process's life: anything else fails with EPERM. */
int fence_enter(struct err *err);

#endif
