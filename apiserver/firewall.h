/* SPDX-License-Identifier: MPL-2.0
 *
 * firewall.h - our one nftables table: NAT of published ports, masquerading, isolation. Own lock;
 * any thread.
 */
#ifndef APISERVER_FIREWALL_H
#define APISERVER_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "ipam.h"
#include "ipam6.h"
#include "network.h"

/* Makes the table, or renews the rules of one that is there and keeps its ports: zones that run
 * through a restart of ours stay reachable. Turns IPv4 forwarding on, and IPv6 forwarding with the
 * first network that has it. */
int firewall_init(const char *table, struct err *err);
void firewall_fini(bool remove);

struct fw_net {
	const char *bridge;
	struct ip4_net subnet;
	struct ip6_net subnet6; /* prefix 0: none */
	bool internal;	 /* nothing in or out but within the bridge and to the host */
	bool masquerade; /* what leaves has the host's address */
};
int firewall_net_add(const struct fw_net *net, struct err *err);
void firewall_net_del(const struct fw_net *net);

/* Redirects the endpoint's host ports (host_ip and host_port are set) to its address of the same
 * family. All or none. */
int firewall_ports_add(const struct endpoint *ep, struct err *err);
void firewall_ports_del(const struct endpoint *ep);

/* Recovery: firewall_ports_adopt claims what is there already and adds what is missing;
 * firewall_adopt_end removes what nobody claimed. */
int firewall_ports_adopt(const struct endpoint *ep, struct err *err);
void firewall_adopt_end(void);

/* In a zone's namespace: what is sent to 127.0.0.11 port 53 goes to these ports of 127.0.0.11.
 * Replaces earlier ones. */
int firewall_dns_redirect(int netns_fd, uint16_t udp_port, uint16_t tcp_port, struct err *err);

#endif
