/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_uploads.h - moves rotated logs to the object store, one at a time, behind the back of everybody. Any thread.
 */
#ifndef LOGSVC_ARCHIVE_UPLOADS_H
#define LOGSVC_ARCHIVE_UPLOADS_H

#include <stdbool.h>

#include "conf.h"
#include "err.h"
#include "logset.h"
#include "loop.h"
#include "paths.h"

/* loop: the thread that it runs on; shared with whoever. Before this nothing is enabled. */
void uploads_start(struct loop *loop, const struct paths *paths, const struct conf *conf);
void uploads_stop(void); /* the loop has been stopped */
bool uploads_enabled(void); /* an object store is configured */
void uploads_conf_changed(void);
/* Every compressed file of the set that is not in the store goes there; a set is queued once. */
void uploads_submit(struct logset *set);
void uploads_hurry(void); /* does not wait for the next try */

struct uploads_status {
	uint64_t stored, failed; /* files; attempts */
	unsigned queued;	 /* zones */
	char error[512];	 /* of the last attempt, when it failed */
};
void uploads_status(struct uploads_status *out);

#endif
