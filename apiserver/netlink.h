/* SPDX-License-Identifier: MPL-2.0
 *
 * netlink.h - links, addresses and routes by raw rtnetlink. Blocking, any thread.
 *
 * Calls without a socket work on the host's network. Addresses are in host byte order.
 */
#ifndef APISERVER_NETLINK_H
#define APISERVER_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "ipam.h"
#include "ipam6.h"

/* All subnets that the host has a route to or an address in, default routes and device skip_ifindex
 * left out. *out is owned. */
int nl_used_nets(int skip_ifindex, struct ip4_net **out, size_t *n, struct err *err);
/* The first IPv4 address of a device; -ENOENT without err when it has none. */
int nl_addr_get(int ifindex, uint32_t *ip, int *prefix);

int nl_ifindex(const char *name); /* 0: no such device */
/* Makes the bridge if there is none of this name; fixed MAC; returns its index. mtu 0: the
 * kernel's. */
int nl_bridge_make(const char *name, int mtu, const uint8_t mac[6], struct err *err);
int nl_addr_add(int ifindex, uint32_t ip, int prefix, struct err *err); /* there already: fine */
int nl_addr6_add(int ifindex, const struct in6_addr *ip, int prefix, struct err *err); /* likewise */
int nl_addr_del(int ifindex, uint32_t ip, int prefix, struct err *err);
int nl_link_up(int ifindex, struct err *err);
/* Waits for the kernel's grace period, tens of ms for a veth. */
int nl_link_del(int ifindex, struct err *err);

struct nl_veth {
	const char *host_name;
	const char *peer_name; /* inside */
	int netns_fd;
	int master; /* index of the bridge */
	int mtu;    /* 0: the kernel's */
	uint8_t mac[6];
	bool isolated; /* the bridge passes nothing between isolated ports */
	bool hairpin;  /* frames may leave by the port that they came from: where br_netfilter is
			* active, a zone  reaches its own published port that way */
};
/* The pair: host end up and in the bridge, peer in the namespace (down). -EEXIST when host_name is
 * taken. */
int nl_veth_make(const struct nl_veth *v, struct err *err);

struct nl_inside {
	const char *ifname;
	uint32_t ip;
	int prefix;
	uint32_t gateway; /* 0: no default route */
	struct in6_addr ip6, gateway6;
	int prefix6; /* 0: no IPv6, and no link-local address either */
	char *const *link_locals; /* further addresses, link-local ones, or NULL */
};
/* Inside the namespace: lo and ifname up, address, default route. */
int nl_inside_setup(int netns_fd, const struct nl_inside *in, struct err *err);
/* The first of eth0, eth1 ... that does not exist inside. */
int nl_inside_free_name(int netns_fd, char name[16], struct err *err);
/* Removes the device with this MAC inside the namespace (and so its peer). Missing is fine. */
int nl_inside_del(int netns_fd, const uint8_t mac[6], struct err *err);
/* Replaces the default routes inside by ones over the device with this MAC; a gateway of zeroes: no
 * route of that family. */
int nl_inside_gateway(int netns_fd, const uint8_t mac[6], uint32_t gateway,
		      const struct in6_addr *gateway6, struct err *err);

#endif
