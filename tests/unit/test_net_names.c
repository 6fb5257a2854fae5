/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* test_net_names.c - addresses (ipam.c), host ports (ports.c), the zone's name files
 * (hosts_files.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "apiserver/engine.h"
#include "apiserver/hosts_files.h"
#include "apiserver/ipam.h"
#include "apiserver/ports.h"
#include "cleanup.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

static struct ip4_net net(const char *s)
{
	struct ip4_net n;

	assert_int_equal(ip4_net_parse(s, &n, NULL), 0);
	return n;
}

static void test_parse(void **state)
{
	static const char *const bad[] = {"",	      "1.2.3.4",    "1.2.3.4/33",
					  "1.2.3/8",  "1.2.3.4/-1", "a/8",
					  "1.2.3.4/", "1.2.3.4/8x", "1111.2222.3333.4444/8"};
	struct ip4_net n;
	uint32_t ip;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip4_net_parse(bad[i], &n, NULL), -EINVAL);
	assert_int_equal(ip4_net_parse("10.1.2.3/24", &n, &ip), 0);
	assert_int_equal(n.base, 0x0a010200);
	assert_int_equal(ip, 0x0a010203);
	assert_int_equal(ip4_net_parse("10.1.2.3/0", &n, &ip), 0);
	assert_int_equal(n.base, 0);
}

static void test_pick(void **state)
{
	struct ip4_net used[3] = {net("172.17.4.0/24"), net("172.18.0.0/15"), net("10.0.0.0/8")},
		       got;
	struct ip4_net all = net("0.0.0.0/0"), rfc = net("172.16.0.0/12");
	struct err err = {0};

	(void)state;
	assert_int_equal(ipam_pick(NULL, 0, &got, &err), 0);
	assert_int_equal(got.base, net("172.17.0.0/16").base);
	assert_int_equal(ipam_pick(used, 3, &got, &err), 0);
	assert_int_equal(got.base, net("172.20.0.0/16").base);
	assert_int_equal(ipam_pick(&rfc, 1, &got, &err), 0);
	assert_int_equal(got.base, net("192.168.0.0/20").base);
	assert_int_equal(got.prefix, 20);
	assert_true(ipam_pick(&all, 1, &got, &err) < 0);
}

static void test_alloc(void **state)
{
	struct ip4_net n = net("10.0.0.0/29"), r = net("10.0.0.4/30"), foreign = net("10.0.1.0/30");
	struct err err = {0};
	struct ipam p;
	uint32_t ip;

	(void)state;
	assert_int_equal(ipam_init(&p, &n, NULL, &err), 0);
	for (uint32_t i = 1; i <= 6; i++) {
		assert_int_equal(ipam_alloc(&p, 0, &ip, &err), 0);
		assert_int_equal(ip, n.base + i);
	}
	assert_int_equal(ipam_alloc(&p, 0, &ip, &err), -ENOSPC);
	ipam_release(&p, n.base + 2);
	ipam_release(&p, n.base + 5);
	ipam_release(&p, n.base); /* network and broadcast are never given out */
	ipam_release(&p, n.base + 7);
	ipam_release(&p, n.base + 99);
	assert_int_equal(ipam_alloc(&p, 0, &ip, &err), 0);
	assert_int_equal(ip, n.base + 2);
	ipam_release(&p, ip);
	assert_int_equal(ipam_alloc(&p, 0, &ip, &err), 0);
	assert_int_equal(ip, n.base + 5); /* not the one just freed */
	assert_true(ipam_alloc(&p, n.base + 5, &ip, &err) < 0);
	assert_string_equal(err.msg, "Address already in use");
	assert_true(ipam_alloc(&p, n.base + 8, &ip, &err) < 0);
	ipam_fini(&p);

	assert_int_equal(ipam_init(&p, &n, &r, &err), 0);
	assert_int_equal(ipam_alloc(&p, 0, &ip, &err), 0);
	assert_int_equal(ip, r.base);
	assert_int_equal(ipam_alloc(&p, n.base + 1, &ip, &err),
			 0); /* asked for: all of the subnet */
	ipam_fini(&p);
	assert_true(ipam_init(&p, &n, &foreign, &err) < 0);
	n = net("10.0.0.0/31");
	assert_true(ipam_init(&p, &n, NULL, &err) < 0);
}

