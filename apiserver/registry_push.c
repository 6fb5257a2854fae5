/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_push.c - images to a registry: layers, configuration, manifest, in this order, so that a
 * manifest never names what is not there.
 *
 * Threads: the job's, and helper threads for layers (transfer.h).
 */
#define LOG_MODULE "push"
#include "apiserver/registry_push.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_layer.h"
#include "apiserver/manifest.h"
#include "apiserver/push_layer.h"
#include "apiserver/registry.h"
#include "apiserver/registry_v1.h"
#include "apiserver/transfer_limits.h"
#include "cleanup.h"
#include "jw.h"
#include "str.h"

struct push {
	const struct registry_push *o;
	struct transfer *t;
	struct push_to to;
};

/* ---------------------------------------------------------------- what to push */

struct tagged {
	char tag[129];
	struct image *img;
};

static void tagged_free(struct tagged *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		image_unref(v[i].img);
	free(v);
}

static int by_tag(const void *a, const void *b)
{
	return strcmp(((const struct tagged *)a)->tag, ((const struct tagged *)b)->tag);
}

/* All tags of the repository, or the one of ref; *any: the repository has a name here at all. */
static struct tagged *collect(const struct image_ref *ref, size_t *n, bool *any)
{
	cleanup_free char *want = image_ref_name(ref);
	cleanup_free struct image_entry **v = NULL;
	struct tagged *out = NULL;
	size_t n_entries;

	*n = 0;
	*any = false;
	image_lock();
	v = image_entries(&n_entries);
	for (size_t i = 0; i < n_entries; i++) {
		for (size_t k = 0; k < v[i]->n_names; k++) {
			const struct image_ref *r = &v[i]->names[k]->ref;
			cleanup_free char *name = image_ref_name(r);

			if (!str_eq(name, want))
				continue;
			*any = true;
			if (!r->tag[0] || (ref->tag[0] && !str_eq(r->tag, ref->tag)))
				continue;
			out = xrealloc(out, (*n + 1) * sizeof(*out));
			out[*n].img = image_ref(v[i]->img);
			str_copy(out[*n].tag, sizeof(out[*n].tag), r->tag);
			(*n)++;
		}
	}
	image_unlock();
	if (*n)
		qsort(out, *n, sizeof(*out), by_tag);
	return out;
}

/* ---------------------------------------------------------------- one image */

struct layer_push {
	struct push *p;
	char chain[72];
	const char *diff_id;
	int rc;
	struct err err;
};

struct layers_push {
	struct push *p;
	struct layer_push *v;
	struct descriptor *out;
};

static void push_one_layer(void *arg, size_t i)
{
	struct layers_push *all = arg;
	struct layer_push *l = &all->v[i];
	char id[13];

	str_copy(id, sizeof(id), l->diff_id + 7);
	if (transfer_stopped(all->p->t) || !transfer_enter(TRANSFER_UP, all->p->t, id)) {
		l->rc = -ECANCELED;
	} else {
		l->rc = push_layer(&all->p->to, l->chain, l->diff_id, &all->out[i], &l->err);
		transfer_leave(TRANSFER_UP);
	}
	if (l->rc < 0)
		atomic_store(&all->p->t->abort, true);
}

/* The failure that made the others stop, rather than theirs. */
static int first_failure(const struct layer_push *v, size_t n, struct err *err)
{
	const struct layer_push *worst = NULL;

	for (size_t i = 0; i < n; i++)
		if (v[i].rc < 0 && (!worst || worst->rc == -ECANCELED))
			worst = &v[i];
	if (!worst)
		return 0;
	*err = worst->err;
	if (str_ends(err->msg, REGISTRY_NO_BASIC)) { /* Docker tells the cause alone */
		*err = (struct err){ 0 };
		err_kind(err, ERR_SYSTEM, REGISTRY_NO_BASIC);
	}
	if (!err->msg[0])
		err_kind(err, ERR_SYSTEM, "context canceled");
	err->code = worst->rc;
	return worst->rc;
}

static int push_layers(struct push *p, const struct image *img, struct descriptor *out, size_t n,
		       struct err *err)
{
	struct layers_push all = { .p = p, .out = out };
	size_t threads = transfer_threads(TRANSFER_UP, n);
	int rc;

	all.v = xcalloc(n + 1, sizeof(*all.v));
	for (size_t i = 0; i < n; i++) {
		char id[13];

		all.v[i].diff_id = img->diff_ids[i];
		layer_chain_id(i ? all.v[i - 1].chain : "", img->diff_ids[i], all.v[i].chain);
		str_copy(id, sizeof(id), img->diff_ids[i] + 7);
		transfer_line(p->t, id, "Preparing");
		if (i >= threads)
			transfer_line(p->t, id, "Waiting");
	}
	transfer_join(transfer_spread(n, threads, push_one_layer, &all));
	rc = first_failure(all.v, n, err);
	free(all.v);
	return rc;
}

static int put_manifest(struct push *p, const char *tag, const struct buf *text, struct err *err)
{
	static const char *const headers[] = { "Content-Type: " MANIFEST_DOCKER, NULL };
	cleanup_free char *url = xasprintf("/%s/manifests/%s", p->to.repo, tag);
	struct http_ask q = {
		.method = "Put",
		.url = url,
		.headers = headers,
		.body = text->p,
		.body_len = text->len,
	};
	struct http_answer a;
	int rc;

	if ((rc = registry_ask(p->to.reg, &q, &a, err)) < 0)
		return rc;
	if (a.status != 201 && a.status != 200 && a.status != 202)
		rc = registry_refused(&a, NULL, err);
	http_answer_fini(&a);
	return rc;
}

