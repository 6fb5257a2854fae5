/* SPDX-License-Identifier: MPL-2.0
 *
 * removed.h - the files that logsvc removed before a zone's logger was known to have passed them, and what a cursor lost by it.
 */
#ifndef LOGSVC_REMOVED_H
#define LOGSVC_REMOVED_H

#include <stdbool.h>
#include <stdint.h>

#include "cursor.h"
#include "forward_page.h"

/* logsvc, before it unlinks the file: all that is in it, whatever was forwarded. One writer for a page. */
void removed_add(struct forward_commit *page, const struct removed_file *f);
/* The logger: moves *c over files that are gone, counts what it had not come to as dropped and not told. there: the cursor's
 * file is in a list that was made before this call. How many lines. */
uint64_t removed_take(const struct forward_commit *page, struct cursor *c, bool there);
/* False: it is not told that the cursor's file was removed. *time_s: of its rotation. */
bool removed_when(const struct forward_commit *page, const struct cursor *c, int64_t *time_s);

#endif
