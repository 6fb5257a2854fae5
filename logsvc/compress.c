/* SPDX-License-Identifier: MPL-2.0
 *
 * compress.c - one thread that turns rotated logs into .gz files.
 *
 * The file is written under a temporary name, brought to disk, and renamed under the set's lock;
 * only then is the plain one unlinked. Who dies in between leaves both (the plain one counts and is
 * compressed again) or a temporary file (overwritten by the next try). The gzip header's extra
 * field holds Docker's {"lastTime":"..."}, so that a reader with a later `since` need not inflate.
 *
 * Unlinking a large file takes tens of milliseconds, for its pages are freed: whoever unlinks one holds
 * it open meanwhile, so that only the name goes, and has it closed here (compress_close).
 *
 * Threads: its own, at the lowest priority; sets queue up once each. Another one closes.
 */
#define LOG_MODULE "compress"
#include "compress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "archive_uploads.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "log.h"
#include "loop.h"
#include "record.h"
#include "str.h"

#define BLOCK	      (256 * 1024)
#define LEVEL	      4

struct item {
	struct item *next;
	struct logset *set;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct item *head, **tail = &head;
static atomic_bool stopping;
static bool started;
static struct loop *reaper; /* closes */
static pthread_t thread;

/* ---- one file --------------------------------------------------------------------------------- */

static size_t last_time(int fd, int64_t size, char *out, size_t out_size)
{
	char line[65536 + RECORD_SLACK], text[65536 + RECORD_SLACK], *nl;
	size_t n = size < 65536 ? (size_t)size : 65536;
	struct record r;
	int len;

	if (pread(fd, line, n, size - (int64_t)n) != (ssize_t)n || n < 2 || line[n - 1] != '\n')
		return 0;
	nl = memrchr(line, '\n', n - 1);
	nl = nl ? nl + 1 : line;
	if (record_decode(nl, (size_t)(line + n - 1 - nl), text, &r) < 0 || !r.time)
		return 0;
	len = str_fmt(out, out_size, "{\"lastTime\":\"%.*s\"}", (int)r.time_len, r.time);
	return len < 0 ? 0 : (size_t)len;
}

static int deflate_file(z_stream *z, int in_fd, int out_fd, struct err *err)
{
	cleanup_free unsigned char *in = xmalloc(BLOCK), *out = xmalloc(BLOCK);
	int flush = Z_NO_FLUSH, rc;

	do {
		ssize_t n = read(in_fd, in, BLOCK);

		if (n < 0)
			return err_sys(err, "read");
		if (atomic_load(&stopping))
			return err_sysnum(err, ECANCELED, "stopping");
		z->next_in = in;
		z->avail_in = (unsigned)n;
		flush = n == 0 ? Z_FINISH : Z_NO_FLUSH;
		do {
			z->next_out = out;
			z->avail_out = BLOCK;
			if (deflate(z, flush) == Z_STREAM_ERROR)
				return err_sysnum(err, EIO, "deflate");
			if ((rc = fs_write_all(out_fd, out, BLOCK - z->avail_out)) < 0)
				return err_sysnum(err, rc, "write");
		} while (z->avail_out == 0);
		(void)failpoint("compress.block");
	} while (flush != Z_FINISH);
	return 0;
}

static int compress_to(int in_fd, int out_fd, struct err *err)
{
	char extra[128];
	gz_header header = { .os = 3 };
	z_stream z = { 0 };
	struct stat sb;
	int rc;

	if (fstat(in_fd, &sb) < 0)
		return err_sys(err, "fstat");
	header.extra = (Bytef *)extra;
	header.extra_len = (unsigned)last_time(in_fd, sb.st_size, extra, sizeof(extra));
	if (!header.extra_len)
		header.extra = NULL;
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_sysnum(err, ENOMEM, "deflateInit2");
	deflateSetHeader(&z, &header);
	rc = deflate_file(&z, in_fd, out_fd, err);
	deflateEnd(&z);
	if (rc == 0 && fsync(out_fd) < 0)
		rc = err_sys(err, "fsync");
	return rc;
}

/* The finished file takes the plain one's place, unless retention took that meanwhile. */
static void replace(struct logset *set, uint64_t seq)
{
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < set->n_files && (!set->removed || set->kept); i++) {
		struct log_entry *e = &set->files[i];
		char gz_name[LOG_NAME_MAX + 4];

		if (e->seq != seq || e->gz)
			continue;
		if (str_fmt(gz_name, LOG_NAME_MAX, "%s.gz", e->name) < 0 ||
		    renameat(set->dir_fd, LOG_GZ_TMP, set->dir_fd, gz_name) < 0)
			break;
		(void)failpoint("compress.renamed");
		(void)unlinkat(set->dir_fd, e->name, 0);
		(void)failpoint("compress.unlinked");
		str_copy(e->name, sizeof(e->name), gz_name);
		e->gz = true;
		break;
	}
	(void)unlinkat(set->dir_fd, LOG_GZ_TMP, 0);
	pthread_mutex_unlock(&set->lock);
}

