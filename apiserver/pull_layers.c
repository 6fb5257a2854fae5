/* SPDX-License-Identifier: MPL-2.0
 *
 * pull_layers.c - the layers of one image, from a registry into the store.
 *
 *	helper threads:  claim -> a place -> download + inflate + unpack into a stage -> digests checked
 *	the job:         layer by layer, bottom first: the stage is put in place, the claim released
 *
 * Design: downloading and unpacking are one stream, so nothing compressed is kept on disk. A layer
 * is claimed before it is fetched; a second pull of it waits, and then finds it in the store. It is
 * claimed by its chain id, or, where its diff id is not known before it has come, by what names its
 * stream; then its chain is known when it is put in place. That cannot deadlock: a claim of depth n
 * waits at most for claims of lower depth, and each pull begins its layers bottom first; an image
 * that has the same stream twice claims it once. How many stream at once is the daemon's limit (transfer_limits.h): who has a
 * place waits for no claim.
 *
 * Failure: what fails ends the other downloads of this image; their stages are dropped. A cut is
 * taken up where it was, by Range, as often as max-download-attempts allows. Killed, only stages are left (image_layer.h).
 */
#define LOG_MODULE "pull"
#include "apiserver/pull_layers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apiserver/image_layer.h"
#include "apiserver/registry_origins.h"
#include "apiserver/transfer_limits.h"
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
	const struct pull_layer *d;
	struct item *twin; /* the same stream further down, where that is what is claimed */
	char diff_id[72];  /* "": not known yet */
	char id[13];
	char chain[72], parent[72]; /* where diff_id was known from the start; else when it's put in place */
	char claim[600];
	enum layer_state state; /* under the transfer's lock */
	bool claimed, shown_there;
	struct layer_stage *stage;
	struct err err;
	/* the stream */
	struct url_source *src;
	int64_t pos, skip;
	int64_t total; /* what it will be, -1: not known */
	unsigned attempts;
	int rc;
};

struct pulling {
	const struct pull_layers *o;
	struct transfer *t;
	struct item *v;
	size_t n, threads;
	size_t next_claim; /* claims are made in order: under the transfer's lock */
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

/* True when it is i's turn to claim. */
static bool await_turn(struct pulling *p, size_t i)
{
	struct timespec ts;
	bool mine;

	for (;;) {
		pthread_mutex_lock(&p->t->lock);
		mine = p->next_claim == i;
		if (!mine) {
			deadline(&ts, 200);
			pthread_cond_timedwait(&p->t->cond, &p->t->lock, &ts);
		}
		pthread_mutex_unlock(&p->t->lock);
		if (mine || transfer_stopped(p->t))
			return mine;
	}
}

static void pass_turn(struct pulling *p, size_t i)
{
	pthread_mutex_lock(&p->t->lock);
	if (p->next_claim == i)
		p->next_claim++;
	pthread_cond_broadcast(&p->t->cond);
	pthread_mutex_unlock(&p->t->lock);
}

/* False: stopped while another had it. */
static bool claim(struct item *it)
{
	pthread_mutex_lock(&claims.lock);
	if (!claims.taken.slots)
		map_init(&claims.taken);
	while (map_get(&claims.taken, it->claim)) {
		struct timespec ts;

		deadline(&ts, 200);
		pthread_cond_timedwait(&claims.cond, &claims.lock, &ts);
		pthread_mutex_unlock(&claims.lock);
		if (transfer_stopped(it->p->t))
			return false;
		pthread_mutex_lock(&claims.lock);
	}
	map_set(&claims.taken, it->claim, it);
	it->claimed = true;
	pthread_mutex_unlock(&claims.lock);
	return true;
}

static void release(struct item *it)
{
	if (!it->claimed)
		return;
	pthread_mutex_lock(&claims.lock);
	map_del(&claims.taken, it->claim);
	pthread_cond_broadcast(&claims.cond);
	pthread_mutex_unlock(&claims.lock);
	it->claimed = false;
}

/* ---------------------------------------------------------------- the stream of one layer */

static int too_long(struct item *it)
{
	it->rc = err_kind(&it->err, ERR_SYSTEM, "layer %s is longer than the %lld bytes that its manifest tells",
			  it->claim, (long long)it->d->size);
	return it->rc;
}

/* rc of a failure that may pass; 0: try again. */
static int again(struct item *it)
{
	url_source_free(it->src);
	it->src = NULL;
	if (it->attempts + 1 >= transfer_attempts(TRANSFER_DOWN) || transfer_stopped(it->p->t))
		return it->rc = it->err.code ? it->err.code : -EIO;
	log_info("layer's download interrupted", "layer=%s at=%lld err=%s", it->id,
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
		rc = o->open(o->arg, it->d, it->pos, &it->src, &from, &gone, &it->err);
		if (rc < 0 && gone)
			return it->rc = rc;
		if (rc < 0 && (rc = again(it)) < 0)
			return rc;
	}
	it->skip = it->pos - from;
	it->total = it->d->size;
	if (it->total < 0 && url_source_length(it->src) >= 0)
		it->total = from + url_source_length(it->src);
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
			if (it->d->size >= 0 && it->pos > it->d->size)
				return too_long(it);
			transfer_bar(it->p->t, it->id, "Downloading", it->pos, it->total);
			return n;
		}
		/* a whole answer that is too short is no cut: its digest will tell */
		if (n == 0 && (it->d->size < 0 || it->pos == it->d->size || url_source_length(it->src) >= 0))
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
	if (it->d->digest && !str_eq(got->raw_id, it->d->digest))
		return err_kind(&it->err, ERR_SYSTEM, "filesystem layer verification failed for digest %s",
				it->d->digest);
	if (it->diff_id[0] && !str_eq(got->diff_id, it->diff_id))
		return err_kind(&it->err, ERR_SYSTEM, "layers from manifest don't match image configuration");
	str_copy(it->diff_id, sizeof(it->diff_id), got->diff_id);
	return 0;
}

