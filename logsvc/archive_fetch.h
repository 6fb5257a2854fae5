/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_fetch.h - brings a stored log back for a reader.
 */
#ifndef LOGSVC_ARCHIVE_FETCH_H
#define LOGSVC_ARCHIVE_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "archive_index.h"
#include "conf.h"
#include "err.h"
#include "logset.h"
#include "loop.h"

void fetches_start(const struct conf *conf); /* before this, and without a store, nothing is archived */

/* The oldest stored file that is newer than after_s, that may have records from since_ns on, and that comes before every file
 * which is here and is newer than after_s. False: go on with those. Any thread; reads the index. */
bool archive_next(struct logset *set, int64_t after_s, int64_t since_ns, struct archive_entry *out, int64_t *time_s);

struct fetch;
/* The loop's thread: text in out_fd (the caller's; empty), and then done is called, error NULL: all of it is there and right.
 * NULL with err: it cannot be begun. */
typedef void fetch_done_fn(void *arg, const char *error);
struct fetch *fetch_new(struct loop *loop, const struct archive_entry *e, int out_fd, fetch_done_fn *done, void *arg, struct err *err);
void fetch_free(struct fetch *f); /* also while it runs: done is not called then. NULL is fine */

#endif
