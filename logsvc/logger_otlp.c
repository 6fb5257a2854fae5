/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_otlp.c - batches of the otlp driver: gzip, POST, and what the answer means.
 *
 * Design. An answer is an acknowledgement, so that the cursor moves with it and nothing is sent twice but what a
 * server took without being able to say so. By the OTLP specification (OTLP/HTTP response):
 *
 *	200			taken; partial_success says how many of the records were refused for good
 *	429, 502, 503, 504	to be sent again, not before Retry-After
 *	other 4xx and 5xx	must not be sent again: refused, all of them
 *	anything else		is not a server of this protocol (a redirect, say): sent again
 *
 * What is refused is counted as dropped, with the server's words in the logger's complaint.
 */
#define LOG_MODULE "logger"
#include "logger_otlp.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "log_addr.h"
#include "log_otlp.h"
#include "sink_http.h"
#include "sink_otlp.h"
#include "str.h"

#define GZIP_LEVEL 1
#define GZIP_WINDOW (13 + 16) /* with a gzip header; 96 KiB of memory, of the usual 260, for a percent of the size */
#define GZIP_MEMORY 7

struct otlp_sink {
	struct otlp_enc enc;
	struct log_addr addr;
	char *url;
	char **headers;
	struct http_conf http_conf;
	struct http *http;
	struct buf plain, packed;
	uint64_t text_bytes; /* of the records in enc */
	z_stream z;
	struct http_answer answer;
	struct log_limit complaint;
};

static int read_options(struct otlp_sink *o, const json_t *opts, struct err *err)
{
	int rc;

	if ((rc = log_addr_otlp(jget_str(opts, "otlp-endpoint", ""), &o->addr, &o->url, err)) < 0 ||
	    (rc = log_otlp_headers(jget_str(opts, "otlp-headers", ""), &o->headers, err)) < 0 ||
	    (rc = log_otlp_timeout(jget_str(opts, "otlp-timeout", ""), &o->http_conf.timeout_ms, err)) < 0)
		return rc;
	return deflateInit2(&o->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK ? 0 : err_sysnum(err, ENOMEM, "zlib");
}

struct otlp_sink *otlp_sink_new(const json_t *conf, const struct sink_source *src, const struct net_tls_conf *tls, struct err *err)
{
	struct otlp_sink *o = xcalloc(1, sizeof(*o));

	if (read_options(o, jget_obj(conf, "opts"), err) < 0)
		goto fail;
	o->http_conf.url = o->url;
	o->http_conf.host = o->addr.host;
	o->http_conf.port = o->addr.port;
	o->http_conf.headers = o->headers;
	o->http_conf.tls = tls;
	if (!(o->http = http_new(&o->http_conf, err)))
		goto fail;
	otlp_enc_init(&o->enc, src, jget_str(conf, "service_name", NULL));
	return o;
fail:
	otlp_sink_free(o);
	return NULL;
}

void otlp_sink_free(struct otlp_sink *o)
{
	if (!o)
		return;
	http_free(o->http);
	otlp_enc_fini(&o->enc);
	deflateEnd(&o->z);
	buf_fini(&o->plain);
	buf_fini(&o->packed);
	strv_free(o->headers);
	free(o->url);
	free(o);
}

static void forget_records(struct otlp_sink *o)
{
	otlp_reset(&o->enc);
	o->text_bytes = 0;
}

void otlp_sink_add(struct otlp_sink *o, const struct sink_msg *m)
{
	otlp_record(&o->enc, m);
	o->text_bytes += m->len;
}

size_t otlp_sink_bytes(const struct otlp_sink *o)
{
	return o->enc.records.len;
}

void otlp_sink_close(struct otlp_sink *o)
{
	forget_records(o);
	http_close(o->http);
}

static int pack(struct otlp_sink *o, struct err *err)
{
	size_t bound;

	buf_reset(&o->plain);
	buf_reset(&o->packed);
	otlp_request(&o->enc, &o->plain);
	bound = deflateBound(&o->z, o->plain.len);
	buf_reserve(&o->packed, bound);
	o->z.next_in = (unsigned char *)o->plain.p;
	o->z.avail_in = (unsigned)o->plain.len;
	o->z.next_out = (unsigned char *)o->packed.p;
	o->z.avail_out = (unsigned)bound;
	if (deflateReset(&o->z) != Z_OK || deflate(&o->z, Z_FINISH) != Z_STREAM_END)
		return err_sysnum(err, EIO, "zlib");
	o->packed.len = bound - o->z.avail_out;
	return 0;
}

static void complain(struct otlp_sink *o, uint64_t refused, const char *why)
{
	unsigned suppressed = 0;

	if (log_limit_ok(&o->complaint, 10000, &suppressed))
		log_warn("records refused by the sink", "records=%llu status=%ld suppressed=%u error=%s", (unsigned long long)refused,
			 o->answer.status, suppressed, log_q(why));
}

/* 200: all taken, or all but some. */
static void on_taken(struct otlp_sink *o, struct otlp_result *out)
{
	struct http_answer *a = &o->answer;
	char message[256];
	int64_t rejected;

	if (otlp_response(a->body, a->body_len, &rejected, message) < 0)
		return; /* the status said it */
	if (rejected > (int64_t)o->enc.n)
		rejected = (int64_t)o->enc.n;
	if (rejected > 0)
		out->refused = (uint64_t)rejected;
	if (rejected == (int64_t)o->enc.n)
		out->refused_bytes = o->text_bytes;
	if (rejected > 0 || message[0])
		complain(o, out->refused, message);
}

int otlp_sink_flush(struct otlp_sink *o, struct otlp_result *out, struct err *err)
{
	struct http_answer *a = &o->answer;
	int rc;

	memset(out, 0, sizeof(*out));
	if ((rc = pack(o, err)) < 0 || (rc = http_post(o->http, o->packed.p, o->packed.len, a, err)) < 0)
		return rc;
	if (a->status == 200) {
		on_taken(o, out);
	} else if (otlp_retryable(a->status) || a->status < 400 || a->status > 599) {
		out->retry_after_ms = (int)a->retry_after_s * 1000;
		return err_kind(err, ERR_UNAVAILABLE, "post to %s: HTTP status %ld", o->url, a->status);
	} else {
		out->refused = o->enc.n;
		out->refused_bytes = o->text_bytes;
		complain(o, out->refused, "");
	}
	forget_records(o);
	return 0;
}
