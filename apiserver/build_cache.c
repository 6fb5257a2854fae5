/* SPDX-License-Identifier: MPL-2.0
 *
 * build_cache.c - finding the image that a step made the last time.
 *
 * Design: as Docker's. A step's image names its parent, and its container_config holds the command
 * that made it: for RUN the command with the build arguments that it saw, for COPY and ADD a hash
 * of what was copied, for the others their text. A child of the parent with an equal configuration
 * is the step's result. Of several the newest counts.
 *
 * With --cache-from only that counts which led to one of the images it names. Such an image may
 * have come from a registry, without its ancestors: then its history is compared, and the image of
 * the step is made from it again, its layer being there. The first one that is used is the only one
 * from then on.
 */
#include "apiserver/build_priv.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"
#include "version.h"

#define ANCESTORS_MAX 1024

struct build_cache_source {
	struct image *img;
	json_t *config; /* the image's */
};

/* ---- comparing ---- */

static bool is_nothing(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_string(v) && !json_string_length(v)) ||
	       (json_is_array(v) && !json_array_size(v)) ||
	       (json_is_object(v) && !json_object_size(v));
}

static bool same_config(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {
		"Cmd",	      "Env",	     "Entrypoint",   "Labels",	"ExposedPorts",
		"Volumes",    "User",	     "WorkingDir",   "Shell",	"OnBuild",
		"StopSignal", "Healthcheck", "StopTimeout",  "Tty",	"AttachStdin",
		"OpenStdin",  "StdinOnce",   "AttachStdout", "AttachStderr",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if (is_nothing(x) != is_nothing(y) || (!is_nothing(x) && !json_equal(x, y)))
			return false;
	}
	return true;
}

static bool made_by(const struct image *img, const json_t *container_config)
{
	cleanup_json json_t *config = NULL;
	struct err ignored = { 0 };

	if (!strstr(img->config_text, "\"container_config\"") ||
	    jparse(img->config_text, strlen(img->config_text), &config, &ignored) < 0)
		return false;
	return same_config(jget_obj(config, "container_config"), container_config);
}

/* ---- what was built here ---- */

/* References to the children, so that the index need not be locked while they are read. */
static struct image **children(const char *parent, size_t *n)
{
	struct image_entry **v;
	struct image **out;
	size_t i, all;

	*n = 0;
	image_lock();
	v = image_entries(&all);
	out = xcalloc(all + 1, sizeof(*out));
	for (i = 0; i < all; i++)
		if (v[i]->built && str_eq(v[i]->img->parent, parent))
			out[(*n)++] = image_ref(v[i]->img);
	image_unlock();
	free(v);
	return out;
}

static bool find_local(const char *parent, const json_t *container_config, char out_id[72])
{
	int64_t newest_ns = INT64_MIN;
	struct image **v;
	bool found = false;
	size_t n;

	v = children(parent, &n);
	for (size_t i = 0; i < n; i++) {
		if (v[i]->created_ns > newest_ns && made_by(v[i], container_config)) {
			newest_ns = v[i]->created_ns;
			str_copy(out_id, 72, v[i]->id);
			found = true;
		}
		image_unref(v[i]);
	}
	free(v);
	return found;
}

/* ---- --cache-from ---- */

void build_cache_fini(struct build *b)
{
	for (size_t i = 0; i < b->n_cache; i++) {
		image_unref(b->cache[i].img);
		json_decref(b->cache[i].config);
	}
	free(b->cache);
	b->cache = NULL;
	b->n_cache = 0;
}

void build_cache_reset(struct build *b)
{
	build_cache_fini(b);
	if (!b->o.cache_from)
		return;
	b->cache = xcalloc(strv_len(b->o.cache_from) + 1, sizeof(*b->cache));
	for (char **name = b->o.cache_from; *name; name++) {
		struct build_cache_source *s = &b->cache[b->n_cache];
		struct err err = { 0 };

		if (image_get(*name, &s->img, &err) < 0) {
			log_info("image of cache-from is left out", "image=%s error=%s",
				 log_q(*name), log_q(err.msg));
			continue;
		}
		if (jparse(s->img->config_text, strlen(s->img->config_text), &s->config, &err) < 0)
			image_unref(s->img);
		else
			b->n_cache++;
	}
}

static bool descends(const struct image *img, const char *ancestor)
{
	struct image *at = NULL;
	char parent[72];
	bool yes = false;

	str_copy(parent, sizeof(parent), img->parent);
	for (int i = 0; parent[0] && !yes && i < ANCESTORS_MAX; i++) {
		struct err ignored = { 0 };

		yes = str_eq(parent, ancestor);
		if (image_get(parent, &at, &ignored) < 0)
			break;
		str_copy(parent, sizeof(parent), at->parent);
		image_unref(at);
	}
	return yes;
}

static json_t *diff_ids_of(const json_t *config)
{
	return jget_arr(jget_obj(config, "rootfs"), "diff_ids");
}

