/* SPDX-License-Identifier: MPL-2.0
 *
 * stream.c - one zone: two pipes -> ring -> records -> file, and attached clients.
 *
 * Theory of logging. The promise is that a line a container printed is in its host log once, whatever
 * dies. Three parties make it true: the kernel's pipe holds what nobody has read; zoneadmd holds the
 * pipe's read end and the memory of the ring; logsvc moves bytes from the pipe into the ring and from
 * the ring into the log, each time so that a successor can tell whether the move took place:
 *
 *	pipe --read(2), with an intent and a sentinel (ring.c)--> ring[tail, head)
 *	ring --records, one write(2) per batch (line.c, logfile.c)--> log[off, off')
 *	slot := {tail', off', inode}  (one flip: ring_commit)
 *
 * The log holds more than the slot says only between the write and the flip; a successor cuts it back
 * to the slot and writes those records again. Nobody reads the log beyond the slot (logset_publish).
 *
 * The three questions (RFD 2):
 * - logsvc dies. The container's writes wait in the pipe (1 MiB) for the few ms until the next
 *   logsvc has asked zoneadmd for the ends. Nothing is lost, doubled or torn.
 * - A reader or a sink is slow. `docker logs` and forwarders read the file: capture never knows of
 *   them. An attached client slows its own container once its buffer is full, as Docker has it. A
 *   full disk slows it too: the ring and the pipe fill, and the write is tried again every RETRY_NS.
 *   After full_wait_ns of that the container is let go: the oldest of what it prints is dropped and
 *   counted, and the log says so in its next record (spool.c).
 * - Bytes in flight at exit. The pipes are read to their ends; an unfinished line becomes a piece;
 *   then zoneadmd hears Drained, and only then reports the exit.
 *
 * States of a stream:
 *
 *	   adopt                      EOF on all ends
 *	IDLE ----> RUNNING -------------------------------> IDLE (drained)
 *	             |  ^ room on disk, or    ^
 *	    no space v  | shedding (timer)    |
 *	          BLOCKED: ends not watched   |
 *	             |  ^                     |
 *	  client full v | half empty          |     (or the sink's backlog, with spool-full=block)
 *	          STALLED: ends watched for hang-up only
 *
 * After a read that emptied the pipe an end pauses, first for PAUSE_NS, and while the container goes on
 * for up to PAUSE_MAX, so that one that prints line by line costs a few turns per 10 ms, not one per
 * line. While it pauses only the hang-up is watched: the end of a run is never delayed.
 *
 * Invariants: bytes in [tail, head) are in no record; an end is watched only in RUNNING and STALLED.
 * Threads: the zone's capture thread.
 * To extend: a driver that does not write here adds a case where conf.no_file is looked at.
 */
#define LOG_MODULE "stream"
#include "stream_apart.h"
#include "stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "latency.h"
#include "log.h"
#include "str.h"

#define PAUSE_NS   1000000 /* the first one */
#define PAUSE_MAX  6000000 /* keeps followers' lag below 10 ms */
#define PAUSE_MIN  50000
#define REST_NS	   2000000000 /* without output: the ring's memory is given back */
#define ATTRS_MAX  (1024 * 1024)

static void on_end(struct source *src, uint32_t events);
static void on_pause_over(struct timer *t);
static void on_rest(struct timer *t);
static void begin(struct stream *st, const struct stream_stdio *io);

struct capture *capture_new(struct err *err)
{
	struct capture *cap = xcalloc(1, sizeof(*cap));

	if (pipe2(cap->peek, O_CLOEXEC | O_NONBLOCK) < 0) {
		err_sys(err, "pipe2");
		free(cap);
		return NULL;
	}
	cap->loop = loop_new("capture", err);
	if (!cap->loop) {
		close(cap->peek[0]);
		close(cap->peek[1]);
		free(cap);
		return NULL;
	}
	return cap;
}

void stream_conf_fini(struct stream_conf *conf)
{
	free(conf->attrs);
	conf->attrs = NULL;
}

