/* SPDX-License-Identifier: MPL-2.0
 *
 * hijack.c - a connection taken out of HTTP: the client's bytes to one descriptor, up to two
 * descriptors' bytes to the client. attach, exec and their websocket form.
 *
 *	client --(detach keys, websocket frames)--> to_in --> in
 *	out[0], out[1] --(8-byte stream header, websocket frame)--> client
 *
 * How it ends. The client's half-close closes `in` when all before it has been written, and nothing
 * else: output goes on (docker run -i </dev/null must print). The end of both outs flushes, shuts
 * down and waits for the client's close, so that no reset overtakes the last bytes. Without any
 * out, the end of `in` is the end. A client that is gone ends all at once. Exactly one of on_end
 * and on_detach is called, last.
 *
 * The head goes first. Client libraries that read an answer's head through a buffer lose what came
 * in one read with it (docker-py does). So outs are not read before the client has taken the head
 * from its socket, or HOLD_MS are over. With until_taken the end waits in the same way, TAKEN_MS, for the output.
 *
 * Back pressure. Outs are not read while output waits for the client; the client is not read while
 * its bytes wait for `in`. An `in` that nobody reads any more takes bytes and forgets them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "job.h"
#include "pump.h"
#include "reply.h"
#include "str.h"
#include "websocket.h"

#define LOG_MODULE "hijack"
#include "log.h"

#define GAP	  32 /* for a websocket head and a stream header */
#define READ_SIZE (128 * 1024)
#define HOLD_MS	  40 /* for which outs wait at most until the client has the head */
#define TAKEN_MS  100 /* for which the end waits at most until the client has the output */
#define DRAIN_NS  1000000000LL

struct hijack {
	struct pump base;
	uint64_t req;
	struct hijack_opts opts;
	struct pump_fd *in, *out[2];
	bool in_eof;	    /* the client's bytes are all here */
	bool client_closed; /* websocket: closing frames were exchanged */
	bool held;	    /* the client has not got the head yet: outs wait */
	bool stays;	    /* without outs, until we are told */
	int64_t last_out_ns; /* when outs gave something */
	struct buf to_in;
	size_t to_in_off;
	unsigned n_matched; /* bytes of the detach sequence seen last */
	/* of outs that are framed: the stream header being read, and payload bytes to come */
	struct {
		uint8_t head[8];
		unsigned n_head;
		uint32_t left;
	} frame[2];
	struct ws_decoder *ws; /* NULL: plain bytes */
	enum ws_opcode ws_opcode;
};

static void hijack_free(struct hijack *h)
{
	pump_fd_close(h->in);
	pump_fd_close(h->out[0]);
	pump_fd_close(h->out[1]);
	buf_fini(&h->to_in);
	free(h->ws);
	free(h);
}

static void send_ws(struct client *c, enum ws_opcode opcode, const void *p, size_t len)
{
	uint8_t frame[10 + WS_CONTROL_MAX];
	size_t n = ws_head(frame, opcode, len);

	memcpy(frame + n, p, len);
	client_write(c, frame, n + len);
}

enum ending { END_DONE, END_GONE, END_DETACHED };

static void finish(struct hijack *h, enum ending how)
{
	struct hijack_opts opts = h->opts;
	struct req *r = req_by_id(h->req);

	if (r) {
		if (h->ws && !h->client_closed)
			send_ws(r->client, WS_CLOSE, "\x03\xe8", 2); /* 1000, normal */
		client_linger(r->client);
		reply_finish(r);
	}
	hijack_free(h);
	if (how == END_DETACHED && opts.on_detach)
		opts.on_detach(opts.arg);
	else if (opts.on_end)
		opts.on_end(opts.arg, how == END_GONE);
}

/* ---- client to in --------------------------------------------------------------------------- */

static bool in_waits(const struct hijack *h)
{
	return h->to_in_off < h->to_in.len;
}

static void close_in(struct hijack *h)
{
	pump_fd_close(h->in);
	h->in = NULL;
	h->to_in.len = h->to_in_off = 0;
}

static bool no_outs(const struct hijack *h)
{
	return !h->out[0] && !h->out[1] && !h->stays;
}

