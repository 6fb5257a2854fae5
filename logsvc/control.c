/* SPDX-License-Identifier: MPL-2.0
 *
 * control.c - answers requests on logsvc.sock.
 *
 * Design. One loop, no waiting: what needs a zone's capture thread or the disk is posted there and
 * answered when it comes back, by the client's number (the client may be gone by then). The socket
 * opens only when the zones found at start have been adopted (or ADOPT_NS is over), so that no
 * reader sees a log beyond what its ring says is committed.
 *
 * Threads: control. Failure: clients connect again; nothing is kept here.
 */
#define LOG_MODULE "control"
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "archive_uploads.h"
#include "cleanup.h"
#include "forward_page.h"
#include "frame.h"
#include "fs.h"
#include "latency.h"
#include "log.h"
#include "logsvc.pb-c.h"
#include "readers.h"
#include "retention.h"
#include "str.h"
#include "usage.h"

#define ADOPT_NS     2000000000
#define ADOPT_STEP   2000000
#define ARCHIVE_LOOK_NS 200000000
#define MAX_CLIENTS  1024
#define NOT_READABLE "configured logging driver does not support reading"

struct client {
	struct client *next;
	struct source src;
	struct control *control;
	uint64_t id;
	bool watches;
};

struct control {
	struct loop *loop;
	struct zones *zones;
	const struct paths *paths;
	struct source listener;
	struct timer adopting;
	int64_t adopt_until_ns;
	struct client *clients;
	unsigned n_clients;
	uint64_t last_id;
	void (*on_ready)(void *arg, const struct err *err);
	void *arg;
};

/* A request whose answer comes later. */
struct pending {
	struct control *control;
	uint64_t client_id, seq;
	struct zone *zone;
	struct err err;
	char uuid[37];
	struct usage_list *usage;
	struct log_prune prune;
	struct timer timer; /* Archive: looked at again ... */
	int64_t until_ns;   /* ... until then, or until more than so many attempts have failed */
	uint64_t failed;
	struct attach *attach;
};

/* ---- clients ---------------------------------------------------------------------------------- */

static void drop_client(struct client *c)
{
	struct client **p = &c->control->clients;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->control->n_clients--;
	loop_unwatch(c->control->loop, &c->src);
	close(c->src.fd);
	loop_free_later(c->control->loop, c);
}

static struct client *client_by_id(struct control *ct, uint64_t id)
{
	struct client *c = ct->clients;

	while (c && c->id != id)
		c = c->next;
	return c;
}

/* fd (-1: none) rides along. */
static void send_with(struct control *ct, uint64_t client_id, Logsvc__Reply *reply, int fd)
{
	struct client *c = client_by_id(ct, client_id);
	cleanup_free unsigned char *out = NULL;
	size_t n = logsvc__reply__get_packed_size(reply);

	if (!c)
		return;
	out = xmalloc(n + 1);
	logsvc__reply__pack(reply, out);
	if (frame_send(c->src.fd, out, n, &fd, fd >= 0, 0) < 0) {
		log_warn("client does not take its replies", "client=%llu",
			 (unsigned long long)client_id);
		drop_client(c);
	}
}

static void send_reply(struct control *ct, uint64_t client_id, Logsvc__Reply *reply)
{
	send_with(ct, client_id, reply, -1);
}

static void reply(struct control *ct, uint64_t client_id, uint64_t seq, const struct err *err)
{
	Logsvc__Reply r = LOGSVC__REPLY__INIT;
	Logsvc__Ok ok = LOGSVC__OK__INIT;
	Logsvc__Failure failure = LOGSVC__FAILURE__INIT;

	r.seq = seq;
	if (err && err->code < 0) {
		failure.code = err->code;
		failure.kind = (int)err->kind;
		failure.text = (char *)(uintptr_t)err->msg;
		r.body_case = LOGSVC__REPLY__BODY_FAILURE;
		r.failure = &failure;
	} else {
		r.body_case = LOGSVC__REPLY__BODY_OK;
		r.ok = &ok;
	}
	send_reply(ct, client_id, &r);
}

