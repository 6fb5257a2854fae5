/* SPDX-License-Identifier: MPL-2.0
 *
 * image_import.c - docker import: one layer from a tar, and a configuration around it.
 *
 * Failure: the layer is held until the image refers to it; when a later step fails it goes again.
 */
#include "apiserver/image_import.h"

#include <string.h>

#include "apiserver/dockerfile_change.h"
#include "apiserver/image_ref.h"
#include "apiserver/platform.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"
#include "version.h"

int image_repo_tag(const char *repo, const char *tag, char **out, struct err *err)
{
	struct image_ref r;
	int rc;

	if (str_empty(repo))
		return 0;
	if ((rc = image_ref_parse(repo, &r, err)) < 0)
		return rc;
	if (r.digest[0])
		return err_kind(err, ERR_BAD_PARAM, "cannot import digest reference");
	if (!str_empty(tag)) {
		if (!image_tag_valid(tag))
			return err_kind(err, ERR_BAD_PARAM, "invalid tag format");
		str_copy(r.tag, sizeof(r.tag), tag);
	}
	image_ref_default_tag(&r);
	*out = image_ref_canonical(&r);
	return 0;
}

static int platform_into(json_t *o, const char *text, struct err *err)
{
	struct platform p;
	int rc;

	if (!text)
		platform_set(&p, "", platform_host_arch(), "");
	else if ((rc = platform_parse(text, &p, err)) < 0)
		return rc;
	if (!str_eq(p.os, "linux"))
		return err_kind(err, ERR_BAD_PARAM, "operating system is not supported");
	json_object_set_new(o, "architecture", json_string(p.architecture));
	if (p.variant[0])
		json_object_set_new(o, "variant", json_string(p.variant));
	json_object_set_new(o, "os", json_string("linux"));
	return 0;
}

static int config_of(const struct image_import *im, json_t **out, struct err *err)
{
	cleanup_json json_t *config = dockerfile_empty_config();
	int rc;

	if ((rc = dockerfile_changes_apply(config, im->changes, err)) < 0)
		return rc;
	*out = take_ptr(&config);
	return 0;
}

int image_import_check(const struct image_import *im, struct err *err)
{
	cleanup_json json_t *config = NULL, *o = json_object();
	cleanup_free char *ref = NULL;
	int rc;

	if ((rc = image_repo_tag(im->repo, im->tag, &ref, err)) < 0 ||
	    (rc = platform_into(o, im->platform, err)) < 0)
		return rc;
	return config_of(im, &config, err);
}

static int build_config(const struct image_import *im, const char *diff_id, char **out, struct err *err)
{
	cleanup_json json_t *o = json_object();
	cleanup_free char *comment = NULL;
	char created[RFC3339NANO_MAX];
	json_t *config;
	int rc;

	comment = str_empty(im->message) ? xasprintf("Imported from %s", im->source) :
					   xstrdup(im->message);
	fmt_rfc3339nano(created, now_ns());
	if ((rc = platform_into(o, im->platform, err)) < 0 || (rc = config_of(im, &config, err)) < 0)
		return rc;
	json_object_set_new(o, "comment", json_string(comment));
	json_object_set_new(o, "created", json_string(created));
	json_object_set_new(o, "docker_version", json_string(SDC_VERSION));
	json_object_set_new(o, "config", config);
	json_object_set_new(o, "rootfs",
			    json_pack("{s:s,s:[s]}", "type", "layers", "diff_ids", diff_id));
	json_object_set_new(o, "history",
			    json_pack("[{s:s,s:s*}]", "created", created, "comment", comment));
	*out = json_dumps(o, JSON_COMPACT);
	return *out ? 0 : err_kind(err, ERR_BAD_PARAM, "the configuration is not valid UTF-8");
}

int image_import_run(const struct image_import *im, layer_read_fn *fn, void *arg, char out_id[72],
		     struct image_events *ev, struct err *err)
{
	cleanup_free char *ref = NULL, *text = NULL;
	struct layer_info layer;
	struct image_ref r;
	int rc;

	if ((rc = image_repo_tag(im->repo, im->tag, &ref, err)) < 0)
		return rc;
	image_hold_begin();
	rc = layer_add(fn, arg, "", NULL, &layer, err);
	if (rc == 0)
		rc = build_config(im, layer.diff_id, &text, err);
	if (rc == 0)
		rc = image_add(text, strlen(text), "", out_id, err);
	image_hold_end();
	if (rc < 0)
		return rc;
	if (ref) {
		cleanup_free char *familiar = NULL;

		if ((rc = image_tag(out_id, ref, err)) < 0 || (rc = image_ref_parse(ref, &r, err)) < 0)
			return rc;
		familiar = image_ref_familiar(&r);
		image_events_add(ev, "tag", out_id, familiar);
	}
	image_events_add(ev, "import", out_id, NULL);
	return 0;
}
