/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_neigh.h - whether the next host on the way to a sink of datagrams answers for its address. One thread.
 */
#ifndef LOGSVC_SINK_NEIGH_H
#define LOGSVC_SINK_NEIGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct neigh {
	int fd;	    /* rtnetlink(7); -1: nothing can be asked */
	int udp_fd; /* not owned */
	uint32_t seq;
	struct sockaddr_storage peer;
	bool far;	 /* behind a router, or it is not known where */
	bool met;	 /* its address on the link has been known since neigh_open */
	bool asked;	 /* a datagram has been sent to ask or to try with */
	bool doubted;	 /* it refused what was sent before: it is tried with one datagram */
	int64_t look_ns; /* not to be looked at before */
	int64_t sent_ns;
};

/* udp_fd is connected, and kept open until neigh_close. */
void neigh_open(struct neigh *n, int udp_fd);
void neigh_close(struct neigh *n);
/* How many of count datagrams may be sent now: all, or one to ask with. Waits for the answer. -EHOSTUNREACH: there
 * is none, and what was sent before may not have arrived; -ETIMEDOUT. */
int neigh_wait(struct neigh *n, size_t count, int timeout_ms);
/* Of what has been sent: 1 it has gone to a host that answers, 0 that is not known yet, -EHOSTUNREACH it may be lost. */
int neigh_arrives(struct neigh *n);

#endif
