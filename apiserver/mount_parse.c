/* SPDX-License-Identifier: MPL-2.0
 *
 * mount_parse.c - see mount_parse.h.
 */
#include "mount_parse.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

static const char *const propagations[] = { "private", "rprivate", "slave",
					    "rslave",  "shared",   "rshared" };

void ct_mount_clear(struct ct_mount *m)
{
	struct ct_mounts one = { xmalloc(sizeof(*m)), 1 };

	*one.v = *m;
	memset(m, 0, sizeof(*m));
	ct_mounts_fini(&one);
}

void mounts_remove(struct ct_mounts *ms, size_t i)
{
	ct_mount_clear(&ms->v[i]);
	memmove(&ms->v[i], &ms->v[i + 1], (ms->n - i - 1) * sizeof(*ms->v));
	ms->n--;
}

char *mount_clean_path(const char *path)
{
	cleanup_strv char **parts = strv_split(path, '/');
	char **keep = NULL;
	struct buf b = BUF_INIT;
	bool abs = path[0] == '/';
	size_t i, n = 0;

	for (i = 0; parts && parts[i]; i++) {
		if (!parts[i][0] || strcmp(parts[i], ".") == 0)
			continue;
		if (strcmp(parts[i], "..") == 0 && n > 0 && strcmp(keep[n - 1], "..") != 0) {
			free(keep[--n]);
			keep[n] = NULL;
			continue;
		}
		if (strcmp(parts[i], "..") == 0 && abs)
			continue;
		strv_add(&keep, parts[i]);
		n++;
	}
	if (abs)
		buf_addch(&b, '/');
	for (i = 0; i < n; i++) {
		if (i)
			buf_addch(&b, '/');
		buf_addstr(&b, keep[i]);
	}
	if (!b.len)
		buf_addch(&b, '.');
	strv_free(keep);
	return buf_steal(&b);
}

bool mount_mode_has(const char *mode, const char *word)
{
	cleanup_strv char **v = strv_split(mode ? mode : "", ',');

	return strv_has(v, word);
}

static const char *propagation_in(const char *mode)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(propagations); i++)
		if (mount_mode_has(mode, propagations[i]))
			return propagations[i];
	return NULL;
}

/* At most one word of each kind. */
bool mount_mode_valid(const char *mode)
{
	cleanup_strv char **v = strv_split(mode, ',');
	unsigned rw = 0, label = 0, prop = 0, copy = 0, consistency = 0;
	size_t i, k;

	if (!v || !v[0])
		return false;
	for (i = 0; v[i]; i++) {
		if (strcmp(v[i], "ro") == 0 || strcmp(v[i], "rw") == 0)
			rw++;
		else if (strcmp(v[i], "z") == 0 || strcmp(v[i], "Z") == 0)
			label++;
		else if (strcmp(v[i], "nocopy") == 0)
			copy++;
		else if (strcmp(v[i], "consistent") == 0 || strcmp(v[i], "cached") == 0 ||
			 strcmp(v[i], "delegated") == 0)
			consistency++; /* of other systems: accepted, without effect */
		else {
			for (k = 0;
			     k < ARRAY_SIZE(propagations) && strcmp(v[i], propagations[k]) != 0;
			     k++)
				;
			if (k == ARRAY_SIZE(propagations))
				return false;
			prop++;
		}
	}
	return rw <= 1 && label <= 1 && prop <= 1 && copy <= 1 && consistency <= 1;
}

static int invalid_spec(const char *text, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "invalid volume specification: '%s'", text);
}

static int set_destination(const char *dest, const char *text, struct ct_mount *out,
			   struct err *err)
{
	cleanup_free char *clean = mount_clean_path(dest);

