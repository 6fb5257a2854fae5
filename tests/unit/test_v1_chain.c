/* SPDX-License-Identifier: MPL-2.0
 *
 * test_v1_chain.c - chains of layers are known by their length in whatever order their links come.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "apiserver/v1_chain.h"

/* Link i of a chain: it rests on the one before. */
static size_t add(struct v1_chains *c, size_t i)
{
	char id[24], parent[24] = "";

	snprintf(id, sizeof(id), "%zu", i);
	if (i)
		snprintf(parent, sizeof(parent), "%zu", i - 1);
	return v1_chains_add(c, id, parent);
}

/* The i-th to come of n: upwards, downwards, and the odd ones after the even ones. */
static size_t nth(int order, size_t i, size_t n)
{
	size_t even = (n + 1) / 2;

	if (order == 0)
		return i;
	if (order == 1)
		return n - 1 - i;
	return i < even ? 2 * i : 2 * (i - even) + 1;
}

static void test_orders(void **state)
{
	(void)state;
	for (int order = 0; order < 3; order++) {
		struct v1_chains c;
		size_t most = 0;

		v1_chains_init(&c);
		for (size_t i = 0; i < IMAGE_LAYERS_MAX; i++) {
			size_t n = add(&c, nth(order, i, IMAGE_LAYERS_MAX));

			most = n > most ? n : most;
		}
		assert_int_equal(most, IMAGE_LAYERS_MAX);
		assert_int_equal(add(&c, IMAGE_LAYERS_MAX), IMAGE_LAYERS_MAX + 1);
		v1_chains_fini(&c);
	}
}

/* Many images upon one base are no long chain. */
static void test_fan(void **state)
{
	struct v1_chains c;
	char id[24];

	(void)state;
	v1_chains_init(&c);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "top%d", i);
		assert_int_equal(v1_chains_add(&c, id, "base"), 2);
	}
	assert_int_equal(v1_chains_add(&c, "base", ""), 2);
	assert_int_equal(v1_chains_add(&c, "top2000", "base"), 2);
	v1_chains_fini(&c);
}

static void test_circle(void **state)
{
	struct v1_chains c;

	(void)state;
	v1_chains_init(&c);
	assert_int_equal(v1_chains_add(&c, "a", "a"), IMAGE_LAYERS_MAX + 1);
	assert_int_equal(v1_chains_add(&c, "b", "c"), 2);
	assert_int_equal(v1_chains_add(&c, "c", "b"), IMAGE_LAYERS_MAX + 1);
	v1_chains_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_fan),
		cmocka_unit_test(test_circle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