struct stream *stream_new(struct capture *cap, struct logset *set, const char *dir_path,
			  const char *gap_path, const struct stream_events *events)
{
	struct stream *st = xcalloc(1, sizeof(*st));

	st->spool.cap = cap;
	st->spool.set = logset_ref(set);
	st->spool.dir_path = xstrdup(dir_path);
	st->spool.gap_path = xstrdup(gap_path);
	st->events = *events;
	st->spool.ring.fd = -1;
	st->spool.log.fd = -1;
	st->retry.on_time = stream_on_retry;
	st->rest.on_time = on_rest;
	for (int s = 0; s < 2; s++) {
		st->end[s].src.fd = -1;
		st->end[s].src.on_event = on_end;
		st->end[s].pause.on_time = on_pause_over;
		st->end[s].st = st;
		st->end[s].s = s;
		apart_init(&st->end[s]);
	}
	return st;
}

struct capture *stream_capture(struct stream *st)
{
	return st->spool.cap;
}

/* ---- states ----------------------------------------------------------------------------------- */

static void watch_ends(struct stream *st)
{
	for (int s = 0; s < 2; s++) {
		struct end *e = &st->end[s];

		if (e->src.fd < 0 || e->away)
			continue;
		loop_timer_stop(&e->pause);
		if (st->state == STREAM_RUNNING)
			(void)loop_watch(st->spool.cap->loop, &e->src, EPOLLIN);
		else if (st->state == STREAM_STALLED) /* without writers nobody is slowed */
			(void)loop_watch(st->spool.cap->loop, &e->src, e->hup ? EPOLLIN : 0);
		else
			loop_unwatch(st->spool.cap->loop, &e->src);
	}
}

void stream_set_state(struct stream *st, enum stream_state state)
{
	if (st->state == state)
		return;
	st->state = state;
	watch_ends(st);
}

static bool any_full(const struct stream *st)
{
	for (const struct attach *a = st->attaches; a; a = a->next) {
		if (attach_is_full(a))
			return true;
	}
	return false;
}

static void tell_if_idle(struct stream *st)
{
	if (stream_is_idle(st) && !st->free_when_back)
		st->events.on_idle(st->events.owner);
}

static void drop_dead_attaches(struct stream *st)
{
	bool any = st->attaches;

	for (struct attach **p = &st->attaches; *p;) {
		struct attach *a = *p;

		if (a->dead || (a->ending && !a->q_len)) {
			*p = a->next;
			attach_free(a);
		} else {
			p = &a->next;
		}
	}
	if (any && !st->attaches)
		tell_if_idle(st);
}

void stream_go_on(struct stream *st)
{
	if (st->state == STREAM_STALLED && !st->sink_full && !any_full(st))
		stream_set_state(st, STREAM_RUNNING);
}

static void on_change(struct stream *st)
{
	drop_dead_attaches(st);
	stream_go_on(st);
}

static void on_attach_change(struct attach *a)
{
	on_change(a->owner);
}

