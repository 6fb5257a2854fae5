/* SPDX-License-Identifier: MPL-2.0
 *
 * caps.h - capability names, and the set that --privileged, --cap-add and --cap-drop ask for. Pure.
 */
#ifndef APISERVER_CAPS_H
#define APISERVER_CAPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "jw.h"

/* Docker's default set. */
#define CAPS_DEFAULT 0x00000000a80425fbULL

#define CAP_BIT(n) (UINT64_C(1) << (n))

/* "chown", "CAP_CHOWN"; the bit number, or -1. */
int cap_number(const char *name);
uint64_t caps_all(void); /* every known one */

/* The set of a container. held is what we hold ourselves; what is asked for by name and not held is
 * an error, what comes by privileged or ALL is cut to held. cap_add and cap_drop are arrays of
 * names or NULL. BAD_PARAM with Docker's words. */
int caps_compute(bool privileged, const json_t *cap_add, const json_t *cap_drop, uint64_t held,
		 uint64_t *out, struct err *err);
/* An array of names. */
void caps_write(struct jw *w, const char *key, uint64_t caps);

#endif
