/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_neigh.c - a datagram to a host that is not there is lost three seconds after it was sent, and others before it.
 *
 * Design. While the kernel asks a link for a host's address (ARP, RFC 826; neighbour discovery, RFC 4861) it keeps a few
 * datagrams, and drops the oldest when there are more (neigh/default/unres_qlen_bytes): so one is sent for it to ask with, and the
 * others wait. When nobody has answered it drops that too, and says so to the socket. It is also asked whether a host that
 * was known is still there: until that is certain what was sent does not count as sent. After a refusal (ICMP: nobody listens) one
 * datagram is sent, too, before others are, as a host refuses few in a second, and of those behind them says nothing. route and neighbour are read as ip(8)
 * does, which everybody may: RTM_GETROUTE, RTM_GETNEIGH (Linux 5.0).
 *
 * Failure: what cannot be asked is taken to be there. A host that vanishes is noticed when the kernel next asks for it, half
 * a minute after its last answer: what is sent before that is lost. Of those behind a router the router tells (ICMP).
 */
#include "sink_neigh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define MS	   1000000LL
#define LOOK_NS	   (100 * MS)
#define NAP_MAX_MS 16
/* more than a kernel takes to find that a host has gone: what was sent before that is settled */
#define RECENT_NS (60000 * MS)
/* Linux refuses once a second to the same host (icmp_ratelimit), when it has done so six times */
#define REFUSAL_NS (1200 * MS)
#define ADDR_MAX   16

enum neigh_state {
	NEIGH_FREE, /* this host itself, a link whose hosts have no address, or what cannot be seen */
	NEIGH_KNOWN,   /* it answered of late */
	NEIGH_UNSURE,  /* it may be gone */
	NEIGH_UNKNOWN, /* no datagram has been sent that asks, or the answer is waited for */
	NEIGH_ABSENT,  /* nobody has answered */
};

struct ask {
	struct nlmsghdr h;
	union {
		struct rtmsg route;
		struct ndmsg neigh;
	};
	char attrs[64];
};

union answer {
	struct nlmsghdr h;
	char bytes[4096];
};

/* The next host, and the link to it. */
struct hop {
	unsigned char family, type; /* RTN_UNICAST, ... */
	int link;
	unsigned char addr[ADDR_MAX];
	bool far;
};

static size_t addr_len(int family)
{
	return family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

static void add_attr(struct ask *q, unsigned short type, const void *p, size_t len)
{
	struct rtattr *a = (void *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), p, len);
	q->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* 0: in holds an answer of type want, of in's whole length; or -errno. The kernel answers before send returns. */
static int talk(struct neigh *n, struct ask *q, uint16_t want, size_t body, union answer *in)
{
	ssize_t len;

	q->h.nlmsg_flags = NLM_F_REQUEST;
	q->h.nlmsg_seq = ++n->seq;
	if (send(n->fd, q, q->h.nlmsg_len, MSG_DONTWAIT) < 0)
		return -errno;
	do {
		len = recv(n->fd, in, sizeof(*in), MSG_DONTWAIT);
		if (len < 0)
			return -errno;
		if (!NLMSG_OK(&in->h, (size_t)len))
			return -EBADMSG;
	} while (in->h.nlmsg_seq != n->seq);
	if (in->h.nlmsg_type == NLMSG_ERROR &&
	    in->h.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return ((const struct nlmsgerr *)NLMSG_DATA(&in->h))->error;
	return in->h.nlmsg_type == want && in->h.nlmsg_len >= NLMSG_LENGTH(body) ? 0 : -EBADMSG;
}

/* RTA_VIA: a router of the other family. */
static void read_via(const struct rtattr *a, struct hop *hop)
{
	const struct rtvia *via = RTA_DATA(a);
	size_t len = RTA_PAYLOAD(a);

	if (len < sizeof(*via) || len - sizeof(*via) != addr_len(via->rtvia_family))
		return;
	hop->family = (unsigned char)via->rtvia_family;
	memcpy(hop->addr, via->rtvia_addr, addr_len(hop->family));
	hop->far = true;
}

static void read_route(const struct nlmsghdr *h, struct hop *hop)
{
	const struct rtmsg *r = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*r)));
	const struct rtattr *a;

	hop->type = r->rtm_type;
	for (a = RTM_RTA(r); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == sizeof(hop->link)) {
			memcpy(&hop->link, RTA_DATA(a), sizeof(hop->link));
		} else if (a->rta_type == RTA_GATEWAY && RTA_PAYLOAD(a) == addr_len(hop->family)) {
			memcpy(hop->addr, RTA_DATA(a), addr_len(hop->family));
			hop->far = true;
		} else if (a->rta_type == RTA_VIA) {
			read_via(a, hop);
		}
	}
}

