/* SPDX-License-Identifier: MPL-2.0
 *
 * client.c - connections: bytes in, requests out to their handlers, replies back.
 *
 *	accept --> IDLE --> HEAD --> BODY --> RUN --+--> IDLE ...
 *	                               \       \    +--> RAW ----+
 *	                                \       \                v
 *	                                 +-------+-----------> LINGER --> CLOSED
 *
 * Design: the socket is watched by a uv_poll and read and written directly: one read, the handlers
 * of all the whole requests in it, one write. A handler may answer at once or later; the next
 * pipelined request begins when the reply is complete, so that replies are in order.
 *
 * Gone or only finished? A peer that shuts down its sending side (docker does after stdin's end, nc
 * -N after the request) still wants its answer. It is gone when both directions are closed:
 * POLLHUP, which epoll reports without being asked (UV_PRIORITIZED is there so that libuv passes it
 * on), or a write or read that fails. A TCP peer that closed looks half-closed until it answers a
 * probe with RST: hence SO_KEEPALIVE (listen.c).
 *
 * A write that fails only marks the connection; client_gone is called from the loop's next turn, so
 * that nothing is freed under the feet of a caller.
 *
 * Limits: head and header sizes (http.h), body size, input waiting, clients, time to send a head.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "job.h"
#include "reply.h"
#include "str.h"
#include "tls.h"

#define LOG_MODULE "client"
#include "log.h"

#define SEC_NS		  1000000000LL
#define HEAD_TIMEOUT_NS	  (60 * SEC_NS)
#define BODY_TIMEOUT_NS	  (300 * SEC_NS)
#define IDLE_TIMEOUT_NS	  (600 * SEC_NS)
#define WRITE_TIMEOUT_NS  (600 * SEC_NS)
#define LINGER_TIMEOUT_NS (2 * SEC_NS)
#define DISCARD_MAX	  (256 * 1024)
/* see spin_note */
#define SPIN_NS	    (60 * 1000)
#define SPIN_GAP_NS (150 * 1000)
#define SPIN_HOT    8

struct client_stats client_stats;

static struct client *table[CLIENT_MAX];
static struct client *first, *deferred;
static unsigned next_slot;
static uv_idle_t idle, spin;
static uint64_t last_input_ns;
static unsigned n_hot;
static uv_timer_t sweep;
static char *io_buf;

static void on_idle(uv_idle_t *handle);

char *client_io_buf(void)
{
	return io_buf;
}

struct client *client_first(void)
{
	return first;
}

size_t client_pending(const struct client *c)
{
	return c->out.len - c->out_off;
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void undefer(struct client *c)
{
	if (!c->deferred)
		return;
	c->deferred = false;
	if (c->prev_deferred)
		c->prev_deferred->next_deferred = c->next_deferred;
	else
		deferred = c->next_deferred;
	if (c->next_deferred)
		c->next_deferred->prev_deferred = c->prev_deferred;
}

static void defer(struct client *c)
{
	if (c->deferred || c->state == CLIENT_CLOSED)
		return;
	c->deferred = true;
	c->prev_deferred = NULL;
	c->next_deferred = deferred;
	if (deferred)
		deferred->prev_deferred = c;
	else
		uv_idle_start(&idle, on_idle);
	deferred = c;
}

static void on_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;

	tls_free(c->tls);
	close(c->fd);
	http_fini(&c->parse);
	buf_fini(&c->in);
	buf_fini(&c->out);
	req_fini(&c->req);
	free(c);
}

static void client_close(struct client *c)
{
	if (c->state == CLIENT_CLOSED)
		return;
	c->state = CLIENT_CLOSED;
	undefer(c);
	table[c->slot] = NULL;
	if (c->prev)
		c->prev->next = c->next;
	else
		first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	client_stats.open--;
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_closed);
}

void client_gone(struct client *c)
{
	struct req *r = &c->req;

	if (c->state == CLIENT_CLOSED)
		return;
	if (r->bs) {
		body_stream_end(r->bs, -ECONNRESET);
		r->bs = NULL;
	}
	body_stream_unwatch(r->whole, r->live);
	r->whole = NULL;
	if (r->live) {
		struct pump *pump = r->pump;

		client_stats.gone++;
		r->live = false;
		r->pump = NULL;
		if (pump)
			pump_on_gone(pump);
		if (r->on_gone)
			r->on_gone(r->on_gone_arg);
	}
	client_close(c);
}