/* Writes what waits. False: the hijack has ended. */
static bool push_in(struct hijack *h)
{
	while (h->in && in_waits(h)) {
		ssize_t n = write(pump_fd_get(h->in), h->to_in.p + h->to_in_off,
				  h->to_in.len - h->to_in_off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			pump_fd_watch(h->in, UV_WRITABLE | UV_PRIORITIZED);
			return true;
		}
		if (n < 0)
			close_in(h); /* the program does not read any more */
		else
			h->to_in_off += (size_t)n;
	}
	h->to_in.len = h->to_in_off = 0;
	if (h->to_in.cap > 64 * 1024)
		buf_fini(&h->to_in);
	if (h->in && !h->in_eof) {
		/* without outs, its reader's end is ours */
		pump_fd_watch(h->in, no_outs(h) ? UV_PRIORITIZED : 0);
		return true;
	}
	if (h->in) {
		close_in(h);
		if (h->opts.on_in_eof)
			h->opts.on_in_eof(h->opts.arg);
	}
	if (no_outs(h)) {
		finish(h, END_DONE);
		return false;
	}
	return true;
}

static void on_in(void *arg, bool error)
{
	struct hijack *h = arg;
	struct req *r = req_by_id(h->req);

	if (!r)
		return;
	if (error && !in_waits(h))
		close_in(h);
	if (!push_in(h))
		return;
	if (r->client->in.len > 0 || (r->client->eof && !h->in_eof))
		client_resume(r->client);
	client_update_poll(r->client);
}

static void give_in(struct hijack *h, const void *p, size_t len)
{
	if (h->in)
		buf_add(&h->to_in, p, len);
}

/* Looks for the detach sequence; what can be no part of it is given on. True: found. */
static bool scan_detach(struct hijack *h, const uint8_t *p, size_t len)
{
	const uint8_t *keys = h->opts.detach;
	size_t n_keys = h->opts.n_detach, start = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == keys[h->n_matched]) {
			if (h->n_matched == 0) {
				give_in(h, p + start, i - start);
				start = i;
			}
			h->n_matched++;
			if (h->n_matched == n_keys)
				return true;
			start = i + 1;
			continue;
		}
		if (h->n_matched > 0) {
			give_in(h, keys, h->n_matched);
			h->n_matched = 0;
			start = i;
			if (p[i] == keys[0])
				i--; /* it may begin the sequence anew */
		}
	}
	give_in(h, p + start, len - start);
	return false;
}

/* False: the hijack has ended. */
static bool client_bytes(struct hijack *h, const uint8_t *p, size_t len)
{
	if (h->opts.n_detach == 0) {
		give_in(h, p, len);
	} else if (scan_detach(h, p, len)) {
		finish(h, END_DETACHED);
		return false;
	}
	return true;
}

static bool client_frames(struct hijack *h, struct client *c, uint8_t *p, size_t len)
{
	while (len > 0) {
		uint8_t *data = NULL;
		size_t used, n_data = 0;
		enum ws_event ev = ws_next(h->ws, p, len, &used, &data, &n_data);

		p += used;
		len -= used;
		switch (ev) {
		case WS_EV_MORE:
			break;
		case WS_EV_DATA:
			if (!client_bytes(h, data, n_data))
				return false;
			break;
		case WS_EV_PING:
			send_ws(c, WS_PONG, data, n_data);
			break;
		case WS_EV_CLOSE:
			send_ws(c, WS_CLOSE, data, n_data < 2 ? 0 : 2);
			h->client_closed = true;
			finish(h, END_GONE);
			return false;
		case WS_EV_BAD:
			send_ws(c, WS_CLOSE, "\x03\xea", 2); /* 1002, protocol error */
			h->client_closed = true;
			finish(h, END_GONE);
			return false;
		}
	}
	return true;
}

static void client_eof(struct hijack *h)
{
	if (h->in_eof)
		return;
	h->in_eof = true;
	if (h->n_matched > 0)
		give_in(h, h->opts.detach, h->n_matched);
	h->n_matched = 0;
}

static bool hijack_wants_input(const struct pump *p)
{
	const struct hijack *h = container_of(p, struct hijack, base);

	return !h->in_eof && !in_waits(h);
}

