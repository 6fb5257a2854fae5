/* SPDX-License-Identifier: MPL-2.0
 *
 * firewall.c - the nftables table.
 *
 * Design: fixed rules, and maps whose elements come and go with the zones: an element costs 0.02 to
 * 0.05 ms however many there are, a rule for each container would cost more with each. One
 * libnftables context is kept; text goes in, its answers are not parsed but for the list of
 * elements at start. Chains:
 *
 *	guard		prerouting, raw: packets of zones with a loopback address at either end
 *			are dropped. Our bridges have route_localnet, for 127.0.0.1:PORT on the
 *			host; without this a zone could reach what listens on the host's loopback.
 *	prerouting	published ports, for what comes from outside and from zones. Never for
 *			127/8, which a neighbour in the host's network could send otherwise (a
 *			port published on 127.0.0.1 is the host's only).
 *	output		the same for the host's own connections.
 *	postrouting	masquerade: zone to outside; zone through a published port to a zone (else
 *			the answer would take the short way and not be recognised); 127.0.0.1 to
 *			a zone.
 *	forward		within a bridge: yes. Answers, and what came through a published port: yes.
 *			New connections from elsewhere to a bridge: no. From or to an internal
 *			network: no. All else is left to the host's other rules; an accept here
 *			ends only our own chain.
 *
 * Others' tables are never touched. Where one of them drops forwarded packets (Docker's iptables
 * rules set the FORWARD policy to drop) the operator has to let ours through.
 *
 * Failure: the kernel keeps the table when we die. firewall_init renews the rules in one
 * transaction and leaves the maps; elements of zones that died in between are removed by
 * firewall_adopt_end.
 */
#include "firewall.h"

#include <nftables/libnftables.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#define LOG_MODULE "firewall"
#include "log.h"
#include "map.h"
#include "netns.h"
#include "str.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nft_ctx *ctx;
static char table[32];
static struct map unclaimed; /* "ip any tcp . 80" -> "172.17.0.2 . 80", at start only */

#define DNAT(family)                                                                               \
	"meta l4proto { tcp, udp, sctp } dnat " family " to " family                               \
	" daddr . meta l4proto . th dport map @pub\n"                                              \
	"meta l4proto { tcp, udp, sctp } fib daddr type local dnat " family                        \
	" to meta l4proto . th dport map @any\n"

#define POSTROUTING(family)                                                                        \
	family " saddr @masq " family " daddr != @nets masquerade\n"                               \
	       "ct status dnat " family " saddr @nets " family " daddr @nets masquerade\n"

#define FORWARD                                                                                    \
	"iifname . oifname @intra accept\n"                                                        \
	"iifname @internal drop\n"                                                                 \
	"oifname @internal drop\n"                                                                 \
	"ct state established,related accept\n"                                                    \
	"oifname @bridges ct status dnat accept\n"                                                 \
	"oifname @bridges drop\n"

/* The table stands once for each family. IPv6's is made with the first network that has IPv6: a
 * kernel without it is no obstacle to those that do not. */
static struct family {
	const char *name, *addr;
	const char *forwarding;
	const char *chains[5][2]; /* chain name, then its rules, one a line */
	bool on;
} families[] = {
	{ "ip",
	  "ipv4_addr",
	  "/proc/sys/net/ipv4/ip_forward",
	  { { "guard", "iifname @bridges ip daddr 127.0.0.0/8 drop\n"
		       "iifname @bridges ip saddr 127.0.0.0/8 drop\n" },
	    { "prerouting", "ip daddr 127.0.0.0/8 return\n" DNAT("ip") },
	    { "output", DNAT("ip") },
	    { "postrouting",
	      POSTROUTING("ip") "ip saddr 127.0.0.0/8 ip daddr @nets masquerade\n" },
	    { "forward", FORWARD } },
	  false },
	/* the kernel routes nothing from ::1 to a bridge: [::1]:PORT on the host is refused */
	{ "ip6",
	  "ipv6_addr",
	  "/proc/sys/net/ipv6/conf/all/forwarding",
	  { { "guard", "" },
	    { "prerouting", "ip6 daddr ::1 return\n" DNAT("ip6") },
	    { "output", "ip6 daddr ::1 return\n" DNAT("ip6") },
	    { "postrouting", POSTROUTING("ip6") },
	    { "forward", FORWARD } },
	  false },
};
#define IPV4 (&families[0])
#define IPV6 (&families[1])