void client_linger(struct client *c)
{
	if (c->state == CLIENT_CLOSED)
		return;
	if (c->state != CLIENT_LINGER) {
		c->state = CLIENT_LINGER;
		buf_reset(&c->in);
		c->deadline_ns = mono_ns() + WRITE_TIMEOUT_NS;
	}
	if (client_pending(c) == 0 && !c->corked && !c->broken) {
		if (c->eof) {
			client_close(c);
			return;
		}
		if (c->tls)
			tls_shutdown(c->tls);
		shutdown(c->fd, SHUT_WR);
		c->deadline_ns = mono_ns() + LINGER_TIMEOUT_NS;
	}
	client_update_poll(c);
}

/* ---- output ------------------------------------------------------------------------------------
 */

static ssize_t send_some(struct client *c, const char *p, size_t len)
{
	ssize_t n;

	if (c->tls)
		return tls_send(c->tls, p, len);
	do {
		n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void mark_broken(struct client *c)
{
	c->broken = true;
	c->out.len = c->out_off = 0;
	defer(c);
}

void client_abort(struct client *c)
{
	if (c->state != CLIENT_CLOSED && !c->broken)
		mark_broken(c);
}

bool client_flush(struct client *c)
{
	if (c->broken || c->state == CLIENT_CLOSED)
		return false;
	while (c->out_off < c->out.len) {
		ssize_t n = send_some(c, c->out.p + c->out_off, c->out.len - c->out_off);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			mark_broken(c);
			return false;
		}
		client_stats.bytes_out += (uint64_t)n;
		c->out_off += (size_t)n;
	}
	if (c->out_off == c->out.len) {
		c->out.len = c->out_off = 0;
		if (c->out.cap > 64 * 1024)
			buf_fini(&c->out);
	}
	return true;
}

bool client_write(struct client *c, const void *p, size_t len)
{
	const char *s = p;

	if (c->broken || c->state == CLIENT_CLOSED)
		return false;
	/* large pieces are not copied when the socket takes them */
	if (!c->corked && client_pending(c) == 0) {
		while (len > 0) {
			ssize_t n = send_some(c, s, len);

			if (n == -EAGAIN)
				break;
			if (n < 0) {
				mark_broken(c);
				return false;
			}
			client_stats.bytes_out += (uint64_t)n;
			s += n;
			len -= (size_t)n;
		}
	}
	if (len > 0) {
		if (c->out_off > 64 * 1024) {
			buf_consume(&c->out, c->out_off);
			c->out_off = 0;
		}
		buf_add(&c->out, s, len);
	}
	if (!c->corked)
		client_update_poll(c);
	return true;
}

/* ---- input -------------------------------------------------------------------------------------
 */

ssize_t client_recv(struct client *c, void *p, size_t len)
{
	ssize_t n;

	if (c->tls) {
		n = tls_recv(c->tls, p, len);
	} else {
		do {
			n = recv(c->fd, p, len, MSG_DONTWAIT);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			n = -errno;
	}
	if (n > 0)
		client_stats.bytes_in += (uint64_t)n;
	return n;
}

static bool can_process(const struct client *c)
{
	if (c->broken)
		return false;
	switch (c->state) {
	case CLIENT_IDLE:
	case CLIENT_HEAD:
		return !c->closing_after && client_pending(c) < CLIENT_OUT_PAUSE;
	case CLIENT_BODY:
		return !c->req.bs || !body_stream_blocked(c->req.bs);
	case CLIENT_RUN:
	case CLIENT_RAW:
	case CLIENT_LINGER:
	case CLIENT_CLOSED:
		break;
	}
	return false;
}

static void on_head(struct client *c)
{
	struct http_head *h = &c->parse.head;
	struct req *r = &c->req;
	unsigned flags;

	client_stats.requests++;
	c->n_requests++;
	c->n_discarded = 0;
	c->state = CLIENT_BODY;
	c->deadline_ns = mono_ns() + BODY_TIMEOUT_NS;
	req_begin(r, c);
	if (!h->keep_alive && !h->upgrade)
		c->closing_after = true;
	if (req_parse_target(r) < 0)
		return;
	flags = route_flags(r->route);
	if (!(flags & BODY_STREAM) && h->content_length > CLIENT_BODY_MAX) {
		reply_error_status(r->id, 400, "http: request body too large");
		return;
	}
	if (h->expect_continue && h->has_body)
		client_write(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	if (flags & BODY_STREAM)
		route_call(r);
}

static void on_body(struct client *c, const char *p, size_t len)
{
	struct req *r = &c->req;

	c->deadline_ns = mono_ns() + BODY_TIMEOUT_NS;
	if (r->bs) {
		body_stream_feed(r->bs, p, len);
	} else if (!r->live || (route_flags(r->route) & BODY_STREAM)) {
		c->n_discarded += (uint32_t)len;
		if (!r->live && c->n_discarded > DISCARD_MAX)
			client_linger(c);
	} else if (r->body.len + len > CLIENT_BODY_MAX) {
		reply_error_status(r->id, 400, "http: request body too large");
	} else {
		buf_add(&r->body, p, len);
	}
}

static void on_end(struct client *c)
{
	struct req *r = &c->req;

	r->body_done = true;
	if (r->bs) {
		struct body_stream *bs = r->bs;

		r->bs = NULL;
		r->whole = body_stream_watch(bs);
		body_stream_end(bs, 0);
	}
	if (c->state != CLIENT_BODY)
		return;
	if (!r->live) {
		client_req_done(c);
		return;
	}
	c->state = CLIENT_RUN;
	c->deadline_ns = 0;
	if (!(route_flags(r->route) & BODY_STREAM))
		route_call(r);
}

void client_req_done(struct client *c)
{
	struct req *r = &c->req;

	r->live = false;
	body_stream_unwatch(r->whole, false);
	r->whole = NULL;
	if (c->state == CLIENT_CLOSED || c->state == CLIENT_LINGER)
		return;
	if (r->bs) {
		body_stream_end(r->bs, -EPIPE);
		r->bs = NULL;
	}
	if (c->closing_after) {
		client_linger(c);
		return;
	}
	if (r->body_done) {
		c->state = CLIENT_IDLE;
		c->deadline_ns = mono_ns() + IDLE_TIMEOUT_NS;
	}
	if (c->corked)
		return;
	if (c->in.len || c->eof)
		defer(c);
	client_update_poll(c);
}

static size_t process(struct client *c, const char *p, size_t len)
{
	size_t off = 0;

	while (off < len && can_process(c)) {
		const char *body = NULL;
		size_t used, n_body = 0;
		enum http_event ev =
			http_next(&c->parse, p + off, len - off, &used, &body, &n_body);

		off += used;
		switch (ev) {
		case HTTP_EV_MORE:
			if (c->state == CLIENT_IDLE && c->parse.any) {
				c->state = CLIENT_HEAD;
				c->deadline_ns = mono_ns() + HEAD_TIMEOUT_NS;
			}
			break;
		case HTTP_EV_HEAD:
			on_head(c);
			break;
		case HTTP_EV_BODY:
			on_body(c, body, n_body);
			break;
		case HTTP_EV_END:
			on_end(c);
			break;
		case HTTP_EV_BAD:
			client_stats.bad++;
			reply_bad_request(c, c->parse.bad_status, c->parse.bad_text);
			return len;
		}
	}
	return off;
}

static void after_input(struct client *c)
{
	bool over = c->state == CLIENT_IDLE || c->state == CLIENT_HEAD;

	if (c->state == CLIENT_CLOSED)
		return;
	if (c->state == CLIENT_BODY && c->eof && !c->req.body_done && can_process(c) &&
	    !c->in.len) {
		if (c->req.live)
			reply_bad_body(c, "unexpected EOF");
		else
			client_linger(c);
		return;
	}
	if (c->state == CLIENT_LINGER || (c->eof && over && c->in.len == 0)) {
		client_linger(c);
		return;
	}
	client_update_poll(c);
}

/* Looks at what waits in c->in and then at p. */
static void feed(struct client *c, const char *p, size_t len)
{
	size_t used;

	c->corked = true;
	if (c->in.len) {
		buf_add(&c->in, p, len);
		used = process(c, c->in.p, c->in.len);
		/* a linger has emptied it meanwhile */
		buf_consume(&c->in, used < c->in.len ? used : c->in.len);
	} else {
		used = process(c, p, len);
		if (used < len && c->state != CLIENT_LINGER)
			buf_add(&c->in, p + used, len - used);
	}
	if (c->in.len == 0 && c->in.cap > 16 * 1024)
		buf_fini(&c->in);
	c->corked = false;
	if (client_pending(c) && !client_flush(c))
		return;
	/* what process left because too much output waited */
	if (c->in.len && can_process(c) && used > 0)
		defer(c);
	if (c->state == CLIENT_RAW)
		pump_on_input(c->req.pump);
	after_input(c);
}

void client_resume(struct client *c)
{
	defer(c);
}

static void on_spin(uv_idle_t *handle)
{
	if (uv_hrtime() - last_input_ns > SPIN_NS)
		uv_idle_stop(handle);
	else
		sched_yield(); /* whoever else wants this CPU, first of all that client */
}

/*
 * Requests came in. A client that asks again as soon as it has its answer would find us asleep each
 * time, and waking a sleeping CPU takes longer than the answer. So after some requests in close
 * succession (and only then) the loop looks for the next one for a few dozen microseconds before it
 * sleeps.
 */
static void spin_note(void)
{
	uint64_t now = uv_hrtime();

	n_hot = now - last_input_ns < SPIN_GAP_NS ? n_hot + 1 : 0;
	last_input_ns = now;
	if (n_hot >= SPIN_HOT)
		uv_idle_start(&spin, on_spin);
}

/* Both directions closed? */
bool client_is_hung_up(const struct client *c)
{
	struct pollfd pfd = { .fd = c->fd, .events = 0 };

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void on_eof(struct client *c)
{
	c->eof = true;
	if (client_is_hung_up(c)) {
		client_gone(c);
		return;
	}
	if (c->state == CLIENT_RAW)
		pump_on_input(c->req.pump);
	after_input(c);
}

static void on_readable(struct client *c)
{
	ssize_t n;

	if (c->state == CLIENT_RAW) {
		pump_on_input(c->req.pump);
		if (c->state != CLIENT_CLOSED)
			client_update_poll(c);
		return;
	}
	n = client_recv(c, io_buf, c->state == CLIENT_RUN ? CLIENT_IN_MAX : CLIENT_IO_CHUNK);
	if (n == -EAGAIN)
		return;
	if (n < 0)
		client_gone(c);
	else if (n == 0)
		on_eof(c);
	else if (c->state != CLIENT_LINGER) {
		feed(c, io_buf, (size_t)n);
		spin_note();
	}
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct client *c = handle->data;

	if (status < 0) {
		client_gone(c);
		return;
	}
	if ((events & UV_WRITABLE) && client_pending(c)) {
		if (!client_flush(c))
			return;
		if (client_pending(c) == 0) {
			if (c->state == CLIENT_LINGER) {
				client_linger(c);
				return;
			}
			if (c->req.pump)
				pump_on_drained(c->req.pump);
		}
		if (c->state != CLIENT_CLOSED && c->in.len && can_process(c))
			defer(c);
	}
	/* a TLS handshake may have waited for room in the socket */
	if (c->state != CLIENT_CLOSED &&
	    (events & (c->tls ? UV_READABLE | UV_WRITABLE : UV_READABLE)))
		on_readable(c);
	if (c->state == CLIENT_CLOSED)
		return;
	/* hung up, or urgent data, which no client of ours sends */
	if (events & UV_PRIORITIZED)
		client_gone(c);
	else
		client_update_poll(c);
}

static bool wants_input(const struct client *c)
{
	if (c->eof || c->broken)
		return false;
	switch (c->state) {
	case CLIENT_RUN:
		return c->in.len < CLIENT_IN_MAX;
	case CLIENT_RAW:
		return pump_wants_input(c->req.pump);
	case CLIENT_LINGER:
		return true;
	case CLIENT_IDLE:
	case CLIENT_HEAD:
	case CLIENT_BODY:
		return can_process(c) && c->in.len == 0;
	case CLIENT_CLOSED:
		break;
	}
	return false;
}

void client_update_poll(struct client *c)
{
	int events = UV_PRIORITIZED;

	if (c->state == CLIENT_CLOSED)
		return;
	if (wants_input(c)) {
		events |= UV_READABLE;
		if (c->tls && tls_has_input(c->tls))
			defer(c);
	}
	if (client_pending(c) || (c->tls && tls_wants_write(c->tls)))
		events |= UV_WRITABLE;
	if (events == c->poll_events)
		return;
	c->poll_events = events;
	uv_poll_start(&c->poll, events, on_poll);
}

/* ---- the loop's own turns ----------------------------------------------------------------------
 */

static void on_idle(uv_idle_t *handle)
{
	unsigned n = client_stats.open;
	struct client *c;

	(void)handle;
	/* the bound: one that is deferred again and again must not keep the loop here */
	while ((c = deferred) != NULL && n-- > 0) {
		undefer(c);
		if (c->broken)
			client_gone(c);
		else if (c->tls && tls_has_input(c->tls) && wants_input(c))
			on_readable(c);
		else
			feed(c, NULL, 0);
	}
	if (!deferred)
		uv_idle_stop(&idle);
}

static void on_sweep(uv_timer_t *timer)
{
	int64_t now = mono_ns();
	struct client *c, *next;

	(void)timer;
	for (c = first; c; c = next) {
		next = c->next;
		if (!c->deadline_ns || now < c->deadline_ns)
			continue;
		/* a body that streams has its reader's deadline, and may wait for that reader */
		if (c->state == CLIENT_BODY && c->req.bs)
			continue;
		log_debug("client timed out", "peer=%s state=%d", log_q(c->peer), c->state);
		client_gone(c);
		next = first; /* its callbacks may have closed the next one */
	}
}

int clients_init(void)
{
	uv_loop_t *loop = uv_default_loop();

	io_buf = xmalloc(CLIENT_IO_CHUNK);
	req_table_init(table);
	uv_idle_init(loop, &idle);
	uv_idle_init(loop, &spin);
	uv_timer_init(loop, &sweep);
	uv_timer_start(&sweep, on_sweep, 1000, 1000);
	uv_unref((uv_handle_t *)&sweep);
	return 0;
}

void clients_cut_bodies(void)
{
	struct client *c, *next;

	for (c = first; c; c = next) {
		next = c->next;
		if (!c->req.bs)
			continue;
		client_gone(c);
		next = first; /* its callbacks may have closed the next one */
	}
}

void clients_fini(void)
{
	while (first)
		client_gone(first);
	uv_idle_stop(&idle);
	uv_idle_stop(&spin);
	uv_timer_stop(&sweep);
}

void client_open(int fd, const char *peer, struct tls_conn *tls, enum client_face face)
{
	struct client *c;

	client_stats.accepted++;
	if (client_stats.open >= CLIENT_MAX - 1) {
		static const char full[] =
			"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
			"Connection: close\r\n\r\n";

		client_stats.refused++;
		if (!tls && send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			log_debug("refused client is gone", "errno=%d", errno);
		tls_free(tls);
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	while (table[next_slot])
		next_slot = (next_slot + 1) % CLIENT_MAX;
	c->slot = next_slot;
	next_slot = (next_slot + 1) % CLIENT_MAX;
	c->fd = fd;
	c->tls = tls;
	c->face = face;
	c->accepted_ns = mono_ns();
	c->deadline_ns = c->accepted_ns + HEAD_TIMEOUT_NS;
	str_copy(c->peer, sizeof(c->peer), peer);
	http_init(&c->parse);
	if (uv_poll_init(uv_default_loop(), &c->poll, fd) < 0) {
		tls_free(tls);
		close(fd);
		http_fini(&c->parse);
		free(c);
		return;
	}
	c->poll.data = c;
	table[c->slot] = c;
	c->next = first;
	if (first)
		first->prev = c;
	first = c;
	client_stats.open++;
	client_update_poll(c);
}
