/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_keep.c - the log of a container that has gone, and retention's view of the zones.
 *
 * A removed container's log stays while its logger has lines to deliver (forward.c: FORWARD_GRACE), and then, with an object
 * store, while files of it are not stored (LOG_ARCHIVE_GRACE, counted from the removal):
 *
 *	removed --logger done--> SEALED: the live file is a rotated one --compressed, stored--> folders removed
 *	                             |
 *	                             +-- grace over: what is not stored is counted, told, and goes
 *
 * The mark is FORWARD_REMOVED_NAME in the zone's run folder; its time is that of the removal. A logsvc that died finds it and goes
 * on; after the machine's restart, which empties the run folder, apiserver finds a zone without a record and removes it
 * again, which begins a new grace. Objects are never removed from the store by us.
 */
#define LOG_MODULE "zone_keep"
#include "zone_keep.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_uploads.h"
#include "cleanup.h"
#include "forward_page.h"
#include "fs.h"
#include "log.h"
#include "log_addr.h"
#include "str.h"

#define LOOK_NS 5000000000LL

/* ---- for retention ------------------------------------------------------------------------------ */

struct ask {
	struct zones *zones;
	struct sweep *sweep;
	uint64_t lines, bytes;
	char uuid[37];
};

static struct ask *ask_new(struct zones *zs, const char *uuid)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	a->zones = zs;
	str_copy(a->uuid, sizeof(a->uuid), uuid);
	return a;
}

static void list(void *arg) /* the control thread */
{
	struct ask *a = arg;
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	while (map_next(&a->zones->by_uuid, &it, &key, &value))
		retention_known(a->sweep, ((struct zone *)value)->set);
	retention_listed(a->sweep);
	free(a);
}

static void post_list(void *owner, struct sweep *sw)
{
	struct ask *a = ask_new(owner, "");

	a->sweep = sw;
	loop_post(a->zones->loop, list, a);
}

static void wake(void *arg)
{
	struct ask *a = arg;
	struct err ignored = { 0 };
	struct zone *z = zones_get(a->zones, a->uuid, &ignored);

	/* how far its logger has come is known with its pages only; without them (after a restart of the machine) all is kept */
	if (z && (!log_driver_forwards(z->driver) || zone_forward(z, &ignored)))
		(void)retention_apply(z->set);
	if (z)
		zone_release(z);
	free(a);
}

static void post_wake(void *owner, const char *uuid)
{
	loop_post(((struct zones *)owner)->loop, wake, ask_new(owner, uuid));
}

static void lost(void *arg)
{
	struct ask *a = arg;
	struct err ignored = { 0 };
	struct zone *z = zones_get(a->zones, a->uuid, &ignored);

	if (z) {
		loss_add(z, LOSS_UNSTORED, a->lines, a->bytes);
		zone_release(z);
	}
	free(a);
}

static void post_lost(void *owner, const char *uuid, uint64_t lines, uint64_t bytes)
{
	struct ask *a = ask_new(owner, uuid);

	a->lines = lines;
	a->bytes = bytes;
	loop_post(a->zones->loop, lost, a);
}

void zone_keep_hooks(struct zones *zs, struct retention_zones *out)
{
	*out = (struct retention_zones){ .list = post_list, .wake = post_wake, .lost = post_lost, .owner = zs };
}

static void settled(void *arg)
{
	struct ask *a = arg;
	struct zone *z = zones_find(a->zones, a->uuid);

	if (z)
		zone_release(z);
	free(a);
}

static void on_settled(struct logset *set) /* any thread */
{
	loop_post(((struct zones *)set->owner)->loop, settled, ask_new(set->owner, set->uuid));
}

void zone_keep_watch(struct zone *z)
{
	z->set->owner = z->zones;
	z->set->on_settled = on_settled;
}

/* ---- a container that has gone ------------------------------------------------------------------ */

void zone_keep_remove_folders(struct zone *z)
{
	const char *const dirs[] = { paths_zone(z->zones->paths, "", "", (char[1024]){ "" }),
				     paths_zone_run(z->zones->paths, "", "", (char[1024]){ "" }) };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		cleanup_fd int fd = open(dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct err err = { 0 };

		if (fd >= 0 && fs_remove_tree(fd, z->uuid, &err) < 0)
			log_warn("a removed container's log is left", "zone=%s: %s", z->uuid, err.msg);
	}
}

/* Files that are not in the store, the live one included. */
static uint32_t unstored(struct zone *z)
{
	struct logset *set = z->set;
	uint32_t files;
	int64_t bytes;
	struct stat sb;

	pthread_mutex_lock(&set->lock);
	logset_pending_locked(set, &files, &bytes);
	if (set->dir_fd >= 0 && fstatat(set->dir_fd, LOG_LIVE, &sb, AT_SYMLINK_NOFOLLOW) == 0 && sb.st_size > 0)
		files++;
	pthread_mutex_unlock(&set->lock);
	return files;
}

