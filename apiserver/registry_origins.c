/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_origins.c - where the compressed form of a layer is known to be.
 *
 *	STORE_META "blobs/<diff id>": [{"digest", "size", "repo"}, ...], the newest first
 *	STORE_META "streams/<what names it>": {"diff": diff id}
 */
#define LOG_MODULE "registry"
#include "apiserver/registry_origins.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_ref.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

#define ORIGINS_MAX 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct reg_origin *load(const char *diff_id, size_t *n)
{
	cleanup_free char *key = xasprintf("blobs/%s", diff_id), *text = NULL;
	struct reg_origin *v = xcalloc(ORIGINS_MAX + 1, sizeof(*v));
	cleanup_json json_t *list = NULL;
	struct err ignored = { 0 };

	*n = 0;
	if (store_get(STORE_META, key, &text, &ignored) < 0 || !text ||
	    jparse(text, strlen(text), &list, &ignored) < 0)
		return v;
	for (size_t i = 0; i < json_array_size(list) && *n < ORIGINS_MAX; i++) {
		const json_t *o = json_array_get(list, i);
		struct reg_origin *r = &v[*n];

		if (!image_id_valid(jget_str(o, "digest", "")))
			continue;
		str_copy(r->digest, sizeof(r->digest), jget_str(o, "digest", ""));
		str_copy(r->repo, sizeof(r->repo), jget_str(o, "repo", ""));
		r->size = jget_int(o, "size", 0);
		(*n)++;
	}
	return v;
}

static void save(const char *diff_id, const struct reg_origin *v, size_t n)
{
	cleanup_free char *key = xasprintf("blobs/%s", diff_id);
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	struct err err = { 0 };

	jw_arr(&w, NULL);
	for (size_t i = 0; i < n; i++) {
		jw_obj(&w, NULL);
		jw_str(&w, "digest", v[i].digest);
		jw_int(&w, "size", v[i].size);
		jw_str(&w, "repo", v[i].repo);
		jw_end(&w);
	}
	jw_end(&w);
	if (store_put(STORE_META, key, buf_str(&b), &err) < 0)
		log_warn("origin of a layer not saved", "err=%s", log_q(err.msg));
}

static bool same(const struct reg_origin *a, const struct reg_origin *b)
{
	return str_eq(a->digest, b->digest) && str_eq(a->repo, b->repo);
}

struct reg_origin *registry_origins(const char *diff_id, size_t *n)
{
	struct reg_origin *v;

	pthread_mutex_lock(&lock);
	v = load(diff_id, n);
	pthread_mutex_unlock(&lock);
	return v;
}

/* o first, without what equals it. */
static void change(const char *diff_id, const struct reg_origin *o, bool add)
{
	cleanup_free struct reg_origin *old = NULL, *v = xcalloc(ORIGINS_MAX + 2, sizeof(*v));
	size_t n_old, n = 0;

	pthread_mutex_lock(&lock);
	old = load(diff_id, &n_old);
	if (add)
		v[n++] = *o;
	for (size_t i = 0; i < n_old && n < ORIGINS_MAX; i++)
		if (!same(&old[i], o))
			v[n++] = old[i];
	if (!add || !n_old || !same(&old[0], o))
		save(diff_id, v, n);
	pthread_mutex_unlock(&lock);
}

void registry_origin_add(const char *diff_id, const struct reg_origin *o)
{
	char known[72];

	change(diff_id, o, true);
	if (!registry_stream_diff(o->digest, known))
		registry_stream_learn(o->digest, diff_id);
}

void registry_origin_del(const char *diff_id, const struct reg_origin *o)
{
	change(diff_id, o, false);
}

/* ---------------------------------------------------------------- streams */

bool registry_stream_diff(const char *stream, char diff_id[72])
{
	cleanup_free char *key = xasprintf("streams/%s", stream), *text = NULL;
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };

	if (store_get(STORE_META, key, &text, &ignored) < 0 || !text ||
	    jparse(text, strlen(text), &o, &ignored) < 0 || !image_id_valid(jget_str(o, "diff", "")))
		return false;
	str_copy(diff_id, 72, jget_str(o, "diff", ""));
	return true;
}

void registry_stream_learn(const char *stream, const char *diff_id)
{
	cleanup_free char *key = xasprintf("streams/%s", stream);
	cleanup_free char *text = xasprintf("{\"diff\":\"%s\"}", diff_id);
	struct err err = { 0 };

	if (store_put(STORE_META, key, text, &err) < 0)
		log_warn("what a layer is was not saved", "err=%s", log_q(err.msg));
}
