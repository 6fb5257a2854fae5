/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Reading and attaching, on real threads: a zone's pipes at one end, a client's pipe at the other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "logsvc/compress.h"
#include "logsvc/readers.h"
#include "logsvc/stream.h"
#include "str.h"

static struct capture *capture;

/* ---- a zone ----------------------------------------------------------------------------------- */

static struct zone {
	char dir[64], logs[128], gap[128];
	struct logset *set;
	struct stream *st;
	int ring_fd, out, err; /* write ends */
	uint32_t run;
	atomic_uint drained;
	sem_t readers_done;
} z;

static void on_drained(void *owner, uint32_t run)
{
	(void)owner;
	atomic_store(&z.drained, run);
}
static void on_idle(void *owner)
{
	(void)owner;
}
static void on_done(void *owner)
{
	(void)owner;
	sem_post(&z.readers_done);
}

struct call {
	void (*fn)(void *);
	void *arg;
	sem_t done;
};
static void do_call(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	sem_post(&c->done);
}
static void on_capture(void (*fn)(void *), void *arg)
{
	struct call c = { .fn = fn, .arg = arg };

	sem_init(&c.done, 0, 0);
	loop_post(capture->loop, do_call, &c);
	while (sem_wait(&c.done) < 0)
		;
}

static void set_conf(void *arg)
{
	stream_set_conf(z.st, arg);
}
static void adopt(void *arg)
{
	stream_adopt(z.st, arg);
}
static void attach(void *arg)
{
	stream_attach(z.st, arg);
}
static void rotate(void *arg)
{
	struct err err = { 0 };

	(void)arg;
	assert_int_equal(stream_rotate(z.st, &err), 0);
}
static void free_stream(void *arg)
{
	(void)arg;
	stream_free(z.st);
}

static void start_run(bool tty)
{
	struct stream_stdio io = { .run = ++z.run, .tty = tty, .end_fd = { -1, -1 } };
	int p[2];

	io.ring_fd = dup(z.ring_fd);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	io.end_fd[0] = p[0];
	z.out = p[1];
	if (!tty) {
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		io.end_fd[1] = p[0];
		z.err = p[1];
	}
	on_capture(adopt, &io);
}

static void end_run(void)
{
	if (z.out >= 0)
		close(z.out);
	if (z.err >= 0)
		close(z.err);
	z.out = z.err = -1;
	for (int i = 0; i < 5000 && atomic_load(&z.drained) != z.run; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&z.drained), z.run);
}

static int setup(void **state)
{
	struct stream_events ev = { on_drained, on_idle, NULL };
	struct stream_conf conf = { 0 };

	(void)state;
	memset(&z, 0, sizeof(z));
	str_copy(z.dir, sizeof(z.dir), "/tmp/test_reader.XXXXXX");
	if (!mkdtemp(z.dir))
		return -1;
	snprintf(z.logs, sizeof(z.logs), "%s/logs", z.dir);
	snprintf(z.gap, sizeof(z.gap), "%s/gap", z.dir);
	sem_init(&z.readers_done, 0, 0);
	z.out = z.err = -1;
	z.ring_fd = memfd_create("ring", MFD_CLOEXEC);
	z.set = logset_new("0123abcd-0123-4567-89ab-0123456789ab", z.logs);
	z.st = stream_new(capture, z.set, z.logs, z.gap, &ev);
	on_capture(set_conf, &conf);
	return 0;
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	if (z.out >= 0 || z.err >= 0)
		end_run();
	on_capture(free_stream, NULL);
	logset_unref(z.set);
	close(z.ring_fd);
	return fs_remove_tree(AT_FDCWD, z.dir, &err);
}

static void configure(int64_t max_size, bool compress, const char *attrs)
{
	struct stream_conf conf = { .max_size = max_size, .compress = compress };

	conf.attrs = xstrdup(attrs);
	on_capture(set_conf, &conf);
}

