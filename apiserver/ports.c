/* SPDX-License-Identifier: MPL-2.0
 *
 * ports.c - the host's published ports.
 *
 * Design: traffic to a published port is redirected by the NAT rules before any socket sees it. A
 * socket is bound all the same, and held for as long as the port is published: the kernel is the
 * one that knows which ports are taken, and a program that starts later must get EADDRINUSE, not
 * silence. It is bound and not listening:
 *
 *	bind with SO_REUSEADDR		a connection in TIME_WAIT is no conflict
 *	SO_REUSEADDR off, listen	now no other socket can get it, also with SO_REUSEADDR
 *	shutdown(SHUT_RD)		ends listening and keeps the port: who comes around the
 *					rules is refused at once, instead of waiting in a backlog
 *					that nobody reads
 *
 * A UDP socket gets a filter that drops everything, else it would collect datagrams.
 * Invariant: an entry in the table is on the books also when its socket could not be had (sctp
 * without the kernel's module, or after adoption).
 */
#include "ports.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#define LOG_MODULE "ports"
#include "log.h"
#include "str.h"

/* An address of the host. */
struct host_addr {
	int family;
	struct in6_addr ip; /* IPv4: its first four bytes */
};

struct held {
	char owner[65];
	char proto[5];
	struct host_addr addr;
	uint16_t port;
	int fd; /* -1: none */
	struct held *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *table;
static uint16_t range_first, range_last, range_next;

/* The kernel's own range for outgoing ports, as Docker uses it. */
static void range_init(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	unsigned first = 0, last = 0;

	if (range_first)
		return;
	range_first = 49153;
	range_last = 65535;
	if (fs_read_file("/proc/sys/net/ipv4/ip_local_port_range", 100, &b, &ignored) >= 0 &&
	    sscanf(buf_str(&b), "%u %u", &first, &last) == 2 && first > 0 && first <= last &&
	    last <= 65535) {
		range_first = (uint16_t)first;
		range_last = (uint16_t)last;
	}
	range_next = range_first;
}

static void drop_datagrams(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int addr_parse(const char *s, struct host_addr *out)
{
	*out = (struct host_addr){ .family = strchr(s, ':') ? AF_INET6 : AF_INET };
	return inet_pton(out->family, s, &out->ip) == 1 ? 0 : -EINVAL;
}

static bool is_any(const struct host_addr *a)
{
	static const struct in6_addr any;

	return !memcmp(&a->ip, &any, sizeof(any));
}

static int bind_to(int fd, const struct host_addr *a, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port),
				    .sin6_addr = a->ip };
	int on = 1;

	if (a->family == AF_INET) {
		memcpy(&sa.sin_addr, &a->ip, sizeof(sa.sin_addr));
		return bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	}
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&sa6, sizeof(sa6));
}

/* 0 or a negative errno. *out stays -1 where the kernel lacks the protocol. */
static int hold_socket(const char *proto, const struct host_addr *a, uint16_t port, int *out)
{
	bool udp = str_eq(proto, "udp");
	cleanup_fd int fd = -1;
	int on = 1, off = 0;

	fd = socket(a->family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
		    str_eq(proto, "sctp") ? IPPROTO_SCTP : 0);
	if (fd < 0)
		return errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ? 0 : -errno;
	if (udp)
		drop_datagrams(fd);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind_to(fd, a, port) < 0)
		return -errno;
	if (!udp) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
		if (listen(fd, 0) < 0)
			return -errno;
		shutdown(fd, SHUT_RD);
	}
	*out = take_fd(&fd);
	return 0;
}

static const struct held *find_taken(const char *proto, const struct host_addr *a, uint16_t port)
{
	for (const struct held *h = table; h; h = h->next)
		if (h->port == port && str_eq(h->proto, proto) && h->addr.family == a->family &&
		    (!memcmp(&h->addr.ip, &a->ip, sizeof(a->ip)) || is_any(&h->addr) || is_any(a)))
			return h;
	return NULL;
}

static void table_add(const char *owner, const char *proto, const struct host_addr *a,
		      uint16_t port, int fd)
{
	struct held *h = xcalloc(1, sizeof(*h));

	str_copy(h->owner, sizeof(h->owner), owner);
	str_copy(h->proto, sizeof(h->proto), proto);
	h->addr = *a;
	h->port = port;
	h->fd = fd;
	h->next = table;
	table = h;
}

