/* SPDX-License-Identifier: MPL-2.0
 *
 * request.h - one HTTP request as handlers see it. Loop thread, but for struct body_stream.
 *
 * A handler keeps the id, not the pointer, across jobs and callbacks: req_by_id gives NULL when the
 * client has gone or the reply is complete. Strings are borrowed and live as long as the request.
 */
#ifndef APISERVER_REQUEST_H
#define APISERVER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct req;

uint64_t req_id(const struct req *r);
struct req *req_by_id(uint64_t id);
int req_version(const struct req *r);	 /* 124 .. 151 for 1.24 .. 1.51 */
const char *req_peer(const struct req *r); /* who asks, for the log */
const char *req_method(const struct req *r);
const char *req_path(const struct req *r); /* decoded, without the version */
const char *req_var(const struct req *r, const char *name); /* path variable, decoded; never NULL for those
							      * in the route's pattern */
const char *req_query(const struct req *r, const char *name); /* first value, decoded; NULL if absent */
char **req_query_all(const struct req *r, const char *name);  /* owned vector, never NULL */
/* Docker's: absent gives def; "", 0, no, false, none (any case) false; else true. */
bool req_query_bool(const struct req *r, const char *name, bool def);
const char *req_header(const struct req *r, const char *lower_name); /* NULL if absent */
const struct buf *req_body(const struct req *r); /* whole body; routes without BODY_STREAM */
bool req_is_websocket(const struct req *r);	 /* Upgrade: websocket */
/* Called once when the client goes away before the reply is complete (to cancel work). */
void req_on_gone(struct req *r, void (*fn)(void *arg), void *arg);

/* A request body that a job reads while it arrives, with back pressure (routes with BODY_STREAM).
 * Taken on the loop; read and closed by one worker. */
struct body_stream;
struct body_stream *req_body_stream(struct req *r);
/* Bytes, 0 at the proper end of the body, negative errno when the client went away (-ECONNRESET) or sent
 * nothing for the idle limit (-ETIMEDOUT). Blocks. Worker. */
ssize_t body_read(struct body_stream *bs, void *p, size_t len);
/* Its client has gone, whether before the end or after: nobody waits for what becomes of it. Any thread. */
bool body_cut(const struct body_stream *bs);
void body_close(struct body_stream *bs); /* drains nothing; the rest is discarded by the loop. NULL is fine */

#endif
