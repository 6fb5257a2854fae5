/* SPDX-License-Identifier: MPL-2.0
 *
 * network_json.c - a network's settings from its options, its persisted form, and how inspect shows
 * it.
 *
 * Persisted (STORE_NETWORK, key: id):
 * {"id","name","driver","created_ns","builtin","internal","attachable","labels",
 * "options","ipam_options","aux","subnet","range","gateway","user_subnet","bridge"} and, with IPv6,
 * "subnet6","range6","gateway6","user_subnet6","aux6". What is in use
 * is not stored.
 */
#include "network_private.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "go_number.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

/* Text of an object -> json, NULL for none. */
static json_t *object_of(const char *text)
{
	struct err ignored = { 0 };
	json_t *o = NULL;

	return text && jparse(text, strlen(text), &o, &ignored) >= 0 ? o : NULL;
}

static int get_bool_opt(const json_t *options, const char *key, bool *out, struct err *err)
{
	const char *s = jget_str(options, key, NULL);

	if (s && parse_bool(s, out) < 0)
		return err_kind(err, ERR_BAD_PARAM, "failed to parse %s value: %s (strconv.ParseBool: parsing \"%s\": invalid syntax)", key, s, s);
	return 0;
}

#define OPT_BRIDGE "com.docker.network.bridge."
#define OPT_MTU	   "com.docker.network.driver.mtu"

