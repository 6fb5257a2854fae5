/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_net_json.c - a container's ports and networks as JSON.
 */
#include "apiserver/ct_net_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/ct_ports.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

/* ---- ports ----------------------------------------------------------------------------------- */

struct port_set {
	struct ct_port *v;
	size_t n;
};

static void add_port(struct port_set *s, uint16_t port, const char *proto,
		     const struct port_binding *pb)
{
	struct ct_port *p;

	s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
	p = &s->v[s->n++];
	p->port = port;
	str_copy(p->proto, sizeof(p->proto), proto);
	p->published = pb;
}

static bool has_port(const struct port_set *s, uint16_t port, const char *proto)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].port == port && strcmp(s->v[i].proto, proto) == 0)
			return true;
	return false;
}

static int port_cmp(const void *a, const void *b)
{
	const struct ct_port *x = a;
	const struct ct_port *y = b;
	int d = (int)x->port - (int)y->port;

	if (d == 0)
		d = strcmp(x->proto, y->proto);
	if (d == 0 && x->published && y->published) {
		d = strcmp(x->published->host_ip, y->published->host_ip);
		if (d == 0)
			d = (int)x->published->host_port - (int)y->published->host_port;
	}
	return d;
}

static void add_exposed(struct port_set *s, const json_t *ports)
{
	const char *text;
	json_t *v;

	json_object_foreach ((json_t *)ports, text, v) {
		uint16_t first, last;
		char proto[5];

		if (port_spec_parse(text, &first, &last, proto) < 0)
			continue;
		for (unsigned p = first; p <= last; p++)
			if (!has_port(s, (uint16_t)p, proto))
				add_port(s, (uint16_t)p, proto, NULL);
	}
}

static bool has_own_network(const struct container *ct)
{
	const char *mode = jget_str(ct->host_config, "NetworkMode", "");

	return ct->n_endpoints > 0 && strcmp(mode, "host") != 0 && strcmp(mode, "none") != 0 &&
	       !netmode_is_container(mode);
}

size_t ct_ports(const struct container *ct, struct ct_port **out)
{
	struct port_set s = { 0 };

	*out = NULL;
	if (!container_is_running(ct) || !has_own_network(ct))
		return 0;
	for (size_t e = 0; e < ct->n_endpoints; e++) {
		const struct endpoint *ep = &ct->endpoints[e];

		for (size_t i = 0; i < ep->n_ports; i++)
			add_port(&s, ep->ports[i].ct_port, ep->ports[i].proto, &ep->ports[i]);
	}
	add_exposed(&s, jget_obj(ct->config, "ExposedPorts"));
	add_exposed(&s, jget_obj(ct->host_config, "PortBindings"));
	if (s.n > 1)
		qsort(s.v, s.n, sizeof(*s.v), port_cmp);
	*out = s.v;
	return s.n;
}

static const char *shown_ip(const struct port_binding *pb)
{
	return pb->host_ip[0] ? pb->host_ip : "0.0.0.0";
}

void write_port_map(struct jw *w, const char *key, const struct container *ct)
{
	cleanup_free struct ct_port *v = NULL;
	size_t n = ct_ports(ct, &v);
	char text[16];

	jw_obj(w, key);
	for (size_t i = 0; i < n;) {
		size_t first = i;

		snprintf(text, sizeof(text), "%u/%s", v[i].port, v[i].proto);
		if (!v[i].published) {
			jw_null(w, text);
			i++;
			continue;
		}
		jw_arr(w, text);
		for (;
		     i < n && v[i].port == v[first].port && strcmp(v[i].proto, v[first].proto) == 0;
		     i++) {
			jw_obj(w, NULL);
			jw_str(w, "HostIp", shown_ip(v[i].published));
			snprintf(text, sizeof(text), "%u", v[i].published->host_port);
			jw_str(w, "HostPort", text);
			jw_end(w);
		}
		jw_end(w);
	}
	jw_end(w);
}

void write_port_list(struct jw *w, const char *key, const struct container *ct)
{
	cleanup_free struct ct_port *v = NULL;
	size_t n = ct_ports(ct, &v);

	jw_arr(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_obj(w, NULL);
		if (v[i].published)
			jw_str(w, "IP", shown_ip(v[i].published));
		jw_uint(w, "PrivatePort", v[i].port);
		if (v[i].published)
			jw_uint(w, "PublicPort", v[i].published->host_port);
		jw_str(w, "Type", v[i].proto);
		jw_end(w);
	}
	jw_end(w);
}

/* ---- networks -------------------------------------------------------------------------------- */

