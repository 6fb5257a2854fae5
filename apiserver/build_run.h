/* SPDX-License-Identifier: MPL-2.0
 *
 * build_run.h - the container of a RUN instruction, from a build's worker. Worker, blocking.
 */
#ifndef APISERVER_BUILD_RUN_H
#define APISERVER_BUILD_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct build_ct {
	char id[65], uuid[37]; /* id "": none */
};

struct build_run_opts {
	/* The output as it comes, in whole lines unless one takes its time; is_err: standard error. */
	void (*output)(void *arg, bool is_err, const char *p, size_t len);
	/* asked several times a second; stopping: by the end of the daemon, which comes first */
	bool (*cancelled)(void *arg), (*stopping)(void *arg);
	void *arg;
};

/* body: of POST /containers/create. *warnings: owned vector. */
int build_ct_create(struct build_ct *bc, const char *body, char ***warnings,
		    const struct build_run_opts *o, struct err *err);
/* Starts it and waits for its end. -ECANCELED: it was cancelled and may still run. */
int build_ct_run(struct build_ct *bc, const struct build_run_opts *o, int *exit_code,
		 struct err *err);
/* Kills it if it runs; with its anonymous volumes. */
int build_ct_remove(struct build_ct *bc, const struct build_run_opts *o, struct err *err);

/* Loop, at start: true, and it is being removed, when ct was a build's that a death of ours cut
 * off. */
struct container;
bool build_ct_recover(struct container *ct);

#endif
