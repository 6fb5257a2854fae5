/* SPDX-License-Identifier: MPL-2.0
 *
 * network_linger.c - a zone has ended, and its log driver's sink has not got all of its log.
 *
 * Design. The logger reaches its sink through the zone's network and by the zone's name server, and both would go with
 * the zone. So the zone's end gives back what others wait for (published ports, its names, its place in inspect), and
 * keeps the rest for the logger: the addresses stay taken, the resolver goes on serving the namespace, and we hold the
 * namespace itself, with a link from the run folder, so that a logger which is started anew finds it. logsvc says when it
 * is through (Settled), and there is a time limit besides. Whoever asks for such an address gets it: the device inside is
 * removed first.
 *
 * Failure: run/zones/UUID/linger.json says what lingers, written before anything else is done; a successor takes it up
 * again if logsvc still has a logger for the zone. It is a file of the run folder: after a boot nothing lingers.
 *
 * Threads: workers; one lock over all of it, also over the orders to the resolver, so that the end of a lingering and the
 * start of the zone's next run do not meet.
 */
#define LOG_MODULE "linger"
#include "network_linger.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "engine.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "network_private.h"
#include "resolver.h"
#include "str.h"

#define STATE_NAME "linger.json"
#define STATE_MAX  (1024 * 1024)

struct stay {
	struct stay *next;
	char ct_id[65], uuid[37];
	int netns_fd;
	struct endpoint *eps;
	size_t n;
	int64_t until_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stay *all;

static void stay_free(struct stay *l)
{
	for (size_t i = 0; i < l->n; i++)
		endpoint_fini(&l->eps[i]);
	free(l->eps);
	if (l->netns_fd >= 0)
		close(l->netns_fd);
	free(l);
}

/* ---- the files -------------------------------------------------------------------------------- */

static void save(const struct stay *l)
{
	cleanup_json json_t *o = json_object();
	json_t *eps = json_array();
	cleanup_free char *text = NULL;
	struct err err = { 0 };
	char path[1024];

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(eps, endpoint_to_json(&l->eps[i]));
	json_object_set_new(o, "id", json_string(l->ct_id));
	json_object_set_new(o, "until_ns", json_integer(l->until_ns));
	json_object_set_new(o, "endpoints", eps);
	text = json_dumps(o, JSON_COMPACT);
	if (!text || fs_write_replace(paths_zone_run(&engine->paths, l->uuid, STATE_NAME, path), text, strlen(text), 0600, &err) < 0)
		log_warn("not saved", "zone=%s error=%s", l->uuid, log_q(err.msg));
}

/* Where the zone's next logger looks for the namespace. */
static void link_netns(const struct stay *l)
{
	char path[1024], target[64];

	if (l->netns_fd < 0)
		return;
	snprintf(target, sizeof(target), "/proc/%d/fd/%d", (int)getpid(), l->netns_fd);
	(void)unlink(paths_zone_run(&engine->paths, l->uuid, "netns", path));
	if (symlink(target, path) < 0)
		log_warn("no link to the network", "zone=%s errno=%d", l->uuid, errno);
}

static struct stay *load(const char *uuid)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };
	struct stay *l;
	json_t *eps;
	char path[1024];

	paths_zone_run(&engine->paths, uuid, STATE_NAME, path);
	if (fs_read_file(path, STATE_MAX, &text, &err) < 0 || jparse(text.p, text.len, &o, &err) < 0)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->netns_fd = -1;
	str_copy(l->uuid, sizeof(l->uuid), uuid);
	str_copy(l->ct_id, sizeof(l->ct_id), jget_str(o, "id", ""));
	l->until_ns = jget_int(o, "until_ns", 0);
	eps = jget_arr(o, "endpoints");
	l->eps = xcalloc(json_array_size(eps) + 1, sizeof(*l->eps));
	for (size_t i = 0; i < json_array_size(eps); i++)
		if (endpoint_from_json(json_array_get(eps, i), &l->eps[l->n], &err) == 0)
			l->n++;
	return l;
}

