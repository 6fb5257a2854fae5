/* SPDX-License-Identifier: MPL-2.0
 *
 * reader.c - `docker logs`: reads a zone's log and writes Docker's stream to a descriptor.
 *
 * A reader is an object on a reader thread's loop, never a thread of its own:
 *
 *	SEEK --> SEND <--> FULL (the client does not read: EPOLLOUT)
 *	  |       |  ^
 *	  |       v  |
 *	  |      WAIT (follow: told by logset when more is committed)
 *	  |       |
 *	  +-------+--> LAST (what is in out, then the end)
 *
 * SEEK and the unpacking of a .gz may take long and go to a thread of their own (BUSY: nothing else
 * touches the reader until it is back). With --since, files that are in the object store alone are read as well, each
 * when its turn comes (FETCH: until archive_fetch.c has brought it, or the client has gone). One turn reads and sends at most TURN_BYTES, then the next
 * reader has its turn.
 *
 * Invariant: nothing beyond the committed offset is read (logset_refresh). A record that cannot be
 * decoded is skipped to its newline and counted.
 *
 * With a replay for an attach (rq.attach): at the end of the log the client is put, held, onto the
 * zone's stream. That tells the exact place in the log from which on the stream has the bytes; the
 * reader goes on to that place, and then lets the client go.
 */
#define LOG_MODULE "reader"
#include "readers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "archive_fetch.h"
#include "archive_uploads.h"
#include "cleanup.h"
#include "log.h"
#include "record.h"
#include "seek.h"
#include "str.h"

#define N_LOOPS	   2
#define IN_BYTES   (256 * 1024)
#define IN_MAX	   (4 * 1024 * 1024) /* a longer line is damage */
#define OUT_BYTES  (256 * 1024)
#define TURN_BYTES (1024 * 1024)
#define PREFIX_MAX (RECORD_TIME9 + 1)
#define UNTIL_MARGIN_NS 2000000000 /* records can be that much out of order */
#define UNTIL_LOOK_NS	500000000
#define UNTIL_GRACE_NS	20000000   /* what was printed before `until` is committed by then */

enum reader_state { READER_BUSY, READER_FETCH, READER_SEND, READER_FULL, READER_WAIT, READER_LAST, READER_OVER };

struct reader {
	struct read_request rq;
	struct loop *loop;
	struct source out_src;
	struct log_waiter waiter;
	atomic_bool told;
	struct timer until;
	bool until_over, until_disordered; /* older records may follow a younger one */
	enum reader_state state;
	struct seek_result at; /* at.view is the open file */
	int64_t pos;	       /* next byte of the file to be read into in */
	uint64_t drains;
	char *in; /* IN_BYTES at least, and RECORD_SLACK behind */
	size_t in_off, in_len, in_cap;
	bool skipping; /* a damaged line that does not end */
	char *out;
	size_t out_off, out_len, out_cap;
	struct record_clock clock;
	/* with --since: stored files are read, too */
	bool archived;
	int64_t file_s; /* the time in the name of the file in hand; of a live one later than all */
	struct archive_entry entry;
	struct fetch *fetch;
	int fetch_fd;
	/* replay for an attach */
	bool held;
	uint64_t attach_id;
	struct seek_pos seam;
};

static struct loop *loops[N_LOOPS], *slow_loop;
static atomic_uint next_loop;

static void step(struct reader *r);
static void on_out(struct source *src, uint32_t events);

/* ---- ending ----------------------------------------------------------------------------------- */

static void free_reader(void *arg)
{
	struct reader *r = arg;

	logset_unref(r->rq.set);
	r->rq.on_done(r->rq.owner);
	loop_free_later(r->loop, r); /* an event in hand may name it */
}

/* The stream ends here: the client sees the end of file, or lives on in the attach. */
static void finish(struct reader *r)
{
	if (r->state == READER_OVER)
		return;
	r->state = READER_OVER;
	logset_del_waiter(r->rq.set, &r->waiter);
	loop_timer_stop(&r->until);
	loop_unwatch(r->loop, &r->out_src);
	close(r->out_src.fd);
	if (r->at.view.fd >= 0)
		close(r->at.view.fd);
	fetch_free(take_ptr(&r->fetch));
	if (r->fetch_fd >= 0)
		close(r->fetch_fd);
	attach_free(take_ptr(&r->rq.attach));
	free(take_ptr(&r->in));
	free(take_ptr(&r->out));
	loop_post(r->loop, free_reader, r); /* behind every wake-up that is on its way */
}