/* The layer is here, in its place (LAYER_THERE) or elsewhere (LAYER_STAGED); LAYER_TODO: it is not. */
static enum layer_state look_here(struct item *it)
{
	struct layer_info info;
	char known[72];

	if (it->chain[0] && layer_find(it->chain, NULL)) {
		release(it);
		return LAYER_THERE;
	}
	str_copy(known, sizeof(known), it->diff_id);
	if (!known[0] && !registry_stream_diff(it->claim, known))
		return LAYER_TODO;
	if (!layer_find_diff(known, &info))
		return LAYER_TODO;
	str_copy(it->diff_id, sizeof(it->diff_id), known);
	transfer_line(it->p->t, it->id, "Download complete");
	return LAYER_STAGED;
}

static enum layer_state fetch(struct item *it)
{
	struct err err = { 0 };
	enum layer_state s = look_here(it);
	int rc;

	if (s != LAYER_TODO)
		return s;
	if (!transfer_enter(TRANSFER_DOWN, it->p->t, it->id))
		return LAYER_FAILED;
	rc = layer_stage_new(read_blob, it, it->d->digest, &it->stage, &err);
	transfer_leave(TRANSFER_DOWN);
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
	enum layer_state s = it->twin ? LAYER_STAGED : LAYER_THERE;
	bool turn = await_turn(p, i);

	if (!turn || transfer_stopped(p->t) || (!it->shown_there && !it->twin && !claim(it)))
		s = LAYER_FAILED;
	pass_turn(p, i);
	if (it->claimed)
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

/* A place in the chain, once the layer beneath has one. */
static void settle(struct item *it)
{
	str_copy(it->parent, sizeof(it->parent), it > it->p->v ? it[-1].chain : "");
	layer_chain_id(it->parent, it->diff_id, it->chain);
}

static void prepare_one(struct item *it)
{
	const char *stream = it->d->digest ? it->d->digest : it->d->key;

	str_copy(it->id, sizeof(it->id), it->d->id);
	str_copy(it->claim, sizeof(it->claim), stream);
	if (it->d->diff_id) {
		str_copy(it->diff_id, sizeof(it->diff_id), it->d->diff_id);
		settle(it);
		str_copy(it->claim, sizeof(it->claim), it->chain);
		it->shown_there = layer_find(it->chain, NULL);
		return;
	}
	for (struct item *low = it->p->v; low < it && !it->twin; low++)
		if (!low->d->diff_id && str_eq(low->claim, it->claim))
			it->twin = low;
}

static void prepare(struct pulling *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct item *it = &p->v[i];

		it->p = p;
		it->d = &p->o->v[i];
		prepare_one(it);
		transfer_line(p->t, it->id, it->shown_there ? "Already exists" : "Pulling fs layer");
	}
	for (size_t i = p->threads; i < p->n; i++)
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

	if (!it->d->diff_id && !it->twin)
		registry_stream_learn(it->claim, it->diff_id);
	/* push has no use for others: its manifests tell gzip */
	if (!it->d->is_gzip || !it->d->digest || !it->p->o->canonical_repo)
		return;
	str_copy(o.digest, sizeof(o.digest), it->d->digest);
	str_copy(o.repo, sizeof(o.repo), it->p->o->canonical_repo);
	registry_origin_add(it->diff_id, &o);
}

static int put_in_place(struct item *it, struct err *err)
{
	struct layer_info info;
	int rc;

	if (it->twin)
		str_copy(it->diff_id, sizeof(it->diff_id), it->twin->diff_id);
	settle(it);
	if (it->stage) {
		transfer_bar(it->p->t, it->id, "Extracting", it->pos, it->pos);
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

int pull_layers(const struct pull_layers *o, char (*diff_ids)[72], struct err *err)
{
	struct pulling p = { .o = o, .t = o->t, .n = o->n };
	struct transfer_group *g;
	int rc = 0;

	p.v = xcalloc(p.n + 1, sizeof(*p.v));
	p.threads = transfer_threads(TRANSFER_DOWN, p.n);
	prepare(&p);
	g = transfer_spread(p.n, p.threads, fetch_one, &p);
	for (size_t i = 0; rc == 0 && i < p.n; i++)
		rc = finish_one(&p.v[i], err);
	if (rc < 0)
		atomic_store(&o->t->abort, true);
	transfer_join(g);
	if (rc < 0 && p.culprit)
		rc = failure_of(p.culprit, err);
	for (size_t i = 0; i < p.n; i++) {
		if (rc == 0 && diff_ids)
			str_copy(diff_ids[i], sizeof(diff_ids[i]), p.v[i].diff_id);
		layer_stage_free(p.v[i].stage);
		release(&p.v[i]);
	}
	free(p.v);
	return rc;
}