static void say(int fd, const char *text)
{
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

/* Until so many bytes of output are in the log. */
static void committed(uint64_t bytes)
{
	uint64_t have = 0;

	for (int i = 0; i < 5000 && have < bytes; i++) {
		pthread_mutex_lock(&z.set->lock);
		have = z.set->counters.bytes;
		pthread_mutex_unlock(&z.set->lock);
		usleep(1000);
	}
	assert_int_equal(have, bytes);
}

static void put(const char *name, const char *text)
{
	struct err err = { 0 };
	char path[256];

	assert_int_equal(fs_mkdir_p(z.logs, 0700, &err), 0);
	snprintf(path, sizeof(path), "%s/%s", z.logs, name);
	assert_int_equal(fs_write_replace(path, text, strlen(text), 0600, &err), 0);
}

/* The set as another logsvc would find it. */
static void look_again(void)
{
	struct stream_events ev = { on_drained, on_idle, NULL };

	on_capture(free_stream, NULL);
	logset_unref(z.set);
	z.set = logset_new("0123abcd-0123-4567-89ab-0123456789ab", z.logs);
	z.st = stream_new(capture, z.set, z.logs, z.gap, &ev);
}

/* ---- a client --------------------------------------------------------------------------------- */

static int submit(struct read_request *rq)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	rq->set = logset_ref(z.set);
	rq->fd = p[1];
	rq->on_done = on_done;
	if (!rq->want[0] && !rq->want[1])
		rq->want[0] = rq->want[1] = true;
	readers_submit(rq);
	return p[0];
}

static void read_end(int fd, struct buf *b)
{
	char in[65536];
	ssize_t n;

	while ((n = read(fd, in, sizeof(in))) > 0)
		buf_add(b, in, (size_t)n);
	close(fd);
}

static const char *text_of(struct read_request rq)
{
	static struct buf b;
	int fd;

	buf_reset(&b);
	rq.raw = true;
	fd = submit(&rq);
	read_end(fd, &b);
	while (sem_wait(&z.readers_done) < 0)
		;
	return buf_str(&b);
}

/* Waits until so many bytes are there, at most 5 s. */
static void expect_bytes(int fd, const char *want)
{
	struct buf b = BUF_INIT;
	char in[4096];

	while (b.len < strlen(want)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = read(fd, in, strlen(want) - b.len);
		assert_true(n > 0);
		buf_add(&b, in, (size_t)n);
	}
	assert_string_equal(b.p, want);
	buf_fini(&b);
}

static void expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
}

static void expect_silence(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, ms), 0);
}

#define R(text, stream, time) "{\"log\":\"" text "\",\"stream\":\"" stream "\",\"time\":\"" time "\"}\n"
#define O(text) R(text, "stdout", "2026-08-22T12:34:56Z")
#define E(text) R(text, "stderr", "2026-08-22T12:34:56Z")
#define ALL .tail = -1

/* ---- reading ---------------------------------------------------------------------------------- */

static void test_frames(void **state)
{
	struct read_request rq = { ALL };
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	put(LOG_LIVE, "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"attrs\":{\"b\":\"2\",\"a\":\"1 1\"},\"time\":\"2026-08-22T12:34:56.7Z\"}\n" E("x\\n") "{\"log\":\"torn");
	look_again();
	read_end(submit(&rq), &b);
	assert_int_equal(b.len, 8 + 6 + 8 + 2);
	assert_memory_equal(b.p, "\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\2x\n", b.len);
	rq.timestamps = rq.details = true;
	assert_string_equal(text_of(rq), "2026-08-22T12:34:56.700000000Z a=1+1,b=2 hello\n"
					 "2026-08-22T12:34:56.000000000Z  x\n");
	rq.timestamps = rq.details = false;
	rq.want[1] = true;
	rq.want[0] = false;
	assert_string_equal(text_of(rq), "x\n");
	while (sem_trywait(&z.readers_done) == 0)
		;
}

static void test_tail(void **state)
{
	static const struct {
		int64_t tail;
		const char *want;
	} rows[] = {
		{ 0, "" },
		{ 1, "unfinished" },
		{ 2, "B1B2B3\nunfinished" },
		{ 3, "B1B2c2\nB3\nunfinished" },
		{ 4, "A1A2B1A3\nB2c2\nB3\nunfinished" },
		{ 5, "first\nA1A2B1A3\nB2c2\nB3\nunfinished" },
		{ 6, "first\nA1A2B1A3\nB2c2\nB3\nunfinished" },
		{ INT64_MAX, "first\nA1A2B1A3\nB2c2\nB3\nunfinished" },
		{ -1, "first\nA1A2B1A3\nB2c2\nB3\nunfinished" },
	};

	(void)state;
	/* lines of stdout: first, A1A2A3, c2, unfinished; of stderr: B1B2B3 */
	put(LOG_LIVE, O("first\\n") O("A1") O("A2") E("B1") O("A3\\n") E("B2") O("c2\\n") E("B3\\n")
			      O("unfinished"));
	look_again();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct read_request rq = { .tail = rows[i].tail };

		assert_string_equal(text_of(rq), rows[i].want);
	}
}

