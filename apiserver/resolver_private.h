/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_private.h - what resolver.c (UDP, the thread) and resolver_tcp.c share. All of it under resolver.c's lock.
 */
#ifndef APISERVER_RESOLVER_PRIVATE_H
#define APISERVER_RESOLVER_PRIVATE_H

#include <netinet/in.h>
#include <stdint.h>

#include "dns_msg.h"

/* A descriptor in the epoll set; embedded. */
struct rs_source {
	int fd; /* -1: none */
	uint32_t slot;
	void (*on_event)(struct rs_source *src, uint32_t events);
};

struct rs_zone {
	char ct_id[65];
	int netns_fd;
	char **upstreams; /* never NULL */
	struct rs_source udp, tcp;
	unsigned n_pending, n_tcp;
	struct rs_zone *next;
};

int rs_watch(struct rs_source *src, int fd, uint32_t events); /* fd becomes src's; 0 or -errno */
void rs_rewatch(struct rs_source *src, uint32_t events);
void rs_close(struct rs_source *src);
/* The reply from memory: its length, 0 when the outside has to be asked. */
size_t rs_answer(const struct rs_zone *z, const uint8_t *msg, const struct dns_query *q, uint8_t *out);
/* A non-blocking socket for upstream i, not connected; < 0: none. */
int rs_upstream_socket(const struct rs_zone *z, unsigned i, int type, struct sockaddr_in *sa);

/* resolver_tcp.c */
void rs_tcp_accept(struct rs_source *listener, uint32_t events);
void rs_tcp_drop(struct rs_zone *z);
int64_t rs_tcp_timers(int64_t now_ns); /* the next deadline, 0: none */

#endif
