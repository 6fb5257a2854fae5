/* SPDX-License-Identifier: MPL-2.0
 *
 * test_env_merge.c - what of one environment comes into another.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/env_merge.h"
#include "cleanup.h"

static const struct row {
	const char *name, *to, *from, *want;
} rows[] = {
	{ "nothing to add", "[\"A=1\"]", "[]", "[\"A=1\"]" },
	{ "added behind", "[\"A=1\"]", "[\"B=2\",\"C=\"]", "[\"A=1\",\"B=2\",\"C=\"]" },
	{ "what is there stays", "[\"A=1\"]", "[\"A=2\",\"AB=3\"]", "[\"A=1\",\"AB=3\"]" },
	{ "a name alone counts", "[\"A\"]", "[\"A=2\"]", "[\"A\"]" },
	{ "a name in from, twice", "[\"X=1\"]", "[\"A=1\",\"A=2\"]", "[\"X=1\",\"A=1\",\"A=2\"]" },
	{ "what is no text is left out", "[\"A=1\"]", "[1,null,\"B=1\"]", "[\"A=1\",\"B=1\"]" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *to = json_loads(rows[i].to, 0, NULL), *from = json_loads(rows[i].from, 0, NULL);
		char *got;

		env_merge(to, from);
		got = json_dumps(to, JSON_COMPACT);
		if (strcmp(got, rows[i].want))
			fail_msg("%s: %s", rows[i].name, got);
		free(got);
		json_decref(to);
		json_decref(from);
	}
}

/* In a time that grows with the number: each looked for among all took a minute and a half. */
static void test_many(void **state)
{
	json_t *to = json_array(), *from = json_array();
	char text[32];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "A%d=", i);
		json_array_append_new(to, json_string(text));
		snprintf(text, sizeof(text), "A%d=", i + 50000);
		json_array_append_new(from, json_string(text));
	}
	env_merge(to, from);
	assert_int_equal(json_array_size(to), 150000);
	json_decref(to);
	json_decref(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
