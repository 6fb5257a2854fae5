/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_ctl.c - zoneadmd.sock: requests of apiserver and logsvc, answers and events to them.
 *
 * A client that breaks the protocol, or does not read for a second, is disconnected: nothing that a
 * client does may stop the zone. What it misses then it finds in State (Hello) and exit.json.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "frame.h"
#include "loop.h"
#include "mdata_server.h"
#include "str.h"
#include "zone.h"
#include "zone_cgroup.h"

#define LOG_MODULE "ctl"
#include "log.h"

#define CONNS_MAX 64
#define SEND_MS	  1000

struct conn {
	struct source src;
	uint64_t id;
	bool events, stdio;
	bool broken; /* closed at the next safe point */
	struct conn *next;
};

static struct source listener = { .fd = -1 };
static struct zone *zone;
static struct conn *conns;
static size_t n_conns;
static uint64_t last_id;

static void close_conn(struct conn *c)
{
	struct conn **p = &conns;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	n_conns--;
	loop_del(&c->src);
	close(c->src.fd);
	free(c);
}

static void send_to(struct conn *c, const Zone__Message *m, const int *fds, size_t n_fds)
{
	size_t len = zone__message__get_packed_size(m);
	cleanup_free uint8_t *p = xmalloc(len + 1);
	int rc;

	if (c->broken)
		return;
	zone__message__pack(m, p);
	rc = frame_send(c->src.fd, p, len, fds, n_fds, SEND_MS);
	if (rc < 0) {
		if (rc != -EPIPE)
			log_warn("client dropped", "conn=%llu errno=%d", (unsigned long long)c->id,
				 -rc);
		/* our own turn may still use c: epoll reports the hang-up */
		c->broken = true;
		loop_mod(&c->src, EPOLLIN | EPOLLOUT);
	}
}

void zone_ctl_reply(struct asker who, Zone__Message *m, const int *fds, size_t n_fds)
{
	struct conn *c = conns;

	while (c && c->id != who.conn)
		c = c->next;
	if (!c)
		return;
	m->seq = who.seq;
	send_to(c, m, fds, n_fds);
}

void zone_ctl_fail(struct asker who, const struct err *err, int exit_code)
{
	Zone__Failure f = ZONE__FAILURE__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;

	f.code = err->code;
	f.kind = (int)err->kind;
	f.text = (char *)(uintptr_t)err->msg;
	f.exit_code = exit_code;
	m.body_case = ZONE__MESSAGE__BODY_FAILURE;
	m.failure = &f;
	zone_ctl_reply(who, &m, NULL, 0);
}

void zone_ctl_event(Zone__Message *m)
{
	struct conn *c;

	m->seq = 0;
	for (c = conns; c; c = c->next)
		if (c->events)
			send_to(c, m, NULL, 0);
}

static void reply_ok(struct asker who)
{
	Zone__Ok ok = ZONE__OK__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;

	m.body_case = ZONE__MESSAGE__BODY_OK;
	m.ok = &ok;
	zone_ctl_reply(who, &m, NULL, 0);
}

static void reply_fd(struct asker who, int fd, const char *what)
{
	Zone__Ok ok = ZONE__OK__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	struct err err;

	if (fd < 0) {
		err_kind(&err, ERR_NOT_FOUND, "the zone has no %s", what);
		zone_ctl_fail(who, &err, 0);
		return;
	}
	m.body_case = ZONE__MESSAGE__BODY_OK;
	m.ok = &ok;
	zone_ctl_reply(who, &m, &fd, 1);
}

static void result(struct asker who, int rc, const struct err *err)
{
	if (rc < 0)
		zone_ctl_fail(who, err, 0);
	else
		reply_ok(who);
}

/* ---- requests ------------------------------------------------------------------------------ */

