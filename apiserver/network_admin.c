/* SPDX-License-Identifier: MPL-2.0
 *
 * network_admin.c - making and removing networks; the default ones; start and stop of it all.
 *
 * A network is one record in the store, one bridge (br-<id>, the default one sdc0) and a few
 * elements in the nftables table. The default bridge is an instance like any other; only its name,
 * its subnet's origin (`bip`) and that it cannot be removed are special.
 *
 * Failure: the record is written before the bridge is made, and removed after it is gone: whatever
 * a crash leaves, the next start finds the record and makes the rest anew (all steps are
 * idempotent).
 */
#include "network_linger.h"
#include "network_private.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "body_fields.h"
#include "cleanup.h"
#include "conf.h"
#include "engine.h"
#include "jget.h"
#define LOG_MODULE "network"
#include "log.h"
#include "netlink.h"
#include "netns.h"
#include "ports.h"
#include "resolver.h"
#include "store.h"
#include "str.h"

static pthread_mutex_t admin_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- bridges ---- */

static int set_ip6_sysctl(const struct net *n, const char *key, const char *value, struct err *err)
{
	cleanup_fd int fd = -1;
	char path[128];

	if (str_fmt(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", n->bridge, key) < 0)
		return err_sysnum(err, ENAMETOOLONG, "bridge %s", n->bridge);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return err_sys(err, "write %s", path);
	return 0;
}

/* The bridge is the zones' router: it has an address and believes no other router. */
static int bridge_up6(const struct net *n, int ifindex, struct err *err)
{
	int rc;

	if (!n->subnet6.prefix)
		return 0;
	if ((rc = set_ip6_sysctl(n, "disable_ipv6", "0", err)) < 0 ||
	    (rc = set_ip6_sysctl(n, "accept_ra", "0", err)) < 0)
		return rc;
	return nl_addr6_add(ifindex, &n->gateway6, n->subnet6.prefix, err);
}

int net_bridge_up(const struct net *n, struct err *err)
{
	uint8_t mac[6] = { 0x02, 0x42 };
	struct fw_net fw = net_firewall(n);
	int ifindex, rc, prefix;
	uint32_t ip;

	random_bytes(mac + 2, 4);
	ifindex = nl_bridge_make(n->bridge, n->mtu, mac, err);
	if (ifindex < 0)
		return ifindex;
	if (nl_addr_get(ifindex, &ip, &prefix) == 0 &&
	    (ip != n->gateway || prefix != n->subnet.prefix))
		nl_addr_del(ifindex, ip, prefix, &(struct err){ 0 });
	if ((rc = nl_addr_add(ifindex, n->gateway, n->subnet.prefix, err)) < 0 ||
	    (rc = bridge_up6(n, ifindex, err)) < 0 || (rc = nl_link_up(ifindex, err)) < 0)
		return err_wrap(err, rc, "bridge %s", n->bridge);
	return firewall_net_add(&fw, err);
}

void net_bridge_down(const struct net *n)
{
	struct fw_net fw = net_firewall(n);
	struct err err = { 0 };
	int ifindex = nl_ifindex(n->bridge);

	firewall_net_del(&fw);
	if (ifindex && nl_link_del(ifindex, &err) < 0)
		log_warn("bridge stays", "bridge=%s why=%s", n->bridge, log_q(err.msg));
}

/* A subnet that nothing on this host uses. */
static int pick_subnet(struct net *n, struct err *err)
{
	int rc, own = n->bridge[0] ? nl_ifindex(n->bridge) : 0;
	struct ip4_net *used = NULL;
	size_t n_used = 0;

	if ((rc = nl_used_nets(own, &used, &n_used, err)) < 0)
		return rc;
	pthread_mutex_lock(&net_lock);
	for (const struct net *o = net_list; o; o = o->next) {
		if (o == n || o->driver != NET_BRIDGE)
			continue;
		used = xrealloc(used, (n_used + 1) * sizeof(*used));
		used[n_used++] = o->subnet;
	}
	pthread_mutex_unlock(&net_lock);
	rc = ipam_pick(used, n_used, &n->subnet, err);
	free(used);
	return rc;
}

static int pick_subnet6(struct net *n, struct err *err)
{
	cleanup_free struct ip6_net *used = NULL;
	size_t n_used = 0;

	pthread_mutex_lock(&net_lock);
	for (const struct net *o = net_list; o; o = o->next) {
		if (!o->subnet6.prefix)
			continue;
		used = xrealloc(used, (n_used + 1) * sizeof(*used));
		used[n_used++] = o->subnet6;
	}
	pthread_mutex_unlock(&net_lock);
	return ipam6_pick(engine->engine_id, used, n_used, &n->subnet6, err);
}

/* ---- start and stop ---- */

static int load_one(const char *key, const char *json, void *arg, struct err *err)
{
	struct net *n = NULL;

	(void)arg;
	if (net_from_json(json, &n, err) < 0) {
		log_err("stored network ignored", "id=%.12s why=%s", key, log_q(err->msg));
		*err = (struct err){ 0 };
		return 0;
	}
	net_link(n);
	return 0;
}

static int save(const struct net *n, struct err *err)
{
	cleanup_free char *text = net_to_json(n);

	return store_put(STORE_NETWORK, n->id, text, err);
}

static struct net *builtin(const char *name, enum net_driver driver)
{
	struct err ignored = { 0 };
	struct net *n = NULL;

	if (net_find(name, &n, &ignored) >= 0 && n->builtin)
		return n;
	n = xcalloc(1, sizeof(*n));
	id_generate(n->id);
	n->name = xstrdup(name);
	n->driver = driver;
	n->builtin = true;
	n->created_ns = now_ns();
	net_link(n);
	return n;
}

/* The default bridge: bip, else what it had, else the first free one. */
static int default_bridge(struct net *n, struct err *err)
{
	const char *name = conf_str(engine->conf, "bridge"), *bip = conf_str(engine->conf, "bip");
	struct ip4_net *used = NULL;
	size_t n_used = 0;
	bool clash = !n->subnet.prefix;
	int rc;

	if (str_empty(name))
		rc = str_fmt(n->bridge, sizeof(n->bridge), "sdc%s",
			     engine->paths.tag[0] ? engine->paths.tag : "0");
	else
		rc = str_fmt(n->bridge, sizeof(n->bridge), "%s", name);
	if (rc < 0)
		return err_kind(err, ERR_BAD_PARAM, "bridge: name %s is too long", name);
	n->mtu = (int)conf_int(engine->conf, "mtu");
	if (!str_empty(bip)) {
		if (ip4_net_parse(bip, &n->subnet, &n->gateway) < 0 || n->gateway == n->subnet.base)
			return err_kind(err, ERR_BAD_PARAM, "bip: %s is not ADDRESS/PREFIX", bip);
		return 0;
	}
	if (!clash) {
		if ((rc = nl_used_nets(nl_ifindex(n->bridge), &used, &n_used, err)) < 0)
			return rc;
		for (size_t i = 0; i < n_used; i++)
			clash |= ip4_overlap(&used[i], &n->subnet);
		free(used);
	}
	n->gateway = clash ? 0 : n->gateway;
	return clash ? pick_subnet(n, err) : 0;
}

int network_init(struct err *err)
{
	struct net *bridge;
	char table[32];
	int rc;

	rc = str_fmt(table, sizeof(table), "sdc_docker%s", engine->paths.tag);
	if (rc < 0)
		return err_sysnum(err, rc, "nftables table name");
	if ((rc = netns_init(err)) < 0 || (rc = firewall_init(table, err)) < 0 ||
	    (rc = store_each(STORE_NETWORK, load_one, NULL, err)) < 0)
		return rc;
	resolver_init();
	bridge = builtin("bridge", NET_BRIDGE);
	builtin("host", NET_HOST);
	builtin("none", NET_NONE);
	if ((rc = default_bridge(bridge, err)) < 0)
		return rc;
	for (struct net *n = net_list; n; n = n->next) {
		if (n->driver == NET_BRIDGE &&
		    ((rc = net_settings_apply(n, err)) < 0 || (rc = net_bridge_up(n, err)) < 0)) {
			if (n->builtin)
				return err_wrap(err, rc, "network %s", n->name);
			log_err("network is not usable", "network=%s why=%s", log_q(n->name),
				log_q(err->msg));
			*err = (struct err){ 0 };
		}
		if (n->builtin && (rc = save(n, err)) < 0)
			return rc;
	}
	return 0;
}

void network_fini(bool last)
{
	if (last)
		network_linger_expire(INT64_MAX);
	resolver_fini(last);
	pthread_mutex_lock(&admin_lock);
	while (net_list) {
		struct net *n = net_list;
		int ifindex = n->driver == NET_BRIDGE && last ? nl_ifindex(n->bridge) : 0;
		struct err err = { 0 };

		if (ifindex && nl_link_del(ifindex, &err) < 0)
			log_warn("bridge stays", "bridge=%s why=%s", n->bridge, log_q(err.msg));
		net_unlink(n);
		net_free(n);
	}
	firewall_fini(last);
	ports_release(NULL);
	pthread_mutex_unlock(&admin_lock);
}

/* ---- create ---- */

static char *object_text(const json_t *o, const char *key)
{
	const json_t *v = jget_obj(o, key);

	return v && json_object_size(v) ? json_dumps(v, JSON_COMPACT) : NULL;
}

/* One entry of IPAM.Config, checked as Docker does since 26. */
struct ipam_entry {
	const char *subnet, *range, *gateway;
};

static int err_bad_block(struct err *err, const char *what, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM,
			"invalid network config:\ninvalid %s %s: invalid CIDR block notation", what,
			text);
}

static int err_outside(struct err *err, const char *what, const char *text, const char *subnet,
		       const char *this)
{
	return err_kind(err, ERR_BAD_PARAM,
			"invalid network config:\ninvalid %s %s: parent subnet %s doesn't contain %s",
			what, text, subnet, this);
}

static int err_bad_gateway(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM,
			"invalid network config:\ninvalid gateway %s: invalid address", text);
}