/* %F the family, %A the type of its addresses, %T the table's name */
static const char objects[] =
	"add table %F %T\n"
	"add map %F %T any { type inet_proto . inet_service : %A . inet_service; }\n"
	"add map %F %T pub { type %A . inet_proto . inet_service : %A . inet_service; }\n"
	"add set %F %T nets { type %A; flags interval; }\n"
	"add set %F %T masq { type %A; flags interval; }\n"
	"add set %F %T bridges { type ifname; }\n"
	"add set %F %T internal { type ifname; }\n"
	"add set %F %T intra { type ifname . ifname; }\n"
	"add chain %F %T guard { type filter hook prerouting priority raw; policy accept; }\n"
	"add chain %F %T prerouting { type nat hook prerouting priority dstnat; policy accept; }\n"
	"add chain %F %T output { type nat hook output priority -100; policy accept; }\n"
	"add chain %F %T postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
	"add chain %F %T forward { type filter hook forward priority filter; policy accept; }\n";

static int run_locked(const char *cmd, struct err *err)
{
	const char *why;

	if (nft_run_cmd_from_buffer(ctx, cmd) == 0) {
		nft_ctx_get_output_buffer(ctx); /* rewinds it */
		return 0;
	}
	why = nft_ctx_get_error_buffer(ctx);
	return err_kind(err, ERR_SYSTEM, "nftables: %.*s", (int)strcspn(why ? why : "", "\n"),
			why ? why : "no reason given");
}

static int run(const char *cmd, struct err *err)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = ctx ? run_locked(cmd, err) : err_kind(err, ERR_SYSTEM, "nftables is not set up");
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- start and end ---- */

static void put_objects(const struct family *f, struct buf *b)
{
	for (const char *p = objects; *p; p++) {
		if (*p != '%')
			buf_addch(b, *p);
		else
			buf_addstr(b, *++p == 'F' ? f->name : *p == 'A' ? f->addr : table);
	}
}

static void put_rules(const struct family *f, struct buf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->chains); i++) {
		buf_printf(b, "flush chain %s %s %s\n", f->name, table, f->chains[i][0]);
		for (const char *p = f->chains[i][1]; *p; p = strchr(p, '\n') + 1)
			buf_printf(b, "add rule %s %s %s %.*s\n", f->name, table, f->chains[i][0],
				   (int)strcspn(p, "\n"), p);
	}
}

/* A JSON element of a map, [key, value], as our text has it: "tcp . 80 : 172.17.0.2 . 80". */
static void elem_text(const json_t *v, struct buf *b)
{
	json_t *concat = jget_arr(v, "concat");

	for (size_t i = 0; i < json_array_size(concat); i++) {
		const json_t *part = json_array_get(concat, i);

		if (i)
			buf_addstr(b, " . ");
		if (json_is_integer(part))
			buf_printf(b, "%lld", (long long)json_integer_value(part));
		else if (json_is_string(part))
			buf_addstr(b, json_string_value(part));
	}
}

static void remember_map(const struct family *f, const json_t *map)
{
	json_t *elems = jget_arr(map, "elem");

	for (size_t i = 0; i < json_array_size(elems); i++) {
		const json_t *pair = json_array_get(elems, i);
		cleanup_buf struct buf key = BUF_INIT, value = BUF_INIT;

		buf_printf(&key, "%s %s ", f->name, jget_str(map, "name", ""));
		elem_text(json_array_get(pair, 0), &key);
		elem_text(json_array_get(pair, 1), &value);
		free(map_set(&unclaimed, buf_str(&key), xstrdup(buf_str(&value))));
	}
}

/* What a predecessor left in the maps. True: there is a table. */
static bool remember_elements(const struct family *f)
{
	cleanup_json json_t *root = NULL;
	cleanup_buf struct buf cmd = BUF_INIT;
	struct err ignored = {0};
	const char *out;
	json_t *list;
	bool found;

	nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_JSON);
	buf_printf(&cmd, "list table %s %s", f->name, table);
	found = nft_run_cmd_from_buffer(ctx, buf_str(&cmd)) == 0;
	if (found) {
		out = nft_ctx_get_output_buffer(ctx);
		if (jparse(out, strlen(out), &root, &ignored) < 0)
			log_warn("cannot read what is in the nftables table", "table=%s", table);
	}
	nft_ctx_output_set_flags(ctx, 0);
	nft_ctx_get_error_buffer(ctx);
	list = jget_arr(root, "nftables");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *map = jget_obj(json_array_get(list, i), "map");

		if (map)
			remember_map(f, map);
	}
	return found;
}

static int write_sysctl(const char *path, const char *value, struct err *err)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	char now = 0;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (read(fd, &now, 1) == 1 && now == *value)
		return 0;
	if (pwrite(fd, value, 1, 0) != 1)
		return err_sys(err, "write %s", path);
	return 0;
}

