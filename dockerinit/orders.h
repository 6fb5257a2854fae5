/* SPDX-License-Identifier: MPL-2.0
 *
 * orders.h - what dockerinit has to do: from the zone's metadata (PID 1), or from the spec of an
 * exec. Everything is allocated once and never freed: the process ends in execve.
 */
#ifndef DOCKERINIT_ORDERS_H
#define DOCKERINIT_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mdata_client.h"

struct orders {
	char **argv; /* at least one */
	char **env;
	const char *cwd; /* absolute */
	const char *user;
	const char *hostname;
	char **group_add;
	uint64_t caps;
	void *bpf; /* NULL: no filter */
	size_t bpf_len;
	unsigned umask;
	bool tty;
	bool no_new_privs;
	bool init;
};

/* Asks for all docker:* keys at once, as PID 1 (the server answers it as such once per run). */
int orders_from_metadata(struct orders *o, struct mdata_client *c, struct err *err);
/* text is changed and must stay. */
int orders_from_spec(struct orders *o, char *text, size_t len, struct err *err);

#endif
