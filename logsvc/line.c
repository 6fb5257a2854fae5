/* SPDX-License-Identifier: MPL-2.0
 *
 * line.c - splits output into lines and pieces of 16 KiB, and escapes them as Go's encoder does.
 *
 * Design: one pass. 16 bytes are loaded, stored to the record being built, and tested for anything
 * that JSON or Docker must escape, for the newline, and for bytes that are not ASCII; in the common
 * case nothing is found and both pointers move on. What was found is handled by its byte, and the
 * scan goes on behind it. There is no second look at the text and no call per line but the two
 * copies around it. A line that turns out to be incomplete is taken back by resetting out_len.
 *
 * Differs from Docker in one point (contract 1.3): a split moves back to the start of a UTF-8
 * sequence that it would cut, at most three bytes.
 *
 * Invariants: p only moves past bytes whose record is complete in out. Input may be read LINE_SLACK
 * bytes too far (the ring is mapped with room behind it), output written as far.
 */
#include "line.h"

#include <string.h>
#if defined(__SSE2__) && !defined(LINE_PORTABLE)
#include <emmintrin.h>
#endif

#include "record.h"

enum esc_end {
	ESC_NEWLINE, /* in is behind it */
	ESC_INPUT,   /* all input is encoded */
	ESC_CUT,     /* in is at the start of a sequence that goes on behind the input */
};

/* Length of the valid UTF-8 sequence at p as Go's decoder sees it; 0: none; -1: the input ends inside
 * one that is valid so far. */
static int utf8_len(const unsigned char *p, const unsigned char *end)
{
	unsigned char lo = 0x80, hi = 0xbf;
	int need;

	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		need = 1;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		need = 2;
		if (p[0] == 0xe0)
			lo = 0xa0;
		else if (p[0] == 0xed)
			hi = 0x9f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		need = 3;
		if (p[0] == 0xf0)
			lo = 0x90;
		else if (p[0] == 0xf4)
			hi = 0x8f;
	} else {
		return 0;
	}
	for (int i = 1; i <= need; i++) {
		if (p + i >= end)
			return -1;
		if (p[i] < lo || p[i] > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return need + 1;
}

static char *put_u(char *o, const char *four)
{
	o[0] = '\\';
	o[1] = 'u';
	memcpy(o + 2, four, 4);
	return o + 6;
}

/* Bytes from 0x80 on, as long as they last. Returns false at a sequence that the input cuts (unless
 * final: then its bytes are invalid). */
static bool put_high(const char **in, const char *end, char **out, bool final)
{
	const unsigned char *p = (const unsigned char *)*in, *e = (const unsigned char *)end;
	bool cut = false;
	char *o = *out;

	while (p < e && *p >= 0x80) {
		int n = utf8_len(p, e);

		if (n < 0 && !final) {
			cut = true;
			break;
		}
		if (n <= 0) {
			o = put_u(o, "fffd");
			p++;
			continue;
		}
		if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] & ~1) == 0xa8) {
			o = put_u(o, p[2] == 0xa8 ? "2028" : "2029");
			p += 3;
			continue;
		}
		for (int i = 0; i < n; i++)
			*o++ = (char)p[i];
		p += n;
	}
	*in = (const char *)p;
	*out = o;
	return !cut;
}

static char *put_special(char *o, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char four[4] = { '0', '0', hex[c >> 4], hex[c & 15] };

	if (c == '"' || c == '\\' || c == '\r') {
		o[0] = '\\';
		o[1] = c == '\r' ? 'r' : (char)c;
		return o + 2;
	}
	return put_u(o, four);
}

