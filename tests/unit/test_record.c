/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Records of our own and of others, read back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "logsvc/record.h"
#include "str.h"

static int decode(const char *line, char text[4096], struct record *r)
{
	char padded[4096] = { 0 };

	memcpy(padded, line, strlen(line));
	return record_decode(padded, strlen(line), text, r);
}

static void test_decode(void **state)
{
	static const struct {
		const char *line, *text;
		enum record_stream stream;
		bool whole;
	} rows[] = {
		{ "{\"log\":\"hello world\\n\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:34:56.789012345Z\"}",
		  "hello world\n", RECORD_STDOUT, true },
		{ "{\"log\":\"x\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"}\\\"\",\"foo\":\"bar\"},\"time\":\"2026-08-22T12:34:56.7Z\"}",
		  "x", RECORD_STDERR, false },
		{ "{\"time\":\"2026-08-22T12:34:56Z\",\"stream\":\"stdout\",\"log\":\"y\\n\"}", "y\n",
		  RECORD_STDOUT, true },
		{ " { \"log\" : \"y\\n\" , \"n\" : [1,{\"a\":2}] , \"t\":true, \"f\":-1.5e3 } ", "y\n",
		  RECORD_STREAMS, true },
		{ "{}", "", RECORD_STREAMS, false },
		{ "{\"log\":\"\\u003ca\\u003e\\u0026\\ud83d\\udc33\\ud800x\\/\\b\\f\\r\\t\\\\\\\"\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:34:56Z\"}",
		  "<a>&\xf0\x9f\x90\xb3\xef\xbf\xbdx/\b\f\r\t\\\"", RECORD_STDOUT, false },
		{ "{\"log\":\"a\",\"log\":\"b\\n\",\"stream\":\"other\"}", "b\n", RECORD_STREAMS, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct record r;
		char text[4096];

		assert_int_equal(decode(rows[i].line, text, &r), 0);
		assert_int_equal(r.text_len, strlen(rows[i].text));
		assert_memory_equal(text, rows[i].text, r.text_len);
		assert_int_equal(r.stream, rows[i].stream);
		assert_int_equal(r.whole, rows[i].whole);
	}
}

static void test_damage(void **state)
{
	static const char *const rows[] = {
		"",
		"x",
		"{",
		"{\"log\":\"abc",
		"{\"log\":\"abc\"",
		"{\"log\":\"abc\",}",
		"{\"log\":\"abc\\x\"}",
		"{\"log\":\"abc\\u12g4\"}",
		"{\"log\":\"abc\"} trailing",
		"{\"log\":\"abc\"}{\"log\":\"d\"}",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
		"\0\0\0",
		"{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:3{\"log\":\"next\\n\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:34:56Z\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct record r;
		char text[4096];

		assert_int_equal(decode(rows[i], text, &r), -EINVAL);
	}
}

static void test_times(void **state)
{
	static const struct {
		const char *time, *nine;
		int64_t ns;
	} rows[] = {
		{ "2026-08-22T12:34:56Z", "2026-08-22T12:34:56.000000000Z", 1787402096000000000LL },
		{ "2026-08-22T12:34:56.789Z", "2026-08-22T12:34:56.789000000Z", 1787402096789000000LL },
		{ "2026-08-22T12:34:56.00000012Z", "2026-08-22T12:34:56.000000120Z",
		  1787402096000000120LL },
		{ "2026-08-22T14:34:56.5+02:00", "2026-08-22T12:34:56.500000000Z",
		  1787402096500000000LL },
		{ "yesterday", "1970-01-01T00:00:00.000000000Z", 0 },
	};
	struct record_clock clock = { { 0 }, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct record r = { .time = rows[i].time, .time_len = strlen(rows[i].time) };
		char nine[RECORD_TIME9 + 1] = { 0 };

		assert_true(record_time_ns(&r, &clock) == rows[i].ns);
		record_time9(&r, nine);
		assert_string_equal(nine, rows[i].nine);
	}
}

static void test_tail(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	buf_addstr(&b, "{\"log\":\"hello world");
	record_tail(&b, RECORD_STDOUT, NULL, 1787402096789012345LL);
	assert_string_equal(b.p, "{\"log\":\"hello world\\n\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:34:56.789012345Z\"}\n");
	assert_int_equal(b.len, 82);
	buf_reset(&b);
	buf_addstr(&b, "{\"log\":\"hello world");
	record_tail(&b, RECORD_STDERR, "{\"baz\":\"qux\",\"foo\":\"bar\",\"tag\":\"web\"}", 1787402096700000000LL);
	assert_string_equal(b.p, "{\"log\":\"hello world\\n\",\"stream\":\"stderr\",\"attrs\":{\"baz\":\"qux\",\"foo\":\"bar\",\"tag\":\"web\"},"
				 "\"time\":\"2026-08-22T12:34:56.7Z\"}\n");
	assert_int_equal(b.len, 120);
	buf_reset(&b);
	record_tail(&b, RECORD_STDERR, "{\"baz\":\"qux\"}", 1787402096700000000LL);
	assert_string_equal(b.p, "\\n\",\"stream\":\"stderr\",\"attrs\":{\"baz\":\"qux\"},\"time\":"
				 "\"2026-08-22T12:34:56.7Z\"}\n");
}

static void test_details(void **state)
{
	static const struct {
		const char *attrs, *want;
	} rows[] = {
		{ "{\"b\":\"x y\",\"a\":\"1&2\"}", "a=1%262,b=x+y" },
		{ "{\"k\":\"\xc3\xa9~\"}", "k=%C3%A9~" },
		{ "{broken", "" },
		{ NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct record r = { .attrs = rows[i].attrs,
				    .attrs_len = rows[i].attrs ? strlen(rows[i].attrs) : 0 };

		record_details(&r, &b);
		assert_string_equal(buf_str(&b), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_times),  cmocka_unit_test(test_tail),
		cmocka_unit_test(test_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
