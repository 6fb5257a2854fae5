/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_wire.h - what apiserver (resolver_client.c) and the resolver (resolver_main.c) say to each other: SEQPACKET frames
 * on <run>/resolver.sock, each a JSON object with "op", answered by {"rc":0} or {"rc":-errno,"msg":...}. One client at a
 * time; a newer one takes over.
 *
 *	hello			all that is known is in doubt until it is named again
 *	member		net, name, ct, ep, ip, names[], links[]
 *	unmember	net, ep
 *	zone			ct, servers[]; with the zone's network namespace as descriptor
 *	unzone		ct
 *	settled			what is still in doubt goes
 *	quit
 */
#ifndef APISERVER_RESOLVER_WIRE_H
#define APISERVER_RESOLVER_WIRE_H

#define RESOLVER_LISTEN_FD 3

#endif