static void remove_files(const char *uuid)
{
	char path[1024];

	(void)unlink(paths_zone_run(&engine->paths, uuid, "netns", path));
	(void)unlink(paths_zone_run(&engine->paths, uuid, STATE_NAME, path));
}

/* ---- one endpoint ----------------------------------------------------------------------------- */

static void as_member(const struct stay *l, const struct endpoint *ep, struct net_member *m)
{
	*m = (struct net_member){ .links = ep->links }; /* no names: nobody finds it */
	str_copy(m->ct_id, sizeof(m->ct_id), l->ct_id);
	str_copy(m->endpoint_id, sizeof(m->endpoint_id), ep->endpoint_id);
	(void)ip4_parse(ep->ip, &m->ip);
	(void)ip6_parse(ep->ip6, &m->ip6);
}

/* The address stays taken, though no member has it; true: others are to hear of it. */
static bool keep_address(const struct endpoint *ep, const struct net_member *m)
{
	struct err taken = { 0 };
	struct in6_addr got6;
	struct net *n;
	uint32_t got;
	bool named;

	pthread_mutex_lock(&net_lock);
	n = net_by_id(ep->network_id);
	named = n && !n->builtin;
	if (n) {
		(void)net_member_del(n, ep->endpoint_id);
		if (m->ip)
			(void)ipam_alloc(&n->ipam, m->ip, &got, &taken);
		if (!ip6_is_zero(&m->ip6))
			(void)ipam6_alloc(&n->ipam6, &m->ip6, &got6, &taken);
	}
	pthread_mutex_unlock(&net_lock);
	return named;
}

static void release_address(const struct endpoint *ep, const struct net_member *m)
{
	struct net *n;

	pthread_mutex_lock(&net_lock);
	if ((n = net_by_id(ep->network_id))) {
		if (m->ip)
			ipam_release(&n->ipam, m->ip);
		ipam6_release(&n->ipam6, &m->ip6);
	}
	pthread_mutex_unlock(&net_lock);
}

static void keep(const struct stay *l, const struct endpoint *ep)
{
	struct net_member m;

	as_member(l, ep, &m);
	if (keep_address(ep, &m))
		resolver_member_set(ep->network_id, ep->network, &m);
}

/* With the lock, of what is out of the list. */
static void end(struct stay *l)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < l->n; i++) {
		const struct endpoint *ep = &l->eps[i];
		struct net_member m;

		as_member(l, ep, &m);
		if (l->netns_fd >= 0)
			(void)network_unplug(ep, l->netns_fd, &ignored);
		release_address(ep, &m);
		resolver_member_del(ep->network_id, ep->endpoint_id);
	}
	resolver_stop(l->ct_id);
	remove_files(l->uuid);
	log_info("network of an ended zone is given back", "zone=%s", l->uuid);
	stay_free(l);
}

/* Ends all that fn wants to end; how many. */
static unsigned end_those(bool (*fn)(const struct stay *l, const void *arg), const void *arg)
{
	struct stay **pp = &all, *l;
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	while ((l = *pp)) {
		if (!fn(l, arg)) {
			pp = &l->next;
			continue;
		}
		*pp = l->next;
		end(l);
		n++;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- for the zone's end ----------------------------------------------------------------------- */

static bool keeps(const struct stay *l, const char *endpoint_id)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->eps[i].endpoint_id, endpoint_id))
			return true;
	return false;
}

