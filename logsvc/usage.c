/* SPDX-License-Identifier: MPL-2.0
 *
 * usage.c - log use per zone, for `docker system df` and sdc-dockeradm.
 *
 * The control thread lists the zones that it knows (their sets are referenced); a reader thread looks
 * at the files and at the zones that are only on disk.
 */
#include "usage.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "forward_page.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

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

static void measure(Logsvc__ZoneUsage *z, struct logset *set)
{
	struct log_usage use;

	logset_usage(set, &use);
	z->bytes = use.bytes;
	z->files = use.files;
	z->oldest_ns = use.oldest_ns;
	pthread_mutex_lock(&set->lock);
	z->lines = set->counters.lines;
	z->lines_bytes = set->counters.bytes;
	z->rotations = set->counters.rotations;
	z->lost = set->counters.dropped;
	if (set->forward)
		z->dropped = atomic_load(&set->forward->dropped);
	pthread_mutex_unlock(&set->lock);
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
			measure(z, set);
		} else {
			logset_prune(set, prune, &removed);
			z->bytes = removed.bytes;
			z->files = removed.files;
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

void usage_free(struct usage_list *u)
{
	for (size_t i = 0; i < u->n; i++) {
		logset_unref(u->sets[i]);
		free(u->items[i]->uuid);
		free(u->items[i]->driver);
		free(u->items[i]);
	}
	free(u->items);
	free(u->sets);
	free(u);
}
