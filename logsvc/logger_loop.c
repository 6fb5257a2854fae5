/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_loop.c - reads, sends, waits for the sink to have it, and only then moves the cursor.
 *
 * Design. What is sent is kept in mind as marks {bytes written, time, cursor} (logger_marks.c). A protocol with
 * acknowledgements moves the cursor by them, and it is saved at once. For one without, "the sink has it" is
 * what TCP can tell:
 *	- the peer's kernel has acknowledged the bytes, and SETTLE_NS later the connection was still whole, or
 *	  SETTLE_READ_NS later the peer closed in order, which it only does when all has been read;
 *	- the window says that its program has read them (net_unread);
 * and of datagrams: they go to a host that answers for its address (sink_arrives), and nobody refused them for SETTLE_GRAM_NS, or
 * SETTLE_FAR_NS where a router is between.
 * A zone's end changes nothing in this: its network stays for as long (apiserver's network_linger.c).
 * When a connection breaks, reading starts again at the cursor. When it was reset, what lay in the peer's receive
 * queue died with it: then reading starts as far before the cursor as that queue may have been full
 * (sink_certain). A line may reach the sink twice, and none is left out.
 *
 * Failure: the cursor file is as old as SAVE_NS; a successor sends what is behind it again.
 */
#define LOG_MODULE "logger"
#include "logger_loop.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "logger_marks.h"
#include "logger_tail.h"
#include "str.h"

#define MS		1000000LL
#define SAVE_NS		(200 * MS)
#define SETTLE_NS	(3000 * MS) /* a sink may be slow to read */
#define SETTLE_READ_NS	(1500 * MS) /* it has read: to do something with it */
#define SETTLE_GRAM_NS	(500 * MS)  /* nobody refused it */
#define SETTLE_FAR_NS	(4000 * MS) /* nor did a router, which asks three times, a second each, for a host that is not there */
#define RESOLVE_NS	(60000 * MS)
#define LOOK_NS		(1000 * MS)
#define IDLE_NS		(5000 * MS) /* a sink that closes is noticed then, or with the next line */
#define MARK_NS		(20 * MS)

struct state {
	struct logger *l;
	struct tail tail;
	struct cursor cursor; /* what the sink has */
	struct marks marks;
	bool connected;
	bool failing; /* what was sent last was not taken */
	bool dirty; /* cursor is not saved */
	int64_t saved_ns, looked_ns;
	int64_t resolved_ns; /* when the sink's name was last looked up */
	unsigned errors;     /* in a row: since the sink last had something */
	int64_t behind;	     /* bytes, at the last look */
	unsigned over;	     /* looks in a row at which too much waited */
	int64_t ended_ns; /* since when the zone does not run; 0: it does */
	struct log_limit complaint;
};

/* ---- what others see -------------------------------------------------------------------------- */

static void set_state(struct state *st, enum forward_state to, const char *error)
{
	struct forward_status *s = st->l->status;

	if (atomic_load(&s->state) != to || !atomic_load(&s->since_ns))
		atomic_store(&s->since_ns, now_ns());
	atomic_store(&s->state, to);
	if (error)
		str_copy(s->error, sizeof(s->error), error);
}

/* What waits is what was not sent; unless the connection breaks. */
static void publish_sent(struct state *st)
{
	const struct cursor *at = st->connected ? &st->tail.at : &st->cursor;
	struct forward_status *s = st->l->status;

	atomic_store(&s->sent_off, at->off);
	atomic_store(&s->sent_born_ns, at->born_ns);
	atomic_store(&s->sent_ino, at->ino);
	atomic_store(&s->sent_lines, at->delivered + at->dropped + 1);
}

static void publish(struct state *st)
{
	struct forward_status *s = st->l->status;

	atomic_store(&s->saved_off, st->cursor.off);
	atomic_store(&s->saved_born_ns, st->cursor.born_ns);
	atomic_store(&s->saved_ino, st->cursor.ino);
	atomic_store(&s->delivered, st->cursor.delivered);
	atomic_store(&s->dropped_bytes, st->cursor.dropped_bytes);
	atomic_store(&s->dropped, st->cursor.dropped);
	publish_sent(st);
}

