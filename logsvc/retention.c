/* SPDX-License-Identifier: MPL-2.0
 *
 * retention.c - removes rotated logs: by a zone's rules when it rotates, by the host's rules in a sweep over all zones.
 *
 * The rules, in this order:
 *  - A live file is never removed, nor one that the zone's logger has not passed (up to FORWARD_MAX_BACKLOG; with spool-full=block
 *    whatever it is).
 *  - Rotated files beyond max-file, and those older than MAX_LOG_AGE, go. With an object store they go when they are stored.
 *  - When all logs together are larger than MAX_TOTAL_LOG_SIZE, the oldest rotated files of the host go, whosever they are, until
 *    they fit: first those that nobody is waiting for, then those that a logger has not read or the store has not got, which is
 *    counted and told. The same makes room on a full disk, up to ROOM and ROOM_FILES.
 *
 * Design. A zone's rules are applied by whoever rotated, under the set's lock. A sweep is a task of the retention thread: it asks
 * for the sets that logsvc knows, adds those of zones that are only on the disk, and looks at all files. It runs after rotations,
 * once in SWEEP_MIN_NS at most, and every SWEEP_NS, for files grow older without a rotation; not at all when neither budget,
 * age nor store is set. It also finds what a logsvc that died has not uploaded.
 *
 * A set of a zone that is only on the disk is made for the sweep: removing a file is all that is done by it, and a second set that
 * somebody makes meanwhile takes a file that is not there for what it is.
 */
#define LOG_MODULE "retention"
#include "retention.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include "archive_uploads.h"
#include "cleanup.h"
#include "compress.h"
#include "failpoint.h"
#include "forward_page.h"
#include "fs.h"
#include "log.h"
#include "removed.h"
#include "str.h"

#define SWEEP_NS     60000000000LL
#define SWEEP_MIN_NS 1000000000LL
#define ROOM	     (16 * 1024 * 1024)
#define ROOM_FILES   4 /* inodes, so that logs can be rotated */

struct candidate {
	struct logset *set;
	uint64_t seq;
	int64_t time_s, size;
	bool free; /* nobody waits for it */
};

struct sweep {
	struct logset **sets;
	bool *known;
	size_t n, cap;
	struct candidate *files;
	size_t n_files, cap_files;
	int64_t total;
};

static struct {
	struct loop *loop;
	const struct paths *paths;
	const struct conf *conf;
	struct retention_zones zones;
	struct timer timer;
	atomic_bool wanted, room; /* a sweep is to come; the disk is full */
	bool sweeping;
	int64_t last_ns;
} ret;

static int64_t max_age_ns(void)
{
	int64_t ns = 0;

	return ret.conf && parse_age_ns(conf_str(ret.conf, "MAX_LOG_AGE"), &ns) == 0 ? ns : 0;
}

static int64_t max_total(void)
{
	return ret.conf ? conf_int(ret.conf, "MAX_TOTAL_LOG_SIZE") : 0;
}

/* ---- one file ----------------------------------------------------------------------------------- */

/* Lines and bytes of a file, which is closed. */
static void count_text(int fd, uint64_t *lines, uint64_t *bytes)
{
	gzFile gz = gzdopen(fd, "rb"); /* reads what is not compressed too */
	char block[65536];
	int n;

	*lines = *bytes = 0;
	if (!gz) {
		close(fd);
		return;
	}
	for (; (n = gzread(gz, block, sizeof(block))) > 0; *bytes += (uint64_t)n)
		for (const char *p = block; (p = memchr(p, '\n', (size_t)(block + n - p))); p++)
			++*lines;
	(void)gzclose(gz);
}