static void test_since_until(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	int64_t t0 = 1787402096000000000LL;
	struct read_request rq = { ALL };
	char want[64];

	(void)state;
	for (int i = 0; i < 6000; i++) {
		char stamp[RFC3339NANO_MAX];

		fmt_rfc3339nano(stamp, t0 + i * 1000000LL);
		buf_printf(&b, "{\"log\":\"line %d\\n\",\"stream\":\"stdout\",\"time\":\"%s\"}\n", i, stamp);
	}
	put(LOG_LIVE, b.p);
	put("stdio.log.20260822T120000Z", R("long ago\\n", "stdout", "2026-08-22T11:59:59Z"));
	look_again();
	for (int i = 0; i < 6000; i += 333) {
		const char *got;

		rq.since_ns = t0 + i * 1000000LL;
		rq.until_ns = 0;
		got = text_of(rq);
		snprintf(want, sizeof(want), "line %d\n", i);
		assert_memory_equal(got, want, strlen(want));
		rq.until_ns = rq.since_ns;
		assert_string_equal(text_of(rq), want);
	}
	rq.since_ns = t0 + 3600000000000LL;
	rq.until_ns = 0;
	assert_string_equal(text_of(rq), "");
	rq.since_ns = 1;
	rq.until_ns = t0;
	assert_string_equal(text_of(rq), "long ago\nline 0\n");
}

static void test_files_and_damage(void **state)
{
	struct read_request rq = { ALL };

	(void)state;
	put("stdio.log.20260822T120000Z", O("1\\n") "rubbish\n" O("2\\n") "{\"log\":\"torn");
	put("stdio.log.20260822T120001Z", O("3\\n"));
	put("stdio.log.20260822T120002Z.gz", "no gzip at all");
	put(LOG_LIVE, O("4\\n") "\n{}\n" O("5\\n"));
	look_again();
	assert_string_equal(text_of(rq), "1\n2\n3\n4\n5\n");
	rq.tail = 3;
	assert_string_equal(text_of(rq), "4\n5\n"); /* {} is a record without text */
	assert_true(atomic_load(&z.set->damaged) >= 2);
}

/* Captured lines, through rotations and compression, and back. */
static void test_captured(void **state)
{
	cleanup_buf struct buf want = BUF_INIT;
	struct read_request rq = { ALL };
	size_t n;

	(void)state;
	configure(3000, true, "{\"a\":\"b\"}");
	start_run(false);
	for (int i = 0; i < 500; i++) {
		char line[64];

		snprintf(line, sizeof(line), "line \"%d\" <\xc3\xa9>\n", i);
		buf_addstr(&want, line);
		say(z.out, line);
		if (i % 50 == 0)
			committed(want.len);
	}
	committed(want.len);
	for (int i = 0; i < 5000; i++) { /* until all rotated files are compressed */
		bool all = true;

		pthread_mutex_lock(&z.set->lock);
		n = z.set->n_files;
		for (size_t k = 0; k < n; k++)
			all &= z.set->files[k].gz;
		pthread_mutex_unlock(&z.set->lock);
		if (all)
			break;
		usleep(1000);
	}
	assert_in_range(n, 15, 40);
	assert_string_equal(text_of(rq), want.p);
	rq.tail = 400;
	assert_string_equal(text_of(rq), strstr(want.p, "line \"100\""));
	rq.tail = -1;
	rq.since_ns = now_ns() - 3600000000000LL;
	assert_string_equal(text_of(rq), want.p);
	end_run();
	look_again();
	assert_string_equal(text_of(rq), want.p);
}

static void test_beyond_commit(void **state)
{
	struct read_request rq = { ALL };
	cleanup_fd int fd = -1;
	char path[256];

	(void)state;
	start_run(false);
	say(z.out, "seen\n");
	committed(5);
	snprintf(path, sizeof(path), "%s/" LOG_LIVE, z.logs);
	fd = open(path, O_WRONLY | O_APPEND);
	say(fd, O("unseen\\n"));
	assert_string_equal(text_of(rq), "seen\n");
	rq.tail = 5;
	assert_string_equal(text_of(rq), "seen\n");
}

/* ---- following -------------------------------------------------------------------------------- */

