/* SPDX-License-Identifier: MPL-2.0
 *
 * image_list.c - the list of images, with Docker's filters.
 *
 * Design: the filters are read before anything else, so that a bad one changes nothing; then one
 * walk over the index under its lock. A name filter (reference=) also picks which names are shown.
 *
 * Which images show: all that have a name (that the filters leave); of those without, the ones
 * that are nobody's parent, or all with all=1. dangling=true leaves only the latter kind.
 */
#include "apiserver/image_list.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_json.h"
#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_time.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "map.h"
#include "str.h"

struct picker {
	const struct image_list_opts *o;
	int api_version;
	json_t *filters;
	char **references;
	bool has_dangling, dangling;
	int64_t before_ns, since_ns; /* 0: none */
	struct map parents; /* ids that are somebody's parent */
};

static int created_of(const char *ref, int64_t *out, struct err *err)
{
	struct image *img;
	int rc;

	if ((rc = image_resolve(ref, &img, NULL, err)) < 0)
		return rc;
	*out = img->created_ns;
	image_unref(img);
	return 0;
}

static int time_filters(struct picker *p, struct err *err)
{
	cleanup_strv char **before = jget_strv(p->filters, "before");
	cleanup_strv char **since = jget_strv(p->filters, "since");
	cleanup_strv char **until = jget_strv(p->filters, "until");
	int64_t ns;
	int rc;

	for (char **v = before; *v; v++) {
		if ((rc = created_of(*v, &ns, err)) < 0)
			return rc;
		if (!p->before_ns || ns < p->before_ns)
			p->before_ns = ns;
	}
	for (char **v = until; *v; v++) {
		if ((rc = filter_time_parse(*v, &ns, err)) < 0)
			return rc;
		if (!p->before_ns || ns < p->before_ns)
			p->before_ns = ns;
	}
	for (char **v = since; *v; v++) {
		if ((rc = created_of(*v, &ns, err)) < 0)
			return rc;
		if (ns > p->since_ns)
			p->since_ns = ns;
	}
	return 0;
}

static int picker_init(struct picker *p, struct err *err)
{
	static const char *const allowed[] = { "dangling", "label",	"label!", "before",
					       "since",	   "reference", "until",  NULL };
	int rc;

	if (!str_empty(p->o->filters) &&
	    (rc = filters_parse(p->o->filters, allowed, &p->filters, err)) < 0)
		return rc;
	if ((rc = filter_bool(p->filters, "dangling", &p->dangling, err)) < 0)
		return rc;
	p->has_dangling = rc == 1;
	p->references = jget_strv(p->filters, "reference");
	for (char **pattern = p->references; *pattern; pattern++)
		if (!image_pattern_valid(*pattern))
			return err_kind(err, ERR_BAD_PARAM, "syntax error in pattern");
	return time_filters(p, err);
}

static void picker_fini(struct picker *p)
{
	json_decref(p->filters);
	strv_free(p->references);
	map_fini(&p->parents, NULL);
}

static bool labels_match(const struct picker *p, const struct image_entry *e)
{
	cleanup_json json_t *labels = NULL;
	struct err ignored = { 0 };

	if (!json_object_get(p->filters, "label") && !json_object_get(p->filters, "label!"))
		return true;
	jparse(e->labels_text, strlen(e->labels_text), &labels, &ignored);
	return filter_label_match(p->filters, "label", labels) &&
	       filter_label_match(p->filters, "label!", labels);
}

static bool name_matches(const struct picker *p, const struct image_name *n)
{
	if (!p->references[0])
		return true;
	for (char **pattern = p->references; *pattern; pattern++)
		if (image_ref_match(&n->ref, *pattern))
			return true;
	return false;
}

static bool picked(const struct picker *p, const struct image_entry *e, size_t n_tags, size_t n_names)
{
	if (p->before_ns && e->img->created_ns >= p->before_ns)
		return false;
	if (p->since_ns && e->img->created_ns <= p->since_ns)
		return false;
	if (!labels_match(p, e))
		return false;
	if (n_names)
		return !(p->dangling && n_tags);
	if (p->dangling ? map_get(&p->parents, e->img->id) != NULL :
			  !p->o->all && map_get(&p->parents, e->img->id))
		return false;
	return !(p->has_dangling && !p->dangling) && !p->references[0];
}