void network_linger(const char *ct_id, const char *uuid, struct endpoint *eps, size_t n, int netns_fd, int64_t until_ns)
{
	struct stay *l = xcalloc(1, sizeof(*l));

	str_copy(l->ct_id, sizeof(l->ct_id), ct_id);
	str_copy(l->uuid, sizeof(l->uuid), uuid);
	l->netns_fd = netns_fd < 0 ? -1 : fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
	l->until_ns = until_ns;
	l->eps = xcalloc(n + 1, sizeof(*l->eps));
	for (size_t i = 0; i < n; i++) {
		if (net_is_shared(eps[i].network) || !eps[i].endpoint_id[0] || !eps[i].ip[0])
			continue;
		endpoint_copy(&l->eps[l->n++], &eps[i]);
	}
	if (!l->n) { /* the host's network, or another zone's */
		for (size_t i = 0; i < n; i++)
			network_detach(&eps[i], ct_id);
		stay_free(l);
		return;
	}
	pthread_mutex_lock(&lock);
	save(l);
	link_netns(l);
	for (size_t i = 0; i < l->n; i++) {
		net_ports_release(&l->eps[i]);
		keep(l, &l->eps[i]);
	}
	for (size_t i = 0; i < n; i++) { /* what is kept has left its network already */
		if (keeps(l, eps[i].endpoint_id))
			net_endpoint_reset(&eps[i]);
		else
			network_detach(&eps[i], ct_id);
	}
	l->next = all;
	all = l;
	pthread_mutex_unlock(&lock);
	log_info("network of an ended zone stays for its logger", "zone=%s", uuid);
}

static bool is_of_zone(const struct stay *l, const void *uuid)
{
	return str_eq(l->uuid, uuid);
}

void network_linger_end(const char *uuid)
{
	(void)end_those(is_of_zone, uuid);
}

static bool is_over(const struct stay *l, const void *now_ns)
{
	return l->until_ns < *(const int64_t *)now_ns;
}

void network_linger_expire(int64_t now_ns)
{
	(void)end_those(is_over, &now_ns);
}

/* ---- for those who want an address ------------------------------------------------------------ */

struct wish {
	const char *network_id;
	const struct endpoint *ep; /* NULL: the whole network */
	bool full;
};

static bool is_in_the_way(const struct stay *l, const void *arg)
{
	const struct wish *w = arg;

	for (size_t i = 0; i < l->n; i++) {
		const struct endpoint *ep = &l->eps[i];

		if (!str_eq(ep->network_id, w->network_id))
			continue;
		if (!w->ep || w->full || (w->ep->want_ip && str_eq(w->ep->want_ip, ep->ip)) ||
		    (w->ep->want_ip6 && str_eq(w->ep->want_ip6, ep->ip6)))
			return true;
	}
	return false;
}

bool network_linger_make_room(const char *network_id, const struct endpoint *ep, bool full)
{
	const struct wish w = { network_id, ep, full };

	return end_those(is_in_the_way, &w) > 0;
}

void network_linger_each(void (*fn)(void *arg, const struct endpoint *ep, const struct net_member *m), void *arg)
{
	struct net_member m;

	pthread_mutex_lock(&lock);
	for (const struct stay *l = all; l; l = l->next) {
		for (size_t i = 0; i < l->n; i++) {
			as_member(l, &l->eps[i], &m);
			fn(arg, &l->eps[i], &m);
		}
	}
	pthread_mutex_unlock(&lock);
}

/* ---- recovery --------------------------------------------------------------------------------- */

static void recover_one(const char *uuid, int (*netns_of)(const char *uuid))
{
	struct stay *l = load(uuid);
	struct err err = { 0 };

	if (!l) {
		remove_files(uuid);
		return;
	}
	l->netns_fd = netns_of(uuid);
	if (l->netns_fd < 0 || !l->n) {
		remove_files(uuid);
		stay_free(l);
		return;
	}
	pthread_mutex_lock(&lock);
	link_netns(l);
	for (size_t i = 0; i < l->n; i++)
		keep(l, &l->eps[i]);
	l->next = all;
	all = l;
	pthread_mutex_unlock(&lock);
	if (network_resolver_start(l->ct_id, uuid, &err) < 0)
		log_warn("a logger is without its name server", "zone=%s why=%s", uuid, log_q(err.msg));
}

void network_linger_recover(const char *run_zones, int (*netns_of)(const char *uuid))
{
	cleanup_dir DIR *d = opendir(run_zones);
	struct dirent *e;
	char path[1024];

	while (d && (e = readdir(d)))
		if (strlen(e->d_name) == 36 && fs_exists(paths_zone_run(&engine->paths, e->d_name, STATE_NAME, path)))
			recover_one(e->d_name, netns_of);
}
