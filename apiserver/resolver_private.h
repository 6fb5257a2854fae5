/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_private.h - what resolver.c (UDP, the thread) and resolver_tcp.c share. They make up the
 * server, which runs in a process of its own (resolver_main.c).
 */
#ifndef APISERVER_RESOLVER_PRIVATE_H
#define APISERVER_RESOLVER_PRIVATE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns_msg.h"
#include "err.h"

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
	bool stale; /* the apiserver that is there now has not named it (yet) */
	struct rs_zone *next;
};

/* ---- any thread of the resolver's process ---- */
/* Serves a zone, or gives one that is served already other servers. netns_fd stays the caller's. */
int rs_zone_start(const char *ct_id, int netns_fd, char *const *upstreams, struct err *err);
void rs_zone_stop(const char *ct_id);
void rs_mark_stale(void);
void rs_drop_stale(void);
bool rs_is_idle(void); /* serves no zone */
void rs_fini(void);

/* ---- under the lock ---- */
int rs_watch(struct rs_source *src, int fd, uint32_t events); /* fd becomes src's; 0 or -errno */
void rs_rewatch(struct rs_source *src, uint32_t events);
void rs_close(struct rs_source *src);
/* The reply from memory: its length, 0 when the outside has to be asked. */
size_t rs_answer(const struct rs_zone *z, const uint8_t *msg, const struct dns_query *q,
		 uint8_t *out);
/* A non-blocking socket for upstream i, not connected; < 0: none. */
int rs_upstream_socket(const struct rs_zone *z, unsigned i, int type, struct sockaddr_in *sa);

/* resolver_tcp.c */
void rs_tcp_accept(struct rs_source *listener, uint32_t events);
void rs_tcp_drop(struct rs_zone *z);
int64_t rs_tcp_timers(int64_t now_ns); /* the next deadline, 0: none */

#endif
