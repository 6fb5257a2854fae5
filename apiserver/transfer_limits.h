/* SPDX-License-Identifier: MPL-2.0
 *
 * transfer_limits.h - how many layers move at once, whatever the number of pulls and pushes, and how often one is tried:
 * max-concurrent-downloads, max-concurrent-uploads, max-download-attempts. Worker.
 */
#ifndef APISERVER_TRANSFER_LIMITS_H
#define APISERVER_TRANSFER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "apiserver/transfer.h"

enum transfer_way { TRANSFER_DOWN, TRANSFER_UP };

/* Threads for n layers of one image. */
size_t transfer_threads(enum transfer_way way, size_t n);
/* Waits for a place, in the order of asking; the client is told so on the line of id. False: t was stopped meanwhile.
 * With true transfer_leave is due. Who waits may hold a claim (pull_layers.c); who has a place must wait for nobody. */
bool transfer_enter(enum transfer_way way, struct transfer *t, const char *id);
void transfer_leave(enum transfer_way way);
/* How often a layer's transfer is begun before it is given up, at least 1. */
unsigned transfer_attempts(enum transfer_way way);

#endif