/* Opens the oldest plain file of the set, and the temporary one; its number, or 0. Under the lock, so
 * that nothing appears in a folder that is being removed. */
static uint64_t pick(struct logset *set, int *in_fd, int *out_fd)
{
	bool wanted = uploads_enabled();
	uint64_t seq = 0;
	size_t passed;

	pthread_mutex_lock(&set->lock);
	wanted |= set->compress;
	passed = logset_passed_locked(set);
	for (size_t i = 0; i < passed && wanted && (!set->removed || set->kept) && !seq; i++) {
		if (set->files[i].gz)
			continue;
		*in_fd = openat(set->dir_fd, set->files[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (*in_fd >= 0)
			seq = set->files[i].seq;
	}
	if (seq)
		*out_fd = openat(set->dir_fd, LOG_GZ_TMP,
				 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	else
		set->compressing = false;
	pthread_mutex_unlock(&set->lock);
	return seq;
}

static void compress_set(struct logset *set)
{
	struct err err = { 0 };
	uint64_t seq;

	for (;;) {
		cleanup_fd int in_fd = -1, out_fd = -1;

		if (atomic_load(&stopping) || !(seq = pick(set, &in_fd, &out_fd)))
			return;
		if (out_fd < 0 || compress_to(in_fd, out_fd, &err) < 0) {
			(void)unlinkat(set->dir_fd, LOG_GZ_TMP, 0);
			log_warn("log not compressed", "zone=%s: %s", set->uuid,
				 out_fd < 0 ? strerror(errno) : err.msg);
			atomic_fetch_add(&set->errors, 1);
			pthread_mutex_lock(&set->lock);
			set->compressing = false;
			pthread_mutex_unlock(&set->lock);
			return;
		}
		(void)failpoint("compress.written");
		replace(set, seq);
		uploads_submit(set);
	}
}

/* ---- the thread ------------------------------------------------------------------------------- */

static void *run(void *arg)
{
	(void)arg;
	(void)setpriority(PRIO_PROCESS, 0, 10); /* of this thread */
	pthread_mutex_lock(&lock);
	while (!atomic_load(&stopping)) {
		struct item *it = head;

		if (!it) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		head = it->next;
		if (!head)
			tail = &head;
		pthread_mutex_unlock(&lock);
		compress_set(it->set);
		if (it->set->on_settled && !atomic_load(&stopping))
			it->set->on_settled(it->set);
		logset_unref(it->set);
		free(it);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int compress_start(struct err *err)
{
	int rc;

	if (!(reaper = loop_new("reaper", err)))
		return err->code;
	rc = pthread_create(&thread, NULL, run, NULL);
	if (rc)
		return err_sysnum(err, rc, "start the compressor");
	started = true;
	return 0;
}

void compress_stop(void)
{
	if (!started)
		return;
	atomic_store(&stopping, true);
	pthread_mutex_lock(&lock);
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	loop_stop(reaper);
	started = false;
}

static void close_it(void *arg)
{
	close((int)(intptr_t)arg);
}

void compress_close(int fd)
{
	if (reaper)
		loop_post(reaper, close_it, (void *)(intptr_t)fd);
	else
		close(fd);
}

void compress_submit(struct logset *set)
{
	struct item *it;
	bool queued;

	pthread_mutex_lock(&set->lock);
	queued = set->compressing;
	set->compressing = true;
	pthread_mutex_unlock(&set->lock);
	if (queued)
		return;
	it = xcalloc(1, sizeof(*it));
	it->set = logset_ref(set);
	pthread_mutex_lock(&lock);
	*tail = it;
	tail = &it->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}
