/* SPDX-License-Identifier: MPL-2.0
 *
 * zone.c - the watching connection to a running zone's zoneadmd: its events become calls.
 *
 *	watched --Exited, no restart--> ended --connection closes--> gone
 *	   |
 *	   +------connection closes (zoneadmd was killed)----------> gone, on_lost
 *
 * Invariants: ct->zone points here from zone_watch_conn until gone or zone_unwatch. A container is
 * known by id: it may be removed while a callback runs.
 *
 * Threads: loop.
 */
#define LOG_MODULE "zone"
#include "apiserver/zone.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/container.h"
#include "apiserver/job.h"
#include "apiserver/child.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"
#include "str.h"

#define FRAMES_PER_TURN 32

struct zone {
	uv_poll_t poll;
	char ct_id[65];
	struct zone_conn *conn;
	bool ended; /* the last exit has been told */
	bool closing;
};

static struct zone_callbacks callbacks;

void zone_set_callbacks(const struct zone_callbacks *cb)
{
	callbacks = *cb;
}

static void on_close(uv_handle_t *h)
{
	struct zone *z = container_of((uv_poll_t *)h, struct zone, poll);

	zone_conn_close(z->conn);
	free(z);
}

static void zone_close(struct zone *z)
{
	struct container *ct = container_by_id(z->ct_id);

	if (z->closing)
		return;
	z->closing = true;
	if (ct && ct->zone == z)
		ct->zone = NULL;
	uv_poll_stop(&z->poll);
	uv_close((uv_handle_t *)&z->poll, on_close);
}

static void dispatch(struct zone *z, const Zone__Message *msg)
{
	struct zone_started st;
	struct zone_exit ex;

	switch (msg->body_case) {
	case ZONE__MESSAGE__BODY_EXITED:
		zone_exit_from_pb(&ex, msg->exited);
		if (!ex.will_restart)
			z->ended = true;
		callbacks.on_exited(z->ct_id, &ex);
		break;
	case ZONE__MESSAGE__BODY_RESTARTED:
		st.run = msg->restarted->run;
		st.pid = msg->restarted->pid;
		st.started_ns = msg->restarted->started_ns;
		callbacks.on_restarted(z->ct_id, &st, msg->restarted->restart_count);
		break;
	case ZONE__MESSAGE__BODY_EXEC_EXITED:
		callbacks.on_exec_exited(z->ct_id, msg->exec_exited->id,
					 msg->exec_exited->exit_code);
		break;
	case ZONE__MESSAGE__BODY_OOM:
		callbacks.on_oom(z->ct_id);
		break;
	default:
		break; /* replies to nobody and events for logsvc */
	}
}

static void on_gone(struct zone *z)
{
	char id[65];
	bool ended = z->ended;

	memcpy(id, z->ct_id, sizeof(id));
	child_reap_later(z->conn->pid);
	zone_close(z);
	if (!ended)
		callbacks.on_lost(id);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct zone *z = container_of(p, struct zone, poll);

	(void)events;
	for (int i = 0; i < FRAMES_PER_TURN && !z->closing; i++) {
		cleanup_frame struct frame f = FRAME_INIT;
		int rc = status < 0 ? status : frame_recv(z->conn->fd, &f, 0);
		Zone__Message *msg;

		if (rc == -EAGAIN)
			return;
		msg = rc == 1 ? zone__message__unpack(NULL, f.data.len, (const uint8_t *)f.data.p)
			      : NULL;
		if (!msg) {
			if (rc == 1)
				log_err("zoneadmd sent a malformed message", "ct=%.12s", z->ct_id);
			on_gone(z);
			return;
		}
		dispatch(z, msg);
		zone__message__free_unpacked(msg, NULL);
	}
}

/* The events that the conn's calls had read: told from the loop, not from inside zone_watch_conn.
 */
static void tell_kept(void *arg)
{
	struct container *ct = container_by_id(arg);
	struct zone *z = ct ? ct->zone : NULL;

	while (z && !z->closing && z->conn->events) {
		struct zone_event *ev = z->conn->events;

		z->conn->events = ev->next;
		dispatch(z, ev->msg);
		zone__message__free_unpacked(ev->msg, NULL);
		free(ev);
	}
	if (z && !z->closing)
		uv_poll_start(&z->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	free(arg);
}

void zone_watch_conn(struct container *ct, struct zone_conn *c)
{
	struct zone *z = xcalloc(1, sizeof(*z));

	assert_loop_thread();
	if (ct->zone)
		zone_unwatch(ct);
	memcpy(z->ct_id, ct->id, sizeof(z->ct_id));
	z->conn = c;
	ct->zone = z;
	uv_poll_init(uv_default_loop(), &z->poll, c->fd);
	if (c->events)
		loop_post(tell_kept, xstrdup(ct->id));
	else
		uv_poll_start(&z->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

void zone_unwatch(struct container *ct)
{
	if (ct->zone)
		zone_close(ct->zone);
}

void zone_mark_ended(struct zone *z)
{
	z->ended = true;
}

int zone_end_fd(const struct zone *z)
{
	return z ? fcntl(z->conn->fd, F_DUPFD_CLOEXEC, 0) : -1;
}