static void grow_out(struct reader *r, size_t room)
{
	if (r->out_off + r->out_len + room <= r->out_cap)
		return;
	r->out_cap = r->out_off + r->out_len + room;
	if (r->out_cap < 2 * OUT_BYTES)
		r->out_cap = 2 * OUT_BYTES;
	r->out = xrealloc(r->out, r->out_cap);
}

static void grab_error(struct reader *r, const char *text)
{
	size_t n = strlen("Error grabbing logs: \n") + strlen(text);
	unsigned char head[8] = { 3, 0, 0, 0, 0, 0, (unsigned char)(n >> 8), (unsigned char)n };
	struct buf b = BUF_INIT;

	if (!r->rq.raw)
		buf_add(&b, head, sizeof(head));
	buf_printf(&b, "Error grabbing logs: %s\n", text);
	grow_out(r, b.len);
	memcpy(r->out + r->out_off + r->out_len, b.p, b.len);
	r->out_len += b.len;
	buf_fini(&b);
	r->state = READER_LAST;
}

/* ---- sending ---------------------------------------------------------------------------------- */

/* True when out is empty. */
static bool flush(struct reader *r)
{
	while (r->out_len) {
		ssize_t n = write(r->out_src.fd, r->out + r->out_off, r->out_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (r->state != READER_LAST)
				r->state = READER_FULL;
			(void)loop_watch(r->loop, &r->out_src, EPOLLOUT);
			return false;
		}
		if (n < 0) { /* the client has gone */
			finish(r);
			return false;
		}
		r->out_off += (size_t)n;
		r->out_len -= (size_t)n;
	}
	r->out_off = 0;
	return true;
}

static bool is_wanted(struct reader *r, const struct record *rec, int64_t line_off)
{
	struct seek_pos here = { r->at.view.seq, line_off };
	int64_t t;

	if (!r->rq.want[rec->stream == RECORD_STDERR])
		return false;
	if (r->at.by_stream && seek_before(here, r->at.start[rec->stream]))
		return false;
	if (!r->rq.since_ns && !r->rq.until_ns)
		return true;
	t = record_time_ns(rec, &r->clock);
	if (r->rq.until_ns && t > r->rq.until_ns) {
		if (!r->until_disordered && t - UNTIL_MARGIN_NS > r->rq.until_ns)
			r->state = READER_LAST;
		return false;
	}
	return !r->rq.since_ns || t >= r->rq.since_ns;
}

/* Puts the details before the text, which is at out + at; returns their length. */
static size_t add_details(struct reader *r, const struct record *rec, size_t at)
{
	cleanup_buf struct buf details = BUF_INIT;
	char *text;

	record_details(rec, &details);
	buf_addch(&details, ' ');
	grow_out(r, at + details.len + rec->text_len);
	text = r->out + r->out_off + r->out_len + at;
	memmove(text + details.len, text, rec->text_len);
	memcpy(text, details.p, details.len);
	return details.len;
}

/* One record becomes one frame: header, time, details, text. */
static void send_record(struct reader *r, const char *line, size_t len, int64_t line_off)
{
	size_t head = r->rq.raw ? 0 : 8, prefix = r->rq.timestamps ? PREFIX_MAX : 0, n;
	struct record rec;
	char *p;

	grow_out(r, len + 8 + PREFIX_MAX + RECORD_SLACK);
	p = r->out + r->out_off + r->out_len;
	if (record_decode(line, len, p + head + prefix, &rec) < 0) {
		atomic_fetch_add(&r->rq.set->damaged, 1);
		return;
	}
	if (!is_wanted(r, &rec, line_off))
		return;
	n = prefix + rec.text_len;
	if (r->rq.details) {
		n += add_details(r, &rec, head + prefix);
		p = r->out + r->out_off + r->out_len;
	}
	if (prefix) {
		record_time9(&rec, p + head);
		p[head + RECORD_TIME9] = ' ';
	}
	if (head) {
		memset(p, 0, 4);
		p[0] = rec.stream == RECORD_STDERR ? 2 : 1;
		p[4] = (char)(n >> 24);
		p[5] = (char)(n >> 16);
		p[6] = (char)(n >> 8);
		p[7] = (char)n;
	}
	r->out_len += head + n;
}

