/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Lines into records: the contract's tables, and a slow second encoder that is compared with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "logsvc/line.h"
#include "logsvc/record.h"
#include "str.h"

#define NS 1789999999123456789LL

struct out {
	char *p;
	size_t len;
	enum line_stop stop;
	struct line_batch b;
};

/* Encodes in with the given limit. The input has room for the scanner behind it. */
static struct out encode(const char *in, size_t len, bool eof, size_t limit, int64_t split_ns)
{
	static struct buf tail, split_tail;
	cleanup_free char *copy = xcalloc(1, len + LINE_SLACK);
	struct out o = { 0 };

	memcpy(copy, in, len);
	memset(copy + len, '"', LINE_SLACK);
	buf_reset(&tail);
	record_tail(&tail, RECORD_STDOUT, NULL, NS);
	buf_reserve(&tail, LINE_SLACK);
	buf_reset(&split_tail);
	record_tail(&split_tail, RECORD_STDOUT, NULL, split_ns);
	buf_reserve(&split_tail, LINE_SLACK);
	o.p = xmalloc(limit + line_record_max(tail.len) + 64);
	o.b = (struct line_batch){ .p = copy,
				   .end = copy + len,
				   .out = o.p,
				   .out_limit = limit,
				   .force = true,
				   .eof = eof,
				   .tail = tail.p,
				   .tail_len = tail.len,
				   .now_ns = NS,
				   .split_ns = split_ns,
				   .split_tail = split_tail.p,
				   .split_tail_len = split_tail.len };
	o.stop = line_format(&o.b);
	o.len = o.b.out_len;
	o.p[o.len] = '\0';
	o.b.p = in + (o.b.p - copy);
	return o;
}

#define TAIL ",\"stream\":\"stdout\",\"time\":\"2026-09-21T14:13:19.123456789Z\"}\n"