/* The client's socket is readable, or bytes wait in c->in, or its end is known. */
static void hijack_on_input(struct pump *p)
{
	struct hijack *h = container_of(p, struct hijack, base);
	struct req *r = req_by_id(h->req);
	struct client *c;
	char *buf = client_io_buf();
	ssize_t n;

	if (!r || !hijack_wants_input(p))
		return;
	c = r->client;
	if (c->in.len > 0) {
		/* early data, sent before our answer */
		n = c->in.len < CLIENT_IO_CHUNK ? (ssize_t)c->in.len : CLIENT_IO_CHUNK;
		memcpy(buf, c->in.p, (size_t)n);
		buf_consume(&c->in, (size_t)n);
	} else if (c->eof) {
		n = 0;
	} else {
		n = client_recv(c, buf, READ_SIZE);
	}
	if (n == -EAGAIN)
		return;
	if (n < 0 || (n == 0 && client_is_hung_up(c))) {
		client_gone(c);
		return;
	}
	if (n == 0) {
		c->eof = true;
		client_eof(h);
	} else if (h->ws ? !client_frames(h, c, (uint8_t *)buf, (size_t)n)
			 : !client_bytes(h, (uint8_t *)buf, (size_t)n)) {
		return;
	}
	if (!push_in(h))
		return;
	if (c->in.len > 0 || (c->eof && !h->in_eof))
		client_resume(c);
}

/* ---- waiting for the client to take what was written ------------------------------------------- */

static struct hijack *hijack_of(const struct req *r);

struct hold {
	uv_timer_t timer;
	uint64_t req;
	unsigned n_ticks, max_ticks; /* of a millisecond */
	void (*then)(struct hijack *h, struct client *c);
};

/* Nothing that was written waits to be read by the client (TCP: to be acknowledged by its host). */
static bool all_taken(const struct client *c)
{
	int n = 0;

	return client_pending(c) == 0 && (ioctl(c->fd, SIOCOUTQ, &n) < 0 || n == 0);
}

static void on_hold_closed(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)handle, struct hold, timer));
}

static void on_hold_tick(uv_timer_t *timer)
{
	struct hold *hold = container_of(timer, struct hold, timer);
	struct req *r = req_by_id(hold->req);
	struct hijack *h = hijack_of(r);

	if (h && ++hold->n_ticks < hold->max_ticks && !r->client->broken && !all_taken(r->client))
		return;
	uv_close((uv_handle_t *)timer, on_hold_closed);
	if (h)
		hold->then(h, r->client);
}

static void hold(struct hijack *h, unsigned max_ms, void (*then)(struct hijack *h, struct client *c))
{
	struct hold *hold = xcalloc(1, sizeof(*hold));

	hold->req = h->req;
	hold->max_ticks = max_ms;
	hold->then = then;
	uv_timer_init(uv_default_loop(), &hold->timer);
	uv_timer_start(&hold->timer, on_hold_tick, 1, 1);
}

/* ---- outs to client ------------------------------------------------------------------------- */

static void watch_outs(struct hijack *h, bool on)
{
	on = on && !h->held;
	for (int i = 0; i < 2; i++) {
		if (h->out[i])
			pump_fd_watch(h->out[i], on ? UV_READABLE : 0);
	}
}

/* len bytes at p, with GAP bytes before it to write into. */
static void emit(struct hijack *h, struct client *c, uint8_t mux, char *p, size_t len)
{
	if (mux && !h->ws) {
		p -= 8;
		memset(p, 0, 4);
		p[0] = (char)mux;
		for (int i = 0; i < 4; i++)
			p[4 + i] = (char)(len >> (24 - 8 * i));
		len += 8;
	}
	if (h->ws) {
		uint8_t head[10];
		size_t n = ws_head(head, h->ws_opcode, len);

		p -= n;
		memcpy(p, head, n);
		len += n;
	}
	client_write(c, p, len);
}

/* Takes the stream headers off: a websocket carries the bytes alone, as with Docker. */
static void emit_unframed(struct hijack *h, struct client *c, int i, const char *p, size_t len)
{
	while (len > 0) {
		uint8_t ws[10], *head = h->frame[i].head;
		size_t n;

		if (h->frame[i].left == 0) {
			head[h->frame[i].n_head++] = (uint8_t)*p++;
			len--;
			if (h->frame[i].n_head == 8) {
				h->frame[i].n_head = 0;
				h->frame[i].left = (uint32_t)head[4] << 24 |
						   (uint32_t)head[5] << 16 |
						   (uint32_t)head[6] << 8 | head[7];
			}
			continue;
		}
		n = len < h->frame[i].left ? len : h->frame[i].left;
		client_write(c, ws, ws_head(ws, h->ws_opcode, n));
		client_write(c, p, n);
		h->frame[i].left -= (uint32_t)n;
		p += n;
		len -= n;
	}
}

