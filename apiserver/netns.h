/* SPDX-License-Identifier: MPL-2.0
 *
 * netns.h - doing things inside a zone's network namespace, from any thread.
 */
#ifndef APISERVER_NETNS_H
#define APISERVER_NETNS_H

#include "err.h"

/* Starts the thread. Call once, before other threads use the rest. */
int netns_init(struct err *err);

/* Runs fn(arg) with the network namespace netns_fd as the current one; returns what fn returns.
 * Blocks; fn must be short (calls queue behind one another) and must not call back in here. */
int netns_call(int netns_fd, int (*fn)(void *arg, struct err *err), void *arg, struct err *err);

/* A socket that belongs to that namespace for as long as it is open: the fd, or negative errno. */
int netns_socket(int netns_fd, int domain, int type, int protocol, struct err *err);

#endif
