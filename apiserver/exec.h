/* SPDX-License-Identifier: MPL-2.0
 *
 * exec.h - the execs of all containers: what was asked for, what became of it. Loop thread.
 *
 *	created --start--> starting --zoneadmd--> running --ExecExited--> ended --5 min--> forgotten
 *	                      +----- failed (no such command ...) ----------^
 */
#ifndef APISERVER_EXEC_H
#define APISERVER_EXEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "apiserver/container.h"
#include "apiserver/zone.h"
#include "err.h"

enum exec_status { EXEC_CREATED, EXEC_STARTING, EXEC_RUNNING, EXEC_ENDED };

struct exec;
typedef void exec_ended_fn(struct exec *ex, void *arg);

struct exec {
	char id[65];
	char ct_id[65];
	unsigned refs;
	enum exec_status status;
	json_t *config; /* the body of the create request */
	bool tty, attach_stdin, attach_stdout, attach_stderr, can_remove;
	uint8_t detach_keys[16];
	size_t n_detach_keys;
	int pid;
	bool has_exit_code;
	int exit_code;
	unsigned rows, cols;	 /* of the create or start request; 0: unset */
	bool streams_ended;	 /* the client has been given all output */
	exec_ended_fn *on_ended; /* one listener */
	void *on_ended_arg;
	int64_t ended_ns;
};

/* Takes config. name: what the caller calls the container. It must run: CONFLICT otherwise, Docker's words. Emits exec_create. */
int exec_create(struct container *ct, const char *name, json_t *config, struct exec **out, struct err *err);
/* By full id; NOT_FOUND "No such exec instance: X". Borrowed. */
struct exec *exec_find(const char *id, struct err *err);
struct exec *exec_ref(struct exec *ex);
void exec_unref(struct exec *ex);

/* Runs it. done gets the descriptors (its to keep) or err with the exit code set in ex. Emits
 * exec_start. */
typedef void exec_started_fn(struct exec *ex, void *arg, struct zone_exec_fds *fds,
			     const struct err *err);
void exec_start(struct exec *ex, bool detach, exec_started_fn *done, void *arg);

/* From the zone. */
void exec_exited(const char *ct_id, const char *exec_id, int exit_code);
/* The container's run has ended: whatever still ran in it is over. */
void execs_killed(struct container *ct);
/* The container is gone, and its execs with it. */
void execs_forget(const char *ct_id);
/* After a restart of ours nothing is known of the execs that ran. */

#endif
