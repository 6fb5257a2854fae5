/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Any output becomes records that decode to the same text, however it is cut into batches. Bytes that
 * are not UTF-8 become U+FFFD, so only the count of what remains is compared there. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logsvc/line.h"
#include "logsvc/record.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_all(const char *p, size_t len, struct buf *text)
{
	char *one = xmalloc(len + RECORD_SLACK);
	const char *end = p + len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct record r;

		if (!nl || record_decode(p, (size_t)(nl - p), one, &r) < 0 || !r.text_len ||
		    r.stream != RECORD_STDOUT)
			abort();
		buf_add(text, one, r.text_len);
		p = nl + 1;
	}
	free(one);
}

static void encode_all(const char *in, size_t size, size_t step, size_t limit, struct buf *out)
{
	struct buf tail = BUF_INIT, split = BUF_INIT;
	struct line_batch b = { .p = in, .now_ns = 5, .force = true, .out_limit = limit };
	char *room;

	record_tail(&tail, RECORD_STDOUT, NULL, 5);
	record_tail(&split, RECORD_STDOUT, NULL, 5);
	buf_reserve(&tail, LINE_SLACK);
	buf_reserve(&split, LINE_SLACK);
	room = xmalloc(limit + line_record_max(tail.len));
	b.out = room;
	b.tail = tail.p;
	b.tail_len = tail.len;
	for (size_t have = 0;; have = have + step < size ? have + step : size) {
		enum line_stop stop;

		b.end = in + have;
		b.eof = have == size;
		do {
			b.out_len = 0;
			b.split_tail = split.p;
			b.split_tail_len = split.len;
			stop = line_format(&b);
			buf_add(out, b.out, b.out_len);
		} while (stop == LINE_FULL);
		if (have == size)
			break;
	}
	if (b.p != in + size)
		abort();
	buf_fini(&tail);
	buf_fini(&split);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf a = BUF_INIT, b = BUF_INIT, ta = BUF_INIT, tb = BUF_INIT;
	char *in;
	bool plain = true;

	if (size < 2 || size > 200000)
		return 0;
	in = xcalloc(1, size + LINE_SLACK);
	memcpy(in, data, size);
	for (size_t i = 0; i < size; i++)
		plain &= data[i] < 0x80;
	encode_all(in, size, size, 1 << 20, &a);
	encode_all(in, size, 1 + data[0] * 17u, data[1] * 100u, &b);
	decode_all(a.p ? a.p : "", a.len, &ta);
	decode_all(b.p ? b.p : "", b.len, &tb);
	if (ta.len != tb.len || (ta.len && memcmp(ta.p, tb.p, ta.len)))
		abort();
	if (plain && (ta.len != size || memcmp(ta.p, data, size)))
		abort();
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&ta);
	buf_fini(&tb);
	free(in);
	return 0;
}
