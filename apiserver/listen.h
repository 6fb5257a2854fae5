/* SPDX-License-Identifier: MPL-2.0
 *
 * listen.h - the sockets on which clients are awaited. Loop thread.
 */
#ifndef APISERVER_LISTEN_H
#define APISERVER_LISTEN_H

#include <stdbool.h>

#include "err.h"

/* unix:///path, or tcp://ip:port (also tcp://[v6]:port), with TLS when tls is set. A socket file of
 * an engine that is not there any more is replaced; one that answers is an error. group: who may
 * use a unix socket beside root, when there is such a group. */
int listen_open(const char *host, const char *group, bool tls, struct err *err);
/* The operators' socket: mode 0600, the admin table of route.c. */
int listen_open_admin(const char *path, struct err *err);
/* GET /metrics alone: IP:port as in Docker's metrics-addr, without TLS; or unix:///path, mode 0600. */
int listen_open_metrics(const char *addr, struct err *err);
/* Sockets that systemd has opened for us (LISTEN_FDS). _claim: first thing in main, so that no child inherits
 * them; _activated listens on them and returns how many there are. */
void listen_claim(void);
int listen_activated(bool tls, struct err *err);
void listen_close_all(void); /* and removes the socket files */

#endif
