/* SPDX-License-Identifier: MPL-2.0
 *
 * image_events.h - image events that a job collects, told on the loop when it is done.
 */
#ifndef APISERVER_IMAGE_EVENTS_H
#define APISERVER_IMAGE_EVENTS_H

#include <stddef.h>

struct image_event {
	const char *action; /* static */
	char id[72];
	char *actor;	   /* the actor's ID, where it is not the image's; else NULL */
	char *name;	   /* the attribute; NULL: none */
	char *labels_text; /* the image's labels, JSON */
};
struct image_events {
	struct image_event *v;
	size_t n;
};

/* Any thread. Reads the image's labels now: before it is deleted. name NULL: the ID. */
void image_events_add(struct image_events *ev, const char *action, const char *image_id,
		      const char *name);
/* The actor is a reference: pull, push. */
void image_events_add_named(struct image_events *ev, const char *action, const char *ref, const char *name);
/* Loop: emits and empties. */
void image_events_emit(struct image_events *ev);
void image_events_fini(struct image_events *ev);

#endif
