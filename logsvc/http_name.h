/* SPDX-License-Identifier: MPL-2.0
 *
 * http_name.h - names for libcurl: it would look them up in a thread of its own, which the fence (fence.h) forbids. One thread.
 */
#ifndef LOGSVC_HTTP_NAME_H
#define LOGSVC_HTTP_NAME_H

#include "buf.h"
#include "err.h"

/* Appends "host:port:address,address", as CURLOPT_RESOLVE takes it; nothing for what libcurl needs no look-up for (an
 * address, and localhost). Blocks for as long as the resolver does. */
int http_name_resolve(const char *host, const char *port, struct buf *out, struct err *err);

#endif
