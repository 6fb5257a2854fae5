/* SPDX-License-Identifier: MPL-2.0
 *
 * dns_msg.c - DNS messages. What a zone sends is hostile: every length is checked against the
 * message's, and a question's name may not use compression, which no client does there.
 *
 *	header: id, flags, QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT (16 bits each)
 *	question: labels (length, bytes) ... 0, type, class
 *	answer: pointer to the question's name (0xc00c), type, class, TTL (32), length (16), data
 */
#include "dns_msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define HEADER	    12
#define TTL	    600 /* as Docker's */
#define FLAG_QR	    0x8000
#define FLAG_RD	    0x0100
#define FLAG_RA	    0x0080
#define MASK_OPCODE 0x7800

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

int dns_parse(const uint8_t *msg, size_t len, struct dns_query *q)
{
	size_t at = HEADER, n = 0;

	if (len < HEADER + 5 || get16(msg + 4) != 1)
		return -EINVAL;
	q->id = get16(msg);
	q->flags = get16(msg + 2);
	if (q->flags & (FLAG_QR | MASK_OPCODE))
		return -EINVAL;
	while (at < len && msg[at]) {
		size_t label = msg[at++];

		if (label > 63 || at + label > len || n + label + 1 >= sizeof(q->name))
			return -EINVAL;
		if (n)
			q->name[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			uint8_t c = msg[at + i];

			q->name[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		}
		at += label;
	}
	q->name[n] = '\0';
	if (at + 5 > len || strlen(q->name) != n)
		return -EINVAL;
	q->type = get16(msg + at + 1);
	q->class = get16(msg + at + 3);
	q->question_end = at + 5;
	return 0;
}

size_t dns_reply(const uint8_t *msg, const struct dns_query *q, enum dns_rcode rcode, uint8_t *out)
{
	memset(out, 0, HEADER);
	put16(out, q->id);
	put16(out + 2, FLAG_QR | FLAG_RA | (q->flags & FLAG_RD) | (unsigned)rcode);
	put16(out + 4, 1);
	memcpy(out + HEADER, msg + HEADER, q->question_end - HEADER); /* < 300 */
	return q->question_end;
}

static size_t add_answer(uint8_t *reply, size_t len, unsigned type, const void *data,
			 size_t data_len)
{
	uint8_t *p = reply + len;

	if (len + 12 + data_len > DNS_REPLY_MAX)
		return len;
	put16(p, 0xc000 | HEADER);
	put16(p + 2, type);
	put16(p + 4, 1);
	put16(p + 6, TTL >> 16);
	put16(p + 8, TTL & 0xffff);
	put16(p + 10, (unsigned)data_len);
	memcpy(p + 12, data, data_len);
	put16(reply + 6, get16(reply + 6) + 1u);
	return len + 12 + data_len;
}

size_t dns_add_a(uint8_t *reply, size_t len, uint32_t ip)
{
	uint8_t data[4] = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
			   (uint8_t)ip};

	return add_answer(reply, len, DNS_A, data, sizeof(data));
}

size_t dns_add_aaaa(uint8_t *reply, size_t len, const struct in6_addr *ip)
{
	return add_answer(reply, len, DNS_AAAA, ip, sizeof(*ip));
}

size_t dns_add_ptr(uint8_t *reply, size_t len, const char *name)
{
	uint8_t data[DNS_NAME_MAX + 2];
	size_t n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		if (!label || label > 63 || n + label + 2 > sizeof(data))
			return len;
		data[n++] = (uint8_t)label;
		memcpy(data + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	data[n++] = 0;
	return add_answer(reply, len, DNS_PTR, data, n);
}

int dns_reverse_ip(const char *name, uint32_t *ip)
{
	unsigned a, b, c, d;
	int end = -1;

	if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &d, &c, &b, &a, &end) != 4 || end < 0 ||
	    name[end])
		return -EINVAL;
	if (a > 255 || b > 255 || c > 255 || d > 255)
		return -EINVAL;
	*ip = a << 24 | b << 16 | c << 8 | d;
	return 0;
}

int dns_reverse_ip6(const char *name, struct in6_addr *ip)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(name) != 64 + 8 || strcmp(name + 64, "ip6.arpa") != 0)
		return -EINVAL;
	for (unsigned i = 0; i < 32; i++) {
		const char *digit = name[i * 2] ? strchr(digits, name[i * 2]) : NULL;
		uint8_t *byte = &ip->s6_addr[15 - i / 2];
		uint8_t v;

		if (!digit || name[i * 2 + 1] != '.')
			return -EINVAL;
		v = (uint8_t)(digit - digits);
		*byte = i % 2 ? (uint8_t)(*byte | v << 4) : v;
	}
	return 0;
}
