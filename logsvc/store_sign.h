/* SPDX-License-Identifier: MPL-2.0
 *
 * store_sign.h - HTTP signatures (draft-cavage-http-signatures) over the Date header, as Manta wants them. Pure.
 */
#ifndef LOGSVC_STORE_SIGN_H
#define LOGSVC_STORE_SIGN_H

#include <time.h>

#include "buf.h"
#include "err.h"

#define HTTP_DATE_MAX 32
void http_date(char out[HTTP_DATE_MAX], time_t t); /* "Sat, 22 Aug 2026 12:34:56 GMT" */
/* The Authorization header's value. pem: an RSA or ECDSA key without a passphrase. */
int http_signature(const char *key_id, const char *pem, const char *date, struct buf *out, struct err *err);

#endif
