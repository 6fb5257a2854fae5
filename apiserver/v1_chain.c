/* SPDX-License-Identifier: MPL-2.0
 *
 * v1_chain.c - the chains of an old image archive, known before their layers are unpacked.
 *
 * Design: each id knows its parent and how many layers are known to stand upon it. A new link walks
 * down to the end of what is known and tells each how many stand upon it now: IMAGE_LAYERS_MAX steps at most,
 * whatever order the archive has.
 */
#include "apiserver/v1_chain.h"

#include <stdlib.h>

#include "str.h"

struct link {
	char *parent; /* "": the lowest, or not known yet */
	size_t above; /* layers of the longest known chain that stands upon it */
};

static void link_free(void *value)
{
	struct link *l = value;

	free(l->parent);
	free(l);
}

static struct link *link_of(struct v1_chains *c, const char *id)
{
	struct link *l = map_get(&c->by_id, id);

	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->parent = xstrdup("");
	map_set(&c->by_id, id, l);
	return l;
}

void v1_chains_init(struct v1_chains *c)
{
	map_init(&c->by_id);
}

void v1_chains_fini(struct v1_chains *c)
{
	map_fini(&c->by_id, link_free);
}

size_t v1_chains_add(struct v1_chains *c, const char *id, const char *parent)
{
	struct link *l = link_of(c, id);
	size_t n = l->above + 1;

	free(l->parent);
	l->parent = xstrdup(parent);
	while (*l->parent && n <= IMAGE_LAYERS_MAX) {
		l = link_of(c, l->parent);
		if (l->above < n)
			l->above = n;
		n++;
	}
	return n > IMAGE_LAYERS_MAX ? IMAGE_LAYERS_MAX + 1 : n;
}
