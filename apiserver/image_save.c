/* SPDX-License-Identifier: MPL-2.0
 *
 * image_save.c - docker save: images as an archive, byte-exact layers included.
 *
 *	blobs/sha256/<digest>	configs, layers (uncompressed tar), one OCI manifest an image
 *	index.json oci-layout	the OCI layout
 *	manifest.json repositories	Docker's
 *
 * Design: every name and length is known from the store before the first byte (a layer's digest is
 * its diff id, its length is kept with it), so the archive is streamed without a temporary file. A
 * layer is replayed from its recipe and hashed on the way; one that does not come out right ends
 * the stream with an error, so a damaged layer cannot be saved unnoticed.
 */
#define LOG_MODULE "save"
#include "apiserver/image_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "cleanup.h"
#include "jw.h"
#include "map.h"
#include "str.h"

struct saved_image {
	struct image *img;
	char **refs; /* canonical, with tag; may be empty */
	char manifest_digest[72];
	struct buf manifest;
};

struct image_save {
	struct saved_image *v;
	size_t n;
	struct map blobs; /* names already in the archive */
	struct tar_writer *w;
};

/* ---------------------------------------------------------------- what to save */

static struct saved_image *saved_add(struct image_save *s, struct image *img)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i].img->id, img->id))
			return &s->v[i];
	s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n] = (struct saved_image){ .img = image_ref(img), .refs = strv_split("", ' ') };
	return &s->v[s->n++];
}

static void saved_ref(struct saved_image *si, const struct image_ref *ref)
{
	cleanup_free char *text = image_ref_canonical(ref);

	if (ref->tag[0] && !strv_has(si->refs, text))
		strv_add(&si->refs, text);
}

/* A name without a tag is all its tags. True when there was any. */
static bool add_repository(struct image_save *s, const struct image_ref *ref)
{
	cleanup_free char *name = image_ref_name(ref);
	cleanup_free struct image_entry **v = NULL;
	bool any = false;
	size_t n;

	image_lock();
	v = image_entries(&n);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < v[i]->n_names; k++) {
			const struct image_ref *r = &v[i]->names[k]->ref;
			cleanup_free char *other = image_ref_name(r);

			if (!str_eq(other, name))
				continue;
			saved_ref(saved_add(s, v[i]->img), r);
			any = true;
		}
	}
	image_unlock();
	return any;
}

/* Docker's words here, where no tag is made up. */
static int err_no_image(const char *text, const struct image_ref *ref, struct err *err)
{
	cleanup_free char *name = image_ref_is_id(ref) ? xstrdup(text) : image_ref_familiar_name(ref);

	if (ref->tag[0] || (ref->digest[0] && !image_ref_is_id(ref)))
		return err_kind(err, ERR_NOT_FOUND, "reference does not exist");
	return err_kind(err, ERR_NOT_FOUND, "No such image: %s", name);
}

static int add_name(struct image_save *s, const char *text, struct err *err)
{
	cleanup_free char *name = NULL;
	struct image *img = NULL;
	struct image_ref ref;
	int rc;

	if ((rc = image_ref_parse_any(text, &ref, err)) < 0)
		return rc;
	if (!image_ref_is_id(&ref) && !ref.tag[0] && !ref.digest[0] && add_repository(s, &ref))
		return 0;
	if ((rc = image_resolve(text, &img, &name, err)) < 0)
		return err->kind == ERR_NOT_FOUND ? err_no_image(text, &ref, err) : rc;
	saved_ref(saved_add(s, img), name ? &ref : &(struct image_ref){ 0 });
	image_unref(img);
	return 0;
}

static int check_platform(const struct image_save *s, const struct platform *only, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		cleanup_free char *text = platform_text(only);

		if (!platform_fits_image(only, s->v[i].img))
			return err_kind(err, ERR_NOT_FOUND, "no suitable export target found for platform %s", text);
	}
	return 0;
}

