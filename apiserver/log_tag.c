/* SPDX-License-Identifier: MPL-2.0
 *
 * log_tag.c - what a log tag can say of its container: Docker's logger.Info, as the dot of a template (go_template.h).
 */
#include "log_tag.h"

#include <string.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "cleanup.h"
#include "go_template.h"
#include "jget.h"
#include "str.h"

static const char *const fields[] = { "ID",
				      "FullID",
				      "Name",
				      "ImageID",
				      "ImageFullID",
				      "ImageName",
				      "Command",
				      "Hostname",
				      "DaemonName",
				      "ContainerID",
				      "ContainerName",
				      "ContainerEntrypoint",
				      "ContainerArgs",
				      "ContainerImageID",
				      "ContainerImageName",
				      "ContainerCreated",
				      "ContainerEnv",
				      "ContainerLabels",
				      "LogPath",
				      "Config",
				      "ExtraAttributes()",
				      NULL };
static const struct go_template_type info = { "*logger.Info", fields };

static void set(json_t *dot, const char *key, const char *value)
{
	json_t *v = json_string(value);

	json_object_set_new(dot, key, v ? v : json_string(""));
}

static void set_part(json_t *dot, const char *key, const char *value, size_t max)
{
	cleanup_free char *part = xstrndup(value, strnlen(value, max));

	set(dot, key, part);
}

static void set_json(json_t *dot, const char *key, const json_t *value, json_t *empty)
{
	json_object_set(dot, key, value ? (json_t *)(uintptr_t)value : empty);
	json_decref(empty);
}

static void set_command(json_t *dot, const char *command)
{
	const char *args = strchr(command, ' ');
	cleanup_strv char **list = strv_split(args ? args + 1 : "", ' ');
	json_t *v = json_array();

	for (char **p = list; *p; p++)
		json_array_append_new(v, json_string(*p));
	set(dot, "Command", command);
	set_part(dot, "ContainerEntrypoint", command, strcspn(command, " "));
	json_object_set_new(dot, "ContainerArgs", v);
}

static void set_created(json_t *dot, int64_t ns)
{
	char time[RFC3339NANO_MAX];

	fmt_rfc3339nano(time, ns);
	set(dot, "ContainerCreated", time);
}

static void set_image(json_t *dot, const struct ct_spec *s)
{
	const char *hex = str_starts(s->image_id, "sha256:") ? s->image_id + 7 : s->image_id;

	set_part(dot, "ImageID", hex, 12);
	set(dot, "ImageFullID", s->image_id);
	set(dot, "ContainerImageID", s->image_id);
	set(dot, "ImageName", s->image_ref ? s->image_ref : "");
	set(dot, "ContainerImageName", s->image_ref ? s->image_ref : "");
}

static json_t *make_dot(const struct ct_spec *s, const char *command, const json_t *attrs)
{
	cleanup_free char *slashed = xasprintf("/%s", s->name);
	json_t *dot = json_object();
	char host[256] = "", path[1024] = "";

	(void)gethostname(host, sizeof(host) - 1);
	if (engine)
		paths_zone(&engine->paths, s->uuid, "logs/stdio.log", path);
	set_part(dot, "ID", s->id, 12);
	set(dot, "FullID", s->id);
	set(dot, "ContainerID", s->id);
	set(dot, "Name", s->name);
	set(dot, "ContainerName", slashed);
	set_image(dot, s);
	set_command(dot, command ? command : "");
	set(dot, "Hostname", host);
	set(dot, "DaemonName", "docker");
	set_created(dot, s->created_ns);
	set(dot, "LogPath", path);
	set_json(dot, "ContainerEnv", jget_arr(s->config, "Env"), json_array());
	set_json(dot, "ContainerLabels", jget_obj(s->config, "Labels"), json_object());
	set_json(dot, "Config", jget_obj(jget_obj(s->host_config, "LogConfig"), "Config"),
		 json_object());
	set_json(dot, "ExtraAttributes", attrs, json_object());
	return dot;
}

int log_tag_expand(const char *tmpl, const struct ct_spec *spec, const char *command,
		   const json_t *attrs, struct buf *out, struct err *err)
{
	struct go_template *t = NULL;
	json_t *dot;
	int rc = go_template_parse("log-tag", tmpl, &info, &t, err);

	if (rc == 0 && spec) {
		dot = make_dot(spec, command, attrs);
		rc = go_template_exec(t, dot, out, err);
		json_decref(dot);
	}
	go_template_free(t);
	return rc;
}
