/* SPDX-License-Identifier: MPL-2.0
 *
 * image_store.c - images: their configurations on disk, the index, finding one by what users type.
 *
 * Design: an image is its config JSON, verbatim in <lib>/images/sha256/<digest>, and a record in the
 * database with what is ours: parent, when it was tagged. The config is written without fsync and
 * checked against its own digest at start, so a power cut can at most lose an image.
 *
 * Order on adding: layers (in place), config file, database. On removing: database, config file,
 * layers. So after a crash there are only files too many, and image_store_init removes them.
 *
 * Threads: any; one recursive lock (image_index.h). struct image never changes once made.
 */
#define LOG_MODULE "image"
#include "apiserver/image_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "map.h"
#include "str.h"

#define CONFIG_MAX (8 * 1024 * 1024)

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	struct map by_id; /* sha256:... -> struct image_entry */
} index_ = { .once = PTHREAD_ONCE_INIT };

static void lock_init(void)
{
	pthread_mutexattr_t at;

	pthread_mutexattr_init(&at);
	pthread_mutexattr_settype(&at, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&index_.lock, &at);
	pthread_mutexattr_destroy(&at);
}

void image_lock(void)
{
	pthread_once(&index_.once, lock_init);
	pthread_mutex_lock(&index_.lock);
}

void image_unlock(void)
{
	pthread_mutex_unlock(&index_.lock);
}

void image_hold_begin(void)
{
	layer_hold();
}

void image_hold_end(void)
{
	layer_release();
}

/* ---------------------------------------------------------------- struct image */

struct image *image_ref(struct image *img)
{
	__atomic_add_fetch(&img->refs_, 1, __ATOMIC_RELAXED);
	return img;
}

