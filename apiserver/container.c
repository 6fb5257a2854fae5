/* SPDX-License-Identifier: MPL-2.0
 *
 * container.c - the index of all containers, their names, and who may work on one of them now.
 *
 * Design: three ways to a container: a map by id, a sorted vector of ids for prefixes, and a map
 * of names. A name belongs to an id, which may not be in the index yet: that is a reservation,
 * which create holds while its job runs.
 *
 * Operations: one at a time per container, the others wait in line.
 *
 *	begin (idle) -> fn runs now, op = OP_X -> job ... -> end: op = OP_NONE, next in line
 *	begin (busy) -> in line                -> fn when it is its turn
 *	begin (removing) -> refused with 409
 *	container_del -> all in line get cancelled = true and must not call end
 *
 * Threads: loop, but for ct_mounts_*, ct_spec_free and container_status_name.
 */
#define LOG_MODULE "container"
#include "apiserver/container.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/container_private.h"
#include "apiserver/image_users.h"
#include "apiserver/job.h"
#include "apiserver/links.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "map.h"
#include "str.h"

struct op_waiter {
	struct op_waiter *next;
	enum container_op op;
	op_fn *fn;
	void *arg;
};

static struct {
	bool ready;
	struct map by_id;	   /* -> struct container */
	struct map by_name;	   /* -> id (owned string) */
	struct container **sorted; /* by id */
	size_t n, cap;
	struct container *newest, *oldest;
} idx;

/* ---- mounts and copies ----------------------------------------------------------------------- */

static void mount_fini(struct ct_mount *m)
{
	free(m->type);
	free(m->name);
	free(m->source);
	free(m->destination);
	free(m->driver);
	free(m->mode);
	free(m->propagation);
	free(m->subpath);
	free(m->tmpfs_opts);
}

void ct_mounts_fini(struct ct_mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		mount_fini(&m->v[i]);
	free(m->v);
	m->v = NULL;
	m->n = 0;
}

struct ct_mount *ct_mounts_add(struct ct_mounts *m)
{
	m->v = xrealloc(m->v, (m->n + 1) * sizeof(*m->v));
	memset(&m->v[m->n], 0, sizeof(*m->v));
	return &m->v[m->n++];
}

void ct_mounts_copy(struct ct_mounts *dst, const struct ct_mounts *src)
{
	memset(dst, 0, sizeof(*dst));
	if (src->n == 0)
		return;
	dst->v = xcalloc(src->n, sizeof(*dst->v));
	dst->n = src->n;
	for (size_t i = 0; i < src->n; i++) {
		struct ct_mount *d = &dst->v[i];
		const struct ct_mount *s = &src->v[i];

		*d = *s;
		d->type = xstrdup(s->type);
		d->name = xstrdup(s->name);
		d->source = xstrdup(s->source);
		d->destination = xstrdup(s->destination);
		d->driver = xstrdup(s->driver);
		d->mode = xstrdup(s->mode);
		d->propagation = xstrdup(s->propagation);
		d->subpath = xstrdup(s->subpath);
		d->tmpfs_opts = xstrdup(s->tmpfs_opts);
	}
}

void ct_endpoints_copy(struct endpoint **dst, size_t *n_dst, const struct endpoint *src,
		       size_t n_src)
{
	*dst = n_src ? xcalloc(n_src, sizeof(**dst)) : NULL;
	*n_dst = n_src;
	for (size_t i = 0; i < n_src; i++)
		endpoint_copy(&(*dst)[i], &src[i]);
}

void ct_endpoints_free(struct endpoint *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		endpoint_fini(&v[i]);
	free(v);
}

struct ct_spec *container_spec(const struct container *ct)
{
	struct ct_spec *s = xcalloc(1, sizeof(*s));

