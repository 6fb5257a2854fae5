/* SPDX-License-Identifier: MPL-2.0
 *
 * build_cache.c - finding the image that a step made the last time.
 *
 * Design: as Docker's: a step's image names its parent, and its container_config holds the command
 * that made it: for RUN the command with the build arguments that it saw, for COPY and ADD a hash
 * of what was copied, for the others their text. A child of the parent with an equal configuration
 * is the step's result. Of several the newest counts.
 */
#include "apiserver/build_priv.h"

#include <string.h>

#include "apiserver/image_index.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static bool is_nothing(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_string(v) && !json_string_length(v)) ||
	       (json_is_array(v) && !json_array_size(v)) ||
	       (json_is_object(v) && !json_object_size(v));
}

static bool same_config(const json_t *a, const json_t *b)
{
	static const char *const keys[] = { "Cmd",	    "Entrypoint", "Env",     "Labels",
					    "ExposedPorts", "User",	  "Volumes", "AttachStdin",
					    "OpenStdin",    "Tty",	  "Shell" };

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
		if (str_eq(v[i]->img->parent, parent))
			out[(*n)++] = image_ref(v[i]->img);
	image_unlock();
	free(v);
	return out;
}

bool build_cache_find(const char *parent, const json_t *container_config, char out_id[72])
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