/* With the lock. Makes the family's table, or renews its rules. */
static int family_up(struct family *f, struct err *err)
{
	cleanup_buf struct buf cmd = BUF_INIT;
	int rc;

	put_objects(f, &cmd);
	put_rules(f, &cmd);
	rc = run_locked(buf_str(&cmd), err);
	if (rc < 0) {
		/* one of another version of ours: begin anew, the zones' ports are adopted */
		struct buf anew = BUF_INIT;

		log_warn("nftables table made anew", "table=%s why=%s", table, log_q(err->msg));
		buf_printf(&anew, "add table %s %s\ndelete table %s %s\n%s", f->name, table,
			   f->name, table, buf_str(&cmd));
		*err = (struct err){0};
		rc = run_locked(buf_str(&anew), err);
		buf_fini(&anew);
		map_fini(&unclaimed, free);
		map_init(&unclaimed);
	}
	f->on = rc >= 0;
	return rc < 0 ? rc : write_sysctl(f->forwarding, "1", err);
}

int firewall_init(const char *name, struct err *err)
{
	int rc;

	pthread_mutex_lock(&lock);
	str_copy(table, sizeof(table), name);
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	nft_ctx_buffer_output(ctx);
	nft_ctx_buffer_error(ctx);
	map_init(&unclaimed);
	remember_elements(IPV4);
	IPV6->on = remember_elements(IPV6);
	rc = family_up(IPV4, err);
	if (rc >= 0 && IPV6->on)
		rc = family_up(IPV6, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

void firewall_fini(bool remove)
{
	pthread_mutex_lock(&lock);
	for (struct family *f = families; ctx && f < families + ARRAY_SIZE(families); f++) {
		cleanup_buf struct buf cmd = BUF_INIT;
		struct err err = {0};

		buf_printf(&cmd, "delete table %s %s", f->name, table);
		if (remove && f->on && run_locked(buf_str(&cmd), &err) < 0)
			log_warn("nftables table stays", "table=%s why=%s", table, log_q(err.msg));
		f->on = false;
	}
	if (ctx) {
		nft_ctx_free(ctx);
		ctx = NULL;
		map_fini(&unclaimed, free);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- networks ---- */

static void family_net_cmds(const struct family *f, const struct fw_net *net, const char *subnet,
			    const char *verb, struct buf *b)
{
	buf_printf(b, "%s element %s %s bridges { \"%s\" }\n", verb, f->name, table, net->bridge);
	buf_printf(b, "%s element %s %s intra { \"%s\" . \"%s\" }\n", verb, f->name, table,
		   net->bridge, net->bridge);
	buf_printf(b, "%s element %s %s nets { %s }\n", verb, f->name, table, subnet);
	if (net->internal)
		buf_printf(b, "%s element %s %s internal { \"%s\" }\n", verb, f->name, table,
			   net->bridge);
	if (net->masquerade && !net->internal)
		buf_printf(b, "%s element %s %s masq { %s }\n", verb, f->name, table, subnet);
}

static void net_cmds(const struct fw_net *net, const char *verb, struct buf *b)
{
	char ip[IP4_STR], subnet[IP6_NET_STR];

	ip4_format(net->subnet.base, ip);
	snprintf(subnet, sizeof(subnet), "%s/%d", ip, net->subnet.prefix);
	family_net_cmds(IPV4, net, subnet, verb, b);
	if (!net->subnet6.prefix)
		return;
	ip6_net_format(&net->subnet6, subnet);
	family_net_cmds(IPV6, net, subnet, verb, b);
}

int firewall_net_add(const struct fw_net *net, struct err *err)
{
	cleanup_buf struct buf cmd = BUF_INIT;
	char path[128];
	int rc = 0;

	if (net->subnet6.prefix) {
		pthread_mutex_lock(&lock);
		rc = ctx && !IPV6->on ? family_up(IPV6, err) : 0;
		pthread_mutex_unlock(&lock);
		if (rc < 0)
			return rc;
	}
	net_cmds(net, "add", &cmd);
	if ((rc = run(buf_str(&cmd), err)) < 0)
		return rc;
	rc = str_fmt(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", net->bridge);
	if (rc < 0)
		return err_sysnum(err, rc, "bridge name %s", net->bridge);
	return write_sysctl(path, "1", err);
}

void firewall_net_del(const struct fw_net *net)
{
	cleanup_buf struct buf cmd = BUF_INIT;
	struct err err = {0};

	net_cmds(net, "delete", &cmd);
	if (run(buf_str(&cmd), &err) < 0)
		log_warn("network's rules stay", "bridge=%s why=%s", net->bridge, log_q(err.msg));
}

/* ---- published ports ---- */

/* "ip any tcp . 80" or "ip6 pub fd00::1 . tcp . 80": family, map, key */
static void port_key(const struct port_binding *p, struct buf *b)
{
	const char *family = strchr(p->host_ip, ':') ? IPV6->name : IPV4->name;

	if (str_empty(p->host_ip) || str_eq(p->host_ip, "0.0.0.0") || str_eq(p->host_ip, "::"))
		buf_printf(b, "%s any %s . %u", family, p->proto, p->host_port);
	else
		buf_printf(b, "%s pub %s . %s . %u", family, p->host_ip, p->proto, p->host_port);
}

/* "172.17.0.2 . 80" */
static void port_value(const struct endpoint *ep, const struct port_binding *p, struct buf *b)
{
	buf_printf(b, "%s . %u", strchr(p->host_ip, ':') ? ep->ip6 : ep->ip, p->ct_port);
}

/* value NULL: deletes it */
static void elem_cmd(const char *key, const char *value, struct buf *b)
{
	int family_len = (int)strcspn(key, " ");
	const char *map = key + family_len + 1;

	buf_printf(b, "%s element %.*s %s %.3s { %s%s%s }\n", value ? "add" : "delete", family_len,
		   key, table, map, map + 4, value ? " : " : "", value ? value : "");
}

int firewall_ports_add(const struct endpoint *ep, struct err *err)
{
	cleanup_buf struct buf cmd = BUF_INIT;

	if (!ep->n_ports)
		return 0;
	for (size_t i = 0; i < ep->n_ports; i++) {
		cleanup_buf struct buf key = BUF_INIT, value = BUF_INIT;

		port_key(&ep->ports[i], &key);
		port_value(ep, &ep->ports[i], &value);
		elem_cmd(buf_str(&key), buf_str(&value), &cmd);
	}
	return run(buf_str(&cmd), err);
}

void firewall_ports_del(const struct endpoint *ep)
{
	/* one by one: a missing element must not keep the others */
	for (size_t i = 0; i < ep->n_ports; i++) {
		cleanup_buf struct buf cmd = BUF_INIT, key = BUF_INIT;
		struct err err = {0};

		port_key(&ep->ports[i], &key);
		elem_cmd(buf_str(&key), NULL, &cmd);
		if (run(buf_str(&cmd), &err) < 0)
			log_warn("published port's rule stays", "port=%s why=%s",
				 log_q(buf_str(&key)), log_q(err.msg));
	}
}

int firewall_ports_adopt(const struct endpoint *ep, struct err *err)
{
	cleanup_buf struct buf cmd = BUF_INIT;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < ep->n_ports; i++) {
		cleanup_buf struct buf key = BUF_INIT, value = BUF_INIT;
		cleanup_free char *is = NULL;

		port_key(&ep->ports[i], &key);
		port_value(ep, &ep->ports[i], &value);
		is = map_del(&unclaimed, buf_str(&key));
		if (str_eq(is, buf_str(&value)))
			continue;
		if (is)
			elem_cmd(buf_str(&key), NULL, &cmd);
		elem_cmd(buf_str(&key), buf_str(&value), &cmd);
	}
	pthread_mutex_unlock(&lock);
	return cmd.len ? run(buf_str(&cmd), err) : 0;
}

void firewall_adopt_end(void)
{
	cleanup_buf struct buf cmd = BUF_INIT;
	struct map_iter it = {0};
	struct err err = {0};
	const char *key;
	void *value;

	pthread_mutex_lock(&lock);
	while (map_next(&unclaimed, &it, &key, &value))
		elem_cmd(key, NULL, &cmd);
	map_fini(&unclaimed, free);
	map_init(&unclaimed);
	pthread_mutex_unlock(&lock);
	if (cmd.len && run(buf_str(&cmd), &err) < 0)
		log_warn("rules of ports of old stay", "why=%s", log_q(err.msg));
}

/* ---- inside a zone ---- */

static int run_inside(void *arg, struct err *err)
{
	struct nft_ctx *c = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc = 0;

	nft_ctx_buffer_output(c);
	nft_ctx_buffer_error(c);
	if (nft_run_cmd_from_buffer(c, arg) != 0)
		rc = err_kind(err, ERR_SYSTEM, "nftables in the container's network: %.200s",
			      nft_ctx_get_error_buffer(c));
	nft_ctx_free(c);
	return rc;
}

int firewall_dns_redirect(int netns_fd, uint16_t udp_port, uint16_t tcp_port, struct err *err)
{
	cleanup_buf struct buf cmd = BUF_INIT;

	buf_printf(&cmd,
		   "add table ip sdc_dns\n"
		   "add chain ip sdc_dns output { type nat hook output priority -100; policy "
		   "accept; }\n"
		   "flush chain ip sdc_dns output\n"
		   "add rule ip sdc_dns output ip daddr 127.0.0.11 udp dport 53 dnat to "
		   "127.0.0.11:%u\n"
		   "add rule ip sdc_dns output ip daddr 127.0.0.11 tcp dport 53 dnat to "
		   "127.0.0.11:%u\n",
		   udp_port, tcp_port);
	return netns_call(netns_fd, run_inside, cmd.p, err);
}
