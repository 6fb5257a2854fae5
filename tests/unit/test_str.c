/* SPDX-License-Identifier: MPL-2.0 */
/* links: lib */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "str.h"

static void test_parse_size(void **state)
{
	static const struct {
		const char *in;
		unsigned base;
		int rc;
		int64_t out;
	} rows[] = {
		{ "+10", 1000, 0, 10 },
		{ "+.5k", 1000, 0, 500 },
		{ "++1", 1000, -22, 0 },
		{ "+ 1", 1000, -22, 0 },
		{ "10", 1000, 0, 10 },		 { "10m", 1000, 0, 10000000 },
		{ "10m", 1024, 0, 10485760 },	 { "10KiB", 1000, 0, 10000 },
		{ "1.5g", 1000, 0, 1500000000 }, { "10 m", 1000, 0, 10000000 },
		{ "08", 1000, 0, 8 },		 { "1b", 1000, 0, 1 },
		{ "", 1000, -22, 0 },		 { "-1", 1000, -22, 0 },
		{ "abc", 1000, -22, 0 },	 { "10x", 1000, -22, 0 },
		{ "5KiBs", 1000, -22, 0 },	 { "0x10", 1000, -22, 0 },
		{ "99999999p", 1000, -34, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t out = 0;
		int rc = parse_size(rows[i].in, rows[i].base, &out);

		if (rc != rows[i].rc || out != rows[i].out)
			fail_msg("parse_size(%s): rc %d out %lld", rows[i].in, rc, (long long)out);
	}
}

static void test_duration(void **state)
{
	static const struct {
		const char *in;
		int rc;
		int64_t out;
	} rows[] = {
		{ "300ms", 0, 300000000 },
		{ "1.5h", 0, 5400000000000 },
		{ "2h45m", 0, 9900000000000 },
		{ "-1s", 0, -1000000000 },
		{ "0", 0, 0 },
		{ "10", -22, 0 },
		{ "", -22, 0 },
		{ "s", -22, 0 },
		{ "1x", -22, 0 },
		{ "99999999999h", -34, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t out = 0;
		int rc = parse_duration_ns(rows[i].in, &out);

		if (rc != rows[i].rc || out != rows[i].out)
			fail_msg("duration %s: rc %d out %lld", rows[i].in, rc, (long long)out);
	}
}

static void test_times(void **state)
{
	static const struct {
		int64_t ns;
		const char *nano, *nine;
	} rows[] = {
		{ 1787402096789012345, "2026-08-22T12:34:56.789012345Z", "2026-08-22T12:34:56.789012345Z" },
		{ 1787402096000000000, "2026-08-22T12:34:56Z", "2026-08-22T12:34:56.000000000Z" },
		{ 1787402096700000000, "2026-08-22T12:34:56.7Z", "2026-08-22T12:34:56.700000000Z" },
		{ 120, "1970-01-01T00:00:00.00000012Z", "1970-01-01T00:00:00.000000120Z" },
	};
	char out[RFC3339NANO_MAX];
	int64_t back;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fmt_rfc3339nano(out, rows[i].ns);
		assert_string_equal(out, rows[i].nano);
		assert_int_equal(parse_rfc3339_ns(out, strlen(out), &back), 0);
		assert_true(back == rows[i].ns);
		fmt_rfc3339_9(out, rows[i].ns);
		assert_string_equal(out, rows[i].nine);
	}
	assert_int_equal(parse_rfc3339_ns("2026-08-22T14:34:56+02:00", 25, &back), 0);
	assert_true(back == 1787402096000000000);
	assert_int_equal(parse_rfc3339_ns("2026-13-22T14:34:56Z", 20, &back), -22);
	assert_int_equal(parse_unix_time_ns("1787402096.5", &back), 0);
	assert_true(back == 1787402096500000000);
	assert_int_equal(parse_unix_time_ns("x", &back), -22);
}

static void test_ids(void **state)
{
	char id[65], uuid[37];
	cleanup_strv char **v = strv_split("a,b,,c", ',');

	(void)state;
	id_generate(id);
	assert_true(is_hex(id, 64));
	id_to_uuid(uuid, "0123456789abcdef0123456789abcdefffff");
	assert_string_equal(uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(strv_len(v), 4);
	assert_string_equal(v[2], "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
