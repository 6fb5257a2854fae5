/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/top.h"
#include "cleanup.h"
#include "str.h"

static void test_args(void **state)
{
	static const struct {
		const char *args;
		const char *text; /* NULL: allowed */
	} rows[] = {
		{ "-ef", NULL },
		{ "aux", NULL },
		{ "-eo pid,cmd", NULL },
		{ "-eo pid=PID", NULL },
		{ "-o cmd= PID", "specifying \"cmd=PID\" is not allowed" },
		{ "-eo ppid=PID", "specifying \"ppid=PID\" is not allowed" },
		{ "-o etime=PIDX", "specifying \"etime=PIDX\" is not allowed" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		int rc = top_check_args(rows[i].args, &err);

		if ((rc < 0) != (rows[i].text != NULL) ||
		    (rows[i].text && strcmp(err.msg, rows[i].text) != 0))
			fail_msg("%s: '%s'", rows[i].args, err.msg);
	}
}

static void test_parse(void **state)
{
	static const int pids[] = { 5, 7 };
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "  PID COMMAND\n    5 a b  c\n    6 d\n    7 e\n",
		  "{\"Processes\":[[\"5\",\"a b "
		  "c\"],[\"7\",\"e\"]],\"Titles\":[\"PID\",\"COMMAND\"]}" },
		{ "PID TID CMD\n5 - x\n- 8 y\n6 - z\n- 9 w\n",
		  "{\"Processes\":[[\"5\",\"-\",\"x\"],[\"-\",\"8\",\"y\"]],\"Titles\":[\"PID\","
		  "\"TID\",\"CMD\"]}" },
		{ "PID\n", "{\"Processes\":[],\"Titles\":[\"PID\"]}" },
		{ "UID CMD\n0 x\n", NULL },
		{ "PID CMD\nzz x\n", NULL },
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = xstrdup(rows[i].in);
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 };
		int rc = top_parse(text, pids, 2, &b, &err);

		if ((rc < 0) != (rows[i].out == NULL) ||
		    (rows[i].out && strcmp(buf_str(&b), rows[i].out) != 0))
			fail_msg("row %zu: '%s' %s", i, buf_str(&b), err.msg);
	}
}

static void test_run(void **state)
{
	const int self = (int)getpid();
	cleanup_buf struct buf b = BUF_INIT;
	struct err err = { 0 };
	char want[32];

	(void)state;
	assert_int_equal(top_run("-o pid,comm", &self, 1, &b, &err), 0);
	snprintf(want, sizeof(want), "[\"%d\",\"test_top\"]", self);
	assert_non_null(strstr(b.p, want));
	buf_reset(&b);
	assert_int_equal(top_run("", &self, 1, &b, &err), 0);
	assert_non_null(strstr(
		b.p,
		"\"Titles\":[\"UID\",\"PID\",\"PPID\",\"C\",\"STIME\",\"TTY\",\"TIME\",\"CMD\"]"));
	assert_true(top_run("--no-such-option", &self, 1, &b, &err) < 0);
	assert_int_equal(strncmp(err.msg, "ps: ", 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
