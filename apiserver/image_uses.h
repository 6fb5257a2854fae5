/* SPDX-License-Identifier: MPL-2.0
 *
 * image_uses.h - which containers use which images: collected on the loop before a job that asks.
 */
#ifndef APISERVER_IMAGE_USES_H
#define APISERVER_IMAGE_USES_H

#include <stddef.h>

#include "apiserver/image_list.h"

/* Loop. Newest container first; owned (free). */
struct image_use *image_uses_collect(size_t *n);

#endif