static void save(struct state *st)
{
	unsigned suppressed = 0;
	int rc;

	st->saved_ns = mono_ns();
	if (!st->dirty)
		return;
	rc = cursor_save(st->l->cursor_fd, &st->cursor);
	if (rc < 0) {
		if (log_limit_ok(&st->complaint, 10000, &suppressed))
			log_warn("cursor not saved", "zone=%s suppressed=%u error=%s", st->l->uuid, suppressed, strerror(-rc));
		return;
	}
	st->dirty = false;
	publish(st);
}

/* The page counts lines, the cursor records: the difference of the two at a place where both are known, which is the end
 * of the log, or any place whose distance from it has been counted. */
static void set_base(struct forward_status *s, uint64_t page_lines, const struct cursor *at, int64_t behind)
{
	atomic_store(&s->line_base, (int64_t)(page_lines - at->delivered - at->dropped) - behind);
	atomic_store(&s->based, 1);
}

/* behind: bytes. Without a base the lines are counted, once, while the sink is away. */
static void look_at_lines(struct state *st, const struct cursor *at, int64_t behind)
{
	struct forward_status *s = st->l->status;
	uint64_t page_lines = atomic_load(&st->l->page->lines);
	int64_t n;

	if (st->connected && tail_at_end(&st->tail, &page_lines))
		set_base(s, page_lines, at, 0);
	else if (!st->connected && !atomic_load(&s->based) && (n = tail_count(&st->tail, at, &page_lines)) >= 0)
		set_base(s, page_lines, at, n);
	n = (int64_t)(page_lines - at->delivered - at->dropped) - atomic_load(&s->line_base);
	atomic_store(&s->behind_lines, behind == 0 ? 0 : !atomic_load(&s->based) ? -1 : n > 0 ? n : 0);
}

static int64_t look_behind(struct state *st)
{
	/* what was sent is the sink's, unless the connection breaks */
	const struct cursor *at = st->connected ? &st->tail.at : &st->cursor;
	int files = 0;
	int64_t n = tail_behind(&st->tail, at, &files);

	st->looked_ns = mono_ns();
	if (n < 0)
		return n;
	look_at_lines(st, at, n);
	atomic_store(&st->l->status->behind_bytes, n);
	return n;
}

/* ---- marks ------------------------------------------------------------------------------------ */

static int64_t settle_ns(const struct state *st)
{
	if (!sink_is_gram(st->l->sink))
		return SETTLE_NS;
	return sink_is_far(st->l->sink) ? SETTLE_FAR_NS : SETTLE_GRAM_NS;
}

static unsigned pending(const struct state *st)
{
	return marks_pending(&st->marks);
}

static void take(struct state *st, int64_t got, int64_t until_ns)
{
	const struct cursor *c = marks_take(&st->marks, got, until_ns);

	if (!c)
		return;
	st->cursor = *c;
	st->dirty = true;
	st->errors = 0;
	if (st->l->sink->want_ack)
		save(st); /* what is acknowledged is not sent again */
}

/* Moves the cursor over what the sink has. -errno: the connection is broken. */
static int take_accepted(struct state *st)
{
	int64_t got;
	int rc;

	if (!pending(st))
		return 0;
	if ((got = sink_accepted(st->l->sink)) < 0)
		return (int)got;
	if ((rc = sink_arrives(st->l->sink)) <= 0)
		return rc;
	take(st, got, st->l->sink->want_ack ? INT64_MAX : mono_ns() - settle_ns(st));
	return 0;
}

/* ---- the connection --------------------------------------------------------------------------- */

