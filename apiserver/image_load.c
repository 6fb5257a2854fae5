/* SPDX-License-Identifier: MPL-2.0
 *
 * image_load.c - docker load: from the parts of an archive to images with names.
 *
 * Design: archive_blobs.c has read the stream; here the manifest tells which parts make an image.
 * Three forms, in this order: manifest.json (Docker's, also of archives that carry the OCI layout
 * besides), index.json (OCI), repositories (before Docker 1.10; image_load_v1.c).
 *
 * Failure: an image is added when all its layers are there; images before a failing one stay, as
 * with Docker. Layers of the failed one go when the hold ends.
 */
#define LOG_MODULE "load"
#include "apiserver/image_archive.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/archive_blobs.h"
#include "apiserver/image_index.h"
#include "apiserver/image_load_v1.h"
#include "apiserver/platform.h"
#include "cleanup.h"
#include "jget.h"
#include "map.h"
#include "str.h"

#define INDEX_DEPTH_MAX 4
#define IMAGES_MAX	1000

struct load {
	struct archive_blobs *blobs;
	const struct image_load_opts *o;
	struct progress *progress;
	struct image_events *ev;
	unsigned n_images, n_loaded;
};

/* ---------------------------------------------------------------- one image */

static int no_match(const struct load *l, struct err *err)
{
	struct platform p;
	cleanup_free char *text = NULL;

	platform_set(&p, "", platform_host_arch(), "");
	text = platform_text(l->o->platform ? l->o->platform : &p);
	return err_kind(err, ERR_NOT_FOUND, "no image of the archive matches platform %s", text);
}

/* What the configuration tells, which counts more than an index. */
static bool is_wanted(const struct load *l, const json_t *config)
{
	const struct image img = {
		.os = (char *)jget_str(config, "os", ""),
		.architecture = (char *)jget_str(config, "architecture", ""),
		.variant = (char *)jget_str(config, "variant", ""),
	};

	return !l->o->platform || platform_fits_image(l->o->platform, &img);
}

static int add_layers(struct load *l, const json_t *config, char *const *paths, char top[72],
		      struct err *err)
{
	cleanup_strv char **diff_ids = jget_strv(jget_obj(config, "rootfs"), "diff_ids");
	char chain[72] = "";
	struct layer_info info;
	size_t n = strv_len(diff_ids);
	int rc;

	if (n != strv_len(paths))
		return err_kind(err, ERR_SYSTEM,
				"invalid manifest, layers length mismatch: expected %zu, got %zu", n,
				strv_len(paths));
	if (n > IMAGE_LAYERS_MAX)
		return err_kind(err, ERR_SYSTEM, "the image has too many layers");
	for (size_t i = 0; i < n; i++) {
		struct archive_blob *blob = archive_blob_find(l->blobs, paths[i]);
		char next[72];

		if (!image_id_valid(diff_ids[i]))
			return err_kind(err, ERR_SYSTEM, "invalid diff id %s", diff_ids[i]);
		layer_chain_id(chain, diff_ids[i], next);
		if (!blob && !layer_find(next, NULL))
			return err_kind(err, ERR_SYSTEM, "open %s: no such file or directory", paths[i]);
		if (blob && (rc = archive_blob_layer(blob, diff_ids[i], chain, &info, err)) < 0)
			return rc;
		str_copy(chain, sizeof(chain), next);
	}
	str_copy(top, 72, chain);
	return 0;
}

static int name_image(struct load *l, const char *id, const struct image_ref *ref, struct err *err)
{
	cleanup_free char *familiar = image_ref_familiar(ref);
	char old[72];
	int rc;

	if ((rc = image_name_add(id, ref, old, err)) < 0)
		return rc;
	if (old[0] && !str_eq(old, id))
		progress_text(l->progress,
			      "The image %s already exists, renaming the old one with ID %s to empty string\n",
			      familiar, old);
	progress_text(l->progress, "Loaded image: %s\n", familiar);
	return 0;
}

/* Before anything is added: a name that is none must not leave a nameless image. */
static int check_names(char *const *names, struct err *err)
{
	struct image_ref ref;
	int rc;

	for (; *names; names++) {
		if ((rc = image_ref_parse(*names, &ref, err)) < 0)
			return rc;
		if (!ref.tag[0])
			return err_kind(err, ERR_SYSTEM, "invalid tag \"%s\"", *names);
	}
	return 0;
}

