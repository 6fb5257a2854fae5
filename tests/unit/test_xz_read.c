/* SPDX-License-Identifier: MPL-2.0
 *
 * test_xz_read.c - xz as xz makes it, cut, damaged, and asking for too much; what is not xz passes.
 */
/* links: apiserver */
#include <errno.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "apiserver/xz_read.h"
#include "buf.h"
#include "cleanup.h"
#include "str.h"

#define PLAIN_LEN 300000

struct source {
	const uint8_t *p;
	size_t len, step;
	int fails; /* at its end, instead of 0 */
};

static ssize_t from_source(void *arg, void *p, size_t len)
{
	struct source *s = arg;

	len = len < s->step ? len : s->step;
	len = len < s->len ? len : s->len;
	memcpy(p, s->p, len);
	s->p += len;
	s->len -= len;
	return !len && s->fails ? s->fails : (ssize_t)len;
}

/* All of it, in reads of len; returns the last read's result. */
static ssize_t read_all(const void *p, size_t n, size_t step, size_t len, int fails, struct buf *out, char why[96])
{
	struct source s = { p, n, step, fails };
	struct xz_read *x = xz_read_new(from_source, &s);
	char block[8192];
	ssize_t got;

	while ((got = xz_read(x, block, len)) > 0)
		buf_add(out, block, (size_t)got);
	assert_int_equal(xz_read(x, block, len), got); /* a failure and an end stay */
	str_copy(why, 96, xz_read_why(x) ? xz_read_why(x) : "");
	xz_read_free(x);
	return got;
}

static uint8_t *make_plain(void)
{
	uint8_t *p = xmalloc(PLAIN_LEN);

	for (size_t i = 0; i < PLAIN_LEN; i++)
		p[i] = (uint8_t)(i * i >> 7 ^ i);
	return p;
}

static size_t make_xz(const uint8_t *plain, size_t len, uint8_t **out)
{
	size_t room = lzma_stream_buffer_bound(len), used = 0;

	*out = xmalloc(room);
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, plain, len, *out, &used, room), LZMA_OK);
	return used;
}

static void test_inflates(void **state)
{
	static const size_t sizes[] = { 1, 7, 4096, 8192 };
	uint8_t *plain = make_plain(), *xz, *two;
	size_t n = make_xz(plain, PLAIN_LEN, &xz);
	char why[96];

	(void)state;
	two = xcalloc(1, 2 * n + 8); /* two streams, with padding after each */
	memcpy(two, xz, n);
	memcpy(two + n + 4, xz, n);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct buf out = BUF_INIT;

		assert_int_equal(read_all(xz, n, sizes[i], sizes[ARRAY_SIZE(sizes) - 1 - i], 0, &out, why), 0);
		assert_string_equal(why, "");
		assert_int_equal(out.len, PLAIN_LEN);
		assert_memory_equal(out.p, plain, PLAIN_LEN);
		buf_reset(&out);
		assert_int_equal(read_all(two, 2 * n + 8, sizes[i], 8192, 0, &out, why), 0);
		assert_int_equal(out.len, 2 * PLAIN_LEN);
		assert_memory_equal(out.p + PLAIN_LEN, plain, PLAIN_LEN);
		buf_reset(&out);
		assert_int_equal(read_all(plain, PLAIN_LEN, sizes[i], 8192, 0, &out, why), 0);
		assert_int_equal(out.len, PLAIN_LEN);
		assert_memory_equal(out.p, plain, PLAIN_LEN);
		buf_fini(&out);
	}
	free(two);
	free(xz);
	free(plain);
}

static void test_short(void **state)
{
	static const char *const texts[] = { "", "x", "\xfd" "7z", "\xfd" "7zXY" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct buf out = BUF_INIT;
		char why[96];

		assert_int_equal(read_all(texts[i], strlen(texts[i]), 1, 10, 0, &out, why), 0);
		assert_string_equal(buf_str(&out), texts[i]);
		assert_string_equal(why, "");
		buf_fini(&out);
	}
}

/* Cut anywhere behind the magic: told so, and what came before is the plain text's beginning. */
static void test_cut(void **state)
{
	uint8_t *plain = make_plain(), *xz;
	size_t n = make_xz(plain, 5000, &xz);
	char why[96];

	(void)state;
	for (size_t cut = XZ_MAGIC_LEN; cut < n; cut++) {
		struct buf out = BUF_INIT;

		assert_int_equal(read_all(xz, cut, 100, 8192, 0, &out, why), -EBADMSG);
		assert_string_equal(why, "unexpected EOF");
		assert_true(out.len <= 5000 && !memcmp(buf_str(&out), plain, out.len));
		buf_reset(&out);
		assert_int_equal(read_all(xz, cut, 100, 8192, -EIO, &out, why), -EIO);
		assert_string_equal(why, "");
		buf_fini(&out);
	}
	free(xz);
	free(plain);
}

static void test_damaged(void **state)
{
	uint8_t *plain = make_plain(), *xz;
	size_t n = make_xz(plain, 5000, &xz);
	char why[96];

	(void)state;
	for (size_t at = XZ_MAGIC_LEN; at < n; at++) {
		struct buf out = BUF_INIT;

		xz[at] ^= 0x10;
		assert_int_equal(read_all(xz, n, 1000, 8192, 0, &out, why), -EBADMSG);
		assert_true(why[0]);
		xz[at] ^= 0x10;
		buf_fini(&out);
	}
	free(xz);
	free(plain);
}

/* The dictionary's size, as the first block's header tells it: 12 bytes of stream header, then its size, flags,
 * the data's two sizes, the filter's id, the length of its properties, and they. */
static void test_dictionary(void **state)
{
	static const struct {
		uint8_t props;
		const char *why;
	} v[] = {
		{ 28, "" }, /* 64 MiB: xz -9 */
		{ 29, "xz: its dictionary needs 97 MiB of memory, 80 are allowed" },
		{ 35, "xz: its dictionary needs 769 MiB of memory, 80 are allowed" },
		{ 40, "xz: its dictionary needs 4097 MiB of memory, 80 are allowed" },
		{ 41, "xz: a filter that is not known" },
	};
	uint8_t *plain = make_plain(), *xz;
	size_t n = make_xz(plain, 5000, &xz);
	char why[96];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct buf out = BUF_INIT;
		size_t len = (xz[12] + 1u) * 4, at = 14;
		uint32_t crc;

		assert_int_equal(xz[13], 0xc0); /* both sizes come first */
		for (int k = 0; k < 2; k++, at++)
			for (; xz[at] & 0x80; at++)
				;
		assert_int_equal(xz[at], 0x21);
		xz[at + 2] = v[i].props;
		crc = lzma_crc32(xz + 12, len - 4, 0);
		memcpy(xz + 12 + len - 4, &crc, 4); /* the format is little-endian, as are we */
		assert_int_equal(read_all(xz, n, 1000, 8192, 0, &out, why), *v[i].why ? -EBADMSG : 0);
		assert_string_equal(why, v[i].why);
		buf_fini(&out);
	}
	free(xz);
	free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflates), cmocka_unit_test(test_short),	    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),	 cmocka_unit_test(test_dictionary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
