/* SPDX-License-Identifier: MPL-2.0
 *
 * stdio_relay_main.c - the stdio relay, `apiserver --relay-stdio`.
 *
 * Design. One thread, with epoll, splices between pipes and sockets: the bytes are the kernel's all the time, and where one side
 * takes or gives nothing, nothing is moved; that is the back pressure. A stream waits for its pipe or for its socket, and is told of
 * the other one's end only where that ends it.
 *
 * Each call on a pipe may wait for whoever holds it. A watchman (watchman.h) looks after the thread: when a call takes too long, another
 * thread has the loop, and this one has the one stream, for good. Streams that are never held, which is nearly all of them, cost
 * no thread.
 *
 * Failure: it holds nothing but ends of pipes and sockets. With apiserver's socket closed it ends, or, where a pipe is
 * held, does so when that is let go; nobody waits for it. Killed, attached execs lose their streams, and the next one has a new relay.
 */
#define LOG_MODULE "relay"
#include "apiserver/stdio_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/child_server.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"
#include "str.h"
#include "watchman.h"

#define MOVE_MAX  (1024 * 1024) /* bytes in one call */
#define MOVES	  4		/* calls in one turn */
#define ALONE_MAX 1024		/* threads for held streams; beyond, new streams are refused */
#define UNKNOWN	  SIZE_MAX
#define NONE	  (-1) /* events: the descriptor is not watched, not even for its end */

enum { PIPE, SOCK };

struct stream;
struct end {
	struct stream *s;
	int fd;
	int events; /* that epoll has; NONE */
};

struct stream {
	struct end end[2];
	bool to_pipe;
	bool on_sock; /* it is the socket that it waits for */
	bool ending;  /* an output of which only what is there now is wanted */
	bool over;
	size_t left; /* when ending: bytes */
};

/* A call on a pipe: the loop's thread is in it, or has lost the loop by it. */
struct risk {
	struct stream *s;
	sem_t handed; /* the heir does not look at s any more */
};

static struct {
	int epoll_fd;
	struct watchman watchman;
	struct risk *risk; /* the latest */
	struct end control;
} relay = { .control = { .fd = CHILD_SERVER_SOCKET, .events = NONE } };

static atomic_uint n_alone;

/* ---- one stream ----------------------------------------------------------------------------- */

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0 && (p.revents & events);
}

/* Nothing could be moved. Where the socket is ready it was the pipe. */
static void choose_side(struct stream *s)
{
	s->on_sock = !is_ready(s->end[SOCK].fd, s->to_pipe ? POLLIN : POLLOUT);
	if (s->ending && !s->on_sock)
		s->over = true; /* somebody else has taken the rest */
}

static void move(struct stream *s)
{
	int from = s->end[s->to_pipe ? SOCK : PIPE].fd, to = s->end[s->to_pipe ? PIPE : SOCK].fd,
	    n_pending = 0;
	ssize_t n;

	if (s->ending && s->left == UNKNOWN) {
		if (ioctl(from, FIONREAD, &n_pending) == 0)
			s->left = (size_t)n_pending;
		s->over = s->left == 0;
	}
	for (int i = 0; i < MOVES && !s->over; i++) {
		n = splice(from, NULL, to, NULL,
			   s->ending && s->left < MOVE_MAX ? s->left : MOVE_MAX, SPLICE_F_NONBLOCK);
		if (n > 0) {
			s->left -= s->ending ? (size_t)n : 0;
			s->over = s->ending && s->left == 0;
		} else if (n < 0 && errno == EAGAIN) {
			choose_side(s);
			return;
		} else if (n == 0 || errno != EINTR) {
			s->over = true;
		}
	}
}

static void stream_free(struct stream *s)
{
	char token;

	if (s->end[PIPE].fd >= 0)
		close(s->end[PIPE].fd);
	if (!s->to_pipe) /* this end is no death: see lay_token */
		(void)recv(s->end[SOCK].fd, &token, 1, MSG_DONTWAIT);
	close(s->end[SOCK].fd);
	free(s);
}

/* What an end is watched for. epoll and poll have the same numbers for these. */
static int wanted(const struct stream *s, int which)
{
	if (s->on_sock == (which == SOCK))
		return (s->to_pipe == (which == SOCK) ? POLLIN : POLLOUT) |
		       (which == SOCK && !s->to_pipe && !s->ending ? POLLRDHUP : 0);
	/* the other's end: of a source it is no news before the rest has gone; to whom nobody listens any more, nothing need go */
	if (s->to_pipe)
		return which == PIPE ? 0 : NONE;
	return which == SOCK ? (s->ending ? 0 : POLLRDHUP) : NONE;
}

/* An end's events, before a turn. */
static void digest(struct stream *s, int which, int events)
{
	if (which == SOCK && !s->to_pipe) {
		if (events & (POLLHUP | POLLERR))
			s->over = true;
		else if ((events & POLLRDHUP) && !s->ending) {
			s->ending = true;
			s->left = UNKNOWN;
		}
	} else if (which == PIPE && s->to_pipe && (events & POLLERR)) {
		s->over = true;
	}
}

/* ---- held streams --------------------------------------------------------------------------- */

