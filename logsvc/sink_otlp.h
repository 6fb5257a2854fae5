/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_otlp.h - OTLP/HTTP log export requests and their answers. Pure.
 */
#ifndef LOGSVC_SINK_OTLP_H
#define LOGSVC_SINK_OTLP_H

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "sink_msg.h"

/* A batch in the making: records are encoded as they come, so that memory is the batch's own size. */
struct otlp_enc {
	struct buf resource; /* field 1 of ResourceLogs, made once */
	struct buf records;  /* fields 2 of ScopeLogs */
	size_t n;
};
/* service_name may be NULL: the container's name. */
void otlp_enc_init(struct otlp_enc *e, const struct sink_source *src, const char *service_name);
void otlp_enc_fini(struct otlp_enc *e);
void otlp_record(struct otlp_enc *e, const struct sink_msg *m);
/* The whole ExportLogsServiceRequest of what was added since the last reset. */
void otlp_request(const struct otlp_enc *e, struct buf *out);
void otlp_reset(struct otlp_enc *e);

/* A 200's body: how many records the server refused, and its words. -EINVAL when it is not a response. */
int otlp_response(const void *p, size_t len, int64_t *rejected, char message[256]);
/* What the specification says about retrying a status: 429, 502, 503, 504. */
bool otlp_retryable(long http_status);

#endif