static void end_taken(struct hijack *h, struct client *c)
{
	(void)c;
	finish(h, END_DONE);
}

static void out_end(struct hijack *h, int i)
{
	struct req *r = req_by_id(h->req);

	pump_fd_close(h->out[i]);
	h->out[i] = NULL;
	if (!no_outs(h))
		return;
	if (h->opts.until_taken && r && !r->client->broken && !all_taken(r->client))
		hold(h, TAKEN_MS, end_taken);
	else
		finish(h, END_DONE);
}

/* Its bytes came by a process that has died; the program that writes them may go on. */
static void out_broken(struct hijack *h, struct client *c, int i, char *buf)
{
	const char *text = NULL;

	if (h->opts.on_broken)
		h->stays = h->opts.on_broken(h->opts.arg, &text);
	if (text) {
		size_t n = strlen(text);

		memcpy(buf + GAP, text, n);
		emit(h, c, h->opts.mux[i] ? 2 : 0, buf + GAP, n);
	}
	out_end(h, i);
}

static void on_out(struct hijack *h, int i)
{
	struct req *r = req_by_id(h->req);
	char *buf = client_io_buf();
	ssize_t n;

	if (!r || !h->out[i])
		return;
	n = read(pump_fd_get(h->out[i]), buf + GAP, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 && errno == ECONNRESET) {
		out_broken(h, r->client, i, buf);
		return;
	}
	/* EIO is a pty's end of file */
	if (n <= 0) {
		out_end(h, i);
		return;
	}
	h->last_out_ns = mono_ns();
	if (h->ws && h->opts.framed)
		emit_unframed(h, r->client, i, buf + GAP, (size_t)n);
	else
		emit(h, r->client, h->opts.mux[i], buf + GAP, (size_t)n);
	watch_outs(h, !client_pending(r->client) && !r->client->broken);
}

static void on_out0(void *arg, bool error)
{
	(void)error;
	on_out(arg, 0);
}

static void on_out1(void *arg, bool error)
{
	(void)error;
	on_out(arg, 1);
}

/* The client has the head. */
static void release_outs(struct hijack *h, struct client *c)
{
	h->held = false;
	watch_outs(h, client_pending(c) == 0 && !c->broken);
}

static void hijack_on_drained(struct pump *p)
{
	watch_outs(container_of(p, struct hijack, base), true);
}

static void hijack_on_gone(struct pump *p)
{
	finish(container_of(p, struct hijack, base), END_GONE);
}

static const struct pump_ops hijack_ops = {
	.on_drained = hijack_on_drained,
	.on_gone = hijack_on_gone,
	.on_input = hijack_on_input,
	.wants_input = hijack_wants_input,
};

static struct hijack *hijack_of(const struct req *r)
{
	return r && r->pump && r->pump->ops == &hijack_ops
		       ? container_of(r->pump, struct hijack, base)
		       : NULL;
}

void reply_hijack_end(uint64_t req)
{
	struct hijack *h = hijack_of(req_by_id(req));

	if (h)
		finish(h, END_DONE);
}

bool reply_hijack_drain(uint64_t req)
{
	struct req *r = req_by_id(req);
	struct hijack *h = hijack_of(r);
	int64_t idle_ns;

	if (!h)
		return false;
	for (int i = 0; i < 2; i++)
		if (h->out[i])
			(void)shutdown(pump_fd_get(h->out[i]), SHUT_WR); /* the relay's sign; a tty has its end without */
	idle_ns = client_pending(r->client) || h->held ? 0 : mono_ns() - h->last_out_ns;
	return idle_ns < DRAIN_NS;
}

/* ---- beginning ------------------------------------------------------------------------------ */

static void close_opts_fds(const struct hijack_opts *o)
{
	if (o->in_fd >= 0)
		close(o->in_fd);
	for (int i = 0; i < 2; i++) {
		if (o->out[i] >= 0)
			close(o->out[i]);
	}
}

