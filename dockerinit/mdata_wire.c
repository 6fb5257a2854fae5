/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_wire.c - see mdata_wire.h. What comes from the peer is checked before it is used: lengths,
 * the checksum, the alphabet of the base64.
 */
#include "mdata_wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A nibble at a time: 64 bytes of table instead of 1 KiB. */
uint32_t mdata_crc32(const void *p, size_t len)
{
	static const uint32_t t[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const unsigned char *b = p;
	uint32_t c = ~0u;

	while (len--) {
		c ^= *b++;
		c = c >> 4 ^ t[c & 15];
		c = c >> 4 ^ t[c & 15];
	}
	return ~c;
}

size_t base64_encode(char *out, const void *p, size_t len)
{
	const unsigned char *b = p;
	char *o = out;

	for (; len >= 3; len -= 3, b += 3) {
		*o++ = b64[b[0] >> 2];
		*o++ = b64[(b[0] & 3) << 4 | b[1] >> 4];
		*o++ = b64[(b[1] & 15) << 2 | b[2] >> 6];
		*o++ = b64[b[2] & 63];
	}
	if (len) {
		unsigned char second = len > 1 ? b[1] : 0;

		*o++ = b64[b[0] >> 2];
		*o++ = b64[(b[0] & 3) << 4 | second >> 4];
		*o++ = len > 1 ? b64[(second & 15) << 2] : '=';
		*o++ = '=';
	}
	*o = '\0';
	return (size_t)(o - out);
}

static int b64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long base64_decode(void *out, const char *s, size_t len)
{
	unsigned char *o = out;
	size_t i, pad = 0;

	if (len % 4)
		return -1;
	if (len && s[len - 1] == '=')
		pad = s[len - 2] == '=' ? 2 : 1;
	for (i = 0; i < len; i += 4) {
		size_t digits = i + 4 == len ? 4 - pad : 4, d;
		uint32_t v = 0;

		for (d = 0; d < 4; d++) {
			int x = d < digits ? b64_digit(s[i + d]) : 0;

			if (x < 0)
				return -1;
			v = v << 6 | (uint32_t)x;
		}
		*o++ = (unsigned char)(v >> 16);
		if (digits > 2)
			*o++ = (unsigned char)(v >> 8);
		if (digits > 3)
			*o++ = (unsigned char)v;
	}
	return o - (unsigned char *)out;
}

static bool is_lower_hex(const char *s, size_t n)
{
	for (; n; n--, s++)
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f')))
			return false;
	return true;
}

/* The header up to the body: "V2 LEN CRC ". Returns the body or NULL. */
static char *check_header(char *line, size_t len)
{
	char *p = line + 3, *end = line + len;
	size_t body = 0;
	char crc[9];

	if (len < 3 || memcmp(line, "V2 ", 3) != 0)
		return NULL;
	for (; p < end && *p >= '0' && *p <= '9' && body <= len; p++)
		body = body * 10 + (size_t)(*p - '0');
	if (p == line + 3 || end - p < 10 || *p++ != ' ' || p[8] != ' ' || !is_lower_hex(p, 8))
		return NULL;
	p += 9;
	if ((size_t)(end - p) != body)
		return NULL;
	snprintf(crc, sizeof(crc), "%08x", mdata_crc32(p, body));
	return memcmp(crc, p - 9, 8) == 0 ? p : NULL;
}

int mdata_frame_parse(char *line, size_t len, struct mdata_frame *out)
{
	char *end = line + len, *p = check_header(line, len), *space;
	long n;

	if (!p || end - p < 10 || p[8] != ' ' || !is_lower_hex(p, 8))
		return -1;
	memcpy(out->reqid, p, 8);
	out->reqid[8] = '\0';
	p += 9;
	space = memchr(p, ' ', (size_t)(end - p));
	n = (space ? space : end) - p;
	if (n == 0 || n >= (long)sizeof(out->word) || memchr(p, '\0', (size_t)n))
		return -1;
	memcpy(out->word, p, (size_t)n);
	out->word[n] = '\0';
	out->payload = end;
	out->payload_len = 0;
	if (!space)
		return 0;
	p = space + 1;
	n = base64_decode(p, p, (size_t)(end - p));
	if (n < 0)
		return -1;
	out->payload = p;
	out->payload_len = (size_t)n;
	if (p + n < end)
		p[n] = '\0';
	return 0;
}

char *mdata_frame_make(const char *reqid, const char *word, const void *payload, size_t payload_len,
		       size_t *out_len)
{
	size_t wlen = strlen(word), room = 64 + wlen + 4 * (payload_len / 3 + 1), body;
	char head[48], *out = malloc(room), *p;
	int n;

	if (!out)
		return NULL;
	p = out + 40; /* the header is at most 2+1+20+1+8+1 bytes: put before the body later */
	memcpy(p, reqid, 8);
	p[8] = ' ';
	memcpy(p + 9, word, wlen);
	body = 9 + wlen;
	if (payload_len) { /* no space without one: cloud-init takes it for a wrong length */
		p[body++] = ' ';
		body += base64_encode(p + body, payload, payload_len);
	}
	n = snprintf(head, sizeof(head), "V2 %zu %08x ", body, mdata_crc32(p, body));
	memmove(out + n, p, body);
	memcpy(out, head, (size_t)n);
	out[(size_t)n + body] = '\n';
	out[(size_t)n + body + 1] = '\0';
	*out_len = (size_t)n + body + 1;
	return out;
}