/* Whole lines of in become frames until out is full. False: a line goes on behind in. */
static bool take_lines(struct reader *r)
{
	while (r->in_len && r->out_len < OUT_BYTES && r->state == READER_SEND) {
		char *line = r->in + r->in_off, *nl = memchr(line, '\n', r->in_len);
		size_t len;

		if (!nl)
			return false;
		len = (size_t)(nl - line);
		if (r->skipping)
			r->skipping = false;
		else
			send_record(r, line, len, r->pos - (int64_t)r->in_len);
		r->in_off += len + 1;
		r->in_len -= len + 1;
	}
	return r->in_len > 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static int64_t readable_limit(const struct reader *r)
{
	int64_t limit = r->at.view.limit;

	if (r->held && r->at.view.seq == r->seam.seq && r->seam.off >= 0 && r->seam.off < limit)
		limit = r->seam.off;
	return limit;
}

/* Reads more of the file behind what is in in. 0: there is no more at the moment. */
static ssize_t fill(struct reader *r)
{
	int64_t left = readable_limit(r) - r->pos;
	ssize_t n;

	if (left <= 0 || r->at.view.fd < 0)
		return 0;
	if (r->in_off) {
		memmove(r->in, r->in + r->in_off, r->in_len);
		r->in_off = 0;
	}
	if (r->in_len > IN_MAX) { /* no newline for megabytes */
		if (!r->skipping)
			atomic_fetch_add(&r->rq.set->damaged, 1);
		r->skipping = true;
		r->in_len = 0;
	}
	if (r->in_len + IN_BYTES / 2 > r->in_cap) {
		r->in_cap = r->in_cap ? 2 * r->in_cap : IN_BYTES;
		r->in = xrealloc(r->in, r->in_cap + RECORD_SLACK);
	}
	if (left > (int64_t)(r->in_cap - r->in_len))
		left = (int64_t)(r->in_cap - r->in_len);
	do {
		n = pread(r->at.view.fd, r->in + r->in_len, (size_t)left, r->pos);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		grab_error(r, strerror(errno));
		return 0;
	}
	if (n == 0)
		r->pos = r->at.view.limit; /* shorter than it says: cut by hand */
	r->in_len += (size_t)n;
	r->pos += n;
	return n;
}

static void unpacked(void *arg)
{
	struct reader *r = arg;

	r->state = READER_SEND;
	step(r);
}

static void unpack(void *arg) /* the slow thread */
{
	struct reader *r = arg;

	if (seek_unpack(r->rq.set, &r->at.view) < 0) {
		log_warn("log not unpacked", "zone=%s", r->rq.set->uuid);
		r->at.view.limit = 0;
	}
	loop_post(r->loop, unpacked, r);
}

static void fetched(void *arg, const char *error)
{
	struct reader *r = arg;

	fetch_free(take_ptr(&r->fetch));
	r->state = READER_SEND;
	if (error) {
		grab_error(r, error);
		step(r);
		return;
	}
	if (r->at.view.fd >= 0)
		close(r->at.view.fd);
	/* its number is that of the file before: the next one here is the next in order */
	r->at.view = (struct log_view){ .fd = take_fd(&r->fetch_fd), .seq = r->at.view.seq, .limit = r->entry.bytes };
	r->pos = seek_since_in(r->rq.set, &r->at.view, r->rq.since_ns);
	r->in_len = r->in_off = 0;
	r->skipping = false;
	step(r);
}

/* r->entry is to be read next. */
static void fetch(struct reader *r)
{
	struct err err = { 0 };

	r->fetch_fd = logset_nameless(r->rq.set);
	if (r->fetch_fd < 0)
		err_sysnum(&err, r->fetch_fd, "make room for %s", r->entry.name);
	else
		r->fetch = fetch_new(r->loop, &r->entry, r->fetch_fd, fetched, r, &err);
	if (!r->fetch) {
		r->state = READER_SEND;
		grab_error(r, err.msg);
		return;
	}
	r->state = READER_FETCH;
	(void)loop_watch(r->loop, &r->out_src, 0); /* a client that goes away is not waited for */
}

/* Goes to the next file. False: there is none, or it comes later. */
static bool next_file(struct reader *r)
{
	struct log_view next;

	if (r->held && r->at.view.seq >= r->seam.seq)
		return false;
	if (r->archived && archive_next(r->rq.set, r->file_s, r->rq.since_ns, &r->entry, &r->file_s)) {
		fetch(r);
		return false;
	}
	if (!logset_open(r->rq.set, r->at.view.seq + 1, &next))
		return false;
	if (r->at.view.fd >= 0)
		close(r->at.view.fd);
	r->at.view = next;
	r->file_s = next.live ? INT64_MAX : next.time_s;
	r->pos = 0;
	r->in_len = r->in_off = 0;
	r->skipping = false;
	if (!next.gz)
		return true;
	r->state = READER_BUSY;
	loop_post(slow_loop, unpack, r);
	return false;
}

/* ---- the seam of an attach -------------------------------------------------------------------- */

static void held(void *arg) /* the reader's thread */
{
	struct reader *r = arg;

	r->held = true;
	r->state = READER_SEND;
	step(r);
}

static void in_capture_hold(void *arg)
{
	struct reader *r = arg;

	stream_attach_held(r->rq.stream, take_ptr(&r->rq.attach), &r->seam.seq, &r->seam.off);
	loop_post(r->loop, held, r);
}

static void in_capture_release(void *arg)
{
	struct reader *r = arg;

	stream_attach_release(r->rq.stream, r->attach_id);
	loop_post(r->loop, free_reader, r);
}

/* All before the seam is sent. */
static void hand_over(struct reader *r)
{
	r->state = READER_OVER;
	logset_del_waiter(r->rq.set, &r->waiter);
	loop_unwatch(r->loop, &r->out_src);
	close(r->out_src.fd);
	if (r->at.view.fd >= 0)
		close(r->at.view.fd);
	free(take_ptr(&r->in));
	free(take_ptr(&r->out));
	loop_post(stream_capture(r->rq.stream)->loop, in_capture_release, r);
}

/* ---- turns ------------------------------------------------------------------------------------ */

/* The end of what is committed. */
static void at_end(struct reader *r)
{
	struct log_status status;
	bool same = logset_refresh(r->rq.set, &r->at.view, &status);

	if (!same) { /* cut or replaced by hand: from its start */
		uint64_t seq = r->at.view.seq;

		close(take_fd(&r->at.view.fd));
		r->at.view.seq = seq - 1;
		if (!next_file(r) && r->state == READER_SEND)
			r->state = READER_LAST;
		return;
	}
	if (!r->at.view.live && r->file_s == INT64_MAX && r->at.view.time_s)
		r->file_s = r->at.view.time_s; /* rotated meanwhile */
	if (r->at.view.fd >= 0 && r->pos < readable_limit(r))
		return;
	if ((!r->at.view.live || r->at.view.fd < 0) && next_file(r))
		return;
	if (r->state != READER_SEND)
		return;
	if (r->held) {
		hand_over(r);
	} else if (r->rq.attach && !status.removed) {
		r->attach_id = r->rq.attach->id;
		r->state = READER_BUSY;
		loop_post(stream_capture(r->rq.stream)->loop, in_capture_hold, r);
	} else if (r->rq.follow && status.running && !status.removed && !r->until_over &&
		   status.drains == r->drains) {
		r->state = READER_WAIT;
		free(take_ptr(&r->in)); /* a follower that waits is small */
		r->in_cap = r->in_len = r->in_off = 0;
		free(take_ptr(&r->out));
		r->out_cap = 0;
		(void)loop_watch(r->loop, &r->out_src, 0);
		/* told before it waited? */
		if (atomic_exchange(&r->told, false))
			r->state = READER_SEND;
	} else {
		r->state = READER_LAST;
	}
}

static void again(void *arg)
{
	struct reader *r = arg;

	if (r->state == READER_SEND)
		step(r);
}

static void step(struct reader *r)
{
	size_t sent = 0;

	while (r->state == READER_SEND || r->state == READER_LAST) {
		size_t before = r->out_len;

		/* what a slow client has left is sent first: nothing is put behind it, however little it is */
		if (r->out_len >= OUT_BYTES || r->out_off || r->state == READER_LAST) {
			if (!flush(r))
				return;
			if (r->state == READER_LAST) {
				finish(r);
				return;
			}
			sent += before;
			if (sent >= TURN_BYTES) {
				loop_post(r->loop, again, r);
				return;
			}
		}
		if (take_lines(r) || r->state != READER_SEND || fill(r) > 0)
			continue;
		if (r->state != READER_SEND)
			continue;
		if (!flush(r))
			return;
		at_end(r);
	}
}

static void on_out(struct source *src, uint32_t events)
{
	struct reader *r = container_of(src, struct reader, out_src);

	if (r->state == READER_BUSY) { /* it is looked at when the reader is back */
		loop_unwatch(r->loop, src);
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP)) {
		finish(r);
		return;
	}
	if (r->state == READER_FETCH)
		return;
	if (r->state == READER_FULL)
		r->state = READER_SEND;
	(void)loop_watch(r->loop, src, 0);
	step(r);
}

