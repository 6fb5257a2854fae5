/* SPDX-License-Identifier: MPL-2.0
 *
 * native_layer.h - the two read-only layers that every zone has besides its image's. Start,
 * blocking.
 */
#ifndef APISERVER_NATIVE_LAYER_H
#define APISERVER_NATIVE_LAYER_H

#include "engine.h"
#include "err.h"

/* Makes <lib>/native/<hash>/{native,base} when it is not there and sets e->native_layer and
 * e->base_layer. */
int native_layer_init(struct engine *e, struct err *err);

#endif
