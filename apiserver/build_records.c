/* SPDX-License-Identifier: MPL-2.0
 *
 * build_records.c - see build_records.h.
 *
 * Design: the classic builder's cache are images: each step's, on top of the one before it. Those
 * without a name are the cache's records. A record on whose top something with a name stands is in
 * use: its layer is that image's, too, and nothing but its configuration would be won. What is not
 * in use are the remains of builds that failed, were done again with other files, or whose names
 * went elsewhere.
 *
 * When a record was used last is known since the daemon's start; before that, it is when it was
 * made.
 */
#include "apiserver/build_records.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_time.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "map.h"
#include "str.h"

static bool is_record(const struct image_entry *e)
{
	return e->built && !e->n_names;
}

static char *last_step(const struct image *img)
{
	cleanup_json json_t *config = NULL;
	struct err ignored = { 0 };
	json_t *history;

	if (jparse(img->config_text, strlen(img->config_text), &config, &ignored) < 0)
		return xstrdup("");
	history = jget_arr(config, "history");
	return xstrdup(jget_str(json_array_get(history, json_array_size(history) - 1), "created_by",
				""));
}

/* The chain of the layer that the step made, or NULL. */
static const char *own_chain(const struct image_entry *e)
{
	const struct image_entry *parent = image_entry_find(e->img->parent);
	size_t n = strv_len(e->chains), below = parent ? strv_len(parent->chains) : 0;

	return n > below ? e->chains[n - 1] : NULL;
}

static void fill(struct build_record *r, const struct image_entry *e, struct map *others)
{
	const char *chain = own_chain(e);
	struct layer_info layer;

	str_copy(r->id, sizeof(r->id), e->img->id);
	str_copy(r->parent, sizeof(r->parent), e->img->parent);
	r->step = last_step(e->img);
	r->labels_text = xstrdup(e->labels_text);
	r->created_ns = e->img->created_ns;
	r->used_ns = e->used_ns ? e->used_ns : e->added_ns;
	r->uses = e->n_uses + 1;
	r->pinned = image_entry_held(e);
	r->shared = chain && map_get(others, chain);
	if (chain && layer_find(chain, &layer))
		r->size = layer.size;
}

/* Everything that id stands on is in use. */
static void mark_ancestors(struct map *by_id, const char *id)
{
	struct image_entry *e;
	struct build_record *r;

	while ((e = image_entry_find(id))) {
		if ((r = map_get(by_id, id))) {
			if (r->in_use)
				return;
			r->in_use = true;
		}
		id = e->img->parent;
	}
}

static void count_children(struct build_records *out, struct map *by_id)
{
	for (size_t i = 0; i < out->n; i++) {
		struct build_record *parent = map_get(by_id, out->v[i].parent);

		if (parent)
			parent->n_children++;
	}
}

void build_records_get(const struct image_use *uses, size_t n_uses, struct build_records *out)
{
	struct map by_id, others; /* records; chains of what is no record */
	struct image_entry **v;
	size_t n;

	map_init(&by_id);
	map_init(&others);
	image_lock();
	v = image_entries(&n);
	*out = (struct build_records){ .v = xcalloc(n + 1, sizeof(*out->v)) };
	for (size_t i = 0; i < n; i++)
		for (char **c = v[i]->chains; !is_record(v[i]) && *c; c++)
			map_set(&others, *c, v[i]);
	for (size_t i = 0; i < n; i++)
		if (is_record(v[i])) {
			fill(&out->v[out->n], v[i], &others);
			map_set(&by_id, v[i]->img->id, &out->v[out->n++]);
		}
	for (size_t i = 0; i < n_uses; i++) {
		struct build_record *r = map_get(&by_id, uses[i].image_id);

		if (r)
			r->pinned = true;
	}
	for (size_t i = 0; i < n; i++) {
		const struct build_record *r = map_get(&by_id, v[i]->img->id);

		if (!r || r->pinned)
			mark_ancestors(&by_id, v[i]->img->id);
	}
	count_children(out, &by_id);
	image_unlock();
	free(v);
	map_fini(&by_id, NULL);
	map_fini(&others, NULL);
}

void build_records_fini(struct build_records *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].step);
		free(r->v[i].labels_text);
	}
	free(r->v);
	*r = (struct build_records){ 0 };
}

int64_t build_records_json(const struct build_records *r, int api_version, struct buf *out)
{
	char created[RFC3339NANO_MAX], used[RFC3339NANO_MAX];
	struct jw w = JW(out);
	int64_t own = 0;

	jw_arr(&w, NULL);
	for (size_t i = 0; i < r->n; i++) {
		const struct build_record *b = &r->v[i];

		image_time_text(b->created_ns, created);
		image_time_text(b->used_ns, used);
		jw_obj(&w, NULL);
		jw_str(&w, "ID", b->id);
		if (api_version < 142) {
			jw_str(&w, "Parent", b->parent);
		} else if (b->parent[0]) {
			jw_arr(&w, "Parents");
			jw_str(&w, NULL, b->parent);
			jw_end(&w);
		}
		jw_str(&w, "Type", "regular");
		jw_str(&w, "Description", b->step);
		jw_bool(&w, "InUse", b->in_use);
		jw_bool(&w, "Shared", b->shared);
		jw_int(&w, "Size", b->size);
		jw_str(&w, "CreatedAt", created);
		jw_str(&w, "LastUsedAt", used);
		jw_int(&w, "UsageCount", b->uses);
		jw_end(&w);
		if (!b->shared)
			own += b->size;
	}
	jw_end(&w);
	return own;
}