static Zone__Status status_of(const struct zone *z)
{
	switch (z->phase) {
	case PHASE_IDLE:
	case PHASE_LAUNCHING:
		return z->has_exit ? ZONE__STATUS__RESTARTING : ZONE__STATUS__CREATED;
	case PHASE_RUNNING:
		return ZONE__STATUS__RUNNING;
	case PHASE_DRAINING:
		return ZONE__STATUS__DRAINING;
	case PHASE_BACKOFF:
		return ZONE__STATUS__RESTARTING;
	case PHASE_ENDED:
		break;
	}
	return ZONE__STATUS__EXITED;
}

static void reply_state(struct asker who)
{
	Zone__State s = ZONE__STATE__INIT;
	Zone__Exited e = ZONE__EXITED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;

	s.status = status_of(zone);
	s.run = zone->run;
	s.pid = zone->init_pid;
	s.started_ns = zone->started_ns;
	s.restart_count = zone->restart.count;
	if (zone->has_exit) {
		zone_exit_fill(zone, &e);
		s.last_exit = &e;
	}
	m.body_case = ZONE__MESSAGE__BODY_STATE;
	m.state = &s;
	zone_ctl_reply(who, &m, NULL, 0);
}

/* The ring, then the ends; seq 0 is the event Run. A run that is being started has none yet: if it
 * fails, what the runtime printed is not the zone's output. */
static void send_stdio(struct conn *c, uint64_t seq)
{
	Zone__Stdio s = ZONE__STDIO__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	bool starting = zone->phase == PHASE_LAUNCHING;
	int fds[3];
	size_t n = 0;

	s.run = starting ? zone->run - 1 : zone->run;
	s.tty = zone->tty;
	s.pid = (int32_t)zone->init_pid;
	s.ended = starting || zone->out_r < 0;
	fds[n++] = zone->ring_fd;
	if (!s.ended)
		fds[n++] = zone->out_r;
	if (!s.ended && zone->err_r >= 0)
		fds[n++] = zone->err_r;
	m.seq = seq;
	m.body_case = seq ? ZONE__MESSAGE__BODY_STDIO : ZONE__MESSAGE__BODY_RUN;
	if (seq)
		m.stdio = &s;
	else
		m.run = &s;
	send_to(c, &m, fds, n);
}

void zone_ctl_run(struct zone *z)
{
	struct conn *c;

	(void)z;
	for (c = conns; c; c = c->next)
		if (c->stdio)
			send_stdio(c, 0);
}

static void handle_start(struct asker who)
{
	struct err err;

	if (zone->phase == PHASE_IDLE) {
		zone_run_start(zone, who);
		return;
	}
	err_kind(&err, ERR_CONFLICT, "the zone was started already");
	zone_ctl_fail(who, &err, 0);
}

static int handle_signal(int signo, struct err *err)
{
	if (zone->phase != PHASE_RUNNING)
		return err_kind(err, ERR_CONFLICT, "container is not running");
	if (signo < 1 || signo > 64)
		return err_kind(err, ERR_BAD_PARAM, "signal %d", signo);
	if (syscall(SYS_pidfd_send_signal, zone->init_pidfd, signo, NULL, 0) < 0)
		return err_sys(err, "signal the zone");
	if (signo == SIGKILL) /* the others end with it; not it with them, if one holds a lock of the kernel's that it waits for */
		zone_cgroup_kill(zone->cgroup);
	return 0;
}

static int handle_resize(const Zone__Resize *r, struct err *err)
{
	int master, rc;

	if (r->exec_id[0])
		return zone_exec_resize(r->exec_id, r->rows, r->cols, err);
	master = zone_tty_master();
	if (master < 0)
		return 0; /* as containerd's shim */
	rc = zone_tty_resize(master, r->rows, r->cols);
	return rc < 0 ? err_sysnum(err, rc, "resize the terminal") : 0;
}

static int handle_metadata(const Zone__Metadata *md, struct err *err)
{
	return mdata_server_set(md->key, md->remove ? NULL : (const char *)md->value.data,
				md->value.len, err);
}

