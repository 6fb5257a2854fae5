/* SPDX-License-Identifier: MPL-2.0
 *
 * log_opts.c - what a LogConfig may say.
 *
 * Design: a table of drivers; each has its option names, with a check of the value where there is
 * one, and a check of all of them together. What is common to drivers (mode, max-buffer-size,
 * cache-*) comes first, as Docker has it. Unlike Docker, values are checked when the container is
 * created and not only when it starts. Of several unknown options the first in byte order is
 * named.
 *
 * To extend: a driver is a row of drivers[], its options a table of their own. Those of the drivers that forward are
 * in log_opts_net.c.
 */
#define LOG_MODULE "log_opts"
#include "apiserver/log_opts_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/engine.h"
#include "apiserver/go_json.h"
#include "apiserver/go_number.h"
#include "apiserver/go_regex.h"
#include "apiserver/log_tag.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define MAX_OPTS_BYTES 16384

static int bad(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM, "%s", text);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int check_max_size(const char *name, const char *value, struct err *err)
{
	int64_t n = 0;
	int rc;

	(void)name;
	if ((rc = parse_size(value, 1000, &n)) < 0 && rc != -ERANGE)
		return go_err_size(value, err);
	return n < 1 ? bad(err, "max-size must be a positive number") : 0;
}

static int check_max_file(const char *name, const char *value, struct err *err)
{
	int64_t n;

	(void)name;
	if (parse_i64(value[0] == '+' ? value + 1 : value, INT32_MIN, INT32_MAX, &n) < 0)
		return go_err_int("Atoi", value, err);
	return n < 1 ? bad(err, "max-file cannot be less than 1") : 0;
}

int log_check_bool(const char *name, const char *value, struct err *err)
{
	bool b;

	(void)name;
	if (parse_bool(value, &b) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"strconv.ParseBool: parsing \"%s\": invalid syntax", value);
	return 0;
}

int log_check_regex(const char *name, const char *value, struct err *err)
{
	struct go_regex *re = NULL;
	int rc;

	(void)name;
	rc = go_regex_compile(value, &re, err);
	go_regex_free(re);
	return rc;
}

int log_check_tag(const char *name, const char *value, struct err *err)
{
	cleanup_buf struct buf ignored = BUF_INIT;

	(void)name;
	return log_tag_expand(value, NULL, NULL, NULL, &ignored, err);
}

static int check_json_file(const json_t *opts, struct err *err)
{
	const char *max_file = jget_str(opts, "max-file", "1");
	bool compress = false;
	int64_t n = 1;

	if (parse_bool(jget_str(opts, "compress", "false"), &compress) < 0 || !compress)
		return 0;
	if (parse_i64(max_file, 1, INT32_MAX, &n) < 0 || n < 2 || !jget_str(opts, "max-size", NULL))
		return bad(err, "compress cannot be true when max-file is less than 2 or max-size "
				"is not set");
	return 0;
}

/* local's own words; and it compresses unless it is told not to. */
static int check_local_size(const char *name, const char *value, struct err *err)
{
	int rc = check_max_size(name, value, err);
	int64_t n;

	return rc < 0 && parse_size(value, 1000, &n) == -EINVAL ? err_wrap(err, rc, "invalid value for max-size: %s", value) : rc;
}

static int check_local_file(const char *name, const char *value, struct err *err)
{
	int rc = check_max_file(name, value, err);
	int64_t n;

	if (parse_i64(value[0] == '+' ? value + 1 : value, INT32_MIN, INT32_MAX, &n) < 0)
		return err_wrap(err, rc, "invalid value for max-file: %s", value);
	return n < 0 ? bad(err, "max-file must not be negative") : rc;
}

static int check_local_compress(const char *name, const char *value, struct err *err)
{
	int rc = log_check_bool(name, value, err);

	return rc < 0 ? err_wrap(err, rc, "invalid boolean value for compress") : 0;
}

