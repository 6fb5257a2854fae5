/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * test_resolver.c - DNS messages, and the name server of a zone with real sockets (needs root) in
 * namespaces of its own: names, aliases, reverse names, forwarding over UDP and TCP, an upstream
 * that does not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/dns_msg.h"
#include "apiserver/engine.h"
#include "apiserver/netlink.h"
#include "apiserver/netns.h"
#include "apiserver/network_private.h"
#include "apiserver/resolver_private.h"
#include "cleanup.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

/* A query's bytes; returns the length. */
static size_t query(uint8_t *out, uint16_t id, const char *name, uint16_t type)
{
	size_t n = 12;

	memset(out, 0, 12);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[2] = 1; /* RD */
	out[5] = 1;
	while (*name) {
		size_t len = strcspn(name, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	out[n++] = 0;
	out[n++] = 0;
	out[n++] = (uint8_t)type;
	out[n++] = 0;
	out[n++] = 1;
	return n;
}

static void test_parse(void **state)
{
	uint8_t msg[512], out[DNS_REPLY_MAX];
	struct dns_query q;
	size_t len = query(msg, 7, "DB.Net", DNS_A), n;

	(void)state;
	assert_int_equal(dns_parse(msg, len, &q), 0);
	assert_string_equal(q.name, "db.net");
	assert_int_equal(q.type, DNS_A);
	n = dns_add_a(out, dns_reply(msg, &q, DNS_OK, out), 0x0a000001);
	assert_int_equal(n, len + 16);
	assert_int_equal(out[7], 1);
	assert_memory_equal(out + n - 4, "\x0a\0\0\x01", 4);
	for (size_t i = 0; i < len; i++) /* cut anywhere: never read past the end */
		assert_int_equal(dns_parse(msg, i, &q), -EINVAL);
	msg[12] = 0xc0; /* compression */
	assert_int_equal(dns_parse(msg, len, &q), -EINVAL);
	len = query(msg, 7, "x", DNS_A);
	msg[2] |= 0x80; /* a reply */
	assert_int_equal(dns_parse(msg, len, &q), -EINVAL);
	len = query(msg, 7, "x", DNS_A);
	msg[5] = 2;
	assert_int_equal(dns_parse(msg, len, &q), -EINVAL);
	for (n = dns_reply(msg, &q, DNS_OK, out); dns_add_a(out, n, 1) > n;)
		n = dns_add_a(out, n, 1);
	assert_true(n <= DNS_REPLY_MAX);
}

static void test_reverse(void **state)
{
	struct in6_addr ip6;
	char text[INET6_ADDRSTRLEN];
	uint32_t ip;

	(void)state;
	assert_int_equal(dns_reverse_ip("4.3.2.1.in-addr.arpa", &ip), 0);
	assert_int_equal(ip, 0x01020304);
	assert_int_equal(dns_reverse_ip("4.3.2.256.in-addr.arpa", &ip), -EINVAL);
	assert_int_equal(dns_reverse_ip("3.2.1.in-addr.arpa", &ip), -EINVAL);
	assert_int_equal(dns_reverse_ip("4.3.2.1.in-addr.arpa.evil", &ip), -EINVAL);
	assert_int_equal(dns_reverse_ip6("b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0."
					 "1.0.0.2.ip6.arpa", &ip6), 0);
	inet_ntop(AF_INET6, &ip6, text, sizeof(text));
	assert_string_equal(text, "2001:db8::ab");
	assert_int_equal(dns_reverse_ip6("b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0."
					 "1.0.0.g.ip6.arpa", &ip6), -EINVAL);
	assert_int_equal(dns_reverse_ip6("b.a.ip6.arpa", &ip6), -EINVAL);
}

/* ---- with sockets ---- */

static int zone_ns = -1, upstream_ns = -1;
static struct err err;

static int new_netns(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	return fd;
}

static int set_lo_up(void *arg, struct err *e)
{
	(void)arg;
	return nl_link_up(1, e);
}

static struct net_member *member(struct net *n, const char *ct_id, const char *name,
				 const char *alias, uint32_t ip)
{
	struct net_member *m = xcalloc(1, sizeof(*m));

	str_copy(m->ct_id, sizeof(m->ct_id), ct_id);
	strv_add(&m->names, name);
	if (alias)
		strv_add(&m->names, alias);
	m->ip = ip;
	m->next = n->members;
	n->members = m;
	return m;
}

/* Answers everything with 9.9.9.9, on UDP and TCP port 53 of the address inside the zone. */
struct upstream {
	int type, fd;
};

static void upstream_open(struct upstream *u, int type)
{
	int fd = netns_socket(upstream_ns, AF_INET, type, 0, &err), on = 1;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(53) };

	inet_pton(AF_INET, "127.9.9.9", &sa.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 5) < 0))
		abort();
	*u = (struct upstream){ type, fd };
}

static void *upstream_serve(void *arg)
{
	int type = ((struct upstream *)arg)->type, fd = ((struct upstream *)arg)->fd;
	uint8_t msg[1024], out[DNS_REPLY_MAX + 2];
	struct sockaddr_in sa;

	for (;;) {
		socklen_t len = sizeof(sa);
		int c = type == SOCK_STREAM ? accept(fd, NULL, NULL) : fd;
		size_t skip = type == SOCK_STREAM ? 2 : 0, n;
		ssize_t got = recvfrom(c, msg, sizeof(msg), 0, (struct sockaddr *)&sa, &len);
		struct dns_query q;

		if (got <= 0 || dns_parse(msg + skip, (size_t)got - skip, &q) < 0)
			continue;
		n = dns_add_a(out + skip, dns_reply(msg + skip, &q, DNS_OK, out + skip),
			      0x09090909);
		out[0] = skip ? (uint8_t)(n >> 8) : out[0];
		out[1] = skip ? (uint8_t)n : out[1];
		sendto(c, out, n + skip, MSG_NOSIGNAL, skip ? NULL : (struct sockaddr *)&sa,
		       skip ? 0 : len);
		if (skip)
			close(c);
	}
	return NULL;
}

