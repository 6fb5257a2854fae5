/* SPDX-License-Identifier: MPL-2.0
 *
 * image_remove.c - docker rmi and image prune.
 *
 * Design: Docker's rules. A name given: that name goes, and the image with it when it was the last
 * one and nothing is in the way. An ID given: the image goes, unless something is in the way:
 *
 *	hard (cannot be forced)		images made from it; running containers that use it
 *	soft (must be forced)		names in several repositories; stopped containers that use it
 *
 * A stopped container still needs the layers when it starts again: an image that is removed by
 * force under one is only hidden, and removed when no container (and no job that holds the image)
 * is left (image_sweep.c).
 *
 * Threads: all under image_lock but the unlinking of layers, which may take long.
 */
#define LOG_MODULE "image"
#include "apiserver/image_remove.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_json.h"
#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_users.h"
#include "apiserver/platform.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

#define CONFLICT_CHILD	 1u
#define CONFLICT_RUNNING 2u
#define CONFLICT_NAMED	 4u
#define CONFLICT_STOPPED 8u
#define CONFLICT_HARD	 (CONFLICT_CHILD | CONFLICT_RUNNING)
#define CONFLICT_SOFT	 (CONFLICT_NAMED | CONFLICT_STOPPED)

struct remover {
	const struct image_remove_opts *o;
	struct image_removed *out;
	struct image_events *ev;
	struct err *err;
};

/* ---------------------------------------------------------------- the answer */

static void record(struct image_removed *r, bool deleted, const char *text)
{
	r->v = xrealloc(r->v, (r->n + 1) * sizeof(*r->v));
	r->v[r->n++] = (struct image_removal){ .deleted = deleted, .text = xstrdup(text) };
}

void image_removed_fini(struct image_removed *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].text);
	free(r->v);
	*r = (struct image_removed){ 0 };
}

void image_removed_json(const struct image_removed *r, struct buf *out)
{
	struct jw w = JW(out);

	jw_arr(&w, NULL);
	for (size_t i = 0; i < r->n; i++) {
		jw_obj(&w, NULL);
		jw_str(&w, r->v[i].deleted ? "Deleted" : "Untagged", r->v[i].text);
		jw_end(&w);
	}
	jw_end(&w);
}

/* ---------------------------------------------------------------- what is in the way */

/* The first container that uses the image; want: 1 running, 0 not, -1 any. */
static const struct image_use *find_use(const struct image_remove_opts *o, const char *id, int want)
{
	for (size_t i = 0; i < o->n_uses; i++)
		if (str_eq(o->uses[i].image_id, id) && (want < 0 || o->uses[i].running == (want == 1)))
			return &o->uses[i];
	return NULL;
}

/* 0, or -EBUSY with Docker's words. *used: it is a container. */
static int check_conflict(struct remover *r, const struct image_entry *e, unsigned mask, bool *used)
{
	const char *id = e->img->id;
	const struct image_use *u;

	*used = false;
	if ((mask & CONFLICT_CHILD) && image_has_children(id))
		return err_kind(r->err, ERR_CONFLICT,
				"conflict: unable to delete %.12s (cannot be forced) - image has dependent child images",
				id + 7);
	*used = true;
	if ((mask & CONFLICT_RUNNING) && (u = find_use(r->o, id, 1)))
		return err_kind(r->err, ERR_CONFLICT,
				"conflict: unable to delete %.12s (cannot be forced) - image is being used by running container %.12s",
				id + 7, u->ct_id);
	if ((mask & CONFLICT_NAMED) && e->n_names) {
		*used = false;
		return err_kind(r->err, ERR_CONFLICT,
				"conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
				id + 7);
	}
	if ((mask & CONFLICT_STOPPED) && (u = find_use(r->o, id, 0)))
		return err_kind(r->err, ERR_CONFLICT,
				"conflict: unable to delete %.12s (must be forced) - image is being used by stopped container %.12s",
				id + 7, u->ct_id);
	*used = false;
	return 0;
}

static bool same_repository(const struct image_ref *a, const struct image_ref *b)
{
	return str_eq(a->domain, b->domain) && str_eq(a->path, b->path);
}

/* All names are of one repository, and at most one is a tag. */
static bool is_single_reference(const struct image_entry *e)
{
	const struct image_name *tag = NULL;

	if (!e->n_names)
		return false;
	for (size_t i = 0; i < e->n_names; i++) {
		if (!same_repository(&e->names[i]->ref, &e->names[0]->ref))
			return false;
		if (e->names[i]->ref.digest[0])
			continue;
		if (tag)
			return false;
		tag = e->names[i];
	}
	return true;
}

/* ---------------------------------------------------------------- steps */

