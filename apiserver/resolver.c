/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver.c - the name server inside zones: UDP, and what is passed on to the outside. In the
 * resolver's process (resolver_main.c).
 *
 * Design: for each zone two sockets are bound to 127.0.0.11 inside its namespace, on ports that the
 * kernel chooses; a rule in there redirects port 53 to them (firewall.h), so that the zone can have
 * a name server of its own on port 53. One thread serves all zones by epoll, and never blocks.
 * Names of zones are answered from memory (network_names.c). Everything else goes to the zone's
 * upstream servers, one after the other, each with a deadline, by a socket that belongs to the
 * zone's namespace: a zone reaches no name server that it could not reach itself. Servers on the
 * host's loopback are the exception, as with Docker: those are asked from the host's.
 *
 * Every descriptor in the epoll set has a slot; an event carries slot and generation, so that one
 * which comes late, for something that another event of the same batch has closed, finds nothing.
 *
 * Threads: `lock` covers all of it; the thread holds it while it works through a batch. resolver
 * lock before net_lock. Failure: when we die, the sockets go; zones ask in vain until our successor
 * has adopted them (network_adopt).
 */
#include "resolver_private.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "firewall.h"
#include "ipam6.h"
#include "netns.h"
#include "resolver.h"
#define LOG_MODULE "resolver"
#include "log.h"
#include "str.h"
#include "thread.h"

#define PENDING_MAX 200 /* of one zone */
#define ANSWERS_MAX 24
#define ASK_NS	    2500000000LL

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int epoll_fd = -1;
static struct rs_zone *zones;

/* ---- slots ---- */

static struct slot {
	struct rs_source *src;
	uint32_t generation;
} * slots;
static uint32_t n_slots;

int rs_watch(struct rs_source *src, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	uint32_t i = 0;

	while (i < n_slots && slots[i].src)
		i++;
	if (i == n_slots) {
		uint32_t n = n_slots ? n_slots * 2 : 64;

		slots = xrealloc(slots, n * sizeof(*slots));
		memset(slots + n_slots, 0, (n - n_slots) * sizeof(*slots));
		n_slots = n;
	}
	ev.data.u64 = (uint64_t)++slots[i].generation << 32 | i;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	slots[i].src = src;
	src->slot = i;
	src->fd = fd;
	return 0;
}

void rs_rewatch(struct rs_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events,
				  .data.u64 =
					  (uint64_t)slots[src->slot].generation << 32 | src->slot };

	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, src->fd, &ev);
}

void rs_close(struct rs_source *src)
{
	if (src->fd < 0)
		return;
	slots[src->slot].src = NULL;
	close(src->fd); /* leaves the epoll set by itself */
	src->fd = -1;
}

/* ---- answers from memory ---- */

static void rotate(struct name_address *v, size_t n)
{
	static unsigned turn;
	unsigned by = n ? turn++ % n : 0;

	while (by--) {
		struct name_address first = v[0];

		memmove(v, v + 1, (n - 1) * sizeof(*v));
		v[n - 1] = first;
	}
}

size_t rs_answer(const struct rs_zone *z, const uint8_t *msg, const struct dns_query *q,
		 uint8_t *out)
{
	struct name_address v[ANSWERS_MAX], a = { 0 };
	char name[DNS_NAME_MAX];
	bool known;
	size_t n, len;

	if (q->class != 1)
		return 0;
	if (q->type == DNS_PTR &&
	    (dns_reverse_ip(q->name, &a.ip) == 0 || dns_reverse_ip6(q->name, &a.ip6) == 0) &&
	    network_lookup_ip(z->ct_id, &a, name, sizeof(name)))
		return dns_add_ptr(out, dns_reply(msg, q, DNS_OK, out), name);
	if (q->type != DNS_A && q->type != DNS_AAAA)
		return 0;
	n = network_lookup(z->ct_id, q->name, v, ANSWERS_MAX, &known);
	if (!known)
		return 0;
	len = dns_reply(msg, q, DNS_OK, out);
	rotate(v, n);
	for (size_t i = 0; i < n; i++) {
		if (q->type == DNS_A && v[i].ip)
			len = dns_add_a(out, len, v[i].ip);
		else if (q->type == DNS_AAAA && !ip6_is_zero(&v[i].ip6))
			len = dns_add_aaaa(out, len, &v[i].ip6);
	}
	return len;
}

/* ---- questions to the outside ---- */

int rs_upstream_socket(const struct rs_zone *z, unsigned i, int type, struct sockaddr_in *sa)
{
	struct err ignored = { 0 };
	const char *ip = z->upstreams[i];

	*sa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53) };
	if (inet_pton(AF_INET, ip, &sa->sin_addr) != 1)
		return -1;
	type |= SOCK_NONBLOCK;
	return str_starts(ip, "127.") ? socket(AF_INET, type | SOCK_CLOEXEC, 0)
				      : netns_socket(z->netns_fd, AF_INET, type, 0, &ignored);
}

