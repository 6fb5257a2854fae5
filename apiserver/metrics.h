/* SPDX-License-Identifier: MPL-2.0
 *
 * metrics.h - what the daemons count, in Prometheus' text format 0.0.4.
 */
#ifndef APISERVER_METRICS_H
#define APISERVER_METRICS_H

#include <stdint.h>

#include "buf.h"

/* Pure. labels: "" or name="value" pairs as they stand between the braces. */
void metric_head(struct buf *b, const char *name, const char *type, const char *help);
void metric_uint(struct buf *b, const char *name, const char *labels, uint64_t value);
void metric_counter(struct buf *b, const char *name, const char *help, uint64_t value); /* head and value */

void metrics_engine(struct buf *b); /* containers and jobs; loop */
void metrics_logs(struct buf *b);   /* logsvc's; a worker. Without logsvc: that it is not there */

#endif
