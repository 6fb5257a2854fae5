/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * test_netpath.c - network_attach and what hangs on it, with real links, rules and connections, in
 * a network namespace of its own. Needs root; without it all is skipped. `test_netpath bench` tells
 * what an attach costs.
 *
 *	ext 10.9.0.2 --- ext0 10.9.0.1 [host: this namespace] bridge --- a, b
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
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/firewall.h"
#include "apiserver/netlink.h"
#include "apiserver/netns.h"
#include "apiserver/network.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

static char root[] = "/tmp/netpath.XXXXXX";
static int ext_fd = -1;
static struct err err;

#define OK(expr)                                                                                   \
	do {                                                                                       \
		err = (struct err){ 0 };                                                           \
		if ((expr) < 0)                                                                    \
			fail_msg("%s: %s", #expr, err.msg);                                        \
	} while (0)

static int new_netns(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	return fd;
}

/* -1 is the host. */
static int sock(int ns, int type)
{
	int fd = ns < 0 ? socket(AF_INET, type | SOCK_CLOEXEC, 0)
			: netns_socket(ns, AF_INET, type, 0, &err);

	assert_true(fd >= 0);
	return fd;
}

static struct sockaddr_in addr(const char *ip, int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	inet_pton(AF_INET, ip, &sa.sin_addr);
	return sa;
}

static int server(int ns, int type, const char *ip, int port)
{
	struct sockaddr_in sa = addr(ip, port);
	int fd = sock(ns, type), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* 0 connected, else errno (ETIMEDOUT after ms). */
static int try_tcp(int ns, const char *ip, int port, int ms)
{
	struct sockaddr_in sa = addr(ip, port);
	cleanup_fd int fd = sock(ns, SOCK_STREAM | SOCK_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int so = 0;

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&p, 1, ms) == 0)
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &so, &len);
	return so;
}

/* Sends from ns; what arrives at srv is answered; true when the answer comes back. */
/* A question and its answer; a lost datagram is asked again. */
static bool try_udp(int ns, const char *ip, int port, int srv)
{
	struct sockaddr_in sa = addr(ip, port), from;
	cleanup_fd int fd = sock(ns, SOCK_DGRAM);
	struct timeval t = { .tv_usec = 300000 };
	socklen_t len = sizeof(from);
	char buf[8];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(srv, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return false;
	for (unsigned k = 0; k < 10; k++) {
		if (send(fd, "hi", 2, 0) != 2 ||
		    recvfrom(srv, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) != 2)
			continue;
		sendto(srv, "yo", 2, 0, (struct sockaddr *)&from, len);
		if (recv(fd, buf, sizeof(buf), 0) == 2)
			return true;
	}
	return false;
}

struct zone {
	int ns;
	struct endpoint ep;
	char id[65];
};

static void zone_up(struct zone *z, const char *network, const struct port_binding *ports, size_t n)
{
	*z = (struct zone){ .ns = new_netns() };
	id_generate(z->id);
	z->ep.network = xstrdup(network);
	OK(network_attach(&z->ep, z->id, "zone", z->ns, "eth0", true, ports, n, &err));
}

static void zone_down(struct zone *z)
{
	network_detach(&z->ep, z->id);
	endpoint_fini(&z->ep);
	close(z->ns);
}

static int group_setup(void **state)
{
	uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	int br;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || !mkdtemp(root))
		return -1;
	/* lo up, and the outside */
	OK(netns_init(&err));
	OK(nl_link_up(1, &err));
	br = nl_bridge_make("ext0", 0, mac, &err);
	assert_true(br > 0);
	OK(nl_addr_add(br, 0x0a090001, 24, &err));
	OK(nl_link_up(br, &err));
	ext_fd = new_netns();
	OK(nl_veth_make(&(struct nl_veth){ .host_name = "ext0p",
					   .peer_name = "eth0",
					   .netns_fd = ext_fd,
					   .master = br,
					   .mac = { 2, 0, 0, 0, 0, 8 } },
			&err));
	OK(nl_inside_setup(
		ext_fd,
		&(struct nl_inside){
			.ifname = "eth0", .ip = 0x0a090002, .prefix = 24, .gateway = 0x0a090001 },
		&err));
	OK(paths_init(&the_engine.paths, root, &err));
	OK(conf_load(&the_engine.conf, NULL, &err));
	OK(fs_mkdir_p(the_engine.paths.lib, 0700, &err));
	{
		char db[1024];

		assert_true(str_fmt(db, sizeof(db), "%s/state.db", the_engine.paths.lib) > 0);
		OK(store_open(db, &err));
	}
	OK(network_init(&err));
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	network_fini(true);
	store_close();
	conf_free(the_engine.conf);
	fs_remove_tree(AT_FDCWD, root, &err);
	return 0;
}