static void write_strv(struct jw *w, const char *key, char *const *v)
{
	if (!v) {
		jw_null(w, key);
		return;
	}
	jw_arr(w, key);
	for (; *v; v++)
		jw_str(w, NULL, *v);
	jw_end(w);
}

static void write_ipam(struct jw *w, const struct endpoint *ep)
{
	if (!ep->want_ip && !ep->want_ip6 && !ep->link_locals) {
		jw_null(w, "IPAMConfig");
		return;
	}
	jw_obj(w, "IPAMConfig");
	if (ep->want_ip)
		jw_str(w, "IPv4Address", ep->want_ip);
	if (ep->want_ip6)
		jw_str(w, "IPv6Address", ep->want_ip6);
	if (ep->link_locals)
		write_strv(w, "LinkLocalIPs", ep->link_locals);
	jw_end(w);
}

/* Before 1.45 the container's short id and hostname were among a network's aliases. */
static void write_aliases(struct jw *w, const struct container *ct, const struct endpoint *ep,
			  int api_version)
{
	const char *hostname = jget_str(ct->config, "Hostname", "");
	cleanup_strv char **v = NULL;
	char short_id[13];

	if (api_version >= 145 || !netmode_is_user_defined(ep->network)) {
		write_strv(w, "Aliases", ep->aliases);
		return;
	}
	v = ep->aliases ? strv_dup(ep->aliases) : xcalloc(1, sizeof(*v));
	str_copy(short_id, sizeof(short_id), ct->id);
	if (!strv_has(v, short_id))
		strv_add(&v, short_id);
	if (hostname[0] && !strv_has(v, hostname))
		strv_add(&v, hostname);
	write_strv(w, "Aliases", v);
}

static void write_driver_opts(struct jw *w, const struct endpoint *ep)
{
	const char *key;
	json_t *v;

	if (!ep->driver_opts) {
		jw_null(w, "DriverOpts");
		return;
	}
	jw_obj(w, "DriverOpts");
	json_object_foreach (ep->driver_opts, key, v)
		jw_str(w, key, json_string_value(v));
	jw_end(w);
}

static void write_endpoint(struct jw *w, const struct container *ct, const struct endpoint *ep,
			   int api_version, bool whole)
{
	jw_obj(w, ep->network);
	write_ipam(w, ep);
	if (whole) {
		write_strv(w, "Links", ep->links);
		write_aliases(w, ct, ep, api_version);
	} else {
		jw_null(w, "Links");
		jw_null(w, "Aliases");
	}
	jw_str(w, "MacAddress", ep->mac);
	if (whole)
		write_driver_opts(w, ep);
	else
		jw_null(w, "DriverOpts");
	jw_int(w, "GwPriority", ep->gw_priority);
	jw_str(w, "NetworkID", ep->network_id);
	jw_str(w, "EndpointID", ep->endpoint_id);
	jw_str(w, "Gateway", ep->gateway);
	jw_str(w, "IPAddress", ep->ip);
	jw_int(w, "IPPrefixLen", ep->prefix_len);
	jw_str(w, "IPv6Gateway", ep->gateway6);
	jw_str(w, "GlobalIPv6Address", ep->ip6);
	jw_int(w, "GlobalIPv6PrefixLen", ep->prefix_len6);
	write_strv(w, "DNSNames", whole ? ep->dns_names : NULL);
	jw_end(w);
}

void write_networks(struct jw *w, const char *key, const struct container *ct, int api_version,
		    bool whole)
{
	jw_obj(w, key);
	for (size_t i = 0; i < ct->n_endpoints; i++)
		if (ct->endpoints[i].network && !netmode_is_container(ct->endpoints[i].network))
			write_endpoint(w, ct, &ct->endpoints[i], api_version, whole);
	jw_end(w);
}

void write_default_network(struct jw *w, const struct container *ct)
{
	static const struct endpoint none;
	const struct endpoint *ep = &none;

	for (size_t i = 0; i < ct->n_endpoints; i++)
		if (str_eq(ct->endpoints[i].network, "bridge"))
			ep = &ct->endpoints[i];
	jw_str(w, "EndpointID", ep->endpoint_id);
	jw_str(w, "Gateway", ep->gateway);
	jw_str(w, "GlobalIPv6Address", ep->ip6);
	jw_int(w, "GlobalIPv6PrefixLen", ep->prefix_len6);
	jw_str(w, "IPAddress", ep->ip);
	jw_int(w, "IPPrefixLen", ep->prefix_len);
	jw_str(w, "IPv6Gateway", ep->gateway6);
	jw_str(w, "MacAddress", ep->mac);
}
