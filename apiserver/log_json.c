/* SPDX-License-Identifier: MPL-2.0
 *
 * log_json.c - log.json: what logsvc and a logger need to know of a zone's logging, worked out
 * once, at create, start and update: sizes as numbers, the selected labels and environment as
 * attributes, the tag as text.
 *
 * Beside the members that the brief of logsvc has there are image_id, image_name, command and
 * created_ns (for fluentd's and gelf's records), and tag, which is always set (12 digits of the id
 * by default).
 */
#define LOG_MODULE "oci"
#include <string.h>

#include "cleanup.h"
#include "ct_config.h"
#include "engine.h"
#include "go_regex.h"
#include "jget.h"
#include "log_opts.h"
#include "log_tag.h"
#include "oci_priv.h"
#include "str.h"

static const char *opt(const json_t *opts, const char *key)
{
	const char *v = jget_str(opts, key, NULL);

	return str_empty(v) ? NULL : v;
}

/* json-file and local name their own file; the other drivers' host log is what Docker calls their
 * cache. */
static const char *file_opt(const json_t *opts, const char *driver, const char *key)
{
	char name[64];

	if (str_eq(driver, "json-file") || str_eq(driver, "local"))
		return opt(opts, key);
	if (str_fmt(name, sizeof(name), "cache-%s", key) < 0)
		return NULL;
	return opt(opts, name);
}

static void pick_listed(json_t *attrs, const json_t *from, const char *list)
{
	cleanup_strv char **keys = strv_split(list ? list : "", ',');
	json_t *val;
	size_t i;

	for (i = 0; keys && keys[i]; i++)
		if ((val = json_object_get(from, keys[i])))
			json_object_set(attrs, keys[i], val);
}

static int pick_matching(json_t *attrs, const json_t *from, const char *regex, struct err *err)
{
	struct go_regex *re = NULL;
	const char *key;
	json_t *val;
	int rc;

	if (!regex)
		return 0;
	if ((rc = go_regex_compile(regex, &re, err)) < 0)
		return rc;
	json_object_foreach ((json_t *)from, key, val)
		if (json_is_string(val) && go_regex_match(re, key))
			json_object_set(attrs, key, val);
	go_regex_free(re);
	return 0;
}

/* K=V vector as an object; entries without '=' are left out. */
static json_t *env_object(const json_t *env)
{
	json_t *o = json_object();
	const char *kv, *eq;
	size_t i;
	char *key;

	for (i = 0; i < json_array_size(env); i++) {
		kv = json_string_value(json_array_get(env, i));
		eq = kv ? strchr(kv, '=') : NULL;
		if (!eq || eq == kv)
			continue;
		key = xstrndup(kv, (size_t)(eq - kv));
		json_object_set_new(o, key, json_string(eq + 1));
		free(key);
	}
	return o;
}

static int attributes(const struct ct_spec *spec, const json_t *opts, json_t *attrs,
		      struct err *err)
{
	cleanup_json json_t *env = env_object(jget_arr(spec->config, "Env"));
	const json_t *labels = jget_obj(spec->config, "Labels");
	int rc;

	pick_listed(attrs, labels, opt(opts, "labels"));
	if ((rc = pick_matching(attrs, labels, opt(opts, "labels-regex"), err)) < 0)
		return rc;
	pick_listed(attrs, env, opt(opts, "env"));
	return pick_matching(attrs, env, opt(opts, "env-regex"), err);
}

