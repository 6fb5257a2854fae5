/* SPDX-License-Identifier: MPL-2.0
 *
 * network.c - the list of networks, and a zone's way in and out of one.
 *
 * Design: attaching is four steps, each undone when a later one fails: an address and a place in
 * the list of members (net_lock), the host's ports (ports.c), the veth pair and the zone's side of
 * it (netlink.c), the redirections (firewall.c). About 0.8 ms in all, most of it the kernel's for
 * the pair. Detaching gives back the first, second and fourth; the pair goes with the zone's
 * namespace.
 *
 * Threads: all of it is called by workers; net_lock is never held over a blocking call.
 * Failure: addresses and ports in use are nowhere on disk but in the containers' own records:
 * recovery calls network_adopt for each live zone and network_adopt_end when it is through.
 */
#include "network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack.h"
#include "netlink.h"
#include "network_private.h"
#include "ports.h"
#include "resolver.h"
#define LOG_MODULE "network"
#include "log.h"
#include "str.h"

pthread_mutex_t net_lock = PTHREAD_MUTEX_INITIALIZER;
struct net *net_list;

/* ---- the list ---- */

const char *net_driver_name(enum net_driver d)
{
	switch (d) {
	case NET_BRIDGE:
		return "bridge";
	case NET_HOST:
		return "host";
	case NET_NONE:
		return "null";
	}
	return "";
}

struct net *net_by_id(const char *id)
{
	for (struct net *n = net_list; n; n = n->next)
		if (str_eq(n->id, id))
			return n;
	return NULL;
}

int net_find(const char *ref, struct net **out, struct err *err)
{
	struct net *found = NULL;
	size_t hits = 0, len = strlen(ref);

	if (str_eq(ref, "default"))
		ref = "bridge";
	found = net_by_id(ref);
	for (struct net *n = net_list; n && !found; n = n->next)
		if (str_eq(n->name, ref))
			found = n;
	for (struct net *n = net_list; n && !found && len && !hits; n = n->next)
		hits += !strncmp(n->id, ref, len);
	if (!found && hits) {
		hits = 0;
		for (struct net *n = net_list; n; n = n->next) {
			if (strncmp(n->id, ref, len) != 0)
				continue;
			found = n;
			hits++;
		}
		if (hits > 1)
			return err_kind(
				err, ERR_BAD_PARAM,
				"network %s is ambiguous (%zu matches found based on ID prefix)",
				ref, hits);
	}
	if (!found)
		return err_kind(err, ERR_NOT_FOUND, "network %s not found", ref);
	*out = found;
	return 0;
}

void net_link(struct net *n)
{
	struct net **pp = &net_list;

	while (*pp)
		pp = &(*pp)->next;
	n->next = NULL;
	*pp = n;
}

void net_unlink(struct net *n)
{
	for (struct net **pp = &net_list; *pp; pp = &(*pp)->next) {
		if (*pp == n) {
			*pp = n->next;
			return;
		}
	}
}

void net_member_free(struct net_member *m)
{
	free(m->ct_name);
	strv_free(m->names);
	strv_free(m->links);
	free(m);
}

struct net_member *net_member_copy(const struct net_member *m)
{
	struct net_member *c = xcalloc(1, sizeof(*c));

	*c = *m;
	c->ct_name = xstrdup(m->ct_name);
	c->names = m->names ? strv_dup(m->names) : NULL;
	c->links = m->links ? strv_dup(m->links) : NULL;
	c->next = NULL;
	return c;
}

void net_free(struct net *n)
{
	if (!n)
		return;
	while (n->members) {
		struct net_member *m = n->members;

		n->members = m->next;
		net_member_free(m);
	}
	ipam_fini(&n->ipam);
	free(n->name);
	free(n->labels);
	free(n->options);
	free(n->ipam_options);
	free(n->aux_addresses);
	free(n);
}

struct fw_net net_firewall(const struct net *n)
{
	return (struct fw_net){ .bridge = n->bridge,
				.subnet = n->subnet,
				.internal = n->internal,
				.masquerade = n->masquerade };
}

int network_resolve(const char *ref, char id[65], struct err *err)
{
	struct net *n;
	int rc;

	pthread_mutex_lock(&net_lock);
	rc = net_find(ref, &n, err);
	if (rc >= 0)
		memcpy(id, n->id, 65);
	pthread_mutex_unlock(&net_lock);
	return rc;
}

