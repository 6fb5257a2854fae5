/* SPDX-License-Identifier: MPL-2.0
 *
 * conntrack.h - forgetting flows that NAT rules of old still steer. Blocking, any thread.
 */
#ifndef APISERVER_CONNTRACK_H
#define APISERVER_CONNTRACK_H

#include "network.h"

/* UDP has no connections, so a client that keeps its port goes on to where its first datagram went:
 * to a zone that is gone, or past a port that has been published since. Drops the entries of flows
 * to ep's addresses and of flows to its UDP host ports; without such a port it does nothing. */
void conntrack_forget_udp(const struct endpoint *ep);

#endif