/* A file goes that the logger may not be through with: it is told what was in it. */
static void tell_logger(struct logset *set, const struct log_entry *e)
{
	cleanup_fd int fd = openat(set->dir_fd, e->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct removed_file f = { .time_s = e->time_s };
	uint64_t lines, bytes;
	struct stat sb;

	if (fd < 0 || fstat(fd, &sb) < 0)
		return;
	f.ino = sb.st_ino;
	f.born_ns = log_born_ns(fd);
	count_text(take_fd(&fd), &lines, &bytes);
	f.lines = lines;
	f.bytes = bytes;
	removed_add(set->forward_page, &f);
	log_warn("dropped before it was known to be forwarded", "zone=%s file=%s lines=%llu bytes=%llu", set->uuid, e->name,
		 (unsigned long long)lines, (unsigned long long)bytes);
}

/* -errno: it stays. */
static int drop_locked(struct logset *set, size_t i)
{
	int fd, rc;

	if (set->forward && logset_is_unread_locked(set, i))
		tell_logger(set, &set->files[i]);
	fd = openat(set->dir_fd, set->files[i].name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	rc = logset_unlink_locked(set, i);
	if (fd >= 0)
		compress_close(fd); /* the blocks are freed elsewhere */
	(void)failpoint("rotate.unlinked");
	return rc;
}

/* ---- one zone ----------------------------------------------------------------------------------- */

static bool is_over(const struct logset *set, int64_t before_s)
{
	return (set->max_files && set->n_files + 1 > set->max_files) || set->files[0].time_s < before_s;
}

unsigned retention_apply(struct logset *set)
{
	int64_t age_ns = max_age_ns(), before_s = age_ns ? (now_ns() - age_ns) / 1000000000 : INT64_MIN;
	bool on = uploads_enabled(), plain = false, pending = false;
	unsigned errors = 0;
	size_t passed;

	pthread_mutex_lock(&set->lock);
	passed = set->dir_fd < 0 ? 0 : logset_passed_locked(set);
	for (; passed > 0 && is_over(set, before_s) && (!on || set->files[0].stored); passed--) {
		if (drop_locked(set, 0) < 0) {
			errors++;
			break;
		}
	}
	for (size_t i = 0; i < passed; i++) {
		plain |= !set->files[i].gz;
		pending |= set->files[i].gz && !set->files[i].stored;
	}
	plain = plain && (on || set->compress);
	pthread_mutex_unlock(&set->lock);
	if (plain)
		compress_submit(set);
	if (on && pending)
		uploads_submit(set);
	if (max_total())
		retention_sweep();
	return errors;
}

/* ---- all zones ---------------------------------------------------------------------------------- */

static void add_set(struct sweep *sw, struct logset *set, bool known)
{
	if (sw->n == sw->cap) {
		sw->cap = sw->cap ? 2 * sw->cap : 64;
		sw->sets = xrealloc(sw->sets, sw->cap * sizeof(*sw->sets));
		sw->known = xrealloc(sw->known, sw->cap * sizeof(*sw->known));
	}
	sw->known[sw->n] = known;
	sw->sets[sw->n++] = set;
}

void retention_known(struct sweep *sw, struct logset *set)
{
	add_set(sw, logset_ref(set), true);
}

static bool has(const struct sweep *sw, size_t n, const char *uuid)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(sw->sets[i]->uuid, uuid))
			return true;
	return false;
}

static void add_from_disk(struct sweep *sw)
{
	cleanup_dir DIR *dir = opendir(ret.paths->zones);
	size_t n_known = sw->n;
	struct dirent *de;
	char path[1024];

	while (dir && (de = readdir(dir)))
		if (strlen(de->d_name) == 36 && !has(sw, n_known, de->d_name) &&
		    fs_exists(paths_zone(ret.paths, de->d_name, "logs", path)))
			add_set(sw, logset_new(de->d_name, path), false);
}

/* Of a zone that is only on the disk: a logger has been at its log. How far, its zone has to tell (zone_keep.c). */
static bool has_cursor(struct logset *set)
{
	struct stat sb;

	return set->dir_fd >= 0 && fstatat(set->dir_fd, FORWARD_CURSOR_NAME, &sb, AT_SYMLINK_NOFOLLOW) == 0;
}

