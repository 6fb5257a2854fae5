/* SPDX-License-Identifier: MPL-2.0
 *
 * image_load_v1.c - archives from before Docker 1.10.
 *
 *	repositories		{"busybox": {"latest": "<v1 id>"}}
 *	<v1 id>/json		one layer's configuration, "parent" names the next below
 *	<v1 id>/layer.tar
 *
 * The chain of layers becomes one configuration (image_v1.h).
 */
#include "apiserver/image_load_v1.h"

#include <string.h>

#include "apiserver/image_store.h"
#include "apiserver/image_v1.h"
#include "apiserver/v1_chain.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

/* Reads the chain from id down; paths, diff ids and history come out bottom first. */
static int read_chain(struct archive_blobs *blobs, const char *id, json_t **top, char ***paths,
		      json_t *diff_ids, json_t *history, struct err *err)
{
	cleanup_strv char **down = strv_split("", ' ');
	cleanup_free char *at = xstrdup(id);
	size_t n = 0;
	int rc;

	while (*at) {
		cleanup_free char *json_path = xasprintf("%s/json", at);
		cleanup_free char *layer_path = xasprintf("%s/layer.tar", at);
		struct archive_blob *layer = archive_blob_find(blobs, layer_path);
		cleanup_json json_t *v1 = NULL;

		if (++n > IMAGE_LAYERS_MAX)
			return err_kind(err, ERR_SYSTEM, "the image has too many layers");
		if ((rc = archive_blob_json(blobs, json_path, &v1, err)) < 0)
			return rc;
		if (!layer || !layer->diff_id[0])
			return err_kind(err, ERR_SYSTEM, "open %s: no such file or directory", layer_path);
		strv_add(&down, layer_path);
		json_array_insert_new(diff_ids, 0, json_string(layer->diff_id));
		json_array_insert_new(history, 0, image_v1_history(v1, false));
		free(at);
		at = xstrdup(jget_str(v1, "parent", ""));
		if (!*top)
			*top = take_ptr(&v1);
	}
	while (n-- > 0)
		strv_add(paths, down[n]);
	return 0;
}

static int load_one(struct load *l, struct archive_blobs *blobs, const char *v1_id, const char *name,
		    char out_id[72], struct err *err)
{
	cleanup_strv char **paths = strv_split("", ' '), **names = strv_split("", ' ');
	cleanup_json json_t *config = NULL, *diff_ids = json_array(), *history = json_array();
	cleanup_free char *text = NULL;
	int rc;

	if ((rc = read_chain(blobs, v1_id, &config, &paths, diff_ids, history, err)) < 0)
		return rc;
	if (!json_is_object(config))
		return err_kind(err, ERR_SYSTEM, "%s/json: not an object", v1_id);
	text = image_v1_config(config, diff_ids, history);
	if (!text)
		return err_kind(err, ERR_SYSTEM, "%s/json: not valid UTF-8", v1_id);
	strv_add(&names, name);
	return image_load_one(l, text, strlen(text), paths, names, "", out_id, err);
}

int image_load_v1(struct load *l, struct archive_blobs *blobs, struct err *err)
{
	cleanup_json json_t *repos = NULL;
	const char *repo, *tag;
	json_t *tags, *id;
	char out_id[72];
	int rc;

	if ((rc = archive_blob_json(blobs, "repositories", &repos, err)) < 0)
		return err_kind(err, ERR_SYSTEM, "open manifest.json: no such file or directory");
	if (!json_is_object(repos))
		return err_kind(err, ERR_SYSTEM, "invalid repositories: not an object");
	json_object_foreach(repos, repo, tags) {
		if (!json_is_object(tags))
			return err_kind(err, ERR_SYSTEM, "repositories: bad entry %s", repo);
		json_object_foreach(tags, tag, id) {
			cleanup_free char *name = xasprintf("%s:%s", repo, tag);

			if (!json_is_string(id))
				return err_kind(err, ERR_SYSTEM, "repositories: bad entry %s", name);
			rc = load_one(l, blobs, json_string_value(id), name, out_id, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}
