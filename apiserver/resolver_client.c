/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_client.c - apiserver's side of the resolver: its start, its orders, its resurrection.
 *
 * Design: one connection, owned by one thread, which makes it when somebody needs the resolver,
 * watches it, and makes it anew (with a new process when nobody listens) as soon as it breaks: then
 * all members and zones are told again before anyone else may use it. Orders are exchanged under
 * the lock, one at a time.
 *
 *	NONE -> (wanted) CONNECTING -> UP -> (broken) CONNECTING ...
 *
 * Threads: any; net_lock is never held here while something is sent.
 */
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "child.h"
#include "cleanup.h"
#include "engine.h"
#include "frame.h"
#include "jget.h"
#include "jw.h"
#include "network_linger.h"
#include "network_private.h"
#include "resolver.h"
#include "resolver_wire.h"
#define LOG_MODULE "resolver"
#include "log.h"
#include "str.h"
#include "thread.h"

#define ANSWER_MS 5000
#define WAIT_S	  8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool wanted, has_thread, ending;
static int sock = -1; /* while UP */

/* ---- messages ---- */

static void put_strv(struct jw *w, const char *key, char *const *v)
{
	jw_arr(w, key);
	for (; v && *v; v++)
		jw_str(w, NULL, *v);
	jw_end(w);
}

static void put_member(struct buf *b, const char *network_id, const char *network,
		       const struct net_member *m)
{
	struct jw w = JW(b);
	char ip6[IP6_STR];

	jw_obj(&w, NULL);
	jw_str(&w, "op", "member");
	jw_str(&w, "net", network_id);
	jw_str(&w, "name", network);
	jw_str(&w, "ct", m->ct_id);
	jw_str(&w, "ep", m->endpoint_id);
	jw_int(&w, "ip", m->ip);
	if (!ip6_is_zero(&m->ip6)) {
		ip6_format(&m->ip6, ip6);
		jw_str(&w, "ip6", ip6);
	}
	put_strv(&w, "names", m->names);
	put_strv(&w, "links", m->links);
	jw_end(&w);
}

/* An order with up to two strings. */
static void put_order(struct buf *b, const char *op, const char *key, const char *value,
		      const char *key2, const char *value2)
{
	struct jw w = JW(b);

	jw_obj(&w, NULL);
	jw_str(&w, "op", op);
	if (key)
		jw_str(&w, key, value);
	if (key2)
		jw_str(&w, key2, value2);
	jw_end(&w);
}

/* -EPIPE when the connection is no good any more; else what the resolver says. */
static int exchange(int fd, const struct buf *msg, int pass_fd, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_json json_t *reply = NULL;
	struct err ignored = { 0 };
	int rc;

	if (frame_send(fd, msg->p, msg->len, &pass_fd, pass_fd >= 0, ANSWER_MS) < 0 ||
	    frame_recv(fd, &f, ANSWER_MS) != 1 ||
	    jparse(f.data.p, f.data.len, &reply, &ignored) < 0) {
		err_sysnum(err, EPIPE, "talk to the resolver");
		return -EPIPE;
	}
	rc = (int)jget_int(reply, "rc", 0);
	if (rc < 0) {
		err_kind(err, ERR_SYSTEM, "%s", jget_str(reply, "msg", "resolver"));
		err->code = rc == -EPIPE ? -EIO : rc;
	}
	return rc < 0 ? err->code : 0;
}

/* ---- the connection's thread ---- */

struct telling {
	char **msgs, **zones;
};

static void add_lingering(void *arg, const struct endpoint *ep, const struct net_member *m)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct telling *t = arg;

	if (!network_is_user_defined(ep->network))
		return;
	put_member(&b, ep->network_id, ep->network, m);
	strv_add(&t->msgs, buf_str(&b));
	if (!strv_has(t->zones, m->ct_id))
		strv_add(&t->zones, m->ct_id);
}

/* All names and zones, told to a connection that nobody else uses yet. */
static int tell_all(int fd)
{
	struct telling t = { xcalloc(1, sizeof(char *)), xcalloc(1, sizeof(char *)) };
	cleanup_strv char **zones = NULL, **msgs = NULL;
	struct err err = { 0 };
	int rc = 0;

	network_linger_each(add_lingering, &t);
	msgs = t.msgs;
	zones = t.zones;

	pthread_mutex_lock(&net_lock);
	for (const struct net *n = net_list; n; n = n->next) {
		for (const struct net_member *m = n->builtin ? NULL : n->members; m; m = m->next) {
			cleanup_buf struct buf b = BUF_INIT;

			put_member(&b, n->id, n->name, m);
			strv_add(&msgs, buf_str(&b));
			if (!strv_has(zones, m->ct_id))
				strv_add(&zones, m->ct_id);
		}
	}
	pthread_mutex_unlock(&net_lock);
	for (char **m = msgs; *m && rc != -EPIPE; m++) {
		struct buf b = { .p = *m, .len = strlen(*m) };

		rc = exchange(fd, &b, -1, &err);
	}
	for (char **z = zones; *z && rc != -EPIPE; z++) {
		cleanup_buf struct buf b = BUF_INIT;
		cleanup_fd int netns = -1;
		char uuid[37];

		id_to_uuid(uuid, *z);
		/* one that is on its way up or down has none: it comes by itself */
		if (network_resolver_order(*z, uuid, &b, &netns, &err) >= 0)
			rc = exchange(fd, &b, netns, &err);
	}
	return rc == -EPIPE ? rc : 0;
}