static void disconnect(struct state *st, const char *why)
{
	int64_t certain = why ? sink_certain(st->l->sink) : INT64_MAX;
	const struct cursor *back;
	unsigned suppressed = 0;

	if (sink_has_read(st->l->sink))
		take(st, (int64_t)st->l->sink->acked, mono_ns() - SETTLE_READ_NS);
	back = marks_back(&st->marks, certain);

	if (memcmp(back, &st->cursor, sizeof(*back)) != 0) {
		st->cursor = *back;
		st->dirty = true;
		save(st);
	}
	sink_close(st->l->sink);
	st->connected = false;
	marks_reset(&st->marks, &st->cursor);
	tail_seek(&st->tail, &st->cursor);
	publish_sent(st);
	set_state(st, FORWARD_CONNECTING, why);
	if (why && log_limit_ok(&st->complaint, 10000, &suppressed))
		log_warn("sink not reached", "zone=%s suppressed=%u error=%s", st->l->uuid, suppressed, log_q(why));
}

/* While the sink is away: the log has nothing that it lacks. Said to logsvc, which else starts the next logger. */
static bool nothing_left(struct state *st)
{
	struct forward_status *s = st->l->status;
	uint32_t seen = atomic_load(&st->l->page->changes);

	if (st->connected || look_behind(st) != 0)
		return false;
	save(st);
	if (st->dirty)
		return false;
	atomic_store(&s->done, seen);
	atomic_store(&s->done_valid, 1);
	return true;
}

/* The zone has ended and so has the time to deliver what it left, or there is nothing to deliver. */
static bool is_over(struct state *st)
{
	if (atomic_load(&st->l->page->running)) {
		st->ended_ns = 0;
		return false;
	}
	if (!st->ended_ns)
		st->ended_ns = mono_ns();
	return mono_ns() - st->ended_ns > st->l->grace_ns || nothing_left(st);
}

static int64_t backlog_limit(const struct state *st)
{
	const struct sink_policy *p = &st->l->sink->policy;

	if (p->block)
		return INT64_MAX; /* capture waits for us instead */
	return p->buffer_bytes && p->buffer_bytes < st->l->max_backlog ? p->buffer_bytes : st->l->max_backlog;
}

/* Gives up the oldest of what is not sent yet, all but keep bytes of it. */
static void drop_oldest(struct state *st, int64_t keep, const char *why)
{
	struct cursor *at = st->connected ? &st->tail.at : &st->cursor, next = *at;
	int files = 0;
	int64_t n = tail_behind(&st->tail, at, &files);

	if (n <= keep || tail_drop(&st->tail, &next, n - keep) <= 0)
		return;
	log_warn(why, "zone=%s lines=%llu bytes=%llu", st->l->uuid, (unsigned long long)(next.untold_lines - at->untold_lines),
		 (unsigned long long)(next.untold_bytes - at->untold_bytes));
	*at = next;
	if (st->connected)
		return; /* told and saved with what comes next */
	marks_reset(&st->marks, &st->cursor);
	st->dirty = true;
	save(st);
}

/* The oldest is given up once too much waits; of a sink that takes lines, not for a burst. Between batches. */
static void bound_backlog(struct state *st)
{
	int64_t n;

	if (!st->connected && tail_removed(&st->tail, &st->cursor)) {
		st->dirty = true;
		save(st);
		tail_seek(&st->tail, &st->cursor);
	}
	if ((n = look_behind(st)) >= 0 && st->connected)
		sink_adapt(st->l->sink, n > st->behind);
	st->behind = n;
	st->over = n > backlog_limit(st) ? st->over + 1 : 0;
	if (!st->over || (st->connected && st->over == 1))
		return;
	drop_oldest(st, backlog_limit(st), "too much waits for the sink: the oldest is dropped");
	if (!st->connected)
		tail_seek(&st->tail, &st->cursor);
	look_behind(st);
}