int network_name(const char *id, char **name, struct err *err)
{
	struct net *n;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(id);
	if (n)
		*name = xstrdup(n->name);
	pthread_mutex_unlock(&net_lock);
	return n ? 0 : err_kind(err, ERR_NOT_FOUND, "network %s not found", id);
}

/* ---- members ---- */

static void add_name(char ***v, const char *name)
{
	if (!str_empty(name) && !(*v && strv_has(*v, name)))
		strv_add(v, name);
}

static char **member_names(const struct endpoint *ep, const char *ct_id, const char *ct_name)
{
	char short_id[13];
	char **v = NULL;

	str_copy(short_id, sizeof(short_id), ct_id);
	add_name(&v, ct_name);
	add_name(&v, short_id);
	for (char **a = ep->aliases; a && *a; a++)
		add_name(&v, *a);
	for (char **a = ep->dns_names; a && *a; a++)
		add_name(&v, *a);
	return v;
}

static void member_add(struct net *n, const struct endpoint *ep, const char *ct_id,
		       const char *ct_name, uint32_t ip)
{
	struct net_member *m = xcalloc(1, sizeof(*m));

	str_copy(m->ct_id, sizeof(m->ct_id), ct_id);
	str_copy(m->endpoint_id, sizeof(m->endpoint_id), ep->endpoint_id);
	str_copy(m->mac, sizeof(m->mac), ep->mac);
	m->ct_name = xstrdup(ct_name);
	m->names = member_names(ep, ct_id, ct_name);
	m->links = ep->links ? strv_dup(ep->links) : NULL;
	m->ip = ip;
	m->next = n->members;
	n->members = m;
}

/* Gives the address back. False: there was none of this id. */
static bool member_del(struct net *n, const char *endpoint_id)
{
	for (struct net_member **pp = &n->members; *pp; pp = &(*pp)->next) {
		struct net_member *m = *pp;

		if (!str_eq(m->endpoint_id, endpoint_id))
			continue;
		*pp = m->next;
		if (m->ip)
			ipam_release(&n->ipam, m->ip);
		net_member_free(m);
		return true;
	}
	return false;
}

bool network_member_find(const char *network_id, const char *ct_name, char ct_id[65], char ip[46])
{
	const struct net_member *m = NULL;
	const struct net *n;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(network_id);
	for (m = n ? n->members : NULL; m; m = m->next)
		if (m->ip && (str_eq(m->ct_name, ct_name) || str_eq(m->ct_id, ct_name)))
			break;
	if (m) {
		memcpy(ct_id, m->ct_id, 65);
		ip4_format(m->ip, ip);
	}
	pthread_mutex_unlock(&net_lock);
	return m;
}

static bool has_member(const struct net *n, const char *ct_id)
{
	for (const struct net_member *m = n->members; m; m = m->next)
		if (str_eq(m->ct_id, ct_id))
			return true;
	return false;
}

static void leave(const struct endpoint *ep, const char *ct_id)
{
	bool in_any = false, named = false;
	struct net *n;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	if (n)
		named = member_del(n, ep->endpoint_id) && !n->builtin;
	for (n = net_list; n && !in_any; n = n->next)
		in_any = has_member(n, ct_id);
	pthread_mutex_unlock(&net_lock);
	if (named)
		resolver_member_del(ep->network_id, ep->endpoint_id);
	if (named && !in_any)
		resolver_stop(ct_id);
}

/* ---- attach ---- */

