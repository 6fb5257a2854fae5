/* SPDX-License-Identifier: MPL-2.0
 *
 * logset.c - the files of one zone's log, shared by its writer, readers and the compressor.
 *
 * Design. Names change while logs are read: a rotation renames the live file, the compressor replaces
 * a file by its .gz, retention unlinks the oldest. All three happen under the set's lock together
 * with the change of the table, and readers open files under the same lock; what they have open
 * they keep. So a reader never meets a name that is not there, and goes from file to file by number.
 * The offset up to which the live file may be read is published here after every commit.
 *
 * Threads: any. The lock is held for a few system calls at most.
 */
#define LOG_MODULE "logset"
#include "logset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive_index.h"
#include "cleanup.h"
#include "forward_page.h"
#include "fs.h"
#include "log.h"
#include "record.h"
#include "str.h"

/* ---- names ------------------------------------------------------------------------------------ */

bool log_name_parse(const char *name, int64_t *time_s, bool *gz)
{
	static const char shape[] = LOG_LIVE ".00000000T000000Z";
	size_t len = strlen(name), stem = sizeof(shape) - 1;
	struct tm tm = { 0 };
	const char *d;
	char back[LOG_NAME_MAX];

	if (len != stem && (len != stem + 3 || strcmp(name + stem, ".gz") != 0))
		return false;
	for (size_t i = 0; i < stem; i++) {
		if (shape[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != shape[i])
			return false;
	}
	d = name + sizeof(LOG_LIVE);
#define TWO(i) ((d[i] - '0') * 10 + d[(i) + 1] - '0')
	tm.tm_year = TWO(0) * 100 + TWO(2) - 1900;
	tm.tm_mon = TWO(4) - 1;
	tm.tm_mday = TWO(6);
	tm.tm_hour = TWO(9);
	tm.tm_min = TWO(11);
	tm.tm_sec = TWO(13);
#undef TWO
	*time_s = timegm(&tm);
	*gz = len != stem;
	log_name_format(back, *time_s); /* no 31st of February */
	return strncmp(back, name, stem) == 0;
}

void log_name_format(char name[LOG_NAME_MAX], int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
		memset(&tm, 0, sizeof(tm));
	if (strftime(name, LOG_NAME_MAX, LOG_LIVE ".%Y%m%dT%H%M%SZ", &tm) == 0)
		name[0] = '\0';
}

/* ---- the table -------------------------------------------------------------------------------- */

void logset_add_locked(struct logset *set, const char *name, int64_t time_s, bool gz)
{
	struct log_entry *e;

	if (set->n_files == set->cap_files) {
		set->cap_files = set->cap_files ? set->cap_files * 2 : 4;
		set->files = xrealloc(set->files, set->cap_files * sizeof(*set->files));
	}
	e = &set->files[set->n_files++];
	memset(e, 0, sizeof(*e));
	str_copy(e->name, sizeof(e->name), name);
	e->time_s = time_s;
	e->gz = gz;
	e->seq = set->live_seq++;
	if (time_s > set->newest_s)
		set->newest_s = time_s;
}

void logset_drop_locked(struct logset *set, size_t i)
{
	memmove(set->files + i, set->files + i + 1, (set->n_files - i - 1) * sizeof(*set->files));
	set->n_files--;
}

int logset_unlink_locked(struct logset *set, size_t i)
{
	const struct log_entry *e = &set->files[i];
	char gz_name[LOG_NAME_MAX + 4];

	if (unlinkat(set->dir_fd, e->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (!e->gz && str_fmt(gz_name, sizeof(gz_name), "%s.gz", e->name) > 0)
		(void)unlinkat(set->dir_fd, gz_name, 0);
	logset_drop_locked(set, i);
	return 0;
}

void logset_pending_locked(struct logset *set, uint32_t *files, int64_t *bytes)
{
	struct stat sb;

	*files = 0;
	*bytes = 0;
	for (size_t i = 0; set->dir_fd >= 0 && i < set->n_files; i++) {
		if (set->files[i].stored || fstatat(set->dir_fd, set->files[i].name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		(*files)++;
		*bytes += sb.st_size;
	}
}

bool logset_is_busy(struct logset *set)
{
	bool busy;

	pthread_mutex_lock(&set->lock);
	busy = set->compressing || set->uploading;
	pthread_mutex_unlock(&set->lock);
	return busy;
}

/* ---- renaming the live file -------------------------------------------------------------------- */

int log_rename_free(int dir_fd, const char *from, const char *to)
{
	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(dir_fd, from, dir_fd, to, 0) < 0)
		return -errno;
	return unlinkat(dir_fd, from, 0) < 0 ? -errno : 0;
}

int logset_rename_live_locked(struct logset *set, int64_t now_ns, char name[LOG_NAME_MAX], int64_t *time_s)
{
	int rc = -EEXIST;

	*time_s = now_ns / 1000000000;
	if (*time_s <= set->newest_s)
		*time_s = set->newest_s + 1;
	for (int tries = 0; rc == -EEXIST && tries < 1000; tries++, (*time_s)++) {
		log_name_format(name, *time_s);
		if ((rc = log_rename_free(set->dir_fd, LOG_LIVE, name)) == 0)
			return 0;
	}
	return rc;
}

int logset_seal(struct logset *set, int64_t now_ns)
{
	cleanup_fd int fd = -1;
	char name[LOG_NAME_MAX];
	int64_t time_s, end;
	struct stat sb;
	int rc = 0;

	pthread_mutex_lock(&set->lock);
	fd = set->dir_fd < 0 ? -1 : openat(set->dir_fd, LOG_LIVE, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode)) {
		end = set->captured && set->live_off < sb.st_size ? set->live_off : sb.st_size;
		end = log_last_line_end(fd, end);
		if (end < sb.st_size && ftruncate(fd, end) < 0)
			rc = -errno;
		if (rc == 0 && end > 0 && (rc = logset_rename_live_locked(set, now_ns, name, &time_s)) == 0)
			logset_add_locked(set, name, time_s, false);
	}
	pthread_mutex_unlock(&set->lock);
	return rc;
}

static int64_t born_ns(const struct statx *sx)
{
	return sx->stx_mask & STATX_BTIME ? (int64_t)sx->stx_btime.tv_sec * 1000000000 + sx->stx_btime.tv_nsec : 0;
}

int64_t log_born_ns(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) < 0 ? 0 : born_ns(&sx);
}

/* The file that the logger's cursor names. */
static bool is_cursors(const struct logset *set, uint64_t ino, int64_t born)
{
	int64_t saved = atomic_load(&set->forward->saved_born_ns);

	return ino && ino == atomic_load(&set->forward->saved_ino) && (!born || !saved || born == saved);
}

size_t logset_passed_locked(struct logset *set)
{
	int64_t kept = 0; /* more than the limit: the oldest go before the logger has come to them */
	struct statx sx;
	size_t i = set->n_files;

	if (!set->forward || is_cursors(set, set->live_ino, set->live_born_ns))
		return i;
	for (; i > 0; i--) { /* the newest first: all up to the cursor's, or to the limit */
		if (statx(set->dir_fd, set->files[i - 1].name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
			continue;
		kept += (int64_t)sx.stx_size;
		if (kept > set->forward_max)
			return i;
		if (is_cursors(set, sx.stx_ino, born_ns(&sx)))
			return i - 1;
	}
	return 0;
}

bool logset_is_unread_locked(struct logset *set, size_t i)
{
	struct statx sx;

	if (!set->forward || is_cursors(set, set->live_ino, set->live_born_ns))
		return false;
	for (size_t k = i + 1; k < set->n_files; k++)
		if (statx(set->dir_fd, set->files[k].name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx) == 0 &&
		    is_cursors(set, sx.stx_ino, born_ns(&sx)))
			return false;
	return true;
}

static int64_t size_of(const struct logset *set, const struct log_entry *e, uint64_t *ino, int64_t *born)
{
	struct statx sx;

	if (statx(set->dir_fd, e->name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return 0;
	*ino = sx.stx_ino;
	*born = born_ns(&sx);
	return (int64_t)sx.stx_size;
}

/* The sum from the newest file back to the one that the logger is in. */
static int64_t backlog_locked(const struct logset *set)
{
	uint64_t at_ino = atomic_load(&set->forward->sent_ino), ino = set->live_ino;
	int64_t at_born = atomic_load(&set->forward->sent_born_ns), at_off = atomic_load(&set->forward->sent_off);
	int64_t born = set->live_born_ns, size = set->live_off, sum = 0;
	struct log_entry live = { .name = LOG_LIVE };

	if (!set->captured)
		size = size_of(set, &live, &ino, &born);
	for (size_t i = set->n_files;; i--) {
		if (at_ino && ino == at_ino && (!born || !at_born || born == at_born))
			return at_off > 0 && at_off <= size ? sum + size - at_off : sum + size;
		sum += size;
		if (i == 0)
			return sum;
		ino = 0;
		born = 0;
		size = size_of(set, &set->files[i - 1], &ino, &born);
	}
}

int64_t logset_backlog(struct logset *set)
{
	int64_t n;

	pthread_mutex_lock(&set->lock);
	n = set->forward && set->dir_fd >= 0 ? backlog_locked(set) : 0;
	pthread_mutex_unlock(&set->lock);
	return n;
}

bool logset_is_disordered(struct logset *set, int64_t ns)
{
	bool is;

	pthread_mutex_lock(&set->lock);
	is = clock_steps_has(&set->steps, ns);
	pthread_mutex_unlock(&set->lock);
	return is;
}

static int by_time(const void *a, const void *b)
{
	const struct log_entry *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return x->gz - y->gz;
}

/* A file that has both forms was being compressed when we died, or is just now, by another set of the same zone: the plain one
 * counts, and nothing is unlinked here. */
static void drop_double_forms(struct logset *set)
{
	for (size_t i = 0; i + 1 < set->n_files; i++) {
		if (set->files[i].time_s == set->files[i + 1].time_s)
			logset_drop_locked(set, i + 1);
	}
}

/* An entry of the index: which file here is it of? */
static bool mark_stored(void *arg, const struct archive_entry *e)
{
	struct logset *set = arg;
	struct stat sb;
	int64_t time_s;
	bool gz;

	if (!log_name_parse(e->name, &time_s, &gz) || !gz)
		return true;
	set->archived++;
	set->archived_bytes += (uint64_t)e->bytes;
	if (time_s > set->newest_s)
		set->newest_s = time_s;
	for (size_t i = 0; i < set->n_files; i++) {
		struct log_entry *f = &set->files[i];

		if (f->time_s == time_s && f->gz && fstatat(set->dir_fd, f->name, &sb, AT_SYMLINK_NOFOLLOW) == 0)
			f->stored = sb.st_size == e->size;
	}
	return true;
}

static void scan_locked(struct logset *set)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	int fd = openat(set->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t last = set->live_seq; /* numbers are never used twice */

	set->n_files = 0;
	if (fd < 0)
		return;
	if (!(dir = fdopendir(fd))) {
		close(fd);
		return;
	}
	while ((de = readdir(dir))) {
		int64_t time_s;
		bool gz;

		if (log_name_parse(de->d_name, &time_s, &gz))
			logset_add_locked(set, de->d_name, time_s, gz);
	}
	if (set->n_files)
		qsort(set->files, set->n_files, sizeof(*set->files), by_time);
	drop_double_forms(set);
	for (size_t i = 0; i < set->n_files; i++)
		set->files[i].seq = last + i;
	set->live_seq = last + set->n_files;
	set->archived = set->archived_bytes = 0;
	archive_index_each(set->dir_fd, mark_stored, set);
	clock_steps_load(&set->steps, set->dir_fd);
}

struct logset *logset_new(const char *uuid, const char *dir_path)
{
	struct logset *set = xcalloc(1, sizeof(*set));

	pthread_mutex_init(&set->lock, NULL);
	atomic_store(&set->refs, 1);
	str_copy(set->uuid, sizeof(set->uuid), uuid);
	set->live_seq = 1;
	set->dir_fd = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (set->dir_fd >= 0)
		scan_locked(set);
	return set;
}

struct logset *logset_ref(struct logset *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void logset_unref(struct logset *set)
{
	if (!set || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	if (set->dir_fd >= 0)
		close(set->dir_fd);
	pthread_mutex_destroy(&set->lock);
	free(set->files);
	free(set);
}

bool logset_has_live(struct logset *set)
{
	struct stat sb;
	bool has;

	pthread_mutex_lock(&set->lock);
	has = set->dir_fd >= 0 && fstatat(set->dir_fd, LOG_LIVE, &sb, AT_SYMLINK_NOFOLLOW) == 0;
	pthread_mutex_unlock(&set->lock);
	return has;
}

static bool same_dir(int fd_a, int fd_b)
{
	struct stat a, b;

	return fd_a >= 0 && fstat(fd_a, &a) == 0 && fstat(fd_b, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

int logset_make_dir(struct logset *set, const char *dir_path, struct err *err)
{
	int fd;

	if (mkdir(dir_path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "mkdir %s", dir_path);
	fd = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", dir_path);
	pthread_mutex_lock(&set->lock);
	if (same_dir(set->dir_fd, fd)) { /* numbers stay what they are while readers use them */
		close(fd);
	} else { /* the first time, or somebody removed it */
		if (set->dir_fd >= 0)
			close(set->dir_fd);
		set->dir_fd = fd;
		scan_locked(set);
	}
	if (!set->compressing)
		(void)unlinkat(set->dir_fd, LOG_GZ_TMP, 0);
	pthread_mutex_unlock(&set->lock);
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */

int64_t log_last_line_end(int fd, int64_t size)
{
	char block[16384];

	while (size > 0) {
		size_t want = size < (int64_t)sizeof(block) ? (size_t)size : sizeof(block);
		ssize_t n = pread(fd, block, want, size - (int64_t)want);
		char *nl;

		if (n <= 0)
			return 0;
		nl = memrchr(block, '\n', (size_t)n);
		if (nl)
			return size - (int64_t)want + (nl - block) + 1;
		size -= (int64_t)want;
	}
	return 0;
}

int logset_nameless(struct logset *set)
{
	int fd;

	pthread_mutex_lock(&set->lock);
	fd = openat(set->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	pthread_mutex_unlock(&set->lock);
	if (fd < 0 && errno != ENOSPC)
		fd = memfd_create("log", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Files are taken away by hand as well; one that is not there any more is passed over. */
static bool open_entry(struct logset *set, const char *name, struct log_view *out)
{
	struct stat sb;

	out->fd = openat(set->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (out->fd < 0)
		return false;
	if (fstat(out->fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
		close(out->fd);
		out->fd = -1;
		return false;
	}
	out->limit = sb.st_size;
	return true;
}

static bool open_rotated(struct logset *set, size_t i, struct log_view *out)
{
	out->seq = set->files[i].seq;
	out->gz = set->files[i].gz;
	out->time_s = set->files[i].time_s;
	out->live = false;
	return open_entry(set, set->files[i].name, out);
}

static bool open_live(struct logset *set, struct log_view *out)
{
	out->seq = set->live_seq;
	out->gz = false;
	out->live = true;
	out->cuts = set->live_cuts;
	if (!open_entry(set, LOG_LIVE, out))
		return false;
	if (set->captured)
		out->limit = set->live_off;
	else
		out->limit = log_last_line_end(out->fd, out->limit);
	return true;
}

int logset_open(struct logset *set, uint64_t seq, struct log_view *out)
{
	bool found = false;

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	pthread_mutex_lock(&set->lock);
	if (set->dir_fd >= 0) {
		for (size_t i = 0; i < set->n_files && !found; i++) {
			if (set->files[i].seq >= seq)
				found = open_rotated(set, i, out);
		}
		if (!found && set->live_seq >= seq)
			found = open_live(set, out);
	}
	pthread_mutex_unlock(&set->lock);
	if (!found)
		*out = (struct log_view){ .fd = -1 };
	return found;
}

int logset_open_back(struct logset *set, uint64_t seq, struct log_view *out)
{
	bool found = false;

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	pthread_mutex_lock(&set->lock);
	if (set->dir_fd >= 0) {
		if (seq >= set->live_seq)
			found = open_live(set, out);
		for (size_t i = set->n_files; i > 0 && !found; i--) {
			if (set->files[i - 1].seq <= seq)
				found = open_rotated(set, i - 1, out);
		}
	}
	pthread_mutex_unlock(&set->lock);
	if (!found)
		*out = (struct log_view){ .fd = -1 };
	return found;
}

bool logset_refresh(struct logset *set, struct log_view *view, struct log_status *status)
{
	bool valid = true;
	struct stat sb;

	pthread_mutex_lock(&set->lock);
	status->running = set->running;
	status->removed = set->removed;
	status->drains = set->drains;
	if (view->live && view->seq == set->live_seq) {
		if (view->cuts != set->live_cuts)
			valid = false;
		else if (set->captured)
			view->limit = set->live_off;
	} else if (view->live) {
		/* rotated since: complete as it is */
		view->live = false;
		for (size_t i = 0; i < set->n_files; i++)
			if (set->files[i].seq == view->seq)
				view->time_s = set->files[i].time_s;
		if (view->fd >= 0 && fstat(view->fd, &sb) == 0)
			view->limit = sb.st_size;
	}
	pthread_mutex_unlock(&set->lock);
	return valid;
}

/* ---- telling ---------------------------------------------------------------------------------- */

void logset_wake_locked(struct logset *set)
{
	for (struct log_waiter *w = set->waiters; w; w = w->next)
		w->wake(w);
}

void logset_add_waiter(struct logset *set, struct log_waiter *w)
{
	pthread_mutex_lock(&set->lock);
	w->next = set->waiters;
	set->waiters = w;
	pthread_mutex_unlock(&set->lock);
}

void logset_del_waiter(struct logset *set, struct log_waiter *w)
{
	pthread_mutex_lock(&set->lock);
	for (struct log_waiter **p = &set->waiters; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	pthread_mutex_unlock(&set->lock);
}

void logset_publish(struct logset *set, int64_t live_off, const struct log_counters *counters)
{
	pthread_mutex_lock(&set->lock);
	set->live_off = live_off;
	if (counters) {
		set->counters = *counters;
		set->counted = true;
	}
	set->captured = true;
	logset_wake_locked(set);
	pthread_mutex_unlock(&set->lock);
}

void logset_set_running(struct logset *set, bool running)
{
	pthread_mutex_lock(&set->lock);
	if (set->running && !running)
		set->drains++;
	set->running = running;
	logset_wake_locked(set);
	pthread_mutex_unlock(&set->lock);
}

void logset_set_removed(struct logset *set)
{
	pthread_mutex_lock(&set->lock);
	set->removed = true;
	set->running = false;
	logset_wake_locked(set);
	pthread_mutex_unlock(&set->lock);
}

/* ---- usage ------------------------------------------------------------------------------------ */

static int64_t first_record_ns(int dir_fd, const char *name)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char line[4096 + RECORD_SLACK], text[4096 + RECORD_SLACK], *nl;
	struct record_clock clock = { { 0 }, 0 };
	struct record r;
	ssize_t n;

	if (fd < 0 || (n = pread(fd, line, 4096, 0)) <= 0)
		return 0;
	nl = memchr(line, '\n', (size_t)n);
	if (!nl || record_decode(line, (size_t)(nl - line), text, &r) < 0)
		return 0;
	return record_time_ns(&r, &clock);
}

void logset_usage(struct logset *set, struct log_usage *out)
{
	struct stat sb;

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; set->dir_fd >= 0 && i <= set->n_files; i++) {
		const char *name = i < set->n_files ? set->files[i].name : LOG_LIVE;

		if (fstatat(set->dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(sb.st_mode))
			continue;
		out->bytes += sb.st_size;
		out->files++;
		if (out->oldest_ns || !sb.st_size)
			continue;
		if (i < set->n_files && set->files[i].gz)
			out->oldest_ns = set->files[i].time_s * 1000000000;
		else
			out->oldest_ns = first_record_ns(set->dir_fd, name);
	}
	pthread_mutex_unlock(&set->lock);
}

/* May prune take it? What a store is to have goes when it is there. */
static bool prunes(const struct log_entry *e, const struct log_prune *how)
{
	return e->time_s < how->before_ns / 1000000000 && (!how->stored_only || e->stored);
}

/* How many of the oldest files are not kept. What a logger has not passed stays. */
static size_t prunable_locked(struct logset *set, const struct log_prune *how)
{
	size_t may = set->dir_fd >= 0 ? logset_passed_locked(set) : 0;

	if (may + how->keep > set->n_files)
		may = set->n_files > how->keep ? set->n_files - how->keep : 0;
	return may;
}

uint32_t logset_unstored(struct logset *set, const struct log_prune *how)
{
	uint32_t n = 0;
	size_t may;

	pthread_mutex_lock(&set->lock);
	may = prunable_locked(set, how);
	for (size_t i = 0; i < may; i++)
		n += set->files[i].time_s < how->before_ns / 1000000000 && !set->files[i].stored;
	pthread_mutex_unlock(&set->lock);
	return n;
}

void logset_prune(struct logset *set, const struct log_prune *how, struct log_usage *out)
{
	struct stat sb;
	size_t may;

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&set->lock);
	may = prunable_locked(set, how);
	for (size_t i = 0; i < may && prunes(&set->files[i], how);) { /* in order of time: the others are younger */
		int64_t time_s = set->files[i].time_s;
		bool there = fstatat(set->dir_fd, set->files[i].name, &sb, AT_SYMLINK_NOFOLLOW) == 0;

		if (how->dry_run)
			i++;
		else if (logset_unlink_locked(set, i) < 0)
			break;
		else
			may--;
		if (!there)
			continue;
		out->bytes += sb.st_size;
		out->files++;
		if (!out->oldest_ns)
			out->oldest_ns = time_s * 1000000000;
	}
	pthread_mutex_unlock(&set->lock);
}