	if (dest[0] != '/')
		return err_kind(err, ERR_BAD_PARAM,
				"invalid volume specification: '%s': invalid mount config for type "
				"\"%s\": invalid mount path: "
				"'%s' mount path must be absolute",
				text, out->type, dest);
	if (strcmp(clean, "/") == 0)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid volume specification: '%s': invalid mount config for type "
				"\"%s\": invalid "
				"specification: destination can't be '/'",
				text, out->type);
	out->destination = take_ptr(&clean);
	return 0;
}

int mount_parse_bind(const char *text, struct ct_mount *out, struct err *err)
{
	cleanup_strv char **v = strv_split(text, ':');
	size_t n = strv_len(v);
	const char *src = NULL, *dst, *mode = "", *prop;

	if (n == 0 || n > 3 || !v[0][0] || (n == 2 && mount_mode_valid(v[1])))
		return invalid_spec(text, err);
	if (n == 3) {
		if (v[2][0] && !mount_mode_valid(v[2]))
			return err_kind(err, ERR_BAD_PARAM, "invalid mode: %s", v[2]);
		mode = v[2];
	}
	dst = n == 1 ? v[0] : v[1];
	src = n == 1 ? NULL : v[0];
	if (!dst[0])
		return invalid_spec(text, err);
	out->type = xstrdup(src && src[0] == '/' ? "bind" : "volume");
	prop = propagation_in(mode);
	if (str_eq(out->type, "volume") ? prop != NULL : mount_mode_has(mode, "nocopy"))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid volume specification: '%s': invalid mount config for type "
				"\"%s\": field %s must not be specified",
				text, out->type, prop && str_eq(out->type, "volume") ? "BindOptions" : "VolumeOptions");
	if (str_eq(out->type, "bind"))
		out->source = mount_clean_path(src);
	else if (src)
		out->name = xstrdup(src);
	out->mode = xstrdup(mode);
	out->rw = !mount_mode_has(mode, "ro");
	out->no_copy = mount_mode_has(mode, "nocopy");
	out->propagation = xstrdup(str_eq(out->type, "volume") ? "" : prop ? prop : "rprivate");
	return set_destination(dst, text, out, err);
}

static int bad_mount(const char *type, struct err *err, const char *what)
{
	return err_kind(err, ERR_BAD_PARAM, "invalid mount config for type \"%s\": %s", type, what);
}

/* Docker tells these at the start. */
static int check_read_only(bool read_only, const struct ct_mount *m, struct err *err)
{
	const char *what = NULL;

	if (!read_only && m->ro_non_recursive)
		what = "!ReadOnly && BindOptions.ReadOnlyNonRecursive";
	else if (!read_only && m->ro_force_recursive)
		what = "!ReadOnly && BindOptions.ReadOnlyForceRecursive";
	else if (m->ro_non_recursive && m->ro_force_recursive)
		what = "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive";
	return what ? err_kind(err, ERR_BAD_PARAM, "mount options conflict: %s", what) : 0;
}

static int api_bind(const json_t *o, struct ct_mount *out, struct err *err)
{
	const json_t *bo = jget_obj(o, "BindOptions");
	const char *src = jget_str(o, "Source", ""), *prop = jget_str(bo, "Propagation", "");

	if (str_empty(src))
		return bad_mount("bind", err, "field Source must not be empty");
	if (src[0] != '/')
		return err_kind(err, ERR_BAD_PARAM,
				"invalid mount config for type \"bind\": invalid mount path: '%s' "
				"mount path must be absolute",
				src);
	out->source = mount_clean_path(src);
	out->create_mountpoint = jget_bool(bo, "CreateMountpoint", false);
	if (!out->create_mountpoint && !fs_exists(out->source))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid mount config for type \"bind\": bind source path does not "
				"exist: %s",
				out->source);
	if (!str_empty(prop) && !propagation_in(prop))
		return err_kind(
			err, ERR_BAD_PARAM,
			"invalid mount config for type \"bind\": invalid propagation mode: %s",
			prop);
	out->propagation = xstrdup(str_empty(prop) ? "rprivate" : prop);
	out->bind_non_recursive = jget_bool(bo, "NonRecursive", false);
	out->ro_non_recursive = jget_bool(bo, "ReadOnlyNonRecursive", false);
	out->ro_force_recursive = jget_bool(bo, "ReadOnlyForceRecursive", false);
	return check_read_only(jget_bool(o, "ReadOnly", false), out, err);
}