static void manifest_of(struct saved_image *si)
{
	struct jw w = JW(&si->manifest);
	char chain[72] = "", parent[72], digest[72];

	jw_obj(&w, NULL);
	jw_int(&w, "schemaVersion", 2);
	jw_str(&w, "mediaType", "application/vnd.oci.image.manifest.v1+json");
	jw_obj(&w, "config");
	jw_str(&w, "mediaType", "application/vnd.oci.image.config.v1+json");
	jw_str(&w, "digest", si->img->id);
	jw_int(&w, "size", (int64_t)strlen(si->img->config_text));
	jw_end(&w);
	jw_arr(&w, "layers");
	for (char **d = si->img->diff_ids; *d; d++) {
		str_copy(parent, sizeof(parent), chain);
		layer_chain_id(parent, *d, chain);
		jw_obj(&w, NULL);
		jw_str(&w, "mediaType", "application/vnd.oci.image.layer.v1.tar");
		jw_str(&w, "digest", *d);
		jw_int(&w, "size", layer_tar_bytes(chain));
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	image_digest_of(si->manifest.p, si->manifest.len, digest);
	str_copy(si->manifest_digest, sizeof(si->manifest_digest), digest);
}

int image_save_new(char *const *names, const struct platform *only, struct image_save **out, struct image_events *ev,
		   struct err *err)
{
	struct image_save *s = xcalloc(1, sizeof(*s));
	int rc = 0;

	map_init(&s->blobs);
	image_hold_begin();
	for (; rc == 0 && *names; names++)
		rc = add_name(s, *names, err);
	if (rc == 0 && only)
		rc = check_platform(s, only, err);
	if (rc < 0) {
		image_save_free(s);
		return rc;
	}
	for (size_t i = 0; i < s->n; i++) {
		manifest_of(&s->v[i]);
		image_events_add(ev, "save", s->v[i].img->id, NULL);
	}
	*out = s;
	return 0;
}

void image_save_free(struct image_save *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		image_unref(s->v[i].img);
		strv_free(s->v[i].refs);
		buf_fini(&s->v[i].manifest);
	}
	free(s->v);
	map_fini(&s->blobs, NULL);
	tar_writer_free(s->w);
	free(s);
	image_hold_end();
}

/* ---------------------------------------------------------------- writing */

static int64_t mtime_of(const struct saved_image *si)
{
	return si->img->created_ns > 0 ? si->img->created_ns / 1000000000 : 0;
}

/* The name of a blob; false when the archive has it already. */
static bool blob_name(struct image_save *s, const char *digest, char out[96])
{
	snprintf(out, 96, "blobs/sha256/%s", digest + 7);
	return !map_set(&s->blobs, out, s);
}

static int write_bytes(struct image_save *s, const char *digest, const char *p, size_t len,
		       int64_t mtime, struct err *err)
{
	char name[96];

	if (!blob_name(s, digest, name))
		return 0;
	return tar_writer_add_bytes(s->w, name, p, len, 0644, mtime, err);
}

struct layer_out {
	struct tar_writer *w;
	struct err *err;
	int64_t n, size;
};

static int layer_some(void *arg, const void *p, size_t len)
{
	struct layer_out *lo = arg;

	lo->n += (int64_t)len;
	if (lo->n > lo->size)
		return -EBADMSG;
	return tar_writer_data(lo->w, p, len, lo->err);
}

static int write_layer(struct image_save *s, const char *chain, const char *diff_id, int64_t mtime,
		       struct err *err)
{
	struct layer_out lo = { .w = s->w, .err = err, .size = layer_tar_bytes(chain) };
	char name[96];
	int rc;

	if (!blob_name(s, diff_id, name))
		return 0;
	if ((rc = tar_writer_add_header(s->w, name, '0', lo.size, 0644, mtime, NULL, err)) < 0 ||
	    (rc = layer_export(chain, layer_some, &lo, err)) < 0)
		return rc;
	return tar_writer_pad(s->w, err);
}

static int write_image(struct image_save *s, struct saved_image *si, struct err *err)
{
	char chain[72] = "", parent[72];
	int64_t mtime = mtime_of(si);
	int rc;

	rc = write_bytes(s, si->img->id, si->img->config_text, strlen(si->img->config_text), mtime, err);
	for (char **d = si->img->diff_ids; rc == 0 && *d; d++) {
		str_copy(parent, sizeof(parent), chain);
		layer_chain_id(parent, *d, chain);
		rc = write_layer(s, chain, *d, mtime, err);
	}
	if (rc == 0)
		rc = write_bytes(s, si->manifest_digest, si->manifest.p, si->manifest.len, mtime, err);
	return rc;
}

static void index_entry(struct jw *w, const struct saved_image *si, const char *canonical)
{
	jw_obj(w, NULL);
	jw_str(w, "mediaType", "application/vnd.oci.image.manifest.v1+json");
	jw_str(w, "digest", si->manifest_digest);
	jw_int(w, "size", (int64_t)si->manifest.len);
	if (canonical) {
		jw_obj(w, "annotations");
		jw_str(w, "io.containerd.image.name", canonical);
		jw_str(w, "org.opencontainers.image.ref.name", strrchr(canonical, ':') + 1);
		jw_end(w);
	}
	jw_end(w);
}

static void index_json(const struct image_save *s, struct buf *out)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_int(&w, "schemaVersion", 2);
	jw_str(&w, "mediaType", "application/vnd.oci.image.index.v1+json");
	jw_arr(&w, "manifests");
	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].refs[0])
			index_entry(&w, &s->v[i], NULL);
		for (char **r = s->v[i].refs; *r; r++)
			index_entry(&w, &s->v[i], *r);
	}
	jw_end(&w);
	jw_end(&w);
}