/* True: somebody was told. */
static bool tell_watchers(struct control *ct, Logsvc__Reply *r)
{
	bool told = false;

	for (struct client *c = ct->clients, *next; c; c = next) {
		next = c->next;
		told |= c->watches;
		if (c->watches)
			send_reply(ct, c->id, r);
	}
	return told;
}

static bool tell_lost(void *owner, const char *uuid, const char *cause, uint64_t lines, uint64_t bytes)
{
	Logsvc__Reply r = LOGSVC__REPLY__INIT;
	Logsvc__Lost lost = LOGSVC__LOST__INIT;

	lost.uuid = (char *)(uintptr_t)uuid;
	lost.cause = (char *)(uintptr_t)cause;
	lost.lines = lines;
	lost.bytes = bytes;
	r.body_case = LOGSVC__REPLY__BODY_LOST;
	r.lost = &lost;
	return tell_watchers(owner, &r);
}

static void tell_settled(void *owner, const char *uuid)
{
	Logsvc__Reply r = LOGSVC__REPLY__INIT;
	Logsvc__Settled settled = LOGSVC__SETTLED__INIT;

	settled.uuid = (char *)(uintptr_t)uuid;
	r.body_case = LOGSVC__REPLY__BODY_SETTLED;
	r.settled = &settled;
	(void)tell_watchers(owner, &r);
}

static struct pending *pending_new(struct client *c, uint64_t seq, struct zone *z)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	p->control = c->control;
	p->client_id = c->id;
	p->seq = seq;
	p->zone = z;
	return p;
}

static void answer(void *arg) /* the control thread */
{
	struct pending *p = arg;

	reply(p->control, p->client_id, p->seq, &p->err);
	free(p);
}

static void in_capture_answer(void *arg)
{
	struct pending *p = arg;

	loop_post(p->control->loop, answer, p);
}

/* ---- requests --------------------------------------------------------------------------------- */

static void on_opened(void *owner, uint64_t tag, const struct err *err)
{
	struct pending *p = (struct pending *)(uintptr_t)tag;

	(void)owner;
	if (!p)
		return; /* found at start: nobody asked */
	if (err)
		p->err = *err;
	answer(p);
}

static void reader_done(void *arg) /* the control thread */
{
	zone_reader_done(arg);
}

static void on_reader_done(void *owner) /* a reader thread */
{
	struct zone *z = owner;

	loop_post(z->zones->loop, reader_done, z);
}

static int check_readable(const struct zone *z, struct err *err)
{
	if (z->no_file || z->no_reads)
		return err_kind(err, ERR_NOT_IMPLEMENTED, NOT_READABLE);
	return 0;
}

static void submit(struct zone *z, struct read_request *rr)
{
	z->readers++;
	rr->set = logset_ref(z->set);
	rr->raw = z->tty;
	rr->on_done = on_reader_done;
	rr->owner = z;
	readers_submit(rr);
}

static void handle_read(struct client *c, uint64_t seq, const Logsvc__Read *op, struct frame *f)
{
	struct zones *zs = c->control->zones;
	struct read_request rr = {
		.want = { op->stdout, op->stderr },
		.timestamps = op->timestamps,
		.details = op->details,
		.follow = op->follow,
		.tail = op->tail,
		.since_ns = op->since_ns,
		.until_ns = op->until_ns,
	};
	struct err err = { 0 };
	struct zone *z;

	if (f->n_fds < 1) {
		err_kind(&err, ERR_BAD_PARAM, "a read request needs a descriptor");
	} else if ((z = zones_get(zs, op->uuid, &err)) && check_readable(z, &err) == 0) {
		reply(c->control, c->id, seq, NULL);
		rr.fd = frame_take_fd(f, 0);
		submit(z, &rr);
		return;
	}
	reply(c->control, c->id, seq, &err);
}

static void in_capture_attach(void *arg)
{
	struct pending *p = arg;

	stream_attach(p->zone->stream, take_ptr(&p->attach));
	loop_post(p->control->loop, answer, p);
}