static int untag(struct remover *r, struct image_entry *e, struct image_name *n, bool tell)
{
	cleanup_free char *familiar = image_ref_familiar(&n->ref);
	int rc;

	if ((rc = image_name_del(n, r->err)) < 0)
		return rc;
	if (tell)
		image_events_add(r->ev, "untag", e->img->id, NULL);
	record(r->out, false, familiar);
	return 0;
}

/* Out of sight; and gone, unless a container or a job still needs it. */
static int delete_entry(struct remover *r, struct image_entry *e)
{
	cleanup_free char *id = xstrdup(e->img->id);
	cleanup_strv char **chains = NULL;
	size_t n;
	int rc;

	image_events_add(r->ev, "delete", id, NULL);
	record(r->out, true, id);
	r->out->v[r->out->n - 1].image = true;
	if (image_has_users(id) || image_entry_held(e)) {
		e->hidden = true;
		return image_entry_save(e, r->err);
	}
	chains = strv_dup(e->chains);
	if ((rc = image_entry_remove(e, r->err)) < 0)
		return rc;
	for (n = strv_len(chains); n-- > 0;) {
		struct layer_info info;

		if (layer_refs(chains[n]) || !layer_find(chains[n], &info))
			continue;
		record(r->out, true, chains[n]);
		r->out->bytes += info.size;
	}
	return 0;
}

/* Deletes the image and, when asked, its nameless ancestors. quiet: a conflict is no error when the
 * image is still of use. */
static int delete_image(struct remover *r, const char *image_id, bool force, bool prune, bool quiet)
{
	char id[72], parent[72];
	struct image_entry *e;
	bool used;
	int rc;

	str_copy(id, sizeof(id), image_id);
	for (;;) {
		e = image_entry_find(id);
		if (!e || e->hidden)
			return 0;
		rc = check_conflict(r, e, CONFLICT_HARD | (force ? 0 : CONFLICT_SOFT), &used);
		if (rc < 0) {
			bool dangling = !e->n_names && !image_has_children(id);

			if (!quiet || (dangling && !used))
				return rc;
			*r->err = (struct err){ 0 };
			return 0;
		}
		str_copy(parent, sizeof(parent), e->img->parent);
		while (e->n_names)
			if ((rc = untag(r, e, e->names[0], true)) < 0)
				return rc;
		if ((rc = delete_entry(r, e)) < 0)
			return rc;
		if (!prune || !parent[0])
			return 0;
		str_copy(id, sizeof(id), parent);
		force = false;
		quiet = true;
	}
}

/* The last tag of a repository takes the repository's digests with it. */
static int untag_digests(struct remover *r, struct image_entry *e, const struct image_ref *ref)
{
	int rc;

	for (size_t i = 0; i < e->n_names; i++)
		if (same_repository(&e->names[i]->ref, ref) && !e->names[i]->ref.digest[0])
			return 0;
	for (size_t i = 0; i < e->n_names;) {
		if (!same_repository(&e->names[i]->ref, ref)) {
			i++;
			continue;
		}
		if ((rc = untag(r, e, e->names[i], false)) < 0)
			return rc;
	}
	return 0;
}

static int remove_by_name(struct remover *r, const char *text, struct image_entry *e)
{
	cleanup_free char *id = xstrdup(e->img->id), *key = NULL;
	const struct image_use *u;
	struct image_name *n;
	struct image_ref ref;
	int rc;

	if (!r->o->force && is_single_reference(e) && (u = find_use(r->o, id, -1)))
		return err_kind(r->err, ERR_CONFLICT,
				"conflict: unable to remove repository reference \"%s\" (must force) - container %.12s is using its referenced image %.12s",
				text, u->ct_id, id + 7);
	if ((rc = image_ref_parse(text, &ref, r->err)) < 0)
		return rc;
	key = image_ref_key(&ref);
	n = image_name_find(key);
	if (n) {
		ref = n->ref;
		if ((rc = untag(r, e, n, true)) < 0)
			return rc;
	}
	if (!ref.digest[0] && (rc = untag_digests(r, e, &ref)) < 0)
		return rc;
	if (e->n_names)
		return 0;
	return delete_image(r, id, r->o->force, r->o->prune, true);
}

static int remove_by_id(struct remover *r, struct image_entry *e)
{
	cleanup_free char *id = xstrdup(e->img->id);
	bool used;
	int rc;

	if (is_single_reference(e)) {
		rc = check_conflict(r, e, CONFLICT_HARD | (r->o->force ? 0 : CONFLICT_STOPPED), &used);
		if (rc < 0)
			return rc;
		while (e->n_names)
			if ((rc = untag(r, e, e->names[0], true)) < 0)
				return rc;
	}
	return delete_image(r, id, r->o->force, r->o->prune, false);
}

