/* SPDX-License-Identifier: MPL-2.0
 *
 * container_persist.c - a container's record in the state database.
 *
 * Design: one JSON text per container. The loop makes the text (its json_t stay on its thread) and
 * hands it to one writer thread; the queue holds at most one text per container, the newest, so
 * that a container that restarts ten times a second costs one write at a time. A deletion is a
 * queue entry too, and replaces a text that waits.
 *
 * Order: what a worker writes itself (ct_spec_save, container_store_del) first takes the id's
 * entry out of the queue and waits for a write of that id in progress, so no older text ever lands
 * on a newer one.
 *
 * Threads: container_to_json, container_save: loop. container_from_json, ct_spec_save,
 * container_store_del, container_save_flush: any.
 *
 * Failure: a text in the queue is lost when we die; it only holds what recovery finds out anyway
 * (a run's state, from the zone's own files). What a client was told is written before, by the
 * worker. A write that fails is logged and given up: the next change of the container writes all
 * of it again.
 */
#define LOG_MODULE "container"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/container_private.h"
#include "apiserver/ct_text.h"
#include "apiserver/job.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "map.h"
#include "str.h"
#include "thread.h"

#define RECORD_VERSION 1

/* ---- to JSON --------------------------------------------------------------------------------- */

static const char *const health_names[] = { "none", "starting", "healthy", "unhealthy" };

static const char *const status_names[] = {
	[CT_CREATED] = "created",   [CT_RUNNING] = "running",
	[CT_PAUSED] = "paused",	    [CT_RESTARTING] = "restarting",
	[CT_REMOVING] = "removing", [CT_EXITED] = "exited",
	[CT_DEAD] = "dead",
};

static void write_mount(struct jw *w, const struct ct_mount *m)
{
	jw_obj(w, NULL);
	jw_str(w, "type", m->type);
	if (m->name)
		jw_str(w, "name", m->name);
	jw_str(w, "source", m->source);
	jw_str(w, "destination", m->destination);
	if (m->driver)
		jw_str(w, "driver", m->driver);
	jw_str(w, "mode", m->mode);
	jw_str(w, "propagation", m->propagation);
	if (m->subpath)
		jw_str(w, "subpath", m->subpath);
	if (m->tmpfs_opts)
		jw_str(w, "tmpfs_opts", m->tmpfs_opts);
	jw_bool(w, "rw", m->rw);
	jw_bool(w, "no_copy", m->no_copy);
	jw_bool(w, "anonymous", m->anonymous);
	jw_bool(w, "from_mounts", m->from_mounts);
	jw_bool(w, "ro_non_recursive", m->ro_non_recursive);
	jw_bool(w, "ro_force_recursive", m->ro_force_recursive);
	jw_bool(w, "create_mountpoint", m->create_mountpoint);
	jw_bool(w, "bind_non_recursive", m->bind_non_recursive);
	jw_end(w);
}

static void write_state(struct jw *w, const struct container_state *st)
{
	jw_obj(w, "state");
	jw_str(w, "status", status_names[st->status]);
	jw_int(w, "pid", st->pid);
	jw_int(w, "exit_code", st->exit_code);
	jw_bool(w, "oom_killed", st->oom_killed);
	jw_bool(w, "dead", st->dead);
	jw_bool(w, "stopped_by_user", st->stopped_by_user);
	jw_bool(w, "started_once", st->started_once);
	jw_str(w, "error", st->error);
	jw_int(w, "started_ns", st->started_ns);
	jw_int(w, "finished_ns", st->finished_ns);
	jw_uint(w, "restart_count", st->restart_count);
	jw_str(w, "health", health_names[st->health]);
	jw_uint(w, "failing_streak", st->failing_streak);
	jw_end(w);
}

/* What container and ct_spec both have; config texts are JSON already. */
struct record {
	const char *id, *name, *image_id, *image_ref, *platform_os;
	int64_t created_ns;
	const char *config_text, *host_config_text;
	const struct ct_mounts *mounts;
	const struct endpoint *endpoints;
	size_t n_endpoints;
	const struct container_state *st;
	const json_t *extra;
	bool removing, auto_remove_done;
};

