/* SPDX-License-Identifier: MPL-2.0
 *
 * network_linger.h - the network of a zone that has ended, while its logger still has lines to deliver. See the .c.
 * Worker, but for network_linger_recover (before the loop runs). Own lock, taken before net_lock and the resolver's.
 */
#ifndef APISERVER_NETWORK_LINGER_H
#define APISERVER_NETWORK_LINGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"

/* Instead of network_detach for each of eps, which are reset as there: ports and names are given back, addresses and the
 * name server stay until network_linger_end or until_ns (mono_ns()). netns_fd (-1: not known) is copied. */
void network_linger(const char *ct_id, const char *uuid, struct endpoint *eps, size_t n, int netns_fd, int64_t until_ns);
/* The rest is given back. Before the container's next start, and when its logger has ended; nothing lingers: fine. */
void network_linger_end(const char *uuid);
void network_linger_expire(int64_t now_ns); /* mono_ns() */
/* What lingers in a network gives way: to somebody who asks for one of its addresses (full: for any), or to the network's
 * own removal (ep NULL). False: nothing did. */
bool network_linger_make_room(const char *network_id, const struct endpoint *ep, bool full);
/* What a predecessor of ours let linger, by the files in the run folders. netns_of: asks logsvc, -1: nothing lingers. */
void network_linger_recover(const char *run_zones, int (*netns_of)(const char *uuid));

/* For a resolver that starts anew: fn for each endpoint, and the zone that it belongs to. */
struct net_member;
void network_linger_each(void (*fn)(void *arg, const struct endpoint *ep, const struct net_member *m), void *arg);

#endif