/* Sleeps with jitter; a signal ends it. */
static void back_off(struct state *st)
{
	const struct sink_policy *p = &st->l->sink->policy;
	unsigned char r;
	int ms = policy_wait_ms(p, ++st->errors);

	if (p->max_retries >= 0 && st->errors > p->max_retries && !p->block) {
		drop_oldest(st, 0, "the sink was tried as often as its options say: what waits is dropped");
		tail_seek(&st->tail, &st->cursor);
		st->errors = 0;
	}
	random_bytes(&r, 1);
	if (!p->retry_ms)
		ms += ms * (r - 128) / 1024; /* an eighth to either side */
	if (ms < st->l->sink->retry_after_ms)
		ms = st->l->sink->retry_after_ms;
	st->l->sink->retry_after_ms = 0;
	for (; ms > 0 && !*st->l->stop && !is_over(st); ms -= 250) {
		(void)poll(NULL, 0, ms < 250 ? ms : 250);
		if (mono_ns() - st->looked_ns > LOOK_NS)
			bound_backlog(st);
	}
}

static void connect_sink(struct state *st)
{
	struct err err = { 0 };

	bound_backlog(st);
	if (sink_connect(st->l->sink, &err) < 0) {
		disconnect(st, err.msg);
		back_off(st);
		return;
	}
	if (st->errors)
		sink_doubt(st->l->sink);
	st->connected = true;
	st->resolved_ns = mono_ns();
	marks_reset(&st->marks, &st->cursor);
	if (!st->failing)
		set_state(st, FORWARD_CONNECTED, NULL);
}

/* ---- the loop --------------------------------------------------------------------------------- */

static void tell_dropped(struct state *st)
{
	struct cursor *c = &st->tail.at;
	struct sink_msg m = { .time_ns = now_ns(), .is_stderr = true };
	char line[128];

	if (!c->untold_lines)
		return;
	m.line = line;
	m.len = (size_t)snprintf(line, sizeof(line), "logsvc: %llu messages (%llu bytes) dropped",
				 (unsigned long long)c->untold_lines, (unsigned long long)c->untold_bytes);
	c->untold_lines = c->untold_bytes = 0;
	sink_add(st->l->sink, &m);
}

/* The connection is as old as it may be: ends it so that nothing need be sent twice. */
static void renew(struct state *st)
{
	if (pending(st) && sink_finish(st->l->sink))
		take(st, INT64_MAX, INT64_MAX); /* the peer has read all */
	disconnect(st, NULL);
}

static bool is_old(const struct state *st)
{
	const struct sink *s = st->l->sink;
	int64_t age = s->conn ? mono_ns() - net_since_ns(s->conn) : 0;

	return s->policy.reconnect_ns && age > s->policy.reconnect_ns;
}

/* Of what was sent with the last batch. */
static void take_refused(struct state *st)
{
	struct cursor *c = &st->tail.at;
	uint64_t n = st->l->sink->refused;

	c->dropped += n;
	c->dropped_bytes += st->l->sink->refused_bytes;
	st->l->sink->refused = st->l->sink->refused_bytes = 0;
	c->delivered -= n < c->delivered ? n : c->delivered;
}

/* Fills and sends one batch. 1: there may be more at once, 0: not, -errno. */
static int send_batch(struct state *st, struct err *err)
{
	struct sink *s = st->l->sink;
	struct sink_msg m = { 0 };
	struct cursor before = st->tail.at;
	int rc = 1, sent;

	if (is_old(st) && tail_more(&st->tail)) {
		renew(st);
		return 1;
	}
	tell_dropped(st);
	for (int i = 0; i < SINK_BATCH_LINES && !sink_full(s); i++) {
		if ((rc = tail_next(&st->tail, &m)) <= 0)
			break;
		sink_add(s, &m);
	}
	if (rc < 0) {
		if (rc == -EPIPE || rc == -ECONNRESET)
			*st->l->stop = 1; /* our parent has gone */
		err_sysnum(err, rc, "read the log");
		return rc;
	}
	sent = sink_flush(s, err);
	st->failing = sent < 0;
	if (sent < 0)
		return sent;
	set_state(st, FORWARD_CONNECTED, NULL);
	take_refused(st);
	if (memcmp(&before, &st->tail.at, sizeof(before)) != 0)
		marks_add(&st->marks, s->written, &st->tail.at, mono_ns(), MARK_NS);
	publish_sent(st);
	return rc;
}

