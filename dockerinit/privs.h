/* SPDX-License-Identifier: MPL-2.0
 *
 * privs.h - giving up privileges, in the order that leaves exactly what Docker leaves.
 */
#ifndef DOCKERINIT_PRIVS_H
#define DOCKERINIT_PRIVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "user.h"

/* CAP_NAME's bit number, or -1. */
int privs_cap_number(const char *name);

/* Groups, bounding set (caps: the bits that stay), ambient set, ids; and capabilities: what the
 * user's process may have, plus CAP_SYS_ADMIN while for_seccomp, which a later execve takes away as
 * it is no longer in the bounding set. */
int privs_drop(const struct user *u, uint64_t caps, bool no_new_privs, bool for_seccomp,
	       struct err *err);

/* Loads a filter; the last step before execve. */
int privs_seccomp(const void *bpf, size_t len, struct err *err);

#endif
