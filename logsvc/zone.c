/* SPDX-License-Identifier: MPL-2.0
 *
 * zone.c - what logsvc knows of a zone outside its stream: settings, and the link to its zoneadmd.
 *
 * Link states:
 *
 *	NONE --zone_open--> ASKED (Hello, GetStdio sent) --Stdio--> LINKED --Run--> LINKED
 *	  ^                    |                                      |
 *	  +---- no such socket-+---- connection lost: RETRY <---------+
 *
 * A zoneadmd that ends closes the link; its stream goes on to the end of the pipes (stream_orphan).
 * One that crashed is looked for again TRIES times; apiserver starting the zone anew opens it anyway.
 *
 * Threads: control. A stream is only touched by tasks posted to its capture thread; that thread
 * answers with tasks posted here. A zone is freed by two such hops, so that no task can name a
 * freed one: control forgets it, capture frees the stream, control frees the zone.
 */
#define LOG_MODULE "zone"
#include "zone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "forward_page.h"
#include "frame.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "log_addr.h"
#include "logger_policy.h"
#include "str.h"
#include "zone.pb-c.h"
#include "zone_keep.h"

#define LOG_JSON_MAX (4 * 1024 * 1024)
#define TRIES	     5
#define RETRY_NS     200000000
#define CONNECT_MS   200

struct zone_opener {
	struct zone_opener *next;
	uint64_t tag;
};

/* ---- settings --------------------------------------------------------------------------------- */

/* The record's attrs as Docker writes them: sorted keys, strings. */
static char *attrs_text(const json_t *attrs)
{
	struct buf b = BUF_INIT;
	const char **keys;
	const char *key;
	json_t *value;
	size_t n = 0, i, j;

	if (!attrs || !json_object_size(attrs))
		return NULL;
	keys = xcalloc(json_object_size(attrs), sizeof(*keys));
	json_object_foreach((json_t *)(uintptr_t)attrs, key, value)
	{
		for (i = n++; i > 0 && strcmp(keys[i - 1], key) > 0; i--)
			keys[i] = keys[i - 1];
		keys[i] = key;
	}
	buf_addch(&b, '{');
	for (j = 0; j < n; j++) {
		const char *s = jget_str(attrs, keys[j], "");

		if (j)
			buf_addch(&b, ',');
		buf_json_str(&b, keys[j], strlen(keys[j]));
		buf_addch(&b, ':');
		buf_json_str(&b, s, strlen(s));
	}
	buf_addch(&b, '}');
	free(keys);
	return buf_steal(&b);
}

/* Of what a logger reads: all but what capture alone looks at. */
static uint64_t logger_conf(const json_t *conf)
{
	static const char *const ours[] = { "max_size", "max_file", "compress", "cache_disabled", "owner" };
	cleanup_json json_t *o = conf ? json_deep_copy(conf) : json_object();
	cleanup_free char *text = NULL;
	json_t *opts = jget_obj(o, "opts"), *value;
	const char *name;
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */
	void *next;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		json_object_del(o, ours[i]);
	json_object_foreach_safe (opts, next, name, value) {
		if (str_starts(name, "cache-"))
			json_object_del(opts, name);
	}
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	for (const char *p = text; p && *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3ULL;
	return h;
}

/* spool-full=block: how much may wait for the sink. */
static int64_t block_bytes(const struct conf *conf, const char *driver, const json_t *opts)
{
	int64_t most = conf_int(conf, "FORWARD_MAX_BACKLOG");
	struct sink_policy p;

	policy_read(&p, driver, opts);
	if (!p.block || !log_driver_forwards(driver))
		return 0;
	return p.buffer_bytes && p.buffer_bytes < most ? p.buffer_bytes : most;
}

static void read_conf(struct zone *z, struct stream_conf *sc)
{
	const struct conf *conf = z->zones->conf;
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };
	const char *driver;
	int64_t files;
	char path[1024];

	paths_zone(z->zones->paths, z->uuid, "config/log.json", path);
	if ((fs_read_file(path, LOG_JSON_MAX, &text, &err) < 0 && err.code != -ENOENT) ||
	    (text.len && jparse(text.p, text.len, &o, &err) < 0))
		log_warn("settings not read; defaults hold", "zone=%s: %s", z->uuid, err.msg);
	driver = jget_str(o, "driver", "json-file");
	memset(sc, 0, sizeof(*sc));
	sc->no_file = str_eq(driver, "none");
	sc->attrs = attrs_text(jget_obj(o, "attrs"));
	sc->max_size = jget_int(o, "max_size", conf_int(conf, "DEFAULT_MAX_LOG_SIZE"));
	if (sc->max_size < 0)
		sc->max_size = 0;
	files = jget_int(o, "max_file", conf_int(conf, "DEFAULT_MAX_LOG_FILES"));
	sc->max_files = files <= 0 ? 0 : files > 1000000 ? 1000000 : (uint32_t)files;
	sc->compress = jget_bool(o, "compress", false);
	sc->block_bytes = block_bytes(conf, driver, jget_obj(o, "opts"));
	z->blocks = sc->block_bytes > 0;
	sc->full_wait_ns = conf_int(conf, "LOG_FULL_WAIT") * 1000000000;
	z->no_file = sc->no_file;
	z->tty = jget_bool(o, "tty", false);
	z->logger_conf = logger_conf(o);
	if (z->forward)
		forward_set_conf(z->forward, z->logger_conf, z->blocks);
	str_copy(z->driver, sizeof(z->driver), driver);
	z->no_reads = jget_bool(o, "cache_disabled", false) && !str_eq(driver, "json-file") &&
		      !str_eq(driver, "local");
}

