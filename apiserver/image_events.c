/* SPDX-License-Identifier: MPL-2.0
 *
 * image_events.c - image events, from the job that causes them to the loop that tells them.
 */
#include "apiserver/image_events.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/events.h"
#include "apiserver/image_index.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

void image_events_add(struct image_events *ev, const char *action, const char *image_id,
		      const char *name)
{
	struct image_entry *e;
	struct image_event *x;

	ev->v = xrealloc(ev->v, (ev->n + 1) * sizeof(*ev->v));
	x = &ev->v[ev->n++];
	*x = (struct image_event){ .action = action, .name = xstrdup(name ? name : image_id) };
	str_copy(x->id, sizeof(x->id), image_id);
	image_lock();
	e = image_entry_find(image_id);
	if (e)
		x->labels_text = xstrdup(e->labels_text);
	image_unlock();
}

void image_events_add_named(struct image_events *ev, const char *action, const char *ref, const char *name)
{
	struct image *img = NULL;
	struct err ignored = { 0 };

	if (image_resolve(ref, &img, NULL, &ignored) < 0)
		img = NULL;
	image_events_add(ev, action, img ? img->id : "", name);
	ev->v[ev->n - 1].actor = xstrdup(ref);
	image_unref(img);
}

static void emit(const struct image_event *x)
{
	cleanup_json json_t *labels = NULL;
	cleanup_free const char **attrs = NULL;
	struct err ignored = { 0 };
	const char *key;
	json_t *value;
	size_t n = 0;

	if (x->labels_text)
		jparse(x->labels_text, strlen(x->labels_text), &labels, &ignored);
	attrs = xcalloc(json_object_size(labels) * 2 + 3, sizeof(*attrs));
	json_object_foreach(labels, key, value) {
		if (!json_is_string(value) || str_eq(key, "name"))
			continue;
		attrs[n++] = key;
		attrs[n++] = json_string_value(value);
	}
	attrs[n++] = "name";
	attrs[n++] = x->name;
	event_emit("image", x->action, x->actor ? x->actor : x->id, attrs);
}

void image_events_emit(struct image_events *ev)
{
	for (size_t i = 0; i < ev->n; i++)
		emit(&ev->v[i]);
	image_events_fini(ev);
}

void image_events_fini(struct image_events *ev)
{
	for (size_t i = 0; i < ev->n; i++) {
		free(ev->v[i].actor);
		free(ev->v[i].name);
		free(ev->v[i].labels_text);
	}
	free(ev->v);
	*ev = (struct image_events){ 0 };
}
