/* SPDX-License-Identifier: MPL-2.0 */
/* links: dockerinit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "dockerinit/restart.h"

static void test_policies(void **state)
{
	static const struct {
		const char *policy;
		uint32_t max, count;
		bool stopped;
		int exit_code;
		bool again;
	} rows[] = {
		{ "no", 0, 0, false, 1, false },
		{ "", 0, 0, false, 1, false },
		{ "sometimes", 0, 0, false, 1, false },
		{ "always", 0, 7, false, 0, true },
		{ "always", 0, 0, true, 0, false },
		{ "unless-stopped", 0, 0, false, 0, true },
		{ "unless-stopped", 0, 0, true, 137, false },
		{ "on-failure", 0, 99, false, 1, true },
		{ "on-failure", 0, 0, false, 0, false },
		{ "on-failure", 3, 2, false, 1, true },
		{ "on-failure", 3, 3, false, 1, false },
		{ "on-failure", 3, 0, true, 1, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct restart r = { .policy = restart_parse(rows[i].policy),
				     .max_retries = rows[i].max,
				     .count = rows[i].count,
				     .stopped_by_user = rows[i].stopped };
		uint32_t delay = 0;
		bool again = restart_next(&r, rows[i].exit_code, 50, &delay);

		if (again != rows[i].again || r.count != rows[i].count + again ||
		    (again && delay != 100))
			fail_msg("row %zu: again %d count %u delay %u", i, again, r.count, delay);
	}
}

static void test_delays(void **state)
{
	static const uint32_t want[] = { 100,  200,   400,   800,   1600,  3200,
					 6400, 12800, 25600, 51200, 60000, 60000 };
	struct restart r = { .policy = RESTART_ALWAYS };
	uint32_t delay;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(restart_next(&r, 0, 9999, &delay));
		assert_int_equal(delay, want[i]);
	}
	assert_true(restart_next(&r, 0, 10000, &delay));
	assert_int_equal(delay, 100);
	assert_int_equal(r.count, ARRAY_SIZE(want) + 1);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(restart_name(restart_parse("on-failure")), "on-failure");
	assert_string_equal(restart_name(restart_parse("unless-stopped")), "unless-stopped");
	assert_string_equal(restart_name(restart_parse(NULL)), "no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