	assert_loop_thread();
	memcpy(s->id, ct->id, sizeof(s->id));
	memcpy(s->uuid, ct->uuid, sizeof(s->uuid));
	memcpy(s->image_id, ct->image_id, sizeof(s->image_id));
	s->name = xstrdup(ct->name);
	s->image_ref = xstrdup(ct->image_ref);
	s->created_ns = ct->created_ns;
	s->config = json_deep_copy(ct->config);
	s->host_config = json_deep_copy(ct->host_config);
	s->extra = json_deep_copy(ct->extra);
	ct_mounts_copy(&s->mounts, &ct->mounts);
	ct_endpoints_copy(&s->endpoints, &s->n_endpoints, ct->endpoints, ct->n_endpoints);
	s->st = ct->st;
	memset(s->st.health_log, 0, sizeof(s->st.health_log));
	s->st.n_health_log = 0;
	return s;
}

void ct_spec_free(struct ct_spec *s)
{
	if (!s)
		return;
	free(s->name);
	free(s->image_ref);
	json_decref(s->config);
	json_decref(s->host_config);
	json_decref(s->extra);
	ct_mounts_fini(&s->mounts);
	ct_endpoints_free(s->endpoints, s->n_endpoints);
	free(s);
}

/* ---- life of the struct ---------------------------------------------------------------------- */

struct container *container_new(const char *id)
{
	struct container *ct = xcalloc(1, sizeof(*ct));

	assert(strlen(id) == 64);
	ct->refs = 1;
	memcpy(ct->id, id, sizeof(ct->id));
	id_to_uuid(ct->uuid, ct->id);
	ct->platform_os = xstrdup("linux");
	return ct;
}

struct container *container_ref(struct container *ct)
{
	assert_loop_thread();
	ct->refs++;
	return ct;
}

void container_unref(struct container *ct)
{
	if (!ct || --ct->refs > 0)
		return;
	assert(!ct->op_queue);
	free(ct->name);
	free(ct->image_ref);
	free(ct->platform_os);
	json_decref(ct->config);
	json_decref(ct->host_config);
	json_decref(ct->extra);
	ct_mounts_fini(&ct->mounts);
	ct_endpoints_free(ct->endpoints, ct->n_endpoints);
	for (size_t i = 0; i < ct->st.n_health_log; i++)
		free(ct->st.health_log[i].output);
	strv_free(ct->exec_ids);
	container_text_drop(ct);
	free(ct);
}

const char *container_status_name(const struct container *ct)
{
	if (ct->removing && !container_is_running(ct) && ct->st.status != CT_DEAD)
		return "removing";
	switch (ct->st.status) {
	case CT_CREATED:
		return "created";
	case CT_RUNNING:
		return "running";
	case CT_PAUSED:
		return "paused";
	case CT_RESTARTING:
		return "restarting";
	case CT_REMOVING:
		return "removing";
	case CT_EXITED:
		return "exited";
	case CT_DEAD:
		return "dead";
	}
	return "exited";
}

