/* SPDX-License-Identifier: MPL-2.0
 *
 * network_attach.c - a zone's way into a network and out of it.
 *
 * Design: attaching is four steps, each undone when a later one fails: an address and a place in
 * the list of members (net_lock), the host's ports (ports.c), the veth pair and the zone's side of
 * it (netlink.c), the redirections (firewall.c). About 0.8 ms in all, most of it the kernel's for
 * the pair. Detaching gives back the first, second and fourth; the pair goes with the zone's
 * namespace.
 *
 * Threads: all of it is called by workers; net_lock is never held over a blocking call.
 */
#include "network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack.h"
#include "endpoint_opts.h"
#include "faults.h"
#include "netlink.h"
#include "network_linger.h"
#include "network_private.h"
#include "ports.h"
#include "resolver.h"
#define LOG_MODULE "network"
#include "log.h"
#include "str.h"

/* What the later steps need of the network, copied under the lock. */
struct plan {
	char bridge[16];
	uint32_t ip, gateway;
	int prefix;
	struct in6_addr ip6, gateway6;
	int prefix6; /* 0: no IPv6 */
	int mtu;
	bool icc, internal;
	char host_ip[46];
	uint8_t mac[6];
};

static int parse_mac(const char *s, uint8_t mac[6])
{
	unsigned v[6];
	char end;

	if (strlen(s) > 17 || sscanf(s, "%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%c",
				     &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &end) != 6)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)v[i];
	return 0;
}

