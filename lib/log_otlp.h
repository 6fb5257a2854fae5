/* SPDX-License-Identifier: MPL-2.0
 *
 * log_otlp.h - options of the otlp log driver that more than one program reads. Pure, any thread.
 */
#ifndef LIB_LOG_OTLP_H
#define LIB_LOG_OTLP_H

#include "err.h"

/* "name=value,name=value", values percent-encoded where they need it (W3C Baggage, as OTEL_EXPORTER_OTLP_HEADERS has
 * it), as a vector of "name: value"; the caller's. What our own requests say themselves is refused. */
int log_otlp_headers(const char *value, char ***out, struct err *err);

#define LOG_OTLP_TIMEOUT_MS 10000 /* the specification's default */
/* A duration ("10s"), or a number of milliseconds as OTEL_EXPORTER_OTLP_TIMEOUT has it; "" is the default. 100ms to 10m. */
int log_otlp_timeout(const char *value, int *out_ms, struct err *err);

#endif
