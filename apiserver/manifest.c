/* SPDX-License-Identifier: MPL-2.0
 *
 * manifest.c - image manifests and indexes.
 *
 *	manifest	{"config": descriptor, "layers": [descriptor, ...]}
 *	index		{"manifests": [descriptor + "platform", ...]}
 *	descriptor	{"mediaType", "digest", "size"}
 *
 * Design: every text is hostile: digests and sizes are checked here, so that whoever has a struct
 * manifest may use them in URLs and as limits.
 */
#include "apiserver/manifest.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "apiserver/schema1.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define ENTRIES_MAX 10000
#define SIZE_MAX_	(1LL << 42)

static int read_descriptor(const json_t *o, struct descriptor *d, struct err *err)
{
	const char *digest = jget_str(o, "digest", "");
	int64_t size = jget_int(o, "size", -1);

	if (!image_id_valid(digest))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: bad digest \"%.100s\"", digest);
	if (size <= 0 || size > SIZE_MAX_)
		return err_kind(err, ERR_SYSTEM, "invalid manifest: bad size of %s", digest);
	*d = (struct descriptor){ .size = size };
	str_copy(d->digest, sizeof(d->digest), digest);
	str_copy(d->media_type, sizeof(d->media_type), jget_str(o, "mediaType", ""));
	return 0;
}

static int read_list(const json_t *list, size_t max, struct manifest *out, struct err *err)
{
	size_t n = json_array_size(list);
	int rc;

	if (n > max)
		return err_kind(err, ERR_SYSTEM, "invalid manifest: %zu entries", n);
	out->v = xcalloc(n + 1, sizeof(*out->v));
	for (; out->n < n; out->n++) {
		const json_t *o = json_array_get(list, out->n), *p = jget_obj(o, "platform");
		struct descriptor *d = &out->v[out->n];

		if ((rc = read_descriptor(o, d, err)) < 0)
			return rc;
		str_copy(d->os, sizeof(d->os), jget_str(p, "os", ""));
		str_copy(d->architecture, sizeof(d->architecture), jget_str(p, "architecture", ""));
		str_copy(d->variant, sizeof(d->variant), jget_str(p, "variant", ""));
	}
	return 0;
}

static bool known_type(const char *type)
{
	return str_eq(type, MANIFEST_DOCKER) || str_eq(type, MANIFEST_OCI) ||
	       str_eq(type, MANIFEST_DOCKER_LIST) || str_eq(type, MANIFEST_OCI_INDEX);
}

/* Types of what may be an image's part: of images, and what old registries made of those types. */
static bool is_image_type(const char *type)
{
	static const char *const families[] = { "application/vnd.oci.image", "application/vnd.docker" };
	static const char *const exact[] = { "application/octet-stream", "application/json", "text/html", "" };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		size_t n = strlen(families[i]);

		if (strncasecmp(type, families[i], n) == 0 && (!type[n] || type[n] == '.'))
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (strcasecmp(type, exact[i]) == 0)
			return true;
	return false;
}

/* AI models are OCI artifacts that Docker has a command of its own for. */
static int check_type(const char *type, struct err *err)
{
	if (strncasecmp(type, "application/vnd.docker.ai.", 26) == 0)
		return err_kind(err, ERR_BAD_PARAM,
				"AI models are not yet supported by the Engine, please use \"docker model pull/run\" instead");
	return is_image_type(type) ? 0 : err_kind(err, ERR_BAD_PARAM, "unsupported media type %s", type);
}

/* Docker's schema 2 names plugins by the type of their configuration. */
static int check_config(const struct manifest *m, struct err *err)
{
	static const char *const images[] = { MANIFEST_DOCKER_CONFIG, "application/vnd.oci.image.config.v1+json",
					      "application/octet-stream", "application/json", "text/html", "" };
	const char *type = m->config.media_type;

	if (strncasecmp(type, "application/vnd.docker.ai.", 26) == 0 || !str_eq(m->media_type, MANIFEST_DOCKER))
		return check_type(type, err);
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		if (str_eq(type, images[i]))
			return 0;
	return err_kind(err, ERR_BAD_PARAM, "Encountered remote \"%s\"(%s) when fetching", type,
			str_eq(type, "application/vnd.docker.plugin.v1+json") ? "plugin" : "unknown");
}

int manifest_check_image(const struct manifest *m, struct err *err)
{
	int rc;

	if (m->is_index || m->is_schema1)
		return 0;
	rc = check_config(m, err);
	for (size_t i = 0; rc == 0 && i < m->n; i++)
		rc = check_type(m->v[i].media_type, err);
	return rc;
}

