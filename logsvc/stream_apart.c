/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_apart.c - reads a zone's pipe; in a process apart where that may take long.
 *
 * Design. Whoever splices into a pipe (sendfile(2), splice(2); `nc -l | cat`) holds its lock for as long as his source has nothing
 * to give, and every call on the pipe waits for it, whatever O_NONBLOCK says, and no signal ends it. A container can do that
 * to its own stdout; it may hold up its own log by it, but no other's, nor the end of logsvc. So each read is one that the loop watches
 * (loop_risk): when it takes too long, another thread has the loop, and this one comes back with a task of it. If it has been seen to
 * wait for the lock, and not for its turn on a busy machine, the end is read by a process of its own from then on (pipe_reader.c),
 * until the run ends; the ring says so to a successor.
 *
 *	IN TURN --read takes RISK_NS--> AWAY (a thread) --back, had waited--> APART --order--> AWAY (the process) --answer--> APART
 *	   ^                               |
 *	   +-----------back, was slow------+
 *
 * A read that is away is helped: whoever splices is made to let go for a moment (pipe_hold.c), so that the zone's lines do not wait for
 * the program's next word. That is tried after RISK_NS, not more often than every BREAK_NS, and ever less where nobody is found.
 *
 * While a read is away (struct end's away) nothing else reads the end, closes it, or unmaps its ring; the rest of the stream
 * goes on: of what the read changes nothing is looked at before it is back (ring.h: ring_took).
 *
 * Failure: a process that dies is replaced at the next read; what it had begun is finished first. A logsvc that dies leaves its processes
 * behind, in their reads; its successor finds them by the ring's locks. Only the very first read of an end can hold up the end of
 * logsvc, for the RISK_NS and the break; longer where the hold cannot be broken (see pipe_hold.c).
 */
#define LOG_MODULE "stream"
#include "stream_apart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"
#include "pipe_hold.h"
#include "pipe_reader.h"
#include "str.h"

#define READ_MAX     (128 * 1024) /* bytes per turn */
#define READERS_MAX  256
#define RETRY_NS     50000000 /* a process that could not be made, or has died */
#define BREAK_NS     200000000
#define BREAK_NS_MAX 5000000000
#define SETTLE_MS    2000

static atomic_uint n_readers; /* processes */
static atomic_uint n_stuck;   /* threads of ours in a read whose loop has gone on */
static _Thread_local pid_t my_tid;

static void on_hold(struct timer *t);
static void on_answer(struct source *src, uint32_t events);

void apart_init(struct end *e)
{
	e->apart = (struct apart){ .sock = { .fd = -1, .on_event = on_answer }, .hold = { .on_time = on_hold } };
}

void apart_begin(struct end *e)
{
	struct ring *ring = &e->st->spool.ring;
	struct stat sb;

	e->away = false;
	e->apart.pipe = fstat(e->src.fd, &sb) == 0 ? sb.st_ino : 0;
	e->apart.holder = 0;
	e->apart.wait_ns = BREAK_NS;
	e->apart.broken_ns = 0;
	e->is_apart = !e->tty && (ring->hdr->stream[e->s].apart == e->st->run || ring_has_reader(ring, e->s));
}

static void let_process_go(struct end *e)
{
	struct apart *a = &e->apart;

	if (a->sock.fd < 0)
		return;
	loop_unwatch(e->st->spool.cap->loop, &a->sock);
	close(take_fd(&a->sock.fd));
	a->ready = false;
	atomic_fetch_sub(&n_readers, 1);
}

void apart_close(struct end *e)
{
	let_process_go(e);
	loop_timer_stop(&e->apart.hold);
	e->is_apart = false;
}

void apart_settle(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < SETTLE_MS && atomic_load(&n_stuck); i++)
		(void)nanosleep(&ms, NULL);
}

/* ---- a read that is away ------------------------------------------------------------------------ */

static void stays_apart(struct end *e)
{
	e->is_apart = true;
	e->st->spool.ring.hdr->stream[e->s].apart = e->st->run;
	log_warn("a program of the zone holds its output's pipe: it is read apart", "zone=%s stream=%d", e->st->spool.set->uuid, e->s);
}

/* The reader, or the one before it whose end it awaits. */
static bool waits_for_lock(const struct end *e)
{
	const struct apart *a = &e->apart;

	return pipe_hold_waits(a->tid) || (a->sock.fd >= 0 && !a->ready && ring_has_reader(&e->st->spool.ring, e->s));
}

