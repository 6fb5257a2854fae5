/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_msg.h - one message on its way to a sink: a line of the host log, or a piece of a split one.
 */
#ifndef LOGSVC_SINK_MSG_H
#define LOGSVC_SINK_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink_msg {
	const char *line; /* without the newline */
	size_t len;
	int64_t time_ns;
	bool is_stderr;
	/* pieces of a line that was longer than 16 KiB */
	bool partial;
	bool partial_last;
	unsigned partial_ordinal; /* from 1 */
	char partial_id[65];
};

/* Who speaks: the same for every message of a zone. Strings are borrowed for the encoder's life. */
struct sink_source {
	const char *container_id; /* 64 hex */
	const char *container_name; /* without the slash */
	const char *image_id;	  /* sha256:... */
	const char *image_name;
	const char *command;
	const char *tag;	  /* expanded */
	const char *hostname;	  /* the host's */
	int64_t created_ns;
	int pid;		  /* of the zone's first process */
	const char *const *attrs;	  /* "key", "value", ... sorted by key, NULL-terminated */
};

#endif
