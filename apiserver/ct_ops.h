/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_ops.h - the operations on a container that op_*.c do, for the handlers and for each other.
 * Loop thread; each is called with the container's operation held (container_op_begin) unless it
 * says otherwise, keeps a reference of its own, and calls done once, on the loop, maybe at once.
 */
#ifndef APISERVER_CT_OPS_H
#define APISERVER_CT_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/container.h"
#include "apiserver/request.h"
#include "err.h"

/* err is NULL when it worked; borrowed for the call. */
typedef void op_done_fn(struct container *ct, void *arg, const struct err *err);

/* op_create.c: answers the request by itself. */
void op_create(struct req *r);
/* For ourselves: body as of POST create, extra (taken, may be NULL) becomes the container's. No operation needs
 * to be held. tell is called once; warnings are borrowed. */
typedef void op_created_fn(void *arg, const char *id, char *const *warnings, const struct err *err);
void op_create_internal(const char *body, json_t *extra, op_created_fn *tell, void *arg);

/* op_start.c. The container must not run. restart_count is kept by a policy's start, cleared by a
 * user's. */
void op_start(struct container *ct, bool by_policy, op_done_fn *done, void *arg);
/* Docker's answer to "may this one be started": 0, or NOT_MODIFIED / CONFLICT. */
int op_start_check(const struct container *ct, struct err *err);

/* op_stop.c */
/* Sends the signal (0: the container's stop signal), and SIGKILL after timeout_s (< 0: never; 0: at
 * once), and waits for the end. A container that does not run is done already. No operation needs
 * to be held. */
void op_stop(struct container *ct, int signo, int timeout_s, op_done_fn *done, void *arg);
/* Only sends the signal, Docker's way: a stop signal ends the restart policy, thaws a paused
 * container. */
void op_signal(struct container *ct, int signo, op_done_fn *done, void *arg);
int ct_stop_signal(const struct container *ct);
int ct_stop_timeout(const struct container *ct); /* seconds */

/* op_update.c. The body of POST update; warnings: owned vector. */
typedef void op_update_fn(void *arg, char **warnings, const struct err *err);
void op_update(struct container *ct, const char *body, size_t len, int api_version, op_update_fn *done, void *arg);
void op_pause(struct container *ct, bool pause, op_done_fn *done, void *arg);
void op_rename(struct container *ct, const char *new_name, op_done_fn *done, void *arg);

/* op_remove.c. Begins the operation itself. size_out, if not NULL, gets the bytes that were freed;
 * it must live until done, which gets a container that is no longer in the index. */
struct op_remove_opts {
	bool force, volumes;
	int64_t *size_out;
};
void op_remove(struct container *ct, const struct op_remove_opts *o, op_done_fn *done, void *arg);

/* op_unlink.c. Takes the link name ("web/sql") away from its container, whose operation it begins itself; done gets
 * that container, or NULL where name is no link's. */
void op_unlink(const char *name, op_done_fn *done, void *arg);

#endif
