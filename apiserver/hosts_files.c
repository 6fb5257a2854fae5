/* SPDX-License-Identifier: MPL-2.0
 *
 * hosts_files.c - the three files of a zone that tell it names: hosts, hostname, resolv.conf, in
 * <zones>/UUID/config, bound into the zone by the OCI spec. Written anew at each start, in place of
 * what was there: a running zone keeps the inode that it has.
 *
 * What goes in is Docker's:
 *	hosts		localhost lines, --add-host, links, own address with its names. With the
 *			host's network: the host's own file and --add-host.
 *	resolv.conf	--dns* where given, else the configuration's, else the host's. Name servers
 *			on the host's loopback mean nothing inside and are left out; without any
 *			left, 8.8.8.8 and 8.8.4.4. "." as the only search domain means none.
 *
 * Pure but for network_write_files, which reads the host's files and writes the zone's.
 */
#include "hosts_files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "cleanup.h"
#include "conf.h"
#include "container.h"
#include "engine.h"
#include "fs.h"
#include "jget.h"
#include "network.h"
#include "network_private.h"
#include "resolver.h"
#include "str.h"

#define HOST_FILE_MAX (1024 * 1024)

/* ---- hosts ---- */

static const char localhost_lines[] = "127.0.0.1\tlocalhost\n"
				      "::1\tlocalhost ip6-localhost ip6-loopback\n"
				      "fe00::\tip6-localnet\n"
				      "ff00::\tip6-mcastprefix\n"
				      "ff02::1\tip6-allnodes\n"
				      "ff02::2\tip6-allrouters\n";

/* No white space or control byte may come in by an API field: each would make lines of its own. */
static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '#')
			return false;
	return true;
}

void hosts_add_extra(struct buf *b, const char *entry, const char *host_gateway)
{
	size_t name_len = strcspn(entry, ":=");
	const char *ip = entry + name_len + (entry[name_len] != '\0');
	cleanup_free char *name = xstrndup(entry, name_len), *bare = NULL;

	if (str_eq(ip, "host-gateway"))
		ip = host_gateway;
	if (ip[0] == '[' && str_ends(ip, "]"))
		ip = bare = xstrndup(ip + 1, strlen(ip) - 2);
	if (*ip && *name && is_clean(ip) && is_clean(name))
		buf_printf(b, "%s\t%s\n", ip, name);
}

void hosts_add_own(struct buf *b, const char *ip, const char *hostname, const char *domain)
{
	const char *dot = strchr(hostname, '.');

	if (str_empty(ip) || str_empty(hostname) || !is_clean(hostname) || !is_clean(domain))
		return;
	if (*domain)
		buf_printf(b, "%s\t%s.%s %s\n", ip, hostname, domain, hostname);
	else if (dot && dot != hostname)
		buf_printf(b, "%s\t%s %.*s\n", ip, hostname, (int)(dot - hostname), hostname);
	else
		buf_printf(b, "%s\t%s\n", ip, hostname);
}

/* What a link on the default bridge gives: links.h makes the words. */
static void add_links(struct buf *b, const json_t *lines)
{
	json_t *line, *word;
	size_t i, k;

	json_array_foreach (lines, i, line) {
		json_array_foreach (line, k, word) {
			const char *s = json_string_value(word);

			if (s && *s && is_clean(s))
				buf_printf(b, "%s%s", k == 0 ? "" : k == 1 ? "\t" : " ", s);
		}
		buf_addch(b, '\n');
	}
}

/* Whether a line calls its address by the name first. */
static bool names_first(const char *line, size_t len, const char *name)
{
	const char *tab = memchr(line, '\t', len);
	size_t n = strlen(name);

	return tab && tab + 1 + n <= line + len && memcmp(tab + 1, name, n) == 0 &&
	       (tab + 1 + n == line + len || strchr(" .\t", tab[1 + n]));
}

