/* SPDX-License-Identifier: MPL-2.0
 *
 * logclient.c - asking logsvc, and keeping it alive.
 *
 * Design: each call is a connection of its own, made by the worker that asks. While logsvc is away
 * (killed, being upgraded) a call tries again until its deadline: the supervisor below has it back
 * within milliseconds, and nothing was lost meanwhile, since zoneadmd holds the pipes. A descriptor
 * that rides along stays ours until the reply, so that it can ride again.
 *
 * Supervisor: one connection on the loop, on which logsvc is told the operators' settings, and tells us what
 * output was lost (an event); its end is logsvc's end.
 *
 *	watching --end--> spawn --> connecting --socket answers--> watching
 *	                    ^           | (2 s without an answer)
 *	                    +--backoff--+
 *
 * logsvc runs in a session of its own and survives us; a later apiserver finds it on its socket.
 *
 * Threads: calls on workers; the supervisor on the loop.
 */
#define LOG_MODULE "logclient"
#include "apiserver/logclient.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/child.h"
#include "apiserver/container.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/job.h"
#include "cleanup.h"
#include "failpoint.h"
#include "frame.h"
#include "fs.h"
#include "log.h"
#include "logsvc.pb-c.h"
#include "str.h"

#define CALL_MS		15000
#define PENDING_MS	2000
#define CONNECT_SINK_MS 12000 /* look-up, connect and handshake have deadlines of their own */
#define RETRY_MS	3
#define CONNECT_TICK_MS 3
#define INIT_MS	   10000 /* for the first connection */
#define RESPAWN_MS	   300
#define CONNECT_MAX_MS	2000
#define BACKOFF_MAX_MS	2000
#define MAX_SETTINGS	32
#define LIVED_MS	5000 /* a life of this length clears the backoff */

static void (*settled)(const char *uuid);

/* ---- calls ---------------------------------------------------------------------------------- */

static void free_reply(Logsvc__Reply **r)
{
	if (*r)
		logsvc__reply__free_unpacked(*r, NULL);
}
#define cleanup_reply __attribute__((cleanup(free_reply)))

