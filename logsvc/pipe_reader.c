/* SPDX-License-Identifier: MPL-2.0
 *
 * pipe_reader.c - the process that reads a pipe whose lock somebody holds (stream_apart.c says when).
 *
 * A process that waits for a pipe's lock cannot be killed, and whatever it has open stays open. So it is this one that waits, which has
 * the pipe, the ring and one socket: logsvc can be stopped, killed and started anew meanwhile.
 *
 * Order: the reader takes the stream's lock of the ring (ring_be_reader), and says so; only then it is told to read. So a logsvc that
 * dies leaves either no reader, or one that its successor sees. The successor's own reader waits until that one has ended,
 * finishes what it may have begun (ring_finish_read), and answers with the bytes that are in the ring beyond what
 * its logsvc knows. Whoever dies between any two steps, the ring tells whether the bytes have left the pipe.
 */
#include "pipe_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "frame.h"
#include "log.h"
#include "ring.h"

#define SEND_MS 1000
#define LOOK_MS 50 /* for the end of the reader before this one */

struct pipe_reader {
	int sock, pipe;
	int peek[2];
	int s;
	struct ring ring;
	bool taken;
};

static bool logsvc_is_gone(int sock, int wait_ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return poll(&p, 1, wait_ms) > 0; /* nothing is said before the answer: it is the end */
}

static int take(struct pipe_reader *rd, const struct pipe_order *o, struct frame *f)
{
	struct err err = { 0 };
	int ring_fd = frame_take_fd(f, 0), rc;

	rd->pipe = frame_take_fd(f, 1);
	if (rd->taken || o->stream >= RING_STREAMS || ring_fd < 0 || rd->pipe < 0)
		return -EBADMSG;
	rd->s = (int)o->stream;
	if ((rc = ring_attach(&rd->ring, ring_fd, &err)) < 0 ||
	    (rc = ring_wake(&rd->ring, &err)) < 0)
		return rc;
	while ((rc = ring_be_reader(&rd->ring, rd->s)) == -EAGAIN) {
		if (logsvc_is_gone(rd->sock, LOOK_MS))
			return -EPIPE;
	}
	if (rc == 0)
		rc = ring_finish_read(&rd->ring, rd->s, &err);
	rd->taken = rc == 0;
	return rc;
}

static int read_pipe(struct pipe_reader *rd, const struct pipe_order *o, struct pipe_answer *a)
{
	uint64_t ahead;
	size_t pending = 0;

	if (!rd->taken)
		return -EBADMSG;
	ahead = ring_head(&rd->ring, rd->s) - o->at;
	if (ahead > RING_BYTES || o->max > RING_BYTES)
		return -EBADMSG;
	a->n = (int)ahead; /* of the reader before */
	if (ahead == 0)
		a->n = ring_read_pipe(&rd->ring, rd->s, rd->pipe, rd->peek, (size_t)o->max,
				      o->hup != 0, &pending);
	a->pending = pending > ahead ? pending : ahead;
	(void)failpoint("apart.read");
	return 0;
}

static int serve(struct pipe_reader *rd)
{
	cleanup_frame struct frame f = FRAME_INIT;
	struct pipe_answer a = { .magic = PIPE_READER_MAGIC };
	struct pipe_order o;
	int rc;

	(void)poll(&(struct pollfd){ .fd = rd->sock, .events = POLLIN }, 1, -1);
	if ((rc = frame_recv(rd->sock, &f, 0)) == -EAGAIN)
		return 0;
	if (rc <= 0)
		return rc < 0 ? rc : -EPIPE;
	if (f.data.len != sizeof(o))
		return -EBADMSG;
	memcpy(&o, f.data.p, sizeof(o));
	if (o.magic != PIPE_READER_MAGIC)
		return -EBADMSG;
	rc = o.op == PIPE_TAKE	 ? take(rd, &o, &f)
	     : o.op == PIPE_READ ? read_pipe(rd, &o, &a)
				 : -EBADMSG;
	return rc < 0 ? rc : frame_send(rd->sock, &a, sizeof(a), NULL, 0, SEND_MS);
}

/* It says nothing, and may outlive whoever reads what logsvc says. */
static void be_silent(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < 3; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
}

int pipe_reader_main(int sock)
{
	struct pipe_reader rd = { .sock = sock, .pipe = -1, .ring = { .fd = -1 } };

	be_silent();
	if (fcntl(sock, F_SETFD, FD_CLOEXEC) < 0 || pipe2(rd.peek, O_CLOEXEC | O_NONBLOCK) < 0)
		return 1;
	while (serve(&rd) == 0)
		;
	return 0;
}
