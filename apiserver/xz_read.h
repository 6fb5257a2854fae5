/* SPDX-License-Identifier: MPL-2.0
 *
 * xz_read.h - a stream that is inflated where it is xz, and passed on as it is where it is not. Blocking.
 *
 * Apart from libarchive's, as its decoder takes as much memory as the stream asks for, up to 1 GiB. The format:
 * https://tukaani.org/xz/xz-file-format.txt
 */
#ifndef APISERVER_XZ_READ_H
#define APISERVER_XZ_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "apiserver/image_store.h"
#include "err.h"

/* What a stream may ask for its dictionary and the decoder: xz -9 makes one that takes 65 MiB. */
#define XZ_MEMORY_MAX (80ULL << 20)
#define XZ_MAGIC_LEN  6

struct xz_read;

/* fn and arg: where the stream comes from, used until xz_read_free. */
struct xz_read *xz_read_new(layer_read_fn *fn, void *arg);
void xz_read_free(struct xz_read *x); /* takes NULL */

/* A layer_read_fn; arg is the struct xz_read. What fn returned when it failed, or -EBADMSG: the stream is damaged, was
 * cut, or asks for too much; xz_read_why tells. A failure stays. */
ssize_t xz_read(void *arg, void *p, size_t len);

/* NULL as long as nothing is wrong with the stream itself. */
const char *xz_read_why(const struct xz_read *x);

bool xz_is(const void *head, size_t len); /* of a stream; len below XZ_MAGIC_LEN: false */
bool xz_read_is_xz(const struct xz_read *x); /* after the first read */
bool xz_read_asks_too_much(const struct xz_read *x); /* of memory: why it failed */

#endif