static int remaining_ms(int64_t deadline)
{
	int64_t left = deadline - mono_ns();

	return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

/* -EPIPE: logsvc went away, worth another try. got_fd (NULL: not wanted): what rode along. */
static int recv_reply(int fd, int64_t deadline, Logsvc__Reply **out, int *got_fd, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	int rc = frame_recv(fd, &f, remaining_ms(deadline));

	if (rc == -EAGAIN)
		return err_kind(err, ERR_UNAVAILABLE, "logsvc did not answer in time");
	if (rc <= 0)
		return -EPIPE;
	*out = logsvc__reply__unpack(NULL, f.data.len, (const uint8_t *)f.data.p);
	if (!*out)
		return err_kind(err, ERR_SYSTEM, "logsvc sent a malformed reply");
	if (got_fd)
		*got_fd = frame_take_fd(&f, 0);
	return 0;
}

static int try_once(const struct buf *packet, int pass_fd, int64_t deadline, int *out_fd,
		    Logsvc__Reply **out, struct err *err)
{
	struct err ignored = { 0 };
	cleanup_fd int fd =
		frame_connect(engine->paths.logsvc_sock, remaining_ms(deadline), &ignored);
	int rc;

	if (fd < 0)
		return -EPIPE;
	if (frame_send(fd, packet->p, packet->len, &pass_fd, pass_fd >= 0 ? 1 : 0,
		       remaining_ms(deadline)) < 0)
		return -EPIPE;
	if ((rc = recv_reply(fd, deadline, out, NULL, err)) < 0)
		return rc;
	if (out_fd)
		*out_fd = take_fd(&fd);
	return 0;
}

static int failure_to_err(const Logsvc__Failure *f, struct err *err)
{
	enum err_kind kind = f->kind > ERR_NONE && f->kind <= ERR_UNAVAILABLE
				     ? (enum err_kind)f->kind
				     : ERR_SYSTEM;

	err_kind(err, kind, "%s", f->text && f->text[0] ? f->text : "logsvc: unknown failure");
	if (f->code < 0)
		err->code = f->code;
	return err->code;
}

/* *out_fd (NULL: not wanted) is the connection, for replies in several parts. */
static int call(Logsvc__Request *req, int pass_fd, int *out_fd, Logsvc__Reply **out,
		struct err *err)
{
	int64_t deadline = mono_ns() + (int64_t)CALL_MS * 1000000;
	cleanup_buf struct buf packet = BUF_INIT;
	size_t len;
	int rc;

	if (failpoint("logclient.call"))
		return err_kind(err, ERR_UNAVAILABLE, "failpoint logclient.call");
	req->seq = 1;
	len = logsvc__request__get_packed_size(req);
	buf_reserve(&packet, len);
	logsvc__request__pack(req, (uint8_t *)packet.p);
	packet.len = len;
	while ((rc = try_once(&packet, pass_fd, deadline, out_fd, out, err)) == -EPIPE) {
		if (mono_ns() >= deadline)
			return err_kind(err, ERR_UNAVAILABLE, "the log service is not available");
		poll(NULL, 0, RETRY_MS);
	}
	if (rc < 0)
		return rc;
	if ((*out)->body_case == LOGSVC__REPLY__BODY_FAILURE) {
		rc = failure_to_err((*out)->failure, err);
		if (out_fd)
			close(take_fd(out_fd));
		return rc;
	}
	return 0;
}

static int call_ok(Logsvc__Request *req, int pass_fd, struct err *err)
{
	cleanup_reply Logsvc__Reply *reply = NULL;

	return call(req, pass_fd, NULL, &reply, err);
}

int logclient_open(const char *uuid, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Open op = LOGSVC__OPEN__INIT;

	op.uuid = (char *)uuid;
	req.op_case = LOGSVC__REQUEST__OP_OPEN;
	req.open = &op;
	return call_ok(&req, -1, err);
}

int logclient_read(const char *uuid, const struct log_read_opts *o, int *out_fd, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Read op = LOGSVC__READ__INIT;
	cleanup_fd int rd = -1;
	cleanup_fd int wr = -1;
	int p[2];
	int rc;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	rd = p[0];
	wr = p[1];
	fcntl(wr, F_SETPIPE_SZ, 256 * 1024);
	op.uuid = (char *)uuid;
	op.stdout = o->out;
	op.stderr = o->err;
	op.tail = o->tail;
	op.since_ns = o->since_ns;
	op.until_ns = o->until_ns;
	op.timestamps = o->timestamps;
	op.details = o->details;
	op.follow = o->follow;
	req.op_case = LOGSVC__REQUEST__OP_READ;
	req.read = &op;
	if ((rc = call_ok(&req, wr, err)) < 0)
		return rc;
	*out_fd = take_fd(&rd);
	return 0;
}

/* A socket pair, not a pipe: attach.c may have to end a stream from this side (shutdown). */
int logclient_attach(const char *uuid, bool out, bool err_stream, bool replay, bool stream,
		     int *out_fd, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Attach op = LOGSVC__ATTACH__INIT;
	cleanup_fd int mine = -1;
	cleanup_fd int theirs = -1;
	int size = 256 * 1024;
	int sv[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, "socketpair");
	mine = sv[0];
	theirs = sv[1];
	setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	op.uuid = (char *)uuid;
	op.stdout = out;
	op.stderr = err_stream;
	op.replay = replay;
	op.stream = stream;
	req.op_case = LOGSVC__REQUEST__OP_ATTACH;
	req.attach = &op;
	if ((rc = call_ok(&req, theirs, err)) < 0)
		return rc;
	*out_fd = take_fd(&mine);
	return 0;
}

int logclient_reconfigure(const char *uuid, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Reconfigure op = LOGSVC__RECONFIGURE__INIT;

	op.uuid = (char *)uuid;
	req.op_case = LOGSVC__REQUEST__OP_RECONFIGURE;
	req.reconfigure = &op;
	return call_ok(&req, -1, err);
}

int logclient_remove(const char *uuid, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Remove op = LOGSVC__REMOVE__INIT;

	op.uuid = (char *)uuid;
	req.op_case = LOGSVC__REQUEST__OP_REMOVE;
	req.remove = &op;
	return call_ok(&req, -1, err);
}

bool logclient_keeps(const char *uuid)
{
	char path[1024];

	return fs_exists(paths_zone_run(&engine->paths, uuid, "removed", path));
}

/* The metadata as it is now, file and changes together. */
struct defaults {
	Logsvc__Request req;
	Logsvc__SetDefaults op;
	Logsvc__Setting settings[MAX_SETTINGS], *ptrs[MAX_SETTINGS];
};

static void defaults_init(struct defaults *d)
{
	logsvc__request__init(&d->req);
	logsvc__set_defaults__init(&d->op);
	d->req.op_case = LOGSVC__REQUEST__OP_SET_DEFAULTS;
	d->req.set_defaults = &d->op;
	d->op.settings = d->ptrs;
	for (const struct conf_key *k = conf_keys; k->name && d->op.n_settings < MAX_SETTINGS; k++) {
		Logsvc__Setting *s = &d->settings[d->op.n_settings];

		if (!conf_is_metadata(k->name))
			continue;
		logsvc__setting__init(s);
		s->key = (char *)k->name;
		s->value = (char *)conf_str(engine->conf, k->name);
		d->ptrs[d->op.n_settings++] = s;
	}
}

int logclient_set_defaults(struct err *err)
{
	struct defaults d;

	defaults_init(&d);
	return call_ok(&d.req, -1, err);
}

/* Once: 1 with a reply, else it was not to be had in time. */
static int ask_pending(const char *uuid, int64_t deadline, Logsvc__Reply **out, int *netns_fd)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__ForwardWait op = LOGSVC__FORWARD_WAIT__INIT;
	struct err ignored = { 0 };
	cleanup_fd int fd = frame_connect(engine->paths.logsvc_sock, remaining_ms(deadline), &ignored);
	uint8_t packet[128];

	op.uuid = (char *)uuid;
	req.seq = 1;
	req.op_case = LOGSVC__REQUEST__OP_FORWARD_WAIT;
	req.forward_wait = &op;
	assert(logsvc__request__get_packed_size(&req) <= sizeof(packet));
	return fd >= 0 && frame_send(fd, packet, logsvc__request__pack(&req, packet), NULL, 0, remaining_ms(deadline)) == 0 &&
	       recv_reply(fd, deadline, out, netns_fd, &ignored) == 0;
}

