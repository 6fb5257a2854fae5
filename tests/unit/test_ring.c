/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* What a successor makes of a ring: an interrupted read, a damaged header, a half-made commit. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "logsvc/ring.h"

static int peek[2];

static int new_memfd(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void open_ring(struct ring *r, int fd, enum ring_state want)
{
	struct err err = { 0 };
	enum ring_state state;

	assert_int_equal(ring_open(r, dup(fd), &state, &err), 0);
	assert_int_equal(state, want);
	assert_int_equal(ring_wake(r, &err), 0);
}

/* As the owner reads himself. */
static int take(struct ring *r, int s, int fd, size_t max, size_t *pending)
{
	int n = ring_read_pipe(r, s, fd, peek, max < ring_room(r, s) ? max : ring_room(r, s), true, pending);

	ring_took(r, s, n);
	return n;
}

static void test_read_and_commit(void **state)
{
	int fd = new_memfd(), p[2];
	struct ring r;
	struct ring_slot slot;
	size_t pending;

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	open_ring(&r, fd, RING_NEW);
	assert_int_equal(take(&r, 0, p[0], 4096, &pending), -EAGAIN);
	assert_int_equal(write(p[1], "hello\nwor", 9), 9);
	assert_int_equal(take(&r, 0, p[0], 5, &pending), 5);
	assert_int_equal(pending, 9);
	assert_int_equal(take(&r, 0, p[0], 4096, &pending), 4);
	assert_int_equal(ring_used(&r, 0), 9);
	assert_memory_equal(ring_at(&r, 0, 0), "hello\nwor", 9);
	slot = *ring_slot(&r);
	slot.tail[0] = 6;
	slot.log_off = 77;
	ring_commit(&r, &slot);
	ring_rest(&r);
	ring_close(&r);
	open_ring(&r, fd, RING_KEPT);
	assert_int_equal(ring_used(&r, 0), 3);
	assert_memory_equal(ring_at(&r, 0, 6), "wor", 3);
	assert_int_equal(ring_slot(&r)->log_off, 77);
	close(p[1]);
	assert_int_equal(take(&r, 0, p[0], 4096, &pending), 0);
	close(p[0]);
	ring_close(&r);
	close(fd);
}

/* Round and round, so that lines lie across the seam of the double mapping. */
static void test_wraps(void **state)
{
	int fd = new_memfd(), p[2];
	char in[3000], *at;
	struct ring r;
	size_t pending;

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	open_ring(&r, fd, RING_NEW);
	for (int i = 0; i < 300; i++) {
		struct ring_slot slot = *ring_slot(&r);

		memset(in, 'a' + i % 26, sizeof(in));
		assert_int_equal(write(p[1], in, sizeof(in)), sizeof(in));
		assert_int_equal(take(&r, 1, p[0], 1 << 20, &pending), sizeof(in));
		at = (char *)(uintptr_t)ring_at(&r, 1, slot.tail[1]);
		assert_memory_equal(at, in, sizeof(in));
		slot.tail[1] += sizeof(in);
		ring_commit(&r, &slot);
		if (i % 50 == 0) {
			ring_rest(&r);
			assert_int_equal(ring_wake(&r, &(struct err){ 0 }), 0);
		}
	}
	/* full: no more is taken */
	memset(in, 'x', sizeof(in));
	while (ring_used(&r, 1) < RING_BYTES) {
		assert_true(write(p[1], in, sizeof(in)) > 0);
		assert_true(take(&r, 1, p[0], 1 << 20, &pending) > 0);
	}
	assert_int_equal(write(p[1], in, 10), 10);
	assert_int_equal(take(&r, 1, p[0], 1 << 20, &pending), -EAGAIN);
	ring_close(&r);
	close(p[0]);
	close(p[1]);
	close(fd);
}

/* A read that was interrupted: before it took place, after it, after head moved. */
static void test_interrupted_read(void **state)
{
	(void)state;
	for (int step = 0; step < 3; step++) {
		int fd = new_memfd();
		struct ring r;

		open_ring(&r, fd, RING_NEW);
		r.hdr->stream[0].intent_pos = 0;
		r.hdr->stream[0].intent_len = 5;
		r.hdr->stream[0].first_byte = 'h';
		r.hdr->stream[0].state = RING_PIPE;
		memcpy(r.data[0], step ? "hello" : "\x97", step ? 5 : 1);
		if (step == 2)
			r.hdr->stream[0].head = 5;
		ring_close(&r);
		open_ring(&r, fd, RING_KEPT);
		assert_int_equal(r.hdr->stream[0].state, RING_IDLE);
		assert_int_equal(ring_used(&r, 0), step ? 5 : 0);
		ring_close(&r);
		close(fd);
	}
}

/* The reader is another process, and interrupted: as long as it lives nobody decides what became of its read. */
static void test_reader_apart(void **state)
{
	int fd = new_memfd(), go[2], status;
	struct err err = { 0 };
	struct ring r, other;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(go), 0);
	open_ring(&r, fd, RING_NEW);
	assert_false(ring_has_reader(&r, 0));
	pid = fork();
	if (pid == 0) {
		if (ring_attach(&other, dup(fd), &err) < 0 || ring_wake(&other, &err) < 0 || ring_be_reader(&other, 0) < 0)
			_exit(1);
		other.hdr->stream[0].intent_len = 5;
		other.hdr->stream[0].first_byte = 'h';
		other.hdr->stream[0].state = RING_PIPE;
		memcpy(other.data[0], "hello", 5);
		if (write(go[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(go[0], &c, 1), 1);
	assert_true(ring_has_reader(&r, 0));
	assert_false(ring_has_reader(&r, 1));
	assert_int_equal(ring_be_reader(&r, 0), -EAGAIN);
	ring_close(&r);
	open_ring(&r, fd, RING_KEPT);
	assert_int_equal(r.hdr->stream[0].state, RING_PIPE);
	assert_int_equal(ring_used(&r, 0), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_false(ring_has_reader(&r, 0));
	assert_int_equal(ring_be_reader(&r, 0), 0);
	assert_int_equal(ring_finish_read(&r, 0, &err), 0);
	assert_int_equal(ring_head(&r, 0), 5);
	assert_int_equal(ring_used(&r, 0), 0); /* the owner has not been told */
	ring_took(&r, 0, 5);
	assert_int_equal(ring_used(&r, 0), 5);
	ring_close(&r);
	close(go[0]);
	close(go[1]);
	close(fd);
}

static void test_interrupted_tty(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20; n++) {
		int fd = new_memfd();
		struct ring r;

		open_ring(&r, fd, RING_NEW);
		r.hdr->stream[0].intent_len = 100;
		r.hdr->stream[0].pattern = 0x8182838485868788ull;
		for (unsigned i = 0; i < 100; i++)
			r.data[0][i] = (char)(r.hdr->stream[0].pattern >> (8 * (i & 7)));
		memset(r.data[0], 'x', n);
		r.hdr->stream[0].state = RING_TTY;
		ring_close(&r);
		open_ring(&r, fd, RING_KEPT);
		assert_int_equal(ring_used(&r, 0), n);
		ring_close(&r);
		close(fd);
	}
}

static void test_damage(void **state)
{
	(void)state;
	srandom(3);
	for (int round = 0; round < 2000; round++) {
		int fd = new_memfd();
		enum ring_state found;
		struct err err = { 0 };
		struct ring r;

		open_ring(&r, fd, RING_NEW);
		for (int i = 0; i < 1 + round % 4; i++) {
			size_t at = (size_t)random() % sizeof(*r.hdr);

			((unsigned char *)r.hdr)[at] = (unsigned char)random();
		}
		if (round % 10 == 0)
			assert_int_equal(ftruncate(fd, random() % 300000), 0);
		if (round % 10) /* a truncated one must not be touched */
			munmap(r.hdr, 4096);
		r.hdr = NULL;
		ring_close(&r);
		assert_int_equal(ring_open(&r, dup(fd), &found, &err), 0);
		assert_true(ring_used(&r, 0) <= RING_BYTES && ring_used(&r, 1) <= RING_BYTES);
		assert_true(found == RING_KEPT ||
			    (ring_used(&r, 0) == 0 && ring_slot(&r)->log_gen == 0));
		ring_close(&r);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_commit), cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_interrupted_read), cmocka_unit_test(test_reader_apart), cmocka_unit_test(test_interrupted_tty),
		cmocka_unit_test(test_damage),
	};

	if (pipe2(peek, O_NONBLOCK) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