/* names: references with a tag each. out_id "": of another platform than the wanted, left out. */
int image_load_one(struct load *l, const char *config_text, size_t len, char *const *layer_paths,
		   char *const *names, const char *parent, char out_id[72], struct err *err)
{
	cleanup_json json_t *config = NULL;
	char top[72];
	const char *os;
	int rc;

	if (++l->n_images > IMAGES_MAX)
		return err_kind(err, ERR_SYSTEM, "the archive has too many images");
	if ((rc = check_names(names, err)) < 0 || (rc = jparse(config_text, len, &config, err)) < 0)
		return rc;
	out_id[0] = '\0';
	if (!is_wanted(l, config))
		return 0;
	l->n_loaded++;
	os = jget_str(config, "os", "");
	if (*os && !str_eq(os, "linux"))
		return err_kind(err, ERR_SYSTEM, "cannot load %s image on linux", os);
	if ((rc = add_layers(l, config, layer_paths, top, err)) < 0 ||
	    (rc = image_add(config_text, len, parent, out_id, err)) < 0)
		return rc;
	for (; *names; names++) {
		struct image_ref ref;

		if ((rc = image_ref_parse(*names, &ref, err)) < 0)
			return rc;
		ref.digest[0] = '\0';
		if ((rc = name_image(l, out_id, &ref, err)) < 0)
			return rc;
	}
	image_events_add(l->ev, "load", out_id, NULL);
	return 0;
}

void image_load_tell_id(struct load *l, const char *id)
{
	if (*id)
		progress_text(l->progress, "Loaded image ID: %s\n", id);
}

/* ---------------------------------------------------------------- manifest.json */

static int load_manifest(struct load *l, const json_t *manifest, struct err *err)
{
	cleanup_strv char **layers = NULL, **tags = NULL;
	struct archive_blob *config;
	struct image *img = NULL;
	struct err ignored = { 0 };
	const char *path = jget_str(manifest, "Config", ""), *parent = jget_str(manifest, "Parent", "");
	char id[72];
	int rc;

	layers = jget_strv(manifest, "Layers");
	tags = jget_strv(manifest, "RepoTags");
	config = archive_blob_find(l->blobs, path);
	if (!config || config->diff_id[0])
		return err_kind(err, ERR_SYSTEM, "open %s: no such file or directory", path);
	if (!image_id_valid(parent) || image_get(parent, &img, &ignored) < 0)
		parent = "";
	image_unref(img);
	rc = image_load_one(l, buf_str(&config->text), config->text.len, layers, tags, parent, id, err);
	if (rc == 0 && !tags[0])
		image_load_tell_id(l, id);
	return rc;
}

static int load_docker(struct load *l, struct err *err)
{
	cleanup_json json_t *list = NULL;
	json_t *manifest;
	size_t i;
	int rc;

	if ((rc = archive_blob_json(l->blobs, "manifest.json", &list, err)) < 0)
		return rc;
	if (!json_is_array(list))
		return err_kind(err, ERR_SYSTEM, "invalid manifest.json: not a list");
	json_array_foreach(list, i, manifest)
		if ((rc = load_manifest(l, manifest, err)) < 0)
			return rc;
	return 0;
}

/* ---------------------------------------------------------------- index.json */

/* The full name that an index entry carries, or "". Borrowed. */
static const char *annotated_name(const json_t *descriptor)
{
	json_t *a = jget_obj(descriptor, "annotations");
	const char *name = jget_str(a, "io.containerd.image.name", "");
	struct err ignored = { 0 };
	struct image_ref ref;

	if (!*name)
		name = jget_str(a, "org.opencontainers.image.ref.name", "");
	/* a bare tag ("latest") names nothing */
	if (!*name || image_ref_parse(name, &ref, &ignored) < 0 || !ref.tag[0])
		return "";
	return name;
}

static int load_oci_manifest(struct load *l, const json_t *manifest, char *const *names, struct err *err)
{
	cleanup_strv char **paths = strv_split("", ' ');
	struct archive_blob *config;
	json_t *layer;
	char id[72];
	size_t i;
	int rc;

	config = archive_blob_digest(l->blobs, jget_str(jget_obj(manifest, "config"), "digest", ""), err);
	if (!config)
		return err->code;
	json_array_foreach(jget_arr(manifest, "layers"), i, layer) {
		const char *digest = jget_str(layer, "digest", "");
		cleanup_free char *path = NULL;

		if (!archive_blob_digest(l->blobs, digest, err))
			return err->code;
		path = xasprintf("blobs/sha256/%s", digest + 7);
		strv_add(&paths, path);
	}
	rc = image_load_one(l, buf_str(&config->text), config->text.len, paths, names, "", id, err);
	if (rc == 0 && !names[0])
		image_load_tell_id(l, id);
	return rc;
}

