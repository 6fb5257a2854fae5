/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_merge.c - the image's configuration below the user's, and references to other containers by
 * id.
 */
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/ct_check.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_fields.h"
#include "apiserver/ct_mountspec.h"
#include "apiserver/env_merge.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static bool is_absent(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return !v || json_is_null(v);
}

static void take_if_empty(json_t *user, const json_t *image, const char *key)
{
	if (!jhas(user, key) && jhas(image, key))
		json_object_set(user, key, json_object_get(image, key));
}

/* Members of a map that the user has not set. */
static void merge_map(json_t *user, const json_t *image, const char *key)
{
	json_t *to = jget_obj(user, key);

	if (!json_object_size(to)) { /* nothing is the image's, which may be null */
		if (jget_obj(image, key))
			json_object_set_new(user, key, json_copy(jget_obj(image, key)));
		else if (to)
			json_object_set_new(user, key, json_null());
		return;
	}
	json_object_update_missing(to, jget_obj(image, key));
}

static void merge_env(json_t *user, const json_t *image)
{
	json_t *to = jget_arr(user, "Env");

	if (json_array_size(to) > 0)
		env_merge(to, jget_arr(image, "Env"));
	else if (jget_arr(image, "Env"))
		json_object_set(user, "Env", json_object_get(image, "Env"));
}

/* A command of the image belongs to its entrypoint: one that the user replaced takes it away. */
static void merge_command(json_t *user, const json_t *image)
{
	if (jhas(user, "Entrypoint"))
		return;
	if (!jhas(user, "Cmd") && !is_absent(image, "Cmd"))
		json_object_set(user, "Cmd", json_object_get(image, "Cmd"));
	if (is_absent(user, "Entrypoint") && !is_absent(image, "Entrypoint"))
		json_object_set(user, "Entrypoint", json_object_get(image, "Entrypoint"));
}

static void merge_health(json_t *user, const json_t *image)
{
	static const char *const numbers[] = { "Interval", "Timeout", "StartPeriod",
					       "StartInterval", "Retries" };
	const json_t *from = jget_obj(image, "Healthcheck");
	json_t *to = jget_obj(user, "Healthcheck");

	if (!from)
		return;
	if (!to) {
		json_object_set(user, "Healthcheck", json_object_get(image, "Healthcheck"));
		return;
	}
	take_if_empty(to, from, "Test");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (jget_int(to, numbers[i], 0) == 0 && jget_int(from, numbers[i], 0) != 0)
			json_object_set(to, numbers[i], json_object_get(from, numbers[i]));
}

static void merge(json_t *user, const json_t *image)
{
	take_if_empty(user, image, "User");
	merge_map(user, image, "ExposedPorts");
	merge_env(user, image);
	merge_map(user, image, "Labels");
	merge_command(user, image);
	merge_health(user, image);
	take_if_empty(user, image, "WorkingDir");
	merge_map(user, image, "Volumes");
	take_if_empty(user, image, "StopSignal");
	/* Docker has Shell and OnBuild in the image only, but shows both for a container that
	 * was given none */
	take_if_empty(user, image, "Shell");
}

/* The image's own text is a stranger's too: typed by the same table, and nothing of it survives
 * that is no Config. */
static int image_config(const char *text, json_t **out, struct err *err)
{
	cleanup_json json_t *whole = NULL;
	const json_t *config;
	struct err why = { 0 };

	*out = NULL;
	if (!text)
		return 0;
	if (jparse(text, strlen(text), &whole, &why) < 0)
		return err_kind(err, ERR_SYSTEM, "configuration of the image: %s", why.msg);
	config = jget_obj(whole, "config");
	if (!config || go_json_decode(&ct_fields_config, config, out, &why) >= 0)
		return 0;
	return err_kind(err, ERR_SYSTEM, "configuration of the image: %s", why.msg);
}

int create_request_merge_image(struct create_request *cr, const char *image_config_text,
			       struct err *err)
{
	cleanup_json json_t *image = NULL;
	json_t *entrypoint;
	json_t *typed = NULL;
	int rc;

	if ((rc = image_config(image_config_text, &image, err)) < 0)
		return rc;
	if (image)
		merge(cr->config, image);
	if (is_absent(cr->config, "Labels"))
		json_object_set_new(cr->config, "Labels", json_object());
	entrypoint = jget_arr(cr->config, "Entrypoint");
	if (json_array_size(entrypoint) == 1 &&
	    json_string_length(json_array_get(entrypoint, 0)) == 0)
		json_object_set_new(cr->config, "Entrypoint", json_null());
	if (!jhas(cr->config, "Entrypoint") && !jhas(cr->config, "Cmd"))
		return err_kind(err, ERR_BAD_PARAM, "no command specified");
	if ((rc = config_check(cr->config, err)) < 0 ||
	    (rc = ports_check(cr->config, cr->host_config, err)) < 0)
		return rc;
	/* once more through the table: order of the fields, sorted maps */
	if ((rc = go_json_decode(&ct_fields_config, cr->config, &typed, err)) < 0)
		return rc;
	json_decref(cr->config);
	cr->config = typed;
	return 0;
}

/* ---- references ------------------------------------------------------------------------------ */

/* "container:NAME" as "container:ID": the other may be renamed, the record must not mind. One that is not there is for the start to tell,
 * but where it must_exist. Such a container has no endpoints that would name it, too (endpoints_make). */
static int resolve_mode(json_t *host, const char *key, bool must_exist, struct err *err)
{
	const char *mode = jget_str(host, key, "");
	struct err why = { 0 };
	struct container *ct;

	if (!netmode_is_container(mode))
		return 0;
	if (!(ct = container_find(mode + strlen("container:"), &why))) {
		if (!must_exist)
			return 0;
		*err = why;
		err->kind = ERR_BAD_PARAM;
		return err->code;
	}
	json_object_set_new(host, key, json_sprintf("container:%s", ct->id));
	return 0;
}

int create_request_resolve(struct create_request *cr, struct err *err)
{
	json_t *host = cr->host_config;
	json_t *item;
	size_t i;
	int rc;

	if ((rc = resolve_mode(host, "PidMode", true, err)) < 0 ||
	    (rc = resolve_mode(host, "IpcMode", true, err)) < 0 ||
	    (rc = resolve_mode(host, "NetworkMode", false, err)) < 0)
		return rc;
	json_array_foreach (jget_arr(host, "VolumesFrom"), i, item) {
		cleanup_free char *name = NULL;
		bool rw;

		if ((rc = volumes_from_parse(json_string_value(item), &name, &rw, err)) < 0)
			return rc;
		if (!container_find(name, err)) {
			err->kind = ERR_BAD_PARAM;
			return err->code;
		}
	}
	return 0;
}