static void on_told(void *arg)
{
	struct reader *r = arg;

	if (r->state != READER_WAIT)
		return;
	atomic_store(&r->told, false);
	r->state = READER_SEND;
	step(r);
}

static void wake(struct log_waiter *w) /* any thread, under the set's lock */
{
	struct reader *r = container_of(w, struct reader, waiter);

	if (!atomic_exchange(&r->told, true))
		loop_post(r->loop, on_told, r);
}

static int64_t until_left_ns(const struct reader *r)
{
	int64_t from = now_ns() - UNTIL_GRACE_NS;

	return r->rq.until_ns > from ? r->rq.until_ns - from : 0;
}

/* The clock is looked at again before: it may be set. */
static int64_t until_pause_ns(const struct reader *r)
{
	int64_t left = until_left_ns(r);

	return left < UNTIL_LOOK_NS ? left : UNTIL_LOOK_NS;
}

static void on_until(struct timer *t)
{
	struct reader *r = container_of(t, struct reader, until);

	if (until_left_ns(r) > 0) { /* or the clock was set back */
		loop_timer(r->loop, t, until_pause_ns(r));
		return;
	}
	r->until_over = true;
	if (r->state == READER_WAIT) {
		r->state = READER_SEND;
		step(r);
	}
}

/* ---- beginning -------------------------------------------------------------------------------- */