static int setup(void **state)
{
	/* 127.9.9.9 would be asked from the host's side: a plain address on lo is the zone's own */
	static char *servers[] = { (char *)"10.255.255.1", (char *)"10.9.9.9", NULL };
	struct net *n = xcalloc(1, sizeof(*n)), *builtin = xcalloc(1, sizeof(*builtin));

	(void)state;
	if (geteuid() != 0)
		return 0;
	if (unshare(CLONE_NEWNET) < 0 || netns_init(&err) < 0)
		return -1;
	zone_ns = new_netns();
	if (netns_call(zone_ns, set_lo_up, NULL, &err) < 0)
		return -1;
	n->name = xstrdup("mynet");
	builtin->name = xstrdup("bridge");
	builtin->builtin = true;
	member(n, "self", "me", NULL, 0x0a000001)->links = strv_split("db:dblink", ',');
	member(n, "c2", "db", "sql", 0x0a000002);
	member(n, "c3", "db2", "sql", 0x0a000003);
	member(builtin, "self", "me", NULL, 0x0b000001);
	member(builtin, "c4", "hidden", NULL, 0x0b000002);
	net_link(n);
	net_link(builtin);
	return rs_zone_start("self", zone_ns, servers, &err) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	rs_fini();
	while (net_list) {
		struct net *n = net_list;

		net_unlink(n);
		net_free(n);
	}
	return 0;
}

/* Number of answers, -1 for none at all; the last address is in *ip, the response code in *rcode.
 */
static int ask(const char *name, uint16_t type, int sock_type, uint32_t *ip, int *rcode)
{
	cleanup_fd int fd = netns_socket(zone_ns, AF_INET, sock_type, 0, &err);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct timeval t = { .tv_sec = 6 };
	uint8_t buf[1024], *msg = sock_type == SOCK_STREAM ? buf + 2 : buf;
	size_t len = query(msg, 4242, name, type);
	ssize_t n;

	inet_pton(AF_INET, "127.0.0.11", &sa.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	buf[0] = sock_type == SOCK_STREAM ? 0 : buf[0];
	if (sock_type == SOCK_STREAM)
		buf[1] = (uint8_t)len;
	if (send(fd, buf, len + (size_t)(msg - buf), 0) < 0)
		return -1;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 12)
		return -1;
	*rcode = msg[3] & 15;
	*ip = (uint32_t)buf[n - 4] << 24 | (uint32_t)buf[n - 3] << 16 | (uint32_t)buf[n - 2] << 8 |
	      buf[n - 1];
	return msg[6] << 8 | msg[7];
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int n;
		uint32_t ip;
	} rows[] = {
		{ "db", 1, 0x0a000002 },     { "DB", 1, 0x0a000002 }, { "db.mynet", 1, 0x0a000002 },
		{ "dblink", 1, 0x0a000002 }, { "me", 1, 0x0a000001 }, { "sql", 2, 0 },
		{ "sql.mynet", 2, 0 },
	};
	uint32_t ip;
	int rcode;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int tcp = 0; tcp < 2; tcp++) {
			assert_int_equal(ask(rows[i].name, DNS_A, tcp ? SOCK_STREAM : SOCK_DGRAM,
					     &ip, &rcode),
					 rows[i].n);
			assert_int_equal(rcode, DNS_OK);
			if (rows[i].ip)
				assert_int_equal(ip, rows[i].ip);
		}
	}
	assert_int_equal(ask("db", DNS_AAAA, SOCK_DGRAM, &ip, &rcode), 0);
	assert_int_equal(rcode, DNS_OK);
	assert_int_equal(ask("2.0.0.10.in-addr.arpa", DNS_PTR, SOCK_DGRAM, &ip, &rcode), 1);
}

/* Before anybody listens upstream: both refuse at once. */
static void test_no_upstream(void **state)
{
	uint32_t ip;
	int rcode;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(ask("hidden", DNS_A, SOCK_DGRAM, &ip, &rcode), 0);
	assert_int_equal(rcode, DNS_SERVFAIL);
	assert_int_equal(ask("hidden", DNS_A, SOCK_STREAM, &ip, &rcode), -1);
}

static void test_forward(void **state)
{
	static struct upstream servers_up[2]; /* the threads outlive this function */
	static char *servers[] = { (char *)"127.9.9.9", NULL };
	static int types[2] = { SOCK_DGRAM, SOCK_STREAM };
	static pthread_t threads[2];
	uint32_t ip;
	int rcode;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* a server on the host's loopback: asked from the host's namespace, so it has to be there
	 */
	upstream_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(nl_link_up(1, &err), 0);
	for (int i = 0; i < 2; i++) {
		upstream_open(&servers_up[i], types[i]); /* whoever asks from here on is heard */
		assert_int_equal(pthread_create(&threads[i], NULL, upstream_serve, &servers_up[i]), 0);
	}
	assert_int_equal(rs_zone_start("self", zone_ns, servers, &err), 0);
	assert_int_equal(ask("example.test", DNS_A, SOCK_DGRAM, &ip, &rcode), 1);
	assert_int_equal(ip, 0x09090909);
	assert_int_equal(ask("example.test", DNS_A, SOCK_STREAM, &ip, &rcode), 1);
	assert_int_equal(ip, 0x09090909);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(ask("again.test", DNS_A, SOCK_DGRAM, &ip, &rcode), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_no_upstream),
		cmocka_unit_test(test_forward),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
