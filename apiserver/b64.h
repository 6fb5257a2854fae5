/* SPDX-License-Identifier: MPL-2.0
 *
 * b64.h - base64 as registries and clients write it: of either alphabet, padded or not. Pure.
 */
#ifndef APISERVER_B64_H
#define APISERVER_B64_H

#include <stddef.h>

#define B64_MAX (64 * 1024) /* of the text */

/* The bytes, followed by a NUL; NULL when s is empty, longer than B64_MAX or no base64. Owned. */
char *b64_decode(const char *s, size_t *out_len);

#endif
