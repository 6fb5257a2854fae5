/* SPDX-License-Identifier: MPL-2.0
 *
 * ring.c - crash-exact reading: after kill -9 at any instruction a successor knows which bytes left
 * the pipe.
 *
 * Design. The only fact that dies with a process is the return value of an interrupted read(2). So:
 *   1. n = FIONREAD, capped. We are the pipe's only reader, and the kernel does not look at signals
 *      while a pipe has data: a read of n bytes takes place wholly or not at all.
 *   2. tee(2) copies the pipe's first byte b without consuming it.
 *   3. the ring's next byte is set to ~b, the intent {position, n, b} is noted, state = RING_PIPE.
 *   4. read(2) of n bytes to that position. 5. head += n. 6. state = RING_IDLE.
 * A successor that finds RING_PIPE with head still at the intent's position looks at the byte there:
 * b means that the read took place (head += n), ~b that it did not.
 * A pty cannot be peeked: there the place is filled with a random pattern, and the successor takes
 * everything up to the last byte that differs from it. A byte can hide with probability 1/256 in
 * the microsecond of the window; zoneadmd gives pipes wherever it can.
 *
 * What is committed is one of two slots; writing the other one and then flipping cur is atomic for
 * a process that dies.
 *
 * Who reads a stream in another process (pipe_reader.c) holds a lock on the ring that the kernel takes away at his end, and not before
 * his read is over: as long as it is there nobody decides what became of that read.
 *
 * Invariants: tail <= head <= tail + RING_BYTES, per stream; positions only grow. Everything that is
 * read back is validated: a ring that makes no sense is taken as new (RING_DAMAGED).
 * Failure: the memory lives as long as zoneadmd or logsvc; with the machine it goes, as pipes do.
 */
#define LOG_MODULE "ring"
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failpoint.h"
#include "log.h"
#include "str.h"

#define RING_MAGIC  0x32676e6952636453ull /* "SdcRing2" */
#define RING_HEADER 4096
#define RING_FILE   (RING_HEADER + (off_t)RING_STREAMS * RING_BYTES)
#define TTY_READ    4096

/* Ordering against a process that dies here and is looked at by another: program order is enough on
 * the same machine, so the compiler is all that has to be held. */
#define ordered() atomic_signal_fence(memory_order_seq_cst)

_Static_assert(sizeof(struct ring_hdr) <= RING_HEADER, "the header has one page");

static void ring_reset(struct ring_hdr *h)
{
	h->magic = 0;
	ordered();
	memset((char *)h + sizeof(h->magic), 0, sizeof(*h) - sizeof(h->magic));
	h->data_bytes = RING_BYTES;
	ordered();
	h->magic = RING_MAGIC;
}

static uint64_t head_of(const struct ring_stream *st)
{
	return atomic_load_explicit(&st->head, memory_order_acquire);
}

static void advance(struct ring_stream *st, uint64_t n)
{
	atomic_store_explicit(&st->head, head_of(st) + n, memory_order_release);
}

static bool hdr_sane(const struct ring_hdr *h)
{
	if (h->magic != RING_MAGIC || h->data_bytes != RING_BYTES || h->cur > 1)
		return false;
	for (int s = 0; s < RING_STREAMS; s++) {
		const struct ring_stream *st = &h->stream[s];
		uint64_t tail = h->slot[h->cur].tail[s], head = head_of(st);

		if (tail > head || head - tail > RING_BYTES || head >> 62)
			return false;
		if (st->state > RING_TTY)
			return false;
		if (st->state != RING_IDLE && st->intent_pos == head && st->intent_len > RING_BYTES - (head - tail))
			return false;
	}
	return h->slot[h->cur].log_off >> 62 == 0;
}

