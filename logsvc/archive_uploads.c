/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_uploads.c - the queue of zones with something to upload, and the one archiver that does it.
 *
 * Theory of archiving. A rotated file goes through these steps, each of which a successor can tell from what is on the disk:
 *
 *	stdio.log.TIME		rotated; read by the zone's logger until that has passed it
 *	stdio.log.TIME.gz	compressed, by fsync and rename (compress.c)
 *	PUT, HEAD		in the store, which has shown its own checksum of it (archiver, store_s3.c, store_manta.c)
 *	archive.index		a line says so, synced (archive_index.c)
 *	(gone)			whenever retention wants: not before (retention.c)
 *
 * Dying between two of them does the last one again: the same bytes go to the same name, because the .gz is made once and a name
 * is never given twice in a zone's life (logset's newest_s), neither after a step of the clock nor when the file here is gone.
 *
 * So with a store rotated files are compressed whatever the zone's options say, and those beyond max-file or MAX_LOG_AGE wait
 * here while the store is away. What bounds them is MAX_TOTAL_LOG_SIZE and the disk itself: then the oldest go unstored, which is
 * counted and told. Capture knows nothing of all this.
 *
 * States:	IDLE --submit--> BUSY (an order is out) --answer--> BUSY with the next | IDLE
 *			  ^                |
 *			  |                | failure, whatever it is
 *			  +-- PAUSE <------+	1 s, doubled to 60 s, or as long as the store says (Retry-After)
 *
 * After each file the zone goes to the end of the queue, so that none waits for another one's backlog. A file that cannot be
 * stored (damaged, or refused) holds up its own zone only, and the others for the length of a pause.
 * The archiver is started when there is something to do, and ended IDLE_NS after; a change of the settings replaces it.
 *
 * Limits: a zone is in the queue once; an order may take ORDER_NS.
 * Threads: one loop, which retention.c uses too. Failure: nothing is kept here; retention's sweep finds what is not stored.
 */
#define LOG_MODULE "uploads"
#include "archive_uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "archive_child.h"
#include "archive_index.h"
#include "buf.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "log_store.h"
#include "retention.h"
#include "str.h"

#define MS	     1000000LL
#define PAUSE_MIN_NS (1000 * MS)
#define PAUSE_MAX_NS (60000 * MS)
#define IDLE_NS	     (10000 * MS)
#define ORDER_NS     (2 * 3600000 * MS)
#define LOG_JSON_MAX (4 * 1024 * 1024)
#define NO_OWNER     "00000000-0000-0000-0000-000000000000"

struct item {
	struct item *next;
	struct logset *set;
};

static struct {
	struct loop *loop;
	const struct paths *paths;
	const struct conf *conf;
	atomic_bool enabled;
	/* the loop's thread */
	struct item *head, **tail;
	struct source sock; /* the archiver; fd -1: none */
	struct item *busy;  /* its order is of this set ... */
	struct archive_entry entry; /* ... and this file */
	uint64_t entry_seq;
	bool pausing;
	int64_t pause_ns;
	struct timer timer; /* of a pause, of idling, or of an order */
	struct log_limit complaint;
	/* under the lock */
	pthread_mutex_t lock;
	struct uploads_status status;
} up = { .lock = PTHREAD_MUTEX_INITIALIZER, .sock = { .fd = -1 } };

static void next(void);

bool uploads_enabled(void)
{
	return atomic_load(&up.enabled);
}

void uploads_status(struct uploads_status *out)
{
	pthread_mutex_lock(&up.lock);
	*out = up.status;
	pthread_mutex_unlock(&up.lock);
}

/* ---- the archiver ------------------------------------------------------------------------------- */

static void drop_child(void)
{
	if (up.sock.fd < 0)
		return;
	loop_unwatch(up.loop, &up.sock);
	close(up.sock.fd);
	up.sock.fd = -1;
}

static void queue(struct item *it)
{
	it->next = NULL;
	*up.tail = it;
	up.tail = &it->next;
}

static void pause_for(int64_t wish_s)
{
	int64_t ns;

	up.pause_ns = up.pause_ns ? up.pause_ns * 2 : PAUSE_MIN_NS;
	if (up.pause_ns > PAUSE_MAX_NS)
		up.pause_ns = PAUSE_MAX_NS;
	ns = wish_s * 1000 * MS > up.pause_ns ? wish_s * 1000 * MS : up.pause_ns;
	up.pausing = true;
	loop_timer(up.loop, &up.timer, ns);
}

