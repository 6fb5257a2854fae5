/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_pace.c - datagrams that a receiver has no room for are lost without a word; they are not sent, then.
 *
 * Design. A receiver in the same network namespace is a socket whose queue the kernel tells anybody (sock_diag(7), as ss(8) asks
 * it): half its buffer is never filled, at whatever speed it reads. That is believed only of a socket whose queue is
 * seen filled now and then; where datagrams are led elsewhere (DNAT, a socket that only holds a port) it never is. Any other
 * receiver gets PACE_RATE, so smoothly that a usual buffer lasts for two milliseconds; if the container prints more than
 * that, so that the backlog grows, the rate doubles with every pace_adapt until it does not.
 *
 * Failure: what cannot be asked is not seen, and paced by rate.
 */
#include "sink_pace.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

#define US	      1000LL
#define LOOK_AGAIN_NS (1000000 * US)
#define UNFILLED_MAX  256
#define NAP_MIN_NS    (50 * US)
#define NAP_MAX_NS    (2000 * US)

/* The receiver's socket as the kernel finds it for a datagram of ours: there src is who sends. */
static bool name_receiver(struct pace *p, int fd)
{
	struct sockaddr_storage us = { 0 }, peer = { 0 };
	socklen_t us_len = sizeof(us), peer_len = sizeof(peer);
	struct inet_diag_sockid *id = &p->receiver.id;

	if (getsockname(fd, (struct sockaddr *)&us, &us_len) < 0 || getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return false;
	p->receiver = (struct inet_diag_req_v2){ .sdiag_family = (uint8_t)peer.ss_family,
						 .sdiag_protocol = IPPROTO_UDP,
						 .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
						 .idiag_states = UINT32_MAX };
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (peer.ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)&us, *b = (const void *)&peer;

		id->idiag_sport = a->sin_port;
		id->idiag_dport = b->sin_port;
		memcpy(id->idiag_src, &a->sin_addr, sizeof(a->sin_addr));
		memcpy(id->idiag_dst, &b->sin_addr, sizeof(b->sin_addr));
	} else {
		const struct sockaddr_in6 *a = (const void *)&us, *b = (const void *)&peer;

		id->idiag_sport = a->sin6_port;
		id->idiag_dport = b->sin6_port;
		memcpy(id->idiag_src, &a->sin6_addr, sizeof(a->sin6_addr));
		memcpy(id->idiag_dst, &b->sin6_addr, sizeof(b->sin6_addr));
	}
	return true;
}

void pace_open(struct pace *p, int udp_fd)
{
	*p = (struct pace){ .diag_fd = -1, .rate = PACE_RATE, .unfilled = UNFILLED_MAX };
	if (name_receiver(p, udp_fd))
		p->diag_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

void pace_close(struct pace *p)
{
	if (p->diag_fd >= 0)
		close(p->diag_fd);
	p->diag_fd = -1;
}

/* The memory of a socket in an answer of n bytes; false: it is another answer. */
static bool find_meminfo(const struct nlmsghdr *h, size_t n, uint32_t info[SK_MEMINFO_VARS])
{
	const struct rtattr *a;
	int left;

	if (!NLMSG_OK(h, n) || h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return false;
	left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(struct inet_diag_msg)));
	for (a = (const void *)((const char *)NLMSG_DATA(h) + sizeof(struct inet_diag_msg)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == INET_DIAG_SKMEMINFO && RTA_PAYLOAD(a) >= (SK_MEMINFO_RCVBUF + 1) * sizeof(*info)) {
			memcpy(info, RTA_DATA(a), (SK_MEMINFO_RCVBUF + 1) * sizeof(*info));
			return true;
		}
	}
	return false;
}

/* Of the room up to half of the buffer, a half: others send to it too. Little is none: it is waited for. */
static int64_t share(int64_t used, int64_t size, int64_t want)
{
	int64_t room = (size / 2 - used) / 2;

	if (used == 0 && room < want)
		return want; /* one of any size, into a small buffer too */
	return room < size / 16 ? 0 : room;
}

/* What may be sent to the receiver, which needs want. False: it is not seen. */
static bool look(struct pace *p, int64_t want, int64_t *room)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 req;
	} ask = { { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST }, p->receiver };
	union {
		struct nlmsghdr h;
		char bytes[4096];
	} in;
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	ssize_t n = -1;

	if (p->diag_fd < 0 || mono_ns() < p->look_ns)
		return false;
	if (send(p->diag_fd, &ask, sizeof(ask), MSG_DONTWAIT) == (ssize_t)sizeof(ask)) /* answered before it returns */
		n = recv(p->diag_fd, &in, sizeof(in), MSG_DONTWAIT);
	if (n <= 0 || !find_meminfo(&in.h, (size_t)n, info)) {
		p->look_ns = mono_ns() + LOOK_AGAIN_NS;
		p->unfilled = UNFILLED_MAX;
		return false;
	}
	if (info[SK_MEMINFO_RMEM_ALLOC])
		p->unfilled = 0;
	else if (p->unfilled < UNFILLED_MAX)
		p->unfilled++;
	*room = share(info[SK_MEMINFO_RMEM_ALLOC], info[SK_MEMINFO_RCVBUF], want);
	return p->unfilled < UNFILLED_MAX;
}

/* What the rate has room for now: used at once when it is enough. */
static int64_t from_rate(struct pace *p, int64_t want)
{
	int64_t now = mono_ns(), most = PACE_BURST > want ? PACE_BURST : want;
	int64_t n = now - p->filled_ns > 1000000 * US ? most : (now - p->filled_ns) * (p->rate / 1000000) / 1000;

	if (n > most)
		n = most;
	if (n >= want)
		p->filled_ns = now;
	else
		p->limited = true;
	return n;
}

static void nap(int64_t ns)
{
	struct timespec ts = { .tv_nsec = ns };

	(void)nanosleep(&ts, NULL);
}

int pace_wait(struct pace *p, const size_t *ends, size_t n, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000 * US, want = PACE_CHARGE(ends[0]), pause = NAP_MIN_NS;
	size_t i = 0, at = 0;

	while (p->room < want) {
		bool seen = look(p, want, &p->room);

		if (!seen)
			p->room = from_rate(p, want);
		if (p->room >= want)
			break;
		if (mono_ns() > deadline)
			return -ETIMEDOUT;
		nap(pause);
		if (seen && pause < NAP_MAX_NS)
			pause *= 2;
	}
	for (; i < n && p->room >= PACE_CHARGE(ends[i] - at); at = ends[i++])
		p->room -= PACE_CHARGE(ends[i] - at);
	return (int)i;
}

void pace_adapt(struct pace *p, bool grown)
{
	if (p->limited && grown)
		p->rate = p->rate < PACE_RATE_MAX / 2 ? p->rate * 2 : PACE_RATE_MAX;
	else if (!p->limited)
		p->rate -= (p->rate - PACE_RATE) / 4;
	p->limited = false;
}
