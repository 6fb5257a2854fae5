/* SPDX-License-Identifier: MPL-2.0
 *
 * image_time.h - times of images, of which some tell none. Pure.
 */
#ifndef APISERVER_IMAGE_TIME_H
#define APISERVER_IMAGE_TIME_H

#include <stdint.h>

#include "err.h"
#include "str.h"

/* Seconds; Go's zero time (-62135596800) for 0, an image that does not tell. */
int64_t image_time_unix(int64_t ns);
/* RFC 3339 with nanoseconds; Go's zero time for 0. */
void image_time_text(int64_t ns, char out[RFC3339NANO_MAX]);

#endif
