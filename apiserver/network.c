/* SPDX-License-Identifier: MPL-2.0
 *
 * network.c - the list of networks and of the zones in them.
 *
 * What is attached to what, and by which names; network_attach.c attaches, network_admin.c makes and
 * removes networks.
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
	ipam6_fini(&n->ipam6);
	free(n->aux6);
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
				.subnet6 = n->subnet6,
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

void net_member_add(struct net *n, const struct endpoint *ep, const char *ct_id,
		       const char *ct_name, uint32_t ip, const struct in6_addr *ip6)
{
	struct net_member *m = xcalloc(1, sizeof(*m));

	str_copy(m->ct_id, sizeof(m->ct_id), ct_id);
	str_copy(m->endpoint_id, sizeof(m->endpoint_id), ep->endpoint_id);
	str_copy(m->mac, sizeof(m->mac), ep->mac);
	m->ct_name = xstrdup(ct_name);
	m->names = ep->dns_names ? strv_dup(ep->dns_names) : NULL;
	m->links = ep->links ? strv_dup(ep->links) : NULL;
	m->ip = ip;
	m->ip6 = *ip6;
	m->next = n->members;
	n->members = m;
}

/* Gives the address back. False: there was none of this id. */
bool net_member_del(struct net *n, const char *endpoint_id)
{
	for (struct net_member **pp = &n->members; *pp; pp = &(*pp)->next) {
		struct net_member *m = *pp;

		if (!str_eq(m->endpoint_id, endpoint_id))
			continue;
		*pp = m->next;
		if (m->ip)
			ipam_release(&n->ipam, m->ip);
		ipam6_release(&n->ipam6, &m->ip6);
		net_member_free(m);
		return true;
	}
	return false;
}

static bool has_member(const struct net *n, const char *ct_id)
{
	for (const struct net_member *m = n->members; m; m = m->next)
		if (str_eq(m->ct_id, ct_id))
			return true;
	return false;
}

void net_leave(const struct endpoint *ep, const char *ct_id)
{
	bool in_any = false, named = false;
	struct net *n;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	if (n)
		named = net_member_del(n, ep->endpoint_id) && !n->builtin;
	for (n = net_list; n && !in_any; n = n->next)
		in_any = has_member(n, ct_id);
	pthread_mutex_unlock(&net_lock);
	if (named)
		resolver_member_del(ep->network_id, ep->endpoint_id);
	if (named && !in_any)
		resolver_stop(ct_id);
}

bool net_is_shared(const char *network)
{
	return str_starts(network, "container:");
}

/* ---- asking ---- */

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
	struct in6_addr ip6 = { 0 }, got6;
	uint32_t ip = 0, got;
	struct net_member *told = NULL;
	bool serve_names;
	struct net *n;

	if (net_is_shared(ep->network) || !ep->endpoint_id[0])
		return 0;
	if (ep->ip[0])
		ip4_parse(ep->ip, &ip);
	if (ep->ip6[0])
		ip6_parse(ep->ip6, &ip6);
	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	serve_names = n && !n->builtin;
	if (n) {
		net_member_del(n, ep->endpoint_id);
		if (ip && ipam_alloc(&n->ipam, ip, &got, &ignored) < 0)
			log_warn("address of a running container is not free",
				 "ct=%.12s ip=%s why=%s", ct_id, ep->ip, log_q(ignored.msg));
		if (!ip6_is_zero(&ip6) && ipam6_alloc(&n->ipam6, &ip6, &got6, &ignored) < 0)
			log_warn("address of a running container is not free",
				 "ct=%.12s ip=%s why=%s", ct_id, ep->ip6, log_q(ignored.msg));
		net_member_add(n, ep, ct_id, "", ip, &ip6);
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
	return firewall_ports_adopt(ep, err);
}

void network_adopt_end(void)
{
	firewall_adopt_end();
	resolver_settled();
}