/* ---- tasks to the capture thread, and back ---------------------------------------------------- */

struct zone_task {
	struct zone *z;
	struct stream_conf conf;
	struct stream_stdio io;
	uint32_t run;
	uint64_t lines, bytes;
};

static struct zone_task *task_new(struct zone *z)
{
	struct zone_task *t = xcalloc(1, sizeof(*t));

	t->z = z;
	return t;
}

static void to_capture(struct zone *z, void (*fn)(void *), struct zone_task *t)
{
	loop_post(stream_capture(z->stream)->loop, fn, t);
}

static void in_capture_set_conf(void *arg)
{
	struct zone_task *t = arg;

	stream_set_conf(t->z->stream, &t->conf);
	free(t);
}

static void send_drained(void *arg)
{
	struct zone_task *t = arg;
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Drained drained = ZONE__DRAINED__INIT;
	unsigned char out[64];
	size_t n;

	drained.run = t->run;
	req.op_case = ZONE__REQUEST__OP_DRAINED;
	req.drained = &drained;
	req.seq = ++t->z->link_seq;
	n = zone__request__pack(&req, out);
	if (t->z->link.fd >= 0)
		(void)frame_send(t->z->link.fd, out, n, NULL, 0, 1000);
	free(t);
}

static void on_drained(void *owner, uint32_t run) /* the capture thread */
{
	struct zone *z = owner;
	struct zone_task *t = task_new(z);

	t->run = run;
	loop_post(z->zones->loop, send_drained, t);
}

static void add_loss(void *arg)
{
	struct zone_task *t = arg;

	if (!t->z->forgotten)
		loss_add(t->z, LOSS_LOG, t->lines, t->bytes);
	free(t);
}

static void on_dropped(void *owner, uint64_t lines, uint64_t bytes) /* the capture thread */
{
	struct zone *z = owner;
	struct zone_task *t = task_new(z);

	t->lines = lines;
	t->bytes = bytes;
	loop_post(z->zones->loop, add_loss, t);
}

static void task_release(void *arg)
{
	zone_release(arg);
}

static void on_idle(void *owner) /* the capture thread */
{
	struct zone *z = owner;

	loop_post(z->zones->loop, task_release, z);
}

static void free_zone(void *arg)
{
	struct zone *z = arg;

	logset_unref(z->set);
	loop_free_later(z->zones->loop, z); /* an event in hand may name its link */
}

static void in_capture_free(void *arg)
{
	struct zone *z = arg;

	stream_free(z->stream);
	loop_post(z->zones->loop, free_zone, z);
}

/* ---- the table -------------------------------------------------------------------------------- */

static void on_link(struct source *src, uint32_t events);
static void on_retry(struct timer *t);