static void on_hold(struct timer *t)
{
	struct apart *a = container_of(t, struct apart, hold);
	struct end *e = container_of(a, struct end, apart);

	if (!waits_for_lock(e)) { /* a machine that is busy */
		loop_timer(e->st->spool.cap->loop, t, RISK_NS);
		return;
	}
	if (!e->is_apart)
		stays_apart(e);
	if (a->breaking)
		a->holder = pipe_hold_over(a->breaking);
	a->breaking = pipe_hold_break(a->pipe, a->holder);
	a->broken_ns = mono_ns();
	loop_timer(e->st->spool.cap->loop, t, a->wait_ns);
	a->wait_ns = a->wait_ns < BREAK_NS_MAX / 2 ? a->wait_ns * 2 : BREAK_NS_MAX;
}

static void goes_away(struct end *e, int64_t hold_ns)
{
	int64_t soonest = e->apart.broken_ns ? e->apart.broken_ns + BREAK_NS - mono_ns() : 0;

	e->away = true;
	e->st->n_away++;
	loop_unwatch(e->st->spool.cap->loop, &e->src);
	loop_timer(e->st->spool.cap->loop, &e->apart.hold, hold_ns > soonest ? hold_ns : soonest);
}

static void comes_back(const struct reading *rd)
{
	struct apart *a = &rd->e->apart;

	loop_timer_stop(&a->hold);
	if (a->breaking)
		a->holder = pipe_hold_over(take_ptr(&a->breaking));
	a->wait_ns = BREAK_NS;
	stream_read_done(rd);
}

/* ---- the first one: a thread -------------------------------------------------------------------- */

static void read_it(struct reading *rd)
{
	struct end *e = rd->e;
	int size;

	if (!e->pipe_bytes) {
		size = fcntl(e->src.fd, F_GETPIPE_SZ);
		e->pipe_bytes = size > 0 ? (size_t)size : 4096;
	}
	rd->n = ring_read_pipe(rd->ring, e->s, e->src.fd, rd->peek, rd->max, rd->hup, &rd->pending);
}

/* The capture thread. */
static void on_back(void *arg)
{
	struct reading *rd = arg;

	close(rd->peek[0]);
	close(rd->peek[1]);
	comes_back(rd);
	free(rd);
}

static void give_back(const struct reading *rd)
{
	struct reading *copy = xmalloc(sizeof(*copy));

	*copy = *rd;
	loop_post(rd->e->st->spool.cap->loop, on_back, copy);
	atomic_fetch_sub(&n_stuck, 1);
}

/* The thread that has the loop now. */
static void on_taken(void *arg)
{
	struct end *e = arg;
	struct capture *cap = e->st->spool.cap;

	atomic_fetch_add(&n_stuck, 1);
	if (pipe2(cap->peek, O_CLOEXEC | O_NONBLOCK) < 0) { /* the old one is in use; a successor loses nothing */
		log_err("no pipe to peek with", "zone=%s", e->st->spool.set->uuid);
		_exit(1);
	}
	goes_away(e, 0);
	on_hold(&e->apart.hold);
}

/* ---- the others: a process ---------------------------------------------------------------------- */

static int send_order(struct end *e, enum pipe_op op)
{
	struct pipe_order o = { .magic = PIPE_READER_MAGIC, .op = op, .stream = (uint32_t)e->s };
	int fds[2] = { e->st->spool.ring.fd, e->src.fd };

	o.hup = e->apart.rd.hup;
	o.at = e->apart.rd.at;
	o.max = e->apart.rd.max;
	return frame_send(e->apart.sock.fd, &o, sizeof(o), fds, op == PIPE_TAKE ? 2 : 0, 0);
}

static int start_process(struct end *e)
{
	struct apart *a = &e->apart;
	char fd_text[16];
	pid_t pid;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return -errno;
	snprintf(fd_text, sizeof(fd_text), "%d", sv[1]);
	char *argv[] = { (char[]){ "logsvc" }, (char[]){ "--read-pipe" }, fd_text, NULL };
	pid = child_spawn(argv, sv[1]);
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return (int)pid;
	}
	atomic_fetch_add(&n_readers, 1);
	a->ready = false;
	a->tid = pid;
	a->sock.fd = sv[0];
	a->sock.watched = false;
	return loop_watch(e->st->spool.cap->loop, &a->sock, EPOLLIN);
}

