/* SPDX-License-Identifier: MPL-2.0
 *
 * seccomp_rules.h - a parsed profile into a libseccomp filter. Pure but for uname.
 */
#ifndef APISERVER_SECCOMP_RULES_H
#define APISERVER_SECCOMP_RULES_H

#include <jansson.h>
#include <seccomp.h>
#include <stdint.h>

#include "err.h"

/* *out is the caller's to release, also on failure when it is set. */
int seccomp_rules_load(const json_t *profile, uint64_t caps, scmp_filter_ctx *out, struct err *err);

#endif
