/* SPDX-License-Identifier: MPL-2.0
 *
 * client.h - one connection and the request on it. Private to the HTTP plumbing (client.c,
 * request.c, reply.c, stream_pump.c, hijack.c, listen.c, debug.c). Loop thread only.
 *
 * A connection has one request at a time: struct req is part of struct client and used again for
 * the next one, so that a request costs no allocation. Pipelined requests wait in `in`.
 */
#ifndef APISERVER_CLIENT_H
#define APISERVER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "buf.h"
#include "http.h"
#include "request.h"
#include "route.h"

struct pump;
struct tls_conn;
struct body_stream;

enum client_face { FACE_API, FACE_ADMIN, FACE_METRICS };

enum client_state {
	CLIENT_IDLE,   /* no byte of a request yet */
	CLIENT_HEAD,   /* a head is arriving */
	CLIENT_BODY,   /* the head was routed, the body is arriving */
	CLIENT_RUN,    /* the request is whole, its reply is not */
	CLIENT_RAW,    /* hijacked: bytes go both ways, no more HTTP */
	CLIENT_LINGER, /* all is sent and shut down; input is discarded until the peer closes */
	CLIENT_CLOSED,
};

#define REQ_MAX_QUERY 256

struct req {
	uint64_t id;
	struct client *client;
	bool live; /* between the routing of the head and the end of the reply */
	const struct route *route;
	int version;
	int64_t begun_ns;
	struct buf path;  /* decoded, version stripped */
	struct buf var;	  /* the path variable */
	struct buf qtext; /* decoded query: name\0value\0... */
	struct {
		uint32_t name, value;
	} query[REQ_MAX_QUERY];
	unsigned n_query;
	bool query_parsed, query_overflow; /* there were more than REQ_MAX_QUERY */
	struct buf body;
	bool body_done, body_too_large;
	struct body_stream *bs; /* until the loop's end is closed */
	struct body_stream *whole; /* what has come whole, until the reply's end */
	void (*on_gone)(void *arg);
	void *on_gone_arg;
	/* the reply */
	struct buf extra_headers;
	bool head_sent, chunked, no_body;
	bool raw_head_sent; /* reply_hijack_head */
	int status;
	struct pump *pump;
};

struct client {
	unsigned slot;
	int fd;
	enum client_state state;
	uv_poll_t poll;
	int poll_events;      /* as started; -1 not started */
	bool eof;	      /* the peer sends no more */
	bool closing_after;   /* Connection: close was said */
	bool corked;	      /* inside on_readable: output waits for its end */
	bool deferred;	      /* in the list of those with input to look at */
	enum client_face face; /* what it came in by: each has a table of its own */
	bool broken;	      /* a write failed: client_gone will be called from the loop */
	uint32_t n_discarded; /* bytes of a body that nobody wants */
	struct http_parse parse;
	struct buf in;	/* input that cannot be used yet */
	struct buf out; /* output that the socket did not take yet */
	size_t out_off;
	int64_t deadline_ns; /* 0: none; see client_sweep */
	int64_t accepted_ns;
	uint64_t n_requests;
	struct tls_conn *tls;
	char peer[80];
	struct req req;
	struct client *prev, *next; /* all */
	struct client *prev_deferred, *next_deferred;
};

struct client_stats {
	uint64_t accepted, refused, requests, replies, errors, bad, gone;
	uint64_t bytes_in, bytes_out;
	unsigned open;
};
extern struct client_stats client_stats;

#define CLIENT_MAX	 8192
#define CLIENT_IN_MAX	 (256 * 1024)
#define CLIENT_OUT_PAUSE (1024 * 1024) /* no further pipelined request above this */
#define CLIENT_BODY_MAX	 (8 * 1024 * 1024)
#define CLIENT_IO_CHUNK	 (256 * 1024)

/* client.c */
typedef void client_dispatch_fn(struct req *r);
int clients_init(void);
void clients_cut_bodies(void); /* at the stop: jobs that read from a client come to their end */
void clients_fini(void);       /* closes all */
/* Takes fd (non-blocking). tls may be NULL; taken. */
void client_open(int fd, const char *peer, struct tls_conn *tls, enum client_face face);
struct client *client_first(void);
/* Appends and, unless corked, writes. False: the client has gone. */
bool client_write(struct client *c, const void *p, size_t len);
bool client_flush(struct client *c);
size_t client_pending(const struct client *c);
void client_gone(struct client *c);		/* tells the request, closes at once */
void client_abort(struct client *c);		/* client_gone, from the loop's next turn */
bool client_is_hung_up(const struct client *c); /* closed in both directions by the peer */
void client_linger(struct client *c);		/* flush, shut down, wait for the peer's close */
void client_update_poll(struct client *c);
void client_req_done(struct client *c); /* the reply is complete */
/* Reads what is there into p; 0 EOF, -EAGAIN, other negative: broken. */
ssize_t client_recv(struct client *c, void *p, size_t len);
char *client_io_buf(void); /* CLIENT_IO_CHUNK bytes, for the current callback only */

/* request.c */
void req_table_init(struct client **table); /* CLIENT_MAX slots */
void req_begin(struct req *r, struct client *c);
void req_fini(struct req *r);
bool req_query_overflows(struct req *r); /* more parameters than are kept */
/* Decodes path and version; on failure answers and returns -1. */
int req_parse_target(struct req *r);

/* route.c */
int route_init(void);
/* Sets r->route, r->var; or answers and returns -1. */
int route_match(struct req *r);
unsigned route_flags(const struct route *rt);
void route_call(struct req *r);
const char *route_pattern(const struct route *rt);

/* body_stream.c */
struct body_stream *body_stream_new(struct client *c);
/* Takes all; what does not fit waits inside, and body_stream_blocked is true until client_resume.
 */
void body_stream_feed(struct body_stream *bs, const char *p, size_t len);
void body_stream_end(struct body_stream *bs,
		     int status); /* 0 proper end; gives up the loop's end */
bool body_stream_blocked(const struct body_stream *bs);
/* Around body_stream_end of a body that is whole: its reader has no more of it once the client has gone. */
struct body_stream *body_stream_watch(struct body_stream *bs);
void body_stream_unwatch(struct body_stream *bs, bool client_gone); /* NULL is fine */
void client_resume(struct client *c); /* input may be looked at again */

/* stream_pump.c, hijack.c: what client.c tells them */
void pump_on_drained(struct pump *p); /* the client's output is all written */
void pump_on_gone(struct pump *p);
void pump_on_input(struct pump *p); /* raw: the client's socket is readable */
bool pump_wants_input(const struct pump *p);

/* reply.c */
void reply_bad_body(struct client *c, const char *text);
void reply_bad_request(struct client *c, int status, const char *text);

#endif
