/* SPDX-License-Identifier: MPL-2.0
 *
 * service_meta.c - the docker service's metadata, set while the engine runs.
 *
 * Design: a change is tried on a copy of the configuration first (value by value, then the default
 * driver with its options, as a container would get them); only then it is saved, put in force
 * (conf_override), and told to logsvc, which applies it to the zones whose users asked for nothing
 * else. One change at a time.
 *
 * Failure: the record in the store is the truth; whoever dies after it was saved finds it at the next
 * start. <lib>/service.conf is a copy of it in the configuration file's form, for a logsvc that
 * starts before we do; should it be behind, logsvc hears the right values when we connect.
 *
 * Threads: init on the loop before all else; a change on a worker; the rest any.
 *
 * To extend: an upper-case row (or one with underscores) in lib/conf_keys.c is a key here; what its values must be beyond their
 * type is in checks[].
 */
#define LOG_MODULE "service_meta"
#include "apiserver/service_meta.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/engine.h"
#include "apiserver/log_opts.h"
#include "apiserver/logclient.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "log_store.h"
#include "str.h"

#define RECORD	  "service"
#define VALUE_MAX 4096

static char uuid[37];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one change at a time */

/* ---- checks --------------------------------------------------------------------------------- */

static int check_positive_size(const char *key, const char *value, struct err *err)
{
	int64_t n = 0;

	if (parse_size(value, 1000, &n) < 0 || n < 1)
		return err_kind(err, ERR_BAD_PARAM, "%s: must be a positive number of bytes: '%s'", key,
				value);
	return 0;
}

static int check_count(const char *key, const char *value, struct err *err)
{
	int64_t n;

	if (parse_i64(value, 0, 1000000, &n) < 0)
		return err_kind(err, ERR_BAD_PARAM, "%s: must be a number from 0 to 1000000: '%s'",
				key, value);
	return 0;
}

static int check_drivers(const char *key, const char *value, struct err *err)
{
	cleanup_strv char **list = strv_split(value, ',');

	for (char **p = list; *p; p++) {
		const char *const *name = log_driver_names();
		const char *s = *p + strspn(*p, " \t");
		size_t n = strcspn(s, " \t");

		while (*name && (strlen(*name) != n || memcmp(*name, s, n) != 0))
			name++;
		if (!*name || s[n + strspn(s + n, " \t")])
			return err_kind(err, ERR_BAD_PARAM, "%s: unknown log driver: '%s'", key, s);
	}
	return 0;
}

static int check_options(const char *key, const char *value, struct err *err)
{
	cleanup_strv char **list = strv_split(value, ',');

	for (char **p = list; *p; p++) {
		if (!strchr(*p, '=') || **p == '=')
			return err_kind(err, ERR_BAD_PARAM, "%s: not key=value: '%s'", key, *p);
	}
	return 0;
}

static int check_size(const char *key, const char *value, struct err *err)
{
	int64_t n = 0;

	if (parse_size(value, 1000, &n) < 0 || n < 0)
		return err_kind(err, ERR_BAD_PARAM, "%s: must be a number of bytes, or 0: '%s'", key, value);
	return 0;
}

static int check_age(const char *key, const char *value, struct err *err)
{
	int64_t ns;

	if (*value && parse_age_ns(value, &ns) < 0)
		return err_kind(err, ERR_BAD_PARAM, "%s: not a duration such as 12h or 30d: '%s'", key, value);
	return 0;
}

/* Each of the store's settings by itself; together they are looked at once there is a URL (try_all). */
static int check_store(const char *key, const char *value, struct err *err)
{
	struct log_store_settings s = { "s3", "http://h", "b", "path", "r" };
	struct log_store ignored;

	if (!*value)
		return 0;
	if (str_eq(key, "LOG_ARCHIVE_TYPE"))
		s.type = value;
	else if (str_eq(key, "LOG_ARCHIVE_URL"))
		s.url = value;
	else if (str_eq(key, "LOG_ARCHIVE_BUCKET"))
		s.bucket = value;
	else if (str_eq(key, "LOG_ARCHIVE_STYLE"))
		s.style = value;
	else
		s.region = value;
	if (str_eq(s.type, "manta"))
		s.bucket = "l/stor";
	return log_store_parse(&s, &ignored, err);
}

