/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_v1.c - images from a registry of protocol v1: the tag's chain of layers, each with a JSON of
 * its own, becomes an image as one of archives does (image_v1.h).
 *
 * Nothing in this protocol tells what the bytes are to be: TLS is all the protection there is. The
 * client is told. Names by digest are not given.
 */
#include "apiserver/pull_v1.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_store.h"
#include "apiserver/image_v1.h"
#include "apiserver/pull_layers.h"
#include "apiserver/registry_v1.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

struct v1 {
	struct registry_v1 *reg;
	struct transfer *t;
	const struct image_ref *ref;
	const char *name; /* as users write it */
};

static int open_layer(void *arg, const struct pull_layer *l, int64_t offset, struct url_source **out,
		      int64_t *from, bool *gone, struct err *err)
{
	struct v1 *p = arg;

	return registry_v1_layer(p->reg, strrchr(l->key, '/') + 1, offset, out, from, gone, err);
}

/* The JSON of each layer, bottom first; top is the last one's. */
static int read_chain(struct v1 *p, char *const *ids, json_t *history, json_t **top, struct err *err)
{
	int rc;

	for (size_t i = strv_len((char **)ids); i-- > 0;) {
		cleanup_json json_t *o = NULL;
		char id[13];

		str_copy(id, sizeof(id), ids[i]);
		if (transfer_stopped(p->t))
			return err_sysnum(err, ECANCELED, "pull %s", p->name);
		transfer_line(p->t, id, "Pulling metadata");
		if ((rc = registry_v1_json(p->reg, ids[i], &o, err)) < 0)
			return rc;
		json_array_append_new(history, image_v1_history(o, false));
		json_decref(*top);
		*top = take_ptr(&o);
	}
	return 0;
}

static int fetch_layers(struct v1 *p, char **ids, json_t *diffs, struct err *err)
{
	size_t n = strv_len(ids);
	cleanup_free struct pull_layer *v = xcalloc(n + 1, sizeof(*v));
	cleanup_free char(*diff_ids)[72] = xcalloc(n + 1, sizeof(*diff_ids));
	cleanup_strv char **keys = strv_split("", ',');
	struct pull_layers l = { .open = open_layer, .arg = p, .v = v, .n = n, .t = p->t };
	int rc;

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *key = xasprintf("v1/%s/%s", registry_v1_host(p->reg), ids[n - 1 - i]);

		strv_add(&keys, key);
		str_copy(v[i].id, sizeof(v[i].id), ids[n - 1 - i]);
		v[i].size = -1;
	}
	for (size_t i = 0; i < n; i++)
		v[i].key = keys[i];
	rc = pull_layers(&l, diff_ids, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		json_array_append_new(diffs, json_string(diff_ids[i]));
	return rc;
}

static int get_image(struct v1 *p, const char *v1_id, char id[72], struct err *err)
{
	cleanup_json json_t *history = json_array(), *diffs = json_array(), *top = NULL;
	cleanup_strv char **ids = NULL;
	cleanup_free char *text = NULL;
	char brief[13];
	int rc;

	str_copy(brief, sizeof(brief), v1_id);
	transfer_line(p->t, brief, "Pulling dependent layers");
	if ((rc = registry_v1_ancestry(p->reg, v1_id, &ids, err)) < 0 ||
	    (rc = read_chain(p, ids, history, &top, err)) < 0 ||
	    (rc = fetch_layers(p, ids, diffs, err)) < 0)
		return rc;
	text = image_v1_config(top, diffs, history);
	if (!text)
		return err_kind(err, ERR_SYSTEM, "the json of %s is not an object of valid UTF-8", v1_id);
	return image_add(text, strlen(text), "", id, err);
}

static int pull_tag(struct v1 *p, const char *tag, const char *v1_id, bool *changed, struct err *err)
{
	struct image_ref ref = *p->ref;
	char id[72], old[72], brief[13];
	int rc;

	str_copy(ref.tag, sizeof(ref.tag), tag);
	str_copy(brief, sizeof(brief), v1_id);
	transfer_line(p->t, brief, "Pulling image (%s) from %s", tag, p->name);
	image_hold_begin();
	rc = get_image(p, v1_id, id, err);
	if (rc == 0)
		rc = image_name_add(id, &ref, old, err);
	image_hold_end();
	if (rc < 0)
		return err_wrap(err, rc, "Error pulling image (%s) from %s", tag, p->name);
	*changed = *changed || !str_eq(old, id);
	return 0;
}

static int pull_tags(struct v1 *p, bool *changed, struct err *err)
{
	const char *want = p->ref->tag[0] ? p->ref->tag : NULL, *tag;
	cleanup_json json_t *tags = NULL;
	json_t *id;
	int rc;

	rc = registry_v1_tags(p->reg, want, &tags, err);
	if (rc < 0 && err->kind == ERR_NOT_FOUND)
		return want ? err_kind(err, ERR_NOT_FOUND, "Tag %s not found in repository %s", want, p->name) :
			      err_kind(err, ERR_NOT_FOUND, "Repository not found");
	json_object_foreach(tags, tag, id)
		if (rc == 0 && image_tag_valid(tag))
			rc = pull_tag(p, tag, json_string_value(id), changed, err);
	return rc;
}

int pull_v1(const struct reg_endpoint *ep, const struct registry_opts *o, const struct image_ref *ref,
	    struct transfer *t, bool *changed, struct err *err)
{
	cleanup_free char *name = image_ref_familiar_name(ref);
	struct v1 p = { .t = t, .ref = ref, .name = name };
	int rc;

	if (ref->digest[0])
		return err_kind(err, ERR_SYSTEM, "Cannot pull by digest with v1 registry");
	if ((rc = registry_v1_open(ep, o, ref->path, &p.reg, err)) < 0)
		return rc;
	transfer_line(t, NULL, "Pulling repository %s", name);
	rc = pull_tags(&p, changed, err);
	registry_v1_close(p.reg);
	if (rc == 0)
		transfer_line(t, NULL, "%s: this image was pulled from a registry of protocol v1: nothing tells "
				       "whether it is what was pushed there", name);
	return rc;
}
