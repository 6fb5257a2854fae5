/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/*
 * fuzz_forward.c - a logger that finds any cursor, any commit page and any log; and logsvc that finds any status page. The
 * logger's files are served as they are in life, by a thread.
 *
 * Input: where the cursor is (8 bytes each: off, time), what the page says (off, lines), the status (saved_off, dropped), a byte of
 * choices, then the live file. There is one rotated file, always the same.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "logsvc/logger_tail.h"
#include "logsvc/logset.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define ROTATED "stdio.log.20260101T000000Z"

static char dir[] = "/tmp/fuzz_forward.XXXXXX";
static int dir_fd, sock[2];

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void *serve(void *arg)
{
	files_serve(sock[0], dir_fd, always, NULL);
	return arg;
}

static void put(const char *name, const void *p, size_t len)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, p, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void clean(void)
{
	(void)unlinkat(dir_fd, ROTATED, 0);
	(void)unlinkat(dir_fd, LOG_LIVE, 0);
	(void)rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char two[] =
		"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n"
		"{\"log\":\"b\",\"stream\":\"stderr\",\"time\":\"2026-01-01T00:00:00Z\"}\n";
	pthread_t t;

	(void)argc;
	(void)argv;
	log_set_level(LOG_LVL_ERR);
	if (!mkdtemp(dir) || (dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0 ||
	    pthread_create(&t, NULL, serve, NULL) != 0)
		abort();
	put(ROTATED, two, sizeof(two) - 1);
	atexit(clean);
	return 0;
}

static int64_t number(const uint8_t *p)
{
	int64_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

static struct stat of(const char *name)
{
	struct stat sb;

	if (fstatat(dir_fd, name, &sb, 0) < 0)
		abort();
	return sb;
}

static void read_on(struct tail *t, size_t max)
{
	struct sink_msg m = { 0 };
	int rc = 1;

	for (size_t i = 0; i < max && (rc = tail_next(t, &m)) > 0; i++)
		if (m.len > max ||
		    (m.partial && strlen(m.partial_id) != 32 && strlen(m.partial_id) != 0))
			abort();
	if (t->at.off < 0 || rc > 1)
		abort();
}

static void logger(const struct cursor *at, const struct forward_commit *page, size_t size,
		   uint8_t choice)
{
	struct cursor c = *at;
	struct tail t;
	uint64_t lines;
	int files = 0;

	tail_init(&t, sock[1], page, &c);
	if (tail_behind(&t, &c, &files) < 0)
		abort();
	(void)tail_count(&t, &c, &lines);
	if (choice & 1)
		(void)tail_drop(&t, &c, choice);
	read_on(&t, size + 200);
	(void)tail_more(&t);
	(void)tail_at_end(&t, &lines);
	tail_seek(&t, at);
	read_on(&t, size + 200);
	tail_fini(&t);
}

static void daemon_side(const struct forward_status *status, struct forward_commit *page,
			int64_t max)
{
	struct logset *set = logset_new("00000000-0000-0000-0000-000000000000", dir);
	struct log_prune how = { .before_ns = INT64_MAX, .keep = 0, .dry_run = true };
	struct log_usage use;

	set->forward = status;
	set->forward_page = page;
	set->forward_max = max;
	pthread_mutex_lock(&set->lock);
	if (logset_passed_locked(set) > set->n_files)
		abort();
	pthread_mutex_unlock(&set->lock);
	logset_prune(set, &how, &use);
	logset_usage(set, &use);
	set->forward = NULL;
	logset_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct forward_commit page;
	static struct forward_status status;
	struct cursor c = { 0 };
	uint8_t choice;

	if (size < 49 || size > 100000)
		return 0;
	choice = data[48];
	put(LOG_LIVE, data + 49, size - 49);
	c.off = number(data) & INT64_MAX;
	c.time_ns = number(data + 8);
	c.ino = choice & 2 ? of(LOG_LIVE).st_ino : choice & 4 ? of(ROTATED).st_ino : choice >> 4;
	atomic_store(&page.live_ino, choice & 8 ? of(LOG_LIVE).st_ino : choice >> 5);
	atomic_store(&page.live_off, (uint64_t)number(data + 16));
	atomic_store(&page.lines, (uint64_t)number(data + 24));
	atomic_store(&status.saved_off, number(data + 32));
	atomic_store(&status.saved_ino, c.ino);
	atomic_store(&status.dropped, (uint64_t)number(data + 40));
	logger(&c, &page, size, choice);
	daemon_side(&status, &page, number(data + 40));
	return 0;
}
