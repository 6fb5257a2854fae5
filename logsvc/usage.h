/* SPDX-License-Identifier: MPL-2.0
 *
 * usage.h - how much log each zone has, known or only on disk.
 */
#ifndef LOGSVC_USAGE_H
#define LOGSVC_USAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "logset.h"
#include "logsvc.pb-c.h"
#include "paths.h"

#define USAGE_PER_REPLY 64 /* a frame has 64 KiB, an error 512 bytes */

struct usage_list {
	Logsvc__ZoneUsage **items;
	struct logset **sets; /* references of the zones that logsvc knows; NULL: only on disk */
	size_t n, cap;
};

struct usage_list *usage_new(void);
void usage_add(struct usage_list *u, struct logset *set, const char *driver);
/* Looks at the disk; uuid "" adds all zones that are only there. A reader thread. */
void usage_complete(struct usage_list *u, const struct paths *paths, const char *uuid);
/* The same, but the files that the prune removes are what is counted. A reader thread. */
void usage_prune(struct usage_list *u, const struct paths *paths, const char *uuid,
		 const struct log_prune *prune);
/* Is everything in the object store that the prune would remove? archive_pending of each is what is not. A reader thread. */
bool usage_is_stored(struct usage_list *u, const struct paths *paths, const char *uuid, const struct log_prune *how);
void usage_free(struct usage_list *u);

#endif