static void feed(struct stream *st, int s, const char *p, size_t n)
{
	bool dead = false;

	for (struct attach *a = st->attaches; a; a = a->next) {
		if (a->live)
			attach_feed(a, s, p, n);
		dead |= a->dead;
	}
	if (dead)
		drop_dead_attaches(st);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void close_end(struct end *e)
{
	loop_timer_stop(&e->pause);
	if (e->src.fd < 0)
		return;
	loop_unwatch(e->st->spool.cap->loop, &e->src);
	apart_close(e);
	close(e->src.fd);
	e->src.fd = -1;
	e->hup = false;
}

static void run_is_drained(struct stream *st)
{
	struct stream_stdio *next = take_ptr(&st->next);

	st->state = STREAM_IDLE;
	if (spool_has_gap(&st->spool))
		spool_save_gap(&st->spool);
	stream_tell_shed(st);
	for (struct attach *a = st->attaches; a; a = a->next) {
		if (a->live && !a->ending)
			attach_end(a);
	}
	drop_dead_attaches(st);
	logset_set_running(st->spool.set, false);
	(void)failpoint("stream.drained");
	st->events.on_drained(st->events.owner, st->run);
	if (next) {
		begin(st, next);
		free(next);
	} else if (st->orphan && !st->shedding) {
		stream_close_all(st);
	}
}

static void at_eof(struct end *e)
{
	struct stream *st = e->st;
	struct err err = { 0 };

	if (ring_used(&st->spool.ring, e->s) || ring_slot(&st->spool.ring)->split_ns[e->s]) {
		if (ring_wake(&st->spool.ring, &err) < 0) {
			stream_block(st, &err); /* the end stays open and says so again */
			return;
		}
		if (spool_commit(&st->spool, e->s, true, &err) < 0) {
			stream_cannot_write(st, &err);
			if (!st->shedding)
				return;
			stream_shed(st, e->s, true);
		}
	}
	close_end(e);
	if (--st->n_open == 0)
		run_is_drained(st);
}

/* How long this end may be left alone: a container that goes on printing little by little is read ever less
 * often, up to every PAUSE_MAX, but never later than its pipe is half full at the rate of the last
 * bytes. A line after some silence is no reason to pause: the next one tells whether there are more. */
static int64_t pause_for(struct end *e, size_t bytes, int64_t since_ns)
{
	int64_t half = (int64_t)e->pipe_bytes / 2, till_half;

	if (since_ns <= 0 || bytes == 0 || since_ns > PAUSE_MAX * 4) {
		e->pause_ns = PAUSE_NS / 2;
		return 0;
	}
	e->pause_ns = e->pause_ns * 2 < PAUSE_MAX ? e->pause_ns * 2 : PAUSE_MAX;
	till_half = half * since_ns / (int64_t)bytes;
	return till_half < e->pause_ns ? till_half : e->pause_ns;
}

static void pause_end(struct end *e, int64_t now)
{
	int64_t ns = pause_for(e, e->bytes, now - e->last_ns);

	e->last_ns = now;
	e->bytes = 0;
	if (ns < PAUSE_MIN || e->hup) {
		(void)loop_watch(e->st->spool.cap->loop, &e->src, EPOLLIN);
		return;
	}
	(void)loop_watch(e->st->spool.cap->loop, &e->src, 0);
	loop_timer(e->st->spool.cap->loop, &e->pause, ns);
}

/* n bytes are in the log, left are in the pipe. */
static void took(struct end *e, size_t n, size_t left)
{
	int64_t now = mono_ns();

	latency_add(now - e->since_ns);
	if (e->old > n && left) {
		e->old -= n;
		return;
	}
	e->since_ns = left ? e->mark_ns : 0; /* what is older has been read */
	e->old = left;
	e->mark_ns = now;
}

static void read_done(const struct reading *rd)
{
	struct end *e = rd->e;
	struct stream *st = e->st;
	size_t pending = rd->pending;
	int n = rd->n;

	ring_took(&st->spool.ring, e->s, n);
	if (n > 0) {
		st->active_ns = mono_ns();
		e->bytes += (size_t)n;
		if (!st->rest.prev)
			loop_timer(st->spool.cap->loop, &st->rest, REST_NS);
		feed(st, e->s, ring_at(&st->spool.ring, e->s, rd->at), (size_t)n);
		if (!stream_put(st, e->s))
			return;
		took(e, (size_t)n, (size_t)n < pending ? pending - (size_t)n : 0);
		if (st->state != STREAM_RUNNING && !e->hup)
			return; /* watched when it runs again */
		if ((size_t)n < pending)
			(void)loop_watch(st->spool.cap->loop, &e->src, EPOLLIN);
		else
			pause_end(e, st->active_ns);
	} else if (n == 0) {
		at_eof(e);
	} else if (n == -EAGAIN || n == -EINTR) {
		e->since_ns = 0;
		if (st->state == STREAM_RUNNING || e->hup)
			(void)loop_watch(st->spool.cap->loop, &e->src, EPOLLIN);
	} else {
		log_err("zone output not readable", "zone=%s stream=%d: %s", st->spool.set->uuid, e->s,
			strerror(-n));
		atomic_fetch_add(&st->spool.set->errors, 1);
		at_eof(e);
	}
}

void stream_read_done(const struct reading *rd)
{
	struct stream *st = rd->e->st;

	rd->e->away = false;
	if (--st->n_away == 0 && st->free_when_back) {
		st->free_when_back = false;
		stream_free(st);
	} else if (st->n_away == 0 && st->close_when_back) {
		st->close_when_back = false;
		stream_close_all(st);
	} else if (!st->free_when_back && !st->close_when_back) {
		read_done(rd);
	}
}

static void turn(struct end *e)
{
	struct stream *st = e->st;
	struct err err = { 0 };
	struct reading rd;

	if (!e->hup && (any_full(st) || stream_sink_is_full(st))) {
		stream_set_state(st, STREAM_STALLED);
		return;
	}
	if (ring_wake(&st->spool.ring, &err) < 0) {
		stream_block(st, &err);
		return;
	}
	if (!e->since_ns)
		e->since_ns = e->mark_ns = mono_ns();
	if (st->shedding && ring_used(&st->spool.ring, e->s) > RING_BYTES / 2) /* the newest are kept */
		stream_shed(st, e->s, false);
	if (stream_read(e, &rd))
		read_done(&rd);
}

static void on_end(struct source *src, uint32_t events)
{
	struct end *e = container_of(src, struct end, src);
	struct stream *st = e->st;

	if (e->away)
		return;
	if (events & (EPOLLHUP | EPOLLERR))
		e->hup = true;
	loop_timer_stop(&e->pause);
	if (st->state == STREAM_RUNNING || e->hup)
		turn(e);
}

static void on_pause_over(struct timer *t)
{
	struct end *e = container_of(t, struct end, pause);

	if (!e->since_ns)
		e->since_ns = e->mark_ns = e->last_ns; /* since then nobody looked */
	if (e->st->state == STREAM_RUNNING || e->hup)
		turn(e);
}

static void on_rest(struct timer *t)
{
	struct stream *st = container_of(t, struct stream, rest);
	int64_t idle = mono_ns() - st->active_ns;

	if (st->spool.ring.fd < 0)
		return;
	if (idle < REST_NS || st->end[0].is_apart || st->end[1].is_apart || st->state == STREAM_BLOCKED || st->shedding)
		loop_timer(st->spool.cap->loop, &st->rest, REST_NS - (idle < REST_NS ? idle : 0));
	else
		ring_rest(&st->spool.ring);
}

/* ---- runs ------------------------------------------------------------------------------------- */

static void open_ring(struct stream *st, int fd, struct err *err)
{
	enum ring_state state;
	struct stat sb;

	ring_close(&st->spool.ring);
	if (st->spool.log.fd >= 0)
		logfile_close(&st->spool.log);
	if (fstat(fd, &sb) == 0)
		st->ring_ino = sb.st_ino;
	if (ring_open(&st->spool.ring, fd, &state, err) < 0)
		return;
	if (state == RING_DAMAGED) {
		log_err("ring is damaged; the log goes on at its end", "zone=%s", st->spool.set->uuid);
		atomic_fetch_add(&st->spool.set->errors, 1);
	}
}

static void start_end(struct stream *st, int s, int fd)
{
	struct end *e = &st->end[s];
	struct stat sb;
	int flags = fcntl(fd, F_GETFL);

	e->src.fd = fd;
	e->src.watched = false;
	e->hup = false;
	e->tty = fstat(fd, &sb) < 0 || !S_ISFIFO(sb.st_mode);
	e->last_ns = e->since_ns = 0;
	e->bytes = e->old = 0;
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	e->pipe_bytes = 0;
	apart_begin(e);
	st->n_open++;
}

/* All that the log and the ring need is there: reading begins. */
static void start_run(struct stream *st, const struct stream_stdio *io)
{
	struct err err = { 0 };

	st->run = io->run;
	st->tty = st->spool.tty = io->tty;
	st->n_open = 0;
	for (int s = 0; s < 2; s++) {
		if (io->end_fd[s] >= 0)
			start_end(st, s, io->end_fd[s]);
	}
	for (struct attach *a = st->attaches; a; a = a->next) {
		a->live = true;
		a->raw = st->tty;
	}
	logset_set_running(st->spool.set, true);
	st->state = STREAM_RUNNING;
	st->active_ns = mono_ns();
	loop_timer(st->spool.cap->loop, &st->rest, REST_NS);
	st->full_ns = 0;
	st->shedding = false;
	if (stream_catch_up(st, &err) == 0)
		watch_ends(st);
	else if (stream_cannot_write(st, &err), st->state == STREAM_RUNNING)
		watch_ends(st);
}

static void close_fds(const struct stream_stdio *io)
{
	for (int s = 0; s < 2; s++) {
		if (io->end_fd[s] >= 0)
			close(io->end_fd[s]);
	}
}

static void drop_next(struct stream *st)
{
	if (!st->next)
		return;
	close_fds(st->next);
	if (st->next->ring_fd >= 0)
		close(st->next->ring_fd);
	free(take_ptr(&st->next));
}

/* The stream is idle; ring_fd is a new ring, or -1. */
static void begin(struct stream *st, const struct stream_stdio *io)
{
	struct err err = { 0 };

	if (io->ring_fd >= 0)
		open_ring(st, io->ring_fd, &err);
	if (st->spool.ring.fd < 0) {
		log_err("zone not captured", "zone=%s: %s", st->spool.set->uuid,
			err.msg[0] ? err.msg : "no ring");
		close_fds(io);
		return;
	}
	if (!io->ended && (io->end_fd[0] >= 0 || io->end_fd[1] >= 0)) {
		start_run(st, io);
		return;
	}
	close_fds(io);
	st->run = io->run;
	if (stream_catch_up(st, &err) < 0)
		log_err("log not opened", "zone=%s: %s", st->spool.set->uuid, err.msg);
	else if (io->run)
		st->events.on_drained(st->events.owner, io->run);
}

void stream_adopt(struct stream *st, const struct stream_stdio *given)
{
	struct stream_stdio io = *given;
	struct stat sb;

	st->orphan = false;
	if (io.ring_fd >= 0 && st->spool.ring.fd >= 0 && fstat(io.ring_fd, &sb) == 0 &&
	    sb.st_ino == st->ring_ino) { /* the one that is there */
		close(io.ring_fd);
		io.ring_fd = -1;
	}
	if (st->state == STREAM_IDLE) {
		begin(st, &io);
	} else if (io.ring_fd < 0 && io.run == st->run) {
		close_fds(&io); /* asked again */
	} else {
		drop_next(st);
		st->next = xmalloc(sizeof(*st->next));
		*st->next = io;
	}
}

/* ---- the owner's calls ------------------------------------------------------------------------ */

void stream_set_conf(struct stream *st, struct stream_conf *conf)
{
	stream_conf_fini(&st->spool.conf);
	st->spool.conf = *conf;
	memset(conf, 0, sizeof(*conf));
	if (st->spool.conf.attrs && strlen(st->spool.conf.attrs) > ATTRS_MAX) {
		log_warn("attrs dropped: too long", "zone=%s", st->spool.set->uuid);
		stream_conf_fini(&st->spool.conf);
	}
	pthread_mutex_lock(&st->spool.set->lock);
	st->spool.set->max_files = st->spool.conf.max_files;
	st->spool.set->compress = st->spool.conf.compress;
	pthread_mutex_unlock(&st->spool.set->lock);
	st->look_at = 0;
	st->spool.log.max_size = st->spool.conf.max_size;
	if (st->spool.log.fd >= 0)
		logfile_retain(&st->spool.log);
}

static void add_attach(struct stream *st, struct attach *a)
{
	a->owner = st;
	a->on_change = on_attach_change;
	a->live = st->state != STREAM_IDLE;
	a->raw = a->live && st->tty;
	a->next = st->attaches;
	st->attaches = a;
	attach_start(a, st->spool.cap->loop);
}

void stream_attach(struct stream *st, struct attach *a)
{
	add_attach(st, a);
	drop_dead_attaches(st);
}

void stream_attach_held(struct stream *st, struct attach *a, uint64_t *seq, int64_t *off)
{
	a->holding = true;
	add_attach(st, a);
	pthread_mutex_lock(&st->spool.set->lock);
	*seq = st->spool.set->live_seq;
	*off = st->spool.set->captured ? st->spool.set->live_off : -1;
	pthread_mutex_unlock(&st->spool.set->lock);
	if (a->live && ring_wake(&st->spool.ring, &(struct err){ 0 }) == 0) {
		for (int s = 0; s < 2; s++)
			attach_feed(a, s, ring_at(&st->spool.ring, s, ring_slot(&st->spool.ring)->tail[s]),
				    (size_t)ring_used(&st->spool.ring, s));
	}
}

void stream_attach_release(struct stream *st, uint64_t attach_id)
{
	for (struct attach *a = st->attaches; a; a = a->next) {
		if (a->id == attach_id)
			attach_release(a);
	}
	on_change(st);
}

int stream_rotate(struct stream *st, struct err *err)
{
	struct ring_slot slot = { 0 };
	bool temporary = st->spool.ring.fd < 0;
	int rc;

	if (st->spool.conf.no_file)
		return 0;
	if (!temporary) {
		if ((rc = spool_open_log(&st->spool, err)) < 0 || (rc = spool_tell_gap(&st->spool, err)) < 0)
			return rc;
		return st->spool.log.off ? spool_rotate(&st->spool, now_ns(), err) : 0;
	}
	if (!logset_has_live(st->spool.set))
		return 0; /* nothing to rotate: nothing is made */
	if ((rc = spool_settle_gap(&st->spool, err)) < 0)
		return rc;
	memset(&st->spool.log, 0, sizeof(st->spool.log));
	st->spool.log.fd = -1;
	if ((rc = logfile_open(&st->spool.log, st->spool.set, st->spool.dir_path, &slot, err)) < 0)
		return rc;
	if (st->spool.log.off && (rc = logfile_rotate(&st->spool.log, now_ns(), err)) == 0)
		logfile_retain(&st->spool.log);
	logfile_close(&st->spool.log);
	return rc;
}

void stream_close_all(struct stream *st)
{
	if (st->n_away) {
		st->close_when_back = true;
		return;
	}
	for (int s = 0; s < 2; s++)
		close_end(&st->end[s]);
	loop_timer_stop(&st->retry);
	loop_timer_stop(&st->rest);
	ring_close(&st->spool.ring);
	if (st->spool.log.fd >= 0)
		logfile_close(&st->spool.log);
	st->state = STREAM_IDLE;
	st->orphan = st->shedding = false;
	tell_if_idle(st);
}

void stream_orphan(struct stream *st)
{
	st->orphan = true;
	if (st->state == STREAM_IDLE && !st->shedding)
		stream_close_all(st);
}

void stream_remove(struct stream *st)
{
	drop_next(st);
	stream_close_all(st);
	for (struct attach *a = st->attaches; a; a = a->next) {
		a->holding = false;
		attach_end(a);
	}
	drop_dead_attaches(st);
	logset_set_removed(st->spool.set);
}

bool stream_is_idle(const struct stream *st)
{
	return st->state == STREAM_IDLE && st->spool.ring.fd < 0 && !st->attaches && !st->next && !st->shedding;
}

void stream_free(struct stream *st)
{
	if (st->n_away) {
		st->free_when_back = true;
		return;
	}
	drop_next(st);
	stream_close_all(st);
	while (st->attaches) {
		struct attach *a = st->attaches;

		st->attaches = a->next;
		attach_let_go(a);
	}
	stream_conf_fini(&st->spool.conf);
	logset_unref(st->spool.set);
	free(st->spool.dir_path);
	free(st->spool.gap_path);
	loop_free_later(st->spool.cap->loop, st);
}