static int sizes(const json_t *opts, const char *driver, struct jw *w, struct err *err)
{
	const char *size = file_opt(opts, driver, "max-size");
	const char *files = file_opt(opts, driver, "max-file");
	const char *compress = file_opt(opts, driver, "compress");
	bool local = str_eq(driver, "local"), on = local;
	int64_t n;

	/* -1 is Docker's way to write "no limit" in a default */
	if (size && !str_eq(size, "-1")) {
		if (parse_size(size, 1000, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid size: '%s'", size);
		if (n <= 0)
			return err_kind(err, ERR_BAD_PARAM, "max-size must be a positive number");
		jw_int(w, "max_size", n);
	} else if (local && !size) {
		jw_int(w, "max_size", LOG_LOCAL_SIZE);
	}
	if (files) {
		if (parse_i64(files, INT32_MIN, INT32_MAX, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"strconv.Atoi: parsing \"%s\": invalid syntax", files);
		if (n < 1)
			return err_kind(err, ERR_BAD_PARAM, "max-file cannot be less than 1");
		jw_int(w, "max_file", n);
	} else if (local) {
		jw_int(w, "max_file", LOG_LOCAL_FILES);
	}
	if (compress && parse_bool(compress, &on) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"strconv.ParseBool: parsing \"%s\": invalid syntax", compress);
	jw_bool(w, "compress", on);
	return 0;
}

static char *command_text(const struct ct_spec *spec)
{
	cleanup_strv char **argv = NULL;
	struct buf b = BUF_INIT;
	size_t i;

	config_command(spec->config, &argv);
	for (i = 0; argv && argv[i]; i++) {
		if (i)
			buf_addch(&b, ' ');
		buf_addstr(&b, argv[i]);
	}
	return b.len ? buf_steal(&b) : xstrdup("");
}

/* What otlp calls service.name: the program's own word, its name in Compose, or the container's name. */
static char *service_name(const struct ct_spec *spec)
{
	cleanup_json json_t *env = env_object(jget_arr(spec->config, "Env"));
	const char *own = jget_str(env, "OTEL_SERVICE_NAME", "");
	const char *compose = jget_str(jget_obj(spec->config, "Labels"), "com.docker.compose.service", "");

	return xstrdup(!str_empty(own) ? own : !str_empty(compose) ? compose : spec->name);
}

/* tag, or the older <driver>-tag */
static const char *tag_template(const json_t *opts, const char *driver)
{
	char name[64];
	const char *t = opt(opts, "tag");

	if (t || str_fmt(name, sizeof(name), "%s-tag", driver) < 0)
		return t;
	return opt(opts, name);
}

/* What one driver has that is worked out here. */
static int driver_members(const struct ct_spec *spec, const char *driver, const json_t *opts, const char *command,
			  struct jw *w, struct err *err)
{
	const char *tmpl = opt(opts, "syslog-hostname");
	cleanup_buf struct buf host = BUF_INIT;
	cleanup_free char *service = NULL;
	int rc;

	if (str_eq(driver, "otlp")) {
		service = service_name(spec);
		jw_str(w, "service_name", service);
	} else if (str_eq(driver, "syslog") && tmpl) {
		if ((rc = log_tag_expand(tmpl, spec, command, NULL, &host, err)) < 0)
			return rc;
		jw_str(w, "syslog_hostname", buf_str(&host));
	}
	return 0;
}

int oci_log_json(const struct ct_spec *spec, struct buf *out, struct err *err)
{
	const json_t *lc = jget_obj(spec->host_config, "LogConfig"), *opts = jget_obj(lc, "Config");
	const char *driver = jget_str(lc, "Type", ""), *tmpl;
	cleanup_json json_t *attrs = json_object();
	cleanup_free char *command = command_text(spec);
	cleanup_free char *text = NULL;
	cleanup_buf struct buf tag = BUF_INIT;
	struct jw w = JW(out);
	bool own_file, off = false;
	int rc;

	if (str_empty(driver))
		driver = "json-file";
	own_file = str_eq(driver, "json-file") || str_eq(driver, "local");
	tmpl = tag_template(opts, driver);
	if (!str_eq(driver, "none")) {
		if ((rc = attributes(spec, opts, attrs, err)) < 0 ||
		    (rc = log_tag_expand(tmpl ? tmpl : "{{.ID}}", spec, command, attrs, &tag, err)) < 0)
			return rc;
	}
	if (tmpl && (own_file || str_eq(driver, "otlp")))
		json_object_set_new(attrs, "tag", json_string(buf_str(&tag)));
	jw_obj(&w, NULL);
	jw_str(&w, "id", spec->id);
	jw_str(&w, "uuid", spec->uuid);
	jw_str(&w, "owner", engine ? engine->owner_uuid : "");
	jw_str(&w, "name", spec->name);
	jw_str(&w, "driver", driver);
	jw_bool(&w, "tty", jget_bool(spec->config, "Tty", false));
	if (!str_eq(driver, "none") && (rc = sizes(opts, driver, &w, err)) < 0)
		return rc;
	text = json_dumps(attrs, JSON_COMPACT | JSON_SORT_KEYS);
	jw_raw(&w, "attrs", text ? text : "{}");
	free(text);
	if (opt(opts, "cache-disabled"))
		(void)parse_bool(opt(opts, "cache-disabled"), &off);
	jw_bool(&w, "cache_disabled", off);
	text = opts ? json_dumps(opts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	jw_raw(&w, "opts", text ? text : "{}");
	jw_str(&w, "tag", buf_str(&tag));
	if ((rc = driver_members(spec, driver, opts, command, &w, err)) < 0)
		return rc;
	jw_str(&w, "image_id", spec->image_id);
	jw_str(&w, "image_name", spec->image_ref ? spec->image_ref : "");
	jw_str(&w, "command", command);
	jw_int(&w, "created_ns", spec->created_ns);
	jw_end(&w);
	return 0;
}