/* list begins with all of start. */
static bool begins_with(const json_t *list, const json_t *start)
{
	const json_t *v;
	size_t i;

	if (json_array_size(start) > json_array_size(list))
		return false;
	json_array_foreach ((json_t *)start, i, v)
		if (!json_equal(v, json_array_get(list, i)))
			return false;
	return true;
}

/* The step after parent's (NULL: scratch) in the source's history; NULL: it does not descend. */
static const json_t *next_step(const struct build_cache_source *s, const json_t *parent)
{
	const json_t *history = jget_arr(s->config, "history"),
		     *before = jget_arr(parent, "history");

	if (!begins_with(history, before) ||
	    !begins_with(diff_ids_of(s->config), diff_ids_of(parent)))
		return NULL;
	return json_array_get(history, json_array_size(before));
}

static json_t *list_copy(const json_t *list)
{
	return list ? json_deep_copy(list) : json_array();
}

/* The image of that step, as if it had been made here. */
static int restore(struct build *b, const struct build_cache_source *s, const json_t *parent,
		   const json_t *step, const json_t *container_config, char out_id[72],
		   struct err *err)
{
	cleanup_json json_t *o = json_object();
	json_t *history = list_copy(jget_arr(parent, "history"));
	json_t *diff_ids = list_copy(diff_ids_of(parent));
	cleanup_free char *text = NULL;

	json_array_append_new(history, json_deep_copy(step));
	if (!jget_bool(step, "empty_layer", false))
		json_array_append(diff_ids, json_array_get(diff_ids_of(s->config),
							   json_array_size(diff_ids)));
	json_object_set(o, "architecture", json_object_get(s->config, "architecture"));
	if (json_object_get(s->config, "author"))
		json_object_set(o, "author", json_object_get(s->config, "author"));
	json_object_set_new(o, "config", json_deep_copy(b->s.config));
	json_object_set_new(o, "container_config", json_deep_copy(container_config));
	json_object_set(o, "created", json_object_get(step, "created"));
	json_object_set_new(o, "docker_version", json_string(SDC_VERSION));
	json_object_set_new(o, "history", history);
	json_object_set(o, "os", json_object_get(s->config, "os"));
	json_object_set_new(o, "rootfs",
			    json_pack("{s:s,s:o}", "type", "layers", "diff_ids", diff_ids));
	text = json_dumps(o, JSON_COMPACT);
	if (!text)
		return err_kind(err, ERR_BAD_PARAM, "the configuration is not valid UTF-8");
	return image_add_built(text, strlen(text), b->s.image_id, out_id, err);
}

/* One source; 1: it has the step, *out_id is its image. */
static int try_source(struct build *b, const struct build_cache_source *s, const json_t *parent,
		      const json_t *container_config, char out_id[72], struct err *err)
{
	cleanup_free char *cmd = build_joined(jget_arr(container_config, "Cmd"));
	const json_t *step = next_step(s, parent);
	size_t n = json_array_size(jget_arr(s->config, "history"));
	int rc;

	if (!step || !str_eq(jget_str(step, "created_by", ""), cmd))
		return 0;
	if (json_array_size(jget_arr(parent, "history")) + 1 == n) {
		str_copy(out_id, 72, s->img->id);
		if (parent && (rc = image_set_parent(s->img->id, b->s.image_id, err)) < 0)
			return rc;
		return 1;
	}
	rc = restore(b, s, parent, step, container_config, out_id, err);
	return rc < 0 ? rc : 1;
}

static bool find_from(struct build *b, const json_t *container_config, char out_id[72])
{
	cleanup_json json_t *parent = NULL;
	struct image *img = NULL;
	struct err err = { 0 };
	int rc = 0;

	if (b->s.image_id[0] && image_get(b->s.image_id, &img, &err) == 0) {
		rc = jparse(img->config_text, strlen(img->config_text), &parent, &err);
		image_unref(img);
	}
	for (size_t i = 0; rc == 0 && i < b->n_cache; i++) {
		struct build_cache_source used = b->cache[i];

		rc = try_source(b, &used, parent, container_config, out_id, &err);
		if (rc > 0) {
			b->cache[i] = b->cache[0];
			b->cache[0] = used;
			while (b->n_cache > 1) {
				image_unref(b->cache[--b->n_cache].img);
				json_decref(b->cache[b->n_cache].config);
			}
		}
	}
	if (rc < 0)
		log_warn("cache-from is not used", "error=%s", log_q(err.msg));
	return rc > 0;
}

static bool find_any(struct build *b, const json_t *container_config, char out_id[72])
{
	bool found = find_local(b->s.image_id, container_config, out_id);

	if (!b->o.cache_from)
		return found;
	for (size_t i = 0; found && i < b->n_cache; i++)
		if (descends(b->cache[i].img, out_id))
			return true;
	return find_from(b, container_config, out_id);
}

bool build_cache_find(struct build *b, const json_t *container_config, char out_id[72])
{
	struct image_entry *e;

	if (!find_any(b, container_config, out_id))
		return false;
	image_lock();
	if ((e = image_entry_find(out_id))) {
		e->used_ns = now_ns();
		e->n_uses++;
	}
	image_unlock();
	return true;
}