static void failed(const char *why, int64_t wish_s)
{
	struct item *it = take_ptr(&up.busy);
	unsigned missed;

	drop_child(); /* the next one reads the credentials anew */
	pthread_mutex_lock(&it->set->lock);
	it->set->upload_failures++;
	pthread_mutex_unlock(&it->set->lock);
	pthread_mutex_lock(&up.lock);
	up.status.failed++;
	str_copy(up.status.error, sizeof(up.status.error), why);
	pthread_mutex_unlock(&up.lock);
	if (log_limit_ok(&up.complaint, 10000, &missed))
		log_warn("log not stored; it is tried again", "zone=%s file=%s error=%s", it->set->uuid, up.entry.name, log_q(why));
	queue(it);
	pause_for(wish_s);
}

/* ---- one file ----------------------------------------------------------------------------------- */

static void owner_of(const char *uuid, char out[64])
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	char path[1024];

	paths_zone(up.paths, uuid, "config/log.json", path);
	if (fs_read_file(path, LOG_JSON_MAX, &text, &ignored) == 0)
		(void)jparse(buf_str(&text), text.len, &o, &ignored);
	if (str_copy(out, 64, jget_str(o, "owner", "")) != 36)
		str_copy(out, 64, NO_OWNER);
}

/* Opens the oldest compressed file that is not stored: its descriptor, or -1. */
static int pick(struct logset *set)
{
	int fd = -1;

	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; fd < 0 && i < set->n_files && (!set->removed || set->kept); i++) {
		const struct log_entry *e = &set->files[i];

		if (!e->gz || e->stored)
			continue;
		fd = openat(set->dir_fd, e->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			continue;
		memset(&up.entry, 0, sizeof(up.entry));
		str_copy(up.entry.name, sizeof(up.entry.name), e->name);
		up.entry_seq = e->seq;
	}
	if (fd < 0)
		set->uploading = false;
	pthread_mutex_unlock(&set->lock);
	return fd;
}

/* Sends the order for the set in hand. False with why: it is not on its way. */
static bool order(int fd, struct err *err)
{
	struct archiver_order o = { .op = ARCHIVER_PUT };
	char owner[64];

	owner_of(up.busy->set->uuid, owner);
	if (log_store_object(up.entry.object, owner, up.busy->set->uuid, up.entry.name) < 0)
		return err_sysnum(err, EINVAL, "no object can have the name of %s", up.entry.name), false;
	if (up.sock.fd < 0) {
		up.sock.fd = archive_child_start(up.conf, err);
		if (up.sock.fd < 0) {
			up.sock.fd = -1;
			return false;
		}
		(void)loop_watch(up.loop, &up.sock, EPOLLIN);
	}
	str_copy(o.object, sizeof(o.object), up.entry.object);
	if (archive_child_order(up.sock.fd, &o, fd, err) < 0) {
		drop_child();
		return false;
	}
	loop_timer(up.loop, &up.timer, ORDER_NS);
	return true;
}

static int note(struct logset *set, const struct archiver_answer *a, struct err *err)
{
	int rc, dir_fd;

	up.entry.size = a->size;
	up.entry.bytes = a->bytes;
	up.entry.first_ns = a->first_ns;
	up.entry.last_ns = a->last_ns;
	str_copy(up.entry.sha256, sizeof(up.entry.sha256), a->sha256);
	pthread_mutex_lock(&set->lock);
	dir_fd = fcntl(set->dir_fd, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_unlock(&set->lock);
	if (dir_fd < 0)
		return err_sys(err, "the zone's folder");
	rc = archive_index_append(dir_fd, &up.entry, err);
	close(dir_fd);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < set->n_files; i++)
		if (set->files[i].seq == up.entry_seq)
			set->files[i].stored = true;
	set->archived++;
	set->archived_bytes += (uint64_t)a->bytes;
	pthread_mutex_unlock(&set->lock);
	return 0;
}

static void stored(const struct archiver_answer *a)
{
	struct item *it = up.busy;
	struct err err = { 0 };

	(void)failpoint("uploads.answered");
	if (note(it->set, a, &err) < 0) {
		failed(err.msg, 0);
		return;
	}
	(void)failpoint("uploads.noted");
	log_debug("log stored", "zone=%s object=%s bytes=%lld", it->set->uuid, up.entry.object, (long long)a->size);
	up.busy = NULL;
	up.pause_ns = 0;
	pthread_mutex_lock(&up.lock);
	up.status.stored++;
	up.status.error[0] = '\0';
	pthread_mutex_unlock(&up.lock);
	(void)retention_apply(it->set); /* it may go now */
	queue(it);
}

