/* SPDX-License-Identifier: MPL-2.0
 *
 * build_stage.c - the stages of a Dockerfile: what FROM begins with, names, ONBUILD triggers.
 *
 * Design: a finished stage is an image's ID, "" when nothing was put on scratch. A stage's name
 * hides an image of that name; numbers are for COPY --from only.
 */
#include "apiserver/build_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/dockerfile_words.h"
#include "apiserver/platform.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct build_stage *stage_by_name(const struct build *b, const char *name)
{
	for (size_t k = 0; k < b->n_stages; k++)
		if (b->stages[k].name && !strcasecmp(b->stages[k].name, name))
			return &b->stages[k];
	return NULL;
}

/* A finished stage by its name or number; *out NULL: it is neither. */
static int find_stage(const struct build *b, const char *name, const struct build_stage **out,
		      struct err *err)
{
	int64_t i;

	*out = stage_by_name(b, name);
	if (*out || parse_i64(name, INT64_MIN, INT64_MAX, &i) < 0)
		return 0;
	if (i == (int64_t)b->n_stages)
		return err_kind(err, ERR_BAD_PARAM, "refers to current build stage");
	if (i < 0 || i > (int64_t)b->n_stages)
		return err_kind(err, ERR_BAD_PARAM, "index out of bounds");
	*out = &b->stages[i];
	return 0;
}

/* ---- images ---- */

static bool fits_platform(const struct image *img, const char *platform)
{
	struct err ignored = { 0 };
	struct platform p;

	return str_empty(platform) || (platform_parse(platform, &p, &ignored) == 0 && platform_fits_image(&p, img));
}

/* The local one, when it is of the platform; else it is pulled. */
static int get_image(struct build *b, const char *name, const char *platform, struct image **out,
		     struct err *err)
{
	int rc = -ENOENT;

	if (!b->o.pull && (rc = image_get(name, out, err)) < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && fits_platform(*out, platform))
		return 0;
	if (rc == 0)
		image_unref(take_ptr(out));
	rc = build_pull(b, name, platform, err);
	return rc < 0 ? rc : image_get(name, out, err);
}

int build_source_image(struct build *b, const char *name, struct image **out, struct err *err)
{
	const struct build_stage *st;
	int rc = find_stage(b, name, &st, err);

	*out = NULL;
	if (rc == 0 && st && !st->image_id[0])
		return 0;
	if (rc == 0)
		rc = st ? image_get(st->image_id, out, err)
			: get_image(b, name, b->o.platform, out, err);
	return rc < 0 ? err_wrap(err, rc, "invalid from flag value %s", name) : 0;
}

void build_hold(struct build *b, struct image *img)
{
	if (b->n_held % 16 == 0)
		b->held = xrealloc(b->held, (b->n_held + 16) * sizeof(*b->held));
	b->held[b->n_held++] = img;
}

/* ---- platforms ---- */

int build_platform_check(const char *platform, struct err *err)
{
	struct platform p;
	int rc;

	if (str_empty(platform))
		return 0;
	if ((rc = platform_parse(platform, &p, err)) < 0)
		return rc;
	return str_eq(p.os, "linux") ? 0 : err_kind(err, ERR_BAD_PARAM, "operating system is not supported");
}

/* ---- beginning ---- */

static int begin_config(struct build *b, const struct image *img, struct err *err)
{
	cleanup_json json_t *config = NULL;
	cleanup_strv char **env = NULL;
	json_t *found;
	bool has_path = false;
	int rc;

	if (img && (rc = jparse(img->config_text, strlen(img->config_text), &config, err)) < 0)
		return rc;
	found = jget_obj(config, "config");
	b->s.config = found ? json_deep_copy(found) : dockerfile_empty_config();
	env = jget_strv(b->s.config, "Env");
	for (char **e = env; *e; e++)
		has_path |= str_starts(*e, "PATH=");
	if (!has_path) {
		if (!jget_arr(b->s.config, "Env"))
			json_object_set_new(b->s.config, "Env", json_array());
		json_array_append_new(jget_arr(b->s.config, "Env"), json_string(DEFAULT_PATH));
	}
	json_object_set_new(b->s.config, "OpenStdin", json_false());
	json_object_set_new(b->s.config, "StdinOnce", json_false());
	return 0;
}