static void handle_attach(struct client *c, uint64_t seq, const Logsvc__Attach *op, struct frame *f)
{
	struct zones *zs = c->control->zones;
	struct read_request rr = { .want = { op->stdout, op->stderr }, .tail = -1, .fd = -1 };
	struct err err = { 0 };
	struct pending *p;
	struct zone *z;

	if (f->n_fds < 1) {
		err_kind(&err, ERR_BAD_PARAM, "an attach request needs a descriptor");
	} else if (!(z = zones_expect(zs, op->uuid))) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %.64s", op->uuid);
	} else if (op->replay && check_readable(z, &err) < 0) {
		; /* said in err */
	} else if (op->replay) {
		reply(c->control, c->id, seq, NULL);
		rr.fd = frame_take_fd(f, 0);
		if (op->stream) {
			rr.stream = z->stream;
			rr.attach = attach_new(fcntl(rr.fd, F_DUPFD_CLOEXEC, 3), op->stdout,
					       op->stderr);
		}
		submit(z, &rr);
		return;
	} else {
		p = pending_new(c, seq, z);
		p->attach = attach_new(frame_take_fd(f, 0), op->stdout, op->stderr);
		loop_post(stream_capture(z->stream)->loop, in_capture_attach, p);
		return;
	}
	reply(c->control, c->id, seq, &err);
}

static void in_capture_rotate(void *arg)
{
	struct pending *p = arg;

	(void)stream_rotate(p->zone->stream, &p->err);
	loop_post(p->control->loop, answer, p);
}

static void handle_rotate(struct client *c, uint64_t seq, const char *uuid)
{
	struct err err = { 0 };
	struct zone *z = zones_get(c->control->zones, uuid, &err);

	if (!z)
		reply(c->control, c->id, seq, &err);
	else
		loop_post(stream_capture(z->stream)->loop, in_capture_rotate, pending_new(c, seq, z));
}

static void handle_open(struct client *c, uint64_t seq, const char *uuid)
{
	struct err err = { 0 };
	struct zone *z = zones_get(c->control->zones, uuid, &err);

	if (!z)
		reply(c->control, c->id, seq, &err);
	else
		zone_open(z, (uint64_t)(uintptr_t)pending_new(c, seq, z));
}

/* A zone that is only on the disk may have something to store, or its sink may lack something. */
static bool may_owe(const struct zones *zs, const char *uuid)
{
	char path[1024];

	return uploads_enabled() ||
	       (strlen(uuid) == 36 && fs_exists(paths_zone(zs->paths, uuid, "logs/" FORWARD_CURSOR_NAME, path)));
}

static void handle_remove(struct client *c, uint64_t seq, const char *uuid)
{
	struct zones *zs = c->control->zones;
	struct err ignored = { 0 };
	struct zone *z = may_owe(zs, uuid) ? zones_get(zs, uuid, &ignored) : zones_find(zs, uuid);
	struct pending *p;
	struct loop *loop;

	if (!z) {
		reply(c->control, c->id, seq, NULL);
		return;
	}
	p = pending_new(c, seq, NULL);
	loop = stream_capture(z->stream)->loop;
	zone_remove(z);
	loop_post(loop, in_capture_answer, p); /* behind the removal */
}

static void on_delivered(void *arg, const char *why)
{
	struct pending *p = arg;
	struct zone *z = zones_find(p->control->zones, p->uuid);
	Logsvc__Reply r = LOGSVC__REPLY__INIT;
	Logsvc__Ok ok = LOGSVC__OK__INIT;

	(void)why;
	r.seq = p->seq;
	r.body_case = LOGSVC__REPLY__BODY_OK;
	r.ok = &ok;
	ok.pending = z && forward_is_owed(z->forward);
	send_with(p->control, p->client_id, &r, ok.pending ? forward_netns(z->forward) : -1);
	free(p);
}

static void on_connected(void *arg, const char *why)
{
	struct pending *p = arg;

	if (why)
		err_kind(&p->err, ERR_SYSTEM, "%s", why);
	answer(p);
}

static void handle_forward_wait(struct client *c, uint64_t seq, const Logsvc__ForwardWait *op)
{
	struct zone *z = zones_find(c->control->zones, op->uuid);

	struct pending *p;

	if (!z || !z->forward) {
		reply(c->control, c->id, seq, NULL);
		return;
	}
	p = pending_new(c, seq, NULL);
	str_copy(p->uuid, sizeof(p->uuid), op->uuid);
	forward_wait(z->forward, op->timeout_ms, op->patient, on_delivered, p);
}

