/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Steps of the clock, and that a search outside of them may bisect. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "logsvc/clock_steps.h"
#include "str.h"

#define S CLOCK_STEP_NS

static void in_order(void **state)
{
	struct clock_steps cs = { .n = 0 };

	(void)state;
	assert_false(clock_steps_note(&cs, 100 * S, 100 * S)); /* the first one follows nothing */
	assert_false(clock_steps_note(&cs, 100 * S, 101 * S));
	assert_false(clock_steps_note(&cs, 100 * S, 101 * S)); /* back by less than a step */
	assert_int_equal(cs.n, 0);
	assert_int_equal(cs.newest_ns, 101 * S);
	assert_false(clock_steps_has(&cs, 101 * S));
}

static void back(void **state)
{
	struct clock_steps cs = { .newest_ns = 1000 * S };

	(void)state;
	assert_true(clock_steps_note(&cs, 500 * S, 500 * S));
	assert_false(clock_steps_note(&cs, 600 * S, 600 * S)); /* within it */
	assert_true(clock_steps_note(&cs, 400 * S, 400 * S));  /* wider */
	assert_int_equal(cs.n, 1);
	assert_false(clock_steps_note(&cs, 1001 * S, 1001 * S)); /* over */
	assert_true(clock_steps_note(&cs, 990 * S, 1001 * S));
	assert_int_equal(cs.n, 2);
	assert_true(clock_steps_has(&cs, 400 * S));
	assert_true(clock_steps_has(&cs, 700 * S));
	assert_true(clock_steps_has(&cs, 1001 * S));
	assert_false(clock_steps_has(&cs, 398 * S));
	assert_false(clock_steps_has(&cs, 1003 * S));
}

static void bounded(void **state)
{
	struct clock_steps cs = { .newest_ns = 10 * S };

	(void)state;
	for (int64_t i = 2; i < 200; i++) {
		assert_true(clock_steps_note(&cs, i * 10 * S - 15 * S, i * 10 * S));
		assert_true(cs.n <= CLOCK_STEPS_MAX);
	}
	for (int64_t i = 2; i < 200; i++)
		assert_true(clock_steps_has(&cs, i * 10 * S - 12 * S));
}

/* Random times; a bisection as seek.c does it, wherever no step forbids it, passes over nothing. */
static void exact(void **state)
{
	enum { N = 400 };

	(void)state;
	srandom(1);
	for (int round = 0; round < 300; round++) {
		struct clock_steps cs = { .n = 0 };
		int64_t t[N], now = 1000 * S;

		for (int i = 0; i < N; i++) {
			long r = random() % 100;

			now += r < 2 ? -(random() % (200 * S)) : r < 20 ? -(random() % (S / 2)) : random() % (2 * S);
			t[i] = now > S ? now : S;
			(void)clock_steps_note(&cs, t[i], t[i]);
		}
		for (int64_t s = S; s < 1500 * S; s += S * 3 / 2) {
			int lo = 0, hi = N;

			if (clock_steps_has(&cs, s))
				continue;
			while (hi - lo > 1) {
				int mid = lo + (hi - lo) / 2;

				if (t[mid] < s - 2 * S)
					lo = mid;
				else
					hi = mid;
			}
			for (int i = 0; i < lo; i++)
				assert_true(t[i] < s);
		}
	}
}

static void kept(void **state)
{
	struct clock_steps cs = { .newest_ns = 1000 * S }, again = { .n = 7 };
	char dir[] = "/tmp/stepsXXXXXX", path[64];
	struct err err = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	clock_steps_load(&again, fd);
	assert_int_equal(again.n, 0);
	for (int64_t i = 0; i < 100; i++) /* as long as it gets */
		(void)clock_steps_note(&cs, INT64_MAX / 2 - 2000 * S + i * 10 * S, INT64_MAX / 2 - 1985 * S + i * 10 * S);
	assert_int_equal(clock_steps_save(&cs, dir, &err), 0);
	clock_steps_load(&again, fd);
	assert_int_equal(again.n, CLOCK_STEPS_MAX);
	assert_memory_equal(again.v, cs.v, sizeof(cs.v));
	assert_true(str_fmt(path, sizeof(path), "%s/%s", dir, CLOCK_STEPS_NAME) > 0);
	(void)unlink(path);
	(void)rmdir(dir);
	close(fd);
}

static void damaged(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = { { "", 0 },		{ "1 2\n", 1 },	       { "1 2", 0 },	      { "2 1\n", 0 },
		     { "1  2\n", 0 },	{ "x\n1 2\n", 1 },     { "1 2 3\n", 0 },      { "-1 2\n", 0 },
		     { "\n\n1 2\n", 1 }, { "1 99999999999999999999\n3 4\n", 1 }, { "1 2\n3\n4 5\n", 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct clock_steps cs = { .n = 0 };

		clock_steps_parse(&cs, rows[i].text);
		if (cs.n != rows[i].n)
			fail_msg("'%s': %zu steps", rows[i].text, cs.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order), cmocka_unit_test(back), cmocka_unit_test(bounded),
		cmocka_unit_test(exact),    cmocka_unit_test(kept), cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