/* Copies plain bytes; stops at the first that is not, or at end. */
static inline const char *copy_plain(const char *p, const char *end, char **out)
{
	char *o = *out;
#if defined(__SSE2__) && !defined(LINE_PORTABLE)
	const __m128i low = _mm_set1_epi8(0x20), back = _mm_set1_epi8('\\');
	const __m128i four = _mm_set1_epi8(4), amp = _mm_set1_epi8('&');
	const __m128i two = _mm_set1_epi8(2), angle = _mm_set1_epi8('>');

	for (;;) {
		__m128i v = _mm_loadu_si128((const __m128i *)p);
		/* signed: controls and everything from 0x80 on */
		__m128i m = _mm_or_si128(_mm_cmplt_epi8(v, low), _mm_cmpeq_epi8(v, back));
		unsigned k;

		_mm_storeu_si128((__m128i *)o, v);
		m = _mm_or_si128(m, _mm_cmpeq_epi8(_mm_or_si128(v, four), amp));  /* " & */
		m = _mm_or_si128(m, _mm_cmpeq_epi8(_mm_or_si128(v, two), angle)); /* < > */
		k = (unsigned)_mm_movemask_epi8(m);
		if (k) {
			k = (unsigned)__builtin_ctz(k);
			p += k;
			o += k;
			break;
		}
		p += 16;
		o += 16;
		if (p >= end)
			break;
	}
	if (p > end) {
		o -= p - end;
		p = end;
	}
#else
	while (p < end) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&')
			break;
		*o++ = *p++;
	}
#endif
	*out = o;
	return p;
}

static enum esc_end escape(const char **in, const char *end, char **out, bool final)
{
	const char *p = *in;
	char *o = *out;
	enum esc_end rc = ESC_INPUT;

	while (p < end) {
		unsigned char c;

		p = copy_plain(p, end, &o);
		if (p >= end)
			break;
		c = (unsigned char)*p;
		if (c == '\n') {
			p++;
			rc = ESC_NEWLINE;
			break;
		}
		if (c >= 0x80) {
			if (!put_high(&p, end, &o, final)) {
				rc = ESC_CUT;
				break;
			}
			continue;
		}
		o = put_special(o, c);
		p++;
	}
	*in = p;
	*out = o;
	return rc;
}

static inline char *put_tail(char *o, const char *tail, size_t len)
{
#if defined(__SSE2__) && !defined(LINE_PORTABLE)
	if (len <= 96) { /* the tail has LINE_SLACK bytes behind it as well */
		for (size_t i = 0; i < len; i += 16)
			_mm_storeu_si128((__m128i *)(o + i),
					 _mm_loadu_si128((const __m128i *)(tail + i)));
		return o + len;
	}
#endif
	memcpy(o, tail, len);
	return o + len;
}

size_t line_record_max(size_t tail_len)
{
	return RECORD_HEAD_LEN + (size_t)6 * LINE_PIECE + tail_len + LINE_SLACK;
}

enum line_stop line_format(struct line_batch *b)
{
	size_t first = b->out_len;

	while (b->p < b->end) {
		size_t avail = (size_t)(b->end - b->p);
		bool can_split = avail >= LINE_PIECE;
		const char *p = b->p, *end = can_split ? p + LINE_PIECE : b->end;
		char *o = b->out + b->out_len;
		enum esc_end at;

		memcpy(o, RECORD_HEAD, RECORD_HEAD_LEN);
		o += RECORD_HEAD_LEN;
		at = escape(&p, end, &o, !can_split && b->eof);
		if (at != ESC_NEWLINE && !can_split && !b->eof)
			break;
		if (__builtin_expect(at == ESC_NEWLINE && !b->split_ns, 1))
			o = put_tail(o, b->tail, b->tail_len);
		else if (at == ESC_NEWLINE)
			o = put_tail(o, b->split_tail, b->split_tail_len);
		else if (b->split_ns)
			o = put_tail(o, b->split_tail + RECORD_TAIL_PIECE,
				     b->split_tail_len - RECORD_TAIL_PIECE);
		else
			o = put_tail(o, b->tail + RECORD_TAIL_PIECE, b->tail_len - RECORD_TAIL_PIECE);
		if ((size_t)(o - b->out) > b->out_limit && !(b->force && b->out_len == first))
			return LINE_FULL;
		if (at == ESC_NEWLINE) {
			b->split_ns = 0;
		} else if (!b->split_ns) {
			b->split_ns = b->now_ns;
			b->split_tail = b->tail;
			b->split_tail_len = b->tail_len;
		}
		b->out_len = (size_t)(o - b->out);
		b->p = p;
		b->lines++;
	}
	return LINE_NEED_INPUT;
}