static int parse_entry4(struct net *n, const struct ipam_entry *e, struct err *err)
{
	char right[IP4_STR];
	uint32_t addr;

	if (n->user_subnet)
		return err_kind(err, ERR_BAD_PARAM,
				"bridge driver doesn't support multiple subnets");
	if (ip4_net_parse(e->subnet, &n->subnet, &addr) < 0)
		return err_bad_block(err, "subnet", e->subnet);
	if (addr != n->subnet.base) {
		ip4_format(n->subnet.base, right);
		return err_kind(err, ERR_BAD_PARAM,
				"invalid network config:\ninvalid subnet %s: it should be %s/%d",
				e->subnet, right, n->subnet.prefix);
	}
	n->user_subnet = true;
	if (*e->range) {
		if (ip4_net_parse(e->range, &n->range, NULL) < 0)
			return err_bad_block(err, "ip-range", e->range);
		if (n->range.prefix < n->subnet.prefix || !ip4_contains(&n->subnet, n->range.base))
			return err_outside(err, "ip-range", e->range, e->subnet, "ip-range");
		n->has_range = true;
	}
	if (!*e->gateway)
		return 0;
	if (ip4_parse(e->gateway, &n->gateway) < 0)
		return err_bad_gateway(err, e->gateway);
	return ip4_contains(&n->subnet, n->gateway)
		       ? 0
		       : err_outside(err, "gateway", e->gateway, e->subnet, "this address");
}