static int find_hop(struct neigh *n, struct hop *hop)
{
	struct ask q = { .h = { .nlmsg_type = RTM_GETROUTE,
				.nlmsg_len = NLMSG_LENGTH(sizeof(q.route)) } };
	const struct sockaddr_in6 *a6 = (const void *)&n->peer;
	const struct sockaddr_in *a4 = (const void *)&n->peer;
	union answer in;
	int rc;

	*hop = (struct hop){ .family = (unsigned char)n->peer.ss_family };
	memcpy(hop->addr, hop->family == AF_INET6 ? (const void *)&a6->sin6_addr : &a4->sin_addr,
	       addr_len(hop->family));
	q.route.rtm_family = hop->family;
	q.route.rtm_dst_len = (unsigned char)(8 * addr_len(hop->family));
	add_attr(&q, RTA_DST, hop->addr, addr_len(hop->family));
	if (hop->family == AF_INET6 && a6->sin6_scope_id)
		add_attr(&q, RTA_OIF, &a6->sin6_scope_id, sizeof(a6->sin6_scope_id));
	if ((rc = talk(n, &q, RTM_NEWROUTE, sizeof(q.route), &in)) == 0)
		read_route(&in.h, hop);
	return rc;
}

static enum neigh_state state_of(uint16_t nud)
{
	if (nud & (NUD_REACHABLE | NUD_PERMANENT))
		return NEIGH_KNOWN;
	if (nud & NUD_NOARP)
		return NEIGH_FREE;
	if (nud & (NUD_STALE | NUD_DELAY | NUD_PROBE))
		return NEIGH_UNSURE;
	return nud & NUD_FAILED ? NEIGH_ABSENT : NEIGH_UNKNOWN;
}

static enum neigh_state look(struct neigh *n)
{
	struct ask q = { .h = { .nlmsg_type = RTM_GETNEIGH,
				.nlmsg_len = NLMSG_LENGTH(sizeof(q.neigh)) } };
	enum neigh_state s = NEIGH_FREE;
	struct hop hop;
	union answer in;
	int rc;

	if (n->fd < 0 || find_hop(n, &hop) < 0)
		return NEIGH_FREE; /* sending tells why */
	n->far = hop.far;
	if (hop.type != RTN_UNICAST)
		return NEIGH_FREE;
	q.neigh.ndm_family = hop.family;
	q.neigh.ndm_ifindex = hop.link;
	add_attr(&q, NDA_DST, hop.addr, addr_len(hop.family));
	rc = talk(n, &q, RTM_NEWNEIGH, sizeof(q.neigh), &in);
	if (rc == 0)
		s = state_of(((const struct ndmsg *)NLMSG_DATA(&in.h))->ndm_state);
	else if (rc == -ENOENT &&
		 (n->met || !n->asked)) /* asked for and not there: a link without neighbours */
		s = NEIGH_UNKNOWN;
	if (s == NEIGH_KNOWN || s == NEIGH_UNSURE)
		n->met = true;
	return s;
}

void neigh_open(struct neigh *n, int udp_fd)
{
	socklen_t len = sizeof(n->peer);

	*n = (struct neigh){ .fd = -1, .udp_fd = udp_fd, .far = true };
	if (getpeername(udp_fd, (struct sockaddr *)&n->peer, &len) == 0)
		n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

void neigh_close(struct neigh *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* Known once, and not now: what was sent meanwhile went nowhere. */
static bool has_gone(const struct neigh *n, enum neigh_state s)
{
	return (s == NEIGH_UNKNOWN || s == NEIGH_ABSENT) && n->met &&
	       mono_ns() - n->sent_ns < RECENT_NS;
}

/* What may be sent with s as it is: a number, 0 is to be waited for, -errno. */
static int may_send(struct neigh *n, enum neigh_state s, size_t count, int64_t now)
{
	bool known = s != NEIGH_UNKNOWN && s != NEIGH_ABSENT;

	if (has_gone(n, s) || (s == NEIGH_ABSENT && n->asked))
		return -EHOSTUNREACH;
	if (s == NEIGH_FREE ||
	    (known && (!n->doubted || (n->asked && now - n->sent_ns > REFUSAL_NS)))) {
		n->look_ns = now + LOOK_NS;
		n->doubted = false;
		n->asked = n->asked && s == NEIGH_FREE;
		return (int)count;
	}
	if (!known) /* from when on what is sent may arrive */
		n->sent_ns = now;
	if (n->asked)
		return 0;
	n->asked = true;
	n->met = n->met && known;
	return 1;
}

int neigh_wait(struct neigh *n, size_t count, int timeout_ms)
{
	int64_t now = mono_ns(), deadline = now + timeout_ms * MS;
	struct pollfd error = { .fd = n->udp_fd };
	int rc = (int)count, nap_ms = 1;

	for (; now >= n->look_ns && (rc = may_send(n, look(n), count, now)) == 0; now = mono_ns()) {
		if (now > deadline)
			return -ETIMEDOUT;
		if (poll(&error, 1, nap_ms) > 0)
			return 1; /* which tells why */
		if (nap_ms < NAP_MAX_MS)
			nap_ms *= 2;
	}
	if (rc > 0)
		n->sent_ns = now;
	return rc;
}

int neigh_arrives(struct neigh *n)
{
	enum neigh_state s = look(n);

	if (has_gone(n, s) || (s == NEIGH_ABSENT && n->asked))
		return -EHOSTUNREACH;
	return s == NEIGH_FREE || s == NEIGH_KNOWN;
}
