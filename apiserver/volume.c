/* SPDX-License-Identifier: MPL-2.0
 *
 * volume.c - named volumes.
 *
 * Design: a record in the store (STORE_VOLUME, key: name:
 * {"created_ns","driver","labels","opts","anonymous"}) and a directory. The index is in memory
 * behind one mutex; what takes long (removal and measuring of trees) is done without it. Who refers
 * to a volume is not stored: containers' records say it, and recovery calls volume_ref.
 *
 * Failure: creation makes the directory first, then the record; removal renames the directory to
 * .removed-NAME, then drops the record, then the tree. volume_init finishes what a crash cut short:
 * a record whose directory has been renamed is dropped, and every .removed-* tree goes. A directory
 * without a record is left alone: it may be somebody's data.
 */
#include "volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "engine.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#define LOG_MODULE "volume"
#include "log.h"
#include "map.h"
#include "store.h"
#include "str.h"

#define ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volume {
	char *name;
	int64_t created_ns;
	char *labels, *opts; /* JSON objects as text, or NULL */
	bool anonymous;
	char **refs; /* containers that name it, each once */
	unsigned n_mounts;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map volumes;

static void volume_free(void *p)
{
	struct volume *v = p;

	if (!v)
		return;
	free(v->name);
	free(v->labels);
	free(v->opts);
	strv_free(v->refs);
	free(v);
}

static char *dir_path(const char *name, const char *rest)
{
	return xasprintf("%s/volumes/%s%s", engine->paths.lib, name, rest);
}

static char *removed_path(const char *name)
{
	return xasprintf("%s/volumes/.removed-%s", engine->paths.lib, name);
}

static json_t *object_of(const char *text)
{
	struct err ignored = { 0 };
	json_t *o = NULL;

	return text && jparse(text, strlen(text), &o, &ignored) >= 0 ? o : NULL;
}

static char *object_text(const json_t *o)
{
	return json_is_object(o) && json_object_size(o) ? json_dumps(o, JSON_COMPACT) : NULL;
}

static int not_found(const char *name, struct err *err)
{
	return err_kind(err, ERR_NOT_FOUND, "get%s%s: no such volume", *name ? " " : "", name);
}

/* ---- persisted form ---- */

static int save(const struct volume *v, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_int(&w, "created_ns", v->created_ns);
	jw_str(&w, "driver", "local");
	if (v->labels)
		jw_raw(&w, "labels", v->labels);
	if (v->opts)
		jw_raw(&w, "opts", v->opts);
	jw_bool(&w, "anonymous", v->anonymous);
	jw_end(&w);
	return store_put(STORE_VOLUME, v->name, buf_str(&b), err);
}

static int load_one(const char *key, const char *text, void *arg, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct volume *v;

	(void)arg;
	if (jparse(text, strlen(text), &o, err) < 0) {
		log_err("stored volume ignored", "volume=%s why=%s", log_q(key), log_q(err->msg));
		*err = (struct err){ 0 };
		return 0;
	}
	v = xcalloc(1, sizeof(*v));
	v->name = xstrdup(key);
	v->created_ns = jget_int(o, "created_ns", 0);
	v->labels = object_text(jget_obj(o, "labels"));
	v->opts = object_text(jget_obj(o, "opts"));
	v->anonymous = jget_bool(o, "anonymous", false);
	volume_free(map_set(&volumes, key, v));
	return 0;
}

/* Ends the removals that a crash interrupted. */
static void finish_removals(const char *dir)
{
	cleanup_dir DIR *d = opendir(dir);
	struct err err = { 0 };
	struct dirent *de;

	while (d && (de = readdir(d))) {
		const char *name = de->d_name + strlen(".removed-");
		cleanup_free char *path = NULL;

		if (!str_starts(de->d_name, ".removed-"))
			continue;
		path = dir_path(name, "");
		if (!fs_exists(path) && map_get(&volumes, name) &&
		    store_del(STORE_VOLUME, name, &err) >= 0)
			volume_free(map_del(&volumes, name));
		if (fs_remove_tree(dirfd(d), de->d_name, &err) < 0)
			log_warn("removed volume's tree stays", "why=%s", log_q(err.msg));
	}
}

int volume_init(struct err *err)
{
	cleanup_free char *dir = xasprintf("%s/volumes", engine->paths.lib);
	struct map_iter it = { 0 };
	const char *name;
	void *v;
	int rc;

	map_init(&volumes);
	if ((rc = fs_mkdir_p(dir, 0711, err)) < 0 ||
	    (rc = store_each(STORE_VOLUME, load_one, NULL, err)) < 0)
		return rc;
	finish_removals(dir);
	while (map_next(&volumes, &it, &name, &v)) {
		cleanup_free char *data = dir_path(name, "/_data");

		if (fs_exists(data))
			continue;
		log_warn("volume's directory was missing", "volume=%s", log_q(name));
		if ((rc = fs_mkdir_p(data, 0755, err)) < 0)
			return rc;
	}
	return 0;
}