static int tell_pushed(struct push *p, const struct tagged *tg, const struct buf *manifest, struct err *err)
{
	cleanup_buf struct buf aux = BUF_INIT;
	struct image_ref by_digest = p->o->ref;
	struct jw w = JW(&aux);
	char digest[72];
	int rc;

	image_digest_of(manifest->p, manifest->len, digest);
	transfer_line(p->t, NULL, "%s: digest: %s size: %zu", tg->tag, digest, manifest->len);
	by_digest.tag[0] = '\0';
	str_copy(by_digest.digest, sizeof(by_digest.digest), digest);
	if ((rc = image_name_add(tg->img->id, &by_digest, NULL, err)) < 0)
		return rc;
	jw_obj(&w, NULL);
	jw_str(&w, "Tag", tg->tag);
	jw_str(&w, "Digest", digest);
	jw_uint(&w, "Size", manifest->len);
	jw_end(&w);
	transfer_aux(p->t, buf_str(&aux));
	return 0;
}

static int push_image(struct push *p, const struct tagged *tg, struct err *err)
{
	cleanup_free struct descriptor *layers = NULL;
	cleanup_buf struct buf manifest = BUF_INIT;
	struct descriptor config = { .size = (int64_t)strlen(tg->img->config_text) };
	size_t n = strv_len(tg->img->diff_ids);
	int rc;

	layers = xcalloc(n + 1, sizeof(*layers));
	str_copy(config.media_type, sizeof(config.media_type), MANIFEST_DOCKER_CONFIG);
	str_copy(config.digest, sizeof(config.digest), tg->img->id);
	if ((rc = push_layers(p, tg->img, layers, n, err)) < 0 ||
	    (rc = push_bytes(&p->to, tg->img->config_text, (size_t)config.size, config.digest, err)) < 0)
		return rc;
	manifest_write(&config, layers, n, &manifest);
	if ((rc = put_manifest(p, tg->tag, &manifest, err)) < 0)
		return rc;
	return tell_pushed(p, tg, &manifest, err);
}

/* ---------------------------------------------------------------- endpoints */

static int push_to_endpoint(struct push *p, const struct reg_endpoint *ep, const struct tagged *v, size_t n,
			    bool *reached, struct err *err)
{
	const struct registry_opts o = {
		.creds = p->o->creds,
		.cancelled = transfer_stopped,
		.arg = p->t,
	};
	int rc;

	if ((rc = registry_open(ep, &o, &p->to.reg, err)) < 0)
		return rc;
	*reached = true;
	if (!registry_is_v2(p->to.reg) && registry_v1_there(ep, &o)) {
		registry_close(p->to.reg);
		return err_kind(err, ERR_NOT_IMPLEMENTED, "%s is a registry of protocol v1: it is not pushed to",
				p->o->ref.domain);
	}
	registry_scope(p->to.reg, p->to.repo, "pull,push");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = push_image(p, &v[i], err);
	registry_close(p->to.reg);
	return rc;
}

static int check_platform(const struct registry_push *o, const struct tagged *v, size_t n, struct err *err)
{
	cleanup_free char *whole = image_ref_canonical(&o->ref);
	int rc = 0;

	for (size_t i = 0; o->platform && rc == 0 && i < n; i++)
		rc = platform_check_image(o->platform, v[i].img, whole, err);
	return rc;
}

static int push_collected(struct push *p, const struct tagged *v, size_t n, struct err *err)
{
	struct reg_endpoint ep[REG_ENDPOINTS_MAX];
	size_t n_ep = registry_endpoints(p->o->ref.domain, false, ep);
	bool reached = false;
	int rc = -ENOENT;

	for (size_t i = 0; i < n_ep && !reached; i++) {
		*err = (struct err){ 0 };
		rc = push_to_endpoint(p, &ep[i], v, n, &reached, err);
		if (rc == 0 || job_cancelled(p->t->job) || progress_gone(p->t->progress))
			break;
	}
	return rc;
}

int registry_push(const struct registry_push *o, struct transfer *t, struct err *err)
{
	cleanup_free char *name = image_ref_name(&o->ref), *familiar = image_ref_familiar_name(&o->ref);
	cleanup_free char *whole = image_ref_familiar(&o->ref);
	struct push p = {
		.o = o,
		.t = t,
		.to = { .domain = o->ref.domain, .repo = o->ref.path, .canonical_repo = name, .t = t },
	};
	struct tagged *v;
	bool any;
	size_t n;
	int rc;

	image_hold_begin();
	v = collect(&o->ref, &n, &any);
	rc = check_platform(o, v, n, err);
	if (rc == 0)
		transfer_line(t, NULL, "The push refers to repository [%s]", name);
	if (rc == 0 && n)
		rc = push_collected(&p, v, n, err);
	else if (rc == 0 && !any)
		rc = err_kind(err, ERR_NOT_FOUND, "An image does not exist locally with the tag: %s", familiar);
	else if (rc == 0 && o->ref.tag[0])
		rc = err_kind(err, ERR_NOT_FOUND, "tag does not exist: %s", whole);
	else if (rc == 0)
		rc = err_kind(err, ERR_NOT_FOUND, "no tags to push for %s", familiar);
	if (rc == 0)
		image_events_add_named(o->events, "push", whole, familiar);
	tagged_free(v, n);
	image_hold_end();
	return rc;
}