static int read_schema1(const json_t *o, struct manifest *out, struct err *err)
{
	if (known_type(out->media_type) || !jget_arr(o, "fsLayers") || jget_arr(o, "manifests") ||
	    jget_arr(o, "layers") || jget_obj(o, "config"))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: it is not one of schema 1 only");
	str_copy(out->media_type, sizeof(out->media_type),
		 jget_arr(o, "signatures") ? MANIFEST_SCHEMA1_SIGNED : MANIFEST_SCHEMA1);
	out->is_schema1 = true;
	return 0;
}

static int read_manifest(const json_t *o, struct manifest *out, struct err *err)
{
	int rc;

	if (jget_int(o, "schemaVersion", 2) == 1)
		return read_schema1(o, out, err);
	if (!known_type(out->media_type) && out->media_type[0] && !jget_arr(o, "manifests") &&
	    !jget_arr(o, "layers"))
		return err_kind(err, ERR_SYSTEM, "unsupported manifest media type \"%s\"", out->media_type);
	/* by its members, whatever its type says: both at once are an attack */
	if (jget_arr(o, "manifests") && (jget_arr(o, "layers") || jget_obj(o, "config")))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: it is an index too");
	out->is_index = jget_arr(o, "manifests") != NULL;
	if (known_type(out->media_type) &&
	    out->is_index != (str_eq(out->media_type, MANIFEST_DOCKER_LIST) ||
			      str_eq(out->media_type, MANIFEST_OCI_INDEX)))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: it is no %s", out->media_type);
	if (out->is_index)
		return read_list(jget_arr(o, "manifests"), ENTRIES_MAX, out, err);
	if (!jget_obj(o, "config"))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: it has no config");
	if ((rc = read_descriptor(jget_obj(o, "config"), &out->config, err)) < 0 ||
	    (rc = read_list(jget_arr(o, "layers"), IMAGE_LAYERS_MAX, out, err)) < 0)
		return rc;
	return 0;
}

int manifest_parse(const char *text, size_t len, const char *content_type, struct manifest *out,
		   struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct manifest m = { 0 };
	const char *type;
	int rc;

	if (len > MANIFEST_MAX)
		return err_kind(err, ERR_SYSTEM, "the manifest is too large");
	if ((rc = jparse(text, len, &o, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "invalid manifest");
	}
	if (!json_is_object(o))
		return err_kind(err, ERR_SYSTEM, "invalid manifest: not an object");
	type = jget_str(o, "mediaType", "");
	if (!*type && content_type) {
		cleanup_free char *bare = xstrndup(content_type, strcspn(content_type, "; \t"));

		str_copy(m.media_type, sizeof(m.media_type), known_type(bare) ? bare : "");
	} else {
		str_copy(m.media_type, sizeof(m.media_type), type);
	}
	rc = read_manifest(o, &m, err);
	if (rc == 0 && !m.media_type[0])
		str_copy(m.media_type, sizeof(m.media_type), m.is_index ? MANIFEST_OCI_INDEX : MANIFEST_OCI);
	if (rc < 0)
		manifest_fini(&m);
	else
		*out = m;
	return rc;
}

void manifest_fini(struct manifest *m)
{
	free(m->v);
	*m = (struct manifest){ 0 };
}

/* ---------------------------------------------------------------- platforms */

/* An entry that names no platform is the last resort. */
static unsigned fit(const struct platform *want, const struct descriptor *d)
{
	struct platform have;

	if (!d->os[0] && !d->architecture[0] && !d->variant[0])
		return 1;
	platform_set(&have, d->os, d->architecture, d->variant);
	return platform_fit(want, &have) * 2;
}

const struct descriptor *manifest_pick(const struct manifest *index, const struct platform *want)
{
	const struct descriptor *best = NULL;
	struct platform host;
	unsigned best_fit = 0;

	if (!want) {
		platform_host(&host);
		want = &host;
	}
	for (size_t i = 0; i < index->n; i++) {
		unsigned f = fit(want, &index->v[i]);

		if (f <= best_fit)
			continue;
		best_fit = f;
		best = &index->v[i];
	}
	return best;
}

/* ---------------------------------------------------------------- writing */

static void write_descriptor(struct buf *out, const struct descriptor *d, const char *indent)
{
	buf_printf(out,
		   "{\n%s   \"mediaType\": \"%s\",\n%s   \"size\": %lld,\n%s   \"digest\": \"%s\"\n%s}",
		   indent, d->media_type, indent, (long long)d->size, indent, d->digest, indent);
}

void manifest_write(const struct descriptor *config, const struct descriptor *layers, size_t n,
		    struct buf *out)
{
	buf_printf(out, "{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"%s\",\n   \"config\": ",
		   MANIFEST_DOCKER);
	write_descriptor(out, config, "   ");
	buf_addstr(out, ",\n   \"layers\": [");
	for (size_t i = 0; i < n; i++) {
		buf_addstr(out, i ? ",\n      " : "\n      ");
		write_descriptor(out, &layers[i], "      ");
	}
	buf_addstr(out, n ? "\n   ]\n}" : "]\n}");
}
