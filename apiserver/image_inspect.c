/* SPDX-License-Identifier: MPL-2.0
 *
 * image_inspect.c - one image as the API shows it: inspect and history.
 *
 * Design: the stored configuration is read anew each time; what the API version wants is picked
 * from it. Until 1.49 the Config has all the fields of a container's, afterwards only an image's.
 */
#include "apiserver/image_list.h"

#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/image_time.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

struct field {
	const char *name;
	const char *zero;   /* JSON when missing; NULL: left out */
	bool until_149;	    /* not shown from 1.50 on */
};

static const struct field config_fields[] = {
	{ "Hostname", "\"\"", true },	  { "Domainname", "\"\"", true },  { "User", "\"\"", false },
	{ "AttachStdin", "false", true }, { "AttachStdout", "false", true },
	{ "AttachStderr", "false", true }, { "ExposedPorts", NULL, false }, { "Tty", "false", true },
	{ "OpenStdin", "false", true },	  { "StdinOnce", "false", true },  { "Env", "null", false },
	{ "Cmd", "null", false },	  { "Healthcheck", NULL, false },  { "ArgsEscaped", NULL, false },
	{ "Image", "\"\"", true },	  { "Volumes", "null", false },	   { "WorkingDir", "\"\"", false },
	{ "Entrypoint", "null", false },  { "NetworkDisabled", NULL, true }, { "MacAddress", NULL, true },
	{ "OnBuild", "null", false },	  { "Labels", "null", false },	   { "StopSignal", NULL, false },
	{ "StopTimeout", NULL, true },	  { "Shell", NULL, false },
};

static void config_json(const char *key, const json_t *config, int api_version, struct jw *w)
{
	jw_obj(w, key);
	for (size_t i = 0; i < ARRAY_SIZE(config_fields); i++) {
		const struct field *f = &config_fields[i];
		json_t *v = json_object_get(config, f->name);

		if (f->until_149 && api_version >= 150)
			continue;
		if (v && !json_is_null(v)) {
			cleanup_free char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

			jw_raw(w, f->name, text);
		} else if (f->zero) {
			jw_raw(w, f->name, f->zero);
		}
	}
	jw_end(w);
}

static const char *comment_of(const json_t *o)
{
	json_t *history = jget_arr(o, "history");
	size_t n = json_array_size(history);
	const char *s = jget_str(o, "comment", "");

	if (*s || !n)
		return s;
	return jget_str(json_array_get(history, n - 1), "comment", "");
}

/* overlay2's directories: the top layer's as upper, as if the next one were to be made on it. */
static void graph_driver_json(const struct image *img, struct jw *w)
{
	size_t n = strv_len(img->layer_dirs);
	cleanup_buf struct buf lower = BUF_INIT;
	cleanup_free char *base = NULL, *merged = NULL, *work = NULL;

	jw_obj(w, "GraphDriver");
	if (n) {
		for (size_t i = n - 1; i-- > 0;) {
			if (lower.len)
				buf_addch(&lower, ':');
			buf_addstr(&lower, img->layer_dirs[i]);
		}
		base = xstrndup(img->layer_dirs[n - 1], strlen(img->layer_dirs[n - 1]) - 5);
		merged = xasprintf("%s/merged", base);
		work = xasprintf("%s/work", base);
		jw_obj(w, "Data");
		if (lower.len)
			jw_str(w, "LowerDir", buf_str(&lower));
		jw_str(w, "MergedDir", merged);
		jw_str(w, "UpperDir", img->layer_dirs[n - 1]);
		jw_str(w, "WorkDir", work);
		jw_end(w);
	} else {
		jw_null(w, "Data");
	}
	jw_str(w, "Name", "overlay2");
	jw_end(w);
}

static void names_json(const char *key, char **v, struct jw *w)
{
	jw_arr(w, key);
	for (char **s = v; *s; s++)
		jw_str(w, NULL, *s);
	jw_end(w);
	strv_free(v);
}

static void last_tag_json(const struct image *img, struct jw *w)
{
	char text[RFC3339NANO_MAX];
	struct image_entry *e;
	int64_t ns = 0;

	image_lock();
	e = image_entry_find(img->id);
	if (e)
		ns = e->last_tag_ns;
	image_unlock();
	image_time_text(ns, text);
	jw_obj(w, "Metadata");
	jw_str(w, "LastTagTime", text);
	jw_end(w);
}