static const struct {
	const char *key;
	int (*check)(const char *key, const char *value, struct err *err);
} checks[] = {
	{ "DEFAULT_MAX_LOG_SIZE", check_positive_size },
	{ "DEFAULT_MAX_LOG_FILES", check_count },
	{ "ENABLED_LOG_DRIVERS", check_drivers },
	{ "DEFAULT_LOG_OPTS", check_options },
	{ "FORWARD_MAX_BACKLOG", check_positive_size },
	{ "FORWARD_GRACE", check_count },
	{ "MAX_TOTAL_LOG_SIZE", check_size },
	{ "MAX_LOG_AGE", check_age },
	{ "LOG_ARCHIVE_URL", check_store },
	{ "LOG_ARCHIVE_TYPE", check_store },
	{ "LOG_ARCHIVE_BUCKET", check_store },
	{ "LOG_ARCHIVE_STYLE", check_store },
	{ "LOG_ARCHIVE_REGION", check_store },
	{ "LOG_ARCHIVE_GRACE", check_count },
};

int service_meta_check(const char *key, const char *value, struct err *err)
{
	int rc;

	if (!conf_is_metadata(key))
		return err_kind(err, ERR_BAD_PARAM, "%.64s is not a key of the service's metadata", key);
	if (strlen(value) > VALUE_MAX)
		return err_kind(err, ERR_BAD_PARAM, "%s: longer than %d bytes", key, VALUE_MAX);
	for (const char *p = value; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"')
			return err_kind(err, ERR_BAD_PARAM,
					"%s: control characters and quotes cannot be in a value", key);
	}
	if ((rc = conf_check(key, value, err)) < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (strcmp(checks[i].key, key) == 0)
			return checks[i].check(key, value, err);
	}
	return 0;
}

int service_meta_check_conf(const struct conf *c, struct err *err)
{
	struct log_store store;
	int rc;

	for (const struct conf_key *k = conf_keys; k->name; k++)
		if (conf_is_metadata(k->name) && (rc = service_meta_check(k->name, conf_str(c, k->name), err)) < 0)
			return rc;
	return log_store_of_conf(c, &store, err);
}

/* ---- keeping -------------------------------------------------------------------------------- */

/* The record of a configuration's overrides: {"uuid", "metadata": {...}}. */
static void record_json(const struct conf *c, struct buf *out)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_str(&w, "uuid", uuid);
	jw_obj(&w, "metadata");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (conf_overridden(c, k->name))
			jw_str(&w, k->name, conf_overridden(c, k->name));
	}
	jw_end(&w);
	jw_end(&w);
}

static int write_copy(const struct conf *c, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	char path[1024];
	int rc;

	if ((rc = str_fmt(path, sizeof(path), "%s/service.conf", engine->paths.lib)) < 0)
		return err_sysnum(err, rc, "path of service.conf");
	buf_addstr(&b, "# Made by apiserver from the service metadata; set it with sdc-dockeradm.\n");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (conf_overridden(c, k->name))
			buf_printf(&b, "%s = \"%s\"\n", k->name, conf_overridden(c, k->name));
	}
	return fs_write_atomic(path, b.p, b.len, 0600, err); /* options of drivers may hold secrets */
}

static int save(const struct conf *c, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err why = { 0 };
	int rc;

	record_json(c, &b);
	if ((rc = store_put(STORE_META, RECORD, buf_str(&b), err)) < 0)
		return rc;
	if (write_copy(c, &why) < 0)
		log_warn("service.conf is behind", "error=%s", log_q(why.msg));
	return 0;
}

static int load(struct err *err)
{
	cleanup_free char *text = NULL;
	cleanup_json json_t *o = NULL;
	const char *key;
	json_t *value;
	int rc;

	if ((rc = store_get(STORE_META, RECORD, &text, err)) < 0 ||
	    (text && (rc = jparse(text, strlen(text), &o, err)) < 0))
		return err_wrap(err, rc, "service metadata");
	str_copy(uuid, sizeof(uuid), jget_str(o, "uuid", ""));
	json_object_foreach (jget_obj(o, "metadata"), key, value) {
		struct err why = { 0 };

		/* a key or value of another release must not keep the engine down */
		if (service_meta_check(key, json_string_value(value), &why) < 0 ||
		    conf_override(engine->conf, key, json_string_value(value), &why) < 0)
			log_err("service metadata: a setting is left out", "error=%s", log_q(why.msg));
	}
	return 0;
}

int service_meta_init(struct err *err)
{
	struct err why = { 0 };
	char id[65];
	int rc;

	if ((rc = load(err)) < 0)
		return rc;
	if (!uuid[0]) {
		id_generate(id);
		id_to_uuid(uuid, id);
		return save(engine->conf, err);
	}
	if (log_opts_check_defaults(&why) < 0)
		log_err("service metadata and configuration file do not agree", "error=%s",
			log_q(why.msg));
	if (write_copy(engine->conf, &why) < 0)
		log_warn("service.conf is behind", "error=%s", log_q(why.msg));
	return 0;
}