static int parse_entry6(struct net *n, const struct ipam_entry *e, struct err *err)
{
	char right[IP6_NET_STR];
	struct in6_addr addr;

	if (n->user_subnet6)
		return err_kind(err, ERR_BAD_PARAM,
				"bridge driver doesn't support multiple subnets");
	if (ip6_net_parse(e->subnet, &n->subnet6, &addr) < 0 || !n->subnet6.prefix)
		return err_bad_block(err, "subnet", e->subnet);
	if (!ip6_equal(&addr, &n->subnet6.base)) {
		ip6_net_format(&n->subnet6, right);
		return err_kind(err, ERR_BAD_PARAM,
				"invalid network config:\ninvalid subnet %s: it should be %s",
				e->subnet, right);
	}
	n->user_subnet6 = true;
	if (*e->range) {
		if (ip6_net_parse(e->range, &n->range6, NULL) < 0 || !n->range6.prefix)
			return err_bad_block(err, "ip-range", e->range);
		if (n->range6.prefix < n->subnet6.prefix ||
		    !ip6_contains(&n->subnet6, &n->range6.base))
			return err_outside(err, "ip-range", e->range, e->subnet, "ip-range");
	}
	if (!*e->gateway)
		return 0;
	if (ip6_parse(e->gateway, &n->gateway6) < 0)
		return err_bad_gateway(err, e->gateway);
	return ip6_contains(&n->subnet6, &n->gateway6)
		       ? 0
		       : err_outside(err, "gateway", e->gateway, e->subnet, "this address");
}

static int parse_ipam_config(struct net *n, const json_t *c, bool ipv6, struct err *err)
{
	struct ipam_entry e = { .subnet = jget_str(c, "Subnet", ""),
				.range = jget_str(c, "IPRange", ""),
				.gateway = jget_str(c, "Gateway", "") };
	char *aux = object_text(c, jget_obj(c, "AuxiliaryAddresses") ? "AuxiliaryAddresses"
								     : "AuxAddress");
	bool is6 = strchr(e.subnet, ':');
	char **slot = is6 ? &n->aux6 : &n->aux_addresses;

	free(*slot);
	*slot = aux;
	if (!*e.subnet) {
		if (*e.range || *e.gateway)
			return err_kind(
				err, ERR_BAD_PARAM,
				"invalid network config:\ninvalid subnet : invalid CIDR block notation");
		return 0;
	}
	if (is6 && !ipv6)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid network config:\ninvalid subnet %s: IPv6 is not enabled "
				"for the network",
				e.subnet);
	return is6 ? parse_entry6(n, &e, err) : parse_entry4(n, &e, err);
}