static bool is_id_prefix(const char *id, const char *text)
{
	return str_starts(id, text) || str_starts(id + 7, text);
}

static int remove_locked(struct remover *r, const char *text)
{
	struct image *img;
	struct image_entry *e;
	int rc;

	if ((rc = image_resolve(text, &img, NULL, r->err)) < 0)
		return rc;
	e = image_entry_find(img->id);
	image_unref(img); /* the index holds it: we have the lock */
	if (r->o->platform && (rc = platform_check_image(r->o->platform, e->img, text, r->err)) < 0)
		return rc;
	return is_id_prefix(e->img->id, text) ? remove_by_id(r, e) : remove_by_name(r, text, e);
}

size_t image_hidden_collect(void)
{
	cleanup_free struct image_entry **v = NULL;
	struct err err = { 0 };
	size_t n, n_held = 0;

	image_lock();
	v = image_entries_hidden(&n);
	for (size_t i = 0; i < n; i++) {
		if (image_has_users(v[i]->img->id))
			continue;
		if (image_entry_held(v[i]))
			n_held++;
		else if (image_entry_remove(v[i], &err) < 0)
			log_warn("image not removed", "err=%s", log_q(err.msg));
	}
	image_unlock();
	return n_held;
}

int image_remove(const char *ref, const struct image_remove_opts *o, struct image_removed *out,
		 struct image_events *ev, struct err *err)
{
	struct remover r = { .o = o, .out = out, .ev = ev, .err = err };
	int rc;

	image_lock();
	rc = remove_locked(&r, ref);
	image_hidden_collect();
	image_unlock();
	layer_collect();
	return rc;
}

/* ---------------------------------------------------------------- prune */

struct prune {
	json_t *filters;
	bool dangling_only;
	int64_t until_ns;
};

static int prune_filters(const char *text, struct prune *p, struct err *err)
{
	static const char *const allowed[] = { "dangling", "label", "label!", "until", NULL };
	int rc;

	p->dangling_only = true;
	if (!str_empty(text) && (rc = filters_parse(text, allowed, &p->filters, err)) < 0)
		return rc;
	if ((rc = filter_bool(p->filters, "dangling", &p->dangling_only, err)) < 0)
		return rc;
	return filter_until(p->filters, &p->until_ns, err);
}

static bool prune_wanted(const struct prune *p, const struct image_entry *e)
{
	cleanup_json json_t *labels = NULL;
	struct err ignored = { 0 };

	if (!e->n_names && image_has_children(e->img->id))
		return false;
	if (e->img->created_ns > p->until_ns)
		return false;
	for (size_t i = 0; p->dangling_only && i < e->n_names; i++)
		if (!e->names[i]->ref.digest[0])
			return false;
	if (!json_object_get(p->filters, "label") && !json_object_get(p->filters, "label!"))
		return true;
	jparse(e->labels_text, strlen(e->labels_text), &labels, &ignored);
	return filter_label_match(p->filters, "label", labels) &&
	       filter_label_match(p->filters, "label!", labels);
}

/* Each name as if removed by hand; an image without one by its ID. Conflicts leave it. */
static void prune_one(struct remover *r, const char *id)
{
	cleanup_strv char **names = strv_split("", ' ');
	struct image_entry *e = image_entry_find(id);
	struct err ignored = { 0 }, *told = r->err;

	r->err = &ignored;
	for (size_t i = 0; e && i < e->n_names; i++) {
		cleanup_free char *s = image_ref_canonical(&e->names[i]->ref);

		strv_add(&names, s);
	}
	if (!names[0])
		(void)!remove_locked(r, id + 7);
	for (char **n = names; *n; n++)
		(void)!remove_locked(r, *n);
	r->err = told;
}

int image_prune(const char *filters, const struct image_remove_opts *o, struct image_removed *out,
		struct image_events *ev, struct err *err)
{
	const struct image_remove_opts opts = { .prune = true, .uses = o->uses, .n_uses = o->n_uses };
	struct remover r = { .o = &opts, .out = out, .ev = ev };
	cleanup_free struct image_entry **v = NULL;
	cleanup_strv char **ids = strv_split("", ' ');
	struct prune p = { 0 };
	size_t n;
	int rc;

	if ((rc = prune_filters(filters, &p, err)) < 0) {
		json_decref(p.filters);
		return rc;
	}
	image_lock();
	v = image_entries(&n);
	for (size_t i = 0; i < n; i++)
		if (prune_wanted(&p, v[i]))
			strv_add(&ids, v[i]->img->id);
	for (char **id = ids; *id; id++)
		prune_one(&r, *id);
	image_hidden_collect();
	image_unlock();
	layer_collect();
	json_decref(p.filters);
	return 0;
}
