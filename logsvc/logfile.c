/* SPDX-License-Identifier: MPL-2.0
 *
 * logfile.c - appends records to a zone's live file and rotates it.
 *
 * Invariants. Every write is all or nothing: what a failed one left is cut off at once. The file is
 * opened O_APPEND, and before each write it is compared with what we know of it, so that a file cut
 * or replaced by hand gets no hole and no torn record. A rotated file never takes another one's name.
 *
 * Rotation, step by step, and what a successor finds when we die behind each. The slot in the ring
 * still says {inode of the old file, its size}; nothing is written between the steps.
 *   1. .stdio.log.new is made		   the live file has the slot's inode: go on; the temp is unlinked
 *   2. stdio.log -> stdio.log.STAMP	   no live file: a new one is made
 *   3. .stdio.log.new -> stdio.log	   a live file with another inode, empty: it is taken
 *   4. the slot says {new inode, 0}	   as if nothing had happened
 *   5. files beyond max_files are unlinked   done at every opening, too
 * When step 1 or 2 fails, the old file simply goes on, over its limit, and a second later it is tried
 * again; nothing is ever truncated to make room.
 *
 * Threads: the zone's capture thread; what readers share is changed under the set's lock.
 */
#define LOG_MODULE "logfile"
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "log.h"
#include "record.h"
#include "retention.h"
#include "str.h"

#define LOG_NEW	     "." LOG_LIVE ".new"
#define LOOK_EVERY_NS 1000000000
#define LAST_BYTES    (256 * 1024) /* of the file: its last record is in there */
#define RETRY_NS      1000000000