static int parse_ipam(struct net *n, const json_t *body, bool ipv6, struct err *err)
{
	const json_t *ipam = jget_obj(body, "IPAM");
	const char *driver = jget_str(ipam, "Driver", "");
	json_t *config = jget_arr(ipam, "Config");
	int rc;

	if (*driver && !str_eq(driver, "default"))
		return err_kind(err, ERR_NOT_FOUND, "plugin \"%s\" not found", driver);
	if (jget_obj(ipam, "Options")) /* {} is told from none */
		n->ipam_options = json_dumps(jget_obj(ipam, "Options"), JSON_COMPACT);
	for (size_t i = 0; i < json_array_size(config); i++)
		if ((rc = parse_ipam_config(n, json_array_get(config, i), ipv6, err)) < 0)
			return rc;
	return ipv6 && !n->user_subnet6 ? pick_subnet6(n, err) : 0;
}

static bool is_predefined(const char *name)
{
	return str_eq(name, "bridge") || str_eq(name, "host") || str_eq(name, "none") ||
	       str_eq(name, "default") || str_starts(name, "container:");
}

static int parse_request(const struct buf *body, struct net *n, struct err *err)
{
	cleanup_json json_t *o = NULL;
	const char *driver, *config_from;
	int rc;

	if ((rc = body_decode(&body_network_create, body, &o, err)) < 0)
		return rc;
	n->name = xstrdup(jget_str(o, "Name", ""));
	driver = jget_str(o, "Driver", "");
	config_from = jget_str(jget_obj(o, "ConfigFrom"), "Network", "");
	if (!n->name[strspn(n->name, " \t\n")])
		return err_kind(err, ERR_BAD_PARAM, "invalid name: name is empty");
	if (is_predefined(n->name))
		return err_kind(err, ERR_FORBIDDEN,
				"operation is not permitted on predefined %s network", n->name);
	if (str_eq(driver, "host") || str_eq(driver, "null"))
		return err_kind(err, ERR_FORBIDDEN,
				"only one instance of \"%s\" network is allowed", driver);
	if (*driver && !str_eq(driver, "bridge"))
		return err_kind(err, ERR_NOT_FOUND,
				"plugin \"%s\" not found", driver);
	if (!jget_bool(o, "EnableIPv4", true))
		return err_kind(err, ERR_NOT_IMPLEMENTED, "networks without IPv4 are not supported");
	if (jget_bool(o, "ConfigOnly", false))
		return err_kind(err, ERR_NOT_IMPLEMENTED, "config-only networks are not supported");
	if (*config_from)
		return err_kind(err, ERR_NOT_FOUND, "configuration network \"%s\" does not exist", config_from);
	if (str_eq(jget_str(o, "Scope", ""), "swarm"))
		return err_kind(err, ERR_FORBIDDEN,
				"cannot create a swarm scoped network when swarm is not active");
	if (jget_bool(o, "Ingress", false))
		return err_kind(err, ERR_FORBIDDEN, "Ingress network can only be global scope network");
	n->internal = jget_bool(o, "Internal", false);
	n->attachable = jget_bool(o, "Attachable", false);
	n->labels = object_text(o, "Labels");
	if ((rc = net_options_check(jget_obj(o, "Options"), err)) < 0)
		return rc;
	n->options = object_text(o, "Options");
	return parse_ipam(n, o, jget_bool(o, "EnableIPv6", false), err);
}

/* With net_lock. */
static int check_against_others(const struct net *n, struct err *err)
{
	for (const struct net *o = net_list; o; o = o->next) {
		if (str_eq(o->name, n->name))
			return err_kind(err, ERR_CONFLICT, "network with name %s already exists",
					n->name);
		if (o->driver != NET_BRIDGE)
			continue;
		if (str_eq(o->bridge, n->bridge))
			return err_kind(
				err, ERR_FORBIDDEN,
				"cannot create network %s (%s): conflicts with network %s (%s): "
				"networks have same bridge name",
				n->id, n->bridge, o->id, o->bridge);
		if ((n->user_subnet && ip4_overlap(&o->subnet, &n->subnet)) ||
		    (n->subnet6.prefix && o->subnet6.prefix &&
		     ip6_overlap(&o->subnet6, &n->subnet6)))
			return err_kind(err, ERR_FORBIDDEN,
					"invalid pool request: Pool overlaps with other one on "
					"this address space");
	}
	return 0;
}

