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

#include "apiserver/service_meta.h"
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
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-async-reconnect-interval\":\"1h\"}}"),
		  "invalid value for fluentd-async-reconnect-interval: value (\"1h0m0s\") must be between 100ms and 10s" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-async-reconnect-interval\":\"1us\"}}"),
		  "invalid value for fluentd-async-reconnect-interval: value (\"1µs\") must be between 100ms and 10s" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-async-reconnect-interval\":\"10.1s\"}}"),
		  "invalid value for fluentd-async-reconnect-interval: value (\"10.1s\") must be between 100ms and 10s" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-async-reconnect-interval\":\"99ms\"}}"),
		  "invalid value for fluentd-async-reconnect-interval: value (\"99ms\") must be between 100ms and 10s" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-retry-wait\":\"1d\"}}"),
		  "time: unknown unit \"d\" in duration \"1d\"" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-retry-wait\":\"1s1\"}}"),
		  "time: missing unit in duration \"1s1\"" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-retry-wait\":\".s\"}}"),
		  "time: invalid duration \".s\"" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-write-timeout\":\"10\"}}"),
		  "invalid value for fluentd-write-timeout: value must be a duration: time: missing unit in duration \"10\"" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-write-timeout\":\"-1s\"}}"),
		  "invalid value for fluentd-write-timeout: value must be a duration that is non-negative" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-buffer-limit\":\"1.5.5k\"}}"),
		  "strconv.ParseFloat: parsing \"1.5.5\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-max-retries\":\"+1\"}}"),
		  "strconv.ParseUint: parsing \"+1\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-max-retries\":\"4294967296\"}}"),
		  "strconv.ParseUint: parsing \"4294967296\": value out of range" },
		{ HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-request-ack\":\"x\"}}"),
		  "strconv.ParseBool: parsing \"x\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"10X\"}}"),
		  "invalid suffix: 'x'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"1KiBs\"}}"),
		  "invalid suffix: 'KiBs'" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"0x10\"}}"),
		  "strconv.ParseFloat: parsing \"0x10\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"10m \"}}"),
		  "strconv.ParseFloat: parsing \"10m\": invalid syntax" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"99999p\"}}"),
		  "max-size must be a positive number" },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-file\":\"99999999999\"}}"),
		  "strconv.Atoi: parsing \"99999999999\": value out of range" },
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

/* A value that is empty is none, as with Docker. */
static void test_empty_values(void **state)
{
	static const char *const bodies[] = {
		HOST("\"LogConfig\":{\"Type\":\"fluentd\",\"Config\":{\"fluentd-address\":\"\",\"fluentd-async\":\"\",\"fluentd-request-ack\":"
		     "\"\",\"fluentd-sub-second-precision\":\"\",\"fluentd-async-reconnect-interval\":\"\",\"fluentd-retry-wait\":\"\","
		     "\"fluentd-write-timeout\":\"\",\"fluentd-read-timeout\":\"\",\"fluentd-buffer-limit\":\"\",\"fluentd-max-retries\":\"\"}}"),
		HOST("\"LogConfig\":{\"Config\":{\"cache-disabled\":\"\",\"mode\":\"\",\"tag\":\"\",\"labels\":\"\",\"env-regex\":\"\"}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct create_request cr = { 0 };
		struct err err = { 0 };

		if (create_request_parse(bodies[i], strlen(bodies[i]), 151, &cr, &err) < 0)
			fail_msg("%s: %s", bodies[i], err.msg);
		create_request_fini(&cr);
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
		{ "ENABLED_LOG_DRIVERS = local, nope", "ENABLED_LOG_DRIVERS: unknown log driver: 'nope'" },
		{ "ENABLED_LOG_DRIVERS = local, none", NULL }, /* a container must name its own */
		{ "DEFAULT_MAX_LOG_SIZE = 0", "DEFAULT_MAX_LOG_SIZE: must be a positive number of bytes: '0'" },
		{ "MAX_LOG_AGE = old", "MAX_LOG_AGE: not a duration such as 12h or 30d: 'old'" },
		{ "DEFAULT_LOG_OPTS = max-size", "DEFAULT_LOG_OPTS: not key=value: 'max-size'" },
		{ "LOG_ARCHIVE_URL = http://h", "LOG_ARCHIVE_BUCKET" },
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
		if (rc == 0)
			rc = service_meta_check_conf(e->conf, &err);
		if (rows[i].text) {
			assert_true(rc < 0);
			if (!str_starts(err.msg, rows[i].text))
				fail_msg("%s: %s", rows[i].line, err.msg);
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
		cmocka_unit_test(test_empty_values), cmocka_unit_test(test_engine_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