static int mtu_option(const char *s, int *out, struct err *err)
{
	int64_t mtu;

	if (!s)
		return 0;
	if (parse_i64(s, INT64_MIN, INT64_MAX, &mtu) < 0) {
		struct err why = { 0 };

		go_err_int("Atoi", s, &why);
		return err_kind(err, ERR_BAD_PARAM, "failed to parse " OPT_MTU " value: %s (%s)", s, why.msg);
	}
	if (mtu < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid MTU number: %s", s);
	if (mtu < 68 || mtu > 65535)
		return err_kind(err, ERR_BAD_PARAM, "invalid MTU: %s", s);
	*out = (int)mtu;
	return 0;
}

static int apply_options(struct net *n, const json_t *o, struct err *err)
{
	const char *s;
	uint32_t ip;
	int rc;

	if ((rc = get_bool_opt(o, OPT_BRIDGE "enable_icc", &n->icc, err)) < 0 ||
	    (rc = get_bool_opt(o, OPT_BRIDGE "enable_ip_masquerade", &n->masquerade, err)) < 0)
		return rc;
	if ((rc = mtu_option(jget_str(o, OPT_MTU, NULL), &n->mtu, err)) < 0)
		return rc;
	s = jget_str(o, OPT_BRIDGE "host_binding_ipv4", NULL);
	if (s && ip4_parse(s, &ip) < 0)
		return err_kind(err, ERR_BAD_PARAM, "failed to parse " OPT_BRIDGE "host_binding_ipv4 value: %s (nil ip)", s);
	str_copy(n->host_ip, sizeof(n->host_ip), s ? s : "0.0.0.0");
	s = jget_str(o, OPT_BRIDGE "name", NULL);
	if (s && !n->bridge[0]) {
		if (!*s || strlen(s) > 15 || strpbrk(s, "/ \"\n\t") || str_eq(s, ".") ||
		    str_eq(s, ".."))
			return err_kind(err, ERR_BAD_PARAM, "invalid bridge name: %s", s);
		str_copy(n->bridge, sizeof(n->bridge), s);
	}
	if (!n->bridge[0] && str_fmt(n->bridge, sizeof(n->bridge), "br-%.12s", n->id) < 0)
		return err_kind(err, ERR_SYSTEM, "bridge name");
	return 0;
}

static int reserve_aux6(struct net *n, struct err *err)
{
	cleanup_json json_t *aux = object_of(n->aux6);
	const char *name;
	json_t *v;
	int rc;

	json_object_foreach (aux, name, v) {
		struct in6_addr ip, got;

		if (!json_is_string(v) || ip6_parse(json_string_value(v), &ip) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid auxiliary address %s", name);
		if ((rc = ipam6_alloc(&n->ipam6, &ip, &got, err)) < 0)
			return err_wrap(err, rc, "auxiliary address %s", name);
	}
	return 0;
}

static int apply_ip6(struct net *n, struct err *err)
{
	struct in6_addr got;
	bool given = !ip6_is_zero(&n->gateway6);
	int rc;

	if (!n->subnet6.prefix)
		return 0;
	rc = ipam6_init(&n->ipam6, &n->subnet6, n->range6.prefix ? &n->range6 : NULL, err);
	if (rc < 0 ||
	    (rc = ipam6_alloc(&n->ipam6, given ? &n->gateway6 : NULL, &got, err)) < 0)
		return err_wrap(err, rc, "IPv6 gateway");
	n->gateway6 = got;
	return reserve_aux6(n, err);
}

static int reserve_aux(struct net *n, struct err *err)
{
	cleanup_json json_t *aux = object_of(n->aux_addresses);
	const char *name;
	json_t *v;
	int rc;

	json_object_foreach (aux, name, v) {
		uint32_t ip, got;

		if (!json_is_string(v) || ip4_parse(json_string_value(v), &ip) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid auxiliary address %s", name);
		if ((rc = ipam_alloc(&n->ipam, ip, &got, err)) < 0)
			return err_wrap(err, rc, "auxiliary address %s", name);
	}
	return 0;
}

int net_settings_apply(struct net *n, struct err *err)
{
	cleanup_json json_t *options = object_of(n->options);
	uint32_t got;
	int rc;

	n->icc = n->masquerade = true;
	if (n->driver != NET_BRIDGE)
		return 0;
	if ((rc = apply_options(n, options, err)) < 0 ||
	    (rc = ipam_init(&n->ipam, &n->subnet, n->has_range ? &n->range : NULL, err)) < 0)
		return rc;
	if (!n->gateway)
		n->gateway = n->ipam.first;
	if ((rc = ipam_alloc(&n->ipam, n->gateway, &got, err)) < 0)
		return err_wrap(err, rc, "gateway");
	if ((rc = reserve_aux(n, err)) < 0)
		return rc;
	return apply_ip6(n, err);
}

/* ---- persisted form ---- */

static const char *net_text(const struct ip4_net *net, char out[IP4_STR + 3])
{
	char ip[IP4_STR];

	ip4_format(net->base, ip);
	snprintf(out, IP4_STR + 3, "%s/%d", ip, net->prefix);
	return out;
}

static void put_stored6(struct jw *w, const struct net *n)
{
	char text[IP6_NET_STR];

	if (!n->subnet6.prefix)
		return;
	ip6_net_format(&n->subnet6, text);
	jw_str(w, "subnet6", text);
	if (n->range6.prefix) {
		ip6_net_format(&n->range6, text);
		jw_str(w, "range6", text);
	}
	ip6_format(&n->gateway6, text);
	jw_str(w, "gateway6", text);
	jw_bool(w, "user_subnet6", n->user_subnet6);
	if (n->aux6)
		jw_raw(w, "aux6", n->aux6);
}

char *net_to_json(const struct net *n)
{
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	char text[IP4_STR + 3];

	jw_obj(&w, NULL);
	jw_str(&w, "id", n->id);
	jw_str(&w, "name", n->name);
	jw_str(&w, "driver", net_driver_name(n->driver));
	jw_int(&w, "created_ns", n->created_ns);
	jw_bool(&w, "builtin", n->builtin);
	jw_bool(&w, "internal", n->internal);
	jw_bool(&w, "attachable", n->attachable);
	if (n->labels)
		jw_raw(&w, "labels", n->labels);
	if (n->options)
		jw_raw(&w, "options", n->options);
	if (n->ipam_options)
		jw_raw(&w, "ipam_options", n->ipam_options);
	if (n->aux_addresses)
		jw_raw(&w, "aux", n->aux_addresses);
	if (n->driver == NET_BRIDGE) {
		jw_str(&w, "subnet", net_text(&n->subnet, text));
		if (n->has_range)
			jw_str(&w, "range", net_text(&n->range, text));
		ip4_format(n->gateway, text);
		jw_str(&w, "gateway", text);
		jw_bool(&w, "user_subnet", n->user_subnet);
		jw_str(&w, "bridge", n->bridge);
		put_stored6(&w, n);
	}
	jw_end(&w);
	return buf_steal(&b);
}

static char *object_text(const json_t *o, const char *key)
{
	const json_t *v = jget_obj(o, key);

	return v ? json_dumps(v, JSON_COMPACT) : NULL;
}

int net_from_json(const char *text, struct net **out, struct err *err)
{
	cleanup_json json_t *o = NULL;
	const char *driver;
	struct net *n;
	int rc;

	if ((rc = jparse(text, strlen(text), &o, err)) < 0)
		return rc;
	n = xcalloc(1, sizeof(*n));
	driver = jget_str(o, "driver", "");
	n->driver = str_eq(driver, "bridge") ? NET_BRIDGE
		    : str_eq(driver, "host") ? NET_HOST
					     : NET_NONE;
	str_copy(n->id, sizeof(n->id), jget_str(o, "id", ""));
	n->name = xstrdup(jget_str(o, "name", ""));
	n->created_ns = jget_int(o, "created_ns", 0);
	n->builtin = jget_bool(o, "builtin", false);
	n->internal = jget_bool(o, "internal", false);
	n->attachable = jget_bool(o, "attachable", false);
	n->user_subnet = jget_bool(o, "user_subnet", false);
	n->labels = object_text(o, "labels");
	n->options = object_text(o, "options");
	if (jget_obj(o, "ipam_options"))
		n->ipam_options = json_dumps(jget_obj(o, "ipam_options"), JSON_COMPACT);
	n->aux_addresses = object_text(o, "aux");
	n->aux6 = object_text(o, "aux6");
	n->user_subnet6 = jget_bool(o, "user_subnet6", false);
	if (ip6_net_parse(jget_str(o, "subnet6", NULL), &n->subnet6, NULL) < 0)
		n->subnet6.prefix = 0;
	if (ip6_net_parse(jget_str(o, "range6", NULL), &n->range6, NULL) < 0)
		n->range6.prefix = 0;
	ip6_parse(jget_str(o, "gateway6", NULL), &n->gateway6);
	str_copy(n->bridge, sizeof(n->bridge), jget_str(o, "bridge", ""));
	n->has_range = ip4_net_parse(jget_str(o, "range", NULL), &n->range, NULL) == 0;
	if (ip4_parse(jget_str(o, "gateway", NULL), &n->gateway) < 0)
		n->gateway = 0;
	if (strlen(n->id) != 64 ||
	    (n->driver == NET_BRIDGE &&
	     ip4_net_parse(jget_str(o, "subnet", NULL), &n->subnet, NULL) < 0)) {
		net_free(n);
		return err_kind(err, ERR_SYSTEM, "stored network is not whole");
	}
	*out = n;
	return 0;
}

/* ---- inspect ---- */

static void put_ipam6(struct jw *w, const struct net *n)
{
	char text[IP6_NET_STR];

	if (!n->subnet6.prefix)
		return;
	jw_obj(w, NULL);
	ip6_net_format(&n->subnet6, text);
	jw_str(w, "Subnet", text);
	if (n->range6.prefix) {
		ip6_net_format(&n->range6, text);
		jw_str(w, "IPRange", text);
	}
	ip6_format(&n->gateway6, text);
	jw_str(w, "Gateway", text);
	if (n->aux6)
		jw_raw(w, "AuxiliaryAddresses", n->aux6);
	jw_end(w);
}

static void put_ipam(struct jw *w, const struct net *n)
{
	char text[IP4_STR + 3];

	jw_obj(w, "IPAM");
	jw_str(w, "Driver", "default");
	jw_raw(w, "Options", n->ipam_options ? n->ipam_options : "null");
	if (n->driver != NET_BRIDGE) {
		jw_null(w, "Config");
	} else {
		jw_arr(w, "Config");
		jw_obj(w, NULL);
		jw_str(w, "Subnet", net_text(&n->subnet, text));
		if (n->has_range)
			jw_str(w, "IPRange", net_text(&n->range, text));
		ip4_format(n->gateway, text);
		jw_str(w, "Gateway", text);
		if (n->aux_addresses)
			jw_raw(w, "AuxiliaryAddresses", n->aux_addresses);
		jw_end(w);
		put_ipam6(w, n);
		jw_end(w);
	}
	jw_end(w);
}

static void put_member_ip6(struct jw *w, const struct net *n, const struct net_member *m)
{
	char ip[IP6_STR], text[IP6_NET_STR] = "";

	if (!ip6_is_zero(&m->ip6)) {
		ip6_format(&m->ip6, ip);
		snprintf(text, sizeof(text), "%s/%d", ip, n->subnet6.prefix);
	}
	jw_str(w, "IPv6Address", text);
}

static void put_members(struct jw *w, const struct net *n, net_name_fn *name_of)
{
	char text[IP4_STR + 3];

	jw_obj(w, "Containers");
	for (const struct net_member *m = n->members; m; m = m->next) {
		const char *name = name_of ? name_of(m->ct_id) : NULL;

		jw_obj(w, m->ct_id);
		jw_str(w, "Name", name ? name : m->ct_name);
		jw_str(w, "EndpointID", m->endpoint_id);
		jw_str(w, "MacAddress", m->mac);
		text[0] = '\0';
		if (m->ip) {
			char ip[IP4_STR];

			ip4_format(m->ip, ip);
			snprintf(text, sizeof(text), "%s/%d", ip, n->subnet.prefix);
		}
		jw_str(w, "IPv4Address", text);
		put_member_ip6(w, n, m);
		jw_end(w);
	}
	jw_end(w);
}

static void put_options(struct jw *w, const struct net *n)
{
	char mtu[12];

	if (!n->builtin || n->driver != NET_BRIDGE) {
		jw_raw(w, "Options", n->options ? n->options : "{}");
		return;
	}
	snprintf(mtu, sizeof(mtu), "%d", n->mtu ? n->mtu : 1500);
	jw_obj(w, "Options");
	jw_str(w, OPT_BRIDGE "default_bridge", "true");
	jw_str(w, OPT_BRIDGE "enable_icc", n->icc ? "true" : "false");
	jw_str(w, OPT_BRIDGE "enable_ip_masquerade", n->masquerade ? "true" : "false");
	jw_str(w, OPT_BRIDGE "host_binding_ipv4", n->host_ip);
	jw_str(w, OPT_BRIDGE "name", n->bridge);
	jw_str(w, "com.docker.network.driver.mtu", mtu);
	jw_end(w);
}

void net_inspect_json(const struct net *n, bool with_members, net_name_fn *name_of, struct buf *out)
{
	char created[RFC3339NANO_MAX];
	struct jw w = JW(out);

	fmt_rfc3339nano(created, n->created_ns);
	jw_obj(&w, NULL);
	jw_str(&w, "Name", n->name);
	jw_str(&w, "Id", n->id);
	jw_str(&w, "Created", created);
	jw_str(&w, "Scope", "local");
	jw_str(&w, "Driver", net_driver_name(n->driver));
	jw_bool(&w, "EnableIPv4", true);
	jw_bool(&w, "EnableIPv6", n->subnet6.prefix);
	put_ipam(&w, n);
	jw_bool(&w, "Internal", n->internal);
	jw_bool(&w, "Attachable", n->attachable);
	jw_bool(&w, "Ingress", false);
	jw_obj(&w, "ConfigFrom");
	jw_str(&w, "Network", "");
	jw_end(&w);
	jw_bool(&w, "ConfigOnly", false);
	if (with_members)
		put_members(&w, n, name_of);
	else
		jw_raw(&w, "Containers", "{}");
	put_options(&w, n);
	jw_raw(&w, "Labels", n->labels ? n->labels : "{}");
	jw_end(&w);
}