static struct zone *zone_new(struct zones *zs, const char *uuid)
{
	struct stream_events events = { on_drained, on_idle, on_dropped, NULL };
	struct zone *z = xcalloc(1, sizeof(*z));
	char dir[1024], gap[1024];

	z->zones = zs;
	str_copy(z->uuid, sizeof(z->uuid), uuid);
	z->link.fd = -1;
	z->link.on_event = on_link;
	z->retry.on_time = on_retry;
	paths_zone(zs->paths, uuid, "logs", dir);
	z->set = logset_new(uuid, dir);
	zone_keep_watch(z);
	events.owner = z;
	paths_zone_run(zs->paths, uuid, GAP_NAME, gap);
	z->stream = stream_new(zs->captures[zs->next_capture++ % zs->n_captures], z->set, dir, gap, &events);
	map_set(&zs->by_uuid, uuid, z);
	zone_load_conf(z);
	return z;
}

static bool uuid_is_good(const char *uuid)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(uuid) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == 'x' ? !is_hex(uuid + i, 1) : uuid[i] != '-')
			return false;
	}
	return true;
}

struct zone *zones_find(struct zones *zs, const char *uuid)
{
	return map_get(&zs->by_uuid, uuid);
}

struct zone *zones_get(struct zones *zs, const char *uuid, struct err *err)
{
	struct zone *z = zones_find(zs, uuid);
	char dir[1024];

	if (z)
		return z;
	if (uuid_is_good(uuid) && fs_exists(paths_zone(zs->paths, uuid, "", dir)))
		return zone_new(zs, uuid);
	err_kind(err, ERR_NOT_FOUND, "No such container: %.64s", uuid);
	return NULL;
}

struct zone *zones_expect(struct zones *zs, const char *uuid)
{
	struct zone *z = zones_find(zs, uuid);

	return z || !uuid_is_good(uuid) ? z : zone_new(zs, uuid);
}

void zone_load_conf(struct zone *z)
{
	struct zone_task *t = task_new(z);

	read_conf(z, &t->conf);
	to_capture(z, in_capture_set_conf, t);
}

void zones_load_conf(struct zones *zs)
{
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	while (map_next(&zs->by_uuid, &it, &key, &value))
		zone_load_conf(value);
}

/* ---- the link --------------------------------------------------------------------------------- */

static void tell_openers(struct zone *z, const struct err *err)
{
	while (z->openers) {
		struct zone_opener *o = z->openers;

		z->openers = o->next;
		z->zones->on_opened(z->zones->owner, o->tag, err);
		free(o);
	}
	if (z->found_at_start) {
		z->found_at_start = false;
		z->zones->adopting--;
	}
}

static void drop_link(struct zone *z)
{
	if (z->link.fd < 0)
		return;
	loop_unwatch(z->zones->loop, &z->link);
	close(z->link.fd);
	z->link.fd = -1;
	z->linked = false;
}

static int send_request(struct zone *z, Zone__Request *req, struct err *err)
{
	unsigned char out[256];
	size_t n;
	int rc;

	req->seq = ++z->link_seq;
	n = zone__request__pack(req, out);
	rc = frame_send(z->link.fd, out, n, NULL, 0, 1000);
	return rc < 0 ? err_sysnum(err, rc, "ask the zoneadmd of %s", z->uuid) : 0;
}

static int connect_link(struct zone *z, struct err *err)
{
	Zone__Request req = ZONE__REQUEST__INIT;
	Zone__Hello hello = ZONE__HELLO__INIT;
	Zone__GetStdio get_stdio = ZONE__GET_STDIO__INIT;
	char path[1024];
	int fd, rc;

	fd = frame_connect(paths_zone_run(z->zones->paths, z->uuid, "zoneadmd.sock", path), CONNECT_MS,
			   err);
	if (fd < 0)
		return fd;
	z->link.fd = fd;
	if ((rc = loop_watch(z->zones->loop, &z->link, EPOLLIN)) < 0) {
		drop_link(z);
		return err_sysnum(err, rc, "watch the zoneadmd of %s", z->uuid);
	}
	hello.events = 1;
	req.op_case = ZONE__REQUEST__OP_HELLO;
	req.hello = &hello;
	if ((rc = send_request(z, &req, err)) == 0) {
		req.op_case = ZONE__REQUEST__OP_GET_STDIO;
		req.get_stdio = &get_stdio;
		rc = send_request(z, &req, err);
	}
	if (rc < 0)
		drop_link(z);
	return rc;
}