static void handle_forward_connect(struct client *c, uint64_t seq, const Logsvc__ForwardConnect *op)
{
	struct err err = { 0 };
	struct zone *z = zones_get(c->control->zones, op->uuid, &err);
	struct forward *f = z ? zone_forward(z, &err) : NULL;

	if (!f)
		reply(c->control, c->id, seq, &err);
	else
		forward_connect(f, op->timeout_ms, on_connected, pending_new(c, seq, NULL));
}

static void handle_reconfigure(struct client *c, uint64_t seq, const char *uuid)
{
	struct zone *z = zones_find(c->control->zones, uuid);

	if (!z) {
		reply(c->control, c->id, seq, NULL);
		return;
	}
	zone_load_conf(z);
	loop_post(stream_capture(z->stream)->loop, in_capture_answer, pending_new(c, seq, NULL)); /* behind the change */
}

static void handle_set_defaults(struct client *c, uint64_t seq, const Logsvc__SetDefaults *op)
{
	struct zones *zs = c->control->zones;
	struct err err = { 0 };
	bool changed = false;

	for (size_t i = 0; i < op->n_settings; i++) {
		const Logsvc__Setting *s = op->settings[i];

		/* a key that only a newer apiserver knows must not keep the others away */
		if (!conf_is_metadata(s->key) || str_eq(conf_str(zs->conf, s->key), s->value))
			continue;
		if (conf_override(zs->conf, s->key, s->value, &err) < 0)
			continue;
		log_info("default changed", "%s=%s", s->key, log_q(s->value));
		changed = true;
	}
	if (changed) {
		zones_load_conf(zs);
		retention_conf_changed();
	}
	reply(c->control, c->id, seq, &err);
}

/* ---- usage ------------------------------------------------------------------------------------ */

static void answer_usage(void *arg) /* the control thread */
{
	struct pending *p = arg;
	Logsvc__UsageReply ur = LOGSVC__USAGE_REPLY__INIT;
	Logsvc__Latency latency = LOGSVC__LATENCY__INIT;
	Logsvc__Reply r = LOGSVC__REPLY__INIT;
	struct latency now;
	struct uploads_status uploads;
	size_t at = 0;

	latency_get(&now);
	latency.bound_ns = (int64_t *)(uintptr_t)latency_bound_ns;
	latency.n_bound_ns = LATENCY_BOUNDS;
	latency.count = now.count;
	latency.n_count = LATENCY_BOUNDS + 1;
	latency.sum_ns = now.sum_ns;
	ur.latency = &latency;

	r.seq = p->seq;
	r.body_case = LOGSVC__REPLY__BODY_USAGE;
	r.usage = &ur;
	uploads_status(&uploads);
	if (p->until_ns && uploads.failed > p->failed)
		ur.error = uploads.error;
	do {
		ur.zones = p->usage->items + at;
		ur.n_zones = p->usage->n - at > USAGE_PER_REPLY ? USAGE_PER_REPLY : p->usage->n - at;
		at += ur.n_zones;
		ur.more = at < p->usage->n;
		send_reply(p->control, p->client_id, &r);
	} while (ur.more);
	usage_free(p->usage);
	free(p);
}

static void collect_usage(void *arg) /* a reader thread */
{
	struct pending *p = arg;

	usage_complete(p->usage, p->control->paths, p->uuid);
	loop_post(p->control->loop, answer_usage, p);
}

static void prune(void *arg) /* a reader thread */
{
	struct pending *p = arg;

	usage_prune(p->usage, p->control->paths, p->uuid, &p->prune);
	loop_post(p->control->loop, answer_usage, p);
}

/* Both look at all zones, or at one. */
static void submit_usage(struct pending *p, const char *uuid, void (*fn)(void *arg))
{
	struct zones *zs = p->control->zones;
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	str_copy(p->uuid, sizeof(p->uuid), uuid);
	p->usage = usage_new();
	while (map_next(&zs->by_uuid, &it, &key, &value)) {
		struct zone *z = value;

		if (!*uuid || str_eq(uuid, z->uuid))
			usage_add(p->usage, z->set, z->driver);
	}
	readers_post(fn, p);
}

