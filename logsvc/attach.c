/* SPDX-License-Identifier: MPL-2.0
 *
 * attach.c - writes a zone's raw output to one client, with a bounded queue.
 *
 * Bytes go straight from the ring into the client's pipe as long as that takes them; what it does
 * not take is queued. A queue of ATTACH_BUFFER makes the zone's reading stop until half of it is gone:
 * that is Docker's rule, a slow attach slows its container. The queue may pass the limit by what one
 * turn read, and by what was left in the pipe when its last writer went away: at the end of a run
 * nobody is slowed any more, and the log must not wait.
 *
 * Threads: the zone's capture thread.
 */
#define LOG_MODULE "attach"
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "str.h"

static void on_event(struct source *src, uint32_t events);

struct attach *attach_new(int fd, bool want_stdout, bool want_stderr)
{
	static atomic_uint_fast64_t last_id;
	struct attach *a = xcalloc(1, sizeof(*a));
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	(void)fcntl(fd, F_SETPIPE_SZ, 1024 * 1024);
	a->id = atomic_fetch_add(&last_id, 1) + 1;
	a->src.fd = fd;
	a->src.on_event = on_event;
	a->want[0] = want_stdout;
	a->want[1] = want_stderr;
	return a;
}

void attach_start(struct attach *a, struct loop *loop)
{
	a->loop = loop;
	if (loop_watch(loop, &a->src, 0) < 0) /* tells when the client goes */
		a->dead = true;
}

void attach_free(struct attach *a)
{
	if (!a)
		return;
	if (a->loop)
		loop_unwatch(a->loop, &a->src);
	if (a->src.fd >= 0)
		close(a->src.fd);
	a->src.fd = -1;
	free(a->q);
	a->q = NULL;
	if (a->loop)
		loop_free_later(a->loop, a);
	else
		free(a);
}

static void lose(struct attach *a)
{
	a->dead = true;
	loop_unwatch(a->loop, &a->src);
	a->q_len = a->q_off = 0;
}

static void enqueue(struct attach *a, const char *p, size_t n)
{
	if (a->q_off + a->q_len + n > a->q_cap) {
		if (a->q_off)
			memmove(a->q, a->q + a->q_off, a->q_len);
		a->q_off = 0;
		if (a->q_len + n > a->q_cap) {
			a->q_cap = a->q_len + n > ATTACH_BUFFER ? a->q_len + n + ATTACH_BUFFER / 2
								: ATTACH_BUFFER;
			a->q = xrealloc(a->q, a->q_cap);
		}
	}
	memcpy(a->q + a->q_off + a->q_len, p, n);
	a->q_len += n;
}

/* Sends what is queued as far as the client takes it. */
static void flush(struct attach *a)
{
	while (a->q_len && !a->dead && !a->holding) {
		ssize_t n = write(a->src.fd, a->q + a->q_off, a->q_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			lose(a);
			return;
		}
		a->q_off += (size_t)n;
		a->q_len -= (size_t)n;
	}
	if (a->dead)
		return;
	if (!a->q_len) {
		a->q_off = 0;
		if (a->q_cap) {
			free(a->q);
			a->q = NULL;
			a->q_cap = 0;
		}
	}
	(void)loop_watch(a->loop, &a->src, a->q_len && !a->holding ? EPOLLOUT : 0);
}

void attach_feed(struct attach *a, int s, const char *p, size_t n)
{
	unsigned char head[8] = { (unsigned char)(s + 1),   0, 0, 0, (unsigned char)(n >> 24),
				  (unsigned char)(n >> 16), (unsigned char)(n >> 8),
				  (unsigned char)n };
	size_t head_len = a->raw ? 0 : sizeof(head);
	struct iovec iov[2] = { { head, head_len }, { (void *)(uintptr_t)p, n } };
	ssize_t sent = 0;

	if (a->dead || a->ending || !a->want[a->raw ? 0 : s] || !n)
		return;
	if (!a->q_len && !a->holding) {
		sent = writev(a->src.fd, iov, 2);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			lose(a);
			a->on_change(a);
			return;
		}
		if (sent < 0)
			sent = 0;
		if ((size_t)sent == head_len + n)
			return;
	}
	if ((size_t)sent < head_len) {
		enqueue(a, (const char *)head + sent, head_len - (size_t)sent);
		sent = (ssize_t)head_len;
	}
	enqueue(a, p + ((size_t)sent - head_len), n - ((size_t)sent - head_len));
	if (!a->holding)
		(void)loop_watch(a->loop, &a->src, EPOLLOUT);
}

bool attach_is_full(const struct attach *a)
{
	return !a->dead && a->q_len >= ATTACH_BUFFER;
}

void attach_release(struct attach *a)
{
	a->holding = false;
	flush(a);
}

void attach_end(struct attach *a)
{
	a->ending = true;
	flush(a);
}

static void on_alone_change(struct attach *a)
{
	if (a->dead || !a->q_len)
		attach_free(a);
}

void attach_let_go(struct attach *a)
{
	a->next = NULL;
	a->owner = NULL;
	a->holding = false;
	a->on_change = on_alone_change;
	attach_end(a);
	on_alone_change(a);
}

static void on_event(struct source *src, uint32_t events)
{
	struct attach *a = container_of(src, struct attach, src);

	if (events & EPOLLOUT)
		flush(a);
	else if (events & (EPOLLERR | EPOLLHUP))
		lose(a);
	if (a->dead || a->q_len <= ATTACH_BUFFER / 2)
		a->on_change(a);
}
