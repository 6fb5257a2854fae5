/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_layers.c - the layers of one image, from a registry into the store.
 *
 *	helper threads:  claim -> download + inflate + unpack into a stage -> digests checked
 *	the job:         layer by layer, bottom first: the stage is put in place, the claim released
 *
 * Design: downloading and unpacking are one stream, so nothing compressed is kept on disk. A layer
 * is claimed by its chain id before it is fetched; a second pull of it waits, and then finds it in
 * the store. That cannot deadlock: a claim of depth n waits at most for claims of lower depth, and
 * each pull begins its layers bottom first.
 *
 * Failure: what fails ends the other downloads of this image; their stages are dropped. A cut is
 * taken up where it was, by Range, up to five times. Killed, only stages are left (image_layer.h).
 */
#define LOG_MODULE "pull"
#include "apiserver/pull_layers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apiserver/image_layer.h"
#include "apiserver/registry_origins.h"
#include "cleanup.h"
#include "log.h"
#include "map.h"
#include "str.h"

enum layer_state {
	LAYER_TODO,
	LAYER_STAGED, /* or in the store under another chain, stage NULL */
	LAYER_THERE,
	LAYER_FAILED,
};

struct item {
	struct pulling *p;
	const struct descriptor *d;
	const char *diff_id;
	char id[13];
	char chain[72], parent[72];
	enum layer_state state; /* under the transfer's lock */
	bool claimed, shown_there;
	struct layer_stage *stage;
	struct err err;
	/* the stream */
	struct url_source *src;
	int64_t pos, skip;
	unsigned attempts;
	int rc;
};

struct pulling {
	const struct pull_layers *o;
	struct transfer *t;
	struct item *v;
	size_t n;
	struct item *culprit; /* the first to fail: the others are stopped for it */
};

/* ---------------------------------------------------------------- claims */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct map taken; /* chain id -> anything */
} claims = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void deadline(struct timespec *ts, long ms)
{
	clock_gettime(CLOCK_REALTIME, ts);
	ts->tv_nsec += ms * 1000000;
	ts->tv_sec += ts->tv_nsec / 1000000000;
	ts->tv_nsec %= 1000000000;
}

/* False: stopped while another had it. */
static bool claim(struct item *it)
{
	pthread_mutex_lock(&claims.lock);
	if (!claims.taken.slots)
		map_init(&claims.taken);
	while (map_get(&claims.taken, it->chain)) {
		struct timespec ts;

		deadline(&ts, 200);
		pthread_cond_timedwait(&claims.cond, &claims.lock, &ts);
		pthread_mutex_unlock(&claims.lock);
		if (transfer_stopped(it->p->t))
			return false;
		pthread_mutex_lock(&claims.lock);
	}
	map_set(&claims.taken, it->chain, it);
	it->claimed = true;
	pthread_mutex_unlock(&claims.lock);
	return true;
}

static void release(struct item *it)
{
	if (!it->claimed)
		return;
	pthread_mutex_lock(&claims.lock);
	map_del(&claims.taken, it->chain);
	pthread_cond_broadcast(&claims.cond);
	pthread_mutex_unlock(&claims.lock);
	it->claimed = false;
}

/* ---------------------------------------------------------------- the stream of one layer */

static int too_long(struct item *it)
{
	it->rc = err_kind(&it->err, ERR_SYSTEM, "layer %s is longer than the %lld bytes that its manifest tells",
			  it->d->digest, (long long)it->d->size);
	return it->rc;
}

/* rc of a failure that may pass; 0: try again. */
static int again(struct item *it)
{
	url_source_free(it->src);
	it->src = NULL;
	if (it->attempts >= TRANSFER_ATTEMPTS || transfer_stopped(it->p->t))
		return it->rc = it->err.code ? it->err.code : -EIO;
	log_info("layer's download interrupted", "digest=%s at=%lld err=%s", it->d->digest,
		 (long long)it->pos, log_q(it->err.msg));
	if (!transfer_backoff(it->p->t, it->id, it->attempts++))
		return it->rc = -ECANCELED;
	it->err = (struct err){ 0 };
	return 0;
}

static int connect_stream(struct item *it)
{
	const struct pull_layers *o = it->p->o;
	int64_t from = 0;
	bool gone;
	int rc;

	while (!it->src) {
		rc = registry_blob(o->reg, o->repo, it->d->digest, it->pos, &it->src, &from, &gone, &it->err);
		if (rc < 0 && gone)
			return it->rc = rc;
		if (rc < 0 && (rc = again(it)) < 0)
			return rc;
	}
	it->skip = it->pos - from;
	return 0;
}

static ssize_t read_blob(void *arg, void *p, size_t len)
{
	struct item *it = arg;
	ssize_t n;

	for (;;) {
		if (!it->src && connect_stream(it) < 0)
			return it->rc;
		n = url_source_read(it->src, p, it->skip && (size_t)it->skip < len ? (size_t)it->skip : len);
		if (n > 0 && it->skip) {
			it->skip -= n;
			continue;
		}
		if (n > 0) {
			it->pos += n;
			if (it->pos > it->d->size)
				return too_long(it);
			transfer_bar(it->p->t, it->id, "Downloading", it->pos, it->d->size);
			return n;
		}
		/* a whole answer that is too short is no cut: its digest will tell */
		if (n == 0 && (it->pos == it->d->size || url_source_length(it->src) >= 0))
			return 0;
		if (n == 0)
			err_kind(&it->err, ERR_SYSTEM, "unexpected EOF");
		else
			url_source_error(it->src, &it->err);
		if (again(it) < 0)
			return it->rc;
	}
}

/* ---------------------------------------------------------------- one layer, on a helper thread */