static int check_local(const json_t *opts, struct err *err)
{
	bool compress = true;
	int64_t n = LOG_LOCAL_FILES;

	(void)parse_bool(jget_str(opts, "compress", "true"), &compress);
	(void)parse_i64(jget_str(opts, "max-file", ""), 1, INT32_MAX, &n);
	return compress && n == 1 ? bad(err, "compression cannot be enabled when max file count is 1") : 0;
}

/* ---- drivers --------------------------------------------------------------------------------- */

static const struct log_option file_options[] = {
	{ "max-size", check_max_size },
	{ "max-file", check_max_file },
	{ "compress", log_check_bool },
	LOG_ATTR_OPTIONS,
	{ NULL, NULL },
};

static const struct log_option local_options[] = {
	{ "max-size", check_local_size },
	{ "max-file", check_local_file },
	{ "compress", check_local_compress },
	LOG_ATTR_OPTIONS,
	{ NULL, NULL },
};

static const struct log_driver drivers[] = {
	{ "json-file", "unknown log opt '%s' for json-file log driver", file_options,
	  check_json_file },
	{ "local", "unknown log opt '%s' for log driver local", local_options, check_local },
	{ "none", NULL, NULL, NULL },
	{ "syslog", "unknown log opt '%s' for syslog log driver", log_syslog_options, log_check_syslog },
	{ "fluentd", "unknown log opt '%s' for fluentd log driver", log_fluentd_options, log_check_fluentd },
	{ "gelf", "unknown log opt \"%s\" for gelf log driver", log_gelf_options, log_check_gelf },
	{ "otlp", "unknown log opt '%s' for otlp log driver", log_otlp_options, log_check_otlp },
};

const char *const *log_driver_names(void)
{
	static const char *const names[] = { "fluentd", "gelf", "json-file", "local", "none", "otlp", "syslog", NULL };

	return names;
}

/* Without an engine, as tests are: the defaults of the table. */
static const struct conf *settings(void)
{
	return engine ? engine->conf : NULL;
}

const char *log_setting(const char *key)
{
	return conf_str(settings(), key);
}

/* As operators list them; an empty list is all there are. */
static bool is_enabled(const struct conf *c, const char *name)
{
	cleanup_strv char **list = strv_split(conf_str(c, "ENABLED_LOG_DRIVERS"), ',');

	for (char **p = list; *p; p++) {
		const char *s = *p + strspn(*p, " \t");
		size_t n = strcspn(s, " \t");

		if (strlen(name) == n && memcmp(name, s, n) == 0)
			return true;
	}
	return !list[0];
}

