/* SPDX-License-Identifier: MPL-2.0
 *
 * events.h - the event bus behind GET /events. Loop thread. Keeps the last 256 (as Docker) for since.
 */
#ifndef APISERVER_EVENTS_H
#define APISERVER_EVENTS_H

#include <stdint.h>

struct container;
struct req;

/* type: container image volume network daemon; attrs: key, value, ..., NULL. */
void event_emit(const char *type, const char *action, const char *actor_id, const char *const *attrs);
/* With Docker's attributes of a container: image, name, every label; plus extra pairs (NULL-terminated, may be NULL). */
void event_container(const struct container *ct, const char *action, const char *const *extra);
void events_serve(struct req *r); /* handle_events' work */
unsigned events_listeners(void);

#endif