static void test_follow(void **state)
{
	struct read_request rq = { ALL, .follow = true, .raw = true };
	int fd;

	(void)state;
	assert_string_equal(text_of(rq), ""); /* does not run: ends at once */
	start_run(false);
	say(z.out, "one\n");
	committed(4);
	fd = submit(&rq);
	expect_bytes(fd, "one\n");
	expect_silence(fd, 30);
	say(z.err, "two\n");
	expect_bytes(fd, "two\n");
	say(z.out, "unfini");
	expect_silence(fd, 30);
	on_capture(rotate, NULL);
	say(z.out, "shed\n");
	expect_bytes(fd, "unfinished\n");
	on_capture(rotate, NULL);
	on_capture(rotate, NULL);
	say(z.out, "last\nno newline");
	end_run();
	expect_bytes(fd, "last\nno newline");
	expect_end(fd);
	rq.tail = 1;
	assert_string_equal(text_of(rq), "no newline");
}

static void test_follow_until(void **state)
{
	struct read_request rq = { ALL, .follow = true, .raw = true };
	int64_t begin = mono_ns();
	int fd;

	(void)state;
	start_run(false);
	say(z.out, "one\n");
	committed(4);
	rq.until_ns = now_ns() + 150000000;
	fd = submit(&rq);
	expect_bytes(fd, "one\n");
	expect_end(fd);
	assert_in_range(mono_ns() - begin, 140000000, 2000000000);
}

static void test_follow_truncated(void **state)
{
	struct read_request rq = { ALL, .follow = true, .raw = true };
	char path[256];
	int fd;

	(void)state;
	start_run(false);
	say(z.out, "one\ntwo\nthree\n");
	committed(14);
	fd = submit(&rq);
	expect_bytes(fd, "one\ntwo\nthree\n");
	snprintf(path, sizeof(path), "%s/" LOG_LIVE, z.logs);
	assert_int_equal(truncate(path, 0), 0);
	say(z.out, "four\n");
	expect_bytes(fd, "four\n");
	assert_int_equal(unlink(path), 0);
	say(z.out, "five\n");
	expect_bytes(fd, "five\n");
	end_run();
	expect_end(fd);
}

static void test_many_followers(void **state)
{
	struct read_request rq = { ALL, .follow = true, .raw = true };
	cleanup_buf struct buf want = BUF_INIT, got = BUF_INIT;
	int fd[20];

	(void)state;
	configure(20000, false, NULL);
	start_run(false);
	for (int i = 0; i < 20; i++)
		fd[i] = submit(&rq);
	for (int i = 0; i < 10000; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%d\n", i);
		buf_addstr(&want, line);
		say(z.out, line);
	}
	end_run();
	for (int i = 0; i < 20; i++) {
		buf_reset(&got);
		read_end(fd[i], &got);
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.p, want.p, want.len);
	}
}

/* ---- attaching -------------------------------------------------------------------------------- */

static int attach_client(bool out, bool err)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	on_capture(attach, attach_new(p[1], out, err));
	return p[0];
}

static void test_attach(void **state)
{
	int fd = attach_client(true, true), only_err;
	char head[9] = { 0 };

	(void)state;
	expect_silence(fd, 30);
	start_run(false);
	only_err = attach_client(false, true);
	say(z.out, "par");
	assert_int_equal(read(fd, head, 8), 8);
	assert_memory_equal(head, "\1\0\0\0\0\0\0\3", 8);
	expect_bytes(fd, "par");
	say(z.err, "\xff\n");
	assert_int_equal(read(fd, head, 8), 8);
	assert_memory_equal(head, "\2\0\0\0\0\0\0\2", 8);
	expect_bytes(fd, "\xff\n");
	assert_int_equal(read(only_err, head, 8), 8);
	expect_bytes(only_err, "\xff\n");
	end_run();
	expect_end(fd);
	expect_end(only_err);
}

static void test_attach_none(void **state)
{
	struct stream_conf conf = { .no_file = true };
	int fd = attach_client(true, true);

	(void)state;
	on_capture(set_conf, &conf);
	start_run(true);
	say(z.out, "raw");
	expect_bytes(fd, "raw");
	end_run();
	expect_end(fd);
	assert_int_equal(access(z.logs, F_OK), -1);
}

static void *say_numbers(void *arg)
{
	char block[16384];
	size_t len = 0;

	for (long i = 0; i < (long)(intptr_t)arg; i++) {
		len += (size_t)snprintf(block + len, 32, "%ld\n", i);
		if (len > sizeof(block) - 32) {
			say(z.out, block);
			len = 0;
			if (i % 16 == 0)
				usleep(100);
		}
	}
	say(z.out, len ? block : "");
	close(take_fd(&z.out)); /* the end that the clients wait for */
	return NULL;
}

