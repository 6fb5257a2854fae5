/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_mountspec.c - the mounts of a create body: what can be said without looking at volumes or
 * containers.
 *
 * Design: mount_parse.c turns Binds and Mounts into mounts, here as well as when they are made;
 * this file adds what only a create body can have wrong: members that belong to another type, two
 * mounts in one place, bad options.
 */
#include "apiserver/ct_mountspec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/mount_parse.h"
#include "apiserver/tmpfs_opts.h"
#include "cleanup.h"
#include "jget.h"
#include "map.h"
#include "str.h"

#define WHY_MAX 600

int volumes_from_parse(const char *raw, char **container, bool *rw, struct err *err)
{
	static const char *const not_here[] = { "private", "rprivate", "slave", "rslave",
						"shared",  "rshared",  "copy",	"nocopy" };
	const char *colon = strchr(raw, ':');
	const char *mode = colon ? colon + 1 : "";

	if (raw[0] == '\0')
		return err_kind(err, ERR_BAD_PARAM,
				"volumes-from specification cannot be an empty string");
	if (mode[0] && !mount_mode_valid(mode))
		return err_kind(err, ERR_BAD_PARAM, "invalid mode: %s", mode);
	for (size_t i = 0; i < ARRAY_SIZE(not_here); i++)
		if (mount_mode_has(mode, not_here[i]))
			return err_kind(err, ERR_BAD_PARAM, "invalid mode: %s", mode);
	*container = colon ? xstrndup(raw, (size_t)(colon - raw)) : xstrdup(raw);
	*rw = !mount_mode_has(mode, "ro");
	return 0;
}

static int err_mount(const char *type, const char *why, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "invalid mount config for type \"%s\": %s", type, why);
}

static int check_target(const char *target, char why[WHY_MAX])
{
	cleanup_free char *clean = mount_clean_path(target);

	if (strcmp(clean, "/") == 0)
		str_copy(why, WHY_MAX, "invalid specification: destination can't be '/'");
	else if (target[0] != '/')
		snprintf(why, WHY_MAX, "invalid mount path: '%.500s' mount path must be absolute",
			 target);
	else
		return 0;
	return -EINVAL;
}

/* Options of another type. */
static int check_extra(const json_t *m, const char *type, struct err *err)
{
	static const char *const options[][2] = { { "BindOptions", "bind" },
						  { "VolumeOptions", "volume" },
						  { "ImageOptions", "image" },
						  { "TmpfsOptions", "tmpfs" },
						  { "ClusterOptions", "cluster" } };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (json_object_get(m, options[i][0]) && strcmp(type, options[i][1]) != 0)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid mount config for type \"%s\": field %s must not "
					"be specified",
					type, options[i][0]);
	return 0;
}

static int check_tmpfs_options(const json_t *options, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(options, "Options"), i, item) {
		const char *word = json_string_value(json_array_get(item, 0));
		char why[128];

		if (json_array_size(item) < 1 || json_array_size(item) > 2)
			return err_mount("tmpfs", "invalid option array length", err);
		if (strcmp(word, "exec") != 0 && strcmp(word, "noexec") != 0) {
			snprintf(why, sizeof(why), "invalid option: %.100s", word);
			return err_mount("tmpfs", why, err);
		}
	}
	return 0;
}

static int check_mount(const json_t *m, struct err *err)
{
	const char *type = jget_str(m, "Type", "");
	const char *target = jget_str(m, "Target", "");
	struct ct_mount parsed = { 0 };
	char why[WHY_MAX];
	int rc;

	if (target[0] == '\0')
		return err_mount(type, "field Target must not be empty", err);
	if (check_target(target, why) < 0)
		return err_mount(type, why, err);
	if (strcmp(type, "image") == 0)
		return err_mount(type, "image mounts are not supported", err);
	if ((rc = check_extra(m, type, err)) < 0 ||
	    (rc = check_tmpfs_options(jget_obj(m, "TmpfsOptions"), err)) < 0)
		return rc;
	if (strcmp(type, "volume") == 0 && jget_bool(m, "ReadOnly", false) &&
	    str_empty(jget_str(m, "Source", "")))
		return err_mount(type, "must not set ReadOnly mode when using anonymous volumes",
				 err);
	rc = mount_parse_api(m, &parsed, err);
	ct_mount_clear(&parsed);
	return rc;
}

/* A place may be taken once by Binds, Tmpfs and Mounts together. */
static int take_place(struct map *taken, const char *destination, struct err *err)
{
	cleanup_free char *clean = mount_clean_path(destination);

	if (map_get(taken, clean))
		return err_kind(err, ERR_BAD_PARAM, "Duplicate mount point: %s", destination);
	map_set(taken, clean, taken);
	return 0;
}

static int check_tmpfs(const json_t *host, struct map *taken, struct err *err)
{
	const char *dest;
	char why[WHY_MAX];
	json_t *v;
	int rc;

	json_object_foreach (jget_obj(host, "Tmpfs"), dest, v) {
		cleanup_strv char **merged = NULL;

		if (check_target(dest, why) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s", why);
		if ((rc = tmpfs_opts_merge(json_string_value(v), &merged, err)) < 0 ||
		    (rc = take_place(taken, dest, err)) < 0)
			return rc;
	}
	return 0;
}

static int check_binds(const json_t *host, struct map *taken, struct err *err)
{
	json_t *item;
	size_t i;
	int rc;

	json_array_foreach (jget_arr(host, "Binds"), i, item) {
		struct ct_mount m = { 0 };

		if ((rc = mount_parse_bind(json_string_value(item), &m, err)) >= 0)
			rc = take_place(taken, m.destination, err);
		ct_mount_clear(&m);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_all(const json_t *config, const json_t *host, struct map *taken, struct err *err)
{
	char why[WHY_MAX];
	const char *dest;
	json_t *item;
	size_t i;
	int rc;

	json_array_foreach (jget_arr(host, "Mounts"), i, item)
		if ((rc = check_mount(item, err)) < 0)
			return rc;
	if ((rc = check_tmpfs(host, taken, err)) < 0 || (rc = check_binds(host, taken, err)) < 0)
		return rc;
	json_array_foreach (jget_arr(host, "Mounts"), i, item)
		if ((rc = take_place(taken, jget_str(item, "Target", ""), err)) < 0)
			return rc;
	json_array_foreach (jget_arr(host, "VolumesFrom"), i, item) {
		cleanup_free char *container = NULL;
		bool rw;

		if ((rc = volumes_from_parse(json_string_value(item), &container, &rw, err)) < 0)
			return rc;
	}
	json_object_foreach (jget_obj(config, "Volumes"), dest, item) {
		/* one that does not begin with a slash is below / as well */
		cleanup_free char *path = xasprintf("/%s", dest);

		if (check_target(path, why) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s", why);
	}
	return 0;
}

int mountspec_check(const json_t *config, const json_t *host, struct err *err)
{
	struct map taken;
	int rc;

	map_init(&taken);
	rc = check_all(config, host, &taken, err);
	map_fini(&taken, NULL);
	return rc;
}