static void in_capture_orphan(void *arg)
{
	stream_orphan(((struct zone *)arg)->stream);
}

/* The connection ended: a zoneadmd that is done, or one that is being replaced. */
static void lost_link(struct zone *z, const struct err *err)
{
	drop_link(z);
	if (z->tries++ < TRIES) {
		loop_timer(z->zones->loop, &z->retry, RETRY_NS * (int64_t)z->tries);
		return;
	}
	tell_openers(z, err);
	if (z->forward)
		forward_abandon(z->forward);
	loop_post(stream_capture(z->stream)->loop, in_capture_orphan, z);
}

static void on_retry(struct timer *t)
{
	struct zone *z = container_of(t, struct zone, retry);
	struct err err = { 0 };
	int rc;

	if (z->link.fd >= 0)
		return;
	rc = connect_link(z, &err);
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ENOTDIR)
		z->tries = TRIES; /* it has ended */
	if (rc < 0)
		lost_link(z, &err);
}

void zone_open(struct zone *z, uint64_t tag)
{
	struct zone_opener *o;
	struct err err = { 0 };

	if (z->linked) {
		z->zones->on_opened(z->zones->owner, tag, NULL);
		return;
	}
	o = xcalloc(1, sizeof(*o));
	o->tag = tag;
	o->next = z->openers;
	z->openers = o;
	if (z->link.fd >= 0)
		return;
	z->tries = 0;
	loop_timer_stop(&z->retry);
	zone_load_conf(z);
	if (connect_link(z, &err) < 0) {
		tell_openers(z, &err);
		zone_release(z);
	}
}

static void adopted(void *arg)
{
	struct zone *z = arg;

	if (z->link.fd >= 0) {
		z->linked = true;
		z->tries = 0;
	}
	tell_openers(z, NULL);
}

static void in_capture_adopt(void *arg)
{
	struct zone_task *t = arg;

	stream_adopt(t->z->stream, &t->io);
	loop_post(t->z->zones->loop, adopted, t->z);
	free(t);
}

/* Descriptors tell what they are: a memory file is the ring, all others are ends in their order. */
static void on_forward_idle(void *owner)
{
	struct zone *z = owner;

	if (!z->forgotten && z->zones->on_settled)
		z->zones->on_settled(z->zones->owner, z->uuid);
	zone_release(z);
}

static void on_forward_dropped(void *owner, uint64_t lines, uint64_t bytes)
{
	loss_add(owner, LOSS_BACKLOG, lines, bytes);
}

struct forward *zone_forward(struct zone *z, struct err *err)
{
	const struct zones *zs = z->zones;

	if (!z->forward && !log_driver_forwards(z->driver))
		err_kind(err, ERR_BAD_PARAM, "log driver %s has no sink", z->driver);
	else if (!z->forward)
		z->forward = forward_new(zs->loop, zs->paths, zs->conf, z->set, on_forward_idle, z, err);
	if (z->forward)
		forward_on_dropped(z->forward, on_forward_dropped);
	if (z->forward) /* one that lives may have been started with what log.json said before */
		forward_set_conf(z->forward, z->logger_conf, z->blocks);
	return z->forward;
}

/* A run goes on, or a new one begins: the log driver's logger with it. */
static void forward_zone(struct zone *z, const Zone__Stdio *stdio)
{
	struct err err = { 0 };

	if (!log_driver_forwards(z->driver))
		return;
	if (!zone_forward(z, &err))
		log_err("nothing is forwarded", "zone=%s: %s", z->uuid, err.msg);
	else if (stdio->run && !stdio->ended)
		forward_run(z->forward, stdio->pid);
	else if (stdio->run) /* 0: the first one is about to begin, and will say so; a logger would find nothing yet, and end */
		forward_resume(z->forward);
}

