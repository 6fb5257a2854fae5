/* SPDX-License-Identifier: MPL-2.0
 *
 * test_route.c - paths to rows of the table, versions, variables, queries.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "apiserver/client.h"
#include "cleanup.h"
#include "str.h"

/* A client that was never connected: replies pile up in its output. */
static struct client client;
static struct client *table[CLIENT_MAX];

static int target(const char *method, const char *url)
{
	struct http_head *h = &client.parse.head;
	struct req *r = &client.req;

	client.slot = 1;
	table[1] = &client;
	client.state = CLIENT_RUN;
	client.corked = true;
	buf_reset(&client.out);
	buf_reset(&h->text);
	buf_add(&h->text, url, strlen(url) + 1);
	h->method = method;
	h->minor = 1;
	req_begin(r, &client);
	return req_parse_target(r);
}

static void test_routes(void **state)
{
	static const struct {
		const char *method, *url, *pattern, *var;
		int version;
	} rows[] = {
		{ "GET", "/_ping", "/_ping", "", 151 },
		{ "HEAD", "/v1.24/_ping", "/_ping", "", 124 },
		{ "GET", "http://host/v1.43/info", "/info", "", 143 },
		{ "GET", "/v1.51/containers/json?all=1", "/containers/json", "", 151 },
		{ "GET", "/containers/abc/json", "/containers/{name}/json", "abc", 151 },
		{ "GET", "/containers/a%2Fb/json", "/containers/{name}/json", "a/b", 151 },
		{ "GET", "/containers/json/json", "/containers/{name}/json", "json", 151 },
		{ "GET", "/containers/x/attach/ws", "/containers/{name}/attach/ws", "x", 151 },
		{ "DELETE", "/v1.40/containers/x?force=1", "/containers/{name}", "x", 140 },
		{ "POST", "/containers/create?name=y", "/containers/create", "", 151 },
		{ "POST", "/containers/prune", "/containers/prune", "", 151 },
		{ "GET", "/images/json", "/images/json", "", 151 },
		{ "GET", "/images/reg:5000/a/b:tag/json", "/images/{name}/json", "reg:5000/a/b:tag",
		  151 },
		{ "GET", "/images/a/b/get", "/images/{name}/get", "a/b", 151 },
		{ "GET", "/images/get?names=a", "/images/get", "", 151 },
		{ "POST", "/images/localhost:5000/x/push", "/images/{name}/push",
		  "localhost:5000/x", 151 },
		{ "DELETE", "/images/a/b@sha256:00", "/images/{name}", "a/b@sha256:00", 151 },
		{ "POST", "/exec/0123/start", "/exec/{name}/start", "0123", 151 },
		{ "GET", "/networks", "/networks", "", 151 },
		{ "GET", "/networks/", "/networks/", "", 151 },
		{ "GET", "/networks/x", "/networks/{name}", "x", 151 },
		{ "POST", "/networks/x/connect", "/networks/{name}/connect", "x", 151 },
		{ "POST", "/volumes/create", "/volumes/create", "", 151 },
		{ "PUT", "/volumes/v", "/volumes/{name}", "v", 151 },
		{ "GET", "/distribution/a/b/json", "/distribution/{name}/json", "a/b", 151 },
		{ "OPTIONS", "/any/thing", "/{name}", "any/thing", 151 },
		{ "POST", "/session", "/session", "", 151 },
		{ "POST", "/grpc", "/grpc", "", 151 },
		/* not found */
		{ "GET", "/", NULL, "404", 0 },
		{ "GET", "", NULL, "400", 0 },
		{ "GET", "/containers", NULL, "404", 0 },
		{ "GET", "/containers//json", NULL, "301", 0 },
		{ "GET", "/images//json", NULL, "301", 0 },
		{ "PUT", "/containers/json", NULL, "404", 0 },
		{ "GET", "/v1.43", NULL, "404", 0 },
		{ "GET", "/vx/info", NULL, "404", 0 },
		{ "GET", "/v1.23/info", NULL, "400", 0 },
		{ "GET", "/v1.52/info", NULL, "400", 0 },
		{ "GET", "/v2/info", NULL, "400", 0 },
		{ "GET", "/v1.2.3/info", NULL, "400", 0 },
		{ "GET", "/v99999999999999999999.1/info", NULL, "400", 0 },
		{ "GET", "/v9.99/nothing", NULL, "404", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int rc = target(rows[i].method, rows[i].url);

		if (rows[i].pattern) {
			if (rc < 0 || !str_eq(route_pattern(client.req.route), rows[i].pattern) ||
			    !str_eq(req_var(&client.req, "name"), rows[i].var) ||
			    req_version(&client.req) != rows[i].version)
				fail_msg("%s %s: rc=%d %s %s %d", rows[i].method, rows[i].url, rc,
					 route_pattern(client.req.route),
					 req_var(&client.req, "name"), req_version(&client.req));
		} else if (rc == 0 || memcmp(buf_str(&client.out) + 9, rows[i].var, 3) != 0) {
			fail_msg("%s %s: rc=%d %.40s", rows[i].method, rows[i].url, rc,
				 buf_str(&client.out));
		}
	}
}

static void test_query(void **state)
{
	const struct req *r = &client.req;
	cleanup_strv char **all = NULL;

	(void)state;
	assert_int_equal(
		target("GET", "/info?a=1&b=x+y%2Bz&a=2&c&d=&e=%zz&f=no&g=False&h=0&i=yes&&=x"), 0);
	assert_string_equal(req_query(r, "a"), "1");
	assert_string_equal(req_query(r, "b"), "x y+z");
	assert_string_equal(req_query(r, "c"), "");
	assert_null(req_query(r, "e"));
	assert_null(req_query(r, "zz"));
	all = req_query_all(r, "a");
	assert_int_equal(strv_len(all), 2);
	assert_string_equal(all[1], "2");
	assert_true(req_query_bool(r, "absent", true));
	assert_false(req_query_bool(r, "absent", false));
	assert_false(req_query_bool(r, "c", true));
	assert_false(req_query_bool(r, "d", true));
	assert_false(req_query_bool(r, "f", true));
	assert_false(req_query_bool(r, "g", true));
	assert_false(req_query_bool(r, "h", true));
	assert_true(req_query_bool(r, "i", false));
	assert_true(req_query_bool(r, "a", false));
}

static int setup(void **state)
{
	(void)state;
	req_table_init(table);
	return route_init();
}

static int teardown(void **state)
{
	(void)state;
	http_fini(&client.parse);
	req_fini(&client.req);
	buf_fini(&client.out);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
