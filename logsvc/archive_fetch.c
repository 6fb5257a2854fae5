/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_fetch.c - an archiver of its own for each reader that goes back beyond what is here.
 *
 * A reader goes through stored and local files by the time in their names, one at a time: what was local when it began may be in the
 * store alone when it comes to it, and nothing is left out or read twice. Each object is unpacked into a nameless file on
 * the zone's disk, checked there, and only then read; so memory is bounded, and a damaged object shows an error and no lines.
 *
 * Limits: FETCHES at once; ORDER_NS for one. A reader that goes away ends its archiver.
 */
#define LOG_MODULE "fetch"
#include "archive_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "archive_child.h"
#include "archive_uploads.h"
#include "cleanup.h"
#include "log.h"
#include "str.h"

#define FETCHES	 32
#define ORDER_NS (1800 * 1000000000LL)

struct fetch {
	struct loop *loop;
	struct source sock;
	struct timer timer;
	fetch_done_fn *done;
	void *arg;
	char name[ARCHIVE_NAME_MAX];
};

static const struct conf *conf;
static atomic_int running;

void fetches_start(const struct conf *c)
{
	conf = c;
}

/* ---- which -------------------------------------------------------------------------------------- */

struct search {
	int64_t after_s, since_s, local_s, found_s;
	struct archive_entry *out;
};

static bool look_at(void *arg, const struct archive_entry *e)
{
	struct search *s = arg;
	int64_t time_s;
	bool gz;

	/* the name's time is that of the rotation: no record is later, but for a clock that was set back */
	if (!log_name_parse(e->name, &time_s, &gz) || time_s <= s->after_s || time_s + 1 < s->since_s || time_s >= s->found_s)
		return true;
	s->found_s = time_s;
	*s->out = *e;
	return true;
}

bool archive_next(struct logset *set, int64_t after_s, int64_t since_ns, struct archive_entry *out, int64_t *time_s)
{
	struct search s = { .after_s = after_s, .since_s = since_ns / 1000000000, .found_s = INT64_MAX, .out = out };
	cleanup_fd int dir_fd = -1;

	if (!uploads_enabled())
		return false;
	pthread_mutex_lock(&set->lock);
	if (set->archived && set->dir_fd >= 0)
		dir_fd = fcntl(set->dir_fd, F_DUPFD_CLOEXEC, 3);
	for (size_t i = 0; i < set->n_files && s.found_s == INT64_MAX; i++)
		if (set->files[i].time_s > after_s)
			s.found_s = set->files[i].time_s; /* here: no object as late as that is wanted */
	pthread_mutex_unlock(&set->lock);
	if (dir_fd < 0)
		return false;
	s.local_s = s.found_s;
	archive_index_each(dir_fd, look_at, &s);
	if (s.found_s >= s.local_s)
		return false;
	*time_s = s.found_s;
	return true;
}

/* ---- one object --------------------------------------------------------------------------------- */

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	loop_unwatch(f->loop, &f->sock);
	close(f->sock.fd);
	loop_timer_stop(&f->timer);
	atomic_fetch_sub(&running, 1);
	loop_free_later(f->loop, f);
}

/* The user hears what is the matter, the operator where and why: URLs are not the user's. */
static void tell(struct fetch *f, const char *what, const char *why)
{
	char text[128];

	if (what)
		log_warn("archived log not read", "file=%s error=%s", f->name, log_q(why));
	if (what && str_fmt(text, sizeof(text), "archived log %s %s", f->name, what) < 0)
		str_copy(text, sizeof(text), "archived log not read");
	f->done(f->arg, what ? text : NULL);
}

static void on_sock(struct source *src, uint32_t events)
{
	struct fetch *f = container_of(src, struct fetch, sock);
	struct archiver_answer a;
	int rc = archive_child_answer(src->fd, &a);

	(void)events;
	if (rc == 0)
		return;
	loop_unwatch(f->loop, src); /* no second answer */
	if (rc < 0)
		tell(f, "cannot be read", "the archiver ended");
	else if (a.rc < 0)
		tell(f, a.rc == -EBADMSG || a.rc == -EFBIG ? "is damaged" : "cannot be read", a.text);
	else
		tell(f, NULL, NULL);
}

static void on_timer(struct timer *t)
{
	tell(container_of(t, struct fetch, timer), "cannot be read", "the object store takes too long");
}

struct fetch *fetch_new(struct loop *loop, const struct archive_entry *e, int out_fd, fetch_done_fn *done, void *arg, struct err *err)
{
	struct archiver_order o = { .op = ARCHIVER_GET, .size = e->size, .bytes = e->bytes };
	struct fetch *f;
	int sock;

	if (atomic_fetch_add(&running, 1) >= FETCHES) {
		atomic_fetch_sub(&running, 1);
		err_kind(err, ERR_UNAVAILABLE, "archived log %s: more than %d are read at once", e->name, FETCHES);
		return NULL;
	}
	str_copy(o.sha256, sizeof(o.sha256), e->sha256);
	str_copy(o.object, sizeof(o.object), e->object);
	sock = archive_child_start(conf, err);
	if (sock < 0 || archive_child_order(sock, &o, out_fd, err) < 0) {
		if (sock >= 0)
			close(sock);
		atomic_fetch_sub(&running, 1);
		return NULL;
	}
	f = xcalloc(1, sizeof(*f));
	f->loop = loop;
	f->done = done;
	f->arg = arg;
	str_copy(f->name, sizeof(f->name), e->name);
	f->sock.fd = sock;
	f->sock.on_event = on_sock;
	f->timer.on_time = on_timer;
	(void)loop_watch(loop, &f->sock, EPOLLIN);
	loop_timer(loop, &f->timer, ORDER_NS);
	return f;
}