bool logclient_is_pending(const char *uuid, int *netns_fd)
{
	int64_t deadline = mono_ns() + (int64_t)PENDING_MS * 1000000;
	cleanup_reply Logsvc__Reply *r = NULL;

	*netns_fd = -1;
	while (!ask_pending(uuid, deadline, &r, netns_fd)) {
		if (mono_ns() >= deadline)
			return true; /* the careful answer */
		poll(NULL, 0, RETRY_MS);
	}
	return r->body_case == LOGSVC__REPLY__BODY_OK && r->ok->pending;
}

void logclient_on_settled(void (*fn)(const char *uuid))
{
	settled = fn;
}

int logclient_forward_connect(const char *uuid, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__ForwardConnect op = LOGSVC__FORWARD_CONNECT__INIT;

	op.uuid = (char *)uuid;
	op.timeout_ms = CONNECT_SINK_MS;
	req.op_case = LOGSVC__REQUEST__OP_FORWARD_CONNECT;
	req.forward_connect = &op;
	return call_ok(&req, -1, err);
}

static void add_forward(struct log_usage *lu, const Logsvc__ForwardUsage *f)
{
	lu->forwards = f != NULL;
	lu->connected = f && f->state == LOGSVC__FORWARD_USAGE__STATE__CONNECTED;
	lu->behind_bytes = f ? f->behind_bytes : 0;
	lu->behind_lines = f ? f->behind_lines : 0;
	lu->delivered = f ? f->delivered : 0;
}