void image_json_inspect(const struct image *img, int api_version, bool compose_v1, struct buf *out)
{
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	struct jw w = JW(out);
	char created[RFC3339NANO_MAX];

	jparse(img->config_text, strlen(img->config_text), &o, &ignored);
	image_time_text(img->created_ns, created);
	jw_obj(&w, NULL);
	jw_str(&w, "Id", img->id);
	names_json("RepoTags", image_tags(img->id), &w);
	names_json("RepoDigests", image_digests(img->id), &w);
	jw_str(&w, "Parent", img->parent);
	jw_str(&w, "Comment", comment_of(o));
	if (img->created_ns || api_version < 144)
		jw_str(&w, "Created", created);
	if (api_version < 145) {
		jw_str(&w, "Container", jget_str(o, "container", ""));
		config_json("ContainerConfig", jget_obj(o, "container_config"), api_version, &w);
	} else if (compose_v1) {
		config_json("ContainerConfig", jget_obj(o, "config"), api_version, &w);
	}
	jw_str(&w, "DockerVersion", jget_str(o, "docker_version", ""));
	jw_str(&w, "Author", jget_str(o, "author", ""));
	config_json("Config", jget_obj(o, "config"), api_version, &w);
	jw_str(&w, "Architecture", img->architecture);
	if (img->variant[0])
		jw_str(&w, "Variant", img->variant);
	jw_str(&w, "Os", img->os[0] ? img->os : "linux");
	if (*jget_str(o, "os.version", ""))
		jw_str(&w, "OsVersion", jget_str(o, "os.version", ""));
	jw_int(&w, "Size", img->size);
	if (api_version < 144)
		jw_int(&w, "VirtualSize", img->size);
	graph_driver_json(img, &w);
	jw_obj(&w, "RootFS");
	jw_str(&w, "Type", "layers");
	if (img->diff_ids[0]) {
		jw_arr(&w, "Layers");
		for (char **d = img->diff_ids; *d; d++)
			jw_str(&w, NULL, *d);
		jw_end(&w);
	}
	jw_end(&w);
	last_tag_json(img, &w);
	jw_end(&w);
}

/* ---------------------------------------------------------------- history */

static void step_json(const json_t *h, int64_t size, const char *id, struct jw *w)
{
	const char *created = jget_str(h, "created", "");
	cleanup_strv char **tags = *id ? image_tags(id) : NULL;
	int64_t ns = 0;

	parse_rfc3339_ns(created, strlen(created), &ns);
	jw_obj(w, NULL);
	jw_str(w, "Comment", jget_str(h, "comment", ""));
	jw_int(w, "Created", image_time_unix(ns));
	jw_str(w, "CreatedBy", jget_str(h, "created_by", ""));
	jw_str(w, "Id", *id ? id : "<missing>");
	jw_int(w, "Size", size);
	if (tags && *tags) {
		jw_arr(w, "Tags");
		for (char **t = tags; *t; t++)
			jw_str(w, NULL, *t);
		jw_end(w);
	} else {
		jw_null(w, "Tags");
	}
	jw_end(w);
}

/* Sizes of the steps, in the order of the history: each that is not empty takes the next layer. */
static int step_sizes(const struct image *img, json_t *history, int64_t *sizes, struct err *err)
{
	char chain[72] = "", parent[72];
	char **diff = img->diff_ids;
	struct layer_info info;
	json_t *h;
	size_t i;

	json_array_foreach(history, i, h) {
		sizes[i] = 0;
		if (jget_bool(h, "empty_layer", false))
			continue;
		if (!*diff)
			return err_kind(err, ERR_SYSTEM, "too many non-empty layers in History section");
		str_copy(parent, sizeof(parent), chain);
		layer_chain_id(parent, *diff++, chain);
		if (layer_find(chain, &info))
			sizes[i] = info.size;
	}
	return 0;
}

int image_json_history(const struct image *img, struct buf *out, struct err *err)
{
	cleanup_json json_t *o = NULL;
	cleanup_free int64_t *sizes = NULL;
	char id[72];
	json_t *history;
	struct jw w = JW(out);
	size_t n;
	int rc;

	if ((rc = jparse(img->config_text, strlen(img->config_text), &o, err)) < 0)
		return rc;
	history = jget_arr(o, "history");
	n = json_array_size(history);
	sizes = xcalloc(n + 1, sizeof(*sizes));
	if ((rc = step_sizes(img, history, sizes, err)) < 0)
		return rc;
	str_copy(id, sizeof(id), img->id);
	jw_arr(&w, NULL);
	while (n-- > 0) {
		struct image_entry *e;

		step_json(json_array_get(history, n), sizes[n], id, &w);
		/* the next older step is the parent's, as long as we have one */
		image_lock();
		e = *id ? image_entry_find(id) : NULL;
		str_copy(id, sizeof(id), e && !e->hidden && image_entry_find(e->img->parent) ?
						 e->img->parent : "");
		image_unlock();
	}
	jw_end(&w);
	return 0;
}