/* The size of a file's text; of a compressed one what its end says (RFC 1952 2.3.1: modulo 2^32). */
static uint64_t text_size(int dir_fd, const char *name, bool gz)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	unsigned char end[4];
	struct stat sb;

	if (fd < 0 || fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
		return 0;
	if (!gz)
		return (uint64_t)sb.st_size;
	if (sb.st_size < (off_t)sizeof(end) || pread(fd, end, sizeof(end), sb.st_size - (off_t)sizeof(end)) != (ssize_t)sizeof(end))
		return 0;
	return (uint64_t)end[0] | (uint64_t)end[1] << 8 | (uint64_t)end[2] << 16 | (uint64_t)end[3] << 24;
}

static uint64_t unstored_bytes(struct zone *z)
{
	struct logset *set = z->set;
	uint64_t sum = 0;

	pthread_mutex_lock(&set->lock);
	if (set->dir_fd >= 0)
		sum = text_size(set->dir_fd, LOG_LIVE, false);
	for (size_t i = 0; set->dir_fd >= 0 && i < set->n_files; i++)
		if (!set->files[i].stored)
			sum += text_size(set->dir_fd, set->files[i].name, set->files[i].gz);
	pthread_mutex_unlock(&set->lock);
	return sum;
}

static bool is_owed(struct zone *z)
{
	return uploads_enabled() && !z->no_file && unstored(z) > 0;
}

bool zone_keep_log(struct zone *z)
{
	bool sink = forward_is_owed(z->forward);
	struct err err = { 0 };
	struct stat sb;
	char path[1024];

	if (!sink && !is_owed(z))
		return false;
	(void)fs_mkdir_p(paths_zone_run(z->zones->paths, z->uuid, "", path), 0700, &err);
	paths_zone_run(z->zones->paths, z->uuid, FORWARD_REMOVED_NAME, path);
	if (stat(path, &sb) < 0 && fs_write_replace(path, "", 0, 0600, &err) < 0) {
		log_warn("a removed container's log is not kept", "zone=%s: %s", z->uuid, err.msg);
		return false;
	}
	log_info("a removed container's log is kept until it is delivered", "zone=%s to=%s", z->uuid, sink ? "sink" : "store");
	return true;
}

static int64_t grace_left_ns(struct zone *z)
{
	int64_t grace = conf_int(z->zones->conf, "LOG_ARCHIVE_GRACE") * 1000000000, gone;
	struct stat sb;
	char path[1024];

	if (stat(paths_zone_run(z->zones->paths, z->uuid, FORWARD_REMOVED_NAME, path), &sb) < 0)
		return 0;
	gone = now_ns() - (sb.st_mtim.tv_sec * 1000000000LL + sb.st_mtim.tv_nsec);
	return gone < 0 ? grace : grace - gone;
}

static void on_look(struct timer *t)
{
	struct zone *z = container_of(t, struct zone, keep_timer);

	if (grace_left_ns(z) > 0) {
		loop_timer(z->zones->loop, t, LOOK_NS);
	} else { /* whoever has it in hand lets it go */
		pthread_mutex_lock(&z->set->lock);
		z->set->kept = false;
		pthread_mutex_unlock(&z->set->lock);
		uploads_hurry();
	}
	zone_release(z);
}

bool zone_keep_holds(struct zone *z)
{
	struct logset *set = z->set;
	int64_t left;
	int rc = 0;

	if (!is_owed(z))
		return false;
	left = grace_left_ns(z);
	if (left <= 0) {
		uint64_t bytes = unstored_bytes(z);

		log_warn("a removed container's log goes before it was stored", "zone=%s files=%u bytes=%llu", z->uuid, unstored(z),
			 (unsigned long long)bytes);
		loss_add(z, LOSS_UNSTORED, 0, bytes);
		return false;
	}
	if (z->keep_timer.prev && set->kept)
		return true; /* it is looked at again */
	pthread_mutex_lock(&set->lock);
	set->kept = true;
	pthread_mutex_unlock(&set->lock);
	if ((rc = logset_seal(set, now_ns())) < 0)
		log_warn("a removed container's log is not closed", "zone=%s: %s", z->uuid, strerror(-rc));
	(void)retention_apply(set);
	z->keep_timer.on_time = on_look;
	loop_timer(z->zones->loop, &z->keep_timer, left < LOOK_NS ? left + 1000000 : LOOK_NS);
	return true;
}
