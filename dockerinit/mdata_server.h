/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_server.h - the metadata socket of the zone: guests' protocol (V1 and V2), and the channel
 * of dockerinit while a run is being started.
 */
#ifndef DOCKERINIT_MDATA_SERVER_H
#define DOCKERINIT_MDATA_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* What the first process of a run says; see exec_spec.h. */
struct mdata_hooks {
	/* the first process of a run; true once per run. pid as we see it */
	bool (*grant)(int pid);
	void (*own_stdio)(uint32_t uid);
	void (*failed)(char *report); /* the ERR line, without "ERR " */
	void (*running)(void);	      /* its end of the connection closed without ERR */
};

/* path must fit a socket address. store_path and hooks are borrowed for ever. */
int mdata_server_listen(const char *path, const char *store_path, const struct mdata_hooks *hooks,
			struct err *err);
/* Reads all that the first process has said, to its end: for when that is known to be dead. */
void mdata_server_flush_init(void);
int mdata_server_set(const char *key, const char *value, size_t len, struct err *err);

#endif