static char *record_text(const struct record *r)
{
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_int(&w, "v", RECORD_VERSION);
	jw_str(&w, "id", r->id);
	jw_str(&w, "name", r->name);
	jw_int(&w, "created_ns", r->created_ns);
	jw_str(&w, "image_id", r->image_id);
	jw_str(&w, "image_ref", r->image_ref);
	jw_str(&w, "platform_os", r->platform_os);
	jw_bool(&w, "removing", r->removing);
	jw_bool(&w, "auto_remove_done", r->auto_remove_done);
	jw_raw(&w, "config", r->config_text);
	jw_raw(&w, "host_config", r->host_config_text);
	jw_arr(&w, "mounts");
	for (size_t i = 0; i < r->mounts->n; i++)
		write_mount(&w, &r->mounts->v[i]);
	jw_end(&w);
	jw_arr(&w, "endpoints");
	for (size_t i = 0; i < r->n_endpoints; i++) {
		json_t *ep = endpoint_to_json(&r->endpoints[i]);
		char *text = json_dumps(ep, JSON_COMPACT);

		if (text)
			jw_raw(&w, NULL, text);
		free(text);
		json_decref(ep);
	}
	jw_end(&w);
	write_state(&w, r->st);
	if (r->extra) {
		char *text = json_dumps(r->extra, JSON_COMPACT);

		if (text)
			jw_raw(&w, "extra", text);
		free(text);
	}
	jw_end(&w);
	return buf_steal(&b);
}

char *container_to_json(const struct container *ct)
{
	struct record r = {
		.id = ct->id,
		.name = ct->name,
		.image_id = ct->image_id,
		.image_ref = ct->image_ref,
		.platform_os = ct->platform_os,
		.created_ns = ct->created_ns,
		.config_text = container_config_text(ct),
		.host_config_text = container_host_config_text(ct),
		.mounts = &ct->mounts,
		.endpoints = ct->endpoints,
		.n_endpoints = ct->n_endpoints,
		.st = &ct->st,
		.extra = ct->extra,
		.removing = ct->removing,
		.auto_remove_done = ct->auto_remove_done,
	};

	return record_text(&r);
}

static char *spec_text(const struct ct_spec *s)
{
	cleanup_free char *config = json_dumps(s->config, JSON_COMPACT);
	cleanup_free char *host_config = json_dumps(s->host_config, JSON_COMPACT);
	struct record r = {
		.id = s->id,
		.name = s->name,
		.image_id = s->image_id,
		.image_ref = s->image_ref,
		.platform_os = "linux",
		.created_ns = s->created_ns,
		.config_text = config,
		.host_config_text = host_config,
		.mounts = &s->mounts,
		.endpoints = s->endpoints,
		.n_endpoints = s->n_endpoints,
		.st = &s->st,
		.extra = s->extra,
	};

	assert(config && host_config);
	return record_text(&r);
}

/* ---- from JSON ------------------------------------------------------------------------------- */

static char *opt_str(const json_t *o, const char *key)
{
	return xstrdup(jget_str(o, key, NULL));
}

static char *need_str(const json_t *o, const char *key)
{
	return xstrdup(jget_str(o, key, ""));
}

static void read_mount(const json_t *o, struct ct_mount *m)
{
	m->type = need_str(o, "type");
	m->name = opt_str(o, "name");
	m->source = need_str(o, "source");
	m->destination = need_str(o, "destination");
	m->driver = opt_str(o, "driver");
	m->mode = need_str(o, "mode");
	m->propagation = need_str(o, "propagation");
	m->subpath = opt_str(o, "subpath");
	m->tmpfs_opts = opt_str(o, "tmpfs_opts");
	m->rw = jget_bool(o, "rw", true);
	m->no_copy = jget_bool(o, "no_copy", false);
	m->anonymous = jget_bool(o, "anonymous", false);
	m->from_mounts = jget_bool(o, "from_mounts", false);
	m->ro_non_recursive = jget_bool(o, "ro_non_recursive", false);
	m->ro_force_recursive = jget_bool(o, "ro_force_recursive", false);
	m->create_mountpoint = jget_bool(o, "create_mountpoint", false);
	m->bind_non_recursive = jget_bool(o, "bind_non_recursive", false);
}