static int check_stage(struct item *it)
{
	const struct layer_pumped *got = &it->stage->pumped;

	transfer_line(it->p->t, it->id, "Verifying Checksum");
	if (!str_eq(got->raw_id, it->d->digest))
		return err_kind(&it->err, ERR_SYSTEM, "filesystem layer verification failed for digest %s",
				it->d->digest);
	if (!str_eq(got->diff_id, it->diff_id))
		return err_kind(&it->err, ERR_SYSTEM, "layers from manifest don't match image configuration");
	return 0;
}

static enum layer_state fetch(struct item *it)
{
	struct layer_info info;
	struct err err = { 0 };
	int rc;

	if (!claim(it))
		return LAYER_FAILED;
	if (layer_find(it->chain, NULL)) {
		release(it);
		return LAYER_THERE;
	}
	if (layer_find_diff(it->diff_id, &info)) {
		transfer_line(it->p->t, it->id, "Download complete");
		return LAYER_STAGED;
	}
	rc = layer_stage_new(read_blob, it, &it->stage, &err);
	url_source_free(it->src);
	it->src = NULL;
	if (rc < 0) {
		if (it->rc == 0) /* not the stream's failure: the archive's, or ours */
			it->err = err;
		return LAYER_FAILED;
	}
	if (check_stage(it) < 0)
		return LAYER_FAILED;
	transfer_line(it->p->t, it->id, "Download complete");
	return LAYER_STAGED;
}

static void fetch_one(void *arg, size_t i)
{
	struct pulling *p = arg;
	struct item *it = &p->v[i];
	enum layer_state s = LAYER_THERE;

	if (transfer_stopped(p->t))
		s = LAYER_FAILED;
	else if (!it->shown_there)
		s = fetch(it);
	pthread_mutex_lock(&p->t->lock);
	it->state = s;
	if (s == LAYER_FAILED && !p->culprit) {
		p->culprit = it;
		atomic_store(&p->t->abort, true);
	}
	pthread_cond_broadcast(&p->t->cond);
	pthread_mutex_unlock(&p->t->lock);
}

/* ---------------------------------------------------------------- the job's part */

static void prepare(struct pulling *p)
{
	const struct pull_layers *o = p->o;

	for (size_t i = 0; i < p->n; i++) {
		struct item *it = &p->v[i];

		it->p = p;
		it->d = &o->manifest->v[i];
		it->diff_id = o->diff_ids[i];
		str_copy(it->id, sizeof(it->id), it->d->digest + 7);
		str_copy(it->parent, sizeof(it->parent), i ? it[-1].chain : "");
		layer_chain_id(it->parent, it->diff_id, it->chain);
		it->shown_there = layer_find(it->chain, NULL);
		transfer_line(p->t, it->id, it->shown_there ? "Already exists" : "Pulling fs layer");
	}
	for (size_t i = TRANSFER_THREADS; i < p->n; i++)
		if (!p->v[i].shown_there)
			transfer_line(p->t, p->v[i].id, "Waiting");
}

static enum layer_state wait_for(struct item *it)
{
	struct transfer *t = it->p->t;
	enum layer_state s;

	pthread_mutex_lock(&t->lock);
	while ((s = it->state) == LAYER_TODO)
		pthread_cond_wait(&t->cond, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return s;
}

static void remember(const struct item *it)
{
	struct reg_origin o = { .size = it->d->size };

	/* push has no use for others: its manifests tell gzip */
	if (!str_ends(it->d->media_type, "gzip"))
		return;
	str_copy(o.digest, sizeof(o.digest), it->d->digest);
	str_copy(o.repo, sizeof(o.repo), it->p->o->canonical_repo);
	registry_origin_add(it->diff_id, &o);
}

static int put_in_place(struct item *it, struct err *err)
{
	struct layer_info info;
	int rc;

	if (it->stage) {
		transfer_bar(it->p->t, it->id, "Extracting", it->d->size, it->d->size);
		rc = layer_stage_commit(take_ptr(&it->stage), it->parent, &info, err);
	} else {
		rc = layer_copy(it->diff_id, it->parent, &info, err);
	}
	release(it);
	return rc;
}

static int failure_of(const struct item *it, struct err *err)
{
	*err = it->err;
	if (!err->msg[0])
		err_kind(err, ERR_SYSTEM, "context canceled");
	if (!err->code)
		err->code = -ECANCELED;
	return err->code;
}

static int finish_one(struct item *it, struct err *err)
{
	enum layer_state s = wait_for(it);
	int rc = 0;

	if (s == LAYER_FAILED)
		return failure_of(it, err);
	if (s == LAYER_STAGED && (rc = put_in_place(it, err)) < 0)
		return rc;
	if (!it->shown_there)
		transfer_line(it->p->t, it->id, "Pull complete");
	remember(it);
	return 0;
}

int pull_layers(const struct pull_layers *o, struct err *err)
{
	struct pulling p = { .o = o, .t = o->t, .n = o->manifest->n };
	struct transfer_group *g;
	int rc = 0;

	p.v = xcalloc(p.n + 1, sizeof(*p.v));
	prepare(&p);
	g = transfer_spread(p.n, fetch_one, &p);
	for (size_t i = 0; rc == 0 && i < p.n; i++)
		rc = finish_one(&p.v[i], err);
	if (rc < 0)
		atomic_store(&o->t->abort, true);
	transfer_join(g);
	if (rc < 0 && p.culprit)
		rc = failure_of(p.culprit, err);
	for (size_t i = 0; i < p.n; i++) {
		layer_stage_free(p.v[i].stage);
		release(&p.v[i]);
	}
	free(p.v);
	return rc;
}