static void handle_prune(struct client *c, uint64_t seq, const Logsvc__Prune *op)
{
	struct pending *p = pending_new(c, seq, NULL);

	p->prune.before_ns = op->older_ns > 0 ? now_ns() - op->older_ns : INT64_MAX;
	p->prune.keep = op->keep;
	p->prune.dry_run = op->dry_run;
	p->prune.stored_only = uploads_enabled();
	submit_usage(p, op->uuid, prune);
}

static void archive(void *arg);

static void archive_again(struct timer *t)
{
	struct pending *p = container_of(t, struct pending, timer);
	char uuid[37];

	str_copy(uuid, sizeof(uuid), p->uuid);
	submit_usage(p, uuid, archive);
}

static void archive_later(void *arg) /* the control thread */
{
	struct pending *p = arg;

	usage_free(take_ptr(&p->usage));
	p->timer.on_time = archive_again;
	loop_timer(p->control->loop, &p->timer, ARCHIVE_LOOK_NS);
}

static void archive(void *arg) /* a reader thread */
{
	struct pending *p = arg;
	struct uploads_status uploads;

	uploads_status(&uploads);
	if (!usage_is_stored(p->usage, p->control->paths, p->uuid, &p->prune) && mono_ns() < p->until_ns &&
	    uploads.failed == p->failed) {
		loop_post(p->control->loop, archive_later, p);
		return;
	}
	p->prune.stored_only = true;
	prune(p);
}

static void handle_archive(struct client *c, uint64_t seq, const Logsvc__Archive *op)
{
	struct uploads_status uploads;
	struct err err = { 0 };
	struct pending *p;

	if (!uploads_enabled()) {
		err_kind(&err, ERR_BAD_PARAM, "no object store is configured: LOG_ARCHIVE_URL is empty");
		reply(c->control, c->id, seq, &err);
		return;
	}
	p = pending_new(c, seq, NULL);
	p->prune.before_ns = op->older_ns > 0 ? now_ns() - op->older_ns : INT64_MAX;
	p->prune.keep = op->keep;
	p->prune.dry_run = op->dry_run;
	if (op->dry_run) {
		submit_usage(p, op->uuid, prune);
		return;
	}
	uploads_status(&uploads);
	p->failed = uploads.failed;
	p->until_ns = mono_ns() + op->timeout_ms * 1000000LL;
	retention_sweep(); /* zones that are only on the disk */
	uploads_hurry();
	submit_usage(p, op->uuid, archive);
}

/* ---- the socket ------------------------------------------------------------------------------- */

static void dispatch(struct client *c, const Logsvc__Request *req, struct frame *f)
{
	struct err err = { 0 };

	switch (req->op_case) {
	case LOGSVC__REQUEST__OP_OPEN:
		handle_open(c, req->seq, req->open->uuid);
		return;
	case LOGSVC__REQUEST__OP_READ:
		handle_read(c, req->seq, req->read, f);
		return;
	case LOGSVC__REQUEST__OP_ATTACH:
		handle_attach(c, req->seq, req->attach, f);
		return;
	case LOGSVC__REQUEST__OP_RECONFIGURE:
		handle_reconfigure(c, req->seq, req->reconfigure->uuid);
		return;
	case LOGSVC__REQUEST__OP_REMOVE:
		handle_remove(c, req->seq, req->remove->uuid);
		return;
	case LOGSVC__REQUEST__OP_USAGE:
		submit_usage(pending_new(c, req->seq, NULL), req->usage->uuid, collect_usage);
		return;
	case LOGSVC__REQUEST__OP_ROTATE:
		handle_rotate(c, req->seq, req->rotate->uuid);
		return;
	case LOGSVC__REQUEST__OP_PING:
		reply(c->control, c->id, req->seq, NULL);
		return;
	case LOGSVC__REQUEST__OP_FORWARD_WAIT:
		handle_forward_wait(c, req->seq, req->forward_wait);
		return;
	case LOGSVC__REQUEST__OP_FORWARD_CONNECT:
		handle_forward_connect(c, req->seq, req->forward_connect);
		return;
	case LOGSVC__REQUEST__OP_SET_DEFAULTS:
		handle_set_defaults(c, req->seq, req->set_defaults);
		return;
	case LOGSVC__REQUEST__OP_PRUNE:
		handle_prune(c, req->seq, req->prune);
		return;
	case LOGSVC__REQUEST__OP_ARCHIVE:
		handle_archive(c, req->seq, req->archive);
		return;
	case LOGSVC__REQUEST__OP_WATCH:
		c->watches = true;
		losses_retry(&c->control->zones->losses);
		reply(c->control, c->id, req->seq, NULL);
		return;
	case LOGSVC__REQUEST__OP__NOT_SET:
	case _LOGSVC__REQUEST__OP__CASE_IS_INT_SIZE:
		break;
	}
	err_kind(&err, ERR_NOT_IMPLEMENTED, "unknown request");
	reply(c->control, c->id, req->seq, &err);
}

