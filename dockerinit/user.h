/* SPDX-License-Identifier: MPL-2.0
 *
 * user.h - who the user's process is: "user[:group]" against the zone's /etc/passwd and /etc/group.
 *
 * By own parser, because a static program has no NSS, and with Docker's rules and words.
 */
#ifndef DOCKERINIT_USER_H
#define DOCKERINIT_USER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define USER_GROUPS_MAX 1024

struct user {
	uint32_t uid;
	uint32_t gid;
	char home[1024];
	uint32_t groups[USER_GROUPS_MAX]; /* the primary first, no doubles */
	size_t n_groups;
};

/* spec "" is uid 0. Missing files are as empty ones. group_add: names or numbers, may be NULL.
 * Errors are for the user: "unable to find user x: no matching entries in passwd file". */
int user_resolve(const char *spec, char *const *group_add, const char *passwd_path,
		 const char *group_path, struct user *out, struct err *err);

#endif
