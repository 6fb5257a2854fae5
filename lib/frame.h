/* SPDX-License-Identifier: MPL-2.0
 *
 * frame.h - messages with descriptors over unix SOCK_SEQPACKET sockets.
 *
 * One packet is one protobuf message; descriptors ride along (SCM_RIGHTS, CLOEXEC). Paths longer
 * than sun_path are handled through /proc/self/fd. Blocking calls take a deadline; with
 * timeout_ms 0 they do not wait, and fail with -EAGAIN.
 */
#ifndef LIB_FRAME_H
#define LIB_FRAME_H

#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

#define FRAME_MAX     (128 * 1024)
#define FRAME_MAX_FDS 8

struct frame {
	struct buf data; /* one message */
	int fds[FRAME_MAX_FDS];
	size_t n_fds;
};

#define FRAME_INIT                                                                                 \
	{                                                                                          \
		.n_fds = 0                                                                         \
	}
#define cleanup_frame __attribute__((cleanup(frame_fini)))

void frame_fini(struct frame *f);    /* frees, and closes what was not taken (fds[i] = -1) */
int frame_take_fd(struct frame *f, size_t i); /* -1 when there is none */

/* A listening socket at path (an old one is unlinked), mode as given; CLOEXEC, non-blocking. */
int frame_listen(const char *path, mode_t mode, struct err *err);
int frame_accept(int listen_fd); /* CLOEXEC, non-blocking; -1 with errno */
int frame_connect(const char *path, int timeout_ms, struct err *err); /* the fd, or negative */
/* 0, -EAGAIN (full), -EPIPE (peer gone), other. Descriptors stay the caller's. */
int frame_send(int fd, const void *p, size_t len, const int *fds, size_t n_fds, int timeout_ms);
/* 1 a frame, 0 end, -EAGAIN nothing in time, other. A truncated packet is -EMSGSIZE. */
int frame_recv(int fd, struct frame *f, int timeout_ms);

#endif