static void names_json(const struct picker *p, const struct image_entry *e, bool digests, size_t n_names,
		       struct jw *w)
{
	jw_arr(w, digests ? "RepoDigests" : "RepoTags");
	for (size_t i = 0; i < e->n_names; i++) {
		cleanup_free char *s = NULL;

		if ((e->names[i]->ref.digest[0] != '\0') != digests || !name_matches(p, e->names[i]))
			continue;
		s = image_ref_familiar(&e->names[i]->ref);
		jw_str(w, NULL, s);
	}
	if (!n_names && p->api_version < 143)
		jw_str(w, NULL, digests ? "<none>@<none>" : "<none>:<none>");
	jw_end(w);
}

static int64_t shared_size(const struct image_entry *e)
{
	struct layer_info info;
	int64_t sum = 0;

	for (char **c = e->chains; *c; c++)
		if (layer_refs(*c) > 1 && layer_find(*c, &info))
			sum += info.size;
	return sum;
}

static int64_t count_uses(const struct picker *p, const struct image_entry *e)
{
	int64_t n = 0;

	if (!p->o->uses)
		return -1;
	for (size_t i = 0; i < p->o->n_uses; i++)
		n += str_eq(p->o->uses[i].image_id, e->img->id);
	return n;
}

static void entry_json(const struct picker *p, const struct image_entry *e, size_t n_names,
		       struct jw *w)
{
	jw_obj(w, NULL);
	jw_int(w, "Containers", count_uses(p, e));
	jw_int(w, "Created", image_time_unix(e->img->created_ns));
	jw_str(w, "Id", e->img->id);
	jw_raw(w, "Labels", e->labels_text);
	jw_str(w, "ParentId", e->img->parent);
	names_json(p, e, true, n_names, w);
	names_json(p, e, false, n_names, w);
	jw_int(w, "SharedSize", p->o->shared_size ? shared_size(e) : -1);
	jw_int(w, "Size", e->img->size);
	if (p->api_version < 144)
		jw_int(w, "VirtualSize", e->img->size);
	jw_end(w);
}

static int newest_first(const void *a, const void *b)
{
	const struct image_entry *const *x = a, *const *y = b;

	if ((*x)->img->created_ns != (*y)->img->created_ns)
		return (*x)->img->created_ns < (*y)->img->created_ns ? 1 : -1;
	return strcmp((*x)->img->id, (*y)->img->id);
}

static void list_locked(struct picker *p, struct jw *w)
{
	cleanup_free struct image_entry **v = NULL;
	size_t n;

	v = image_entries(&n);
	qsort(v, n, sizeof(struct image_entry *), newest_first);
	for (size_t i = 0; i < n; i++)
		if (v[i]->img->parent[0])
			map_set(&p->parents, v[i]->img->parent, v[i]);
	jw_arr(w, NULL);
	for (size_t i = 0; i < n; i++) {
		size_t n_tags = 0, n_names = 0;

		for (size_t k = 0; k < v[i]->n_names; k++) {
			if (!name_matches(p, v[i]->names[k]))
				continue;
			n_names++;
			n_tags += !v[i]->names[k]->ref.digest[0];
		}
		if (picked(p, v[i], n_tags, n_names))
			entry_json(p, v[i], n_names, w);
	}
	jw_end(w);
}

int image_json_list(const struct image_list_opts *o, int api_version, struct buf *out,
		    struct err *err)
{
	struct picker p = { .o = o, .api_version = api_version };
	struct jw w = JW(out);
	int rc;

	map_init(&p.parents);
	rc = picker_init(&p, err);
	if (rc == 0) {
		image_lock();
		list_locked(&p, &w);
		image_unlock();
	}
	picker_fini(&p);
	return rc;
}

int64_t image_layers_size(void)
{
	cleanup_free struct image_entry **v = NULL;
	struct layer_info info;
	struct map seen;
	int64_t sum = 0;
	size_t n;

	map_init(&seen);
	image_lock();
	v = image_entries(&n);
	for (size_t i = 0; i < n; i++)
		for (char **c = v[i]->chains; *c; c++)
			if (!map_set(&seen, *c, v[i]) && layer_find(*c, &info))
				sum += info.size;
	image_unlock();
	map_fini(&seen, NULL);
	return sum;
}
