/* SPDX-License-Identifier: MPL-2.0
 *
 * usage.c - log use per zone, for `docker system df` and sdc-dockeradm.
 *
 * The control thread lists the zones that it knows (their sets are referenced); a reader thread looks
 * at the files and at the zones that are only on disk.
 */
#include "usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_uploads.h"
#include "buf.h"
#include "cleanup.h"
#include "cursor.h"
#include "forward_page.h"
#include "fs.h"
#include "jget.h"
#include "log_addr.h"
#include "retention.h"
#include "str.h"

#define COUNT_MAX (16 << 20) /* bytes of a file whose lines are counted */

struct usage_list *usage_new(void)
{
	return xcalloc(1, sizeof(struct usage_list));
}

static void add(struct usage_list *u, const char *uuid, const char *driver, struct logset *set)
{
	Logsvc__ZoneUsage *z = xcalloc(1, sizeof(*z));

	if (u->n == u->cap) {
		u->cap = u->cap ? 2 * u->cap : 16;
		u->items = xrealloc(u->items, u->cap * sizeof(*u->items));
		u->sets = xrealloc(u->sets, u->cap * sizeof(*u->sets));
	}
	logsvc__zone_usage__init(z);
	z->uuid = xstrdup(uuid);
	z->driver = xstrdup(driver);
	u->sets[u->n] = set;
	u->items[u->n++] = z;
}

void usage_add(struct usage_list *u, struct logset *set, const char *driver)
{
	add(u, set->uuid, driver, logset_ref(set));
}

static bool has(const struct usage_list *u, const char *uuid)
{
	for (size_t i = 0; i < u->n; i++) {
		if (str_eq(u->items[i]->uuid, uuid))
			return true;
	}
	return false;
}

static void add_from_disk(struct usage_list *u, const struct paths *paths, const char *uuid)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	char path[1024];

	if (strlen(uuid) != 36 || has(u, uuid) || !fs_exists(paths_zone(paths, uuid, "logs", path)))
		return;
	if (fs_read_file(paths_zone(paths, uuid, "config/log.json", path), 1 << 20, &text, &ignored) == 0)
		(void)jparse(text.p ? text.p : "", text.len, &o, &ignored);
	add(u, uuid, jget_str(o, "driver", "json-file"), NULL);
}

/* ---- forwarders ------------------------------------------------------------------------------- */

static Logsvc__ForwardUsage *add_forward(Logsvc__ZoneUsage *z)
{
	z->forward = xcalloc(1, sizeof(*z->forward));
	logsvc__forward_usage__init(z->forward);
	return z->forward;
}

