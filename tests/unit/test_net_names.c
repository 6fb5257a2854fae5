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
#include "apiserver/ipam6.h"
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

static struct ip6_net net6(const char *s)
{
	struct ip6_net n;

	assert_int_equal(ip6_net_parse(s, &n, NULL), 0);
	return n;
}

static void test_ip6(void **state)
{
	static const char *const bad[] = {"", "::1", "::1/129", "1::2::3/8", "::/-1", "10.0.0.0/8"};
	struct ip6_net n, a = net6("fd00:1::/32"), b = net6("fd00:1:2::/48"), c = net6("fd00:2::/32");
	struct ip6_net first, second;
	struct in6_addr ip;
	struct err err = {0};
	char text[IP6_NET_STR];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip6_net_parse(bad[i], &n, &ip), -EINVAL);
	assert_int_equal(ip6_net_parse("2001:db8::5/61", &n, &ip), 0);
	ip6_net_format(&n, text);
	assert_string_equal(text, "2001:db8::/61");
	assert_false(ip6_equal(&ip, &n.base));
	assert_true(ip6_overlap(&a, &b) && ip6_overlap(&b, &a) && !ip6_overlap(&b, &c));

	assert_int_equal(ipam6_pick("seed", NULL, 0, &first, &err), 0);
	assert_int_equal(first.base.s6_addr[0], 0xfd);
	assert_int_equal(first.prefix, 64);
	assert_int_equal(ipam6_pick("seed", &first, 1, &second, &err), 0);
	assert_false(ip6_overlap(&first, &second));
	assert_memory_equal(&first.base, &second.base, 6);
}

static const char *next6(struct ipam6 *p, char text[IP6_STR])
{
	struct err err = {0};
	struct in6_addr ip;

	if (ipam6_alloc(p, NULL, &ip, &err) < 0)
		return "none";
	ip6_format(&ip, text);
	return text;
}

static void test_alloc6(void **state)
{
	struct ip6_net n = net6("fd00::/126"), wide = net6("fd00::/64"), r = net6("fd00::f0/124"),
		       foreign = net6("fd01::/124"), tiny = net6("fd00::/127");
	struct in6_addr ip, got;
	struct err err = {0};
	char text[IP6_STR];
	struct ipam6 p;

	(void)state;
	assert_int_equal(ipam6_init(&p, &n, NULL, &err), 0);
	assert_string_equal(next6(&p, text), "fd00::1"); /* ::0 is the routers' */
	assert_string_equal(next6(&p, text), "fd00::2");
	assert_string_equal(next6(&p, text), "fd00::3");
	assert_string_equal(next6(&p, text), "none");
	ip6_parse("fd00::2", &ip);
	ipam6_release(&p, &ip);
	assert_string_equal(next6(&p, text), "fd00::2");
	assert_true(ipam6_alloc(&p, &ip, &got, &err) < 0);
	assert_string_equal(err.msg, "Address already in use");
	ip6_parse("fd00::", &ip);
	assert_true(ipam6_alloc(&p, &ip, &got, &err) < 0);
	ipam6_fini(&p);

	assert_int_equal(ipam6_init(&p, &wide, &r, &err), 0);
	assert_string_equal(next6(&p, text), "fd00::f0");
	ip6_parse("fd00::ffff:ffff:ffff:ffff", &ip); /* asked for: all of the subnet */
	assert_int_equal(ipam6_alloc(&p, &ip, &got, &err), 0);
	for (unsigned i = 0; i < 15; i++)
		assert_string_not_equal(next6(&p, text), "none");
	assert_string_equal(next6(&p, text), "none");
	ipam6_fini(&p);
	assert_true(ipam6_init(&p, &wide, &foreign, &err) < 0);
	assert_true(ipam6_init(&p, &tiny, NULL, &err) < 0);
}

/* One port of the host in both families, or in none. */
static void test_port_pairs(void **state)
{
	struct port_binding want[2] = {{.ct_port = 80, .proto = "tcp", .host_ip = "127.0.0.1"},
				       {.ct_port = 80, .proto = "tcp", .host_ip = "::1", .pair = true}};
	struct port_binding got[2], taken, other;
	struct err err = {0};

	(void)state;
	assert_int_equal(ports_take("e1", "10.0.0.2", want, 2, got, &err), 0);
	assert_int_equal(got[0].host_port, got[1].host_port);
	taken = got[1];
	assert_true(ports_take("e2", "10.0.0.2", &taken, 1, got, &err) < 0);
	assert_non_null(strstr(err.msg, "Bind for [::1]:"));
	ports_release("e1");
	assert_int_equal(ports_take("e2", "10.0.0.2", &taken, 1, got, &err), 0);
	want[0].host_port = want[0].host_port_end = taken.host_port;
	assert_true(ports_take("e1", "10.0.0.2", want, 2, got, &err) < 0); /* ::1 is e2's */
	other = want[0];
	assert_int_equal(ports_take("e3", "10.0.0.2", &other, 1, got, &err), 0); /* and 127.0.0.1 nobody's */
	ports_release("e2");
	ports_release("e3");
}

static void test_ports(void **state)
{
	struct port_binding want[2] = {{.ct_port = 80, .proto = "tcp", .host_ip = "127.0.0.1"},
				       {.ct_port = 80, .proto = "udp", .host_ip = "127.0.0.1"}};
	struct port_binding got[2], again, v6 = {.ct_port = 80, .proto = "tcp", .host_ip = "::1"};
	struct err err = {0};

	(void)state;
	assert_int_equal(ports_take("e1", "10.0.0.2", want, 2, got, &err), 0);
	assert_true(got[0].host_port && got[1].host_port);
	again = got[0];
	assert_true(ports_take("e2", "10.0.0.2", &again, 1, got, &err) < 0);
	assert_non_null(strstr(err.msg, "failed: port is already allocated"));
	str_copy(again.host_ip, sizeof(again.host_ip), ""); /* all addresses: the same port */
	assert_true(ports_take("e2", "10.0.0.2", &again, 1, got, &err) < 0);
	ports_release("e1");
	assert_int_equal(ports_take("e2", "10.0.0.2", &again, 1, got, &err), 0);
	assert_string_equal(got[0].host_ip, "0.0.0.0");
	ports_release("e2");
	assert_int_equal(ports_take("e3", "10.0.0.2", &v6, 1, got, &err), 0);
	ports_release("e3");
	str_copy(again.host_ip, sizeof(again.host_ip), "203.0.113.7");
	assert_true(ports_take("e3", "10.0.0.2", &again, 1, got, &err) < 0);
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
		cmocka_unit_test(test_alloc), cmocka_unit_test(test_ip6),
		cmocka_unit_test(test_alloc6), cmocka_unit_test(test_port_pairs),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_resolv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