struct question {
	struct rs_source src;
	struct rs_zone *zone;
	struct sockaddr_in client;
	int64_t deadline_ns;
	unsigned upstream;
	size_t len;
	struct question *next;
	uint8_t msg[];
};

static struct question *questions;

static void question_free(struct question *qn)
{
	struct question **pp = &questions;

	while (*pp != qn)
		pp = &(*pp)->next;
	*pp = qn->next;
	qn->zone->n_pending--;
	rs_close(&qn->src);
	free(qn);
}

static void send_failure(const struct rs_zone *z, const uint8_t *msg, size_t len,
			 const struct sockaddr_in *to)
{
	uint8_t out[DNS_REPLY_MAX];
	struct dns_query q;

	if (dns_parse(msg, len, &q) == 0)
		sendto(z->udp.fd, out, dns_reply(msg, &q, DNS_SERVFAIL, out), MSG_DONTWAIT,
		       (const struct sockaddr *)to, sizeof(*to));
}

static void on_upstream(struct rs_source *src, uint32_t events);

/* Asks the next upstream that can be asked; the question ends when there is none. */
static void ask_next(struct question *qn)
{
	struct rs_zone *z = qn->zone;

	rs_close(&qn->src);
	for (; z->upstreams[qn->upstream];) {
		struct sockaddr_in sa;
		int fd = rs_upstream_socket(z, qn->upstream++, SOCK_DGRAM, &sa);

		if (fd < 0)
			continue;
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		    send(fd, qn->msg, qn->len, 0) >= 0 && rs_watch(&qn->src, fd, EPOLLIN) == 0) {
			qn->deadline_ns = mono_ns() + ASK_NS;
			return;
		}
		close(fd);
	}
	send_failure(z, qn->msg, qn->len, &qn->client);
	question_free(qn);
}

static void on_upstream(struct rs_source *src, uint32_t events)
{
	struct question *qn = container_of(src, struct question, src);
	uint8_t reply[DNS_UDP_MAX];
	ssize_t n = recv(src->fd, reply, sizeof(reply), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 12) { /* refused, unreachable */
		ask_next(qn);
		return;
	}
	if (memcmp(reply, qn->msg, 2) != 0)
		return; /* not to this question */
	sendto(qn->zone->udp.fd, reply, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&qn->client,
	       sizeof(qn->client));
	question_free(qn);
}

static void forward(struct rs_zone *z, const uint8_t *msg, size_t len,
		    const struct sockaddr_in *client)
{
	struct question *qn;

	if (z->n_pending >= PENDING_MAX) {
		send_failure(z, msg, len, client);
		return;
	}
	qn = xcalloc(1, sizeof(*qn) + len);
	qn->src = (struct rs_source){ .fd = -1, .on_event = on_upstream };
	qn->zone = z;
	qn->client = *client;
	qn->len = len;
	memcpy(qn->msg, msg, len);
	qn->next = questions;
	questions = qn;
	z->n_pending++;
	ask_next(qn);
}

