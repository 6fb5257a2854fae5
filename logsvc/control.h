/* SPDX-License-Identifier: MPL-2.0
 *
 * control.h - logsvc.sock: requests of apiserver and sdc-dockeradm. The control thread.
 */
#ifndef LOGSVC_CONTROL_H
#define LOGSVC_CONTROL_H

#include "err.h"
#include "loop.h"
#include "paths.h"
#include "zone.h"

struct control;

/* Adopts the running zones, then listens; on_ready is called once it does. Call on the loop. */
struct control *control_new(struct loop *loop, struct zones *zones, const struct paths *paths,
			    void (*on_ready)(void *arg, const struct err *err), void *arg);

#endif
