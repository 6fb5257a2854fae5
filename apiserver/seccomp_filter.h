/* SPDX-License-Identifier: MPL-2.0
 *
 * seccomp_filter.h - a profile and a set of capabilities to the BPF that dockerinit loads. Any
 * thread.
 */
#ifndef APISERVER_SECCOMP_FILTER_H
#define APISERVER_SECCOMP_FILTER_H

#include <stdint.h>

#include "buf.h"
#include "err.h"

/* profile: JSON text, or NULL for the default one. Appends base64 of the filter to out; compiled
 * once per profile and capabilities, then from memory or <lib>/seccomp. A profile that does not
 * parse is BAD_PARAM. */
int seccomp_filter_b64(const char *profile, uint64_t caps, struct buf *out, struct err *err);

#endif
