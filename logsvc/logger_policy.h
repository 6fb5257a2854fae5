/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_policy.h - the options that say how a sink is treated, not what it is sent: waits, limits. Pure.
 */
#ifndef LOGSVC_LOGGER_POLICY_H
#define LOGSVC_LOGGER_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct sink_policy {
	int write_ms;	       /* a write that takes longer is an error */
	int read_ms;	       /* an acknowledgement that takes longer is */
	int64_t reconnect_ns;  /* a connection that is older is made anew before it is used; 0: never */
	int retry_ms;	       /* the first pause after an error; 0: ours */
	bool retry_same;       /* so are all others */
	int64_t max_retries;   /* errors in a row after which what waits is dropped; -1: never */
	int64_t buffer_bytes;  /* more than so much of the log does not wait; 0: the operator's limit alone */
	bool block;	       /* spool-full=block: nothing is dropped */
};

/* opts are log.json's, checked by apiserver: what does not parse is as if it were not there. */
void policy_read(struct sink_policy *p, const char *driver, const json_t *opts);
/* Milliseconds to wait after the n-th error in a row, n from 1; before any jitter. */
int policy_wait_ms(const struct sink_policy *p, unsigned n);

#endif
