/* SPDX-License-Identifier: MPL-2.0
 *
 * store_http.h - one exchange with an object store by libcurl, on a connection that is kept. One thread.
 */
#ifndef LOGSVC_STORE_HTTP_H
#define LOGSVC_STORE_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "store.h"

struct store_conf {
	struct log_store at;
	struct store_key key;
	char *ca_pem; /* NULL: the system's */
	int peer_fd;  /* a socket: when its other end has gone, nothing is waited for any more; -1: none */
};

/* conf is borrowed. NULL with err. */
struct store_io *store_io_new(const struct store_conf *conf, struct err *err);
void store_io_free(struct store_io *io);
const struct store_conf *store_io_conf(const struct store_io *io);

struct store_request {
	const char *method;	      /* PUT, HEAD or GET */
	const char *object;	      /* what is behind the store's own path; from_top: the whole path */
	bool from_top;
	struct curl_slist *headers;   /* taken */
	int body_fd;		      /* -1: no body */
	int64_t body_len;
	store_data_fn *on_data;	      /* of an answer 200; NULL: dropped, and little of it is accepted */
	void *arg;
	int64_t data_len;	      /* how much on_data expects */
};

struct store_answer {
	long status;
	int64_t length;	       /* Content-Length; -1: not said */
	int64_t retry_after_s; /* 0: not said */
	char etag[130];	       /* without quotes; "": none */
	char md5[32];	       /* Content-MD5 or Computed-MD5, base64 */
	char sha256[64];       /* x-amz-checksum-sha256, base64 */
	bool sealed;	       /* encrypted with a key of a service's: the ETag is no MD5 */
	char body[2048];       /* of an error; what does not fit is dropped */
	size_t body_len;
};

/* 0 with an answer, whatever its status; or negative: there was none that is whole. s3: signed by libcurl (SigV4). */
int store_exchange(struct store_io *io, struct store_request *rq, struct store_answer *out, bool s3, struct err *err);
void store_header(struct store_request *rq, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An error of an answer that was not wanted: what the server says, of its status and the code in its body. */
int store_refused(struct store_io *io, const struct store_request *rq, const struct store_answer *a, struct err *err);
int64_t store_retry_after(const struct store_io *io); /* seconds that the last refusal asked for; 0: none */
void store_base64(char *out, const unsigned char *p, size_t len); /* 4 bytes for 3, and a NUL */

#endif
