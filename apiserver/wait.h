/* SPDX-License-Identifier: MPL-2.0
 *
 * wait.h - waiting for the end of a container's run, or for its removal. Loop thread.
 */
#ifndef APISERVER_WAIT_H
#define APISERVER_WAIT_H

#include <stdbool.h>

#include "apiserver/container.h"

enum ct_wait_for {
	WAIT_EXIT,    /* the next end of a run, whether or not a restart follows; or the removal */
	WAIT_REMOVED, /* the removal */
};

/* Called once; the waiter is gone then. ct's state holds the exit code and error. */
typedef void ct_wait_fn(struct container *ct, void *arg, bool removed);
struct ct_waiter *ct_wait(struct container *ct, enum ct_wait_for what, ct_wait_fn *fn, void *arg);
void ct_wait_cancel(struct container *ct, struct ct_waiter *w);

void ct_wait_exited(struct container *ct);
void ct_wait_removed(struct container *ct);

#endif
