/* SPDX-License-Identifier: MPL-2.0
 *
 * body_stream.c - a request body on its way from the loop to the worker that reads it: a pipe.
 *
 * Design: the loop writes without blocking; what the pipe does not take waits in `pending`, and the
 * connection is not read until it has gone (back pressure). The worker reads with a deadline.
 * End of file on the pipe is the proper end or not, by `status`, which is set before the close.
 * A small body can be a lot of work (a bomb's bytes inflate a thousandfold), and may be in the pipe when
 * its client goes: what is still to be read then is not given out, by `cut`.
 *
 * Threads: the loop owns wfd, poll and pending; the worker owns rfd. refs, status and cut are atomic;
 * the last of worker, pipe end and request frees.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "str.h"

#define IDLE_LIMIT_MS (30 * 60 * 1000)
#define PIPE_BYTES    (1024 * 1024)

struct body_stream {
	atomic_int refs;
	atomic_int status;
	atomic_int cut; /* < 0: nobody waits for what comes of it */
	int rfd, wfd;
	/* loop */
	struct client *client; /* NULL once it has given us all, or has gone */
	uv_poll_t poll;
	bool polling, discard, ended;
	struct buf pending;
	size_t off;
};

static void unref(struct body_stream *bs)
{
	if (atomic_fetch_sub(&bs->refs, 1) != 1)
		return;
	buf_fini(&bs->pending);
	free(bs);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct body_stream *bs = handle->data;

	close(bs->wfd);
	unref(bs);
}

static void close_write_end(struct body_stream *bs)
{
	uv_poll_stop(&bs->poll);
	uv_close((uv_handle_t *)&bs->poll, on_poll_closed);
}

/* Writes what waits. True when nothing does any more. */
static bool push(struct body_stream *bs)
{
	while (!bs->discard && bs->off < bs->pending.len) {
		ssize_t n = write(bs->wfd, bs->pending.p + bs->off, bs->pending.len - bs->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			bs->discard = true; /* the worker wants no more */
		else
			bs->off += (size_t)n;
	}
	bs->pending.len = bs->off = 0;
	return true;
}

static void on_writable(uv_poll_t *handle, int status, int events)
{
	struct body_stream *bs = handle->data;

	(void)events;
	if (status < 0)
		bs->discard = true;
	if (!push(bs))
		return;
	uv_poll_stop(&bs->poll);
	bs->polling = false;
	if (bs->ended)
		close_write_end(bs);
	else if (bs->client)
		client_resume(bs->client);
}

struct body_stream *body_stream_new(struct client *c)
{
	struct body_stream *bs = xcalloc(1, sizeof(*bs));
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(bs);
		return NULL;
	}
	/* no error if it stays smaller */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	bs->rfd = fds[0];
	bs->wfd = fds[1];
	if (uv_poll_init(uv_default_loop(), &bs->poll, bs->wfd) < 0) {
		close(fds[0]);
		close(fds[1]);
		free(bs);
		return NULL;
	}
	bs->poll.data = bs;
	bs->client = c;
	atomic_init(&bs->refs, 2);
	atomic_init(&bs->status, -ECONNRESET);
	atomic_init(&bs->cut, 0);
	return bs;
}

bool body_stream_blocked(const struct body_stream *bs)
{
	return bs->off < bs->pending.len;
}

void body_stream_feed(struct body_stream *bs, const char *p, size_t len)
{
	while (len > 0 && !bs->discard && !body_stream_blocked(bs)) {
		ssize_t n = write(bs->wfd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			bs->discard = true;
			return;
		}
		p += n;
		len -= (size_t)n;
	}
	if (len == 0 || bs->discard)
		return;
	buf_add(&bs->pending, p, len);
	if (!bs->polling) {
		bs->polling = true;
		uv_poll_start(&bs->poll, UV_WRITABLE | UV_PRIORITIZED, on_writable);
	}
}

void body_stream_end(struct body_stream *bs, int status)
{
	bs->client = NULL;
	bs->ended = true;
	atomic_store(&bs->status, status);
	if (status < 0) {
		atomic_store(&bs->cut, status);
		bs->discard = true;
	}
	if (push(bs))
		close_write_end(bs);
}

struct body_stream *body_stream_watch(struct body_stream *bs)
{
	atomic_fetch_add(&bs->refs, 1);
	return bs;
}

void body_stream_unwatch(struct body_stream *bs, bool client_gone)
{
	if (!bs)
		return;
	if (client_gone)
		atomic_store(&bs->cut, -ECONNRESET);
	unref(bs);
}

/* ---- worker ------------------------------------------------------------------------------------
 */

ssize_t body_read(struct body_stream *bs, void *p, size_t len)
{
	for (;;) {
		struct pollfd pfd = { .fd = bs->rfd, .events = POLLIN };
		ssize_t n = read(bs->rfd, p, len);
		int rc;

		if (n > 0 && (rc = atomic_load(&bs->cut)) < 0)
			return rc;
		if (n > 0)
			return n;
		if (n == 0)
			return atomic_load(&bs->status);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		rc = poll(&pfd, 1, IDLE_LIMIT_MS);
		if (rc == 0)
			return -ETIMEDOUT;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

bool body_cut(const struct body_stream *bs)
{
	return bs && atomic_load(&bs->cut) < 0;
}

void body_close(struct body_stream *bs)
{
	if (!bs)
		return;
	close(bs->rfd);
	bs->rfd = -1;
	unref(bs);
}

/* ---- loop --------------------------------------------------------------------------------------
 */

/* NULL only when descriptors have run out. Data that came with the head was not looked at yet. */
struct body_stream *req_body_stream(struct req *r)
{
	if (!r->bs && !r->body_done)
		r->bs = body_stream_new(r->client);
	return r->bs;
}
