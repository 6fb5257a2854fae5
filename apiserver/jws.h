/* SPDX-License-Identifier: MPL-2.0
 *
 * jws.h - signatures (RFC 7515) with the key that comes along (RFC 7517). Pure, any thread.
 */
#ifndef APISERVER_JWS_H
#define APISERVER_JWS_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"

/* header: {"alg": "ES256", ..., "jwk": {"kty": "EC", "crv", "x", "y"}}, or RSA with "n", "e", or an
 * "x5c" chain whose first certificate has the key. The signature is over protected.payload64. That it
 * fits says that the bytes are whole, not who signed them. */
int jws_verify(const json_t *header, const char *protected, const char *payload64, size_t payload64_len,
	       const char *signature64, struct err *err);

#endif