/* The websocket handshake; false: it was no proper one, and is answered. */
static bool send_ws_head(struct req *r)
{
	const char *key = req_header(r, "sec-websocket-key");
	const char *version = req_header(r, "sec-websocket-version");
	const char *protocol = req_header(r, "sec-websocket-protocol");
	struct buf b = BUF_INIT;
	char accept[29];

	if (!key || !str_eq(version, "13") || ws_accept_value(key, accept) < 0) {
		reply_error_status(r->id, 400, "bad websocket handshake");
		return false;
	}
	buf_printf(
		&b,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n",
		accept);
	/* as Docker: a single one is taken over */
	if (protocol && !strchr(protocol, ','))
		buf_printf(&b, "Sec-WebSocket-Protocol: %s\r\n", protocol);
	buf_addstr(&b, "\r\n");
	client_write(r->client, b.p, b.len);
	buf_fini(&b);
	return true;
}

/* The header alone says so to Docker; HTTP wants it named in Connection, too. */
static bool wants_upgrade(const struct req *r)
{
	return r->client->parse.head.upgrade || req_header(r, "upgrade");
}

static void send_raw_head(struct req *r, const struct hijack_opts *o)
{
	bool upgrade = wants_upgrade(r);
	const char *type = o->content_type;
	struct buf b = BUF_INIT;

	if (!type)
		type = upgrade && r->version >= 142 && !o->tty
			       ? "application/vnd.docker.multiplexed-stream"
			       : "application/vnd.docker.raw-stream";
	if (upgrade)
		buf_printf(&b,
			   "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\n"
			   "Upgrade: tcp\r\n\r\n",
			   type);
	else
		buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n", type);
	client_write(r->client, b.p, b.len);
	buf_fini(&b);
}

/* NULL: the client is not there, or was refused; all is undone then, and on_end called. */
static struct hijack *begin(uint64_t req, const struct hijack_opts *opts)
{
	struct req *r = req_by_id(req);
	struct hijack *h;

	if (!r || r->head_sent || (req_is_websocket(r) && !send_ws_head(r))) {
		close_opts_fds(opts);
		if (opts->on_end)
			opts->on_end(opts->arg, true);
		return NULL;
	}
	h = xcalloc(1, sizeof(*h));
	h->base.ops = &hijack_ops;
	h->req = req;
	h->opts = *opts;
	if (req_is_websocket(r)) {
		h->ws = xcalloc(1, sizeof(*h->ws));
		h->ws_opcode = r->version >= 128 ? WS_BINARY : WS_TEXT;
	} else if (!r->raw_head_sent) {
		send_raw_head(r, opts);
	}
	client_stats.replies++;
	r->head_sent = true;
	r->status = wants_upgrade(r) ? 101 : 200;
	r->pump = &h->base;
	r->client->closing_after = true;
	r->client->state = CLIENT_RAW;
	r->client->deadline_ns = 0;
	return h;
}

void reply_hijack_head(uint64_t req, const struct hijack_opts *opts)
{
	struct req *r = req_by_id(req);

	if (!r || r->head_sent || r->raw_head_sent || req_is_websocket(r))
		return;
	send_raw_head(r, opts);
	r->raw_head_sent = true;
}

void reply_hijack(uint64_t req, const struct hijack_opts *opts)
{
	struct hijack *h = begin(req, opts);
	struct client *c;

	if (!h)
		return;
	c = req_by_id(req)->client;
	if (opts->in_fd >= 0)
		h->in = pump_fd_open(opts->in_fd, on_in, h);
	if (opts->out[0] >= 0)
		h->out[0] = pump_fd_open(opts->out[0], on_out0, h);
	if (opts->out[1] >= 0)
		h->out[1] = pump_fd_open(opts->out[1], on_out1, h);
	if (no_outs(h) && !h->in) {
		finish(h, END_DONE);
		return;
	}
	h->held = !all_taken(c);
	if (h->held)
		hold(h, HOLD_MS, release_outs);
	watch_outs(h, true);
	if (no_outs(h))
		pump_fd_watch(h->in, UV_PRIORITIZED);
	if (!c->corked && (c->in.len || c->eof))
		client_resume(c);
	client_update_poll(c);
}

void reply_hijack_message(uint64_t req, const struct hijack_opts *opts, uint8_t stream_type,
			  const char *text)
{
	struct hijack_opts o = *opts;
	int p[2] = { -1, -1 };

	close_opts_fds(opts);
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0 || write(p[1], text, strlen(text)) < 0)
		log_err("message lost", "error=%s", strerror(errno));
	if (p[1] >= 0)
		close(p[1]);
	o.in_fd = -1;
	o.out[0] = p[0];
	o.out[1] = -1;
	o.mux[0] = stream_type;
	o.framed = false;
	reply_hijack(req, &o);
}
