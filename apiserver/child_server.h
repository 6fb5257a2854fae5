/* SPDX-License-Identifier: MPL-2.0
 *
 * child_server.h - a process of our own program that takes orders, with descriptors, from a socket for as long as the engine
 * lives: `apiserver OPTION`, the socket being its descriptor CHILD_SERVER_SOCKET.
 */
#ifndef APISERVER_CHILD_SERVER_H
#define APISERVER_CHILD_SERVER_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

#define CHILD_SERVER_SOCKET 3

struct child_server {
	const char *option, *name; /* what the program is called with; how messages call it */
	pthread_mutex_t lock;
	int fd;
	pid_t pid;
};

#define CHILD_SERVER(option_, name_)                                                               \
	{                                                                                          \
		.option = option_, .name = name_, .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1      \
	}

/* Worker. One packet; the descriptors stay the caller's. Starts the server when there is none (any more). */
int child_server_send(struct child_server *s, const void *p, size_t len, const int *fds,
		      size_t n_fds, struct err *err);

#endif