void hosts_move(struct buf *b, const char *name, const char *ip, const char *ip6)
{
	cleanup_buf struct buf moved = BUF_INIT;

	for (const char *line = buf_str(b), *end; *line; line = end + (*end == '\n')) {
		const char *to = memchr(line, ':', strcspn(line, "\t\n")) ? ip6 : ip;

		end = line + strcspn(line, "\n");
		if (*name && *to && names_first(line, (size_t)(end - line), name)) {
			buf_addstr(&moved, to);
			line += strcspn(line, "\t");
		}
		buf_add(&moved, line, (size_t)(end - line));
		buf_addch(&moved, '\n');
	}
	buf_reset(b);
	buf_add(b, buf_str(&moved), moved.len);
}

void hosts_drop_name(struct buf *b, const char *name)
{
	cleanup_buf struct buf kept = BUF_INIT;

	for (const char *line = buf_str(b), *end; *line; line = end + (*end == '\n')) {
		end = line + strcspn(line, "\n");
		if (*name && names_first(line, (size_t)(end - line), name))
			continue;
		buf_add(&kept, line, (size_t)(end - line));
		buf_addch(&kept, '\n');
	}
	buf_reset(b);
	buf_add(b, buf_str(&kept), kept.len);
}

/* ---- resolv.conf ---- */

/* The next word of a line, owned; NULL at its end. */
static char *next_word(const char **p, const char *end)
{
	const char *start;

	while (*p < end && strchr(" \t\r", **p))
		(*p)++;
	start = *p;
	while (*p < end && !strchr(" \t\r", **p))
		(*p)++;
	return *p > start ? xstrndup(start, (size_t)(*p - start)) : NULL;
}

static void parse_line(const char *p, const char *end, struct resolv *r)
{
	cleanup_free char *key = next_word(&p, end);
	char ***list = NULL, *word;

	if (str_eq(key, "nameserver"))
		list = &r->servers;
	else if (str_eq(key, "options"))
		list = &r->options;
	else if (str_eq(key, "search") || str_eq(key, "domain"))
		list = &r->search;
	if (list == &r->search) { /* the last one counts */
		strv_free(r->search);
		r->search = NULL;
	}
	while (list && (word = next_word(&p, end))) {
		strv_add(list, word);
		free(word);
		if (list == &r->servers)
			break;
	}
}