/* What the later steps need of the network, copied under the lock. */
struct plan {
	char bridge[16];
	uint32_t ip, gateway;
	int prefix;
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

static int choose_address(struct net *n, struct endpoint *ep, struct plan *p, struct err *err)
{
	uint32_t want = 0;
	int rc;

	if (!str_empty(ep->want_ip)) {
		if (n->builtin)
			return err_kind(err, ERR_BAD_PARAM,
					"user specified IP address is supported on user defined "
					"networks only");
		if (!n->user_subnet)
			return err_kind(
				err, ERR_BAD_PARAM,
				"user specified IP address is supported only when connecting to "
				"networks with user configured subnets");
		if (ip4_parse(ep->want_ip, &want) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid IPv4 address: %s",
					ep->want_ip);
	}
	if (!str_empty(ep->want_mac) && parse_mac(ep->want_mac, p->mac) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid MAC address: %s", ep->want_mac);
	if ((rc = ipam_alloc(&n->ipam, want, &p->ip, err)) < 0)
		return rc;
	if (str_empty(ep->want_mac))
		mac_from_ip(p->ip, p->mac);
	return 0;
}

/* Address and membership; fills ep and p. */
static int join(struct endpoint *ep, const char *ct_id, const char *ct_name, struct plan *p,
		struct err *err)
{
	struct net_member *told = NULL;
	struct net *n;
	int rc;

	pthread_mutex_lock(&net_lock);
	rc = net_find(ep->network, &n, err);
	if (rc >= 0 && n->driver == NET_BRIDGE)
		rc = choose_address(n, ep, p, err);
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
			ip4_format(p->ip, ep->ip);
			if (p->gateway)
				ip4_format(p->gateway, ep->gateway);
			ep->prefix_len = p->prefix;
			snprintf(ep->mac, sizeof(ep->mac), "%02x:%02x:%02x:%02x:%02x:%02x",
				 p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
		}
		member_add(n, ep, ct_id, ct_name, p->ip);
		if (!n->builtin) { /* kept with the container: an adoption finds its names there */
			strv_free(ep->dns_names);
			ep->dns_names = strv_dup(n->members->names);
			told = net_member_copy(n->members);
		}
	}
	pthread_mutex_unlock(&net_lock);
	if (told) {
		resolver_member_set(ep->network_id, ep->network, told);
		net_member_free(told);
	}
	return rc;
}

static int publish(struct endpoint *ep, const struct plan *p, const char *ct_name,
		   const struct port_binding *want, size_t n, struct err *err)
{
	struct port_binding *v, *w;
	int rc;

	if (!n || p->internal)
		return 0;
	v = xcalloc(n, sizeof(*v));
	w = xcalloc(n, sizeof(*w));
	memcpy(w, want, n * sizeof(*w));
	for (size_t i = 0; i < n; i++)
		if (str_empty(w[i].host_ip))
			str_copy(w[i].host_ip, sizeof(w[i].host_ip), p->host_ip);
	rc = ports_take(ep->endpoint_id, w, n, v, err);
	free(w);
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
	struct nl_inside in = { .ifname = ifname, .ip = p->ip, .prefix = p->prefix };
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
		return rc;
	}
	if (default_route)
		in.gateway = p->gateway;
	return nl_inside_setup(netns_fd, &in, err);
}

static void reset_endpoint(struct endpoint *ep)
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
	leave(ep, ct_id);
	reset_endpoint(ep);
}

static bool is_shared(const char *network)
{
	return str_starts(network, "container:");
}

int network_attach(struct endpoint *ep, const char *ct_id, const char *ct_name, int netns_fd,
		   const char *ifname, bool default_route, const struct port_binding *want,
		   size_t n_want, struct err *err)
{
	char host_name[16] = "";
	struct plan p = { 0 };
	int rc;

	if (is_shared(ep->network)) {
		ep->connected = true;
		return 0;
	}
	reset_endpoint(ep);
	if ((rc = join(ep, ct_id, ct_name, &p, err)) < 0)
		return rc;
	if (p.bridge[0]) {
		if ((rc = publish(ep, &p, ct_name, want, n_want, err)) < 0 ||
		    (rc = plug_in(&p, ep, netns_fd, ifname, default_route, host_name, err)) < 0 ||
		    (rc = firewall_ports_add(p.ip, ep->ports, ep->n_ports, err)) < 0) {
			undo_attach(ep, ct_id, host_name);
			return rc;
		}
		conntrack_forget_udp(p.ip, ep->ports, ep->n_ports);
	}
	ep->connected = true;
	return 0;
}

void network_detach(struct endpoint *ep, const char *ct_id)
{
	if (!is_shared(ep->network) && ep->endpoint_id[0]) {
		uint32_t ip = 0;

		firewall_ports_del(ep->ports, ep->n_ports);
		if (ip4_parse(ep->ip, &ip) == 0)
			conntrack_forget_udp(ip, ep->ports, ep->n_ports);
		ports_release(ep->endpoint_id);
		leave(ep, ct_id);
	}
	reset_endpoint(ep);
}

int network_publish(struct endpoint *ep, const char *ct_name, const struct port_binding *want,
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
	}
	pthread_mutex_unlock(&net_lock);
	if (!n || ip4_parse(ep->ip, &p.ip) < 0 || ep->n_ports)
		return 0;
	if ((rc = publish(ep, &p, ct_name, want, n_want, err)) < 0)
		return rc;
	if ((rc = firewall_ports_add(p.ip, ep->ports, ep->n_ports, err)) < 0) {
		ports_release(ep->endpoint_id);
		free(ep->ports);
		ep->ports = NULL;
		ep->n_ports = 0;
		return rc;
	}
	conntrack_forget_udp(p.ip, ep->ports, ep->n_ports);
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
	uint32_t gateway = 0;
	uint8_t mac[6] = { 0 };

	if (ep && ep->gateway[0] &&
	    (ip4_parse(ep->gateway, &gateway) < 0 || parse_mac(ep->mac, mac) < 0))
		return err_kind(err, ERR_SYSTEM, "endpoint without an address");
	return nl_inside_gateway(netns_fd, mac, gateway, err);
}

