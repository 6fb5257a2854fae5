/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/ct_config.h"
#include "apiserver/engine_init.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define HOST(members) "{\"Image\":\"x\",\"Cmd\":[\"a\"],\"HostConfig\":{" members "}}"

static void test_log_options(void **state)
{
	static const struct {
		const char *body, *text;
	} rows[] = {
		{ HOST("\"LogConfig\":{\"Type\":\"foo\"}"),
		  "error looking up logging plugin foo: plugin \"foo\" not found" },
		{ HOST("\"LogConfig\":{\"Config\":{\"foo\":\"1\",\"zoo\":\"1\"}}"),
		  "unknown log opt 'foo' for json-file log driver" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"foo\":\"1\"}}"),
		  "unknown log opt 'foo' for log driver local" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-size\":\"x\"}}"),
		  "invalid value for max-size: x: invalid size: 'x'" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-file\":\"x\"}}"),
		  "invalid value for max-file: x: strconv.Atoi: parsing \"x\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-file\":\"-1\"}}"),
		  "max-file must not be negative" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-file\":\"1\"}}"),
		  "compression cannot be enabled when max file count is 1" },
		{ HOST("\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"compress\":\"x\"}}"),
		  "invalid boolean value for compress: strconv.ParseBool: parsing \"x\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"abc\"}}"),
		  "invalid size: 'abc'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"-1\"}}"), "invalid size: '-1'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"10q\"}}"),
		  "invalid suffix: 'q'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"0\"}}"),
		  "max-size must be a positive number" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-file\":\"x\"}}"),
		  "strconv.Atoi: parsing \"x\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-file\":\"0\"}}"),
		  "max-file cannot be less than 1" },
		{ HOST("\"LogConfig\":{\"Config\":{\"compress\":\"x\"}}"),
		  "strconv.ParseBool: parsing \"x\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"compress\":\"true\",\"max-size\":\"1m\"}}"),
		  "compress cannot be true when max-file is less than 2 or max-size is not set" },
		{ HOST("\"LogConfig\":{\"Config\":{\"mode\":\"fast\"}}"),
		  "logger: logging mode not supported: fast" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-buffer-size\":\"1m\"}}"),
		  "logger: max-buffer-size option is only supported with 'mode=non-blocking'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"mode\":\"non-blocking\",\"max-buffer-size\":"
		       "\"abc\"}}"),
		  "error parsing option max-buffer-size: invalid size: 'abc'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"cache-disabled\":\"x\"}}"),
		  "invalid value for option cache-disabled: x" },
		/* mode is looked at before the driver */
		{ HOST("\"LogConfig\":{\"Type\":\"foo\",\"Config\":{\"mode\":\"fast\"}}"),
		  "logger: logging mode not supported: fast" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct create_request cr = { 0 };
		struct err err = { 0 };

		if (create_request_parse(rows[i].body, strlen(rows[i].body), 151, &cr, &err) >= 0)
			fail_msg("accepted: %s", rows[i].body);
		assert_string_equal(err.msg, rows[i].text);
		assert_int_equal(err_http_status(err.kind), 400);
	}
}

static void test_engine_defaults(void **state)
{
	struct engine *e = engine_mutable();
	static const struct {
		const char *line;
		const char *text; /* NULL: fine */
	} rows[] = {
		{ "", NULL },
		{ "DEFAULT_LOG_OPTS = max-size=10m,max-file=3", NULL },
		{ "DEFAULT_LOG_OPTS = nope=1",
		  "failed to set log opts: unknown log opt 'nope' for json-file log driver" },
		{ "DEFAULT_LOG_DRIVER = foo", "failed to set log opts: error looking up logging "
					      "plugin foo: plugin \"foo\" not found" },
		{ "default-runtime = kata",
		  "default-runtime: unknown or invalid runtime name: kata" },
		{ "default-shm-size = much", "default-shm-size: invalid size: 'much'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[] = "/tmp/test_ct_config.XXXXXX";
		cleanup_fd int fd = mkstemp(path);
		struct err err = { 0 };
		int rc;

		assert_true(fd >= 0);
		assert_int_equal(write(fd, rows[i].line, strlen(rows[i].line)),
				 strlen(rows[i].line));
		assert_int_equal(conf_load(&e->conf, path, &err), 0);
		unlink(path);
		rc = config_check_engine(&err);
		if (rows[i].text) {
			assert_true(rc < 0);
			assert_string_equal(err.msg, rows[i].text);
		} else {
			assert_int_equal(rc, 0);
		}
		if (i == 1) { /* they fill what a container leaves out */
			static const char body[] =
				HOST("\"LogConfig\":{\"Config\":{\"max-file\":\"2\"}}");
			struct create_request cr = { 0 };
			json_t *opts;

			assert_int_equal(create_request_parse(body, strlen(body), 151, &cr, &err),
					 0);
			opts = jget_obj(jget_obj(cr.host_config, "LogConfig"), "Config");
			assert_string_equal(jget_str(opts, "max-file", ""), "2");
			assert_string_equal(jget_str(opts, "max-size", ""), "10m");
			create_request_fini(&cr);
		}
		conf_free(e->conf);
		e->conf = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_options),
		cmocka_unit_test(test_engine_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