void resolv_parse(const char *text, struct resolv *r)
{
	while (*text) {
		parse_line(text, text + strcspn(text, "#;\n"), r);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

void resolv_fini(struct resolv *r)
{
	strv_free(r->servers);
	strv_free(r->search);
	strv_free(r->options);
}

static bool is_loopback(const char *ip)
{
	return str_starts(ip, "127.") || str_eq(ip, "::1");
}

/* IPv6 servers cannot be reached from a zone without IPv6. */
static bool is_usable(const char *ip)
{
	return !is_loopback(ip) && !strchr(ip, ':');
}

void resolv_for_zone(struct resolv *r)
{
	char **kept = NULL;

	for (char **s = r->servers; s && *s; s++)
		if (is_usable(*s))
			strv_add(&kept, *s);
	if (!kept) {
		strv_add(&kept, "8.8.8.8");
		strv_add(&kept, "8.8.4.4");
	}
	strv_free(r->servers);
	r->servers = kept;
}

static void put_list(struct buf *b, const char *key, char **v)
{
	if (!v || !v[0])
		return;
	buf_addstr(b, key);
	for (; *v; v++)
		if (is_clean(*v))
			buf_printf(b, " %s", *v);
	buf_addch(b, '\n');
}

void resolv_write(const struct resolv *r, struct buf *b)
{
	bool no_search = r->search && strv_len(r->search) == 1 && str_eq(r->search[0], ".");

	for (char **s = r->servers; s && *s; s++)
		if (is_clean(*s))
			buf_printf(b, "nameserver %s\n", *s);
	if (!no_search)
		put_list(b, "search", r->search);
	put_list(b, "options", r->options);
}

static void override(char ***list, char **from)
{
	if (!from || !from[0]) {
		strv_free(from);
		return;
	}
	strv_free(*list);
	*list = from;
}

static char **conf_list(const char *key)
{
	char **out = NULL, **words = strv_split(conf_str(engine->conf, key), ',');

	for (char **w = words; *w; w++) {
		const char *s = *w + strspn(*w, " \t");
		cleanup_free char *word = xstrndup(s, strcspn(s, " \t"));

		if (*word)
			strv_add(&out, word);
	}
	strv_free(words);
	return out;
}

static void read_host_file(const char *path, struct buf *out)
{
	struct err ignored = { 0 };

	buf_reset(out);
	fs_read_file(path, HOST_FILE_MAX, out, &ignored); /* missing: empty */
}

static void host_resolv(bool host_network, struct resolv *r)
{
	cleanup_buf struct buf b = BUF_INIT;

	read_host_file("/etc/resolv.conf", &b);
	resolv_parse(buf_str(&b), r);
	/* systemd's stub tells nothing of the real servers */
	if (!host_network && r->servers && strv_len(r->servers) == 1 &&
	    str_eq(r->servers[0], "127.0.0.53")) {
		resolv_fini(r);
		*r = (struct resolv){ 0 };
		read_host_file("/run/systemd/resolve/resolv.conf", &b);
		resolv_parse(buf_str(&b), r);
	}
}

/* The zone's servers, search domains and options, as if it asked them by itself. */
static void zone_resolv(const struct ct_spec *spec, bool host_network, struct resolv *r)
{
	static const struct {
		const char *field, *key;
		size_t offset;
	} settings[] = {
		{ "Dns", "dns", offsetof(struct resolv, servers) },
		{ "DnsSearch", "dns-search", offsetof(struct resolv, search) },
		{ "DnsOptions", "dns-opt", offsetof(struct resolv, options) },
	};

	host_resolv(host_network, r);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		char ***list = (char ***)((char *)r + settings[i].offset);
		char **given = jget_strv(spec->host_config, settings[i].field);

		if (!given[0]) {
			strv_free(given);
			given = conf_list(settings[i].key);
		}
		r->given_servers |= i == 0 && given && given[0];
		override(list, given);
	}
}

static bool has_option(char **options, const char *prefix)
{
	for (; options && *options; options++)
		if (str_starts(*options, prefix))
			return true;
	return false;
}

/* In a user-defined network the zone asks us (resolver.h), and upstream gets what it would ask
 * else. Servers on the host's loopback stay: the resolver reaches those. */
static void point_to_resolver(struct resolv *r, struct buf *upstream)
{
	struct resolv servers = { .servers = r->servers };

	if (!r->servers)
		resolv_for_zone(&servers);
	resolv_write(&servers, upstream);
	if (servers.servers != r->servers)
		strv_free(servers.servers);
	strv_free(r->servers);
	r->servers = NULL;
	strv_add(&r->servers, RESOLVER_ADDRESS);
	if (!has_option(r->options, "ndots:"))
		strv_add(&r->options, "ndots:0");
}

/* ---- the files ---- */

static const char *host_gateway(const struct ct_spec *spec)
{
	const char *set = conf_str(engine->conf, "host-gateway-ip");

	if (!str_empty(set))
		return set;
	for (size_t i = 0; i < spec->n_endpoints; i++)
		if (spec->endpoints[i].gateway[0])
			return spec->endpoints[i].gateway;
	return "127.0.0.1"; /* host network */
}

static void make_hosts(const struct ct_spec *spec, bool host_network, const char *hostname,
		       const char *domain, struct buf *b)
{
	cleanup_strv char **extra = jget_strv(spec->host_config, "ExtraHosts");

	if (host_network)
		read_host_file("/etc/hosts", b);
	if (!b->len)
		buf_addstr(b, localhost_lines);
	if (b->p[b->len - 1] != '\n')
		buf_addch(b, '\n');
	for (char **e = extra; *e; e++)
		hosts_add_extra(b, *e, host_gateway(spec));
	add_links(b, jget_arr(spec->extra, "link_hosts"));
	for (size_t i = 0; i < spec->n_endpoints && !host_network; i++) {
		hosts_add_own(b, spec->endpoints[i].ip, hostname, domain);
		hosts_add_own(b, spec->endpoints[i].ip6, hostname, domain);
	}
}

static char *file_path(const struct ct_spec *spec, const char *name, char path[1024])
{
	cleanup_free char *rest = xasprintf("config/%s", name);

	return paths_zone(&engine->paths, spec->uuid, rest, path);
}

static int write_one(const struct ct_spec *spec, const char *name, const struct buf *b,
		     struct err *err)
{
	char path[1024];

	return fs_write_replace(file_path(spec, name, path), buf_str(b), b->len, 0644, err);
}

static bool is_host_network(const struct ct_spec *spec)
{
	return str_eq(jget_str(spec->host_config, "NetworkMode", ""), "host");
}

/* A zone that was in user-defined networks only before and is in none any more asks the resolver
 * still: it is in its resolv.conf. */
static bool wants_resolver(const struct ct_spec *spec, const struct endpoint *more)
{
	for (size_t i = 0; i < spec->n_endpoints; i++)
		if (network_is_user_defined(spec->endpoints[i].network))
			return true;
	return more && network_is_user_defined(more->network);
}

/* resolv.conf's text, and resolv.upstream and the resolver where the zone has one. */
static int set_up_names(const struct ct_spec *spec, const struct endpoint *more, struct buf *text,
			struct err *err)
{
	cleanup_buf struct buf upstream = BUF_INIT;
	bool host_network = is_host_network(spec), own = wants_resolver(spec, more);
	struct resolv r = { 0 };
	int rc = 0;

	zone_resolv(spec, host_network, &r);
	if (own)
		point_to_resolver(&r, &upstream);
	else if (!host_network && !r.given_servers)
		resolv_for_zone(&r);
	resolv_write(&r, text);
	resolv_fini(&r);
	if (own && (rc = write_one(spec, "resolv.upstream", &upstream, err)) >= 0)
		rc = network_resolver_start(spec->id, spec->uuid, err);
	return rc < 0 ? rc : 0;
}

int network_write_files(const struct ct_spec *spec, struct err *err)
{
	cleanup_buf struct buf hosts = BUF_INIT, name = BUF_INIT, resolv = BUF_INIT;
	const char *hostname = jget_str(spec->config, "Hostname", "");
	const char *domain = jget_str(spec->config, "Domainname", "");
	int rc;

	make_hosts(spec, is_host_network(spec), hostname, domain, &hosts);
	buf_printf(&name, "%s\n", hostname); /* the hosts file has the domain */
	if ((rc = write_one(spec, "hosts", &hosts, err)) < 0 ||
	    (rc = write_one(spec, "hostname", &name, err)) < 0 ||
	    (rc = set_up_names(spec, NULL, &resolv, err)) < 0 ||
	    (rc = write_one(spec, "resolv.conf", &resolv, err)) < 0)
		return rc;
	return 0;
}

/* ---- of a running zone ---- */

/* A zone's own operations and those of the zones that it has links to change its hosts file. */
static pthread_mutex_t in_place_lock = PTHREAD_MUTEX_INITIALIZER;

/* In place: the zone has the inode. */
static int rewrite(const char *uuid, const char *rest, const struct buf *b, struct err *err)
{
	char path[1024];
	cleanup_fd int fd = open(paths_zone(&engine->paths, uuid, rest, path),
				 O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	rc = fs_write_all(fd, buf_str(b), b->len);
	return rc < 0 ? err_sysnum(err, rc, "write %s", path) : 0;
}

typedef void hosts_change_fn(struct buf *hosts, const void *arg);

static int change_hosts(const char *uuid, hosts_change_fn *change, const void *arg, struct err *err)
{
	cleanup_buf struct buf hosts = BUF_INIT;
	char path[1024];
	int rc;

	pthread_mutex_lock(&in_place_lock);
	rc = fs_read_file(paths_zone(&engine->paths, uuid, "config/hosts", path), HOST_FILE_MAX, &hosts, err);
	if (rc >= 0) {
		change(&hosts, arg);
		rc = rewrite(uuid, "config/hosts", &hosts, err);
	}
	pthread_mutex_unlock(&in_place_lock);
	return rc < 0 ? rc : 0;
}

struct own_address {
	const struct ct_spec *spec;
	const struct endpoint *ep;
};

static void add_own_address(struct buf *hosts, const void *arg)
{
	const struct own_address *a = arg;
	const char *hostname = jget_str(a->spec->config, "Hostname", "");
	const char *domain = jget_str(a->spec->config, "Domainname", "");

	hosts_add_own(hosts, a->ep->ip, hostname, domain);
	hosts_add_own(hosts, a->ep->ip6, hostname, domain);
}

int network_files_connect(const struct ct_spec *spec, const struct endpoint *ep, struct err *err)
{
	const struct own_address own = { spec, ep };
	cleanup_buf struct buf resolv = BUF_INIT;
	int rc;

	if ((rc = change_hosts(spec->uuid, add_own_address, &own, err)) < 0)
		return rc;
	if (wants_resolver(spec, NULL) || !wants_resolver(spec, ep))
		return 0;
	if ((rc = set_up_names(spec, ep, &resolv, err)) < 0)
		return rc;
	return rewrite(spec->uuid, "config/resolv.conf", &resolv, err);
}

void hosts_drop_ip(struct buf *b, const char *ip)
{
	cleanup_buf struct buf kept = BUF_INIT;
	size_t ip_len = strlen(ip);

	for (const char *line = buf_str(b); *line;) {
		size_t len = strcspn(line, "\n") + 1;

		if (!line[len - 1])
			len--;
		if (strncmp(line, ip, ip_len) != 0 || !strchr(" \t", line[ip_len]))
			buf_add(&kept, line, len);
		line += len;
	}
	buf_reset(b);
	buf_add(b, buf_str(&kept), kept.len);
}

static void drop_addresses(struct buf *hosts, const void *arg)
{
	const struct endpoint *ep = arg;

	hosts_drop_ip(hosts, ep->ip);
	if (ep->ip6[0])
		hosts_drop_ip(hosts, ep->ip6);
}

int network_files_disconnect(const struct ct_spec *spec, const struct endpoint *ep, struct err *err)
{
	return ep->ip[0] ? change_hosts(spec->uuid, drop_addresses, ep, err) : 0;
}

struct moved_link {
	const char *alias;
	const struct endpoint *ep;
};

static void move_link(struct buf *hosts, const void *arg)
{
	const struct moved_link *m = arg;

	hosts_move(hosts, m->alias, m->ep->ip, m->ep->ip6);
}

int network_files_move_link(const char *uuid, const char *alias, const struct endpoint *ep, struct err *err)
{
	const struct moved_link m = { alias, ep };

	return change_hosts(uuid, move_link, &m, err);
}

static void drop_link(struct buf *hosts, const void *arg)
{
	hosts_drop_name(hosts, arg);
}

int network_files_drop_link(const char *uuid, const char *alias, struct err *err)
{
	return change_hosts(uuid, drop_link, alias, err);
}

/* ---- the resolver ---- */

int network_resolver_order(const char *ct_id, const char *uuid, struct buf *order, int *netns_fd,
			   struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_strv char **upstreams = xcalloc(1, sizeof(char *));
	struct resolv r = { 0 };
	char path[1024];
	int rc;

	if ((rc = fs_read_file(paths_zone(&engine->paths, uuid, "config/resolv.upstream", path),
			       HOST_FILE_MAX, &text, err)) < 0)
		return rc;
	*netns_fd = open(paths_zone_run(&engine->paths, uuid, "netns", path), O_RDONLY | O_CLOEXEC);
	if (*netns_fd < 0)
		return err_sys(err, "open %s", path);
	resolv_parse(buf_str(&text), &r);
	for (char **s = r.servers; s && *s; s++)
		strv_add(&upstreams, *s);
	resolv_fini(&r);
	resolver_order_zone(ct_id, upstreams, order);
	return 0;
}

int network_resolver_start(const char *ct_id, const char *uuid, struct err *err)
{
	cleanup_buf struct buf order = BUF_INIT;
	cleanup_fd int netns = -1;
	int rc;

	if ((rc = network_resolver_order(ct_id, uuid, &order, &netns, err)) < 0)
		return rc;
	return resolver_start(&order, netns, err);
}
