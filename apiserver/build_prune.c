/* SPDX-License-Identifier: MPL-2.0
 *
 * build_prune.c - docker builder prune: removes records of the build cache (build_records.h).
 *
 * Design: a record can go when nothing stands on it, so they go from the top; of those that can,
 * the one that was not used for the longest time first. With all, images with names are cut off
 * from what they were built on (their history's and layers are their own), and then that goes, too.
 * Each is removed as docker rmi would do it, so that what is in use at that moment stays.
 *
 * Failure: images go one by one; what a death leaves is a smaller cache.
 */
#include "apiserver/build_records.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "apiserver/ct_json.h"
#include "apiserver/engine.h"
#include "apiserver/image_index.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

struct wanted {
	json_t *filters;
	int64_t until_ns; /* 0: none */
};

/* ---- filters ---- */

static int one_value(const json_t *filters, const char *key, char **out, struct err *err)
{
	cleanup_strv char **v = jget_strv(filters, key);

	if (v[0] && v[1])
		return err_kind(err, ERR_BAD_PARAM, "filters expect only one value");
	*out = xstrdup(v[0]);
	return 0;
}

static int read_filters(const char *text, struct wanted *w, struct err *err)
{
	static const char *const allowed[] = { "until",	 "unused-for", "id",	 "parent",
					       "type",	 "description", "inuse", "shared",
					       "private", "label",	"label!", NULL };
	cleanup_free char *until = NULL, *unused = NULL, *other = NULL;
	int rc;

	if (!str_empty(text) && (rc = filters_parse(text, allowed, &w->filters, err)) < 0)
		return rc;
	for (size_t i = 2; i < 9; i++) {
		free(take_ptr(&other));
		if ((rc = one_value(w->filters, allowed[i], &other, err)) < 0)
			return rc;
	}
	if ((rc = one_value(w->filters, "until", &until, err)) < 0 ||
	    (rc = one_value(w->filters, "unused-for", &unused, err)) < 0)
		return rc;
	if (until && unused)
		return err_kind(err, ERR_BAD_PARAM,
				"conflicting filters: \"until\" and \"unused-for\"");
	if (!until && !unused)
		return 0;
	return filter_time_parse(until ? until : unused, &w->until_ns, err);
}

/* A key that is not given fits. A boolean one counts without a value. */
static bool fits(const json_t *filters, const char *key, bool (*test)(const char *have, const char *),
		 const char *have)
{
	cleanup_strv char **v = jget_strv(filters, key);

	return !json_object_get(filters, key) || (v[0] && test(have, v[0]));
}

static bool contains(const char *have, const char *want)
{
	return strstr(have, want) != NULL;
}

static bool fits_bool(const json_t *filters, const char *key, bool have)
{
	cleanup_strv char **v = jget_strv(filters, key);
	bool want = true;

	if (!json_object_get(filters, key))
		return true;
	if (v[0] && *v[0] && parse_bool(v[0], &want) < 0)
		return false;
	return want == have;
}

static bool is_wanted(const struct wanted *w, const struct build_record *r)
{
	cleanup_json json_t *labels = NULL;
	struct err ignored = { 0 };

	if (w->until_ns && r->used_ns > w->until_ns)
		return false;
	if (!w->filters)
		return true;
	jparse(r->labels_text, strlen(r->labels_text), &labels, &ignored);
	return fits(w->filters, "id", contains, r->id) && fits(w->filters, "parent", contains, r->parent) &&
	       fits(w->filters, "type", str_eq, "regular") &&
	       fits(w->filters, "description", str_eq, r->step) &&
	       fits_bool(w->filters, "inuse", r->in_use) &&
	       fits_bool(w->filters, "shared", r->shared) &&
	       fits_bool(w->filters, "private", !r->shared) &&
	       filter_label_match(w->filters, "label", labels) &&
	       filter_label_match(w->filters, "label!", labels);
}

/* ---- removing ---- */

/* Images with names forget what they were built on. */
static void cut_off(const struct build_records *r)
{
	struct image_entry **v;
	struct err err = { 0 };
	size_t n;

	image_lock();
	v = image_entries(&n);
	for (size_t i = 0; i < n; i++) {
		const struct image_entry *parent = image_entry_find(v[i]->img->parent);

		if (v[i]->n_names && parent && parent->built && !parent->n_names &&
		    image_set_parent(v[i]->img->id, "", &err) < 0)
			log_warn("image is not cut off from its parent", "image=%.19s error=%s",
				 v[i]->img->id, log_q(err.msg));
	}
	image_unlock();
	free(v);
	for (size_t i = 0; i < r->n; i++)
		r->v[i].in_use = r->v[i].pinned;
}

static struct build_record *find(const struct build_records *r, const char *id)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->v[i].id, id))
			return &r->v[i];
	return NULL;
}

/* The one to go next: wanted, nothing on it, the longest time without use. */
static struct build_record *next_one(const struct build_records *r, const struct wanted *w,
				     const bool *gone)
{
	struct build_record *best = NULL;

	for (size_t i = 0; i < r->n; i++) {
		struct build_record *b = &r->v[i];

		if (gone[i] || b->in_use || b->n_children || !is_wanted(w, b))
			continue;
		if (!best || b->used_ns < best->used_ns)
			best = b;
	}
	return best;
}

static bool disk_has(int64_t bytes)
{
	struct statvfs st;

	return statvfs(engine->paths.lib, &st) == 0 &&
	       (int64_t)(st.f_bavail * st.f_frsize) >= bytes;
}

/* The limits are kept with that many bytes of cache left; without a limit they never are. */
static bool is_enough(const struct build_prune_opts *o, int64_t left)
{
	if (o->reserved && left <= o->reserved)
		return true;
	if (!o->max_used && !o->min_free)
		return false;
	return (!o->max_used || left <= o->max_used) && (!o->min_free || disk_has(o->min_free));
}

static int64_t bytes_of(const struct build_records *r)
{
	int64_t sum = 0;

	for (size_t i = 0; i < r->n; i++)
		if (!r->v[i].shared)
			sum += r->v[i].size;
	return sum;
}

static void remove_them(const struct build_prune_opts *o, const struct wanted *w,
			struct build_records *r, struct image_removed *out, struct image_events *ev)
{
	const struct image_remove_opts how = { .uses = o->uses, .n_uses = o->n_uses };
	cleanup_free bool *gone = xcalloc(r->n + 1, sizeof(*gone));
	int64_t left = bytes_of(r);
	struct build_record *b, *parent;

	while ((b = next_one(r, w, gone))) {
		struct err err = { 0 };

		if (is_enough(o, left))
			return;
		gone[b - r->v] = true;
		if (image_remove(b->id + strlen("sha256:"), &how, out, ev, &err) < 0) {
			log_info("record of the build cache stays", "image=%.19s error=%s", b->id,
				 log_q(err.msg));
			continue;
		}
		if (!b->shared)
			left -= b->size;
		if ((parent = find(r, b->parent)) && parent->n_children)
			parent->n_children--;
	}
}

int build_prune(const struct build_prune_opts *o, struct image_removed *out,
		struct image_events *ev, struct err *err)
{
	struct build_records r;
	struct wanted w = { 0 };
	int rc = read_filters(o->filters, &w, err);

	if (rc == 0) {
		build_records_get(o->uses, o->n_uses, &r);
		if (o->all)
			cut_off(&r);
		remove_them(o, &w, &r, out, ev);
		build_records_fini(&r);
	}
	json_decref(w.filters);
	return rc;
}