static void wait_for_more(struct state *st, uint32_t seen)
{
	struct forward_status *s = st->l->status;
	int64_t ns = pending(st) || st->dirty ? 50 * MS : IDLE_NS;
	struct timespec ts;

	ts.tv_sec = ns / 1000000000;
	ts.tv_nsec = ns % 1000000000;
	atomic_store(&s->waiting, 1);
	if (!*st->l->stop)
		(void)syscall(SYS_futex, &st->l->page->changes, FUTEX_WAIT, seen, &ts, NULL, 0);
	atomic_store(&s->waiting, 0);
}

/* Nothing is left to read. True: and nothing ever will be. */
static bool on_idle(struct state *st, uint32_t seen, bool running)
{
	struct forward_status *s = st->l->status;

	if (st->dirty && (!pending(st) || mono_ns() - st->saved_ns >= SAVE_NS))
		save(st);
	if (pending(st) || st->dirty)
		return false;
	look_at_lines(st, &st->tail.at, 0);
	atomic_store(&s->behind_bytes, 0);
	st->looked_ns = mono_ns();
	atomic_store(&s->done, seen);
	atomic_store(&s->done_valid, 1);
	return !running;
}

static int broken(const struct state *st, int rc, struct err *err)
{
	return err_sysnum(err, rc, "connection to %s:%s", st->l->sink->addr.host, st->l->sink->addr.port);
}

/* Once a minute: a name that does not lead to where we are connected leads elsewhere now. */
static void look_up(struct state *st)
{
	if (mono_ns() - st->resolved_ns < RESOLVE_NS)
		return;
	st->resolved_ns = mono_ns();
	if (sink_has_moved(st->l->sink)) {
		log_info("the sink has moved", "zone=%s host=%s", st->l->uuid, st->l->sink->addr.host);
		renew(st);
	}
}

/* Nothing can be sent now: looks after the connection. 1: all is done, 0, -errno. */
static int rest(struct state *st, uint32_t seen, bool running, struct err *err)
{
	int64_t got;

	if (on_idle(st, seen, running))
		return 1;
	wait_for_more(st, seen);
	return (got = sink_accepted(st->l->sink)) < 0 ? broken(st, (int)got, err) : 0;
}

static int step(struct state *st, struct err *err)
{
	uint32_t seen = atomic_load(&st->l->page->changes);
	bool running = atomic_load(&st->l->page->running);
	int more, rc;

	if ((more = send_batch(st, err)) < 0)
		return more;
	if ((rc = take_accepted(st)) < 0)
		return broken(st, rc, err);
	if (more == 0 && (rc = rest(st, seen, running, err)) != 0)
		return rc;
	if (st->dirty && mono_ns() - st->saved_ns >= SAVE_NS)
		save(st);
	if (mono_ns() - st->looked_ns > LOOK_NS)
		bound_backlog(st);
	look_up(st);
	return 0;
}

int logger_run(struct logger *l)
{
	cleanup_free struct state *st = xcalloc(1, sizeof(*st));
	struct err err;
	int rc = 0;

	st->l = l;
	(void)cursor_load(l->cursor_fd, &st->cursor);
	publish(st);
	marks_reset(&st->marks, &st->cursor);
	tail_init(&st->tail, l->files_sock, l->page, &st->cursor);
	atomic_store(&l->status->since_ns, 0);
	set_state(st, FORWARD_CONNECTING, NULL);
	while (!*l->stop && rc == 0 && !is_over(st)) {
		if (!st->connected) {
			connect_sink(st);
			continue;
		}
		memset(&err, 0, sizeof(err));
		rc = step(st, &err);
		if (rc < 0) {
			disconnect(st, err.msg);
			back_off(st);
			rc = 0;
		}
	}
	save(st);
	sink_close(l->sink);
	tail_fini(&st->tail);
	return 0;
}