static const struct port_binding tcp_any = {
	.ct_port = 80, .proto = "tcp", .host_port = 8080, .host_port_end = 8080
};

static void test_published_port(void **state)
{
	cleanup_fd int srv = -1;
	struct zone a, b;

	(void)state;
	zone_up(&a, "bridge", &tcp_any, 1);
	zone_up(&b, "bridge", NULL, 0);
	assert_string_not_equal(a.ep.ip, b.ep.ip);
	srv = server(a.ns, SOCK_STREAM, "0.0.0.0", 80);

	assert_int_equal(try_tcp(-1, "127.0.0.1", 8080, 2000), 0);
	assert_int_equal(try_tcp(-1, a.ep.gateway, 8080, 2000), 0);
	assert_int_equal(try_tcp(-1, "10.9.0.1", 8080, 2000), 0);
	assert_int_equal(try_tcp(-1, a.ep.ip, 80, 2000), 0);
	assert_int_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 2000), 0);
	assert_int_equal(try_tcp(b.ns, a.ep.ip, 80, 2000), 0);
	assert_int_equal(try_tcp(b.ns, a.ep.gateway, 8080, 2000), 0);
	assert_int_equal(try_tcp(b.ns, "10.9.0.1", 8080, 2000), 0);
	assert_int_equal(try_tcp(a.ns, "10.9.0.1", 8080, 2000), 0); /* hairpin */
	zone_down(&a);
	assert_int_not_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 300), 0);
	zone_down(&b);
}

static void test_only_published(void **state)
{
	struct port_binding lo = { .ct_port = 80,
				   .proto = "tcp",
				   .host_ip = "127.0.0.1",
				   .host_port = 8081,
				   .host_port_end = 8081 };
	cleanup_fd int srv = -1, srv81 = -1, host = -1, out = -1;
	struct zone a;

	(void)state;
	zone_up(&a, "bridge", &lo, 1);
	srv = server(a.ns, SOCK_STREAM, "0.0.0.0", 80);
	srv81 = server(a.ns, SOCK_STREAM, "0.0.0.0", 81);
	host = server(-1, SOCK_STREAM, "127.0.0.1", 9000);
	out = server(ext_fd, SOCK_STREAM, "0.0.0.0", 9001);
	assert_int_equal(try_tcp(-1, "127.0.0.1", 8081, 2000), 0);
	assert_int_not_equal(try_tcp(ext_fd, "10.9.0.1", 8081, 300), 0);
	assert_int_not_equal(try_tcp(-1, "10.9.0.1", 8081, 300), 0);
	/* a neighbour that sends to the zone's own address by us, or to our loopback */
	assert_int_not_equal(try_tcp(ext_fd, a.ep.ip, 81, 300), 0);
	assert_int_not_equal(try_tcp(a.ns, "127.0.0.1", 9000, 300), 0);
	/* out: masqueraded */
	assert_int_equal(try_tcp(a.ns, "10.9.0.2", 9001, 2000), 0);
	{
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		cleanup_fd int c = accept(out, (struct sockaddr *)&peer, &len);

		assert_true(c >= 0);
		assert_string_equal(inet_ntoa(peer.sin_addr), "10.9.0.1");
	}
	zone_down(&a);
}

static void test_udp(void **state)
{
	struct port_binding udp = { .ct_port = 53, .proto = "udp" };
	cleanup_fd int srv = -1;
	struct zone a;

	(void)state;
	zone_up(&a, "bridge", &udp, 1);
	assert_in_range(a.ep.ports[0].host_port, 32768, 60999);
	srv = server(a.ns, SOCK_DGRAM, "0.0.0.0", 53);
	assert_true(try_udp(-1, "127.0.0.1", a.ep.ports[0].host_port, srv));
	assert_true(try_udp(ext_fd, "10.9.0.1", a.ep.ports[0].host_port, srv));
	zone_down(&a);
}