static void add_usage(struct log_usage **v, unsigned *n, const Logsvc__UsageReply *u)
{
	*v = xrealloc(*v, (*n + u->n_zones) * sizeof(**v) + 1);
	for (size_t i = 0; i < u->n_zones; i++) {
		struct log_usage *lu = &(*v)[(*n)++];

		str_copy(lu->uuid, sizeof(lu->uuid), u->zones[i]->uuid);
		lu->bytes = u->zones[i]->bytes;
		lu->files = u->zones[i]->files;
		str_copy(lu->driver, sizeof(lu->driver), u->zones[i]->driver);
		lu->lines = u->zones[i]->lines;
		lu->lines_bytes = u->zones[i]->lines_bytes;
		lu->rotations = u->zones[i]->rotations;
		lu->dropped = u->zones[i]->dropped;
		lu->lost = u->zones[i]->lost;
		lu->archived = u->zones[i]->archived;
		lu->archive_pending = u->zones[i]->archive_pending;
		lu->archive_failures = u->zones[i]->archive_failures;
		lu->unstored = u->zones[i]->unstored;
		lu->errors = u->zones[i]->errors;
		add_forward(lu, u->zones[i]->forward);
	}
}

static void take_latency(struct log_latency *to, const Logsvc__Latency *from)
{
	to->n = 0;
	if (!from || from->n_bound_ns > LOG_LATENCY_MAX || from->n_count != from->n_bound_ns + 1)
		return;
	to->n = (unsigned)from->n_bound_ns;
	to->sum_ns = from->sum_ns;
	memcpy(to->bound_ns, from->bound_ns, to->n * sizeof(to->bound_ns[0]));
	memcpy(to->count, from->count, from->n_count * sizeof(to->count[0]));
}

int logclient_usage(const char *uuid, struct log_usage **out, unsigned *n, struct log_latency *latency, struct err *err)
{
	int64_t deadline = mono_ns() + (int64_t)CALL_MS * 1000000;
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Usage op = LOGSVC__USAGE__INIT;
	cleanup_reply Logsvc__Reply *reply = NULL;
	cleanup_free struct log_usage *v = NULL;
	cleanup_fd int fd = -1;
	unsigned count = 0;
	bool more;
	int rc;

	op.uuid = (char *)uuid;
	req.op_case = LOGSVC__REQUEST__OP_USAGE;
	req.usage = &op;
	if ((rc = call(&req, -1, &fd, &reply, err)) < 0)
		return rc;
	do {
		if (reply->body_case != LOGSVC__REPLY__BODY_USAGE)
			return err_kind(err, ERR_SYSTEM,
					"logsvc answered usage with message type %d",
					(int)reply->body_case);
		add_usage(&v, &count, reply->usage);
		if (latency)
			take_latency(latency, reply->usage->latency);
		more = reply->usage->more;
		if (more) {
			logsvc__reply__free_unpacked(take_ptr(&reply), NULL);
			if ((rc = recv_reply(fd, deadline, &reply, NULL, err)) == -EPIPE)
				return err_kind(err, ERR_UNAVAILABLE,
						"logsvc ended while it answered");
			if (rc < 0)
				return rc;
		}
	} while (more);
	*out = take_ptr(&v);
	*n = count;
	return 0;
}

/* ---- supervisor ----------------------------------------------------------------------------- */

static struct {
	enum { SV_OFF, SV_WATCHING, SV_CONNECTING, SV_BACKOFF } state;
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	pid_t pid;	  /* of the logsvc that answers, or that we spawned */
	int64_t since_ns; /* of the state */
	unsigned backoff_ms;
} sv = { .fd = -1 };

static void sv_enter_connecting(void);

static int sv_spawn(void)
{
	const char *argv[6] = { "logsvc" };
	struct err err = { 0 };
	size_t n = 1;
	int rc;

	if (engine->paths.root[0]) {
		argv[n++] = "--root";
		argv[n++] = engine->paths.root;
	}
	if (engine->conf_path[0]) {
		argv[n++] = "--conf";
		argv[n++] = engine->conf_path;
	}
	rc = child_spawn(argv, -1, -1, true, &sv.pid, &err);
	if (rc < 0) {
		log_err("logsvc cannot be started", "error=%s", log_q(err.msg));
		sv.pid = 0;
		return rc;
	}
	log_info("logsvc started", "pid=%d", (int)sv.pid);
	return 0;
}

