/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_loop.h - the work of a logger: from the log to the sink, the cursor behind it.
 */
#ifndef LOGSVC_LOGGER_LOOP_H
#define LOGSVC_LOGGER_LOOP_H

#include <signal.h>
#include <stdint.h>

#include "forward_page.h"
#include "logger_sink.h"

struct logger {
	const char *uuid;
	int files_sock;
	int cursor_fd;
	const struct forward_commit *page;
	struct forward_status *status;
	struct sink *sink;
	int64_t max_backlog; /* bytes */
	int64_t grace_ns;    /* after the zone's end */
	volatile sig_atomic_t *stop;
};

/* Returns when all is delivered and the zone does not run, or when told to stop: 0; or 1. */
int logger_run(struct logger *l);

#endif
