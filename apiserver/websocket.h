/* SPDX-License-Identifier: MPL-2.0
 *
 * websocket.h - RFC 6455, the server's side: handshake value, frame heads out, frames in. Pure.
 */
#ifndef APISERVER_WEBSOCKET_H
#define APISERVER_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum ws_event {
	WS_EV_MORE,  /* all input used */
	WS_EV_DATA,  /* *data, *n_data: payload of a text or binary message, unmasked in place */
	WS_EV_PING,  /* *data, *n_data: answer with a pong of the same */
	WS_EV_CLOSE, /* the peer wants to close; *data, *n_data: its status and reason */
	WS_EV_BAD,   /* a protocol error: close */
};

#define WS_CONTROL_MAX 125

struct ws_decoder {
	uint8_t head[14];
	unsigned n_head;
	uint64_t left; /* payload bytes to come */
	unsigned mask_pos;
	uint8_t mask[4];
	uint8_t opcode;
	bool in_payload;
	bool in_message; /* a fragmented message is open */
	bool fin;
	uint8_t control[WS_CONTROL_MAX];
	unsigned n_control;
};

enum ws_event ws_next(struct ws_decoder *d, uint8_t *p, size_t len, size_t *used, uint8_t **data,
		      size_t *n_data);
/* Head of an unmasked, unfragmented frame; returns its length (2, 4 or 10). */
size_t ws_head(uint8_t out[10], enum ws_opcode opcode, uint64_t len);
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; -1 when the key is not 16 bytes of base64. */
int ws_accept_value(const char *key, char out[29]);

#endif