static void finish_interrupted_read(struct ring *r, int s)
{
	struct ring_stream *st = &r->hdr->stream[s];
	const char *at = ring_at(r, s, st->intent_pos);
	uint32_t n = st->intent_len;

	if (st->intent_pos == head_of(st) && st->state == RING_PIPE) {
		if ((unsigned char)*at == (unsigned char)st->first_byte)
			advance(st, n);
	} else if (st->intent_pos == head_of(st) && st->state == RING_TTY) {
		while (n > 0 && (unsigned char)at[n - 1] ==
					(unsigned char)(st->pattern >> (8 * ((n - 1) & 7))))
			n--;
		advance(st, n);
	}
	ordered();
	st->state = RING_IDLE;
}

/* The lock's byte is the stream's number: it is the kernel that takes it from a process that ends, when its last read is over. */
static struct flock reader_lock(int s)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = s, .l_len = 1 };
}

bool ring_has_reader(const struct ring *r, int s)
{
	struct flock lock = reader_lock(s);

	return fcntl(r->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int ring_be_reader(struct ring *r, int s)
{
	struct flock lock = reader_lock(s);

	if (fcntl(r->fd, F_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

int ring_finish_read(struct ring *r, int s, struct err *err)
{
	int rc;

	if (r->hdr->stream[s].state == RING_IDLE)
		return 0;
	if ((rc = ring_wake(r, err)) == 0)
		finish_interrupted_read(r, s);
	return rc;
}

static int map_hdr(struct ring *r, struct err *err)
{
	void *p = mmap(NULL, RING_HEADER, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);

	if (p == MAP_FAILED)
		return err_sys(err, "mmap the ring");
	r->hdr = p;
	return 0;
}

int ring_attach(struct ring *r, int fd, struct err *err)
{
	struct stat sb;
	int rc;

	*r = (struct ring){ .fd = fd };
	if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode) || sb.st_size != RING_FILE)
		rc = err_sysnum(err, EINVAL, "no ring");
	else if ((rc = map_hdr(r, err)) == 0 && !hdr_sane(r->hdr))
		rc = err_sysnum(err, EINVAL, "the ring is damaged");
	if (rc < 0)
		ring_close(r);
	return rc;
}

int ring_open(struct ring *r, int fd, enum ring_state *state, struct err *err)
{
	struct stat sb;
	int rc = 0;

	r->fd = fd;
	r->hdr = NULL;
	r->data[0] = r->data[1] = NULL;
	*state = RING_KEPT;
	if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
		rc = err_sysnum(err, EINVAL, "the ring is no memory file");
		goto fail;
	}
	if (sb.st_size != RING_FILE) {
		*state = sb.st_size ? RING_DAMAGED : RING_NEW;
		if (ftruncate(fd, 0) < 0 || ftruncate(fd, RING_FILE) < 0) {
			rc = err_sys(err, "ftruncate the ring");
			goto fail;
		}
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	}
	if ((rc = map_hdr(r, err)) < 0)
		goto fail;
	if (*state == RING_KEPT && r->hdr->magic == 0)
		*state = RING_NEW; /* we died while making it */
	else if (*state == RING_KEPT && !hdr_sane(r->hdr))
		*state = RING_DAMAGED;
	if (*state != RING_KEPT)
		ring_reset(r->hdr);
	for (int s = 0; s < RING_STREAMS; s++) {
		if (!ring_has_reader(r, s) && (rc = ring_finish_read(r, s, err)) < 0)
			goto fail;
		r->head[s] = ring_head(r, s);
	}
	return 0;
fail:
	ring_close(r);
	return rc;
}

void ring_close(struct ring *r)
{
	for (int s = 0; s < RING_STREAMS; s++) {
		if (r->data[s])
			munmap(r->data[s], 2 * RING_BYTES + RING_HEADER);
		r->data[s] = NULL;
	}
	if (r->hdr)
		munmap(r->hdr, RING_HEADER);
	r->hdr = NULL;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* The area twice in a row, and a page behind it that scanners may read. */
static char *map_twice(int fd, off_t at)
{
	char *p = mmap(NULL, 2 * RING_BYTES + RING_HEADER, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		return NULL;
	for (int i = 0; i < 2; i++) {
		if (mmap(p + (size_t)i * RING_BYTES, RING_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, at) == MAP_FAILED) {
			munmap(p, 2 * RING_BYTES + RING_HEADER);
			return NULL;
		}
	}
	return p;
}

int ring_wake(struct ring *r, struct err *err)
{
	for (int s = 0; s < RING_STREAMS; s++) {
		if (r->data[s])
			continue;
		r->data[s] = map_twice(r->fd, RING_HEADER + (off_t)s * RING_BYTES);
		if (!r->data[s])
			return err_sys(err, "mmap the ring's data");
	}
	return 0;
}

void ring_rest(struct ring *r)
{
	for (int s = 0; s < RING_STREAMS; s++) {
		if (!r->data[s])
			continue;
		munmap(r->data[s], 2 * RING_BYTES + RING_HEADER);
		r->data[s] = NULL;
		if (ring_used(r, s) == 0)
			(void)fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					RING_HEADER + (off_t)s * RING_BYTES, RING_BYTES);
	}
}

void ring_commit(struct ring *r, const struct ring_slot *next)
{
	uint32_t other = !(r->hdr->cur & 1);

	r->hdr->slot[other] = *next;
	ordered();
	(void)failpoint("ring.commit.slot-written");
	r->hdr->cur = other;
	ordered();
}

int ring_read_pipe(struct ring *r, int s, int fd, const int peek[2], size_t max, bool ended,
		   size_t *pending)
{
	struct ring_stream *st = &r->hdr->stream[s];
	uint64_t head = head_of(st);
	char *at = r->data[s] + (head & (RING_BYTES - 1));
	unsigned char first;
	ssize_t n;
	int have = 0;

	if (!max)
		return -EAGAIN;
	if (ioctl(fd, FIONREAD, &have) < 0)
		return -errno;
	*pending = have > 0 ? (size_t)have : 0;
	if (have <= 0 && !ended)
		return -EAGAIN;
	n = tee(fd, peek[1], 1, SPLICE_F_NONBLOCK);
	if (n == 0)
		return have > 0 ? -EAGAIN : 0;
	if (n < 0)
		return -errno;
	if (read(peek[0], &first, 1) != 1)
		return -EIO;
	if (have <= 0)
		return -EAGAIN; /* it came just now: next time */
	if ((size_t)have < max)
		max = (size_t)have;
	*at = (char)~first;
	st->first_byte = first;
	st->intent_len = (uint32_t)max;
	st->intent_pos = head;
	ordered();
	st->state = RING_PIPE;
	ordered();
	(void)failpoint("ring.read.intent");
	n = read(fd, at, max);
	if (n < 0)
		n = -errno;
	(void)failpoint("ring.read.done");
	ordered();
	if (n > 0)
		advance(st, (uint64_t)n);
	ordered();
	(void)failpoint("ring.read.advanced");
	st->state = RING_IDLE;
	return n == 0 ? -EAGAIN : (int)n;
}

int ring_read_tty(struct ring *r, int s, int fd)
{
	struct ring_stream *st = &r->hdr->stream[s];
	uint64_t head = head_of(st);
	char *at = r->data[s] + (head & (RING_BYTES - 1));
	size_t max = ring_room(r, s) < TTY_READ ? ring_room(r, s) : TTY_READ;
	uint64_t pattern;
	ssize_t n;

	if (!max)
		return -EAGAIN;
	random_bytes(&pattern, sizeof(pattern));
	for (size_t i = 0; i < max; i++)
		at[i] = (char)(pattern >> (8 * (i & 7)));
	st->pattern = pattern;
	st->intent_len = (uint32_t)max;
	st->intent_pos = head;
	ordered();
	st->state = RING_TTY;
	ordered();
	(void)failpoint("ring.tty.intent");
	n = read(fd, at, max);
	if (n < 0)
		n = errno == EIO ? 0 : -errno; /* EIO: the last user of the other side is gone */
	(void)failpoint("ring.tty.done");
	ordered();
	if (n > 0)
		advance(st, (uint64_t)n);
	ordered();
	st->state = RING_IDLE;
	return (int)n;
}