/* Docker's: 02:42 and the address. */
static void mac_from_ip(uint32_t ip, uint8_t mac[6])
{
	mac[0] = 0x02;
	mac[1] = 0x42;
	for (unsigned i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(ip >> (24 - 8 * i));
}

/* The caller holds net_lock. Whether the subnets are the user's, and have the addresses. */
static void address_faults(const struct net *n, const char *ip, const char *ip6, char ***faults)
{
	static const char not_chosen[] = "user specified IP address is supported only when connecting to networks "
					 "with user configured subnets";
	static const char outside[] = "no configured subnet or ip-range contain the IP address %.100s";
	struct in6_addr want6;
	uint32_t want;

	if (n->builtin)
		return;
	if (!str_empty(ip) && !n->user_subnet)
		strv_add(faults, not_chosen);
	else if (!str_empty(ip) && (ip4_parse(ip, &want) < 0 || !ip4_contains(&n->subnet, want)))
		strv_addf(faults, outside, ip);
	if (!str_empty(ip6) && !n->user_subnet6)
		strv_add(faults, not_chosen);
	else if (!str_empty(ip6) && (ip6_parse(ip6, &want6) < 0 || !ip6_contains(&n->subnet6, &want6)))
		strv_addf(faults, outside, ip6);
}

void network_address_faults(const char *ref, const char *ip, const char *ip6, char ***faults)
{
	struct err ignored = { 0 };
	struct net *n;

	pthread_mutex_lock(&net_lock);
	if (net_find(ref, &n, &ignored) >= 0)
		address_faults(n, ip, ip6, faults);
	pthread_mutex_unlock(&net_lock);
}

static int choose_ip4(struct net *n, const struct endpoint *ep, struct plan *p, struct err *err)
{
	uint32_t want = 0;

	if (!str_empty(ep->want_ip) && ip4_parse(ep->want_ip, &want) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid IPv4 address: %s", ep->want_ip);
	return ipam_alloc(&n->ipam, want, &p->ip, err);
}

static int choose_ip6(struct net *n, const struct endpoint *ep, struct plan *p, struct err *err)
{
	bool fixed = !str_empty(ep->want_ip6);
	struct in6_addr want;
	int rc;

	if (fixed && ip6_parse(ep->want_ip6, &want) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid IPv6 address: %s", ep->want_ip6);
	if (!n->subnet6.prefix)
		return 0;
	if ((rc = ipam6_alloc(&n->ipam6, fixed ? &want : NULL, &p->ip6, err)) < 0)
		return rc;
	p->prefix6 = n->subnet6.prefix;
	if (!n->internal)
		p->gateway6 = n->gateway6;
	return 0;
}

static int choose_addresses(struct net *n, struct endpoint *ep, struct plan *p, struct err *err)
{
	cleanup_strv char **faults = NULL; /* the network may be another one since the container was created */
	int rc;

	address_faults(n, ep->want_ip, ep->want_ip6, &faults);
	if ((rc = faults_err(faults, "invalid endpoint settings:", err)) < 0)
		return rc;
	if (!str_empty(ep->want_mac) && parse_mac(ep->want_mac, p->mac) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid MAC address: %s", ep->want_mac);
	if ((rc = choose_ip4(n, ep, p, err)) < 0)
		return rc;
	if ((rc = choose_ip6(n, ep, p, err)) < 0) {
		ipam_release(&n->ipam, p->ip);
		return rc;
	}
	if (str_empty(ep->want_mac))
		mac_from_ip(p->ip, p->mac);
	return 0;
}

/* What others and inspect see of it. */
static void show_addresses(struct endpoint *ep, const struct plan *p)
{
	ip4_format(p->ip, ep->ip);
	if (p->gateway)
		ip4_format(p->gateway, ep->gateway);
	ep->prefix_len = p->prefix;
	if (p->prefix6)
		ip6_format(&p->ip6, ep->ip6);
	if (!ip6_is_zero(&p->gateway6))
		ip6_format(&p->gateway6, ep->gateway6);
	ep->prefix_len6 = p->prefix6;
	snprintf(ep->mac, sizeof(ep->mac), "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1],
		 p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
}

/* Address and membership; fills ep and p. */
static int try_join(struct endpoint *ep, const char *ct_id, const char *ct_name, struct plan *p,
		    struct err *err)
{
	struct net_member *told = NULL;
	struct net *n;
	int rc;

	pthread_mutex_lock(&net_lock);
	rc = net_find(ep->network, &n, err);
	if (rc >= 0 && n->driver == NET_BRIDGE)
		rc = choose_addresses(n, ep, p, err);
	if (rc >= 0) {
		id_generate(ep->endpoint_id);
		memcpy(ep->network_id, n->id, sizeof(ep->network_id));
		free(ep->network); /* it may have been named by its id */
		ep->network = xstrdup(n->name);
		if (n->driver == NET_BRIDGE) {
			memcpy(p->bridge, n->bridge, sizeof(p->bridge));
			memcpy(p->host_ip, n->host_ip, sizeof(p->host_ip));
			p->gateway = n->internal ? 0 : n->gateway;
			p->prefix = n->subnet.prefix;
			p->mtu = n->mtu;
			p->icc = n->icc;
			p->internal = n->internal;
			show_addresses(ep, p);
		}
		net_member_add(n, ep, ct_id, ct_name, p->ip, &p->ip6);
		if (!n->builtin) {
			told = net_member_copy(n->members);
		} else { /* nobody is found by name there */
			strv_free(ep->dns_names);
			ep->dns_names = NULL;
		}
	}
	pthread_mutex_unlock(&net_lock);
	if (told) {
		resolver_member_set(ep->network_id, ep->network, told);
		net_member_free(told);
	}
	return rc;
}

/* What only lingers there (network_linger.c) gives way. */
static int join(struct endpoint *ep, const char *ct_id, const char *ct_name, struct plan *p, struct err *err)
{
	struct err first = { 0 };
	char id[65];
	int rc = try_join(ep, ct_id, ct_name, p, &first);

	if (rc >= 0)
		return rc;
	if (network_resolve(ep->network, id, err) >= 0 && network_linger_make_room(id, ep, rc == -ENOSPC)) {
		*p = (struct plan){ 0 };
		return try_join(ep, ct_id, ct_name, p, err);
	}
	*err = first;
	return rc;
}

/* A port for all of the host's addresses is one for each family that the zone has. */
static struct port_binding *host_bindings(const struct plan *p, const struct port_binding *want,
					  size_t n, size_t *n_out)
{
	struct port_binding *v = xcalloc(n * 2, sizeof(*v));
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		struct port_binding *b = &v[count++];

		*b = want[i];
		if (!str_empty(b->host_ip))
			continue;
		str_copy(b->host_ip, sizeof(b->host_ip), p->host_ip);
		if (!p->prefix6)
			continue;
		b = &v[count++];
		*b = want[i];
		str_copy(b->host_ip, sizeof(b->host_ip), "::");
		b->pair = true;
	}
	*n_out = count;
	return v;
}

static int publish(struct endpoint *ep, const struct plan *p, const char *ct_name,
		   const struct port_binding *want, size_t n, struct err *err)
{
	cleanup_free struct port_binding *w = NULL;
	struct port_binding *v;
	int rc;

	if (!n || p->internal)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (strchr(want[i].host_ip, ':') && !p->prefix6)
			return err_kind(err, ERR_BAD_PARAM,
					"cannot publish port %u/%s on IPv6 address %s: network %s "
					"has no IPv6",
					want[i].ct_port, want[i].proto, want[i].host_ip,
					ep->network);
	w = host_bindings(p, want, n, &n);
	v = xcalloc(n, sizeof(*v));
	rc = ports_take(ep->endpoint_id, strchr(w->host_ip, ':') ? ep->ip6 : ep->ip, w, n, v, err);
	if (rc < 0) {
		free(v);
		return err_wrap(
			err, rc,
			"driver failed programming external connectivity on endpoint %s (%s)",
			ct_name, ep->endpoint_id);
	}
	ep->ports = v;
	ep->n_ports = n;
	return 0;
}

static int plug_in(const struct plan *p, const struct endpoint *ep, int netns_fd,
		   const char *ifname, bool default_route, char host_name[16], struct err *err)
{
	struct nl_veth v = { .peer_name = ifname,
			     .netns_fd = netns_fd,
			     .mtu = p->mtu,
			     .isolated = !p->icc,
			     .hairpin = ep->n_ports };
	struct nl_inside in = { .ifname = ifname,
				.ip = p->ip,
				.prefix = p->prefix,
				.ip6 = p->ip6,
				.prefix6 = p->prefix6,
				.link_locals = ep->link_locals };
	int rc = -EEXIST;

	v.master = nl_ifindex(p->bridge);
	if (!v.master)
		return err_sysnum(err, ENODEV, "find bridge %s", p->bridge);
	memcpy(v.mac, p->mac, 6);
	v.host_name = host_name;
	for (unsigned tries = 0; rc == -EEXIST && tries < 8; tries++) {
		uint32_t r;

		random_bytes(&r, sizeof(r));
		snprintf(host_name, 16, "veth%07x", r & 0xfffffff);
		rc = nl_veth_make(&v, err);
	}
	if (rc < 0) {
		host_name[0] = '\0';
		return rc == -EEXIST ? err_kind(err, ERR_SYSTEM, "error renaming interface to \"%s\": file exists",
						ifname)
				     : rc;
	}
	if (default_route) {
		in.gateway = p->gateway;
		in.gateway6 = p->gateway6;
	}
	return nl_inside_setup(netns_fd, &in, err);
}

void net_endpoint_reset(struct endpoint *ep)
{
	free(ep->ports);
	ep->ports = NULL;
	ep->n_ports = 0;
	ep->endpoint_id[0] = ep->ip[0] = ep->gateway[0] = ep->mac[0] = '\0';
	ep->ip6[0] = ep->gateway6[0] = '\0';
	ep->prefix_len = ep->prefix_len6 = 0;
	ep->connected = false;
}

/* Undoes what was done, in reverse. */
static void undo_attach(struct endpoint *ep, const char *ct_id, const char *host_name)
{
	struct err ignored = { 0 };
	int ifindex = host_name[0] ? nl_ifindex(host_name) : 0;

	if (ifindex && nl_link_del(ifindex, &ignored) < 0)
		log_warn("link stays", "link=%s why=%s", host_name, log_q(ignored.msg));
	ports_release(ep->endpoint_id);
	net_leave(ep, ct_id);
	net_endpoint_reset(ep);
}

static int check_link_locals(const struct endpoint *ep, const struct plan *p, struct err *err)
{
	for (char **s = ep->link_locals; s && *s; s++) {
		struct in6_addr ip6;
		uint32_t ip;
		bool four = ip4_parse(*s, &ip) == 0;

		if (four ? !str_starts(*s, "169.254.") : ip6_parse(*s, &ip6) < 0 || !IN6_IS_ADDR_LINKLOCAL(&ip6))
			return err_kind(err, ERR_BAD_PARAM, "invalid link local IP address: %s", *s);
		if (!four && !p->prefix6)
			return err_kind(err, ERR_BAD_PARAM,
					"link-local IPv6 address %s in network %s, which has no IPv6", *s, ep->network);
	}
	return 0;
}

int network_attach(struct endpoint *ep, const char *ct_id, const char *ct_name, int netns_fd,
		   const char *ifname, bool default_route, const struct port_binding *want,
		   size_t n_want, struct err *err)
{
	char host_name[16] = "";
	struct plan p = { 0 };
	int rc;

	if (net_is_shared(ep->network)) {
		ep->connected = true;
		return 0;
	}
	net_endpoint_reset(ep);
	if ((rc = join(ep, ct_id, ct_name, &p, err)) < 0)
		return rc;
	if (p.bridge[0]) {
		if ((rc = check_link_locals(ep, &p, err)) < 0 ||
		    (rc = publish(ep, &p, ct_name, want, n_want, err)) < 0 ||
		    (rc = plug_in(&p, ep, netns_fd, ifname, default_route, host_name, err)) < 0 ||
		    (rc = endpoint_sysctls_set(ep, ifname, netns_fd, err)) < 0 ||
		    (rc = firewall_ports_add(ep, err)) < 0) {
			undo_attach(ep, ct_id, host_name);
			return rc;
		}
		conntrack_forget_udp(ep);
	}
	ep->connected = true;
	return 0;
}

void net_ports_release(const struct endpoint *ep)
{
	firewall_ports_del(ep);
	conntrack_forget_udp(ep);
	ports_release(ep->endpoint_id);
}

void network_detach(struct endpoint *ep, const char *ct_id)
{
	if (!net_is_shared(ep->network) && ep->endpoint_id[0]) {
		net_ports_release(ep);
		net_leave(ep, ct_id);
	}
	net_endpoint_reset(ep);
}

/* Bindings of IPv6 that cannot move along to a network without it. */
static size_t drop_ip6(struct port_binding *v, size_t n, const char *ct_name)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!strchr(v[i].host_ip, ':'))
			v[kept++] = v[i];
		else
			log_warn("port is not published any more: no IPv6", "ct=%s port=%u",
				 ct_name, v[i].ct_port);
	}
	return kept;
}

int network_publish(struct endpoint *ep, const char *ct_name, struct port_binding *want,
		    size_t n_want, struct err *err)
{
	struct plan p = { 0 };
	struct net *n;
	int rc;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	if (n) {
		memcpy(p.host_ip, n->host_ip, sizeof(p.host_ip));
		p.internal = n->internal;
		p.prefix6 = n->subnet6.prefix;
	}
	pthread_mutex_unlock(&net_lock);
	if (!n || ip4_parse(ep->ip, &p.ip) < 0 || ep->n_ports)
		return 0;
	if (!p.prefix6)
		n_want = drop_ip6(want, n_want, ct_name);
	if ((rc = publish(ep, &p, ct_name, want, n_want, err)) < 0)
		return rc;
	if ((rc = firewall_ports_add(ep, err)) < 0) {
		ports_release(ep->endpoint_id);
		free(ep->ports);
		ep->ports = NULL;
		ep->n_ports = 0;
		return rc;
	}
	conntrack_forget_udp(ep);
	return 0;
}

int network_unplug(const struct endpoint *ep, int netns_fd, struct err *err)
{
	uint8_t mac[6];

	if (parse_mac(ep->mac, mac) < 0)
		return 0;
	return nl_inside_del(netns_fd, mac, err);
}

int network_set_gateway(const struct endpoint *ep, int netns_fd, struct err *err)
{
	struct in6_addr gateway6 = { 0 };
	uint32_t gateway = 0;
	uint8_t mac[6] = { 0 };

	if (ep && ep->gateway[0] &&
	    (ip4_parse(ep->gateway, &gateway) < 0 || parse_mac(ep->mac, mac) < 0))
		return err_kind(err, ERR_SYSTEM, "endpoint without an address");
	if (ep && ep->gateway6[0] && ip6_parse(ep->gateway6, &gateway6) < 0)
		return err_kind(err, ERR_SYSTEM, "endpoint without an IPv6 address");
	return nl_inside_gateway(netns_fd, mac, gateway, &gateway6, err);
}

int network_free_ifname(int netns_fd, char name[16], struct err *err)
{
	return nl_inside_free_name(netns_fd, name, err);
}
