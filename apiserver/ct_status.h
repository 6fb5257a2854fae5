/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_status.h - states and durations in Docker's words. Pure.
 */
#ifndef APISERVER_CT_STATUS_H
#define APISERVER_CT_STATUS_H

#include <stdint.h>

#include "apiserver/container.h"
#include "buf.h"

/* "Less than a second", "About an hour", "3 weeks" */
void human_duration(int64_t ns, struct buf *out);
const char *health_name(enum health_status health);
/* "Up 3 minutes (healthy)", "Exited (0) 2 hours ago" ..., as of now (CLOCK_REALTIME): one clock for a whole list. */
void ct_status_text_at(const struct container *ct, int64_t now, struct buf *out);

#endif