static void read_state(const json_t *o, struct container_state *st)
{
	const char *status = jget_str(o, "status", "exited");
	const char *health = jget_str(o, "health", "none");

	st->status = CT_EXITED;
	for (size_t i = 0; i < ARRAY_SIZE(status_names); i++)
		if (strcmp(status, status_names[i]) == 0)
			st->status = (enum container_status)i;
	for (size_t i = 0; i < ARRAY_SIZE(health_names); i++)
		if (strcmp(health, health_names[i]) == 0)
			st->health = (enum health_status)i;
	st->pid = (int)jget_int(o, "pid", 0);
	st->exit_code = (int)jget_int(o, "exit_code", 0);
	st->oom_killed = jget_bool(o, "oom_killed", false);
	st->dead = jget_bool(o, "dead", false);
	st->stopped_by_user = jget_bool(o, "stopped_by_user", false);
	st->started_once = jget_bool(o, "started_once", false);
	str_copy(st->error, sizeof(st->error), jget_str(o, "error", ""));
	st->started_ns = jget_int(o, "started_ns", 0);
	st->finished_ns = jget_int(o, "finished_ns", 0);
	st->restart_count = (unsigned)jget_int(o, "restart_count", 0);
	st->failing_streak = (unsigned)jget_int(o, "failing_streak", 0);
}

static int read_record(const json_t *o, struct container *ct, struct err *err)
{
	json_t *list;
	json_t *item;
	size_t i;
	int rc;

	ct->name = need_str(o, "name");
	ct->created_ns = jget_int(o, "created_ns", 0);
	str_copy(ct->image_id, sizeof(ct->image_id), jget_str(o, "image_id", ""));
	ct->image_ref = need_str(o, "image_ref");
	free(ct->platform_os);
	ct->platform_os = xstrdup(jget_str(o, "platform_os", "linux"));
	ct->removing = jget_bool(o, "removing", false);
	ct->auto_remove_done = jget_bool(o, "auto_remove_done", false);
	ct->config = json_incref(jget_obj(o, "config"));
	ct->host_config = json_incref(jget_obj(o, "host_config"));
	ct->extra = json_incref(jget_obj(o, "extra"));
	if (ct->name[0] == '\0' || !ct->config || !ct->host_config)
		return err_kind(err, ERR_SYSTEM,
				"record of container %s: name, config or host_config is missing",
				ct->id);
	list = jget_arr(o, "mounts");
	json_array_foreach (list, i, item)
		read_mount(item, ct_mounts_add(&ct->mounts));
	list = jget_arr(o, "endpoints");
	if (json_array_size(list))
		ct->endpoints = xcalloc(json_array_size(list), sizeof(*ct->endpoints));
	json_array_foreach (list, i, item) {
		if ((rc = endpoint_from_json(item, &ct->endpoints[ct->n_endpoints], err)) < 0)
			return err_wrap(err, rc, "record of container %s", ct->id);
		ct->n_endpoints++;
	}
	read_state(jget_obj(o, "state"), &ct->st);
	return 0;
}

int container_from_json(const char *text, struct container **out, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct container *ct;
	const char *id;
	int rc;

	if ((rc = jparse(text, strlen(text), &o, err)) < 0)
		return err_wrap(err, rc, "record of a container");
	id = jget_str(o, "id", "");
	if (strlen(id) != 64 || !is_hex(id, 64))
		return err_kind(err, ERR_SYSTEM, "record of a container: bad id");
	if (jget_int(o, "v", 0) > RECORD_VERSION)
		return err_kind(err, ERR_SYSTEM,
				"record of container %s was written by a newer version", id);
	ct = container_new(id);
	if ((rc = read_record(o, ct, err)) < 0) {
		container_unref(ct);
		return rc;
	}
	*out = ct;
	return 0;
}

/* ---- the writer ------------------------------------------------------------------------------ */

struct pending {
	struct pending *next;
	char id[65];
	char *text; /* NULL: delete */
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t work; /* something is queued, or stop */
	pthread_cond_t idle; /* a write has ended */
	pthread_t thread;
	bool started, stop;
	struct pending *head, **tail;
	struct map by_id; /* -> struct pending in the queue */
	struct pending *writing;
} wr = { .mutex = PTHREAD_MUTEX_INITIALIZER,
	 .work = PTHREAD_COND_INITIALIZER,
	 .idle = PTHREAD_COND_INITIALIZER };