/* A client that keeps its port finds the zone that has the port now. */
static void test_udp_flows(void **state)
{
	struct port_binding udp = {
		.ct_port = 53, .proto = "udp", .host_port = 5300, .host_port_end = 5300
	};
	struct sockaddr_in to = addr("10.9.0.1", 5300), me = addr("10.9.0.2", 7777), from;
	struct timeval t = { .tv_usec = 500000 };
	cleanup_fd int client = sock(ext_fd, SOCK_DGRAM);
	char buf[8];

	(void)state;
	assert_int_equal(bind(client, (struct sockaddr *)&me, sizeof(me)), 0);
	for (unsigned i = 0; i < 3; i++) {
		socklen_t len = sizeof(from);
		struct zone a;
		ssize_t n = -1;
		int srv;

		/* without a zone: the flow is known to the kernel as one to the host */
		sendto(client, "no", 2, 0, (struct sockaddr *)&to, sizeof(to));
		zone_up(&a, "bridge", &udp, 1);
		srv = server(a.ns, SOCK_DGRAM, "0.0.0.0", 53);
		setsockopt(srv, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
		/* a datagram may be lost, a flow that leads elsewhere loses all */
		for (unsigned k = 0; k < 20 && n != 2; k++) {
			sendto(client, "hi", 2, 0, (struct sockaddr *)&to, sizeof(to));
			n = recvfrom(srv, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		}
		assert_int_equal(n, 2);
		close(srv);
		zone_down(&a);
	}
}

static void test_conflicts(void **state)
{
	struct port_binding range = {
		.ct_port = 80, .proto = "tcp", .host_port = 8080, .host_port_end = 8082
	};
	struct endpoint ep = { .network = xstrdup("bridge") };
	cleanup_fd int host = -1, ns = new_netns();
	struct sockaddr_in sa = addr("0.0.0.0", 8080);
	struct zone a, b;
	int on = 1;

	(void)state;
	zone_up(&a, "bridge", &tcp_any, 1);
	err = (struct err){ 0 };
	assert_true(network_attach(&ep, "x", "other", ns, "eth0", true, &tcp_any, 1, &err) < 0);
	assert_non_null(strstr(
		err.msg, "driver failed programming external connectivity on endpoint other ("));
	assert_non_null(
		strstr(err.msg, "): Bind for 0.0.0.0:8080 failed: port is already allocated"));
	assert_string_equal(ep.ip, "");
	/* a program of the host cannot have it, whatever it sets */
	host = sock(-1, SOCK_STREAM);
	setsockopt(host, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(host, (struct sockaddr *)&sa, sizeof(sa)), -1);
	assert_int_equal(errno, EADDRINUSE);
	zone_up(&b, "bridge", &range, 1);
	assert_int_equal(b.ep.ports[0].host_port, 8081);
	zone_down(&b);
	zone_down(&a);
	assert_int_equal(bind(host, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(host, 1), 0);
	err = (struct err){ 0 };
	assert_true(network_attach(&ep, "x", "other", ns, "eth0", true, &tcp_any, 1, &err) < 0);
	assert_non_null(strstr(err.msg, "): failed to bind host port for 0.0.0.0:8080:172."));
	assert_non_null(strstr(err.msg, ":80/tcp: address already in use"));
	endpoint_fini(&ep);
}

static void test_restart(void **state)
{
	cleanup_fd int srv = -1;
	struct zone a, b, gone;
	struct port_binding other = { .ct_port = 80, .proto = "tcp", .host_port = 8090 };
	char old_ip[16];

	(void)state;
	zone_up(&a, "bridge", &tcp_any, 1);
	zone_up(&gone, "bridge", &other, 1);
	srv = server(a.ns, SOCK_STREAM, "0.0.0.0", 80);
	str_copy(old_ip, sizeof(old_ip), a.ep.ip);
	network_fini(false);
	assert_int_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 2000), 0);
	OK(network_init(&err));
	assert_int_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 2000), 0);
	OK(network_adopt(&a.ep, a.id, &err));
	network_adopt_end();
	assert_int_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 2000), 0);
	/* address and port are on the books, those of the lost one are free */
	zone_up(&b, "bridge", &other, 1);
	assert_string_not_equal(b.ep.ip, old_ip);
	zone_down(&b);
	zone_down(&a);
	endpoint_fini(&gone.ep);
	close(gone.ns);
}

