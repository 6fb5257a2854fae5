/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Neighbours in a network namespace of its own, in each of the states that the kernel gives them. Needs root; without it all is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../logsvc/sink_neigh.h"
#include "cleanup.h"

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static bool in_netns;

static void set_up(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return;
	sh("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up &&"
	   "ip addr add 10.9.9.1/24 dev d0 && ip addr add fd09::1/64 dev d0 nodad && ip route add 10.8.0.0/24 via 10.9.9.9 &&"
	   "for f in 4 6; do echo 20 >/proc/sys/net/ipv$f/neigh/d0/retrans_time_ms; done");
	in_netns = true;
}

static int udp_to(const char *host)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(5514) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(5514) };
	bool is6 = strchr(host, ':') != NULL;
	int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(is6 ? inet_pton(AF_INET6, host, &a6.sin6_addr) : inet_pton(AF_INET, host, &a4.sin_addr), 1);
	if (is6)
		assert_int_equal(connect(fd, (struct sockaddr *)&a6, sizeof(a6)), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&a4, sizeof(a4)), 0);
	return fd;
}

static const char *const hosts[][2] = { { "10.9.9.9", "10.9.9.9" }, { "fd09::9", "fd09::9" }, { "10.8.0.7", "10.9.9.9" } }; /* and the next one */

static void neighbour(size_t i, const char *verb, const char *state)
{
	char command[200];

	(void)snprintf(command, sizeof(command), "ip neigh %s %s dev d0 %s", verb, hosts[i][1], state);
	sh(command);
}

static void test_absent(void **state)
{
	(void)state;
	if (!in_netns)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		cleanup_fd int fd = udp_to(hosts[i][0]);
		struct neigh n;
		int rc;

		sh("ip neigh flush all");
		neigh_open(&n, fd);
		assert_int_equal(neigh_arrives(&n), 0);
		assert_int_equal(neigh_wait(&n, 5, 1000), 1);
		assert_int_equal(send(fd, "x", 1, 0), 1);
		rc = neigh_wait(&n, 5, 3000);
		if (rc == 1) /* the socket was told first */
			rc = send(fd, "x", 1, 0) < 0 ? -errno : 0;
		assert_int_equal(rc, -EHOSTUNREACH);
		assert_int_equal(n.far, i == 2);
		neigh_close(&n);
	}
}

static void test_states(void **state)
{
	(void)state;
	if (!in_netns)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		cleanup_fd int fd = udp_to(hosts[i][0]);
		struct neigh n;

		neigh_open(&n, fd);
		neighbour(i, "replace", "lladdr 02:00:00:00:00:09 nud reachable");
		assert_int_equal(neigh_wait(&n, 5, 0), 5);
		assert_int_equal(neigh_arrives(&n), 1);
		neighbour(i, "replace", "nud stale");
		assert_int_equal(neigh_wait(&n, 5, 0), 5);
		assert_int_equal(neigh_arrives(&n), 0);
		neighbour(i, "replace", "nud permanent");
		assert_int_equal(neigh_arrives(&n), 1);
		neighbour(i, "del", ""); /* what was sent before may not have arrived */
		assert_int_equal(neigh_arrives(&n), -EHOSTUNREACH);
		n.look_ns = 0;
		assert_int_equal(neigh_wait(&n, 5, 0), -EHOSTUNREACH);
		n.look_ns = n.sent_ns = 0; /* long ago: it is asked for anew */
		assert_int_equal(neigh_wait(&n, 5, 0), 1);
		neighbour(i, "replace", "lladdr 02:00:00:00:00:09 nud permanent");
		assert_int_equal(neigh_wait(&n, 5, 0), 5);
		assert_int_equal(neigh_arrives(&n), 1);
		neigh_close(&n);
	}
}

/* after a refusal: one, and the others when it had the time to be refused */
static void test_doubted(void **state)
{
	(void)state;
	if (!in_netns)
		skip();
	cleanup_fd int fd = udp_to(hosts[0][0]);
	struct neigh n;

	neigh_open(&n, fd);
	n.doubted = true;
	neighbour(0, "replace", "lladdr 02:00:00:00:00:09 nud permanent");
	assert_int_equal(neigh_wait(&n, 5, 0), 1);
	assert_int_equal(neigh_wait(&n, 5, 100), -ETIMEDOUT);
	assert_int_equal(neigh_wait(&n, 5, 3000), 5);
	assert_int_equal(neigh_wait(&n, 5, 0), 5);
	neigh_close(&n);
}

static void test_no_neighbours(void **state)
{
	static const char *const here[] = { "127.0.0.1", "::1", "10.9.9.1" };

	(void)state;
	if (!in_netns)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
		cleanup_fd int fd = udp_to(here[i]);
		struct neigh n;

		neigh_open(&n, fd);
		n.doubted = true;
		assert_int_equal(neigh_wait(&n, 5, 0), 5);
		assert_int_equal(neigh_arrives(&n), 1);
		assert_false(n.far);
		neigh_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_doubted),
		cmocka_unit_test(test_no_neighbours),
	};

	set_up();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
