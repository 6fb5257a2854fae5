/* SPDX-License-Identifier: MPL-2.0
 *
 * endpoint.c - struct endpoint: copying, and its persisted form. Pure, any thread.
 */
#include "network.h"

#include <string.h>

#include "cleanup.h"
#include "jget.h"
#include "str.h"

void endpoint_fini(struct endpoint *ep)
{
	free(ep->network);
	strv_free(ep->aliases);
	strv_free(ep->links);
	strv_free(ep->link_locals);
	strv_free(ep->dns_names);
	free(ep->want_ip);
	free(ep->want_ip6);
	free(ep->want_mac);
	json_decref(ep->driver_opts);
	free(ep->ports);
	*ep = (struct endpoint){ 0 };
}

void endpoint_copy(struct endpoint *dst, const struct endpoint *src)
{
	*dst = *src;
	dst->network = xstrdup(src->network);
	dst->aliases = src->aliases ? strv_dup(src->aliases) : NULL;
	dst->links = src->links ? strv_dup(src->links) : NULL;
	dst->link_locals = src->link_locals ? strv_dup(src->link_locals) : NULL;
	dst->dns_names = src->dns_names ? strv_dup(src->dns_names) : NULL;
	dst->want_ip = xstrdup(src->want_ip);
	dst->want_ip6 = xstrdup(src->want_ip6);
	dst->want_mac = xstrdup(src->want_mac);
	dst->driver_opts = json_deep_copy(src->driver_opts);
	dst->ports = NULL;
	if (src->n_ports) {
		dst->ports = xcalloc(src->n_ports, sizeof(*dst->ports));
		memcpy(dst->ports, src->ports, src->n_ports * sizeof(*dst->ports));
	}
}

static void add_name(char ***v, const char *name)
{
	if (!str_empty(name) && !(*v && strv_has(*v, name)))
		strv_add(v, name);
}

void endpoint_set_names(struct endpoint *ep, const char *ct_id, const char *ct_name,
			const char *hostname)
{
	char short_id[13];

	str_copy(short_id, sizeof(short_id), ct_id);
	strv_free(ep->dns_names);
	ep->dns_names = NULL;
	add_name(&ep->dns_names, ct_name);
	for (char **a = ep->aliases; a && *a; a++)
		add_name(&ep->dns_names, *a);
	add_name(&ep->dns_names, short_id);
	add_name(&ep->dns_names, hostname);
}

void endpoint_rename(struct endpoint *ep, const char *old_name, const char *new_name)
{
	for (char **n = ep->dns_names; n && *n; n++) {
		if (!str_eq(*n, old_name))
			continue;
		free(*n);
		*n = xstrdup(new_name);
		return;
	}
}

/* ---- persisted form ---- */

static void put_str(json_t *o, const char *key, const char *s)
{
	if (!str_empty(s))
		json_object_set_new(o, key, json_string(s));
}

static void put_strv(json_t *o, const char *key, char *const *v)
{
	json_t *a;

	if (!v || !v[0])
		return;
	a = json_array();
	for (; *v; v++)
		json_array_append_new(a, json_string(*v));
	json_object_set_new(o, key, a);
}

static json_t *port_to_json(const struct port_binding *p)
{
	json_t *o = json_object();

	json_object_set_new(o, "ct_port", json_integer(p->ct_port));
	json_object_set_new(o, "proto", json_string(p->proto));
	json_object_set_new(o, "host_ip", json_string(p->host_ip));
	json_object_set_new(o, "host_port", json_integer(p->host_port));
	return o;
}

json_t *endpoint_to_json(const struct endpoint *ep)
{
	json_t *o = json_object();

	put_str(o, "network", ep->network);
	put_str(o, "network_id", ep->network_id);
	put_str(o, "endpoint_id", ep->endpoint_id);
	put_str(o, "ip", ep->ip);
	put_str(o, "gateway", ep->gateway);
	put_str(o, "ip6", ep->ip6);
	put_str(o, "gateway6", ep->gateway6);
	put_str(o, "mac", ep->mac);
	put_str(o, "want_ip", ep->want_ip);
	put_str(o, "want_ip6", ep->want_ip6);
	put_str(o, "want_mac", ep->want_mac);
	put_strv(o, "aliases", ep->aliases);
	put_strv(o, "links", ep->links);
	put_strv(o, "link_locals", ep->link_locals);
	put_strv(o, "dns_names", ep->dns_names);
	json_object_set_new(o, "prefix_len", json_integer(ep->prefix_len));
	json_object_set_new(o, "prefix_len6", json_integer(ep->prefix_len6));
	json_object_set_new(o, "gw_priority", json_integer(ep->gw_priority));
	json_object_set_new(o, "connected", json_boolean(ep->connected));
	if (ep->driver_opts)
		json_object_set_new(o, "driver_opts", json_deep_copy(ep->driver_opts));
	if (ep->n_ports) {
		json_t *ports = json_array();

		for (size_t i = 0; i < ep->n_ports; i++)
			json_array_append_new(ports, port_to_json(&ep->ports[i]));
		json_object_set_new(o, "ports", ports);
	}
	return o;
}

static char *get_owned(const json_t *o, const char *key)
{
	return xstrdup(jget_str(o, key, NULL));
}

static char **get_strv(const json_t *o, const char *key)
{
	return jget_arr(o, key) ? jget_strv(o, key) : NULL;
}

#define GET_INTO(field, o, key) str_copy((field), sizeof(field), jget_str((o), (key), ""))

int endpoint_from_json(const json_t *o, struct endpoint *out, struct err *err)
{
	struct endpoint ep = { 0 };
	json_t *ports = jget_arr(o, "ports"), *opts = jget_obj(o, "driver_opts");

	if (!json_is_object(o) || !jget_str(o, "network", NULL))
		return err_kind(err, ERR_SYSTEM, "stored endpoint without a network");
	ep.network = get_owned(o, "network");
	GET_INTO(ep.network_id, o, "network_id");
	GET_INTO(ep.endpoint_id, o, "endpoint_id");
	GET_INTO(ep.ip, o, "ip");
	GET_INTO(ep.gateway, o, "gateway");
	GET_INTO(ep.ip6, o, "ip6");
	GET_INTO(ep.gateway6, o, "gateway6");
	GET_INTO(ep.mac, o, "mac");
	ep.want_ip = get_owned(o, "want_ip");
	ep.want_ip6 = get_owned(o, "want_ip6");
	ep.want_mac = get_owned(o, "want_mac");
	ep.aliases = get_strv(o, "aliases");
	ep.links = get_strv(o, "links");
	ep.link_locals = get_strv(o, "link_locals");
	ep.dns_names = get_strv(o, "dns_names");
	ep.prefix_len = (int)jget_int(o, "prefix_len", 0);
	ep.prefix_len6 = (int)jget_int(o, "prefix_len6", 0);
	ep.gw_priority = (int)jget_int(o, "gw_priority", 0);
	ep.connected = jget_bool(o, "connected", false);
	ep.driver_opts = opts ? json_deep_copy(opts) : NULL;
	if (json_array_size(ports))
		ep.ports = xcalloc(json_array_size(ports), sizeof(*ep.ports));
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *p = json_array_get(ports, i);
		struct port_binding *b = &ep.ports[ep.n_ports++];

		b->ct_port = (uint16_t)jget_int(p, "ct_port", 0);
		b->host_port = b->host_port_end = (uint16_t)jget_int(p, "host_port", 0);
		GET_INTO(b->proto, p, "proto");
		GET_INTO(b->host_ip, p, "host_ip");
	}
	*out = ep;
	return 0;
}