void image_unref(struct image *img)
{
	if (!img || __atomic_sub_fetch(&img->refs_, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(img->config_text);
	strv_free(img->diff_ids);
	strv_free(img->layer_dirs);
	free(img->os);
	free(img->architecture);
	free(img->variant);
	free(img->parent);
	image_unref(img->older_);
	free(img);
}

static struct image *image_clone(struct image *img, const char *parent)
{
	struct image *c = xcalloc(1, sizeof(*c));

	*c = *img;
	c->refs_ = 1;
	c->config_text = xstrdup(img->config_text);
	c->diff_ids = strv_dup(img->diff_ids);
	c->layer_dirs = strv_dup(img->layer_dirs);
	c->os = xstrdup(img->os);
	c->architecture = xstrdup(img->architecture);
	c->variant = xstrdup(img->variant);
	c->parent = xstrdup(parent);
	c->older_ = img;
	return c;
}

static int read_diff_ids(const json_t *config, char ***out, struct err *err)
{
	json_t *rootfs = jget_obj(config, "rootfs");
	char **v = jget_strv(rootfs, "diff_ids");

	for (size_t i = 0; v[i]; i++) {
		if (image_id_valid(v[i]) && i < IMAGE_LAYERS_MAX)
			continue;
		strv_free(v);
		return err_kind(err, ERR_BAD_PARAM, "invalid image configuration: bad rootfs.diff_ids");
	}
	*out = v;
	return 0;
}

static struct image *image_make(const char *id, const char *text, size_t len, const json_t *config,
				const char *parent)
{
	struct image *img = xcalloc(1, sizeof(*img));
	const char *created = jget_str(config, "created", "");

	img->refs_ = 1;
	str_copy(img->id, sizeof(img->id), id);
	img->config_text = xstrndup(text, len);
	img->os = xstrdup(jget_str(config, "os", ""));
	img->architecture = xstrdup(jget_str(config, "architecture", ""));
	img->variant = xstrdup(jget_str(config, "variant", ""));
	img->parent = xstrdup(parent ? parent : "");
	if (parse_rfc3339_ns(created, strlen(created), &img->created_ns) < 0)
		img->created_ns = 0;
	return img;
}

static void entry_free(struct image_entry *e)
{
	if (!e)
		return;
	image_unref(e->img);
	strv_free(e->chains);
	free(e->labels_text);
	free(e->names);
	free(e);
}

/* Fills in the layers; each must be there. */
static int entry_layers(struct image_entry *e, struct err *err)
{
	char chain[72] = "", parent[72], dir[1024];
	struct layer_info info;

	e->img->layer_dirs = strv_split("", ' ');
	e->chains = strv_split("", ' ');
	for (char **d = e->img->diff_ids; *d; d++) {
		str_copy(parent, sizeof(parent), chain);
		layer_chain_id(parent, *d, chain);
		if (!layer_find(chain, &info))
			return err_kind(err, ERR_SYSTEM, "layer %s is missing", *d);
		layer_diff_dir(chain, dir);
		strv_add(&e->img->layer_dirs, dir);
		strv_add(&e->chains, chain);
		e->img->size += info.size;
	}
	return 0;
}

static int entry_make(const char *id, const char *text, size_t len, const char *parent,
		      struct image_entry **out, struct err *err)
{
	cleanup_json json_t *config = NULL;
	cleanup_strv char **diff_ids = NULL;
	struct image_entry *e;
	json_t *labels;
	int rc;

	if ((rc = jparse(text, len, &config, err)) < 0)
		return err_wrap(err, rc, "invalid image configuration");
	if (!json_is_object(config))
		return err_kind(err, ERR_BAD_PARAM, "invalid image configuration: not an object");
	if ((rc = read_diff_ids(config, &diff_ids, err)) < 0)
		return rc;
	e = xcalloc(1, sizeof(*e));
	e->img = image_make(id, text, len, config, parent);
	e->img->diff_ids = take_ptr(&diff_ids);
	labels = jget_obj(jget_obj(config, "config"), "Labels");
	e->labels_text = labels ? json_dumps(labels, JSON_COMPACT) : xstrdup("null");
	if ((rc = entry_layers(e, err)) < 0) {
		entry_free(e);
		return rc;
	}
	*out = e;
	return 0;
}

/* ---------------------------------------------------------------- the index, lock held */

struct image_entry *image_entry_find(const char *image_id)
{
	return map_get(&index_.by_id, image_id);
}

static struct image_entry **entries(bool hidden, size_t *n)
{
	struct image_entry **v = xcalloc(index_.by_id.len + 1, sizeof(*v));
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	*n = 0;
	while (map_next(&index_.by_id, &it, &key, &value)) {
		struct image_entry *e = value;

		if (e->hidden == hidden)
			v[(*n)++] = e;
	}
	return v;
}

struct image_entry **image_entries(size_t *n)
{
	return entries(false, n);
}

struct image_entry **image_entries_hidden(size_t *n)
{
	return entries(true, n);
}

bool image_any_hidden(void)
{
	cleanup_free struct image_entry **v = NULL;
	size_t n;

	image_lock();
	v = image_entries_hidden(&n);
	image_unlock();
	return n > 0;
}

bool image_has_children(const char *image_id)
{
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	while (map_next(&index_.by_id, &it, &key, &value)) {
		struct image_entry *e = value;

		if (!e->hidden && str_eq(e->img->parent, image_id))
			return true;
	}
	return false;
}

bool image_entry_held(const struct image_entry *e)
{
	for (struct image *img = e->img; img; img = img->older_)
		if (__atomic_load_n(&img->refs_, __ATOMIC_ACQUIRE) > 1)
			return true;
	return false;
}

int image_entry_save(const struct image_entry *e, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_str(&w, "parent", e->img->parent);
	jw_int(&w, "added_ns", e->added_ns);
	jw_int(&w, "last_tag_ns", e->last_tag_ns);
	if (e->hidden)
		jw_bool(&w, "hidden", true);
	if (e->built)
		jw_bool(&w, "built", true);
	jw_end(&w);
	return store_put(STORE_IMAGE, e->img->id, buf_str(&b), err);
}

static void config_path(const char *id, char out[1024])
{
	snprintf(out, 1024, "%s/images/sha256/%s", engine->paths.lib, id + 7);
}

int image_entry_remove(struct image_entry *e, struct err *err)
{
	char path[1024];
	int rc;

	while (e->n_names)
		if ((rc = image_name_del(e->names[0], err)) < 0)
			return rc;
	if ((rc = store_del(STORE_IMAGE, e->img->id, err)) < 0)
		return rc;
	config_path(e->img->id, path);
	unlink(path);
	for (char **c = e->chains; *c; c++)
		layer_unref(*c);
	map_del(&index_.by_id, e->img->id);
	entry_free(e);
	return 0;
}

static void entry_insert(struct image_entry *e)
{
	for (char **c = e->chains; *c; c++)
		layer_ref(*c);
	map_set(&index_.by_id, e->img->id, e);
}

/* ---------------------------------------------------------------- adding */

void image_digest_of(const void *p, size_t len, char out[72])
{
	unsigned char d[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(p, len, d, NULL, EVP_sha256(), NULL))
		abort();
	memcpy(out, "sha256:", 7);
	hex_encode(out + 7, d, 32);
}

static int add_new(const char *id, const char *text, size_t len, const char *parent, bool built,
		   struct err *err)
{
	struct image_entry *e = NULL;
	char path[1024];
	int rc;

	if ((rc = entry_make(id, text, len, parent, &e, err)) < 0)
		return rc;
	e->added_ns = now_ns();
	e->built = built;
	config_path(id, path);
	if ((rc = fs_write_replace(path, text, len, 0600, err)) < 0 ||
	    (rc = image_entry_save(e, err)) < 0) {
		entry_free(e);
		return rc;
	}
	entry_insert(e);
	return 0;
}

static int add(const char *config_text, size_t len, const char *parent_id, bool built, char out_id[72],
	       struct err *err)
{
	struct image_entry *e;
	char id[72];
	int rc = 0;

	if (len > CONFIG_MAX)
		return err_kind(err, ERR_BAD_PARAM, "image configuration is too large");
	image_digest_of(config_text, len, id);
	image_lock();
	e = image_entry_find(id);
	if (e && e->hidden) {
		e->hidden = false;
		rc = image_entry_save(e, err);
	} else if (!e) {
		rc = add_new(id, config_text, len, parent_id, built, err);
	}
	image_unlock();
	if (rc < 0)
		return rc;
	str_copy(out_id, 72, id);
	return 0;
}

int image_add(const char *config_text, size_t len, const char *parent_id, char out_id[72],
	      struct err *err)
{
	return add(config_text, len, parent_id, false, out_id, err);
}

int image_add_built(const char *config_text, size_t len, const char *parent_id, char out_id[72],
		    struct err *err)
{
	return add(config_text, len, parent_id, true, out_id, err);
}

/* With the lock held. */
static bool descends_from(const char *id, const char *ancestor)
{
	struct image_entry *e;

	for (size_t i = 0; i <= index_.by_id.len && (e = image_entry_find(id)); i++) {
		if (str_eq(id, ancestor))
			return true;
		id = e->img->parent;
	}
	return false;
}

int image_set_parent(const char *image_id, const char *parent_id, struct err *err)
{
	struct image_entry *e;
	struct image *was;
	int rc = 0;

	image_lock();
	e = image_entry_find(image_id);
	if (!e || descends_from(parent_id, image_id)) {
		rc = err_kind(err, ERR_NOT_FOUND, "failed to set parent for %s to %s", image_id,
			      parent_id);
	} else if (!str_eq(e->img->parent, parent_id)) {
		was = e->img;
		e->img = image_clone(was, parent_id);
		if ((rc = image_entry_save(e, err)) < 0) {
			e->img->older_ = NULL;
			image_unref(e->img);
			e->img = was;
		}
	}
	image_unlock();
	return rc;
}

/* ---------------------------------------------------------------- finding */

/* The only one whose ID starts with prefix (hex, or sha256:hex); NULL for none or several. */
static struct image_entry *find_prefix(const char *prefix)
{
	struct image_entry *found = NULL;
	struct map_iter it = { 0 };
	const char *key, *hex = str_starts(prefix, "sha256:") ? prefix + 7 : prefix;
	size_t len = strlen(hex);
	void *value;

	if (!len || len > 64 || strspn(hex, "0123456789abcdef") != len)
		return NULL;
	while (map_next(&index_.by_id, &it, &key, &value)) {
		struct image_entry *e = value;

		if (e->hidden || strncmp(key + 7, hex, len) != 0)
			continue;
		if (found)
			return NULL;
		found = e;
	}
	return found;
}

static struct image_entry *lookup(const char *text, const struct image_ref *ref, bool *by_name)
{
	cleanup_free char *key = NULL;
	struct image_name *n;

	*by_name = false;
	if (image_ref_is_id(ref))
		return image_entry_find(ref->digest);
	key = image_ref_key(ref);
	n = image_name_find(key);
	if (n) {
		*by_name = true;
		return image_entry_find(n->image_id);
	}
	return find_prefix(text);
}

static int find_image(const char *text, bool hidden_too, struct image **out, char **name,
		      struct err *err)
{
	cleanup_free char *familiar = NULL;
	struct image_ref ref;
	struct image_entry *e;
	bool by_name;
	int rc;

	if ((rc = image_ref_parse_any(text, &ref, err)) < 0)
		return rc;
	image_lock();
	e = lookup(text, &ref, &by_name);
	if (e && e->hidden && !hidden_too)
		e = NULL;
	if (e)
		*out = image_ref(e->img);
	image_unlock();
	image_ref_default_tag(&ref);
	familiar = image_ref_familiar(&ref);
	if (!e)
		return err_kind(err, ERR_NOT_FOUND, "No such image: %s", familiar);
	if (name)
		*name = by_name ? take_ptr(&familiar) : NULL;
	return 0;
}

int image_get(const char *ref, struct image **out, struct err *err)
{
	return find_image(ref, true, out, NULL, err);
}

int image_resolve(const char *ref, struct image **out, char **name, struct err *err)
{
	return find_image(ref, false, out, name, err);
}

/* ---------------------------------------------------------------- start */

static int load_one(const char *id, const char *json, void *arg, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct image_entry *e = NULL;
	struct err why = { 0 };
	char path[1024], digest[72];
	char ***drop = arg;
	int rc;

	(void)err;
	if (!image_id_valid(id)) {
		strv_add(drop, id);
		return 0;
	}
	config_path(id, path);
	rc = fs_read_file(path, CONFIG_MAX, &text, &why);
	if (rc == 0) {
		image_digest_of(buf_str(&text), text.len, digest);
		if (!str_eq(digest, id))
			rc = err_kind(&why, ERR_SYSTEM, "its configuration is damaged");
	}
	if (rc == 0)
		rc = jparse(json, strlen(json), &o, &why);
	if (rc == 0)
		rc = entry_make(id, text.p, text.len, jget_str(o, "parent", ""), &e, &why);
	if (rc < 0) {
		log_warn("image dropped", "image=%s why=%s", id, log_q(why.msg));
		strv_add(drop, id);
		return 0;
	}
	e->added_ns = jget_int(o, "added_ns", 0);
	e->last_tag_ns = jget_int(o, "last_tag_ns", 0);
	e->hidden = jget_bool(o, "hidden", false);
	e->built = jget_bool(o, "built", false);
	entry_insert(e);
	return 0;
}

/* Config files that no record names: a crash came between the two. */
static void sweep_configs(const char *dir)
{
	cleanup_dir DIR *d = opendir(dir);
	struct dirent *e;
	char id[72];

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(id, sizeof(id), "sha256:%.64s", e->d_name);
		if (!image_entry_find(id))
			unlinkat(dirfd(d), e->d_name, 0);
	}
}

int image_store_init(struct err *err)
{
	cleanup_strv char **drop = strv_split("", ' ');
	char dir[700];
	int rc;

	map_init(&index_.by_id);
	snprintf(dir, sizeof(dir), "%s/images/sha256", engine->paths.lib);
	if ((rc = fs_mkdir_p(dir, 0700, err)) < 0 || (rc = layer_init(err)) < 0)
		return rc;
	image_lock();
	rc = store_each(STORE_IMAGE, load_one, &drop, err);
	for (char **id = drop; rc == 0 && *id; id++)
		rc = store_del(STORE_IMAGE, *id, err);
	if (rc == 0)
		rc = image_names_init(err);
	if (rc == 0)
		sweep_configs(dir);
	image_unlock();
	if (rc == 0)
		layer_collect();
	return rc;
}
