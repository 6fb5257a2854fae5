/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver_tcp.c - the same over TCP, for answers that do not fit a datagram. One message at a time
 * per connection:
 *
 *	READ -> (from memory) WRITE -> READ
 *	READ -> CONNECT -> ASK -> ANSWER -> WRITE -> READ
 *	any failure: closed, the client asks again
 *
 * Messages have their length in front (RFC 1035 4.2.2). A connection has one deadline, renewed at
 * each step.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "resolver_private.h"
#include "str.h"

#define CONNECTIONS_MAX 64 /* of one zone */
#define STEP_NS		5000000000LL
#define MESSAGE_MAX	(2 + 65535)

enum tcp_state { TCP_READ, TCP_CONNECT, TCP_ASK, TCP_ANSWER, TCP_WRITE };

struct tcp_conn {
	struct rs_source client, upstream;
	struct rs_zone *zone;
	enum tcp_state state;
	unsigned next_upstream;
	int64_t deadline_ns;
	size_t len, done; /* of msg: there in all, or read so far; written so far */
	struct tcp_conn *next;
	uint8_t msg[MESSAGE_MAX];
};

static struct tcp_conn *conns;

static void conn_free(struct tcp_conn *c)
{
	struct tcp_conn **pp = &conns;

	while (*pp != c)
		pp = &(*pp)->next;
	*pp = c->next;
	c->zone->n_tcp--;
	rs_close(&c->client);
	rs_close(&c->upstream);
	free(c);
}

static void enter(struct tcp_conn *c, enum tcp_state state)
{
	c->state = state;
	c->done = 0;
	c->deadline_ns = mono_ns() + STEP_NS;
	if (state == TCP_READ || state == TCP_ANSWER)
		c->len = 0;
	rs_rewatch(&c->client, state == TCP_READ ? EPOLLIN : state == TCP_WRITE ? EPOLLOUT : 0);
	if (c->upstream.fd >= 0)
		rs_rewatch(&c->upstream, state == TCP_ANSWER ? EPOLLIN : EPOLLOUT);
}

/* 1 a whole message, 0 not yet, -1 over. */
static int read_message(struct tcp_conn *c, int fd)
{
	size_t want = c->len < 2 ? 2 : 2 + ((size_t)c->msg[0] << 8 | c->msg[1]);
	ssize_t n = recv(fd, c->msg + c->len, want - c->len, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	c->len += (size_t)n;
	return c->len > 2 && c->len == 2 + ((size_t)c->msg[0] << 8 | c->msg[1]);
}

static int write_message(struct tcp_conn *c, int fd)
{
	ssize_t n = send(fd, c->msg + c->done, c->len - c->done, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->done += (size_t)n;
	return c->done == c->len;
}

static void connect_next(struct tcp_conn *c)
{
	rs_close(&c->upstream);
	while (c->zone->upstreams[c->next_upstream]) {
		struct sockaddr_in sa;
		int fd = rs_upstream_socket(c->zone, c->next_upstream++, SOCK_STREAM, &sa);

		if (fd < 0)
			continue;
		if ((connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 ||
		     errno == EINPROGRESS) &&
		    rs_watch(&c->upstream, fd, EPOLLOUT) == 0) {
			enter(c, TCP_CONNECT);
			return;
		}
		close(fd);
	}
	conn_free(c);
}

static void on_message(struct tcp_conn *c)
{
	uint8_t out[DNS_REPLY_MAX];
	struct dns_query q;
	size_t len;

	if (dns_parse(c->msg + 2, c->len - 2, &q) < 0) {
		conn_free(c);
		return;
	}
	len = rs_answer(c->zone, c->msg + 2, &q, out);
	if (!len) {
		c->next_upstream = 0;
		connect_next(c);
		return;
	}
	c->msg[0] = (uint8_t)(len >> 8);
	c->msg[1] = (uint8_t)len;
	memcpy(c->msg + 2, out, len);
	c->len = len + 2;
	enter(c, TCP_WRITE);
}

static void on_client(struct rs_source *src, uint32_t events)
{
	struct tcp_conn *c = container_of(src, struct tcp_conn, client);
	int rc;

	if (c->state == TCP_READ) {
		rc = read_message(c, src->fd);
		if (rc > 0)
			on_message(c);
		else if (rc < 0)
			conn_free(c);
	} else if (c->state == TCP_WRITE) {
		rc = write_message(c, src->fd);
		if (rc > 0)
			enter(c, TCP_READ);
		else if (rc < 0)
			conn_free(c);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		conn_free(c);
	}
}

static void on_upstream(struct rs_source *src, uint32_t events)
{
	struct tcp_conn *c = container_of(src, struct tcp_conn, upstream);
	int rc;

	if (c->state == TCP_CONNECT) {
		if (events & (EPOLLERR | EPOLLHUP)) {
			connect_next(c);
			return;
		}
		c->state = TCP_ASK;
	}
	if (c->state == TCP_ASK) {
		rc = write_message(c, src->fd);
		if (rc > 0)
			enter(c, TCP_ANSWER);
		else if (rc < 0)
			conn_free(c);
		return;
	}
	if (c->state != TCP_ANSWER)
		return;
	rc = read_message(c, src->fd);
	if (rc > 0) {
		rs_close(&c->upstream);
		enter(c, TCP_WRITE);
	} else if (rc < 0) {
		conn_free(c);
	}
}

void rs_tcp_accept(struct rs_source *listener, uint32_t events)
{
	struct rs_zone *z = container_of(listener, struct rs_zone, tcp);
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct tcp_conn *c;

	(void)events;
	if (fd < 0)
		return;
	if (z->n_tcp >= CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->client = (struct rs_source){ .fd = -1, .on_event = on_client };
	c->upstream = (struct rs_source){ .fd = -1, .on_event = on_upstream };
	c->zone = z;
	if (rs_watch(&c->client, fd, EPOLLIN) < 0) {
		close(fd);
		free(c);
		return;
	}
	z->n_tcp++;
	c->next = conns;
	conns = c;
	enter(c, TCP_READ);
}

void rs_tcp_drop(struct rs_zone *z)
{
	for (struct tcp_conn *c = conns, *after; c; c = after) {
		after = c->next;
		if (c->zone == z)
			conn_free(c);
	}
}

int64_t rs_tcp_timers(int64_t now_ns)
{
	int64_t next = 0;

	for (struct tcp_conn *c = conns, *after; c; c = after) {
		after = c->next;
		if (c->deadline_ns <= now_ns)
			conn_free(c);
		else if (!next || c->deadline_ns < next)
			next = c->deadline_ns;
	}
	return next;
}
