/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_otlp.h - the otlp driver's side of a sink: batches over HTTP. One thread.
 */
#ifndef LOGSVC_LOGGER_OTLP_H
#define LOGSVC_LOGGER_OTLP_H

#include <jansson.h>

#include "err.h"
#include "sink_msg.h"

struct otlp_sink;
struct net_tls_conf;

/* conf is log.json's; tls is borrowed. NULL with err. */
struct otlp_sink *otlp_sink_new(const json_t *conf, const struct sink_source *src, const struct net_tls_conf *tls, struct err *err);
void otlp_sink_free(struct otlp_sink *o); /* NULL is fine */
void otlp_sink_add(struct otlp_sink *o, const struct sink_msg *m);
size_t otlp_sink_bytes(const struct otlp_sink *o); /* of the batch in the making */
void otlp_sink_close(struct otlp_sink *o); /* forgets the batch */

struct otlp_result {
	uint64_t refused;   /* records that the server will never take */
	uint64_t refused_bytes; /* their text; 0 when it does not say which ones */
	int retry_after_ms; /* 0: it did not say */
};
/* Sends the batch and waits for the answer. 0: it has been dealt with; negative: it is to be sent again. */
int otlp_sink_flush(struct otlp_sink *o, struct otlp_result *out, struct err *err);

#endif
