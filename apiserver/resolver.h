/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver.h - 127.0.0.11, the name server inside every zone that is in a user-defined network. It
 * is a process of its own, one for an engine, which goes on when apiserver stops or dies: names are
 * something that zones need. Own lock; any thread.
 */
#ifndef APISERVER_RESOLVER_H
#define APISERVER_RESOLVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define RESOLVER_ADDRESS "127.0.0.11"

/* Takes over a resolver that a predecessor of ours left running; none is fine. */
void resolver_init(void);
/* last: no zone runs any more; the resolver ends. */
void resolver_fini(bool last);

/* The order to serve a zone; upstreams: IPv4 addresses, asked in this order for names that no
 * network has. */
void resolver_order_zone(const char *ct_id, char *const *upstreams, struct buf *out);
/* Gives it. Starts the process when it is not there. netns_fd stays the caller's. Worker. */
int resolver_start(const struct buf *zone_order, int netns_fd, struct err *err);
void resolver_stop(const char *ct_id); /* none: fine */
/* A member of a user-defined network came or went; without a resolver there is nobody to tell. Not
 * with net_lock. */
struct net_member;
void resolver_member_set(const char *network_id, const char *network, const struct net_member *m);
void resolver_member_del(const char *network_id, const char *endpoint_id);
/* Recovery is through: what has not been named since resolver_init is forgotten. */
void resolver_settled(void);

/* ---- the process: apiserver --resolver, a listening socket on descriptor 3 ---- */
#define RESOLVER_OPTION "--resolver"
int resolver_main(void);

/* ---- what it asks (network_names.c) ---- */

struct name_address {
	uint32_t ip;	     /* 0: none; host order */
	struct in6_addr ip6; /* zeroes: none */
};
/* Addresses of name as the zone sees it: the members of its user-defined networks by name, short id
 * and alias, each also with ".NETWORK". Returns how many are in v; *known is true for a known name
 * without an address too. */
size_t network_lookup(const char *ct_id, const char *name, struct name_address *v, size_t max,
		      bool *known);
/* The reverse, by either address: "name.network". */
bool network_lookup_ip(const char *ct_id, const struct name_address *a, char *name, size_t size);

#endif