static int spawn(const char *path, struct err *err)
{
	/* the path only tells an operator whose it is */
	const char *const argv[] = { "apiserver", RESOLVER_OPTION, engine->paths.run, NULL };
	cleanup_fd int fd = frame_listen(path, 0600, err);
	pid_t pid;
	int rc;

	if (fd < 0)
		return fd;
	if ((rc = child_spawn(argv, -1, fd, true, &pid, err)) < 0)
		return rc;
	child_reap_later(pid);
	log_info("resolver started", "pid=%d", (int)pid);
	return frame_connect(path, ANSWER_MS, err);
}

/* A connection with everything told, or negative. may_spawn false: only to one that runs. */
static int connect_it(bool may_spawn, bool settle)
{
	char path[700];
	cleanup_buf struct buf hello = BUF_INIT, settled = BUF_INIT;
	struct err err = { 0 };
	int fd, rc;

	if (str_fmt(path, sizeof(path), "%s/resolver.sock", engine->paths.run) < 0)
		return -ENAMETOOLONG;
	fd = frame_connect(path, 0, &err);
	if (fd < 0 && may_spawn)
		fd = spawn(path, &err);
	if (fd < 0) {
		if (may_spawn)
			log_warn("no resolver", "why=%s", log_q(err.msg));
		return fd;
	}
	put_order(&hello, "hello", NULL, NULL, NULL, NULL);
	put_order(&settled, "settled", NULL, NULL, NULL, NULL);
	rc = exchange(fd, &hello, -1, &err);
	if (rc >= 0)
		rc = tell_all(fd);
	if (rc >= 0 && settle)
		rc = exchange(fd, &settled, -1, &err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static void *thread_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	while (!ending) {
		struct pollfd p = { .events = POLLRDHUP };
		int fd = sock;

		if (fd < 0 && !wanted) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		if (fd < 0) {
			fd = connect_it(true, true);
			if (fd < 0)
				sleep(1);
			pthread_mutex_lock(&lock);
			sock = fd;
		} else {
			p.fd = fd;
			poll(&p, 1, -1);
			pthread_mutex_lock(&lock); /* nobody is in the middle of using it */
			close(fd);
			sock = -1;
		}
		pthread_cond_broadcast(&changed);
	}
	has_thread = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* With the lock. */
static int start_thread(struct err *err)
{
	int rc;

	if (has_thread)
		return 0;
	ending = false;
	if ((rc = thread_start(NULL, 0, thread_main, NULL)) < 0)
		return err_sysnum(err, rc, "start the resolver's watcher");
	has_thread = true;
	return 0;
}

/* With the lock: waits until there is a connection. */
static int need_connection(struct err *err)
{
	struct timespec until;
	int rc;

	if ((rc = start_thread(err)) < 0)
		return rc;
	wanted = true;
	pthread_cond_broadcast(&changed);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	while (sock < 0)
		if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT)
			return err_kind(err, ERR_SYSTEM, "the resolver does not start");
	return 0;
}

/* must: waits for a connection; else without one nothing is done. */
static int order(const struct buf *msg, int pass_fd, bool must, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	for (unsigned tries = 0; tries < 2; tries++) {
		if (must && (rc = need_connection(err)) < 0)
			break;
		if (sock < 0)
			break;
		rc = exchange(sock, msg, pass_fd, err);
		if (rc != -EPIPE)
			break;
		shutdown(sock, SHUT_RDWR); /* wakes the thread, which makes another */
		sock = -1;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- for the rest of apiserver ---- */

void resolver_init(void)
{
	struct err err = { 0 };
	int fd = connect_it(false, false);

	pthread_mutex_lock(&lock);
	if (fd >= 0) {
		sock = fd;
		wanted = true;
		if (start_thread(&err) < 0)
			log_warn("nobody watches the resolver", "why=%s", log_q(err.msg));
	}
	pthread_mutex_unlock(&lock);
}

void resolver_fini(bool last)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	pthread_mutex_lock(&lock);
	wanted = false;
	ending = true;
	if (sock >= 0 && last) {
		put_order(&b, "quit", NULL, NULL, NULL, NULL);
		exchange(sock, &b, -1, &ignored); /* -EPIPE: as it should */
	}
	if (sock >= 0)
		shutdown(sock, SHUT_RDWR);
	pthread_cond_broadcast(&changed);
	while (has_thread)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void resolver_order_zone(const char *ct_id, char *const *upstreams, struct buf *out)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_str(&w, "op", "zone");
	jw_str(&w, "ct", ct_id);
	put_strv(&w, "servers", upstreams);
	jw_end(&w);
}

int resolver_start(const struct buf *zone_order, int netns_fd, struct err *err)
{
	return order(zone_order, netns_fd, true, err);
}

void resolver_stop(const char *ct_id)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	put_order(&b, "unzone", "ct", ct_id, NULL, NULL);
	order(&b, -1, false, &ignored);
}

void resolver_member_set(const char *network_id, const char *network, const struct net_member *m)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	put_member(&b, network_id, network, m);
	order(&b, -1, false, &ignored);
}

void resolver_member_del(const char *network_id, const char *endpoint_id)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	put_order(&b, "unmember", "net", network_id, "ep", endpoint_id);
	order(&b, -1, false, &ignored);
}

void resolver_settled(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	put_order(&b, "settled", NULL, NULL, NULL, NULL);
	order(&b, -1, false, &ignored);
}
