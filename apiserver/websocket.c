/* SPDX-License-Identifier: MPL-2.0
 *
 * websocket.c - RFC 6455 frames and handshake.
 *
 * Refused, as section 5 demands: unmasked client frames, reserved bits, unknown opcodes, fragmented
 * or long control frames, continuations of nothing, new messages inside an open one, lengths with
 * the top bit set.
 */
#include "websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

size_t ws_head(uint8_t out[10], enum ws_opcode opcode, uint64_t len)
{
	out[0] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= 0xffff) {
		out[1] = 126;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		return 4;
	}
	out[1] = 127;
	for (int i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(len >> (56 - 8 * i));
	return 10;
}

int ws_accept_value(const char *key, char out[29])
{
	unsigned char raw[32], digest[SHA_DIGEST_LENGTH];
	char text[24 + sizeof(GUID)];

	if (strlen(key) != 24 || EVP_DecodeBlock(raw, (const unsigned char *)key, 24) != 18 ||
	    key[22] != '=' || key[23] != '=')
		return -1;
	memcpy(text, key, 24);
	memcpy(text + 24, GUID, sizeof(GUID));
	SHA1((const unsigned char *)text, 24 + sizeof(GUID) - 1, digest);
	EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
	return 0;
}

/* Bytes of the head that n bytes of it call for. */
static unsigned head_size(const uint8_t *h, unsigned n)
{
	unsigned size = 2 + 4; /* with the mask */

	if (n >= 2 && (h[1] & 0x7f) == 126)
		size += 2;
	else if (n >= 2 && (h[1] & 0x7f) == 127)
		size += 8;
	return n < 2 ? 2 : size;
}

/* A whole head; false: not allowed. */
static bool take_head(struct ws_decoder *d)
{
	const uint8_t *h = d->head, *p = h + 2;
	bool control = h[0] & 0x08;
	uint8_t opcode = h[0] & 0x0f;

	d->fin = h[0] & 0x80;
	d->left = h[1] & 0x7f;
	if (d->left >= 126) {
		int n = d->left == 126 ? 2 : 8;

		for (d->left = 0; n > 0; n--)
			d->left = d->left << 8 | *p++;
	}
	memcpy(d->mask, p, 4);
	d->mask_pos = 0;
	d->n_head = 0;
	if ((h[0] & 0x70) || d->left >> 63)
		return false;
	if (control && (!d->fin || d->left > WS_CONTROL_MAX || opcode > WS_PONG))
		return false;
	if (!control) {
		if (opcode > WS_BINARY || (opcode == WS_CONT) != d->in_message)
			return false;
		d->in_message = !d->fin;
	}
	d->opcode = opcode;
	d->n_control = 0;
	d->in_payload = true;
	return true;
}

static void unmask(struct ws_decoder *d, uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] ^= d->mask[(d->mask_pos + i) & 3];
	d->mask_pos = (unsigned)((d->mask_pos + len) & 3);
}

/* The end of a control frame. */
static enum ws_event control_event(struct ws_decoder *d, uint8_t **data, size_t *n_data)
{
	*data = d->control;
	*n_data = d->n_control;
	if (d->opcode == WS_PING)
		return WS_EV_PING;
	if (d->opcode == WS_CLOSE)
		return WS_EV_CLOSE;
	return WS_EV_MORE; /* a pong nobody asked for */
}

enum ws_event ws_next(struct ws_decoder *d, uint8_t *p, size_t len, size_t *used, uint8_t **data,
		      size_t *n_data)
{
	size_t off = 0;

	*used = len;
	for (;;) {
		bool control;
		size_t n;

		while (!d->in_payload) {
			if (off == len) {
				*used = len;
				return WS_EV_MORE;
			}
			d->head[d->n_head++] = p[off++];
			if (d->n_head == 2 && !(d->head[1] & 0x80))
				return WS_EV_BAD; /* not masked */
			if (d->n_head >= 2 && d->n_head == head_size(d->head, d->n_head) &&
			    !take_head(d))
				return WS_EV_BAD;
		}
		control = d->opcode & 0x08;
		n = len - off < d->left ? len - off : (size_t)d->left;
		unmask(d, p + off, n);
		d->left -= n;
		if (control) {
			memcpy(d->control + d->n_control, p + off, n);
			d->n_control += (unsigned)n;
		} else {
			*data = p + off;
			*n_data = n;
		}
		off += n;
		if (d->left == 0)
			d->in_payload = false;
		if (control && d->left == 0) {
			enum ws_event ev = control_event(d, data, n_data);

			*used = off;
			if (ev != WS_EV_MORE)
				return ev;
		} else if (!control && n > 0) {
			*used = off;
			return WS_EV_DATA;
		} else if (d->left > 0) {
			*used = len;
			return WS_EV_MORE;
		}
	}
}