static int create_locked(struct net *n, struct err *err)
{
	int rc;

	if (!n->user_subnet && (rc = pick_subnet(n, err)) < 0)
		return rc;
	if ((rc = net_settings_apply(n, err)) < 0)
		return rc;
	pthread_mutex_lock(&net_lock);
	rc = check_against_others(n, err);
	pthread_mutex_unlock(&net_lock);
	if (rc < 0 || (rc = save(n, err)) < 0)
		return rc;
	if ((rc = net_bridge_up(n, err)) < 0) {
		net_bridge_down(n);
		store_del(STORE_NETWORK, n->id, &(struct err){ 0 });
		return rc;
	}
	return 0;
}

int network_create(const struct buf *body, char id[65], char **name, struct err *err)
{
	struct net *n = xcalloc(1, sizeof(*n));
	int rc;

	id_generate(n->id);
	n->driver = NET_BRIDGE;
	n->created_ns = now_ns();
	rc = parse_request(body, n, err);
	if (rc >= 0) {
		pthread_mutex_lock(&admin_lock);
		rc = create_locked(n, err);
		if (rc >= 0) {
			memcpy(id, n->id, 65);
			*name = xstrdup(n->name);
			pthread_mutex_lock(&net_lock);
			net_link(n);
			pthread_mutex_unlock(&net_lock);
		}
		pthread_mutex_unlock(&admin_lock);
	}
	if (rc < 0)
		net_free(n);
	return rc < 0 ? rc : 0;
}

/* ---- remove ---- */

/* With net_lock: takes it out of the list when that is allowed. */
static int unlink_unused(const char *ref, struct net **out, struct err *err)
{
	struct net *n;
	int rc;

	if ((rc = net_find(ref, &n, err)) < 0)
		return rc;
	if (n->builtin)
		return err_kind(err, ERR_FORBIDDEN,
				"%s is a pre-defined network and cannot be removed", n->name);
	if (n->members)
		return err_kind(err, ERR_FORBIDDEN,
				"error while removing network: network %s has active endpoints "
				"(name:\"%s\" "
				"id:\"%.12s\")",
				n->name, n->members->ct_name, n->members->endpoint_id);
	net_unlink(n);
	*out = n;
	return 0;
}

int network_remove(const char *ref, char id[65], char **name, struct err *err)
{
	struct net *n = NULL;
	int rc;

	pthread_mutex_lock(&admin_lock);
	pthread_mutex_lock(&net_lock);
	rc = unlink_unused(ref, &n, err);
	pthread_mutex_unlock(&net_lock);
	if (rc >= 0) {
		memcpy(id, n->id, 65);
		*name = xstrdup(n->name);
		net_bridge_down(n);
		rc = store_del(STORE_NETWORK, n->id, err);
		net_free(n);
	}
	pthread_mutex_unlock(&admin_lock);
	if (rc >= 0)
		(void)network_linger_make_room(id, NULL, true);
	return rc;
}

/* ---- reading ---- */

void network_info_free(struct network_info *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].labels);
		free(v[i].json);
	}
	free(v);
}

void network_list(struct network_info **out, size_t *n_out)
{
	struct network_info *v = NULL;
	size_t count = 0;

	pthread_mutex_lock(&net_lock);
	for (const struct net *n = net_list; n; n = n->next) {
		struct buf json = BUF_INIT;
		struct network_info *i;

		v = xrealloc(v, (count + 1) * sizeof(*v));
		i = &v[count++];
		*i = (struct network_info){ .driver = net_driver_name(n->driver),
					    .builtin = n->builtin,
					    .internal = n->internal,
					    .created_ns = n->created_ns };
		memcpy(i->id, n->id, sizeof(i->id));
		for (const struct net_member *m = n->members; m; m = m->next)
			i->n_members++;
		i->name = xstrdup(n->name);
		i->labels = xstrdup(n->labels);
		net_inspect_json(n, false, NULL, &json);
		i->json = buf_steal(&json);
	}
	pthread_mutex_unlock(&net_lock);
	*out = v;
	*n_out = count;
}

int network_inspect(const char *ref, net_name_fn *name_of, struct buf *out, struct err *err)
{
	struct net *n;
	int rc;

	pthread_mutex_lock(&net_lock);
	rc = net_find(ref, &n, err);
	if (rc >= 0)
		net_inspect_json(n, true, name_of, out);
	pthread_mutex_unlock(&net_lock);
	return rc;
}
