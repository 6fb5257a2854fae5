/* SPDX-License-Identifier: MPL-2.0
 *
 * ports.h - the host's ports that zones have published: chosen, held, given back. Own lock; any
 * thread.
 */
#ifndef APISERVER_PORTS_H
#define APISERVER_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "network.h"

/* Takes a host port for each of want[i] in the name of owner (an endpoint id at ct_ip) and writes what it
 * took to out[i]: host_port == host_port_end. host_ip is never "" ("0.0.0.0" then). One with pair
 * set gets the port that the one before it gets. All or none. Taken by another zone:
 * "Bind for IP:PORT failed: port is already allocated"; by a program of the host: "... address
 * already in use"; all of a range: "all ports are allocated". */
int ports_take(const char *owner, const char *ct_ip, const struct port_binding *want, size_t n,
	       struct port_binding *out, struct err *err);
/* After a restart of ours: the same ports again. One that a program of the host grabbed meanwhile
 * is kept on the books (its traffic is the zone's by the NAT rules) and only logged. */
void ports_adopt(const char *owner, const struct port_binding *ports, size_t n);
void ports_release(const char *owner); /* NULL: everybody's, at the end */

#endif