static void got_stdio(struct zone *z, const Zone__Stdio *stdio, struct frame *f)
{
	struct zone_task *t = task_new(z);
	struct stat sb;
	int n = 0;

	t->io.ring_fd = t->io.end_fd[0] = t->io.end_fd[1] = -1;
	t->io.run = stdio->run;
	t->io.tty = stdio->tty;
	t->io.ended = stdio->ended;
	for (size_t i = 0; i < f->n_fds; i++) {
		if (fstat(f->fds[i], &sb) < 0)
			continue;
		if (S_ISREG(sb.st_mode)) {
			if (t->io.ring_fd < 0)
				t->io.ring_fd = frame_take_fd(f, i);
		} else if (n < (stdio->tty ? 1 : 2)) {
			t->io.end_fd[n++] = frame_take_fd(f, i);
		}
	}
	forward_zone(z, stdio); /* the page says "runs" before capture says when it does not */
	to_capture(z, in_capture_adopt, t);
}

static void on_message(struct zone *z, struct frame *f)
{
	Zone__Message *m = zone__message__unpack(NULL, f->data.len, (const uint8_t *)f->data.p);
	struct err err = { 0 };

	if (!m) {
		log_warn("zoneadmd sent nonsense", "zone=%s", z->uuid);
		return;
	}
	if (m->body_case == ZONE__MESSAGE__BODY_STDIO)
		got_stdio(z, m->stdio, f);
	else if (m->body_case == ZONE__MESSAGE__BODY_RUN)
		got_stdio(z, m->run, f);
	else if (m->body_case == ZONE__MESSAGE__BODY_FAILURE && !z->linked) {
		err_kind(&err, ERR_SYSTEM, "zoneadmd: %.200s", m->failure->text);
		tell_openers(z, &err);
	}
	zone__message__free_unpacked(m, NULL);
}

static void on_link(struct source *src, uint32_t events)
{
	struct zone *z = container_of(src, struct zone, link);
	struct err err = { 0 };

	(void)events;
	for (int i = 0; i < 16 && z->link.fd >= 0; i++) {
		cleanup_frame struct frame f = FRAME_INIT;
		int rc = frame_recv(z->link.fd, &f, 0);

		if (rc == -EAGAIN)
			return;
		if (rc > 0) {
			on_message(z, &f);
		} else {
			err_sysnum(&err, rc ? rc : -EPIPE, "the zoneadmd of %s", z->uuid);
			lost_link(z, &err);
		}
	}
}

/* ---- ends ------------------------------------------------------------------------------------- */

/* The container has gone, and so has the time for its sink to be back. */
static void add_undelivered(struct zone *z)
{
	uint64_t lines;
	int64_t bytes = forward_undelivered(z->forward, &lines);

	if (bytes <= 0)
		return;
	log_warn("removed before it was forwarded", "zone=%s lines=%llu bytes=%lld", z->uuid, (unsigned long long)lines, (long long)bytes);
	loss_add(z, LOSS_REMOVED, lines, (uint64_t)bytes);
}

static void forget(struct zone *z)
{
	if (z->forgotten)
		return;
	if (z->forward)
		forward_tell_dropped(z->forward);
	if (z->removed && z->forward)
		add_undelivered(z); /* of its files, which go now */
	if (z->removed)
		zone_keep_remove_folders(z);
	loss_flush(z);
	z->forgotten = true;
	map_del(&z->zones->by_uuid, z->uuid);
	drop_link(z);
	forward_free(take_ptr(&z->forward), true);
	loop_timer_stop(&z->retry);
	loop_timer_stop(&z->keep_timer);
	tell_openers(z, &(struct err){ .code = -ECANCELED, .msg = "the zone is being removed" });
	if (!z->readers) /* they use the stream */
		loop_post(stream_capture(z->stream)->loop, in_capture_free, z);
}

void zone_reader_done(struct zone *z)
{
	z->readers--;
	if (z->forgotten && !z->readers)
		loop_post(stream_capture(z->stream)->loop, in_capture_free, z);
	else
		zone_release(z);
}

static bool may_go(const struct zone *z)
{
	return !z->forgotten && z->link.fd < 0 && !z->openers && !z->readers && !z->retry.prev &&
	       !forward_is_busy(z->forward) && !logset_is_busy(z->set);
}

static void release_if_idle(void *arg)
{
	struct zone *z = arg;

	if (may_go(z) && !(z->removed && zone_keep_holds(z)))
		forget(z);
}

static void in_capture_check(void *arg)
{
	struct zone *z = arg;

	if (stream_is_idle(z->stream))
		loop_post(z->zones->loop, release_if_idle, z);
}

