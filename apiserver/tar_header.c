/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_header.c - encodes one tar header.
 *
 *	0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 chksum 8 |
 *	156 typeflag | 157 linkname 100 | 257 "ustar\0" 263 "00" | 265 uname 32 | 297 gname 32 |
 *	329 devmajor 8 | 337 devminor 8 | 345 prefix 155
 *
 * Numbers are octal, NUL-terminated. What does not fit, and names that are not ASCII, go in a pax
 * header (typeflag x) before it: "LEN key=value\n", LEN counting itself.
 */
#include "apiserver/tar_header.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define BLOCK	 512
#define OCTAL_7	 07777777LL
#define OCTAL_11 077777777777LL

void tar_pax_add(struct buf *pax, const char *key, const void *value, size_t len)
{
	size_t fixed = strlen(key) + len + 3, total = fixed + 1; /* " ", "=", newline, digits */
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + fixed != total)
		total++;
	buf_printf(pax, "%zu %s=", total, key);
	buf_add(pax, value, len);
	buf_addch(pax, '\n');
}

static void pax_number(struct buf *pax, const char *key, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	tar_pax_add(pax, key, text, (size_t)n);
}

static void octal(char *field, size_t size, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)v);
	memcpy(field, text, size - 1); /* the field's last byte stays NUL */
}

/* Printable ASCII throughout. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80 || (unsigned char)*s < 0x20)
			return false;
	return true;
}

/* Fits name into name and prefix; false when it cannot be. */
static bool put_name(char *block, const char *name)
{
	size_t len = strlen(name), cut;

	if (len <= 100) {
		memcpy(block, name, len);
		return true;
	}
	if (len > 255)
		return false;
	/* the cut is a slash; the part behind it not empty */
	for (cut = len - 2; cut > 0; cut--) {
		if (name[cut] != '/')
			continue;
		if (cut <= 155 && len - cut - 1 <= 100) {
			memcpy(block + 345, name, cut);
			memcpy(block, name + cut + 1, len - cut - 1);
			return true;
		}
		if (len - cut - 1 > 100)
			return false;
	}
	return false;
}

static void finish_block(char *block)
{
	unsigned sum = 0;
	char text[8];

	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(block + 148, text, 7); /* six digits, NUL, then a blank */
}

static void pad(struct buf *out)
{
	static const char zeros[BLOCK];

	if (out->len % BLOCK)
		buf_add(out, zeros, BLOCK - out->len % BLOCK);
}

static void pax_header(struct buf *out, const struct tar_header *h, const struct buf *records)
{
	char block[BLOCK] = { 0 };
	const char *base = h->name, *slash;
	size_t len = strlen(base);

	while (len && base[len - 1] == '/')
		len--;
	slash = memrchr(base, '/', len);
	if (slash) {
		len -= (size_t)(slash + 1 - base);
		base = slash + 1;
	}
	snprintf(block, 100, "PaxHeaders.0/%.*s", (int)(len > 80 ? 80 : len), base);
	if (!is_plain(block))
		memcpy(block, "PaxHeaders.0/x", 15);
	octal(block + 100, 8, 0644);
	octal(block + 108, 8, 0);
	octal(block + 116, 8, 0);
	octal(block + 124, 12, records->len);
	octal(block + 136, 12, 0);
	block[156] = 'x';
	finish_block(block);
	buf_add(out, block, BLOCK);
	buf_add(out, records->p, records->len);
	pad(out);
}

void tar_header_encode(struct buf *out, const struct tar_header *h)
{
	cleanup_buf struct buf records = BUF_INIT;
	struct buf *start = out;
	char block[BLOCK] = { 0 };
	const char *link = h->linkname ? h->linkname : "";

	if (!is_plain(h->name) || !put_name(block, h->name)) {
		memset(block, 0, 100);
		memset(block + 345, 0, 155);
		tar_pax_add(&records, "path", h->name, strlen(h->name));
		memcpy(block, h->name, strnlen(h->name, 100));
	}
	if (!is_plain(link) || strlen(link) > 100)
		tar_pax_add(&records, "linkpath", link, strlen(link));
	memcpy(block + 157, link, strnlen(link, 100));
	octal(block + 100, 8, h->mode & 07777);
	octal(block + 108, 8, h->uid <= OCTAL_7 ? h->uid : 0);
	octal(block + 116, 8, h->gid <= OCTAL_7 ? h->gid : 0);
	octal(block + 124, 12, h->size <= OCTAL_11 ? (uint64_t)h->size : 0);
	octal(block + 136, 12, h->mtime >= 0 && h->mtime <= OCTAL_11 ? (uint64_t)h->mtime : 0);
	if (h->uid > OCTAL_7)
		pax_number(&records, "uid", (int64_t)h->uid);
	if (h->gid > OCTAL_7)
		pax_number(&records, "gid", (int64_t)h->gid);
	if (h->size > OCTAL_11)
		pax_number(&records, "size", h->size);
	if (h->mtime < 0 || h->mtime > OCTAL_11)
		pax_number(&records, "mtime", h->mtime);
	if (h->pax)
		buf_add(&records, h->pax->p, h->pax->len);
	block[156] = h->typeflag;
	octal(block + 329, 8, h->dev_major);
	octal(block + 337, 8, h->dev_minor);
	finish_block(block);
	if (records.len)
		pax_header(start, h, &records);
	buf_add(out, block, BLOCK);
}