/* As its logger says it; nothing of that is trusted. Under the set's lock. */
static void measure_logger(Logsvc__ZoneUsage *z, struct logset *set)
{
	const struct forward_status *s = set->forward;
	Logsvc__ForwardUsage *f = add_forward(z);
	int64_t lines = atomic_load(&s->behind_lines), bytes = atomic_load(&s->behind_bytes);

	f->since_ns = atomic_load(&s->since_ns);
	f->state = !f->since_ns				   ? LOGSVC__FORWARD_USAGE__STATE__STARTING
		   : atomic_load(&s->state) == FORWARD_CONNECTED ? LOGSVC__FORWARD_USAGE__STATE__CONNECTED
								 : LOGSVC__FORWARD_USAGE__STATE__CONNECTING;
	f->behind_lines = lines < 0 ? -1 : lines;
	f->behind_bytes = bytes < 0 ? 0 : bytes;
	f->delivered = atomic_load(&s->delivered);
	z->dropped = atomic_load(&s->dropped);
	if (f->state != LOGSVC__FORWARD_USAGE__STATE__CONNECTED)
		f->error = xstrndup(s->error, sizeof(s->error) - 1);
	for (char *p = f->error; p && *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
}

static bool is_file_of(const struct log_view *v, const struct cursor *c)
{
	struct stat sb;

	return fstat(v->fd, &sb) == 0 && sb.st_ino == c->ino && (!c->born_ns || log_born_ns(v->fd) == c->born_ns);
}

/* Line ends from off on; -1 of a compressed file, and where it would take long. */
static int64_t count_lines(const struct log_view *v, int64_t off)
{
	char block[65536];
	int64_t lines = 0;
	ssize_t n;

	if (v->gz || v->limit - off > COUNT_MAX)
		return -1;
	while ((n = pread(v->fd, block, v->limit - off < (int64_t)sizeof(block) ? (size_t)(v->limit - off) : sizeof(block), off)) > 0) {
		for (const char *p = block; (p = memchr(p, '\n', (size_t)(block + n - p))); p++)
			lines++;
		off += n;
	}
	return lines;
}

/* Of a zone without a logger: what its cursor says is not with the sink. From its file on, or from the first. */
static void measure_cursor(Logsvc__ZoneUsage *z, struct logset *set, const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	Logsvc__ForwardUsage *f = add_forward(z);
	struct log_view v;
	struct cursor c = { 0 };
	int64_t bytes = 0, lines = 0, n;

	if (fd >= 0 && cursor_load(fd, &c)) {
		f->delivered = c.delivered;
		z->dropped = c.dropped;
	}
	for (uint64_t seq = 0; logset_open(set, seq, &v) > 0; seq = v.seq + 1) {
		bool here = c.ino && is_file_of(&v, &c);
		int64_t off = here && !v.gz && c.off < v.limit ? c.off : here && !v.gz ? v.limit : 0;

		if (here)
			bytes = lines = 0; /* the files before it are with the sink */
		bytes += v.limit - off;
		n = lines < 0 ? -1 : count_lines(&v, off);
		lines = n < 0 ? -1 : lines + n;
		close(v.fd);
		if (v.live)
			break;
	}
	f->behind_bytes = bytes;
	f->behind_lines = lines;
}

static void measure(Logsvc__ZoneUsage *z, struct logset *set, const struct paths *paths)
{
	struct log_usage use;
	char path[1024];
	int64_t pending_bytes;

	logset_usage(set, &use);
	z->bytes = use.bytes;
	z->files = use.files;
	z->oldest_ns = use.oldest_ns;
	pthread_mutex_lock(&set->lock);
	z->lines = set->counters.lines;
	z->lines_bytes = set->counters.bytes;
	z->rotations = set->counters.rotations;
	z->lost = set->counters.dropped;
	z->waits = set->waits;
	if (set->forward && set->forward_page)
		measure_logger(z, set);
	z->archived = set->archived;
	z->archive_failures = set->upload_failures;
	z->unstored = set->unstored;
	if (uploads_enabled())
		logset_pending_locked(set, &z->archive_pending, &pending_bytes);
	pthread_mutex_unlock(&set->lock);
	if (!z->forward && log_driver_forwards(z->driver))
		measure_cursor(z, set, paths_zone(paths, z->uuid, "logs/" FORWARD_CURSOR_NAME, path));
	z->errors = atomic_load(&set->errors) + atomic_load(&set->damaged);
}

static void add_all_from_disk(struct usage_list *u, const struct paths *paths, const char *uuid)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;

	if (*uuid) {
		add_from_disk(u, paths, uuid);
	} else if ((dir = opendir(paths->zones))) {
		while ((de = readdir(dir)))
			add_from_disk(u, paths, de->d_name);
	}
}

static void complete(struct usage_list *u, const struct paths *paths, const char *uuid,
		     const struct log_prune *prune)
{
	struct log_usage removed;
	char path[1024];

	add_all_from_disk(u, paths, uuid);
	for (size_t i = 0; i < u->n; i++) {
		Logsvc__ZoneUsage *z = u->items[i];
		struct logset *set = u->sets[i];

		if (!set)
			set = logset_new(z->uuid, paths_zone(paths, z->uuid, "logs", path));
		if (!prune) {
			measure(z, set, paths);
		} else {
			logset_prune(set, prune, &removed);
			z->bytes = removed.bytes;
			z->files = removed.files;
			z->archive_pending = prune->dry_run ? 0 : logset_unstored(set, prune);
			z->oldest_ns = removed.oldest_ns;
		}
		logset_unref(set);
		u->sets[i] = NULL;
	}
}

void usage_complete(struct usage_list *u, const struct paths *paths, const char *uuid)
{
	complete(u, paths, uuid, NULL);
}

void usage_prune(struct usage_list *u, const struct paths *paths, const char *uuid,
		 const struct log_prune *prune)
{
	complete(u, paths, uuid, prune);
}

bool usage_is_stored(struct usage_list *u, const struct paths *paths, const char *uuid, const struct log_prune *how)
{
	bool all = true;
	char path[1024];

	add_all_from_disk(u, paths, uuid);
	for (size_t i = 0; i < u->n; i++) {
		struct logset *set = u->sets[i];

		if (!set)
			set = logset_new(u->items[i]->uuid, paths_zone(paths, u->items[i]->uuid, "logs", path));
		u->items[i]->archive_pending = logset_unstored(set, how);
		all &= u->items[i]->archive_pending == 0;
		if (u->sets[i])
			(void)retention_apply(set); /* on its way, if it was not */
		else
			logset_unref(set);
	}
	return all;
}

void usage_free(struct usage_list *u)
{
	for (size_t i = 0; i < u->n; i++) {
		logset_unref(u->sets[i]);
		free(u->items[i]->uuid);
		free(u->items[i]->driver);
		if (u->items[i]->forward && u->items[i]->forward->error != protobuf_c_empty_string)
			free(u->items[i]->forward->error);
		free(u->items[i]->forward);
		free(u->items[i]);
	}
	free(u->items);
	free(u->sets);
	free(u);
}