static void dispatch(struct conn *c, const Zone__Request *r, const struct frame *f)
{
	struct asker who = { c->id, r->seq };
	struct err err = { 0 };

	switch (r->op_case) {
	case ZONE__REQUEST__OP_HELLO:
		c->events = r->hello->events;
		reply_state(who);
		break;
	case ZONE__REQUEST__OP_START:
		handle_start(who);
		break;
	case ZONE__REQUEST__OP_SIGNAL:
		result(who, handle_signal(r->signal->signo, &err), &err);
		break;
	case ZONE__REQUEST__OP_EXEC:
		zone_exec_start(zone, r->exec, f->n_fds ? f->fds[0] : -1, who);
		break;
	case ZONE__REQUEST__OP_EXEC_SIGNAL:
		result(who, zone_exec_signal(r->exec_signal->id, r->exec_signal->signo, &err),
		       &err);
		break;
	case ZONE__REQUEST__OP_RESIZE:
		result(who, handle_resize(r->resize, &err), &err);
		break;
	case ZONE__REQUEST__OP_GET_STDIO:
		c->stdio = true;
		send_stdio(c, r->seq);
		break;
	case ZONE__REQUEST__OP_GET_STDIN:
		reply_fd(who, zone->tty ? zone_tty_master() : zone->in_w, "stdin");
		break;
	case ZONE__REQUEST__OP_CLOSE_STDIN:
		zone_close(&zone->in_w);
		reply_ok(who);
		break;
	case ZONE__REQUEST__OP_SET_POLICY:
		reply_ok(who); /* first: it may be the end of the zone */
		zone_exit_set_policy(zone, r->set_policy);
		break;
	case ZONE__REQUEST__OP_GET_NETNS:
		reply_fd(who, zone->netns_fd, "network namespace of its own");
		break;
	case ZONE__REQUEST__OP_METADATA:
		result(who, handle_metadata(r->metadata, &err), &err);
		break;
	case ZONE__REQUEST__OP_DRAINED:
		reply_ok(who);
		zone_exit_drained(zone, r->drained->run);
		break;
	case ZONE__REQUEST__OP_SHUTDOWN:
		result(who, zone_exit_shutdown(zone, &err), &err);
		break;
	case ZONE__REQUEST__OP_FREEZE:
		zone->frozen = r->freeze->frozen;
		reply_ok(who);
		break;
	case ZONE__REQUEST__OP__NOT_SET:
	default:
		err_kind(&err, ERR_NOT_IMPLEMENTED, "unknown request");
		zone_ctl_fail(who, &err, 0);
		break;
	}
}

static void on_conn(struct source *s, uint32_t events)
{
	struct conn *c = container_of(s, struct conn, src);
	cleanup_frame struct frame f = FRAME_INIT;
	Zone__Request *r;
	int rc;

	(void)events;
	rc = c->broken ? -EPIPE : frame_recv(s->fd, &f, 0);
	if (rc == -EAGAIN)
		return;
	r = rc == 1 ? zone__request__unpack(NULL, f.data.len, (const uint8_t *)f.data.p) : NULL;
	if (!r) {
		if (rc == 1)
			log_warn("client dropped: not a request", "conn=%llu",
				 (unsigned long long)c->id);
		close_conn(c);
		return;
	}
	dispatch(c, r, &f);
	zone__request__free_unpacked(r, NULL);
}

static void on_accept(struct source *s, uint32_t events)
{
	struct err err;
	struct conn *c;
	int fd = frame_accept(s->fd);

	(void)events;
	if (fd < 0)
		return;
	if (n_conns >= CONNS_MAX) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->src.fd = fd;
	c->src.on_event = on_conn;
	c->id = ++last_id;
	c->next = conns;
	conns = c;
	n_conns++;
	if (loop_add(&c->src, EPOLLIN, &err) < 0)
		close_conn(c);
}

int zone_ctl_listen(struct zone *z, struct err *err)
{
	cleanup_free char *path = xasprintf("%s/zoneadmd.sock", z->run_dir);
	int fd = frame_listen(path, 0600, err);

	if (fd < 0)
		return fd;
	zone = z;
	listener.fd = fd;
	listener.on_event = on_accept;
	return loop_add(&listener, EPOLLIN, err);
}