const char *service_meta_uuid(void)
{
	return uuid;
}

/* ---- changes -------------------------------------------------------------------------------- */

void meta_changes_free(struct meta_changes *ch)
{
	for (size_t i = 0; i < ch->n; i++) {
		free(ch->v[i].old);
		free(ch->v[i].value);
	}
	free(ch->v);
	*ch = (struct meta_changes){ 0 };
}

/* A value as text; SAPI's are JSON of any scalar type. */
static char *value_text(const json_t *v)
{
	if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v))
		return xstrdup(json_string_value(v));
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	if (json_is_boolean(v))
		return xstrdup(json_is_true(v) ? "true" : "false");
	return NULL;
}

static int try_value(struct conf *trial, const char *key, const json_t *v, struct err *err)
{
	cleanup_free char *text = value_text(v);
	int rc;

	if (!text)
		return err_kind(err, ERR_BAD_PARAM, "%.64s: must be a string, a whole number, true or false",
				key);
	if ((rc = service_meta_check(key, text, err)) < 0)
		return rc;
	return conf_override(trial, key, text, err);
}

static int try_all(struct conf *trial, const json_t *request, struct err *err)
{
	const char *action = jget_str(request, "action", "update");
	const json_t *metadata = jget_obj(request, "metadata");
	bool del = strcmp(action, "delete") == 0;
	struct log_store store;
	const char *key;
	json_t *value;
	int rc;

	if (!del && strcmp(action, "update") != 0)
		return err_kind(err, ERR_BAD_PARAM, "action must be update or delete: '%.64s'", action);
	if (!metadata)
		return err_kind(err, ERR_BAD_PARAM, "metadata must be an object");
	json_object_foreach ((json_t *)metadata, key, value) {
		rc = del ? conf_override(trial, key, NULL, err) : try_value(trial, key, value, err);
		if (rc < 0)
			return rc;
	}
	if ((rc = log_store_of_conf(trial, &store, err)) < 0)
		return rc;
	return log_opts_check_defaults_of(trial, err);
}

static void put_in_force(const struct conf *trial, struct meta_changes *out)
{
	struct err ignored = { 0 };

	for (const struct conf_key *k = conf_keys; k->name; k++) {
		cleanup_free char *old = xstrdup(conf_str(engine->conf, k->name));
		struct meta_change *m;

		if (!conf_is_metadata(k->name))
			continue;
		/* checked already */
		(void)conf_override(engine->conf, k->name, conf_overridden(trial, k->name), &ignored);
		if (strcmp(old, conf_str(engine->conf, k->name)) == 0)
			continue;
		out->v = xrealloc(out->v, (out->n + 1) * sizeof(*out->v));
		m = &out->v[out->n++];
		m->key = k->name;
		m->value = xstrdup(conf_str(engine->conf, k->name));
		m->old = take_ptr(&old);
	}
}

int service_meta_change(const char *body, size_t len, struct meta_changes *out, struct err *err)
{
	cleanup_json json_t *request = NULL;
	struct conf *trial;
	int rc;

	if ((rc = jparse(body, len, &request, err)) < 0) {
		err->kind = ERR_BAD_PARAM;
		return rc;
	}
	pthread_mutex_lock(&lock);
	trial = conf_dup(engine->conf);
	if ((rc = try_all(trial, request, err)) == 0 && (rc = save(trial, err)) == 0) {
		struct err why = { 0 };

		put_in_force(trial, out);
		if (out->n && logclient_set_defaults(&why) < 0)
			log_warn("logsvc will hear of the change later", "error=%s", log_q(why.msg));
	}
	conf_free(trial);
	pthread_mutex_unlock(&lock);
	return rc;
}

void service_meta_json(struct buf *out)
{
	const struct conf *c = engine->conf;
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_str(&w, "uuid", uuid);
	jw_str(&w, "name", "docker");
	jw_obj(&w, "metadata");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		const char *value = conf_overridden(c, k->name);

		if (value)
			jw_str(&w, k->name, value);
	}
	jw_end(&w);
	jw_obj(&w, "effective");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (conf_is_metadata(k->name))
			jw_str(&w, k->name, conf_str(c, k->name));
	}
	jw_end(&w);
	jw_end(&w);
}
