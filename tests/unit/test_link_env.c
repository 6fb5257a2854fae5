/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/link_env.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static void check(const char *name, const char *ports, const char *env, const char *const *want)
{
	cleanup_json json_t *p = json_loads(ports, 0, NULL);
	cleanup_json json_t *e = json_loads(env, 0, NULL);
	cleanup_strv char **v = NULL;
	size_t i;

	link_env_add(&v, name, "10.0.0.2", p, e);
	for (i = 0; want[i]; i++) {
		assert_non_null(v[i]);
		assert_string_equal(v[i], want[i]);
	}
	assert_null(v[i]);
}

static void test_one_port(void **state)
{
	static const char *const want[] = {
		"MY_DB_PORT=udp://10.0.0.2:53",
		"MY_DB_PORT_53_UDP=udp://10.0.0.2:53",
		"MY_DB_PORT_53_UDP_ADDR=10.0.0.2",
		"MY_DB_PORT_53_UDP_PORT=53",
		"MY_DB_PORT_53_UDP_PROTO=udp",
		"MY_DB_NAME=/web/my-db",
		"MY_DB_ENV_A=b=c",
		NULL,
	};

	(void)state;
	check("/web/my-db", "{\"53/udp\":{}}", "[\"PATH=/x\",\"A=b=c\",\"HOME=/\",\"N\"]", want);
}

static void test_none(void **state)
{
	static const char *const want[] = { "DB_NAME=/web/db", NULL };

	(void)state;
	check("/web/db", "{}", "[]", want);
	check("/web/db", "{\"x\":{},\"70/\":{}}", "[null,1]", want);
}

static void test_order(void **state)
{
	cleanup_json json_t *p =
		json_loads("{\"82/tcp\":{},\"80/tcp\":{},\"81/tcp\":{},\"80/udp\":{}}", 0, NULL);
	cleanup_strv char **v = NULL;

	(void)state;
	link_env_add(&v, "/w/d", "10.0.0.2", p, NULL);
	assert_string_equal(v[0], "D_PORT=tcp://10.0.0.2:80");
	assert_true(strv_has(v, "D_PORT_82_TCP_PORT=82"));
	assert_true(strv_has(v, "D_PORT_80_UDP=udp://10.0.0.2:80"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_port),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
