/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_wire.h - the metadata protocol's frames, for both ends of the socket. Pure.
 *
 *	V2 LEN CRC REQID WORD [BASE64]\n
 *
 * LEN is the number of bytes of "REQID WORD [BASE64]", CRC their CRC-32 in 8 lower-case hex digits.
 */
#ifndef DOCKERINIT_MDATA_WIRE_H
#define DOCKERINIT_MDATA_WIRE_H

#include <stddef.h>
#include <stdint.h>

uint32_t mdata_crc32(const void *p, size_t len);
/* out takes 4 * ((len + 2) / 3) bytes and a NUL; returns the length. */
size_t base64_encode(char *out, const void *p, size_t len);
/* Decodes in place is allowed. White space is not. Returns the length, or -1. out takes 3/4 of len.
 */
long base64_decode(void *out, const char *s, size_t len);

struct mdata_frame {
	char reqid[9];
	char word[16]; /* GET KEYS PUT DELETE; SUCCESS NOTFOUND FAILURE */
	char *payload; /* decoded, NUL-terminated, inside the line given */
	size_t payload_len;
};

/* line without its newline; changed in place. 0, or -1: drop it. */
int mdata_frame_parse(char *line, size_t len, struct mdata_frame *out);
/* A whole frame with its newline; malloc()ed, NULL when out of memory. payload NULL: none. */
char *mdata_frame_make(const char *reqid, const char *word, const void *payload, size_t payload_len,
		       size_t *out_len);

#endif
