/* SPDX-License-Identifier: MPL-2.0
 *
 * engine_init.h - how main.c (and tests) fill in engine.h's facts. Before any thread is started.
 */
#ifndef APISERVER_ENGINE_INIT_H
#define APISERVER_ENGINE_INIT_H

#include "engine.h"
#include "err.h"

struct engine *engine_mutable(void);
/* paths and conf are set: the rest, from the host. */
int engine_init(struct err *err);

#endif