static void on_client(struct source *src, uint32_t events)
{
	struct client *c = container_of(src, struct client, src);

	(void)events;
	for (int i = 0; i < 16 && c->src.watched; i++) {
		cleanup_frame struct frame f = FRAME_INIT;
		Logsvc__Request *req = NULL;
		int rc = frame_recv(c->src.fd, &f, 0);

		if (rc == -EAGAIN)
			return;
		if (rc > 0)
			req = logsvc__request__unpack(NULL, f.data.len, (const uint8_t *)f.data.p);
		if (!req) {
			if (rc != 0)
				log_warn("client dropped", "client=%llu rc=%d",
					 (unsigned long long)c->id, rc);
			drop_client(c);
			return;
		}
		dispatch(c, req, &f);
		logsvc__request__free_unpacked(req, NULL);
	}
}

static void on_listener(struct source *src, uint32_t events)
{
	struct control *ct = container_of(src, struct control, listener);
	struct client *c;
	int fd = frame_accept(src->fd);

	(void)events;
	if (fd < 0)
		return;
	if (ct->n_clients >= MAX_CLIENTS) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->control = ct;
	c->id = ++ct->last_id;
	c->src.fd = fd;
	c->src.on_event = on_client;
	c->next = ct->clients;
	ct->clients = c;
	ct->n_clients++;
	if (loop_watch(ct->loop, &c->src, EPOLLIN) < 0)
		drop_client(c);
}

static void on_adopting(struct timer *t)
{
	struct control *ct = container_of(t, struct control, adopting);
	struct err err = { 0 };

	if (ct->zones->adopting && mono_ns() < ct->adopt_until_ns) {
		loop_timer(ct->loop, t, ADOPT_STEP);
		return;
	}
	if (ct->zones->adopting)
		log_warn("zones that did not answer", "n=%u", ct->zones->adopting);
	ct->listener.fd = frame_listen(ct->paths->logsvc_sock, 0600, &err);
	if (ct->listener.fd >= 0)
		(void)loop_watch(ct->loop, &ct->listener, EPOLLIN);
	ct->on_ready(ct->arg, ct->listener.fd < 0 ? &err : NULL);
}

struct control *control_new(struct loop *loop, struct zones *zones, const struct paths *paths,
			    void (*on_ready)(void *arg, const struct err *err), void *arg)
{
	struct control *ct = xcalloc(1, sizeof(*ct));

	ct->loop = loop;
	ct->zones = zones;
	ct->paths = paths;
	ct->on_ready = on_ready;
	ct->arg = arg;
	ct->listener.fd = -1;
	ct->listener.on_event = on_listener;
	ct->adopting.on_time = on_adopting;
	ct->adopt_until_ns = mono_ns() + ADOPT_NS;
	zones->on_opened = on_opened;
	zones->owner = ct;
	zones->on_settled = tell_settled;
	zones->losses.loop = loop;
	zones->losses.tell = tell_lost;
	zones->losses.owner = ct;
	zones_adopt_all(zones);
	on_adopting(&ct->adopting);
	return ct;
}