/* The rest of a stream's life, on a thread of its own. */
static void run_alone(struct stream *s)
{
	while (!s->over) {
		struct pollfd p[2];

		for (int i = 0; i < 2; i++) {
			int events = wanted(s, i);

			p[i] = (struct pollfd){ .fd = events == NONE ? -1 : s->end[i].fd,
						.events = (short)events };
		}
		if (poll(p, 2, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			digest(s, i, p[i].revents);
		if (!s->over)
			move(s);
	}
	stream_free(s);
	atomic_fetch_sub(&n_alone, 1);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void watch(struct end *e, int events)
{
	struct epoll_event ev = { .events = events == NONE ? 0 : (uint32_t)events, .data.ptr = e };
	int op = events == NONE ? EPOLL_CTL_DEL : e->events == NONE ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (events == e->events)
		return;
	if (epoll_ctl(relay.epoll_fd, op, e->fd, &ev) < 0) {
		log_err("epoll_ctl", "fd=%d error=%s", e->fd, strerror(errno));
		_exit(1);
	}
	e->events = events;
}

static void go(void);

/* fn(arg), which may wait for a pipe's holder, s's or (NULL) one that is no stream's. False: this thread has lost the loop, and s is
 * no more the loop's. */
static bool at_risk(struct stream *s, void (*fn)(void *arg), void *arg)
{
	struct risk r = { .s = s };
	bool mine;
	uint32_t token;

	sem_init(&r.handed, 0, 0);
	relay.risk = &r;
	token = watchman_enter(&relay.watchman);
	fn(arg);
	mine = watchman_leave(&relay.watchman, token);
	while (!mine && sem_wait(&r.handed) < 0)
		;
	sem_destroy(&r.handed);
	return mine;
}

static void unwatch(struct stream *s)
{
	watch(&s->end[PIPE], NONE);
	watch(&s->end[SOCK], NONE);
}

/* The thread that goes on, its predecessor being in a held pipe. */
static void inherit(void *arg)
{
	struct risk *r = relay.risk;

	(void)arg;
	if (r->s) {
		unwatch(r->s);
		log_info("a program holds its stream's pipe: a thread waits for it", "held=%u",
			 atomic_fetch_add(&n_alone, 1) + 1);
	}
	sem_post(&r->handed);
	go();
}

static void move_it(void *arg)
{
	move(arg);
}

static void free_it(void *arg)
{
	stream_free(arg);
}

/* False: this thread has lost the loop, and comes back from the stream's end. */
static bool turn(struct stream *s)
{
	if (!s->over && !at_risk(s, move_it, s)) {
		run_alone(s);
		return false;
	}
	if (s->over) {
		unwatch(s); /* others may have the same open file: closing alone would not do */
		return at_risk(NULL, free_it, s);
	}
	watch(&s->end[PIPE], wanted(s, PIPE));
	watch(&s->end[SOCK], wanted(s, SOCK));
	return true;
}

static void add_stream(int pipe_fd, int sock, bool to_pipe)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->end[PIPE] = (struct end){ s, pipe_fd, NONE };
	s->end[SOCK] = (struct end){ s, sock, NONE };
	s->on_sock = s->to_pipe = to_pipe;
	watch(&s->end[PIPE], wanted(s, PIPE));
	watch(&s->end[SOCK], wanted(s, SOCK));
}

static void refuse(void *arg)
{
	frame_fini(arg);
}

/* False: as turn's. */
static bool on_control(void)
{
	cleanup_frame struct frame f = FRAME_INIT;
	static struct log_limit limit;
	struct relay_request rq;
	unsigned more;
	int rc = frame_recv(CHILD_SERVER_SOCKET, &f, 0);

	if (rc == -EAGAIN)
		return true;
	if (rc != 1 || f.data.len != sizeof(rq)) {
		if (rc != 0)
			log_err("no more requests", "rc=%d len=%zu", rc, f.data.len);
		_exit(rc != 0);
	}
	if (atomic_load(&n_alone) >= ALONE_MAX) {
		if (log_limit_ok(&limit, 10000, &more))
			log_err("too many streams are held by their programs: new ones are closed",
				"held=%d more=%u", ALONE_MAX, more);
		return at_risk(NULL, refuse, &f);
	}
	memcpy(&rq, f.data.p, sizeof(rq));
	for (size_t i = 0; i < rq.n && 2 * i + 1 < f.n_fds; i++)
		add_stream(frame_take_fd(&f, 2 * i), frame_take_fd(&f, 2 * i + 1), rq.to_pipe[i]);
	return true;
}

/* One event at a time: none in hand can be of a stream that the one before has freed. */
static void go(void)
{
	struct epoll_event ev;

	for (;;) {
		struct end *e;

		if (epoll_wait(relay.epoll_fd, &ev, 1, -1) != 1)
			continue;
		e = ev.data.ptr;
		if (e == &relay.control) {
			if (!on_control())
				return;
			continue;
		}
		digest(e->s, e == &e->s->end[SOCK] ? SOCK : PIPE, (int)ev.events);
		if (!turn(e->s))
			return;
	}
}

int stdio_relay_main(void)
{
	signal(SIGPIPE, SIG_IGN);
	relay.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (relay.epoll_fd < 0) {
		log_err("epoll_create", "error=%s", strerror(errno));
		return 1;
	}
	str_copy(relay.watchman.name, sizeof(relay.watchman.name), "relay");
	relay.watchman.inherit = inherit;
	watch(&relay.control, EPOLLIN);
	go();
	for (;;) /* as long as the heirs go on: a process whose first thread is gone has no command line to be found by */
		pause();
}