static int api_volume(const json_t *o, struct ct_mount *out, struct err *err)
{
	const json_t *vo = jget_obj(o, "VolumeOptions");
	const char *src = jget_str(o, "Source", ""), *sub = jget_str(vo, "Subpath", "");

	out->no_copy = jget_bool(vo, "NoCopy", false);
	out->propagation = xstrdup("");
	if (str_empty(src) && !str_empty(sub))
		return bad_mount("volume", err,
				 "must not set Subpath when using anonymous volumes");
	if (!str_empty(src))
		out->name = xstrdup(src);
	if (sub[0] == '/' || str_starts(sub, "../") || str_eq(sub, ".."))
		return bad_mount("volume", err,
				 "subpath must be a relative path within the volume");
	if (!str_empty(sub))
		out->subpath = xstrdup(sub);
	return 0;
}

static int api_tmpfs(const json_t *o, struct ct_mount *out, struct err *err)
{
	const json_t *to = jget_obj(o, "TmpfsOptions"), *pair;
	cleanup_buf struct buf b = BUF_INIT;
	int64_t size = jget_int(to, "SizeBytes", 0), mode = jget_int(to, "Mode", 0);
	const json_t *options = jget_arr(to, "Options");
	const char *k, *v;
	size_t i;

	if (!str_empty(jget_str(o, "Source", "")))
		return bad_mount("tmpfs", err, "field Source must not be specified");
	if (size < 0)
		return bad_mount("tmpfs", err, "invalid tmpfs size");
	if (size > 0)
		buf_printf(&b, ",size=%lld", (long long)size);
	if (mode)
		buf_printf(&b, ",mode=%o", (unsigned)mode & 07777);
	for (i = 0; i < json_array_size(options); i++) {
		pair = json_array_get(options, i);
		k = json_string_value(json_array_get(pair, 0));
		v = json_string_value(json_array_get(pair, 1));
		if (k)
			buf_printf(&b, ",%s%s%s", k, v ? "=" : "", v ? v : "");
	}
	if (jget_bool(o, "ReadOnly", false))
		buf_addstr(&b, ",ro");
	out->source = xstrdup("");
	out->propagation = xstrdup("");
	out->tmpfs_opts = xstrdup(b.len ? b.p + 1 : "");
	return 0;
}

int mount_parse_api(const json_t *o, struct ct_mount *out, struct err *err)
{
	const char *type = jget_str(o, "Type", ""), *target = jget_str(o, "Target", "");
	cleanup_free char *clean = mount_clean_path(target);
	int rc;

	if (!str_eq(type, "bind") && !str_eq(type, "volume") && !str_eq(type, "tmpfs"))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid mount config for type \"%s\": mount type unknown", type);
	if (str_empty(target))
		return bad_mount(type, err, "field Target must not be empty");
	if (target[0] != '/')
		return err_kind(err, ERR_BAD_PARAM,
				"invalid mount config for type \"%s\": invalid mount path: '%s' "
				"mount path must be absolute",
				type, target);
	if (strcmp(clean, "/") == 0)
		return bad_mount(type, err, "invalid specification: destination can't be '/'");
	if (str_eq(type, "bind"))
		rc = api_bind(o, out, err);
	else if (str_eq(type, "volume"))
		rc = api_volume(o, out, err);
	else
		rc = api_tmpfs(o, out, err);
	if (rc < 0)
		return rc;
	out->type = xstrdup(type);
	out->destination = take_ptr(&clean);
	out->mode = xstrdup("");
	out->rw = !jget_bool(o, "ReadOnly", false);
	out->from_mounts = true;
	return 0;
}