static void on_sock(struct source *src, uint32_t events)
{
	struct archiver_answer a;
	int rc = archive_child_answer(src->fd, &a);

	(void)events;
	if (rc == 0)
		return;
	if (rc < 0) {
		drop_child();
		if (!up.busy)
			return;
		loop_timer_stop(&up.timer);
		failed("the archiver ended", 0);
		return;
	}
	if (!up.busy) { /* nobody asked */
		drop_child();
		return;
	}
	loop_timer_stop(&up.timer);
	if (a.rc == 0)
		stored(&a);
	else
		failed(a.text, a.retry_after_s > 0 ? a.retry_after_s : 0);
	next();
}

/* ---- the queue ---------------------------------------------------------------------------------- */

static void settle(struct item *it)
{
	if (it->set->on_settled)
		it->set->on_settled(it->set);
	logset_unref(it->set);
	free(it);
	pthread_mutex_lock(&up.lock);
	up.status.queued--;
	pthread_mutex_unlock(&up.lock);
}

static void next(void)
{
	while (!up.busy && !up.pausing && up.head) {
		struct item *it = up.head;
		struct err err = { 0 };
		cleanup_fd int fd = -1;

		up.head = it->next;
		if (!up.head)
			up.tail = &up.head;
		if (!uploads_enabled()) {
			pthread_mutex_lock(&it->set->lock);
			it->set->uploading = false;
			pthread_mutex_unlock(&it->set->lock);
			settle(it);
			continue;
		}
		fd = pick(it->set);
		if (fd < 0) {
			settle(it);
			continue;
		}
		up.busy = it;
		if (!order(fd, &err))
			failed(err.msg, 0);
	}
	if (!up.busy && !up.pausing && up.sock.fd >= 0)
		loop_timer(up.loop, &up.timer, IDLE_NS);
}

static void on_timer(struct timer *t)
{
	(void)t;
	if (up.pausing) {
		up.pausing = false;
		next();
	} else if (up.busy) {
		drop_child();
		failed("the archiver takes too long", 0);
	} else {
		drop_child(); /* idle */
	}
}

static void submitted(void *arg)
{
	queue(arg);
	next();
}

void uploads_submit(struct logset *set)
{
	struct item *it;
	bool queued;

	if (!uploads_enabled())
		return;
	pthread_mutex_lock(&set->lock);
	queued = set->uploading;
	set->uploading = true;
	pthread_mutex_unlock(&set->lock);
	if (queued)
		return;
	pthread_mutex_lock(&up.lock);
	up.status.queued++;
	pthread_mutex_unlock(&up.lock);
	it = xcalloc(1, sizeof(*it));
	it->set = logset_ref(set);
	loop_post(up.loop, submitted, it);
}

static void hurry(void *arg)
{
	(void)arg;
	if (!up.pausing)
		return;
	loop_timer_stop(&up.timer);
	up.pausing = false;
	up.pause_ns = 0;
	next();
}

void uploads_hurry(void)
{
	if (up.loop)
		loop_post(up.loop, hurry, NULL);
}

/* ---- settings ----------------------------------------------------------------------------------- */

static void look_at_conf(void)
{
	struct err err = { 0 };
	struct log_store store;
	int rc = log_store_of_conf(up.conf, &store, &err);

	if (rc < 0)
		log_err("rotated logs are not uploaded", "%s", err.msg);
	atomic_store(&up.enabled, rc == 1);
}

static void replace_child(void *arg)
{
	(void)arg;
	drop_child();
	if (up.busy) {
		loop_timer_stop(&up.timer);
		queue(take_ptr(&up.busy));
	}
	hurry(NULL);
	next();
}

void uploads_conf_changed(void)
{
	if (!up.loop)
		return;
	look_at_conf();
	loop_post(up.loop, replace_child, NULL);
}

void uploads_start(struct loop *loop, const struct paths *paths, const struct conf *conf)
{
	up.tail = &up.head;
	up.sock.on_event = on_sock;
	up.timer.on_time = on_timer;
	up.paths = paths;
	up.conf = conf;
	up.loop = loop;
	look_at_conf();
}

void uploads_stop(void)
{
	atomic_store(&up.enabled, false);
	if (up.sock.fd >= 0)
		close(up.sock.fd);
	up.sock.fd = -1;
}