static int open_live(struct logset *set, int flags)
{
	return openat(set->dir_fd, LOG_LIVE,
		      O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
}

/* Cuts what is no whole line off the end of the file: the trace of a machine that stopped. */
static int repair_end(struct logfile *lf, int64_t size, struct err *err)
{
	lf->off = log_last_line_end(lf->fd, size);
	if (lf->off == size)
		return 0;
	log_warn("torn record cut off", "zone=%s bytes=%lld", lf->set->uuid,
		 (long long)(size - lf->off));
	lf->errors++;
	if (ftruncate(lf->fd, lf->off) < 0)
		return err_sys(err, "ftruncate %s/%s", lf->set->uuid, LOG_LIVE);
	return 0;
}

/* The live file is open; where does it go on? */
static int resume_at(struct logfile *lf, const struct ring_slot *slot, const struct stat *sb,
		     struct err *err)
{
	int64_t committed = (int64_t)slot->log_off;

	if (!slot->log_gen || slot->log_ino != sb->st_ino) {
		lf->gen++;
		return repair_end(lf, sb->st_size, err);
	}
	if (sb->st_size < committed) { /* cut by hand while nobody looked */
		lf->errors++;
		return repair_end(lf, sb->st_size, err);
	}
	lf->off = committed;
	if (sb->st_size > committed && ftruncate(lf->fd, committed) < 0)
		return err_sys(err, "ftruncate %s/%s", lf->set->uuid, LOG_LIVE);
	return 0;
}

static int64_t last_record_ns(int fd, int64_t end)
{
	struct record_clock clock = { { 0 }, 0 };
	size_t len = end < LAST_BYTES ? (size_t)end : LAST_BYTES;
	cleanup_free char *buf = xmalloc(len + RECORD_SLACK), *text = xmalloc(len + RECORD_SLACK);
	struct record r;
	char *nl;

	if (len < 2 || pread(fd, buf, len, end - (int64_t)len) != (ssize_t)len)
		return 0;
	nl = memrchr(buf, '\n', len - 1);
	nl = nl ? nl + 1 : buf;
	return record_decode(nl, (size_t)(buf + len - 1 - nl), text, &r) < 0 ? 0 : record_time_ns(&r, &clock);
}

/* How new the log's records are: what the ring knows, or the file says, beside what the steps tell. */
static void find_newest(struct logfile *lf, const struct ring_slot *slot)
{
	struct logset *set = lf->set;
	int64_t ns = slot->newest_ns;

	if (ns <= 0)
		ns = last_record_ns(lf->fd, lf->off);
	pthread_mutex_lock(&set->lock);
	if (ns <= 0 && !lf->off && set->n_files)
		ns = set->files[set->n_files - 1].time_s * 1000000000;
	if (ns > set->steps.newest_ns)
		set->steps.newest_ns = ns;
	pthread_mutex_unlock(&set->lock);
}

int logfile_open(struct logfile *lf, struct logset *set, const char *dir_path,
		 struct ring_slot *slot, struct err *err)
{
	struct stat sb;
	int rc;

	if ((rc = logset_make_dir(set, dir_path, err)) < 0)
		return rc;
	lf->set = logset_ref(set);
	lf->dir_path = dir_path;
	lf->gen = slot->log_gen;
	(void)unlinkat(set->dir_fd, LOG_NEW, 0);
	lf->fd = open_live(set, 0);
	if (lf->fd < 0 && errno == ENOENT)
		lf->fd = open_live(set, O_CREAT | O_EXCL);
	if (lf->fd < 0) {
		rc = err_sys(err, "open %s/%s", dir_path, LOG_LIVE);
		goto fail;
	}
	if (fstat(lf->fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
		rc = err_sysnum(err, EINVAL, "%s/%s is no file", dir_path, LOG_LIVE);
		goto fail;
	}
	if ((rc = resume_at(lf, slot, &sb, err)) < 0)
		goto fail;
	lf->ino = sb.st_ino;
	find_newest(lf, slot);
	slot->log_off = (uint64_t)lf->off;
	slot->log_ino = lf->ino;
	slot->log_gen = lf->gen;
	pthread_mutex_lock(&set->lock);
	set->live_ino = lf->ino;
	set->live_born_ns = log_born_ns(lf->fd);
	pthread_mutex_unlock(&set->lock);
	logset_publish(set, lf->off, NULL);
	return 0;
fail:
	logfile_close(lf);
	return rc;
}

void logfile_close(struct logfile *lf)
{
	if (lf->fd >= 0)
		close(lf->fd);
	lf->fd = -1;
	logset_unref(lf->set);
	lf->set = NULL;
}

/* ---- the clock -------------------------------------------------------------------------------- */

void logfile_note_times(struct logfile *lf, int64_t oldest_ns, int64_t newest_ns)
{
	struct clock_steps steps = { .n = 0 };
	struct err err = { 0 };
	bool stepped;

	pthread_mutex_lock(&lf->set->lock);
	stepped = clock_steps_note(&lf->set->steps, oldest_ns, newest_ns);
	if (stepped)
		steps = lf->set->steps;
	pthread_mutex_unlock(&lf->set->lock);
	if (stepped && clock_steps_save(&steps, lf->dir_path, &err) < 0)
		log_warn("where the clock was set back is not saved", "zone=%s: %s", lf->set->uuid, err.msg);
	(void)failpoint("clock.step-saved");
}

/* ---- appending -------------------------------------------------------------------------------- */

/* Somebody renamed or unlinked the live file: the next record starts a new one. */
static int start_over(struct logfile *lf, struct err *err)
{
	struct stat sb;
	int fd, rc;

	if ((rc = logset_make_dir(lf->set, lf->dir_path, err)) < 0)
		return rc;
	fd = open_live(lf->set, O_CREAT);
	if (fd < 0)
		return err_sys(err, "open %s/%s", lf->set->uuid, LOG_LIVE);
	if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
		close(fd);
		return err_sysnum(err, EINVAL, "%s/%s is no file", lf->set->uuid, LOG_LIVE);
	}
	close(lf->fd);
	lf->fd = fd;
	lf->ino = sb.st_ino;
	lf->gen++;
	return repair_end(lf, sb.st_size, err);
}

/* The file is as we left it, or is taken as it is now. */
static int look(struct logfile *lf, int64_t now_ns, bool *moved, struct err *err)
{
	struct stat sb, named;
	bool replaced;
	int rc = 0;

	if (fstat(lf->fd, &sb) < 0)
		return err_sys(err, "fstat %s/%s", lf->set->uuid, LOG_LIVE);
	replaced = sb.st_nlink == 0;
	if (!replaced && (now_ns >= lf->next_look_ns || now_ns < lf->next_look_ns - LOOK_EVERY_NS)) {
		lf->next_look_ns = now_ns + LOOK_EVERY_NS;
		replaced = fstatat(lf->set->dir_fd, LOG_LIVE, &named, AT_SYMLINK_NOFOLLOW) < 0
				   ? errno == ENOENT
				   : named.st_ino != sb.st_ino;
	}
	if (!replaced && sb.st_size == lf->off)
		return 0;
	*moved = true;
	lf->errors++;
	log_warn("log changed by somebody else", "zone=%s replaced=%d size=%lld expected=%lld",
		 lf->set->uuid, replaced, (long long)sb.st_size, (long long)lf->off);
	rc = replaced ? start_over(lf, err) : repair_end(lf, sb.st_size, err);
	pthread_mutex_lock(&lf->set->lock);
	lf->set->live_cuts++;
	lf->set->live_off = lf->off;
	lf->set->live_ino = lf->ino;
	lf->set->live_born_ns = log_born_ns(lf->fd);
	logset_wake_locked(lf->set);
	pthread_mutex_unlock(&lf->set->lock);
	return rc;
}

int logfile_reserve(struct logfile *lf, size_t bytes, struct err *err)
{
	if (fallocate(lf->fd, FALLOC_FL_KEEP_SIZE, lf->off, (off_t)bytes) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return err_sys(err, "write %s/%s", lf->set->uuid, LOG_LIVE);
}

int logfile_append(struct logfile *lf, const char *p, size_t len, int64_t now_ns, bool *moved,
		   struct err *err)
{
	size_t done = 0;
	int rc;

	if ((rc = look(lf, now_ns, moved, err)) < 0)
		return rc;
	if (failpoint("logfile.append.torn")) { /* dies in the middle of a write */
		ssize_t half = write(lf->fd, p, len / 2 + 1);

		(void)half;
		(void)kill(getpid(), SIGKILL);
	}
	while (rc == 0 && done < len) {
		ssize_t n = write(lf->fd, p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		else if (n == 0)
			rc = -ENOSPC;
		else
			done += (size_t)n;
	}
	if (rc < 0) {
		lf->errors++;
		if (ftruncate(lf->fd, lf->off) < 0)
			log_err("cannot cut a torn record", "zone=%s: %s", lf->set->uuid,
				strerror(errno));
		return err_sysnum(err, rc, "write %s/%s", lf->set->uuid, LOG_LIVE);
	}
	lf->off += (int64_t)len;
	return 0;
}

/* ---- rotation --------------------------------------------------------------------------------- */

static int rotate_locked(struct logfile *lf, int fd, int64_t now_ns, struct err *err)
{
	struct logset *set = lf->set;
	int64_t time_s, newest_ns = set->steps.newest_ns; /* a file's name is not older than what is in it */
	char name[LOG_NAME_MAX];
	struct stat sb;
	int rc;

	if (fstat(fd, &sb) < 0)
		return err_sys(err, "fstat %s/%s", set->uuid, LOG_NEW);
	(void)failpoint("rotate.new-made");
	rc = logset_rename_live_locked(set, now_ns > newest_ns ? now_ns : newest_ns, name, &time_s);
	if (rc < 0 && rc != -ENOENT)
		return err_sysnum(err, rc, "rename %s/%s", set->uuid, LOG_LIVE);
	(void)failpoint("rotate.old-renamed");
	if (renameat(set->dir_fd, LOG_NEW, set->dir_fd, LOG_LIVE) < 0) {
		rc = err_sys(err, "rename %s/%s", set->uuid, LOG_NEW);
		(void)log_rename_free(set->dir_fd, name, LOG_LIVE);
		return rc;
	}
	(void)failpoint("rotate.new-renamed");
	if (rc == 0)
		logset_add_locked(set, name, time_s, false);
	else
		set->live_cuts++;
	set->live_off = 0;
	set->live_ino = sb.st_ino;
	set->live_born_ns = log_born_ns(fd);
	lf->off = 0;
	lf->ino = sb.st_ino;
	lf->gen++;
	return 0;
}

bool logfile_may_rotate(const struct logfile *lf)
{
	return !lf->next_rotate_ns || mono_ns() >= lf->next_rotate_ns;
}

int logfile_rotate(struct logfile *lf, int64_t now_ns, struct err *err)
{
	struct logset *set = lf->set;
	int fd, rc;

	fd = openat(set->dir_fd, LOG_NEW,
		    O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		lf->next_rotate_ns = mono_ns() + RETRY_NS;
		return err_sys(err, "make %s/%s", set->uuid, LOG_NEW);
	}
	pthread_mutex_lock(&set->lock);
	rc = rotate_locked(lf, fd, now_ns, err);
	if (rc == 0)
		logset_wake_locked(set);
	pthread_mutex_unlock(&set->lock);
	if (rc < 0) {
		(void)unlinkat(set->dir_fd, LOG_NEW, 0);
		close(fd);
		lf->next_rotate_ns = mono_ns() + RETRY_NS;
		lf->errors++;
		return rc;
	}
	close(lf->fd);
	lf->fd = fd;
	lf->next_rotate_ns = 0;
	return 0;
}

void logfile_retain(struct logfile *lf)
{
	lf->errors += retention_apply(lf->set);
}
