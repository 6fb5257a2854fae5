/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_pump.c - a descriptor's bytes as a reply's body.
 *
 * Design: one large buffer for all (client_io_buf), since only one pump runs at a time: read behind
 * a gap, write the chunk's head into the gap, hand all to the socket in one call. What the socket
 * does not take is kept by the client, and the descriptor is not read again until it has gone: that
 * is the back pressure, and it bounds a slow client's memory by one read.
 *
 * Pipes, sockets and ttys are polled. Regular files cannot be: they are read by libuv's threads,
 * one read at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "pump.h"
#include "reply.h"
#include "str.h"

#define LOG_MODULE "pump"
#include "log.h"

#define GAP	  32
#define READ_SIZE (CLIENT_IO_CHUNK - GAP - 8)

struct stream_pump {
	struct pump base;
	uint64_t req;
	struct stream_opts opts;
	int64_t left; /* of content_length */
	struct pump_fd *src;
	/* regular files */
	int file_fd; /* -1: src is used */
	uv_fs_t fs;
	bool reading, orphan;
	char *file_buf;
};

/* ---- pump_fd ------------------------------------------------------------------------------------
 */

struct pump_fd {
	uv_poll_t poll;
	int fd, events;
	bool closed;
	pump_fd_cb *cb;
	void *arg;
};

static void on_pump_poll(uv_poll_t *handle, int status, int events)
{
	struct pump_fd *pf = handle->data;

	if (pf->closed)
		return;
	if (status < 0)
		pf->events = 0; /* libuv has stopped watching */
	pf->cb(pf->arg, status < 0 || (events & UV_PRIORITIZED));
}

struct pump_fd *pump_fd_open(int fd, pump_fd_cb *cb, void *arg)
{
	struct pump_fd *pf = xcalloc(1, sizeof(*pf));
	int rc = uv_poll_init(uv_default_loop(), &pf->poll, fd);

	if (rc == UV_EEXIST) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

		close(fd);
		fd = copy;
		rc = fd < 0 ? -errno : uv_poll_init(uv_default_loop(), &pf->poll, fd);
	}
	if (rc < 0) {
		log_warn("cannot watch a descriptor", "fd=%d errno=%d", fd, -rc);
		if (fd >= 0)
			close(fd);
		free(pf);
		return NULL;
	}
	pf->poll.data = pf;
	pf->fd = fd;
	pf->cb = cb;
	pf->arg = arg;
	return pf;
}

void pump_fd_watch(struct pump_fd *pf, int uv_events)
{
	if (pf->closed || uv_events == pf->events)
		return;
	pf->events = uv_events;
	if (uv_events)
		uv_poll_start(&pf->poll, uv_events, on_pump_poll);
	else
		uv_poll_stop(&pf->poll);
}

int pump_fd_get(const struct pump_fd *pf)
{
	return pf->fd;
}

static void on_pump_fd_closed(uv_handle_t *handle)
{
	struct pump_fd *pf = handle->data;

	free(pf);
}

/* The descriptor is closed now, not a turn later: who waits for its end must see it. */
void pump_fd_close(struct pump_fd *pf)
{
	if (!pf || pf->closed)
		return;
	pf->closed = true;
	uv_poll_stop(&pf->poll);
	uv_close((uv_handle_t *)&pf->poll, on_pump_fd_closed);
	close(pf->fd);
}

/* ---- client.c's calls ----------------------------------------------------------------------- */

void pump_on_drained(struct pump *p)
{
	p->ops->on_drained(p);
}

void pump_on_gone(struct pump *p)
{
	p->ops->on_gone(p);
}

void pump_on_input(struct pump *p)
{
	if (p && p->ops->on_input)
		p->ops->on_input(p);
}

bool pump_wants_input(const struct pump *p)
{
	return p && p->ops->wants_input && p->ops->wants_input(p);
}

/* ---- streaming ------------------------------------------------------------------------------ */

static void stream_free(struct stream_pump *sp, bool client_gone)
{
	pump_fd_close(sp->src);
	sp->src = NULL;
	if (sp->opts.on_end)
		sp->opts.on_end(sp->opts.arg, client_gone);
	sp->opts.on_end = NULL;
	if (sp->reading) {
		sp->orphan = true; /* its callback frees */
		return;
	}
	if (sp->file_fd >= 0)
		close(sp->file_fd);
	free(sp->file_buf);
	free(sp);
}

/* The source has ended: the proper end of the body, or a cut connection. */
static void stream_finish(struct stream_pump *sp, bool broken)
{
	struct req *r = req_by_id(sp->req);

	if (sp->opts.aborted && sp->opts.aborted(sp->opts.arg))
		broken = true;
	if (sp->left > 0 && r && !r->no_body)
		broken = true; /* less than Content-Length promised */
	if (r && broken) {
		client_linger(r->client); /* without the last chunk */
		r->client->closing_after = true;
		reply_finish(r);
	} else if (r) {
		if (r->chunked && !r->no_body)
			client_write(r->client, "0\r\n\r\n", 5);
		reply_finish(r);
	}
	stream_free(sp, false);
}

