/* SPDX-License-Identifier: MPL-2.0
 *
 * attach_output.h - the clients that get a container's output now: who is told of a container's
 * end has its output already. Loop thread.
 */
#ifndef APISERVER_ATTACH_OUTPUT_H
#define APISERVER_ATTACH_OUTPUT_H

#include "apiserver/container.h"

/* A client gets ct's output, until attach_output_end: everything is in its socket, or it is gone. */
void attach_output_begin(struct container *ct);
void attach_output_end(struct container *ct);

/* Calls fn(arg) once: when no client waits for output of ct, which may be at once, or two seconds
 * later whatever clients do. ct is kept until then. */
void attach_output_drained(struct container *ct, void (*fn)(void *arg), void *arg);

#endif
