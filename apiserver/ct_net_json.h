/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_net_json.h - a container's ports and networks as JSON, for inspect and list. Loop thread.
 */
#ifndef APISERVER_CT_NET_JSON_H
#define APISERVER_CT_NET_JSON_H

#include "apiserver/container.h"
#include "jw.h"

/* One row: an exposed port, or one of its publications. */
struct ct_port {
	uint16_t port;
	char proto[5];
	const struct port_binding *published; /* NULL: exposed only; borrowed of ct */
};
/* Sorted; owned vector. None unless the container runs with a network of its own. */
size_t ct_ports(const struct container *ct, struct ct_port **out);

/* {"80/tcp":[{"HostIp":..,"HostPort":..}],"81/tcp":null} */
void write_port_map(struct jw *w, const char *key, const struct container *ct);
/* [{"IP":..,"PrivatePort":80,"PublicPort":..,"Type":"tcp"}] */
void write_port_list(struct jw *w, const char *key, const struct container *ct);
/* {"bridge":{...}}; whole: with aliases, links, DNS names and driver options, as inspect has it. */
void write_networks(struct jw *w, const char *key, const struct container *ct, int api_version,
		    bool whole);
/* The members that older clients read at the top of NetworkSettings: those of the default
 * bridge. */
void write_default_network(struct jw *w, const struct container *ct);

#endif
