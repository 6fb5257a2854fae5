/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_main.c - the resolver's process, `apiserver --resolver`: takes orders, and keeps the
 * tables that resolver.c answers from.
 *
 * Design: the tables are a net_list of our own (network_names.c reads it), with the members of the
 * user-defined networks and nothing else. The main thread does the orders, the other one the names.
 * When apiserver goes, both stay as they are; the next one says hello, names what there is, and
 * what it has not named when it says settled is dropped.
 *
 * It ends by order, or when nobody is connected and there is no zone to serve.
 */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "frame.h"
#include "jget.h"
#include "jw.h"
#include "netns.h"
#include "network_private.h"
#include "resolver.h"
#include "resolver_private.h"
#include "resolver_wire.h"
#define LOG_MODULE "resolver"
#include "log.h"
#include "str.h"

/* ---- tables ---- */

static struct net *net_of(const json_t *o, bool make)
{
	const char *id = jget_str(o, "net", "");
	struct net *n = net_by_id(id);

	if (n || !make)
		return n;
	n = xcalloc(1, sizeof(*n));
	str_copy(n->id, sizeof(n->id), id);
	n->name = xstrdup(jget_str(o, "name", ""));
	net_link(n);
	return n;
}

static void drop_member(struct net *n, const char *endpoint_id)
{
	for (struct net_member **pp = &n->members; *pp; pp = &(*pp)->next) {
		struct net_member *m = *pp;

		if (!str_eq(m->endpoint_id, endpoint_id))
			continue;
		*pp = m->next;
		net_member_free(m);
		break;
	}
	if (!n->members) {
		net_unlink(n);
		net_free(n);
	}
}

static void do_member(const json_t *o)
{
	struct net_member *m = xcalloc(1, sizeof(*m));
	struct net *n;

	str_copy(m->ct_id, sizeof(m->ct_id), jget_str(o, "ct", ""));
	str_copy(m->endpoint_id, sizeof(m->endpoint_id), jget_str(o, "ep", ""));
	m->ip = (uint32_t)jget_int(o, "ip", 0);
	if (ip6_parse(jget_str(o, "ip6", NULL), &m->ip6) < 0)
		m->ip6 = in6addr_any;
	m->names = jget_strv(o, "names");
	m->links = jget_strv(o, "links");
	pthread_mutex_lock(&net_lock);
	n = net_of(o, true);
	m->next = n->members; /* before the old one goes: an empty network would go with it */
	n->members = m;
	for (struct net_member **pp = &m->next; *pp; pp = &(*pp)->next) {
		struct net_member *old = *pp;

		if (!str_eq(old->endpoint_id, m->endpoint_id))
			continue;
		*pp = old->next;
		net_member_free(old);
		break;
	}
	pthread_mutex_unlock(&net_lock);
}

static void do_unmember(const json_t *o)
{
	struct net *n;

	pthread_mutex_lock(&net_lock);
	n = net_of(o, false);
	if (n)
		drop_member(n, jget_str(o, "ep", ""));
	pthread_mutex_unlock(&net_lock);
}

static void do_hello(void)
{
	pthread_mutex_lock(&net_lock);
	for (struct net *n = net_list; n; n = n->next)
		for (struct net_member *m = n->members; m; m = m->next)
			m->stale = true;
	pthread_mutex_unlock(&net_lock);
	rs_mark_stale();
}

static void do_settled(void)
{
	pthread_mutex_lock(&net_lock);
	for (struct net *n = net_list, *next_net; n; n = next_net) {
		next_net = n->next;
		for (struct net_member *m = n->members, *next; m; m = next) {
			bool last = !m->next && m == n->members;

			next = m->next;
			if (m->stale)
				drop_member(n, m->endpoint_id);
			if (last)
				break; /* n may be gone with it */
		}
	}
	pthread_mutex_unlock(&net_lock);
	rs_drop_stale();
}

static int do_zone(const json_t *o, const struct frame *f, struct err *err)
{
	cleanup_strv char **servers = jget_strv(o, "servers");

	if (f->n_fds != 1)
		return err_kind(err, ERR_BAD_PARAM, "no network namespace");
	return rs_zone_start(jget_str(o, "ct", ""), f->fds[0], servers, err);
}

/* ---- orders ---- */

static int obey(const struct frame *f, struct err *err)
{
	cleanup_json json_t *o = NULL;
	const char *op;
	int rc;

	if ((rc = jparse(f->data.p, f->data.len, &o, err)) < 0)
		return rc;
	op = jget_str(o, "op", "");
	if (str_eq(op, "member"))
		do_member(o);
	else if (str_eq(op, "unmember"))
		do_unmember(o);
	else if (str_eq(op, "zone"))
		return do_zone(o, f, err);
	else if (str_eq(op, "unzone"))
		rs_zone_stop(jget_str(o, "ct", ""));
	else if (str_eq(op, "hello"))
		do_hello();
	else if (str_eq(op, "settled"))
		do_settled();
	else if (str_eq(op, "quit"))
		_exit(0);
	else
		return err_kind(err, ERR_BAD_PARAM, "unknown order");
	return 0;
}

/* False: the connection is over. */
static bool serve(int conn)
{
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_buf struct buf reply = BUF_INIT;
	struct jw w = JW(&reply);
	struct err err = { 0 };
	int rc = frame_recv(conn, &f, 0);

	if (rc == -EAGAIN)
		return true;
	if (rc != 1)
		return false;
	rc = obey(&f, &err);
	jw_obj(&w, NULL);
	jw_int(&w, "rc", rc < 0 ? rc : 0);
	jw_str(&w, "msg", err.msg);
	jw_end(&w);
	return frame_send(conn, reply.p, reply.len, NULL, 0, 5000) >= 0;
}

int resolver_main(void)
{
	struct pollfd p[2] = { { .fd = RESOLVER_LISTEN_FD, .events = POLLIN },
			       { .fd = -1, .events = POLLIN } };
	struct err err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	if (netns_init(&err) < 0) {
		log_err("cannot start", "error=%s", log_q(err.msg));
		return 1;
	}
	while (p[1].fd >= 0 || !rs_is_idle() || poll(p, 1, 5000) > 0) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents & POLLIN) {
			int fd = frame_accept(RESOLVER_LISTEN_FD);

			if (fd >= 0 && p[1].fd >= 0)
				close(p[1].fd);
			p[1].fd = fd >= 0 ? fd : p[1].fd;
		} else if (p[1].revents && !serve(p[1].fd)) {
			close(p[1].fd);
			p[1].fd = -1;
		}
	}
	return 0;
}