void zone_release(struct zone *z)
{
	if (may_go(z))
		loop_post(stream_capture(z->stream)->loop, in_capture_check, z);
}

static void in_capture_remove(void *arg)
{
	stream_remove(((struct zone *)arg)->stream);
}

/* Its logger has ended long ago, and with it what was known of the zone: what its sink has not got is found again. After a restart
 * of the machine (nothing is in the run folder) it is delivered within a new grace, where its network is the host's. */
static void find_forward(struct zone *z)
{
	struct err ignored = { 0 };
	uint64_t lines;
	char path[1024];
	bool known;

	if (z->forward || z->no_file || !log_driver_forwards(z->driver))
		return;
	known = fs_exists(paths_zone_run(z->zones->paths, z->uuid, FORWARD_COMMIT_NAME, path));
	(void)fs_mkdir_p(paths_zone_run(z->zones->paths, z->uuid, "", path), 0700, &ignored); /* goes with the zone */
	if (!zone_forward(z, &ignored) || known || forward_undelivered(z->forward, &lines) <= 0)
		return;
	if (logset_seal(z->set, now_ns()) == 0) /* nobody has its live file open, to say how far it may be read */
		forward_resume(z->forward);
}

void zone_remove(struct zone *z)
{
	find_forward(z);
	if (!z->removed)
		loop_post(stream_capture(z->stream)->loop, in_capture_remove, z);
	z->removed = zone_keep_log(z);
	if (!z->removed) {
		if (z->forward)
			add_undelivered(z);
		forget(z);
		return;
	}
	drop_link(z);
	loop_timer_stop(&z->retry);
	tell_openers(z, &(struct err){ .code = -ECANCELED, .msg = "the zone is being removed" });
	zone_release(z);
}

int zones_init(struct zones *zs, struct loop *loop, const struct paths *paths,
	       struct conf *conf, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	zs->loop = loop;
	zs->paths = paths;
	zs->conf = conf;
	map_init(&zs->by_uuid);
	zs->n_captures = cpus < 4 ? 1 : cpus < 8 ? 2 : MAX_CAPTURES;
	for (unsigned i = 0; i < zs->n_captures; i++) {
		if (!(zs->captures[i] = capture_new(err)))
			return err->code;
	}
	return 0;
}

void zones_stop(struct zones *zs)
{
	for (unsigned i = 0; i < zs->n_captures; i++)
		loop_stop(zs->captures[i]->loop);
}

static void in_capture_settle(void *arg)
{
	stream_settle(((struct zone *)arg)->stream);
}

/* A zone that ended while no logsvc was there, or long ago: its log may not be delivered yet. */
static void adopt_ended(struct zones *zs, const char *uuid)
{
	char path[1024];
	bool removed = fs_exists(paths_zone_run(zs->paths, uuid, FORWARD_REMOVED_NAME, path));
	bool gap = fs_exists(paths_zone_run(zs->paths, uuid, GAP_NAME, path));
	struct err err = { 0 };
	struct zone *z;

	if (!removed && !gap && !fs_exists(paths_zone_run(zs->paths, uuid, FORWARD_COMMIT_NAME, path)))
		return;
	forward_settle(zs->paths, uuid);
	z = zone_new(zs, uuid);
	if (gap)
		loop_post(stream_capture(z->stream)->loop, in_capture_settle, z);
	z->removed = removed;
	if (removed)
		logset_set_removed(z->set);
	if (log_driver_forwards(z->driver) && zone_forward(z, &err))
		forward_resume(z->forward);
	zone_release(z);
}

void zones_adopt_all(struct zones *zs)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	char path[1024];

	paths_zone_run(zs->paths, "", "", path);
	if (!(dir = opendir(path)))
		return;
	while ((de = readdir(dir))) {
		struct zone *z;

		if (!uuid_is_good(de->d_name) || zones_find(zs, de->d_name))
			continue;
		if (!fs_exists(paths_zone_run(zs->paths, de->d_name, "zoneadmd.sock", path))) {
			adopt_ended(zs, de->d_name);
			continue;
		}
		z = zone_new(zs, de->d_name);
		z->found_at_start = true;
		zs->adopting++;
		zone_open(z, 0);
	}
}