void volume_fini(void)
{
	pthread_mutex_lock(&lock);
	map_fini(&volumes, volume_free);
	map_init(&volumes);
	pthread_mutex_unlock(&lock);
}

/* ---- create ---- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int check_name(const char *name, struct err *err)
{
	bool ok = is_name_char(name[0]);

	if (strlen(name) == 1)
		return err_kind(err, ERR_BAD_PARAM,
				"create %s: volume name is too short, names should be at least two "
				"alphanumeric "
				"characters",
				name);
	for (const char *p = name; *p; p++)
		ok &= is_name_char(*p) || strchr("_.-", *p);
	if (!ok)
		return err_kind(
			err, ERR_BAD_PARAM,
			"create %s: \"%s\" includes invalid characters for a local volume name, "
			"only "
			"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
			"directory, use absolute path",
			name, name);
	if (strlen(name) > 240)
		return err_kind(err, ERR_BAD_PARAM, "create %.40s...: volume name is too long",
				name);
	return 0;
}

static int check_opts(const char *name, const json_t *opts, struct err *err)
{
	static const char *const needs[][2] = {
		{ "device", "type" },
		{ "type", "device" },
		{ "o", "device" },
		{ "o", "type" },
	};
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)opts, key, v) {
		if (!str_eq(key, "type") && !str_eq(key, "o") && !str_eq(key, "device"))
			return err_kind(err, ERR_BAD_PARAM, "create %s: invalid option: \"%s\"",
					name, key);
		if (!json_is_string(v))
			return err_kind(err, ERR_BAD_PARAM,
					"create %s: option \"%s\" is not a string", name, key);
	}
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (json_object_get(opts, needs[i][0]) && !json_object_get(opts, needs[i][1]))
			return err_kind(err, ERR_BAD_PARAM,
					"create %s: missing required option: \"%s\"", name,
					needs[i][1]);
	return 0;
}

/* With the lock. */
static int create_new(struct volume *v, struct err *err)
{
	cleanup_free char *dir = dir_path(v->name, ""), *data = dir_path(v->name, "/_data");
	int rc;

	if ((rc = fs_mkdir_p(data, 0755, err)) < 0)
		return err_wrap(err, rc, "create %s", v->name);
	if (chmod(dir, 0711) < 0)
		return err_sys(err, "create %s: chmod %s", v->name, dir);
	if ((rc = save(v, err)) < 0)
		return rc;
	map_set(&volumes, v->name, v);
	return 0;
}

int volume_create(const char *name, const char *driver, const json_t *labels, const json_t *opts,
		  char **out_name, bool *created, struct err *err)
{
	struct volume *v;
	bool is_new;
	char id[65];
	int rc;

	if (!str_empty(driver) && !str_eq(driver, "local"))
		return err_kind(
			err, ERR_NOT_FOUND,
			"create %s: error looking up volume plugin %s: plugin \"%s\" not found",
			name ? name : "", driver, driver);
	if (str_empty(name))
		id_generate(id);
	else if ((rc = check_name(name, err)) < 0)
		return rc;
	v = xcalloc(1, sizeof(*v));
	v->name = xstrdup(str_empty(name) ? id : name);
	v->created_ns = now_ns();
	v->anonymous = str_empty(name);
	v->opts = object_text(opts);
	v->labels = object_text(labels);
	if (v->anonymous) {
		json_t *l = labels ? json_deep_copy(labels) : json_object();

		if (!json_object_get(l, ANONYMOUS_LABEL))
			json_object_set_new(l, ANONYMOUS_LABEL, json_string(""));
		free(v->labels);
		v->labels = object_text(l);
		json_decref(l);
	}
	*out_name = NULL;
	pthread_mutex_lock(&lock);
	is_new = !map_get(&volumes, v->name);
	rc = is_new ? check_opts(v->name, opts, err) : 0;
	if (rc >= 0 && is_new)
		rc = create_new(v, err);
	if (rc >= 0)
		*out_name = xstrdup(v->name);
	pthread_mutex_unlock(&lock);
	if (rc < 0 || !is_new)
		volume_free(v);
	if (rc >= 0 && created)
		*created = is_new;
	return rc;
}

/* ---- use ---- */