static void test_ports(void **state)
{
	struct port_binding want[2] = {{.ct_port = 80, .proto = "tcp", .host_ip = "127.0.0.1"},
				       {.ct_port = 80, .proto = "udp", .host_ip = "127.0.0.1"}};
	struct port_binding got[2], again, v6 = {.ct_port = 80, .proto = "tcp", .host_ip = "::1"};
	struct err err = {0};

	(void)state;
	assert_int_equal(ports_take("e1", want, 2, got, &err), 0);
	assert_true(got[0].host_port && got[1].host_port);
	again = got[0];
	assert_true(ports_take("e2", &again, 1, got, &err) < 0);
	assert_non_null(strstr(err.msg, "failed: port is already allocated"));
	str_copy(again.host_ip, sizeof(again.host_ip), ""); /* all addresses: the same port */
	assert_true(ports_take("e2", &again, 1, got, &err) < 0);
	ports_release("e1");
	assert_int_equal(ports_take("e2", &again, 1, got, &err), 0);
	assert_string_equal(got[0].host_ip, "0.0.0.0");
	ports_release("e2");
	assert_true(ports_take("e3", &v6, 1, got, &err) < 0);
	str_copy(again.host_ip, sizeof(again.host_ip), "203.0.113.7");
	assert_true(ports_take("e3", &again, 1, got, &err) < 0);
	assert_non_null(strstr(err.msg, "cannot assign requested address"));
}

static void test_hosts(void **state)
{
	static const struct {
		const char *entry, *want;
	} extra[] = {
		{"db:10.9.8.7", "10.9.8.7\tdb\n"},
		{"db=10.9.8.7", "10.9.8.7\tdb\n"},
		{"six:::1", "::1\tsix\n"},
		{"six:[::1]", "::1\tsix\n"},
		{"gw:host-gateway", "172.17.0.1\tgw\n"},
		{"evil\nline:1.1.1.1", ""},
		{"evil:1.1.1.1 localhost", ""},
		{"nothing", ""},
		{":1.1.1.1", ""},
	};
	static const struct {
		const char *ip, *host, *domain, *want;
	} own[] = {
		{"10.0.0.2", "web", "", "10.0.0.2\tweb\n"},
		{"10.0.0.2", "web", "ex.test", "10.0.0.2\tweb.ex.test web\n"},
		{"10.0.0.2", "web.ex.test", "", "10.0.0.2\tweb.ex.test web\n"},
		{"", "web", "", ""},
		{"10.0.0.2", "a b", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		cleanup_buf struct buf b = BUF_INIT;

		hosts_add_extra(&b, extra[i].entry, "172.17.0.1");
		assert_string_equal(buf_str(&b), extra[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		cleanup_buf struct buf b = BUF_INIT;

		hosts_add_own(&b, own[i].ip, own[i].host, own[i].domain);
		assert_string_equal(buf_str(&b), own[i].want);
	}
}

static void test_resolv(void **state)
{
	static const struct {
		const char *host, *want;
	} rows[] = {
		{"", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"# c\nnameserver 127.0.0.53\nnameserver ::1\n",
		 "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"nameserver 10.0.0.1 # x\n\tnameserver\t127.0.0.1\nnameserver 10.0.0.2",
		 "nameserver 10.0.0.1\nnameserver 10.0.0.2\n"},
		{"domain old\nsearch a b\noptions ndots:2 rotate\nnameserver 1.1.1.1\n",
		 "nameserver 1.1.1.1\nsearch a b\noptions ndots:2 rotate\n"},
		{"search .\nnameserver 1.1.1.1\n", "nameserver 1.1.1.1\n"},
		{"nameserver\nbogus line\nnameserver 1.1.1.1\n", "nameserver 1.1.1.1\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct resolv r = {0};

		resolv_parse(rows[i].host, &r);
		resolv_for_zone(&r);
		resolv_write(&r, &b);
		assert_string_equal(buf_str(&b), rows[i].want);
		resolv_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_pick),
		cmocka_unit_test(test_alloc), cmocka_unit_test(test_ports),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_resolv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
