/* SPDX-License-Identifier: MPL-2.0
 *
 * fence.h - what is taken from a process that talks to servers outside (a logger's network side, the archiver): rights, and all
 * system calls but some.
 */
#ifndef LOGSVC_FENCE_H
#define LOGSVC_FENCE_H

#include <stdint.h>

#include "err.h"

/* keep: a bit mask of capabilities that stay. No new privileges from here on. */
int fence_drop_caps(uint32_t keep, struct err *err);
/* User and group nobody, no groups, no capabilities. */
int fence_become_nobody(struct err *err);

/* For the rest of the process's life: anything else fails with EPERM. */
int fence_enter(struct err *err);

#endif