/* True when the options make it a bind of a host's directory. */
static bool is_bind(const json_t *opts)
{
	char **o = strv_split(jget_str(opts, "o", ""), ',');
	bool bind = strv_has(o, "bind") || strv_has(o, "rbind");

	strv_free(o);
	return bind;
}

int volume_mount(const char *name, const char *ct_id, char **out_path, struct err *err)
{
	cleanup_json json_t *opts = NULL;
	struct volume *v;
	struct stat st;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	if (v) {
		v->n_mounts++;
		opts = object_of(v->opts);
	}
	pthread_mutex_unlock(&lock);
	if (!v)
		return not_found(name, err);
	if (!opts || !is_bind(opts)) {
		*out_path = dir_path(name, "/_data");
		return 0;
	}
	if (stat(jget_str(opts, "device", ""), &st) < 0) {
		int rc = err_sys(err,
				 "failed to populate volume: error while mounting volume '%s': "
				 "failed to mount "
				 "local volume: mount %s",
				 name, jget_str(opts, "device", ""));

		volume_unmount(name, ct_id);
		return rc;
	}
	*out_path = xstrdup(jget_str(opts, "device", ""));
	return 0;
}

void volume_unmount(const char *name, const char *ct_id)
{
	struct volume *v;

	(void)ct_id;
	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	if (v && v->n_mounts)
		v->n_mounts--;
	pthread_mutex_unlock(&lock);
}

void volume_fs_fini(struct volume_fs *fs)
{
	free(fs->type);
	free(fs->source);
	strv_free(fs->options);
	*fs = (struct volume_fs){ 0 };
}

/* The kernel wants an address where mount(8) takes a name: "addr=server" -> "addr=10.0.0.1". */
static void resolve_addr(char **options)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res = NULL;
	char ip[INET6_ADDRSTRLEN] = "";

	for (; *options; options++) {
		if (!str_starts(*options, "addr=") ||
		    getaddrinfo(*options + 5, NULL, &hints, &res) != 0)
			continue;
		if (getnameinfo(res->ai_addr, res->ai_addrlen, ip, sizeof(ip), NULL, 0,
				NI_NUMERICHOST) == 0) {
			free(*options);
			*options = xasprintf("addr=%s", ip);
		}
		freeaddrinfo(res);
	}
}

bool volume_fs(const char *name, struct volume_fs *out)
{
	cleanup_json json_t *opts = NULL;
	char **words;
	struct volume *v;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	opts = v ? object_of(v->opts) : NULL;
	pthread_mutex_unlock(&lock);
	if (!opts || is_bind(opts))
		return false;
	*out = (struct volume_fs){ 0 };
	out->type = xstrdup(jget_str(opts, "type", ""));
	out->source = xstrdup(jget_str(opts, "device", ""));
	words = strv_split(jget_str(opts, "o", ""), ',');
	out->options = xcalloc(1, sizeof(char *));
	for (char **w = words; *w; w++)
		if (**w)
			strv_add(&out->options, *w);
	strv_free(words);
	if (str_starts(out->type, "nfs") || str_eq(out->type, "cifs"))
		resolve_addr(out->options);
	return true;
}

void volume_ref(const char *name, const char *ct_id)
{
	struct volume *v;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	if (v && (!v->refs || !strv_has(v->refs, ct_id)))
		strv_add(&v->refs, ct_id);
	pthread_mutex_unlock(&lock);
}

void volume_unref(const char *name, const char *ct_id)
{
	char **kept = NULL;
	struct volume *v;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	for (char **r = v ? v->refs : NULL; r && *r; r++)
		if (!str_eq(*r, ct_id))
			strv_add(&kept, *r);
	if (v) {
		strv_free(v->refs);
		v->refs = kept;
	}
	pthread_mutex_unlock(&lock);
}

int volume_exists(const char *name)
{
	bool there;

	pthread_mutex_lock(&lock);
	there = map_get(&volumes, name);
	pthread_mutex_unlock(&lock);
	return there;
}

int volume_path(const char *name, char **out_path, struct err *err)
{
	if (!volume_exists(name))
		return not_found(name, err);
	*out_path = dir_path(name, "/_data");
	return 0;
}

/* ---- remove ---- */

static int in_use(const struct volume *v, struct err *err)
{
	cleanup_buf struct buf ids = BUF_INIT;

	for (char **r = v->refs; *r; r++)
		buf_printf(&ids, "%s%s", r == v->refs ? "" : ", ", *r);
	return err_kind(err, ERR_CONFLICT, "remove %s: volume is in use - [%s]", v->name,
			buf_str(&ids));
}