/* How well an entry fits the wanted platform, else this machine; what names none will do. */
static unsigned fit(const struct load *l, const json_t *descriptor)
{
	json_t *o = jget_obj(descriptor, "platform");
	struct platform want, have;

	if (!o)
		return 1;
	if (l->o->platform)
		want = *l->o->platform;
	else
		platform_host(&want);
	platform_set(&have, jget_str(o, "os", ""), jget_str(o, "architecture", ""), jget_str(o, "variant", ""));
	return platform_fit(&want, &have) * 2;
}

/* Of the entries of one image (those of one name, or of an inner index) the one that fits best is loaded; of equal ones
 * the first. What has no name in the outer index stands for itself. */
static bool *choose(const struct load *l, const json_t *list, bool inner)
{
	bool *chosen = xcalloc(json_array_size(list) + 1, sizeof(*chosen));
	size_t *best = xcalloc(json_array_size(list) + 1, sizeof(*best));
	struct map by_name;
	json_t *d;
	size_t i;

	map_init(&by_name);
	json_array_foreach(list, i, d) {
		const char *name = inner ? "" : annotated_name(d);
		size_t *b = *name || inner ? map_get(&by_name, name) : NULL;

		if (!(chosen[i] = fit(l, d) > 0) || (!*name && !inner))
			continue;
		if (b && fit(l, json_array_get(list, *b)) >= fit(l, d)) {
			chosen[i] = false;
			continue;
		}
		if (b)
			chosen[*b] = false;
		best[i] = i;
		map_set(&by_name, name, &best[i]);
	}
	map_fini(&by_name, NULL);
	free(best);
	return chosen;
}

static int load_descriptor(struct load *l, const json_t *d, char *const *names, int depth, struct err *err);

static int load_index(struct load *l, const json_t *index, char *const *names, int depth, struct err *err)
{
	const json_t *list = jget_arr(index, "manifests");
	cleanup_free bool *chosen = NULL;
	json_t *d;
	size_t i, n = 0;
	int rc;

	if (depth > INDEX_DEPTH_MAX)
		return err_kind(err, ERR_SYSTEM, "indexes are nested too deep");
	chosen = choose(l, list, depth > 0);
	json_array_foreach(list, i, d) {
		cleanup_strv char **own = strv_dup(names);
		const char *name = annotated_name(d);

		if (!chosen[i])
			continue;
		if (*name && !strv_has(own, name))
			strv_add(&own, name);
		if ((rc = load_descriptor(l, d, own, depth, err)) < 0)
			return rc;
		n++;
	}
	return n ? 0 : no_match(l, err);
}

static int load_descriptor(struct load *l, const json_t *d, char *const *names, int depth, struct err *err)
{
	struct archive_blob *blob = archive_blob_digest(l->blobs, jget_str(d, "digest", ""), err);
	cleanup_json json_t *o = NULL;
	int rc;

	if (!blob)
		return err->code;
	if ((rc = jparse(buf_str(&blob->text), blob->text.len, &o, err)) < 0)
		return rc;
	if (jget_arr(o, "manifests"))
		return load_index(l, o, names, depth + 1, err);
	return load_oci_manifest(l, o, names, err);
}

static int load_oci(struct load *l, struct err *err)
{
	cleanup_strv char **none = strv_split("", ' ');
	cleanup_json json_t *index = NULL;
	int rc;

	if ((rc = archive_blob_json(l->blobs, "index.json", &index, err)) < 0)
		return rc;
	return load_index(l, index, none, 0, err);
}

/* ---------------------------------------------------------------- all */

int image_load(layer_read_fn *fn, void *arg, const struct image_load_opts *o, struct progress *progress,
	       struct image_events *ev, struct err *err)
{
	struct load l = { .o = o, .progress = progress, .ev = ev };
	int rc;

	image_hold_begin();
	rc = archive_blobs_read(fn, arg, o, progress, &l.blobs, err);
	if (rc == 0 && archive_blob_find(l.blobs, "manifest.json"))
		rc = load_docker(&l, err);
	else if (rc == 0 && archive_blob_find(l.blobs, "index.json"))
		rc = load_oci(&l, err);
	else if (rc == 0)
		rc = image_load_v1(&l, l.blobs, err);
	if (rc == 0 && o->platform && !l.n_loaded)
		rc = no_match(&l, err);
	archive_blobs_free(l.blobs);
	image_hold_end();
	return rc;
}
