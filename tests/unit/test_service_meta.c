/* SPDX-License-Identifier: MPL-2.0
 *
 * test_service_meta.c - values of the service metadata, overrides of the configuration, metrics' text.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/metrics.h"
#include "apiserver/service_meta.h"
#include "cleanup.h"
#include "conf.h"
#include "str.h"

static void test_service_values(void **state)
{
	static const struct {
		const char *key, *value;
		bool good;
	} rows[] = {
		{ "DEFAULT_MAX_LOG_SIZE", "10m", true },
		{ "DEFAULT_MAX_LOG_SIZE", "10000000", true },
		{ "DEFAULT_MAX_LOG_SIZE", "0", false },
		{ "DEFAULT_MAX_LOG_SIZE", "-1", false },
		{ "DEFAULT_MAX_LOG_SIZE", "", false },
		{ "DEFAULT_MAX_LOG_SIZE", "much", false },
		{ "DEFAULT_MAX_LOG_FILES", "0", true },
		{ "DEFAULT_MAX_LOG_FILES", "5", true },
		{ "DEFAULT_MAX_LOG_FILES", "-1", false },
		{ "DEFAULT_MAX_LOG_FILES", "5k", false },
		{ "ENABLED_LOG_DRIVERS", "", true },
		{ "ENABLED_LOG_DRIVERS", "json-file,none", true },
		{ "ENABLED_LOG_DRIVERS", " json-file, syslog ", true },
		{ "ENABLED_LOG_DRIVERS", "json-file,,syslog", false },
		{ "ENABLED_LOG_DRIVERS", "json-file syslog", false },
		{ "ENABLED_LOG_DRIVERS", "json-file,nope", false },
		{ "DEFAULT_LOG_OPTS", "max-size=1m,max-file=2", true },
		{ "DEFAULT_LOG_OPTS", "max-size", false },
		{ "DEFAULT_LOG_OPTS", "tag=a\nb", false },
		{ "DEFAULT_LOG_OPTS", "tag=\"a", false },
		{ "bridge", "br0", false },
		{ "NOSUCH", "1", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		int rc = service_meta_check(rows[i].key, rows[i].value, &err);

		if ((rc == 0) != rows[i].good || (rc < 0 && !strstr(err.msg, rows[i].key)))
			fail_msg("%s=%s: %d %s", rows[i].key, rows[i].value, rc, err.msg);
	}
}

/* An override holds over the file, goes away again, and what was borrowed stays readable. */
static void test_overrides(void **state)
{
	struct conf *c = NULL, *d;
	struct err err = { 0 };
	const char *before, *during;

	(void)state;
	assert_int_equal(conf_load(&c, NULL, &err), 0);
	before = conf_str(c, "DEFAULT_MAX_LOG_SIZE");
	assert_true(conf_override(c, "DEFAULT_MAX_LOG_SIZE", "much", &err) < 0);
	assert_true(conf_override(c, "bridge", "br0", &err) < 0);
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 50000000);
	assert_int_equal(conf_override(c, "DEFAULT_MAX_LOG_SIZE", "10m", &err), 0);
	during = conf_str(c, "DEFAULT_MAX_LOG_SIZE");
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 10000000);
	d = conf_dup(c);
	assert_int_equal(conf_override(d, "DEFAULT_MAX_LOG_SIZE", "1k", &err), 0);
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 10000000);
	conf_free(d);
	assert_int_equal(conf_override(c, "DEFAULT_MAX_LOG_SIZE", NULL, &err), 0);
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 50000000);
	assert_null(conf_overridden(c, "DEFAULT_MAX_LOG_SIZE"));
	assert_string_equal(before, "50000000");
	assert_string_equal(during, "10m");
	conf_free(c);
}

static void test_metric_text(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	metric_counter(&b, "a_total", "What it counts.", 3);
	metric_uint(&b, "b", "zone=\"z\"", UINT64_MAX);
	assert_string_equal(buf_str(&b), "# HELP a_total What it counts.\n# TYPE a_total counter\n"
					 "a_total 3\nb{zone=\"z\"} 18446744073709551615\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_values),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_metric_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
