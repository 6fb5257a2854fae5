/* SPDX-License-Identifier: MPL-2.0
 *
 * image_tags.c - names of images: tags and digests, in memory and in the database.
 *
 * Design: a name is keyed by its canonical text, "docker.io/library/busybox:latest" or
 * "docker.io/library/busybox@sha256:..."; each image's entry lists its names, sorted. The database
 * is changed first, then memory.
 *
 * Threads: under image_lock (image_index.h).
 */
#define LOG_MODULE "image"
#include "apiserver/image_index.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/store.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "map.h"
#include "str.h"

static struct map names; /* key -> struct image_name */

struct image_name *image_name_find(const char *key)
{
	return map_get(&names, key);
}

/* Where a name of key is in the sorted list, or has to be. */
static size_t place_of(const struct image_entry *e, const char *key)
{
	size_t low = 0, high = e->n_names;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(e->names[mid]->key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void attach(struct image_entry *e, struct image_name *n)
{
	size_t at = place_of(e, n->key);

	e->names = xrealloc(e->names, (e->n_names + 1) * sizeof(struct image_name *));
	memmove(&e->names[at + 1], &e->names[at], (e->n_names - at) * sizeof(struct image_name *));
	e->names[at] = n;
	e->n_names++;
	str_copy(n->image_id, sizeof(n->image_id), e->img->id);
}

static void detach(struct image_name *n)
{
	struct image_entry *e = image_entry_find(n->image_id);
	size_t at = e ? place_of(e, n->key) : 0;

	if (!e || at == e->n_names || e->names[at] != n)
		return;
	memmove(&e->names[at], &e->names[at + 1], (e->n_names - at - 1) * sizeof(struct image_name *));
	e->n_names--;
}

static void name_free(struct image_name *n)
{
	free(n->key);
	free(n);
}

int image_name_set(struct image_entry *e, const struct image_ref *ref, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_free char *key = image_ref_key(ref);
	struct image_name *n = image_name_find(key);
	struct jw w = JW(&b);
	int rc;

	jw_obj(&w, NULL);
	jw_str(&w, "id", e->img->id);
	jw_end(&w);
	if ((rc = store_put(STORE_TAG, key, buf_str(&b), err)) < 0)
		return rc;
	if (n) {
		detach(n);
	} else {
		n = xcalloc(1, sizeof(*n));
		n->ref = *ref;
		if (ref->digest[0])
			n->ref.tag[0] = '\0';
		else
			image_ref_default_tag(&n->ref);
		n->key = xstrdup(key);
		map_set(&names, key, n);
	}
	attach(e, n);
	return 0;
}

int image_name_del(struct image_name *n, struct err *err)
{
	int rc;

	if ((rc = store_del(STORE_TAG, n->key, err)) < 0)
		return rc;
	detach(n);
	map_del(&names, n->key);
	name_free(n);
	return 0;
}

/* ---------------------------------------------------------------- image_store.h */

int image_tag(const char *image_id, const char *ref, struct err *err)
{
	struct image_entry *e;
	struct image_ref r;
	int rc;

	if ((rc = image_ref_parse(ref, &r, err)) < 0)
		return rc;
	image_ref_default_tag(&r);
	image_lock();
	e = image_entry_find(image_id);
	if (!e) {
		rc = err_kind(err, ERR_NOT_FOUND, "No such image: %s", image_id);
	} else if ((rc = image_name_set(e, &r, err)) == 0) {
		e->last_tag_ns = now_ns();
		rc = image_entry_save(e, err);
	}
	image_unlock();
	return rc;
}

int image_name_add(const char *image_id, const struct image_ref *ref, char old_id[72], struct err *err)
{
	cleanup_free char *key = image_ref_key(ref);
	struct image_entry *e;
	struct image_name *n;
	int rc;

	image_lock();
	n = image_name_find(key);
	if (old_id)
		str_copy(old_id, 72, n ? n->image_id : "");
	e = image_entry_find(image_id);
	if (!e)
		rc = err_kind(err, ERR_NOT_FOUND, "No such image: %s", image_id);
	else
		rc = image_name_set(e, ref, err);
	image_unlock();
	return rc;
}

static char **collect(const char *image_id, bool digests)
{
	char **v = strv_split("", ' ');
	struct image_entry *e;

	image_lock();
	e = image_entry_find(image_id);
	for (size_t i = 0; e && i < e->n_names; i++) {
		cleanup_free char *s = NULL;

		if ((e->names[i]->ref.digest[0] != '\0') != digests)
			continue;
		s = image_ref_familiar(&e->names[i]->ref);
		strv_add(&v, s);
	}
	image_unlock();
	return v;
}

char **image_tags(const char *image_id)
{
	return collect(image_id, false);
}

char **image_digests(const char *image_id)
{
	return collect(image_id, true);
}

/* ---------------------------------------------------------------- start */

static int load_name(const char *key, const char *json, void *arg, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct err why = { 0 };
	struct image_entry *e;
	struct image_name *n;
	struct image_ref ref;
	char ***drop = arg;

	(void)err;
	if (image_ref_parse(key, &ref, &why) < 0 || jparse(json, strlen(json), &o, &why) < 0 ||
	    !(e = image_entry_find(jget_str(o, "id", "")))) {
		log_warn("image name dropped", "name=%s why=%s", log_q(key),
			 log_q(why.msg[0] ? why.msg : "its image is gone"));
		strv_add(drop, key);
		return 0;
	}
	n = xcalloc(1, sizeof(*n));
	n->ref = ref;
	n->key = xstrdup(key);
	map_set(&names, key, n);
	attach(e, n);
	return 0;
}

int image_names_init(struct err *err)
{
	cleanup_strv char **drop = strv_split("", ' ');
	int rc;

	map_init(&names);
	rc = store_each(STORE_TAG, load_name, &drop, err);
	for (char **key = drop; rc == 0 && *key; key++)
		rc = store_del(STORE_TAG, *key, err);
	return rc;
}