static void test_escapes(void **state)
{
	static const struct {
		const char *in, *want;
		size_t len;
	} rows[] = {
		{ "hello world\n", "hello world\\n", 12 },
		{ "\n", "\\n", 1 },
		{ "\xff\xc3\x28\xed\xa0\x80\n", "\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\\n", 7 },
		{ "\xf4\x90\x80\x80\xc0\x80\n",
		  "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\n", 7 },
		{ "<a>&\0\x1f\x7f\n", "\\u003ca\\u003e\\u0026\\u0000\\u001f\x7f\\n", 8 },
		{ "hi \"x\" \\ / \b\f\t\r\n", "hi \\\"x\\\" \\\\ / \\u0008\\u000c\\u0009\\r\\n", 16 },
		{ "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\n", "\\u2028\\u2029\xe2\x80\xaa\\n", 10 },
		{ "\xef\xbf\xbd\n", "\xef\xbf\xbd\\n", 4 },
		{ "\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x90\xb3\n",
		  "\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x90\xb3\\n", 12 },
		{ "\xc3\n", "\\ufffd\\n", 2 },
		{ "\xe0\x80\x80\n", "\\ufffd\\ufffd\\ufffd\\n", 4 },
		{ "0123456789abcde\"0123456789abcdef<\n", "0123456789abcde\\\"0123456789abcdef\\u003c\\n",
		  34 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct out o = encode(rows[i].in, rows[i].len, false, 1 << 20, 0);
		cleanup_free char *want =
			xasprintf("{\"log\":\"%s\"%s", rows[i].want, TAIL);

		assert_string_equal(o.p, want);
		assert_int_equal(o.b.lines, 1);
		assert_ptr_equal(o.b.p, rows[i].in + rows[i].len);
		free(o.p);
	}
}

/* The contract's table of splits: input is n times x, with or without a newline, then maybe EOF. */
static void test_splits(void **state)
{
	static const struct {
		size_t n;
		bool newline, eof;
		int records;
		size_t text[4]; /* of each record, with its \n */
	} rows[] = {
		{ 3, true, false, 1, { 4 } },
		{ 3, false, true, 1, { 3 } },
		{ 3, false, false, 0, { 0 } },
		{ 16383, true, false, 1, { 16384 } },
		{ 16384, true, false, 2, { 16384, 1 } },
		{ 40000, true, false, 3, { 16384, 16384, 7233 } },
		{ 40000, false, false, 2, { 16384, 16384 } },
		{ 16384, false, true, 1, { 16384 } },
		{ 16385, false, true, 2, { 16384, 1 } },
		{ 0, true, false, 1, { 1 } },
		{ 0, false, true, 0, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *in = xmalloc(rows[i].n + 1), *text = xmalloc(1 << 17);
		struct out o;
		char *p;

		memset(in, 'x', rows[i].n);
		in[rows[i].n] = '\n';
		o = encode(in, rows[i].n + rows[i].newline, rows[i].eof, 1 << 20, 0);
		assert_int_equal(o.b.lines, rows[i].records);
		p = o.p;
		for (int k = 0; k < rows[i].records; k++) {
			char *nl = memchr(p, '\n', (size_t)(o.p + o.len - p));
			struct record r;

			assert_non_null(nl);
			assert_int_equal(record_decode(p, (size_t)(nl - p), text, &r), 0);
			assert_int_equal(r.text_len, rows[i].text[k]);
			p = nl + 1;
		}
		assert_ptr_equal(p, o.p + o.len);
		free(o.p);
	}
}

static void test_split_keeps_sequences(void **state)
{
	cleanup_free char *in = xmalloc(LINE_PIECE + 100);
	struct out o;

	(void)state;
	for (size_t before = LINE_PIECE - 4; before <= LINE_PIECE; before++) {
		memset(in, 'x', before);
		memcpy(in + before, "\xf0\x9f\x90\xb3!\n", 6);
		o = encode(in, before + 6, false, 1 << 20, 0);
		assert_null(strstr(o.p, "\\ufffd"));
		assert_non_null(strstr(o.p, "\xf0\x9f\x90\xb3"));
		assert_int_equal(o.b.lines, 2 - (before + 5 < LINE_PIECE));
		free(o.p);
	}
	memset(in, 0xff, LINE_PIECE); /* not a sequence: nothing to keep */
	o = encode(in, LINE_PIECE, false, 1 << 20, 0);
	assert_int_equal(o.b.lines, 1);
	assert_ptr_equal(o.b.p, in + LINE_PIECE);
	free(o.p);
}

static void test_pieces_keep_the_first_time(void **state)
{
	struct out o = encode("end\nnext\n", 9, false, 1 << 20, 1000000000LL);

	(void)state;
	assert_string_equal(o.p, "{\"log\":\"end\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01Z\"}\n"
				 "{\"log\":\"next\\n\"" TAIL);
	assert_int_equal(o.b.split_ns, 0);
	free(o.p);
	o = encode("no end", 6, true, 1 << 20, 1000000000LL);
	assert_string_equal(o.p, "{\"log\":\"no end\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01Z\"}\n");
	free(o.p);
}

static void test_limit(void **state)
{
	static const char in[] = "aaaa\nbbbb\ncccc\n";
	size_t one = strlen("{\"log\":\"aaaa\\n\"" TAIL);

	(void)state;
	for (size_t limit = 0; limit < 4 * one; limit += 7) {
		struct out o = encode(in, sizeof(in) - 1, false, limit, 0);
		size_t fit = limit / one > 3 ? 3 : limit / one;

		assert_int_equal(o.b.lines, fit ? fit : 1); /* the first is forced */
		assert_int_equal(o.len, one * (fit ? fit : 1));
		assert_int_equal(o.stop, o.b.lines == 3 ? LINE_NEED_INPUT : LINE_FULL);
		assert_ptr_equal(o.b.p, in + 5 * o.b.lines);
		free(o.p);
	}
}

/* ---- a second encoder, byte by byte ----------------------------------------------------------- */

static int valid_len(const unsigned char *p, size_t n)
{
	unsigned c = p[0], need, min, v;

	if (c < 0x80)
		return 1;
	need = c >= 0xf0 && c < 0xf8 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc0 && c < 0xe0 ? 1 : 9;
	if (need == 9 || n <= need)
		return 0;
	v = need == 3 ? c & 7 : need == 2 ? c & 15 : c & 31;
	min = need == 3 ? 0x10000 : need == 2 ? 0x800 : 0x80;
	for (unsigned i = 1; i <= need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 63);
	}
	return v < min || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : (int)need + 1;
}

static void slow_encode(struct buf *out, const unsigned char *p, size_t n)
{
	buf_addstr(out, "{\"log\":\"");
	while (n) {
		int k = valid_len(p, n);

		if (k <= 0) {
			buf_addstr(out, "\\ufffd");
			k = 1;
		} else if (k == 1 && (*p < 0x20 || strchr("<>&", *p)) && *p != '\n' && *p != '\r') {
			buf_printf(out, "\\u%04x", *p);
		} else if (k == 1 && strchr("\"\\\n\r", *p)) {
			buf_addch(out, '\\');
			buf_addch(out, *p == '\n' ? 'n' : *p == '\r' ? 'r' : (char)*p);
		} else if (k == 3 && !memcmp(p, "\xe2\x80", 2) && (p[2] == 0xa8 || p[2] == 0xa9)) {
			buf_addstr(out, p[2] == 0xa8 ? "\\u2028" : "\\u2029");
		} else {
			buf_add(out, p, (size_t)k);
		}
		p += k;
		n -= (size_t)k;
	}
	buf_addstr(out, "\"" TAIL);
}

static void test_against_slow_encoder(void **state)
{
	static const char *const bits[] = { "a", "plain text ", "\"", "\\", "<", "&", "\t", "\n", "\n",
					    "\xc3\xa9", "\xe2\x80\xa8", "\xed\xa0\x80", "\xf0\x9f\x90\xb3",
					    "\x80", "\xff", "\x7f", "0123456789abcdef", "\xe2\x80", "\r" };
	cleanup_buf struct buf in = BUF_INIT;

	(void)state;
	srandom(7);
	for (int round = 0; round < 3000; round++) {
		cleanup_buf struct buf want = BUF_INIT;
		struct out o;
		char *p, *nl;

		buf_reset(&in);
		for (long n = random() % 60; n >= 0; n--)
			buf_addstr(&in, bits[(size_t)random() % ARRAY_SIZE(bits)]);
		buf_addch(&in, '\n');
		o = encode(in.p, in.len, false, 1 << 20, 0);
		for (p = in.p; p < in.p + in.len; p = nl + 1) {
			nl = memchr(p, '\n', (size_t)(in.p + in.len - p));
			slow_encode(&want, (unsigned char *)p, (size_t)(nl + 1 - p));
		}
		assert_string_equal(o.p, want.p);
		free(o.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_split_keeps_sequences),
		cmocka_unit_test(test_pieces_keep_the_first_time),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_against_slow_encoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
