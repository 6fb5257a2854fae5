/* SPDX-License-Identifier: MPL-2.0
 *
 * reply.h - answering a request. Loop thread. All take the request's id; a client that has gone is no
 * error: what was handed over is freed and callbacks are called.
 */
#ifndef APISERVER_REPLY_H
#define APISERVER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

void reply_json(uint64_t req, int status, struct buf *json); /* takes the bytes of json */
void reply_text(uint64_t req, int status, const char *content_type, const char *text);
void reply_empty(uint64_t req, int status); /* 204, 304, 200 without a body */
void reply_error(uint64_t req, const struct err *err); /* {"message": ...} with the kind's status */
void reply_error_status(uint64_t req, int status, const char *message);
/* Extra header for the reply to come. */
void reply_header(uint64_t req, const char *name, const char *value);

/* Streams a descriptor (pipe, socket, file; taken) to the client, chunked, until EOF, with back pressure.
 * aborted, if not NULL, is asked at EOF: true cuts the connection instead of ending the body properly, so
 * that the client sees that it is not whole. on_end is called once, also when the client went away
 * (client_gone true); NULL is fine. */
struct stream_opts {
	int status; /* 0 = 200 */
	const char *content_type;
	bool (*aborted)(void *arg);
	void (*on_end)(void *arg, bool client_gone);
	void *arg;
	int64_t content_length; /* > 0: identity body of this length; else chunked */
};
void reply_stream(uint64_t req, int fd, const struct stream_opts *opts);

/* A reply written piece by piece by loop objects (events, stats). Chunked; each write is flushed.
 * reply_write returns the bytes that wait for the client (0: all sent), or -EPIPE: gone. */
int reply_begin(uint64_t req, int status, const char *content_type);
int64_t reply_write(uint64_t req, const void *p, size_t len);
void reply_end(uint64_t req);
/* Cuts the connection, so that the client sees that what it has is not whole; its on_gone is called, soon. */
void reply_abort(uint64_t req);

/* Hijack: 101 UPGRADED when the request asked for `Upgrade: tcp`, else 200; then a raw two-way stream.
 * Descriptors are taken; -1 where unused. in_fd: the client's bytes go there; the client's half-close
 * closes in_fd and calls on_in_eof (not when in_fd is -1). Each out[i] goes to the client until EOF, framed as
 * mux[i] = 1 stdout, 2 stderr (Docker's 8-byte header), 0 raw. When all outs are at EOF the connection
 * is closed and on_end called. detach_keys: parsed sequence ("" none, n_detach bytes) looked for in the
 * client's bytes: found, the connection ends with on_detach instead of on_end. Websocket requests (Upgrade:
 * websocket) are answered as such, by the same call. */
struct hijack_opts {
	const char *content_type; /* NULL: by the rule raw-stream / multiplexed-stream from 1.42 without tty */
	bool tty;
	int in_fd;
	int out[2];
	uint8_t mux[2];
	bool framed; /* the outs' bytes have Docker's stream headers already: a websocket takes them off */
	uint8_t detach[16];
	size_t n_detach;
	bool until_taken; /* the end of the outs is one once the client has read all, or has not for a tenth of a second */
	void (*on_in_eof)(void *arg);
	/* An out was broken off (ECONNRESET), and is closed. True: when no out is left the connection is to stay all the same, until
	 * reply_hijack_end; *text, if set, goes to the client first. NULL: as an end. */
	bool (*on_broken)(void *arg, const char **text);
	void (*on_detach)(void *arg);
	void (*on_end)(void *arg, bool client_gone);
	void *arg;
};
void reply_hijack(uint64_t req, const struct hijack_opts *opts);
/* Ends one from this side, its outs not at EOF (on_end follows, client_gone false). */
void reply_hijack_end(uint64_t req);
/* The program that wrote its outs has ended, but others hold them open: what they have now goes to the client, and then they
 * are at EOF, where they are the stdio relay's (stdio_relay.h). False: there is none (any more), or nothing has come for a second that
 * the client did not take: it may be ended. */
bool reply_hijack_drain(uint64_t req);
/* The head alone, ahead of reply_hijack or reply_hijack_message, one of which must follow: for clients that
 * time out where it takes long until there is a stream. */
void reply_hijack_head(uint64_t req, const struct hijack_opts *opts);
/* After the hijack (or where it failed to start its program): text frames of our own, then end. */
void reply_hijack_message(uint64_t req, const struct hijack_opts *opts, uint8_t stream_type, const char *text);

#endif