static const struct log_driver *find_driver(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

static const struct log_option *find_option(const struct log_option *options, const char *name)
{
	for (const struct log_option *o = options; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* ---- what every driver has ------------------------------------------------------------------- */

/* cache-X is X of what Docker keeps for drivers that cannot be read: here the log itself. */
static const struct log_option common_options[] = {
	{ "mode", NULL },
	{ "max-buffer-size", NULL },
	{ "cache-disabled", NULL },
	{ "cache-max-size", check_max_size },
	{ "cache-max-file", check_max_file },
	{ "cache-compress", log_check_bool },
	{ "cache-labels", NULL },
	{ "cache-labels-regex", NULL },
	{ "cache-env", NULL },
	{ "cache-env-regex", NULL },
	{ "cache-tag", NULL },
	{ NULL, NULL },
};

static int check_common(const json_t *opts, struct err *err)
{
	const char *mode = jget_str(opts, "mode", "");
	const char *buffer = jget_str(opts, "max-buffer-size", NULL);
	const char *cache = jget_str(opts, "cache-disabled", NULL);
	int64_t n;
	bool b;

	if (mode[0] && strcmp(mode, "blocking") != 0 && strcmp(mode, "non-blocking") != 0)
		return err_kind(err, ERR_BAD_PARAM, "logger: logging mode not supported: %s", mode);
	if (buffer && strcmp(mode, "non-blocking") != 0 && strcmp(jget_str(opts, "spool-full", ""), "block") != 0)
		return bad(err, "logger: max-buffer-size option is only supported with "
				"'mode=non-blocking'");
	if (buffer && parse_size(buffer, 1024, &n) < 0) {
		struct err why = { 0 };

		go_err_size(buffer, &why);
		return err_kind(err, ERR_BAD_PARAM, "error parsing option max-buffer-size: %s",
				why.msg);
	}
	if (!str_empty(cache) && parse_bool(cache, &b) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid value for option cache-disabled: %s",
				cache);
	return 0;
}

static int check_options(const struct log_driver *d, const json_t *opts, struct err *err)
{
	cleanup_json json_t *sorted = go_json_sorted(json_copy((json_t *)opts));
	const char *name;
	json_t *value;
	int rc;

	json_object_foreach (sorted, name, value) {
		const struct log_option *o = find_option(d->options, name);

		if (!o)
			o = find_option(common_options, name);
		if (!o)
			return err_kind(err, ERR_BAD_PARAM, d->unknown, name);
		if (o->check && (rc = o->check(name, json_string_value(value), err)) < 0)
			return rc;
	}
	return d->check ? d->check(opts, err) : 0;
}

static int check_known(const char *driver, const json_t *opts, struct err *err)
{
	const struct log_driver *d;
	const char *name;
	json_t *value;
	size_t total = 0;
	int rc;

	d = find_driver(driver);
	if (d && strcmp(driver, "none") == 0)
		return 0;
	json_object_foreach ((json_t *)opts, name, value)
		total += strlen(name) + json_string_length(value);
	if (total > MAX_OPTS_BYTES)
		return err_kind(err, ERR_BAD_PARAM, "log options are longer than %d bytes",
				MAX_OPTS_BYTES);
	if ((rc = check_common(opts, err)) < 0)
		return rc;
	if (!d)
		return err_kind(err, ERR_BAD_PARAM,
				"error looking up logging plugin %s: plugin \"%s\" not found",
				driver, driver);
	return check_options(d, opts, err);
}

static int check_driver(const struct conf *c, const char *driver, const json_t *opts, struct err *err)
{
	if (!is_enabled(c, driver))
		return err_kind(err, ERR_BAD_PARAM, "unsupported log driver: %s", driver);
	return check_known(driver, opts, err);
}

int log_opts_check(const char *driver, const json_t *opts, struct err *err)
{
	return check_driver(settings(), driver, opts, err);
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void merge_defaults(const struct conf *c, json_t *opts, bool same_driver)
{
	cleanup_strv char **list = strv_split(conf_str(c, "DEFAULT_LOG_OPTS"), ',');

	for (size_t i = 0; list[i]; i++) {
		char *value = strchr(list[i], '=');

		if (!value)
			continue;
		*value++ = '\0';
		if ((same_driver || str_starts(list[i], "cache-")) &&
		    !json_object_get(opts, list[i]))
			json_object_set_new(opts, list[i], json_string(value));
	}
}

/* Returns the driver's name, which is the config's. */
static const char *complete(const struct conf *c, json_t *log_config)
{
	const char *def = conf_str(c, "DEFAULT_LOG_DRIVER");
	const char *type = jget_str(log_config, "Type", "");
	json_t *opts;

	if (type[0] == '\0') {
		json_object_set_new(log_config, "Type", json_string(def));
		type = jget_str(log_config, "Type", def);
	}
	if (!jget_obj(log_config, "Config"))
		json_object_set_new(log_config, "Config", json_object());
	opts = jget_obj(log_config, "Config");
	if (strcmp(type, "none") != 0)
		merge_defaults(c, opts, strcmp(type, def) == 0);
	json_object_set_new(log_config, "Config", go_json_sorted(json_incref(opts)));
	return type;
}

int log_opts_complete(json_t *log_config, struct err *err)
{
	const char *type = complete(settings(), log_config);

	return check_driver(settings(), type, jget_obj(log_config, "Config"), err);
}

int log_opts_check_defaults_of(const struct conf *c, struct err *err)
{
	cleanup_json json_t *config = json_object();
	const char *type = complete(c, config);
	int rc = check_known(type, jget_obj(config, "Config"), err);

	return rc < 0 ? err_wrap(err, rc, "failed to set log opts") : 0;
}

int log_opts_check_defaults(struct err *err)
{
	return log_opts_check_defaults_of(settings(), err);
}