static void add_files(struct sweep *sw, struct logset *set, bool known)
{
	bool on = uploads_enabled(), unread = !known && has_cursor(set);
	struct stat sb;
	size_t passed;

	pthread_mutex_lock(&set->lock);
	passed = set->dir_fd < 0 ? 0 : logset_passed_locked(set);
	for (size_t i = 0; set->dir_fd >= 0 && i <= set->n_files; i++) {
		const char *name = i < set->n_files ? set->files[i].name : LOG_LIVE;

		if (fstatat(set->dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(sb.st_mode))
			continue;
		sw->total += sb.st_size;
		if (i == set->n_files || (i >= passed && set->waits)) /* live; or lines that its container waits for the sink to get */
			continue;
		if (sw->n_files == sw->cap_files) {
			sw->cap_files = sw->cap_files ? 2 * sw->cap_files : 256;
			sw->files = xrealloc(sw->files, sw->cap_files * sizeof(*sw->files));
		}
		sw->files[sw->n_files++] = (struct candidate){ .set = set,
							       .seq = set->files[i].seq,
							       .time_s = set->files[i].time_s,
							       .size = sb.st_size,
							       .free = !unread && i < passed && (!on || set->files[i].stored) };
	}
	pthread_mutex_unlock(&set->lock);
}

static int by_cost(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->free != y->free)
		return x->free ? -1 : 1;
	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return strcmp(x->set->uuid, y->set->uuid);
}

