/* SPDX-License-Identifier: MPL-2.0
 *
 * health.h - health checks: commands run in the container from time to time. Loop thread.
 */
#ifndef APISERVER_HEALTH_H
#define APISERVER_HEALTH_H

#include "apiserver/container.h"

/* A run has begun: state starting, first check after its interval. Nothing if no check is
 * configured. */
void health_started(struct container *ct);
/* The zone was found running after our own restart: goes on with the state that the record has. */
void health_resumed(struct container *ct);
/* Stopped, paused, removed: no more checks. The state stays. */
void health_stopped(struct container *ct);

#endif