bool container_is_running(const struct container *ct)
{
	return ct->st.status == CT_RUNNING || ct->st.status == CT_PAUSED ||
	       ct->st.status == CT_RESTARTING;
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *bare_name(const char *name)
{
	return name[0] == '/' ? name + 1 : name;
}

int container_reserve_name(const char *name, const char *for_id, struct err *err)
{
	const char *owner;

	assert_loop_thread();
	name = bare_name(name);
	if ((owner = map_get(&idx.by_name, name))) {
		if (strcmp(owner, for_id) == 0)
			return 0;
		return err_kind(err, ERR_CONFLICT,
				"Conflict. The container name \"/%s\" is already in use by "
				"container \"%s\". You have to remove "
				"(or rename) that container to be able to reuse that name.",
				name, owner);
	}
	map_set(&idx.by_name, name, xstrdup(for_id));
	return 0;
}

void container_release_name(const char *name)
{
	assert_loop_thread();
	if (name)
		free(map_del(&idx.by_name, bare_name(name)));
}

int container_rename(struct container *ct, const char *new_name, struct err *err)
{
	int rc;

	new_name = bare_name(new_name);
	if (str_eq(ct->name, new_name))
		return err_kind(err, ERR_BAD_PARAM,
				"Renaming a container with the same name as its current name");
	if ((rc = container_reserve_name(new_name, ct->id, err)) < 0)
		return err_wrap(err, rc, "Error when allocating new name");
	container_release_name(ct->name);
	free(ct->name);
	ct->name = xstrdup(new_name);
	return 0;
}

/* ---- the index ------------------------------------------------------------------------------- */

void container_index_init(void)
{
	if (idx.ready)
		return;
	map_init(&idx.by_id);
	map_init(&idx.by_name);
	idx.ready = true;
}

/* First place in the sorted vector whose id is not below key. */
static size_t lower_bound(const char *key)
{
	size_t lo = 0;
	size_t hi = idx.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(idx.sorted[mid]->id, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void sorted_insert(struct container *ct)
{
	size_t at = lower_bound(ct->id);

	if (idx.n == idx.cap) {
		idx.cap = idx.cap ? idx.cap * 2 : 64;
		idx.sorted = xrealloc(idx.sorted, idx.cap * sizeof(struct container *));
	}
	memmove(&idx.sorted[at + 1], &idx.sorted[at], (idx.n - at) * sizeof(struct container *));
	idx.sorted[at] = ct;
	idx.n++;
}

static void sorted_remove(const struct container *ct)
{
	size_t at = lower_bound(ct->id);

	assert(at < idx.n && idx.sorted[at] == ct);
	idx.n--;
	memmove(&idx.sorted[at], &idx.sorted[at + 1], (idx.n - at) * sizeof(struct container *));
}

/* Newest first; a new container nearly always is the newest. */
static void age_insert(struct container *ct)
{
	struct container *after = NULL; /* the one that ct comes behind */
	struct container *at = idx.newest;

	while (at && at->created_ns > ct->created_ns) {
		after = at;
		at = at->next_by_age;
	}
	ct->prev_by_age = after;
	ct->next_by_age = at;
	*(after ? &after->next_by_age : &idx.newest) = ct;
	*(at ? &at->prev_by_age : &idx.oldest) = ct;
}

static void age_remove(struct container *ct)
{
	*(ct->prev_by_age ? &ct->prev_by_age->next_by_age : &idx.newest) = ct->next_by_age;
	*(ct->next_by_age ? &ct->next_by_age->prev_by_age : &idx.oldest) = ct->prev_by_age;
	ct->next_by_age = ct->prev_by_age = NULL;
}

int container_add(struct container *ct, struct err *err)
{
	int rc;

	assert_loop_thread();
	assert(ct->name && ct->config && ct->host_config);
	if (map_get(&idx.by_id, ct->id))
		return err_kind(err, ERR_CONFLICT, "container id %s is already in use", ct->id);
	if ((rc = container_reserve_name(ct->name, ct->id, err)) < 0)
		return rc;
	map_set(&idx.by_id, ct->id, container_ref(ct));
	sorted_insert(ct);
	age_insert(ct);
	image_user_add(ct->image_id);
	return 0;
}

static void op_queue_cancel(struct container *ct)
{
	struct op_waiter *w;

	while ((w = ct->op_queue)) {
		ct->op_queue = w->next;
		w->fn(ct, w->arg, true);
		free(w);
	}
}

void container_del(struct container *ct)
{
	assert_loop_thread();
	if (map_get(&idx.by_id, ct->id) != ct)
		return;
	map_del(&idx.by_id, ct->id);
	sorted_remove(ct);
	age_remove(ct);
	image_user_del(ct->image_id);
	container_release_name(ct->name);
	container_unsave(ct->id);
	ct->removing = true;
	op_queue_cancel(ct);
	container_unref(ct);
}

struct container *container_by_id(const char *id)
{
	assert_loop_thread();
	return map_get(&idx.by_id, id);
}

struct container *container_by_prefix(const char *prefix, bool *ambiguous)
{
	size_t len = strlen(prefix);
	size_t at = lower_bound(prefix);

	*ambiguous = false;
	if (len == 0 || at >= idx.n || strncmp(idx.sorted[at]->id, prefix, len) != 0)
		return NULL;
	*ambiguous = at + 1 < idx.n && strncmp(idx.sorted[at + 1]->id, prefix, len) == 0;
	return *ambiguous ? NULL : idx.sorted[at];
}

/* "web/sql": what container web has a link to. */
static struct container *by_link(const char *ref)
{
	const char *slash = strchr(ref, '/'), *owner;
	cleanup_free char *parent = slash ? xstrndup(ref, (size_t)(slash - ref)) : NULL;

	owner = parent ? map_get(&idx.by_name, parent) : NULL;
	return owner && container_by_id(owner) ? link_find(container_by_id(owner), slash + 1) : NULL;
}

struct container *container_find(const char *ref, struct err *err)
{
	struct container *ct;
	const char *owner;
	bool ambiguous;

	assert_loop_thread();
	if (!*ref) {
		err_kind(err, ERR_BAD_PARAM, "invalid name or ID supplied: \"\"");
		return NULL;
	}
	if ((ct = map_get(&idx.by_id, ref)))
		return ct;
	if ((owner = map_get(&idx.by_name, bare_name(ref))) && (ct = map_get(&idx.by_id, owner)))
		return ct;
	if ((ct = container_by_prefix(ref, &ambiguous)) || (ct = by_link(bare_name(ref))))
		return ct;
	if (ambiguous)
		err_kind(err, ERR_BAD_PARAM, "multiple IDs found with provided prefix: %s", ref);
	else
		err_kind(err, ERR_NOT_FOUND, "No such container: %s", ref);
	return NULL;
}

struct container *container_first(void)
{
	return idx.newest;
}

size_t container_count(void)
{
	return idx.n;
}

/* ---- operations ------------------------------------------------------------------------------ */

static int err_removing(const struct container *ct, enum container_op op, struct err *err)
{
	static const char *const verbs[] = {
		[OP_NONE] = "use",
		[OP_START] = "start",
		[OP_STOP] = "stop",
		[OP_RESTART] = "restart",
		[OP_PAUSE] = "pause",
		[OP_UNPAUSE] = "unpause",
		[OP_RENAME] = "rename",
		[OP_UPDATE] = "update",
		[OP_REMOVE] = "remove",
		[OP_EXPORT] = "export",
		[OP_ARCHIVE] = "copy from or to",
		[OP_COMMIT] = "commit",
		[OP_NETWORK] = "connect",
	};

	if (op == OP_REMOVE)
		return err_kind(err, ERR_CONFLICT, "removal of container %s is already in progress",
				ct->id);
	if (op == OP_START)
		return err_kind(err, ERR_CONFLICT,
				"container is marked for removal and cannot be started");
	if (op == OP_NETWORK)
		return err_kind(err, ERR_CONFLICT,
				"container %s is marked for removal and cannot be connected or "
				"disconnected to the network",
				ct->id);
	return err_kind(err, ERR_CONFLICT,
			"container %s is marked for removal and cannot be \"%s\"", ct->id,
			verbs[op]);
}

int container_op_begin(struct container *ct, enum container_op op, op_fn *fn, void *arg,
		       struct err *err)
{
	struct op_waiter **end;
	struct op_waiter *w;

	assert_loop_thread();
	assert(op != OP_NONE);
	if (ct->removing)
		return err_removing(ct, op, err);
	if (ct->op == OP_NONE) {
		ct->op = op;
		fn(ct, arg, false);
		return 0;
	}
	w = xcalloc(1, sizeof(*w));
	w->op = op;
	w->fn = fn;
	w->arg = arg;
	for (end = &ct->op_queue; *end; end = &(*end)->next)
		;
	*end = w;
	return 0;
}

/* The next in line may end its operation before its fn returns: that end finds the loop below at
 * work and leaves the rest to it, so that a long line never nests. */
void container_op_end(struct container *ct)
{
	struct op_waiter *w;

	assert_loop_thread();
	assert(ct->op != OP_NONE);
	ct->op = OP_NONE;
	if (ct->op_dispatching)
		return;
	ct->op_dispatching = true;
	container_ref(ct);
	while (ct->op == OP_NONE && (w = ct->op_queue)) {
		ct->op_queue = w->next;
		ct->op = w->op;
		w->fn(ct, w->arg, false);
		free(w);
	}
	ct->op_dispatching = false;
	container_unref(ct);
}