/* A file that the object store lacks, opened to be counted after it has gone; -1: it is no such one. */
static int open_unstored_locked(struct logset *set, size_t i)
{
	if (!uploads_enabled() || set->files[i].stored)
		return -1;
	return openat(set->dir_fd, set->files[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool drop(const struct candidate *c)
{
	struct logset *set = c->set;
	char name[LOG_NAME_MAX] = "";
	uint64_t lines, bytes;
	bool gone = false;
	int fd = -1;

	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < set->n_files && !gone; i++) {
		if (set->files[i].seq != c->seq)
			continue;
		str_copy(name, sizeof(name), set->files[i].name);
		fd = open_unstored_locked(set, i);
		gone = drop_locked(set, i) == 0;
		set->unstored += gone && fd >= 0;
		break;
	}
	pthread_mutex_unlock(&set->lock);
	if (fd >= 0 && !gone)
		close(take_fd(&fd));
	if (fd < 0)
		return gone;
	count_text(fd, &lines, &bytes);
	log_warn("dropped before it was stored", "zone=%s file=%s lines=%llu bytes=%llu", set->uuid, name, (unsigned long long)lines,
		 (unsigned long long)bytes);
	ret.zones.lost(ret.zones.owner, set->uuid, lines, bytes);
	return gone;
}

/* How many bytes and files have to go. */
static int64_t excess(const struct sweep *sw, unsigned *files)
{
	int64_t max = max_total(), over = max && sw->total > max ? sw->total - max : 0;
	struct statvfs vfs;

	*files = 0;
	if (atomic_exchange(&ret.room, false) && statvfs(ret.paths->zones, &vfs) == 0) {
		int64_t left = (int64_t)(vfs.f_bavail * vfs.f_frsize);

		if (left < ROOM && ROOM - left > over)
			over = ROOM - left;
		if (vfs.f_files && vfs.f_favail < ROOM_FILES)
			*files = ROOM_FILES - (unsigned)vfs.f_favail;
	}
	return over;
}

static void keep_budget(struct sweep *sw)
{
	unsigned n = 0, files;
	int64_t over = excess(sw, &files), freed = 0;

	if (!over && !files)
		return;
	if (sw->n_files)
		qsort(sw->files, sw->n_files, sizeof(*sw->files), by_cost);
	for (size_t i = 0; i < sw->n_files && (freed < over || n < files); i++) {
		if (!drop(&sw->files[i]))
			continue;
		freed += sw->files[i].size;
		n++;
	}
	if (n)
		log_info("rotated logs removed for room", "files=%u bytes=%lld", n, (long long)freed);
}

static bool has_pending(struct logset *set)
{
	uint32_t files;
	int64_t bytes;

	pthread_mutex_lock(&set->lock);
	logset_pending_locked(set, &files, &bytes);
	pthread_mutex_unlock(&set->lock);
	return files > 0;
}

static void sweep_free(struct sweep *sw)
{
	for (size_t i = 0; i < sw->n; i++)
		logset_unref(sw->sets[i]);
	free(sw->sets);
	free(sw->known);
	free(sw->files);
	free(sw);
}

static bool has_rules(void)
{
	return max_total() || max_age_ns() || uploads_enabled() || atomic_load(&ret.room);
}

static void arm(int64_t delay_ns)
{
	loop_timer(ret.loop, &ret.timer, delay_ns);
}

static void sweep_run(void *arg)
{
	struct sweep *sw = arg;

	add_from_disk(sw);
	for (size_t i = 0; i < sw->n; i++) {
		bool known = sw->known[i];

		/* one that is only on the disk has no rules of its own but age; what it has to upload, or to forward, needs a zone */
		if (known || (max_age_ns() && !has_cursor(sw->sets[i])))
			(void)retention_apply(sw->sets[i]);
		else if (max_age_ns() && sw->sets[i]->n_files)
			ret.zones.wake(ret.zones.owner, sw->sets[i]->uuid);
		if (!known && uploads_enabled() && has_pending(sw->sets[i]))
			ret.zones.wake(ret.zones.owner, sw->sets[i]->uuid);
		add_files(sw, sw->sets[i], known);
	}
	keep_budget(sw);
	sweep_free(sw);
	ret.sweeping = false;
	ret.last_ns = mono_ns();
	arm(atomic_load(&ret.wanted) ? SWEEP_MIN_NS : SWEEP_NS);
}

void retention_listed(struct sweep *sw)
{
	loop_post(ret.loop, sweep_run, sw);
}

static void begin(void)
{
	if (ret.sweeping)
		return;
	atomic_store(&ret.wanted, false);
	if (!has_rules()) {
		arm(SWEEP_NS);
		return;
	}
	ret.sweeping = true;
	ret.zones.list(ret.zones.owner, xcalloc(1, sizeof(struct sweep)));
}

static void on_timer(struct timer *t)
{
	(void)t;
	begin();
}

static void on_wanted(void *arg)
{
	int64_t since = mono_ns() - ret.last_ns;

	(void)arg;
	if (ret.sweeping)
		return; /* and then once more */
	if (since < SWEEP_MIN_NS)
		arm(SWEEP_MIN_NS - since);
	else
		begin();
}

void retention_sweep(void)
{
	if (ret.loop && !atomic_exchange(&ret.wanted, true))
		loop_post(ret.loop, on_wanted, NULL);
}

void retention_make_room(void)
{
	atomic_store(&ret.room, true);
	retention_sweep();
}

/* ---- life --------------------------------------------------------------------------------------- */

void retention_conf_changed(void)
{
	uploads_conf_changed();
	retention_sweep();
}

int retention_start(const struct paths *paths, const struct conf *conf, const struct retention_zones *zones, struct err *err)
{
	ret.paths = paths;
	ret.conf = conf;
	ret.zones = *zones;
	ret.timer.on_time = on_timer;
	if (!(ret.loop = loop_new("retention", err)))
		return err->code;
	uploads_start(ret.loop, paths, conf);
	retention_sweep();
	return 0;
}

void retention_stop(void)
{
	if (!ret.loop)
		return;
	loop_stop(ret.loop);
	uploads_stop();
}