static void on_watch_closed(uv_handle_t *h)
{
	(void)h;
	close(take_fd(&sv.fd));
	sv_enter_connecting();
}

/* An event of the container, or of an id that is no container's any more. */
static void tell_lost(const Logsvc__Lost *lost)
{
	char id[40], lines[24], bytes[24]; /* the first half of the container's id */
	size_t n = 0;
	struct err none = { 0 };
	struct container *ct;
	const char *attrs[7] = { "cause", lost->cause };
	size_t n_attrs = 2;

	for (const char *p = lost->uuid; *p && n < sizeof(id) - 1; p++)
		if (*p != '-')
			id[n++] = *p;
	id[n] = '\0';
	ct = n == 32 ? container_find(id, &none) : NULL;
	snprintf(lines, sizeof(lines), "%llu", (unsigned long long)lost->lines);
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)lost->bytes);
	if (lost->lines) {
		attrs[n_attrs++] = "lines";
		attrs[n_attrs++] = lines;
	}
	if (lost->bytes) {
		attrs[n_attrs++] = "bytes";
		attrs[n_attrs++] = bytes;
	}
	log_warn("output was lost", "zone=%s lines=%s bytes=%s cause=%s", lost->uuid, lines, bytes, log_q(lost->cause));
	if (ct)
		event_container(ct, "log_lost", attrs);
	else
		event_emit("container", "log_lost", id, attrs);
}

/* One message of the connection that is watched: answers are of no interest. > 0, 0 at its end, -errno. */
static int take_told(void)
{
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_reply Logsvc__Reply *r = NULL;
	int rc = frame_recv(sv.fd, &f, 0);

	if (rc <= 0)
		return rc;
	r = logsvc__reply__unpack(NULL, f.data.len, (const uint8_t *)f.data.p);
	if (r && r->body_case == LOGSVC__REPLY__BODY_LOST)
		tell_lost(r->lost);
	else if (r && r->body_case == LOGSVC__REPLY__BODY_SETTLED && settled)
		settled(r->settled->uuid);
	return 1;
}

static void on_watch(uv_poll_t *p, int status, int events)
{
	int rc = status < 0 ? 0 : take_told();

	(void)events;
	if (rc > 0 || rc == -EAGAIN)
		return;
	log_warn("logsvc is gone, starting it again", "pid=%d lived_ms=%lld", (int)sv.pid,
		 (long long)(mono_ns() - sv.since_ns) / 1000000);
	if (mono_ns() - sv.since_ns > (int64_t)LIVED_MS * 1000000)
		sv.backoff_ms = 0;
	child_reap_later(sv.pid);
	sv.pid = 0;
	sv.state = SV_OFF;
	uv_poll_stop(p);
	uv_close((uv_handle_t *)p, on_watch_closed);
}

/* On the connection that is watched; the answers are read and dropped there. */
static void sv_greet(int fd)
{
	cleanup_buf struct buf packet = BUF_INIT;
	Logsvc__Request watch = LOGSVC__REQUEST__INIT;
	Logsvc__Watch op = LOGSVC__WATCH__INIT;
	uint8_t out[16];
	struct defaults d;
	size_t len;
	int rc;

	defaults_init(&d);
	len = logsvc__request__get_packed_size(&d.req);
	buf_reserve(&packet, len);
	logsvc__request__pack(&d.req, (uint8_t *)packet.p);
	if ((rc = frame_send(fd, packet.p, len, NULL, 0, 0)) < 0)
		log_warn("logsvc was not told the defaults", "rc=%d", rc);
	watch.seq = 2;
	watch.op_case = LOGSVC__REQUEST__OP_WATCH;
	watch.watch = &op;
	len = logsvc__request__pack(&watch, out);
	if ((rc = frame_send(fd, out, len, NULL, 0, 0)) < 0)
		log_warn("logsvc will not tell of losses", "rc=%d", rc);
}