static void try_later(struct end *e)
{
	(void)loop_watch(e->st->spool.cap->loop, &e->src, 0);
	loop_timer(e->st->spool.cap->loop, &e->pause, RETRY_NS);
}

static void read_apart(struct end *e, const struct reading *rd)
{
	struct apart *a = &e->apart;
	bool is_new = a->sock.fd < 0;
	int rc = 0;

	a->rd = *rd;
	if (is_new)
		rc = atomic_load(&n_readers) < READERS_MAX ? start_process(e) : -EAGAIN;
	if (rc == 0)
		rc = send_order(e, is_new ? PIPE_TAKE : PIPE_READ);
	if (rc == 0) {
		goes_away(e, RISK_NS);
		return;
	}
	if (rc != -EAGAIN)
		log_warn("no process to read a zone's output", "zone=%s: %s", e->st->spool.set->uuid, strerror(-rc));
	let_process_go(e);
	try_later(e);
}

/* Whether bytes have left the pipe meanwhile: as a successor would see it. */
static void process_died(struct end *e)
{
	struct apart *a = &e->apart;
	struct ring *ring = &e->st->spool.ring;
	struct err err = { 0 };
	unsigned missed;

	let_process_go(e);
	if (!e->away)
		return;
	if (log_limit_ok(&e->st->complaint, 10000, &missed))
		log_warn("the process that read a zone's output has died", "zone=%s stream=%d", e->st->spool.set->uuid, e->s);
	a->rd.n = -EAGAIN;
	if (!ring_has_reader(ring, e->s) && ring_finish_read(ring, e->s, &err) == 0 && ring_head(ring, e->s) > a->rd.at)
		a->rd.n = (int)(ring_head(ring, e->s) - a->rd.at);
	a->rd.pending = a->rd.n > 0 ? (size_t)a->rd.n : 0;
	comes_back(&a->rd);
	if (e->src.fd >= 0 && !e->away)
		try_later(e);
}

/* 1: an answer, 0: not yet. */
static int take_answer(struct end *e, struct pipe_answer *ans)
{
	cleanup_frame struct frame f = FRAME_INIT;
	int rc = frame_recv(e->apart.sock.fd, &f, 0);

	if (rc == -EAGAIN)
		return 0;
	if (rc <= 0 || f.data.len != sizeof(*ans))
		return -EPIPE;
	memcpy(ans, f.data.p, sizeof(*ans));
	if (ans->magic != PIPE_READER_MAGIC || !e->away || (ans->n > 0 && (size_t)ans->n > ring_room(&e->st->spool.ring, e->s)))
		return -EPIPE;
	return 1;
}

static void on_answer(struct source *src, uint32_t events)
{
	struct apart *a = container_of(src, struct apart, sock);
	struct end *e = container_of(a, struct end, apart);
	struct pipe_answer ans = { 0 };
	int rc = take_answer(e, &ans);

	(void)events;
	if (rc == 0)
		return;
	if (rc > 0 && !a->ready) {
		a->ready = true;
		rc = send_order(e, PIPE_READ);
	} else if (rc > 0) {
		a->rd.n = ans.n;
		a->rd.pending = (size_t)ans.pending;
		comes_back(&a->rd);
	}
	if (rc < 0)
		process_died(e);
}

bool stream_read(struct end *e, struct reading *rd)
{
	struct stream *st = e->st;
	size_t room = ring_room(&st->spool.ring, e->s);

	rd->e = e;
	rd->ring = &st->spool.ring;
	rd->hup = e->hup;
	rd->at = st->spool.ring.head[e->s];
	rd->max = room < READ_MAX ? room : READ_MAX;
	rd->pending = 0;
	if (e->tty) {
		rd->n = ring_read_tty(rd->ring, e->s, e->src.fd);
		return true;
	}
	if (!room) {
		rd->n = -EAGAIN;
		return true;
	}
	if (e->is_apart) {
		read_apart(e, rd);
		return false;
	}
	rd->peek[0] = st->spool.cap->peek[0];
	rd->peek[1] = st->spool.cap->peek[1];
	if (!my_tid)
		my_tid = gettid();
	e->apart.tid = my_tid;
	loop_risk(st->spool.cap->loop, on_taken, e);
	read_it(rd);
	if (loop_risk_over(st->spool.cap->loop))
		return true;
	give_back(rd);
	return false;
}