/* With the lock: out of the index, the store and the way. */
static int take_out(struct volume *v, struct err *err)
{
	cleanup_free char *dir = dir_path(v->name, ""), *away = removed_path(v->name);
	int rc;

	if (v->refs && v->refs[0])
		return in_use(v, err);
	if (rename(dir, away) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s: rename %s", v->name, dir);
	if ((rc = store_del(STORE_VOLUME, v->name, err)) < 0) {
		if (rename(away, dir) < 0)
			log_err("volume's directory is out of place", "path=%s", log_q(away));
		return rc;
	}
	volume_free(map_del(&volumes, v->name));
	return 0;
}

int volume_remove(const char *name, bool force, struct err *err)
{
	cleanup_free char *away = removed_path(name), *own_name = xstrdup(name);
	struct volume *v;
	int rc;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	rc = v ? take_out(v, err) : force ? 1 : not_found(name, err);
	pthread_mutex_unlock(&lock);
	if (rc)
		return rc < 0 ? rc : 0;
	if ((rc = fs_remove_tree(AT_FDCWD, away, err)) < 0)
		return err_wrap(err, rc, "remove %s", own_name);
	return 0;
}

/* ---- reading ---- */

int64_t volume_size(const char *name)
{
	cleanup_free char *dir = dir_path(name, "");
	int64_t bytes;

	return fs_tree_size(AT_FDCWD, dir, &bytes) < 0 ? 0 : bytes;
}

/* Docker writes whole seconds. */
static void put_created(struct jw *w, int64_t ns)
{
	char text[RFC3339NANO_MAX];

	fmt_rfc3339nano(text, ns - ns % 1000000000);
	jw_str(w, "CreatedAt", text);
}

/* size < 0: no UsageData. */
static void put_volume(struct jw *w, const struct volume *v, int64_t size)
{
	cleanup_free char *data = dir_path(v->name, "/_data");

	jw_obj(w, NULL);
	put_created(w, v->created_ns);
	jw_str(w, "Driver", "local");
	jw_raw(w, "Labels", v->labels ? v->labels : "null");
	jw_str(w, "Mountpoint", data);
	jw_str(w, "Name", v->name);
	jw_raw(w, "Options", v->opts ? v->opts : "null");
	jw_str(w, "Scope", "local");
	if (size >= 0) {
		jw_obj(w, "UsageData");
		jw_int(w, "RefCount", v->refs ? (int64_t)strv_len(v->refs) : 0);
		jw_int(w, "Size", size);
		jw_end(w);
	}
	jw_end(w);
}

int volume_inspect(const char *name, struct buf *out, struct err *err)
{
	struct jw w = JW(out);
	const struct volume *v;

	pthread_mutex_lock(&lock);
	v = map_get(&volumes, name);
	if (v)
		put_volume(&w, v, -1);
	pthread_mutex_unlock(&lock);
	return v ? 0 : not_found(name, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct volume_info *)a)->name, ((const struct volume_info *)b)->name);
}

void volume_list(struct volume_info **out, size_t *n_out)
{
	struct volume_info *list = NULL;
	struct map_iter it = { 0 };
	const char *name;
	size_t n = 0;
	void *p;

	pthread_mutex_lock(&lock);
	if (volumes.len)
		list = xcalloc(volumes.len, sizeof(*list));
	while (map_next(&volumes, &it, &name, &p)) {
		const struct volume *v = p;
		struct buf json = BUF_INIT;
		struct jw w = JW(&json);

		put_volume(&w, v, -1);
		list[n++] = (struct volume_info){ .name = xstrdup(v->name),
						  .driver = "local",
						  .labels = xstrdup(v->labels),
						  .anonymous = v->anonymous,
						  .n_refs = v->refs ? strv_len(v->refs) : 0,
						  .json = buf_steal(&json) };
	}
	pthread_mutex_unlock(&lock);
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	*out = list;
	*n_out = n;
}

void volume_info_free(struct volume_info *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].labels);
		free(v[i].json);
	}
	free(v);
}

void volume_df_json(struct buf *out, int64_t *total)
{
	struct jw w = JW(out);
	struct volume_info *list;
	int64_t sum = 0;
	size_t n;

	volume_list(&list, &n);
	jw_arr(&w, NULL);
	for (size_t i = 0; i < n; i++) {
		int64_t size = volume_size(list[i].name);
		const struct volume *v;

		pthread_mutex_lock(&lock);
		v = map_get(&volumes, list[i].name);
		if (v)
			put_volume(&w, v, size);
		pthread_mutex_unlock(&lock);
		sum += size;
	}
	jw_end(&w);
	volume_info_free(list, n);
	if (total)
		*total = sum;
}