static void sv_watch(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		sv.pid = cred.pid;
	sv.fd = fd;
	sv.state = SV_WATCHING;
	sv.since_ns = mono_ns();
	sv_greet(fd);
	uv_poll_init(uv_default_loop(), &sv.poll, fd);
	uv_unref((uv_handle_t *)&sv.poll);
	uv_poll_start(&sv.poll, UV_READABLE | UV_DISCONNECT, on_watch);
}

static int sv_connect(void)
{
	struct err ignored = { 0 };

	return frame_connect(engine->paths.logsvc_sock, 0, &ignored);
}

static void on_backoff(uv_timer_t *t)
{
	(void)t;
	sv_enter_connecting();
}

static void sv_enter_backoff(void)
{
	sv.backoff_ms = sv.backoff_ms ? sv.backoff_ms * 2 : 10;
	if (sv.backoff_ms > BACKOFF_MAX_MS)
		sv.backoff_ms = BACKOFF_MAX_MS;
	sv.state = SV_BACKOFF;
	uv_timer_start(&sv.timer, on_backoff, sv.backoff_ms, 0);
}

static void on_tick(uv_timer_t *t)
{
	int fd = sv_connect();

	if (fd >= 0) {
		uv_timer_stop(t);
		sv_watch(fd);
	} else if (mono_ns() - sv.since_ns > (int64_t)CONNECT_MAX_MS * 1000000) {
		uv_timer_stop(t);
		log_err("logsvc does not answer on its socket", "path=%s",
			log_q(engine->paths.logsvc_sock));
		child_reap_later(sv.pid);
		sv_enter_backoff();
	}
}

/* Somebody else may have started it meanwhile (systemd, an upgrade): ask first. */
static void sv_enter_connecting(void)
{
	int fd = sv_connect();

	if (fd >= 0) {
		sv_watch(fd);
		return;
	}
	if (sv_spawn() < 0) {
		sv_enter_backoff();
		return;
	}
	sv.state = SV_CONNECTING;
	sv.since_ns = mono_ns();
	uv_timer_start(&sv.timer, on_tick, CONNECT_TICK_MS, CONNECT_TICK_MS);
}

/* It may be killed as it comes up, or find that an earlier engine's still has the lock and then goes: then it is started again. */
static int first_connect(int *status, struct err *why)
{
	int64_t now = mono_ns(), deadline = now + INIT_MS * 1000000LL, next = now;
	int fd;

	while ((fd = frame_connect(engine->paths.logsvc_sock, 10, why)) < 0 && (now = mono_ns()) < deadline) {
		if (sv.pid > 0 && waitpid(sv.pid, status, WNOHANG) == sv.pid)
			sv.pid = 0;
		if (sv.pid == 0 && now >= next) {
			next = now + RESPAWN_MS * 1000000LL;
			if (sv_spawn() < 0)
				break;
		}
		poll(NULL, 0, 2);
	}
	return fd;
}

int logclient_init(struct err *err)
{
	struct err why = { 0 };
	int status = 0, fd;

	uv_timer_init(uv_default_loop(), &sv.timer);
	uv_unref((uv_handle_t *)&sv.timer);
	fd = first_connect(&status, &why);
	if (fd < 0) {
		if (sv.pid > 0)
			status = child_reap(sv.pid, 0);
		return err_kind(err, ERR_UNAVAILABLE, "logsvc does not come up (wait status %d): %s", status, why.msg);
	}
	sv_watch(fd);
	return 0;
}

void logclient_fini(bool stop_daemon)
{
	uv_timer_stop(&sv.timer);
	if (sv.state == SV_WATCHING) {
		uv_poll_stop(&sv.poll);
		close(take_fd(&sv.fd));
	}
	sv.state = SV_OFF;
	if (stop_daemon && sv.pid > 0) {
		kill(sv.pid, SIGTERM);
		child_reap(sv.pid, 5000);
	}
}