/* len bytes at p; GAP bytes before and 2 behind are ours to write into. */
static void stream_emit(struct stream_pump *sp, struct req *r, char *p, size_t len)
{
	if (sp->left >= 0) {
		if ((int64_t)len > sp->left)
			len = (size_t)sp->left;
		sp->left -= (int64_t)len;
	}
	if (r->no_body || len == 0)
		return;
	if (r->chunked) {
		char head[20];
		int n = snprintf(head, sizeof(head), "%zx\r\n", len);

		memcpy(p + len, "\r\n", 2);
		p -= n;
		memcpy(p, head, (size_t)n);
		len += (size_t)n + 2;
	}
	client_write(r->client, p, len);
}

static void read_file(struct stream_pump *sp);

/* Goes on, waits, or ends, after a piece was given to the client. */
static void stream_next(struct stream_pump *sp, struct req *r)
{
	bool blocked = client_pending(r->client) > 0;

	if (r->client->broken)
		blocked = true; /* client_gone follows */
	if (sp->left == 0)
		stream_finish(sp, false);
	else if (sp->file_fd >= 0 && !blocked)
		read_file(sp);
	else if (sp->src)
		pump_fd_watch(sp->src, blocked ? 0 : UV_READABLE);
}

static void on_source(void *arg, bool error)
{
	struct stream_pump *sp = arg;
	struct req *r = req_by_id(sp->req);
	char *buf = client_io_buf();
	ssize_t n;

	(void)error; /* read tells */
	if (!r)
		return; /* on_gone is under way */
	n = read(pump_fd_get(sp->src), buf + GAP, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* EIO is how a pty's master tells that the last slave was closed */
	if (n <= 0) {
		stream_finish(sp, n < 0 && errno != EIO);
		return;
	}
	stream_emit(sp, r, buf + GAP, (size_t)n);
	stream_next(sp, r);
}

static void on_file_read(uv_fs_t *fs)
{
	struct stream_pump *sp = fs->data;
	ssize_t n = fs->result;
	struct req *r;

	uv_fs_req_cleanup(fs);
	sp->reading = false;
	r = sp->orphan ? NULL : req_by_id(sp->req);
	if (!r) {
		if (sp->orphan)
			stream_free(sp, true);
		return;
	}
	if (n <= 0) {
		stream_finish(sp, n < 0);
		return;
	}
	stream_emit(sp, r, sp->file_buf + GAP, (size_t)n);
	stream_next(sp, r);
}

static void read_file(struct stream_pump *sp)
{
	uv_buf_t buf = uv_buf_init(sp->file_buf + GAP, READ_SIZE);

	if (sp->reading)
		return;
	sp->fs.data = sp;
	if (uv_fs_read(uv_default_loop(), &sp->fs, sp->file_fd, &buf, 1, -1, on_file_read) == 0)
		sp->reading = true;
	else
		stream_finish(sp, true);
}

static void stream_on_drained(struct pump *p)
{
	struct stream_pump *sp = container_of(p, struct stream_pump, base);
	struct req *r = req_by_id(sp->req);

	if (r)
		stream_next(sp, r);
}

static void stream_on_gone(struct pump *p)
{
	stream_free(container_of(p, struct stream_pump, base), true);
}

static const struct pump_ops stream_ops = {
	.on_drained = stream_on_drained,
	.on_gone = stream_on_gone,
};

void reply_stream(uint64_t req, int fd, const struct stream_opts *opts)
{
	struct req *r = req_by_id(req);
	struct stream_pump *sp;
	struct stat st;

	if (!r || r->head_sent) {
		close(fd);
		if (opts->on_end)
			opts->on_end(opts->arg, true);
		return;
	}
	sp = xcalloc(1, sizeof(*sp));
	sp->base.ops = &stream_ops;
	sp->req = req;
	sp->opts = *opts;
	sp->left = opts->content_length > 0 ? opts->content_length : -1; /* 0 may just be unset */
	sp->file_fd = -1;
	r->pump = &sp->base;
	reply_send_head(r, opts->status, opts->content_type, sp->left);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		sp->file_fd = fd;
		sp->file_buf = xmalloc(CLIENT_IO_CHUNK);
		if (r->no_body)
			stream_finish(sp, false);
		else
			read_file(sp);
		return;
	}
	sp->src = pump_fd_open(fd, on_source, sp);
	if (!sp->src)
		stream_finish(sp, true);
	else if (r->no_body) /* HEAD */
		stream_finish(sp, false);
	else
		pump_fd_watch(sp->src, UV_READABLE);
}