/* The instructions that the base image has for its children. */
static int triggers(struct build *b, struct err *err)
{
	cleanup_strv char **list = jget_strv(b->s.config, "OnBuild");
	size_t n = strv_len(list);
	int rc = 0;

	json_object_set_new(b->s.config, "OnBuild", json_null());
	if (!n)
		return 0;
	build_say(b, "# Executing %zu build trigger%s\n", n, n > 1 ? "s" : "");
	for (char **t = list; rc == 0 && *t; t++) {
		struct df_instr in;

		if ((rc = dockerfile_parse_one(*t, '\\', 1, &in, err)) < 0)
			return rc;
		rc = in.cmd == DF_ONBUILD || in.cmd == DF_FROM
			     ? err_kind(err, ERR_BAD_PARAM,
					"%s isn't allowed as an ONBUILD trigger",
					df_cmd_name(in.cmd))
			     : build_dispatch(b, &in, err);
		df_instr_fini(&in);
	}
	return rc;
}

void build_state_fini(struct build_state *s)
{
	json_decref(s->config);
	free(s->maintainer);
	free(s->platform);
	memset(s, 0, sizeof(*s));
}

static int find_base(struct build *b, const char *from, char *const *meta, struct image **img,
		     struct err *err)
{
	const char *platform = str_empty(b->s.platform) ? b->o.platform : b->s.platform;
	cleanup_free char *name = NULL;
	const struct build_stage *st;
	int rc = dockerfile_expand(from, b->df.escape, meta, &name, err);

	if (rc < 0)
		return rc;
	if (!*name)
		return err_kind(err, ERR_BAD_PARAM, "base name (%s) should not be blank", from);
	st = stage_by_name(b, name);
	b->s.scratch = st ? !st->image_id[0] : str_eq(name, "scratch");
	if (b->s.scratch)
		return 0;
	return st ? image_get(st->image_id, img, err) : get_image(b, name, platform, img, err);
}

int build_stage_begin(struct build *b, const struct df_instr *from, struct err *err)
{
	cleanup_strv char **meta = build_args_meta(&b->args);
	const char *platform = df_flag(from, "platform");
	struct image *img = NULL;
	int rc;

	build_state_fini(&b->s);
	b->s.change.escape = b->df.escape;
	build_args_next_stage(&b->args);
	if (platform && (rc = dockerfile_expand(platform, b->df.escape, meta, &b->s.platform, err)) < 0)
		return err_wrap(err, rc, "failed to process arguments for platform %s", platform);
	if ((rc = build_platform_check(b->s.platform, err)) < 0)
		return err_wrap(err, rc, "failed to parse platform %s", b->s.platform);
	if ((rc = find_base(b, from->args[0], meta, &img, err)) < 0)
		return rc;
	if (img)
		str_copy(b->s.image_id, sizeof(b->s.image_id), img->id);
	str_copy(b->base_id, sizeof(b->base_id), b->s.image_id);
	rc = begin_config(b, img, err);
	if (img)
		build_hold(b, img);
	if (rc < 0)
		return rc;
	build_cache_reset(b);
	if ((rc = triggers(b, err)) < 0)
		return rc;
	build_say_image(b);
	return 0;
}

void build_stage_end(struct build *b, const struct df_instr *from)
{
	struct build_stage *st;

	build_say_aux(b, NULL);
	b->stages = xrealloc(b->stages, (b->n_stages + 1) * sizeof(*b->stages));
	st = &b->stages[b->n_stages++];
	*st = (struct build_stage){ 0 };
	if (from->args[1])
		st->name = xstrdup(from->args[2]);
	str_copy(st->image_id, sizeof(st->image_id), b->s.image_id);
}

int build_stage_name_check(const struct build *b, const struct df_instr *from, struct err *err)
{
	cleanup_free char *name = NULL;

	if (!from->args[1] || !stage_by_name(b, from->args[2]))
		return 0;
	name = xstrdup(from->args[2]);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return err_kind(err, ERR_SYSTEM, "%s stage name already used", name);
}

/* ---- the whole file ---- */

int build_stages_check(const struct build *b, size_t *end, struct err *err)
{
	const char *target = b->o.target;
	size_t n = 0, wanted = SIZE_MAX;
	int64_t number = -1;

	*end = b->df.n;
	if (!str_empty(target) && parse_i64(target, 0, INT32_MAX, &number) < 0)
		number = -1;
	for (size_t i = 0; i < b->df.n; i++) {
		const struct df_instr *in = &b->df.v[i];

		if (in->cmd != DF_FROM) {
			if (!n && in->cmd != DF_ARG)
				return err_kind(err, ERR_BAD_PARAM,
						"no build stage in current context");
			continue;
		}
		if (wanted < n) {
			*end = i;
			return 0;
		}
		if (!str_empty(target) &&
		    ((in->args[1] && !strcasecmp(in->args[2], target)) || number == (int64_t)n))
			wanted = n;
		n++;
	}
	if (!n)
		return err_kind(err, ERR_BAD_PARAM, "no build stage in current context");
	if (!str_empty(target) && wanted == SIZE_MAX)
		return err_kind(err, ERR_BAD_PARAM, "target stage \"%s\" could not be found",
				target);
	return 0;
}