/* What was added last. */
static void table_drop_newest(void)
{
	struct held *h = table;

	table = h->next;
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

/* owner NULL: of all. */
static void release_locked(const char *owner)
{
	for (struct held **pp = &table; *pp;) {
		struct held *h = *pp;

		if (owner && !str_eq(h->owner, owner)) {
			pp = &h->next;
			continue;
		}
		*pp = h->next;
		if (h->fd >= 0)
			close(h->fd);
		free(h);
	}
}

/* For whom ports are taken. */
struct claim {
	const char *owner;
	const char *ct_ip; /* for messages */
};

/* "0.0.0.0:80", "[::]:80"; a port of 0 is none. */
static const char *address_text(const char *ip, uint16_t port, char out[64])
{
	bool is6 = strchr(ip, ':');
	char number[6] = "";

	if (port)
		snprintf(number, sizeof(number), "%u", port);
	snprintf(out, 64, is6 ? "[%s]:%s" : "%s:%s", ip, number);
	return out;
}

/* Go's words for these two, which people search for. */
static const char *bind_error(int rc)
{
	return rc == -EADDRINUSE      ? "address already in use"
	       : rc == -EADDRNOTAVAIL ? "cannot assign requested address"
				      : strerror(-rc);
}

/* One port: 0, -EADDRINUSE (err says whose it is), or another failure. */
static int take_port(const struct claim *c, const struct port_binding *want, uint16_t port,
		     struct err *err)
{
	struct host_addr a;
	char at[64], inside[64];
	int rc, fd = -1;

	if (addr_parse(want->host_ip, &a) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid IP address: %s", want->host_ip);
	if (find_taken(want->proto, &a, port)) {
		err_kind(err, ERR_SYSTEM, "Bind for %s failed: port is already allocated",
			 address_text(want->host_ip, port, at));
		return err->code = -EADDRINUSE;
	}
	rc = hold_socket(want->proto, &a, port, &fd);
	if (rc < 0) {
		err_kind(err, ERR_SYSTEM, "failed to bind host port for %s:%s/%s: %s",
			 address_text(want->host_ip, want->host_port, at),
			 address_text(c->ct_ip, want->ct_port, inside), want->proto, bind_error(rc));
		return err->code = rc;
	}
	table_add(c->owner, want->proto, &a, port, fd);
	return 0;
}

/* The same port for n bindings: all or none. */
static int take_port_for(const struct claim *c, const struct port_binding *want, size_t n,
			 uint16_t port, struct err *err)
{
	int rc;

	for (size_t i = 0; i < n; i++) {
		if ((rc = take_port(c, &want[i], port, err)) >= 0)
			continue;
		while (i--)
			table_drop_newest();
		return rc;
	}
	return 0;
}

static int take_any(const struct claim *c, const struct port_binding *want, size_t n_want,
		    uint16_t *port, struct err *err)
{
	unsigned n = (unsigned)range_last - range_first + 1;

	for (unsigned i = 0; i < n; i++) {
		uint16_t p = range_next;
		int rc;

		range_next = p == range_last ? range_first : (uint16_t)(p + 1);
		rc = take_port_for(c, want, n_want, p, err);
		if (rc == -EADDRINUSE)
			continue;
		*port = p;
		return rc;
	}
	return err_kind(err, ERR_SYSTEM, "all ports are allocated");
}

/* n bindings that get one port: v[0], and its pairs. */
static int take_group(const struct claim *c, struct port_binding *v, size_t n, struct err *err)
{
	uint16_t last = v->host_port_end > v->host_port ? v->host_port_end : v->host_port;
	uint16_t port = v->host_port;
	int rc;

	if (!port) {
		rc = take_any(c, v, n, &port, err);
	} else {
		for (rc = -EADDRINUSE; rc == -EADDRINUSE; port++) {
			rc = take_port_for(c, v, n, port, err);
			if (rc != -EADDRINUSE || port == last)
				break;
		}
		if (rc == -EADDRINUSE && v->host_port != last)
			return err_kind(err, ERR_SYSTEM, "all ports are allocated");
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		v[i].host_port = v[i].host_port_end = port;
	return 0;
}

int ports_take(const char *owner, const char *ct_ip, const struct port_binding *want, size_t n,
	       struct port_binding *out, struct err *err)
{
	const struct claim c = { owner, ct_ip };
	size_t n_group;
	int rc = 0;

	pthread_mutex_lock(&lock);
	range_init();
	for (size_t i = 0; i < n; i++) {
		out[i] = want[i];
		if (str_empty(out[i].host_ip))
			str_copy(out[i].host_ip, sizeof(out[i].host_ip), "0.0.0.0");
	}
	/* those that name a port first, so that no other gets it by chance */
	for (int any = 0; any < 2; any++) {
		for (size_t i = 0; i < n && rc >= 0; i += n_group) {
			for (n_group = 1; i + n_group < n && want[i + n_group].pair;)
				n_group++;
			if ((want[i].host_port == 0) == any)
				rc = take_group(&c, &out[i], n_group, err);
		}
	}
	if (rc < 0)
		release_locked(owner);
	else
		*err = (struct err){ 0 }; /* of ports that were tried on the way */
	pthread_mutex_unlock(&lock);
	return rc;
}

void ports_adopt(const char *owner, const struct port_binding *ports, size_t n)
{
	pthread_mutex_lock(&lock);
	release_locked(owner);
	for (size_t i = 0; i < n; i++) {
		struct host_addr a;
		int rc, fd = -1;

		if (addr_parse(ports[i].host_ip, &a) < 0)
			continue;
		rc = hold_socket(ports[i].proto, &a, ports[i].host_port, &fd);
		if (rc < 0)
			log_warn("published port is held by another program",
				 "host=%s:%u proto=%s errno=%d", ports[i].host_ip,
				 ports[i].host_port, ports[i].proto, -rc);
		table_add(owner, ports[i].proto, &a, ports[i].host_port, fd);
	}
	pthread_mutex_unlock(&lock);
}

void ports_release(const char *owner)
{
	pthread_mutex_lock(&lock);
	release_locked(owner);
	pthread_mutex_unlock(&lock);
}