static void on_query(struct rs_source *src, uint32_t events)
{
	struct rs_zone *z = container_of(src, struct rs_zone, udp);
	uint8_t msg[DNS_UDP_MAX], out[DNS_REPLY_MAX];

	(void)events;
	for (unsigned turn = 0; turn < 16; turn++) { /* others want their turn too */
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		struct dns_query q;
		size_t out_len;
		ssize_t n = recvfrom(src->fd, msg, sizeof(msg), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		if (dns_parse(msg, (size_t)n, &q) < 0)
			continue;
		out_len = rs_answer(z, msg, &q, out);
		if (out_len)
			sendto(src->fd, out, out_len, MSG_DONTWAIT, (struct sockaddr *)&from,
			       from_len);
		else
			forward(z, msg, (size_t)n, &from);
	}
}

/* ---- the thread ---- */

/* Ends what is overdue; ms until the next deadline, -1 for none. */
static int run_timers(void)
{
	int64_t now = mono_ns(), next = rs_tcp_timers(now);

	for (struct question *qn = questions, *after; qn; qn = after) {
		after = qn->next;
		if (qn->deadline_ns <= now)
			ask_next(qn); /* frees at most qn */
		else if (!next || qn->deadline_ns < next)
			next = qn->deadline_ns;
	}
	return next ? (int)((next - now) / 1000000 + 1) : questions ? 1000 : -1;
}

static void *thread_main(void *unused)
{
	struct epoll_event ev[64];
	int timeout = -1;

	(void)unused;
	for (;;) {
		int n = epoll_wait(epoll_fd, ev, ARRAY_SIZE(ev), timeout);

		pthread_mutex_lock(&lock);
		for (int i = 0; i < n; i++) {
			uint32_t slot = (uint32_t)ev[i].data.u64;

			if (slot < n_slots && slots[slot].src &&
			    slots[slot].generation == (uint32_t)(ev[i].data.u64 >> 32))
				slots[slot].src->on_event(slots[slot].src, ev[i].events);
		}
		timeout = run_timers();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static int start_thread(struct err *err)
{
	int rc;

	if (epoll_fd >= 0)
		return 0;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return err_sys(err, "epoll");
	if ((rc = thread_start(NULL, 0, thread_main, NULL)) < 0)
		return err_sysnum(err, rc, "start the resolver's thread");
	return 0;
}

/* ---- zones ---- */

static void zone_free(struct rs_zone *z)
{
	struct rs_zone **pp = &zones;

	while (*pp && *pp != z)
		pp = &(*pp)->next;
	if (*pp)
		*pp = z->next;
	for (struct question *qn = questions, *after; qn; qn = after) {
		after = qn->next;
		if (qn->zone == z)
			question_free(qn);
	}
	rs_tcp_drop(z);
	rs_close(&z->udp);
	rs_close(&z->tcp);
	if (z->netns_fd >= 0)
		close(z->netns_fd);
	strv_free(z->upstreams);
	free(z);
}

static struct rs_zone *find_zone(const char *ct_id)
{
	struct rs_zone *z = zones;

	while (z && !str_eq(z->ct_id, ct_id))
		z = z->next;
	return z;
}

static bool is_same_netns(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* One that is served already only learns its servers; its sockets stay. */
static bool update_zone(const char *ct_id, int netns_fd, char *const *upstreams)
{
	struct rs_zone *z;
	bool known;

	pthread_mutex_lock(&lock);
	z = find_zone(ct_id);
	known = z && z->udp.fd >= 0 && z->tcp.fd >= 0 && is_same_netns(z->netns_fd, netns_fd);
	if (known) {
		strv_free(z->upstreams);
		z->upstreams = strv_dup(upstreams);
		z->stale = false;
		for (struct question *qn = questions; qn; qn = qn->next)
			if (qn->zone == z)
				qn->upstream = 0;
		rs_tcp_drop(z);
	}
	pthread_mutex_unlock(&lock);
	return known;
}

static void stop_locked(const char *ct_id)
{
	struct rs_zone *z = find_zone(ct_id);

	if (z)
		zone_free(z);
}

/* A bound socket inside; *port gets what the kernel chose. */
static int listen_inside(int netns_fd, int type, uint16_t *port, struct err *err)
{
	cleanup_fd int fd = netns_socket(netns_fd, AF_INET, type | SOCK_NONBLOCK, 0, err);
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);

	if (fd < 0)
		return fd;
	inet_pton(AF_INET, RESOLVER_ADDRESS, &sa.sin_addr);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 32) < 0) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return err_sys(err, "listen on %s in the container's network", RESOLVER_ADDRESS);
	*port = ntohs(sa.sin_port);
	return take_fd(&fd);
}

int rs_zone_start(const char *ct_id, int netns_fd, char *const *upstreams, struct err *err)
{
	cleanup_fd int udp = -1, tcp = -1;
	uint16_t udp_port, tcp_port;
	struct rs_zone *z;
	int rc;

	if (update_zone(ct_id, netns_fd, upstreams))
		return 0;
	udp = listen_inside(netns_fd, SOCK_DGRAM, &udp_port, err);
	if (udp < 0)
		return udp;
	tcp = listen_inside(netns_fd, SOCK_STREAM, &tcp_port, err);
	if (tcp < 0)
		return tcp;
	if ((rc = firewall_dns_redirect(netns_fd, udp_port, tcp_port, err)) < 0)
		return rc;
	pthread_mutex_lock(&lock);
	rc = start_thread(err);
	if (rc >= 0) {
		stop_locked(ct_id);
		z = xcalloc(1, sizeof(*z));
		str_copy(z->ct_id, sizeof(z->ct_id), ct_id);
		z->netns_fd = fcntl(netns_fd, F_DUPFD_CLOEXEC, 0);
		z->upstreams = strv_dup(upstreams);
		z->udp = (struct rs_source){ .fd = -1, .on_event = on_query };
		z->tcp = (struct rs_source){ .fd = -1, .on_event = rs_tcp_accept };
		z->next = zones;
		zones = z;
		if (rs_watch(&z->udp, udp, EPOLLIN) == 0)
			take_fd(&udp);
		if (rs_watch(&z->tcp, tcp, EPOLLIN) == 0)
			take_fd(&tcp);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void rs_zone_stop(const char *ct_id)
{
	pthread_mutex_lock(&lock);
	stop_locked(ct_id);
	pthread_mutex_unlock(&lock);
}

void rs_mark_stale(void)
{
	pthread_mutex_lock(&lock);
	for (struct rs_zone *z = zones; z; z = z->next)
		z->stale = true;
	pthread_mutex_unlock(&lock);
}

void rs_drop_stale(void)
{
	pthread_mutex_lock(&lock);
	for (struct rs_zone *z = zones, *after; z; z = after) {
		after = z->next;
		if (z->stale)
			zone_free(z);
	}
	pthread_mutex_unlock(&lock);
}

bool rs_is_idle(void)
{
	bool idle;

	pthread_mutex_lock(&lock);
	idle = !zones;
	pthread_mutex_unlock(&lock);
	return idle;
}

void rs_fini(void)
{
	pthread_mutex_lock(&lock);
	while (zones)
		zone_free(zones);
	pthread_mutex_unlock(&lock);
}