static char *familiar_of(const char *canonical)
{
	struct image_ref ref;
	struct err ignored = { 0 };

	if (image_ref_parse(canonical, &ref, &ignored) < 0)
		return xstrdup(canonical);
	return image_ref_familiar(&ref);
}

static void sources_json(struct jw *w, const struct saved_image *si)
{
	char chain[72] = "", parent[72];

	jw_obj(w, "LayerSources");
	for (char **d = si->img->diff_ids; *d; d++) {
		str_copy(parent, sizeof(parent), chain);
		layer_chain_id(parent, *d, chain);
		jw_obj(w, *d);
		jw_str(w, "mediaType", "application/vnd.oci.image.layer.v1.tar");
		jw_int(w, "size", layer_tar_bytes(chain));
		jw_str(w, "digest", *d);
		jw_end(w);
	}
	jw_end(w);
}

static void manifest_json(const struct image_save *s, struct buf *out)
{
	struct jw w = JW(out);
	char name[96];

	jw_arr(&w, NULL);
	for (size_t i = 0; i < s->n; i++) {
		const struct saved_image *si = &s->v[i];

		jw_obj(&w, NULL);
		snprintf(name, sizeof(name), "blobs/sha256/%s", si->img->id + 7);
		jw_str(&w, "Config", name);
		if (si->refs[0])
			jw_arr(&w, "RepoTags");
		else
			jw_null(&w, "RepoTags");
		for (char **r = si->refs; *r; r++) {
			cleanup_free char *familiar = familiar_of(*r);

			jw_str(&w, NULL, familiar);
		}
		if (si->refs[0])
			jw_end(&w);
		jw_arr(&w, "Layers");
		for (char **d = si->img->diff_ids; *d; d++) {
			snprintf(name, sizeof(name), "blobs/sha256/%s", *d + 7);
			jw_str(&w, NULL, name);
		}
		jw_end(&w);
		sources_json(&w, si);
		jw_end(&w);
	}
	jw_end(&w);
}

/* {"busybox": {"latest": "<top layer>"}}; false when no image has a name. */
static bool repositories_json(const struct image_save *s, struct buf *out)
{
	json_t *o = json_object();
	char *text;
	bool any;

	for (size_t i = 0; i < s->n; i++) {
		const struct saved_image *si = &s->v[i];
		size_t n = strv_len(si->img->diff_ids);

		for (char **r = si->refs; *r; r++) {
			cleanup_free char *familiar = familiar_of(*r);
			char *colon = strrchr(familiar, ':');
			json_t *repo;

			*colon = '\0';
			repo = json_object_get(o, familiar);
			if (!repo) {
				repo = json_object();
				json_object_set_new(o, familiar, repo);
			}
			json_object_set_new(repo, colon + 1,
					    json_string(n ? si->img->diff_ids[n - 1] + 7 : si->img->id + 7));
		}
	}
	any = json_object_size(o) > 0;
	text = json_dumps(o, JSON_COMPACT);
	buf_addstr(out, text ? text : "{}");
	free(text);
	json_decref(o);
	return any;
}

static int write_file(struct image_save *s, const char *name, struct buf *b, struct err *err)
{
	int rc;

	buf_addch(b, '\n');
	rc = tar_writer_add_bytes(s->w, name, b->p, b->len, 0644, 0, err);
	buf_reset(b);
	return rc;
}

static int write_metadata(struct image_save *s, struct err *err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	cleanup_buf struct buf b = BUF_INIT;
	int rc;

	index_json(s, &b);
	if ((rc = write_file(s, "index.json", &b, err)) < 0)
		return rc;
	manifest_json(s, &b);
	if ((rc = write_file(s, "manifest.json", &b, err)) < 0 ||
	    (rc = tar_writer_add_bytes(s->w, "oci-layout", layout, sizeof(layout) - 1, 0644, 0, err)) < 0)
		return rc;
	if (repositories_json(s, &b) && (rc = write_file(s, "repositories", &b, err)) < 0)
		return rc;
	return tar_writer_end(s->w, err);
}

int image_save_write(struct image_save *s, tar_write_fn *fn, void *arg, struct err *err)
{
	int rc;

	s->w = tar_writer_new(fn, arg, NULL);
	if ((rc = tar_writer_add_header(s->w, "blobs/", '5', 0, 0755, 0, NULL, err)) < 0 ||
	    (rc = tar_writer_add_header(s->w, "blobs/sha256/", '5', 0, 0755, 0, NULL, err)) < 0)
		return rc;
	for (size_t i = 0; i < s->n; i++)
		if ((rc = write_image(s, &s->v[i], err)) < 0)
			return rc;
	return write_metadata(s, err);
}
