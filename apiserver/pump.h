/* SPDX-License-Identifier: MPL-2.0
 *
 * pump.h - private to reply.c, stream_pump.c and hijack.c: an open-ended reply and what client.c
 * tells it. Loop thread.
 */
#ifndef APISERVER_PUMP_H
#define APISERVER_PUMP_H

#include "client.h"

struct pump_ops {
	void (*on_drained)(struct pump *p); /* the client took all that was written */
	void (*on_gone)(struct pump *p);    /* frees the pump */
	void (*on_input)(struct pump *p);   /* NULL: not raw */
	bool (*wants_input)(const struct pump *p);
};
struct pump {
	const struct pump_ops *ops;
};

/* reply.c */
void reply_send_head(struct req *r, int status, const char *content_type, int64_t length);
void reply_finish(struct req *r);

/* A descriptor on the loop, with its own lifetime: closed, and freed, in uv's close callback. */
struct pump_fd;
typedef void pump_fd_cb(void *arg, bool error);
/* Takes fd, also on failure (NULL). A descriptor already watched is dup()ed. */
struct pump_fd *pump_fd_open(int fd, pump_fd_cb *cb, void *arg);
void pump_fd_watch(struct pump_fd *pf, int uv_events); /* 0: none */
int pump_fd_get(const struct pump_fd *pf);
void pump_fd_close(struct pump_fd *pf); /* NULL is fine */

#endif