static void test_user_networks(void **state)
{
	static const char plain[] = "{\"Name\":\"n1\",\"Labels\":{\"k\":\"v\"}}";
	static const char internal[] =
		"{\"Name\":\"n2\",\"Internal\":true,\"IPAM\":{\"Config\":[{\"Subnet\":"
		"\"10.77.0.0/24\",\"IPRange\":\"10.77.0.128/25\"}]}}";
	char id1[65], id2[65], gone[65], *n1 = NULL, *n2 = NULL, *name = NULL;
	cleanup_buf struct buf body = BUF_INIT;
	cleanup_fd int srv = -1, srv2 = -1;
	struct zone a, b, c, d;

	(void)state;
	buf_addstr(&body, plain);
	OK(network_create(&body, id1, &n1, &err));
	buf_reset(&body);
	buf_addstr(&body, internal);
	OK(network_create(&body, id2, &n2, &err));
	zone_up(&a, "n1", &tcp_any, 1);
	zone_up(&b, "bridge", NULL, 0);
	zone_up(&c, "n2", NULL, 0);
	*(&d) = (struct zone){ .ns = new_netns() };
	d.ep.network = xstrdup("n2");
	d.ep.want_ip = xstrdup("10.77.0.5");
	OK(network_attach(&d.ep, "d", "d", d.ns, "eth0", true, NULL, 0, &err));
	assert_string_equal(d.ep.ip, "10.77.0.5");
	assert_true(str_starts(c.ep.ip, "10.77.0.1"));
	srv = server(a.ns, SOCK_STREAM, "0.0.0.0", 80);
	srv2 = server(c.ns, SOCK_STREAM, "0.0.0.0", 80);
	assert_int_equal(try_tcp(ext_fd, "10.9.0.1", 8080, 2000), 0);
	assert_int_not_equal(try_tcp(b.ns, a.ep.ip, 80, 300), 0);   /* isolated */
	assert_int_equal(try_tcp(b.ns, "10.9.0.1", 8080, 2000), 0); /* but published */
	assert_int_equal(try_tcp(d.ns, c.ep.ip, 80, 2000), 0);	    /* within */
	assert_int_not_equal(try_tcp(b.ns, c.ep.ip, 80, 300), 0);
	assert_int_not_equal(try_tcp(c.ns, "10.9.0.2", 22, 300), ECONNREFUSED); /* no way out */
	assert_true(network_remove("n1", gone, &name, &err) < 0);
	assert_non_null(strstr(err.msg, "has active endpoints"));
	zone_down(&a);
	zone_down(&b);
	zone_down(&c);
	zone_down(&d);
	OK(network_remove("n1", gone, &name, &err));
	assert_string_equal(gone, id1);
	free(name);
	OK(network_remove(id2, gone, &name, &err));
	assert_string_equal(name, "n2");
	free(name);
	free(n1);
	free(n2);
	assert_true(network_remove("bridge", gone, &name, &err) < 0);
	assert_string_equal(err.msg, "bridge is a pre-defined network and cannot be removed");
}

static void bench(void)
{
	enum { N = 200 };
	int64_t attach = 0, ports = 0;
	static int ns[2 * N];

	for (int i = 0; i < 2 * N; i++)
		ns[i] = new_netns();
	for (int i = 0; i < 2 * N; i++) {
		struct endpoint ep = { .network = xstrdup("bridge") };
		struct port_binding p = { .ct_port = 80, .proto = "tcp" };
		int64_t t = mono_ns();

		OK(network_attach(&ep, "bench", "bench", ns[i], "eth0", true, &p, i & 1, &err));
		*(i & 1 ? &ports : &attach) += mono_ns() - t;
		network_detach(&ep, "bench");
		endpoint_fini(&ep);
	}
	for (int i = 0; i < 2 * N; i++)
		close(ns[i]);
	printf("attach %.3f ms, with a published port %.3f ms\n", (double)attach / N / 1e6,
	       (double)ports / N / 1e6);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_port),
		cmocka_unit_test(test_only_published),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_flows),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_user_networks),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	if (argc > 1 && str_eq(argv[1], "bench")) {
		group_setup(NULL);
		bench();
		return group_teardown(NULL);
	}
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