static void pending_free(struct pending *p)
{
	free(p->text);
	free(p);
}

static void *writer_main(void *arg)
{
	struct err err;
	struct pending *p;
	int rc;

	(void)arg;
	pthread_setname_np(pthread_self(), "state-writer");
	pthread_mutex_lock(&wr.mutex);
	for (;;) {
		while (!wr.head && !wr.stop)
			pthread_cond_wait(&wr.work, &wr.mutex);
		if (!(p = wr.head))
			break;
		if (!(wr.head = p->next))
			wr.tail = &wr.head;
		map_del(&wr.by_id, p->id);
		wr.writing = p;
		pthread_mutex_unlock(&wr.mutex);
		rc = p->text ? store_put(STORE_CONTAINER, p->id, p->text, &err)
			     : store_del(STORE_CONTAINER, p->id, &err);
		if (rc < 0)
			log_err("container's record was not written", "ct=%.12s why=%s", p->id,
				log_q(err.msg));
		pthread_mutex_lock(&wr.mutex);
		wr.writing = NULL;
		pending_free(p);
		pthread_cond_broadcast(&wr.idle);
	}
	pthread_mutex_unlock(&wr.mutex);
	return NULL;
}

/* With the mutex held. */
static void writer_start(void)
{
	if (wr.started)
		return;
	map_init(&wr.by_id);
	wr.tail = &wr.head;
	wr.stop = false;
	if (thread_start(&wr.thread, 0, writer_main, NULL) < 0)
		abort();
	wr.started = true;
}

/* Takes text. */
static void writer_queue(const char *id, char *text)
{
	struct pending *p;

	pthread_mutex_lock(&wr.mutex);
	writer_start();
	if ((p = map_get(&wr.by_id, id))) {
		free(p->text);
		p->text = text;
	} else {
		p = xcalloc(1, sizeof(*p));
		memcpy(p->id, id, sizeof(p->id));
		p->text = text;
		*wr.tail = p;
		wr.tail = &p->next;
		map_set(&wr.by_id, id, p);
		pthread_cond_signal(&wr.work);
	}
	pthread_mutex_unlock(&wr.mutex);
}

/* What waits for id is dropped, what is being written is waited for. */
static void writer_take_over(const char *id)
{
	struct pending **at;
	struct pending *p;

	pthread_mutex_lock(&wr.mutex);
	if (wr.started && (p = map_del(&wr.by_id, id))) {
		for (at = &wr.head; *at != p; at = &(*at)->next)
			;
		if (!(*at = p->next))
			wr.tail = at;
		pending_free(p);
	}
	while (wr.writing && strcmp(wr.writing->id, id) == 0)
		pthread_cond_wait(&wr.idle, &wr.mutex);
	pthread_mutex_unlock(&wr.mutex);
}

void container_save(struct container *ct)
{
	assert_loop_thread();
	container_text_drop(ct);
	writer_queue(ct->id, container_to_json(ct));
}

void container_unsave(const char *id)
{
	writer_queue(id, NULL);
}

void container_save_flush(void)
{
	pthread_mutex_lock(&wr.mutex);
	while (wr.head || wr.writing)
		pthread_cond_wait(&wr.idle, &wr.mutex);
	pthread_mutex_unlock(&wr.mutex);
}

void container_save_stop(void)
{
	bool started;

	pthread_mutex_lock(&wr.mutex);
	started = wr.started;
	wr.stop = true;
	pthread_cond_signal(&wr.work);
	pthread_mutex_unlock(&wr.mutex);
	if (!started)
		return;
	pthread_join(wr.thread, NULL);
	map_fini(&wr.by_id, NULL);
	wr.started = false;
}

int ct_spec_save(const struct ct_spec *spec, struct err *err)
{
	cleanup_free char *text = spec_text(spec);

	writer_take_over(spec->id);
	return store_put(STORE_CONTAINER, spec->id, text, err);
}

int container_store_del(const char *id, struct err *err)
{
	writer_take_over(id);
	return store_del(STORE_CONTAINER, id, err);
}
