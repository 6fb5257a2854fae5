/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_rpc.c - spawning zoneadmd and asking it, from worker threads.
 *
 * Design: one packet is one message; a call sends a request and takes packets until the one with
 * its seq comes. Events that come in between are kept in order for the watcher: the connection that
 * started a zone becomes the one that watches it, so no end of a run can fall between the two.
 *
 * Failure: every call has a deadline. A zoneadmd that goes away in a call is ERR_UNAVAILABLE; what
 * that means for the container is decided on the loop, where the watching connection ends as well.
 */
#define LOG_MODULE "zone"
#include "apiserver/zone_rpc.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/child.h"
#include "apiserver/stdio_relay.h"
#include "cleanup.h"
#include "failpoint.h"
#include "frame.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define SPAWN_MS	15000
#define CALL_MS		10000
#define START_MS	120000 /* the runtime, on a busy machine, with slow volumes */
#define EXEC_MS		30000
#define SPEC_INLINE_MAX (48 * 1024) /* of an exec; FRAME_MAX less what is around it */

static void free_msg(Zone__Message **m)
{
	if (*m)
		zone__message__free_unpacked(*m, NULL);
}
#define cleanup_msg __attribute__((cleanup(free_msg)))

/* There is no zoneadmd (any more); what happened is the rest of the sentence. */
static int __attribute__((format(printf, 2, 3))) err_gone(struct err *err, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	err_kind(err, ERR_UNAVAILABLE, "%s", why);
	return err->code = ZONE_GONE;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static int remaining_ms(int64_t deadline)
{
	int64_t left = deadline - mono_ns();

	return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

/* fd rides along; -1: none. */
static int send_request(struct zone_conn *c, Zone__Request *req, int fd, int timeout_ms,
			struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	size_t len = zone__request__get_packed_size(req);
	int rc;

	if (len > FRAME_MAX)
		return err_kind(err, ERR_BAD_PARAM, "request to zoneadmd is too large: %zu bytes",
				len);
	buf_reserve(&b, len);
	zone__request__pack(req, (uint8_t *)b.p);
	if ((rc = frame_send(c->fd, b.p, len, &fd, fd >= 0, timeout_ms)) < 0)
		return err_gone(err, "zoneadmd does not take requests: %s", strerror(-rc));
	return 0;
}

static void keep_event(struct zone_conn *c, Zone__Message *msg)
{
	struct zone_event *ev = xcalloc(1, sizeof(*ev));

	ev->msg = msg;
	*c->events_end = ev;
	c->events_end = &ev->next;
}

static int failure_to_err(const Zone__Failure *f, struct err *err)
{
	enum err_kind kind = f->kind > ERR_NONE && f->kind <= ERR_UNAVAILABLE
				     ? (enum err_kind)f->kind
				     : ERR_SYSTEM;

	err_kind(err, kind, "%s", f->text && f->text[0] ? f->text : "zoneadmd: unknown failure");
	if (f->code < 0)
		err->code = f->code;
	return err->code;
}

/* The reply to req; its descriptors are in f. *exit_code (may be NULL) is a failure's. */
static int call_with_fd(struct zone_conn *c, Zone__Request *req, int fd, int timeout_ms,
			struct frame *f, Zone__Message **out, int *exit_code, struct err *err)
{
	int64_t deadline = mono_ns() + (int64_t)timeout_ms * 1000000;
	int rc;

	req->seq = ++c->seq;
	if ((rc = send_request(c, req, fd, timeout_ms, err)) < 0)
		return rc;
	for (;;) {
		Zone__Message *msg;

		frame_fini(f);
		*f = (struct frame)FRAME_INIT;
		rc = frame_recv(c->fd, f, remaining_ms(deadline));
		if (rc == -EAGAIN)
			return err_kind(err, ERR_UNAVAILABLE, "zoneadmd did not answer within %d s",
					timeout_ms / 1000);
		if (rc <= 0)
			return err_gone(err, "zoneadmd ended: %s",
					rc == 0 ? "connection closed" : strerror(-rc));
		msg = zone__message__unpack(NULL, f->data.len, (const uint8_t *)f->data.p);
		if (!msg)
			return err_kind(err, ERR_SYSTEM, "zoneadmd sent a malformed message");
		if (msg->seq == c->seq) {
			if (msg->body_case == ZONE__MESSAGE__BODY_FAILURE) {
				if (exit_code)
					*exit_code = msg->failure->exit_code;
				rc = failure_to_err(msg->failure, err);
				zone__message__free_unpacked(msg, NULL);
				return rc;
			}
			*out = msg;
			return 0;
		}
		if (msg->seq == 0)
			keep_event(c, msg);
		else
			zone__message__free_unpacked(msg, NULL);
	}
}

static int call(struct zone_conn *c, Zone__Request *req, int timeout_ms, struct frame *f,
		Zone__Message **out, int *exit_code, struct err *err)
{
	return call_with_fd(c, req, -1, timeout_ms, f, out, exit_code, err);
}

/* A call whose reply says nothing but that it was done. */
static int call_ok(const char *uuid, Zone__Request *req, struct err *err)
{
	cleanup_zone_conn struct zone_conn *c = NULL;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	int rc;

	if ((rc = zone_connect(uuid, false, NULL, &c, err)) < 0)
		return rc;
	return call(c, req, CALL_MS, &f, &msg, NULL, err);
}

static int err_unexpected(const Zone__Message *msg, struct err *err)
{
	return err_kind(err, ERR_SYSTEM, "zoneadmd answered with message type %d",
			(int)msg->body_case);
}

/* ---- connections ---------------------------------------------------------------------------- */

void zone_exit_from_pb(struct zone_exit *out, const Zone__Exited *ex)
{
	memset(out, 0, sizeof(*out));
	out->run = ex->run;
	out->exit_code = ex->exit_code;
	out->oom_killed = ex->oom_killed;
	out->truncated = ex->truncated;
	out->will_restart = ex->will_restart;
	out->finished_ns = ex->finished_ns;
	out->restart_delay_ms = ex->restart_delay_ms;
	out->restart_count = ex->restart_count;
	str_copy(out->error, sizeof(out->error), ex->error ? ex->error : "");
}

static void state_from_pb(struct zone_state *out, const Zone__State *st)
{
	memset(out, 0, sizeof(*out));
	switch (st->status) {
	case ZONE__STATUS__RUNNING:
		out->status = ZS_RUNNING;
		break;
	case ZONE__STATUS__DRAINING:
		out->status = ZS_DRAINING;
		break;
	case ZONE__STATUS__RESTARTING:
		out->status = ZS_RESTARTING;
		break;
	case ZONE__STATUS__EXITED:
		out->status = ZS_EXITED;
		break;
	default:
		out->status = ZS_CREATED;
	}
	out->run = st->run;
	out->restart_count = st->restart_count;
	out->pid = st->pid;
	out->started_ns = st->started_ns;
	if (st->last_exit) {
		out->has_exit = true;
		zone_exit_from_pb(&out->last_exit, st->last_exit);
	}
}

static int hello(struct zone_conn *c, struct zone_state *state, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Hello h = ZONE__HELLO__INIT;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	int rc;

	h.events = true;
	req.op_case = ZONE__REQUEST__OP_HELLO;
	req.hello = &h;
	if ((rc = call(c, &req, CALL_MS, &f, &msg, NULL, err)) < 0)
		return rc;
	if (msg->body_case != ZONE__MESSAGE__BODY_STATE)
		return err_unexpected(msg, err);
	if (state)
		state_from_pb(state, msg->state);
	return 0;
}

int zone_connect(const char *uuid, bool events, struct zone_state *state, struct zone_conn **out,
		 struct err *err)
{
	cleanup_zone_conn struct zone_conn *c = xcalloc(1, sizeof(*c));
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct err why = { 0 };
	char path[1024];
	int rc;

	c->events_end = &c->events;
	c->fd = frame_connect(paths_zone_run(&engine->paths, uuid, "zoneadmd.sock", path), CALL_MS,
			      &why);
	if (c->fd < 0)
		return err_gone(err, "the zone's zoneadmd does not answer: %s", why.msg);
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		c->pid = cred.pid;
	if (events && (rc = hello(c, state, err)) < 0)
		return rc;
	*out = take_ptr(&c);
	return 0;
}

void zone_conn_close(struct zone_conn *c)
{
	struct zone_event *ev;

	if (!c)
		return;
	while ((ev = c->events)) {
		c->events = ev->next;
		zone__message__free_unpacked(ev->msg, NULL);
		free(ev);
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

int zone_conn_netns(struct zone_conn *c, int *out_fd, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__GetNetns op = ZONE__GET_NETNS__INIT;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	int fd;
	int rc;

	req.op_case = ZONE__REQUEST__OP_GET_NETNS;
	req.get_netns = &op;
	if ((rc = call(c, &req, CALL_MS, &f, &msg, NULL, err)) < 0)
		return rc;
	if ((fd = frame_take_fd(&f, 0)) < 0)
		return err_kind(err, ERR_SYSTEM, "zoneadmd sent no network namespace");
	*out_fd = fd;
	return 0;
}

int zone_conn_start(struct zone_conn *c, struct zone_started *out, int *exit_code, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Start op = ZONE__START__INIT;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	int rc;

	*exit_code = 0;
	req.op_case = ZONE__REQUEST__OP_START;
	req.start = &op;
	if ((rc = call(c, &req, START_MS, &f, &msg, exit_code, err)) < 0)
		return rc;
	if (msg->body_case != ZONE__MESSAGE__BODY_STARTED)
		return err_unexpected(msg, err);
	out->run = msg->started->run;
	out->pid = msg->started->pid;
	out->started_ns = msg->started->started_ns;
	return 0;
}

/* ---- spawning ------------------------------------------------------------------------------- */

int zone_spawn_begin(const char *uuid, struct zone_spawning *sp, struct err *err)
{
	const char *argv[] = {
		"zoneadmd", "--uuid",	       uuid,	     "--zones", engine->paths.zones,
		"--run",    engine->paths.run, "--ready-fd", "3",	NULL
	};
	int p[2];
	int rc;

	if (failpoint("zone.spawn"))
		return err_kind(err, ERR_SYSTEM, "failpoint zone.spawn");
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	rc = child_spawn(argv, -1, p[1], true, &sp->pid, err);
	close(p[1]);
	if (rc < 0) {
		close(p[0]);
		sp->pid = 0;
		return rc;
	}
	sp->ready_fd = p[0];
	return 0;
}

int zone_spawn_wait(struct zone_spawning *sp, struct err *err)
{
	cleanup_fd int fd = take_fd(&sp->ready_fd);
	pid_t pid = sp->pid;
	int64_t deadline = mono_ns() + (int64_t)SPAWN_MS * 1000000;
	char text[400];
	size_t len = 0;

	sp->pid = 0;
	while (len < sizeof(text) - 1) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, remaining_ms(deadline)) == 0)
			break;
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (text[0] == '\0')
			return 0;
	}
	child_reap(pid, len ? 2000 : 0);
	text[len] = '\0';
	return err_kind(err, ERR_SYSTEM, "start zoneadmd: %s",
			len ? text : "it ended before it was ready");
}

void zone_spawn_abort(struct zone_spawning *sp)
{
	if (sp->ready_fd >= 0)
		close(take_fd(&sp->ready_fd));
	if (sp->pid > 0) {
		kill(sp->pid, SIGKILL);
		child_reap(sp->pid, 1000);
		sp->pid = 0;
	}
}

int zone_wait_end(int fd, int timeout_ms)
{
	int64_t deadline = mono_ns() + (int64_t)timeout_ms * 1000000;

	while (fd >= 0) {
		struct pollfd pfd = { .fd = fd, .events = 0 };
		int rc = poll(&pfd, 1, remaining_ms(deadline));

		if (rc > 0 && (pfd.revents & (POLLHUP | POLLERR)))
			return 0;
		if (rc == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

/* ---- one-shot calls ------------------------------------------------------------------------- */

int zone_get_netns(const char *uuid, int *out_fd, struct err *err)
{
	cleanup_zone_conn struct zone_conn *c = NULL;
	int rc;

	if ((rc = zone_connect(uuid, false, NULL, &c, err)) < 0)
		return rc;
	return zone_conn_netns(c, out_fd, err);
}

int zone_signal(const char *uuid, int signo, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Signal op = ZONE__SIGNAL__INIT;

	op.signo = signo;
	req.op_case = ZONE__REQUEST__OP_SIGNAL;
	req.signal = &op;
	return call_ok(uuid, &req, err);
}

int zone_get_stdin(const char *uuid, int *out_fd, struct err *err)
{
	cleanup_zone_conn struct zone_conn *c = NULL;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__GetStdin op = ZONE__GET_STDIN__INIT;
	int fd;
	int rc;

	req.op_case = ZONE__REQUEST__OP_GET_STDIN;
	req.get_stdin = &op;
	if ((rc = zone_connect(uuid, false, NULL, &c, err)) < 0 ||
	    (rc = call(c, &req, CALL_MS, &f, &msg, NULL, err)) < 0)
		return rc;
	if ((fd = frame_take_fd(&f, 0)) < 0)
		return err_kind(err, ERR_SYSTEM, "the zone has no standard input");
	/* a terminal's master is no pipe */
	if (!isatty(fd) && (rc = stdio_relay(&(struct relay_stream){ &fd, true }, 1, err)) < 0)
		return rc;
	*out_fd = fd;
	return 0;
}

int zone_close_stdin(const char *uuid, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__CloseStdin op = ZONE__CLOSE_STDIN__INIT;

	req.op_case = ZONE__REQUEST__OP_CLOSE_STDIN;
	req.close_stdin = &op;
	return call_ok(uuid, &req, err);
}

int zone_resize(const char *uuid, const char *exec_id, unsigned rows, unsigned cols,
		struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Resize op = ZONE__RESIZE__INIT;

	op.exec_id = (char *)(exec_id ? exec_id : "");
	op.rows = rows;
	op.cols = cols;
	req.op_case = ZONE__REQUEST__OP_RESIZE;
	req.resize = &op;
	return call_ok(uuid, &req, err);
}

int zone_set_policy(const char *uuid, const char *name, unsigned max, bool stopped_by_user,
		    struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__SetPolicy op = ZONE__SET_POLICY__INIT;

	op.name = (char *)name;
	op.max_retries = max;
	op.stopped_by_user = stopped_by_user;
	req.op_case = ZONE__REQUEST__OP_SET_POLICY;
	req.set_policy = &op;
	return call_ok(uuid, &req, err);
}

int zone_shutdown(const char *uuid, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Shutdown op = ZONE__SHUTDOWN__INIT;

	req.op_case = ZONE__REQUEST__OP_SHUTDOWN;
	req.shutdown = &op;
	return call_ok(uuid, &req, err);
}

int zone_freeze_note(const char *uuid, bool frozen, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Freeze op = ZONE__FREEZE__INIT;

	op.frozen = frozen;
	req.op_case = ZONE__REQUEST__OP_FREEZE;
	req.freeze = &op;
	return call_ok(uuid, &req, err);
}

int zone_exec_signal(const char *uuid, const char *exec_id, int signo, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__ExecSignal op = ZONE__EXEC_SIGNAL__INIT;

	op.id = (char *)exec_id;
	op.signo = signo;
	req.op_case = ZONE__REQUEST__OP_EXEC_SIGNAL;
	req.exec_signal = &op;
	return call_ok(uuid, &req, err);
}

/* A spec that does not fit into a message (a large environment) goes as a file in memory. */
static int spec_file(const char *spec_json, size_t len, struct err *err)
{
	cleanup_fd int fd = memfd_create("sdc-exec-spec", MFD_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	if ((rc = fs_write_all(fd, spec_json, len)) < 0)
		return err_sysnum(err, rc, "write the exec's specification");
	return take_fd(&fd);
}

int zone_exec(const char *uuid, const char *exec_id, const char *spec_json, bool tty,
	      bool attach_stdin, bool detach, unsigned rows, unsigned cols,
	      struct zone_exec_fds *out, int *exit_code, struct err *err)
{
	cleanup_zone_conn struct zone_conn *c = NULL;
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_msg Zone__Message *msg = NULL;
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Exec op = ZONE__EXEC__INIT;
	cleanup_fd int spec_fd = -1;
	size_t i = 0, len = strlen(spec_json);
	int rc;

	*exit_code = 0;
	op.id = (char *)exec_id;
	if (len > SPEC_INLINE_MAX) {
		if ((spec_fd = spec_file(spec_json, len, err)) < 0)
			return spec_fd;
	} else {
		op.spec_json.data = (uint8_t *)spec_json;
		op.spec_json.len = len;
	}
	op.tty = tty;
	op.attach_stdin = attach_stdin;
	op.detach = detach;
	op.rows = rows;
	op.cols = cols;
	req.op_case = ZONE__REQUEST__OP_EXEC;
	req.exec = &op;
	if ((rc = zone_connect(uuid, false, NULL, &c, err)) < 0 ||
	    (rc = call_with_fd(c, &req, spec_fd, EXEC_MS, &f, &msg, exit_code, err)) < 0)
		return rc;
	if (msg->body_case != ZONE__MESSAGE__BODY_EXEC_STARTED)
		return err_unexpected(msg, err);
	out->in = out->out = out->err = -1;
	out->pid = msg->exec_started->pid;
	if (detach)
		return 0;
	if (tty) {
		out->out = frame_take_fd(&f, 0);
		out->in = out->out >= 0 ? fcntl(out->out, F_DUPFD_CLOEXEC, 0) : -1;
		return 0;
	}
	if (attach_stdin)
		out->in = frame_take_fd(&f, i++);
	out->out = frame_take_fd(&f, i++);
	out->err = frame_take_fd(&f, i);
	return stdio_relay((struct relay_stream[]){ { &out->in, true }, { &out->out, false }, { &out->err, false } }, 3, err);
}

/* ---- root file systems of zones that do not run --------------------------------------------- */

int zone_rootfs_open(const char *uuid, struct zone_rootfs *out, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	char zone_json[1024];
	const char *argv[] = { "zoneadmd", "--rootfs", zone_json, NULL };
	int sv[2];
	pid_t pid;
	int rc;

	paths_zone(&engine->paths, uuid, "config/zone.json", zone_json);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, "socketpair");
	rc = child_spawn(argv, sv[1], -1, false, &pid, err);
	close(sv[1]);
	if (rc < 0) {
		close(sv[0]);
		return rc;
	}
	rc = frame_recv(sv[0], &f, SPAWN_MS);
	out->root_fd = rc == 1 ? frame_take_fd(&f, 0) : -1;
	if (out->root_fd < 0) {
		close(sv[0]);
		child_reap(pid, 1000);
		return err_kind(err, ERR_SYSTEM, "mount the root file system: %s",
				rc == 1 && f.data.len ? buf_str(&f.data)
						      : "zoneadmd --rootfs failed");
	}
	out->ctl_fd = sv[0];
	out->pid = pid;
	return 0;
}

void zone_rootfs_close(struct zone_rootfs *z)
{
	if (z->pid <= 0)
		return;
	close(z->root_fd);
	close(z->ctl_fd);
	child_reap(z->pid, 5000);
	z->root_fd = z->ctl_fd = -1;
	z->pid = 0;
}