static void sought(void *arg)
{
	struct reader *r = arg;

	r->pos = r->at.off;
	r->state = READER_SEND;
	if (r->archived && r->entry.size) { /* it begins before what is here */
		r->at.view.seq = 0;
		fetch(r);
	}
	step(r);
}

static void seek_slowly(void *arg) /* the slow thread */
{
	struct reader *r = arg;

	/* behind what seek_start passes over as well */
	if (r->archived && archive_next(r->rq.set, r->rq.since_ns / 1000000000 - 2, r->rq.since_ns, &r->entry, &r->file_s))
		r->at.view.fd = -1;
	else
		(void)seek_start(r->rq.set, r->rq.tail, r->rq.since_ns, true, &r->at);
	if (r->at.view.fd >= 0)
		r->file_s = r->at.view.live ? INT64_MAX : r->at.view.time_s;
	loop_post(r->loop, sought, r);
}

static void begin(void *arg)
{
	struct reader *r = arg;
	struct log_status status;
	struct log_view none = { .fd = -1 };

	if (loop_watch(r->loop, &r->out_src, 0) < 0)
		log_warn("reader not watched", "zone=%s", r->rq.set->uuid);
	logset_refresh(r->rq.set, &none, &status);
	r->drains = status.drains;
	r->until_disordered = r->rq.until_ns && logset_is_disordered(r->rq.set, r->rq.until_ns);
	if (r->rq.follow) {
		logset_add_waiter(r->rq.set, &r->waiter);
		if (r->rq.until_ns)
			loop_timer(r->loop, &r->until, until_pause_ns(r));
	}
	r->archived = r->rq.since_ns && r->rq.tail < 0 && !r->rq.attach && uploads_enabled();
	if (r->archived || seek_start(r->rq.set, r->rq.tail, r->rq.since_ns, false, &r->at) == -EAGAIN)
		loop_post(slow_loop, seek_slowly, r);
	else
		sought(r);
}

int readers_start(struct err *err)
{
	for (int i = 0; i < N_LOOPS; i++) {
		if (!(loops[i] = loop_new("reader", err)))
			return err->code;
	}
	slow_loop = loop_new("unpacker", err);
	return slow_loop ? 0 : err->code;
}

void readers_stop(void)
{
	loop_stop(slow_loop);
	for (int i = 0; i < N_LOOPS; i++)
		loop_stop(loops[i]);
}

void readers_post(void (*fn)(void *arg), void *arg)
{
	loop_post(slow_loop, fn, arg);
}

void readers_submit(const struct read_request *req)
{
	struct reader *r = xcalloc(1, sizeof(*r));
	int flags = fcntl(req->fd, F_GETFL);

	r->rq = *req;
	r->at.view.fd = r->fetch_fd = -1;
	r->loop = loops[atomic_fetch_add(&next_loop, 1) % N_LOOPS];
	r->out_src.fd = req->fd;
	r->out_src.on_event = on_out;
	r->waiter.wake = wake;
	r->until.on_time = on_until;
	r->state = READER_BUSY;
	if (flags >= 0)
		(void)fcntl(req->fd, F_SETFL, flags | O_NONBLOCK);
	(void)fcntl(req->fd, F_SETPIPE_SZ, 1024 * 1024);
	loop_post(r->loop, begin, r);
}
