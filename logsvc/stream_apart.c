/* SPDX-License-Identifier: MPL-2.0
 *
 * stream_apart.c - reads a zone's pipe; apart from the capture thread where that may take long.
 *
 * Design. Whoever splices into a pipe (sendfile(2), splice(2); `nc -l | cat`) holds its lock for as long as his source has nothing
 * to give, and every call on the pipe waits for it, whatever O_NONBLOCK says, and no signal ends it. A container can do that
 * to its own stdout; it may hold up its own log by it, but no other's. So each read is one that the loop watches (loop_risk): when
 * it takes too long, another thread has the loop, and this one comes back with a task of it. From then on the end is only read
 * by threads of their own, one for each read, until the run ends.
 *
 * While a read is away (struct end's away) nothing else reads the end, closes it, or unmaps its ring; the rest of the stream
 * goes on: positions that the read changes are looked at by nobody else but in the order that a crash may see, too.
 *
 * Failure: a logsvc that dies while a thread is in such a read does not end before the read does.
 */
#define LOG_MODULE "stream"
#include "stream_apart.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "str.h"

#define READ_MAX    (128 * 1024) /* bytes per turn */
#define THREADS_MAX 256
#define RETRY_NS    5000000

static atomic_uint n_threads;

static void read_it(struct reading *rd)
{
	struct end *e = rd->e;
	int size;

	if (!e->pipe_bytes) {
		size = fcntl(e->src.fd, F_GETPIPE_SZ);
		e->pipe_bytes = size > 0 ? (size_t)size : 4096;
	}
	rd->n = ring_read_pipe(rd->ring, e->s, e->src.fd, rd->peek, READ_MAX, rd->hup, &rd->pending);
}

/* The capture thread. */
static void on_back(void *arg)
{
	struct reading *rd = arg;

	close(rd->peek[0]);
	close(rd->peek[1]);
	stream_read_done(rd);
	free(rd);
}

static void give_back(const struct reading *rd)
{
	struct reading *copy = xmalloc(sizeof(*copy));

	*copy = *rd;
	loop_post(rd->e->st->spool.cap->loop, on_back, copy);
}

static void *read_apart(void *arg)
{
	struct reading *rd = arg;

	read_it(rd);
	give_back(rd);
	free(rd);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

static void goes_away(struct end *e)
{
	e->away = true;
	e->st->n_away++;
	loop_unwatch(e->st->spool.cap->loop, &e->src);
}

/* The thread that has the loop now. */
static void on_taken(void *arg)
{
	struct end *e = arg;
	struct capture *cap = e->st->spool.cap;

	goes_away(e);
	e->apart = true;
	if (pipe2(cap->peek, O_CLOEXEC | O_NONBLOCK) < 0) { /* the old one is in use; a successor loses nothing */
		log_err("no pipe to peek with", "zone=%s", e->st->spool.set->uuid);
		_exit(1);
	}
	log_warn("a program of the zone holds its output's pipe: it is read apart", "zone=%s stream=%d", e->st->spool.set->uuid, e->s);
}

/* Later, when there is no thread for it. */
static void start_apart(struct end *e, const struct reading *given)
{
	struct reading *rd = xmalloc(sizeof(*rd));
	pthread_t thread;

	*rd = *given;
	if (atomic_fetch_add(&n_threads, 1) < THREADS_MAX && pipe2(rd->peek, O_CLOEXEC | O_NONBLOCK) == 0) {
		if (pthread_create(&thread, NULL, read_apart, rd) == 0) {
			(void)pthread_detach(thread);
			goes_away(e);
			return;
		}
		close(rd->peek[0]);
		close(rd->peek[1]);
	}
	atomic_fetch_sub(&n_threads, 1);
	free(rd);
	(void)loop_watch(e->st->spool.cap->loop, &e->src, 0);
	loop_timer(e->st->spool.cap->loop, &e->pause, RETRY_NS);
}

bool stream_read(struct end *e, struct reading *rd)
{
	struct stream *st = e->st;

	rd->e = e;
	rd->ring = &st->spool.ring;
	rd->hup = e->hup;
	rd->at = st->spool.ring.hdr->stream[e->s].head;
	rd->pending = 0;
	if (e->tty) {
		rd->n = ring_read_tty(rd->ring, e->s, e->src.fd);
		return true;
	}
	if (e->apart) {
		start_apart(e, rd);
		return false;
	}
	rd->peek[0] = st->spool.cap->peek[0];
	rd->peek[1] = st->spool.cap->peek[1];
	loop_risk(st->spool.cap->loop, on_taken, e);
	read_it(rd);
	if (loop_risk_over(st->spool.cap->loop))
		return true;
	give_back(rd);
	return false;
}