int network_free_ifname(int netns_fd, char name[16], struct err *err)
{
	return nl_inside_free_name(netns_fd, name, err);
}

bool network_gives_gateway(const char *ref)
{
	struct err ignored = { 0 };
	struct net *n;
	bool gives;

	pthread_mutex_lock(&net_lock);
	gives = net_find(ref, &n, &ignored) >= 0 && n->driver == NET_BRIDGE && !n->internal;
	pthread_mutex_unlock(&net_lock);
	return gives;
}

bool network_is_user_defined(const char *ref)
{
	struct err ignored = { 0 };
	struct net *n;
	bool is;

	pthread_mutex_lock(&net_lock);
	is = net_find(ref, &n, &ignored) >= 0 && !n->builtin;
	pthread_mutex_unlock(&net_lock);
	return is;
}

/* With net_lock. A copy for the resolver, NULL where it does not care. */
static struct net_member *rename_member(struct net *n, const char *ct_id, const char *old_name,
					const char *new_name)
{
	struct net_member *m = n->members;

	while (m && !str_eq(m->ct_id, ct_id))
		m = m->next;
	if (!m)
		return NULL;
	free(m->ct_name);
	m->ct_name = xstrdup(new_name);
	for (char **name = m->names; name && *name; name++) {
		if (!str_eq(*name, old_name))
			continue;
		free(*name);
		*name = xstrdup(new_name);
		break;
	}
	return n->builtin ? NULL : net_member_copy(m);
}

void network_rename(const char *ct_id, const char *old_name, const char *new_name)
{
	struct {
		struct net_member *m;
		char id[65], *name;
	} *told = NULL;
	size_t n_told = 0;

	pthread_mutex_lock(&net_lock);
	for (struct net *n = net_list; n; n = n->next) {
		struct net_member *m = rename_member(n, ct_id, old_name, new_name);

		if (!m)
			continue;
		told = xrealloc(told, (n_told + 1) * sizeof(*told));
		told[n_told].m = m;
		memcpy(told[n_told].id, n->id, sizeof(n->id));
		told[n_told++].name = xstrdup(n->name);
	}
	pthread_mutex_unlock(&net_lock);
	for (size_t i = 0; i < n_told; i++) {
		resolver_member_set(told[i].id, told[i].name, told[i].m);
		net_member_free(told[i].m);
		free(told[i].name);
	}
	free(told);
}

/* ---- recovery ---- */

int network_adopt(const struct endpoint *ep, const char *ct_id, struct err *err)
{
	struct err ignored = { 0 };
	uint32_t ip = 0, got;
	struct net_member *told = NULL;
	bool serve_names;
	struct net *n;

	if (is_shared(ep->network) || !ep->endpoint_id[0])
		return 0;
	if (ep->ip[0])
		ip4_parse(ep->ip, &ip);
	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	serve_names = n && !n->builtin;
	if (n) {
		member_del(n, ep->endpoint_id);
		if (ip && ipam_alloc(&n->ipam, ip, &got, &ignored) < 0)
			log_warn("address of a running container is not free",
				 "ct=%.12s ip=%s why=%s", ct_id, ep->ip, log_q(ignored.msg));
		member_add(n, ep, ct_id, "", ip);
		if (serve_names)
			told = net_member_copy(n->members);
	}
	pthread_mutex_unlock(&net_lock);
	if (!n)
		return err_kind(err, ERR_NOT_FOUND, "network %s not found", ep->network);
	if (serve_names) {
		char uuid[37];

		resolver_member_set(ep->network_id, ep->network, told);
		net_member_free(told);
		id_to_uuid(uuid, ct_id);
		if (network_resolver_start(ct_id, uuid, &ignored) < 0)
			log_warn("a running container is without its name server",
				 "ct=%.12s why=%s", ct_id, log_q(ignored.msg));
	}
	ports_adopt(ep->endpoint_id, ep->ports, ep->n_ports);
	return firewall_ports_adopt(ip, ep->ports, ep->n_ports, err);
}

void network_adopt_end(void)
{
	firewall_adopt_end();
	resolver_settled();
}