static int replay_client(void)
{
	struct read_request rq = { ALL, .raw = true, .stream = z.st, .want = { true, true } };
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	rq.set = logset_ref(z.set);
	rq.fd = p[1];
	rq.on_done = on_done;
	rq.attach = attach_new(dup(p[1]), true, true);
	readers_submit(&rq);
	return p[0];
}

/* Reads from all until they end. */
static void read_all(int *fd, struct buf *got, unsigned n)
{
	char in[65536];

	for (unsigned open_n = n; open_n;) {
		struct pollfd pf[16];

		for (unsigned i = 0; i < n; i++)
			pf[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
		assert_true(n <= 16 && poll(pf, (nfds_t)n, 10000) > 0);
		for (unsigned i = 0; i < n; i++) {
			ssize_t k = pf[i].revents ? read(fd[i], in, sizeof(in)) : -1;

			if (k > 0)
				buf_add(&got[i], in, (size_t)k);
			if (k != 0)
				continue;
			close(fd[i]);
			fd[i] = -1;
			open_n--;
		}
	}
}

/* Clients with replay come while the zone prints: each sees every number once. */
static void test_attach_replay(void **state)
{
	enum { CLIENTS = 12, NUMBERS = 1000000 };
	struct buf got[CLIENTS] = { { 0 } };
	pthread_t thread;
	int fd[CLIENTS];

	(void)state;
	configure(1000000, false, NULL);
	start_run(true);
	pthread_create(&thread, NULL, say_numbers, (void *)(intptr_t)NUMBERS);
	for (int i = 0; i < CLIENTS; i++) {
		usleep(1000);
		fd[i] = replay_client();
	}
	read_all(fd, got, CLIENTS);
	pthread_join(thread, NULL);
	for (int i = 0; i < CLIENTS; i++) {
		char *p = got[i].p;

		for (long k = 0; k < NUMBERS; k++, p++)
			assert_int_equal(strtol(p, &p, 10), k);
		assert_ptr_equal(p, got[i].p + got[i].len);
		buf_fini(&got[i]);
	}
}

/* A client that does not read stops the zone, and only until it reads again or goes. */
static void test_slow_attach(void **state)
{
	int fd = attach_client(true, true);
	size_t sent = 0;
	char block[4096];

	(void)state;
	start_run(true);
	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	assert_int_equal(fcntl(z.out, F_SETFL, O_NONBLOCK), 0);
	for (int idle = 0; idle < 100;) {
		if (write(z.out, block, sizeof(block)) == sizeof(block)) {
			sent += sizeof(block);
			idle = 0;
			continue;
		}
		usleep(1000);
		idle++;
	}
	assert_in_range(sent, 1 << 20, 8 << 20);
	close(fd); /* it goes: the zone goes on */
	assert_int_equal(fcntl(z.out, F_SETFL, 0), 0);
	for (int i = 0; i < 1000; i++, sent += sizeof(block))
		assert_int_equal(write(z.out, block, sizeof(block)), sizeof(block));
	committed(sent);
}

/* The run ends while a client does not read: the log is complete at once, the client gets all. */
static void test_slow_attach_at_end(void **state)
{
	cleanup_buf struct buf got = BUF_INIT;
	int fd = attach_client(true, true);
	size_t sent = 0;
	char block[4096];

	(void)state;
	start_run(true);
	memset(block, 'x', sizeof(block));
	assert_int_equal(fcntl(z.out, F_SETFL, O_NONBLOCK), 0);
	for (int idle = 0; idle < 50; idle++, usleep(1000)) {
		while (write(z.out, block, sizeof(block)) == sizeof(block))
			sent += sizeof(block);
	}
	end_run();
	committed(sent);
	read_end(fd, &got);
	assert_int_equal(got.len, sent);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_frames),	      T(test_tail),	      T(test_since_until),
		T(test_files_and_damage), T(test_captured),   T(test_beyond_commit),
		T(test_follow),	      T(test_follow_until),   T(test_follow_truncated),
		T(test_many_followers), T(test_attach),	      T(test_attach_none),
		T(test_attach_replay), T(test_slow_attach),   T(test_slow_attach_at_end),
	};
	struct err err = { 0 };
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (!(capture = capture_new(&err)) || readers_start(&err) < 0 || compress_start(&err) < 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	readers_stop();
	loop_stop(capture->loop);
	compress_stop();
	return rc;
}
