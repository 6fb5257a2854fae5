/* SPDX-License-Identifier: MPL-2.0
 *
 * map.h - hash map from string to pointer; keys are copied. Not locked.
 */
#ifndef LIB_MAP_H
#define LIB_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_entry;
struct map {
	struct map_entry **slots;
	size_t n_slots;
	size_t len;
};

void map_init(struct map *m);
void map_fini(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *map_get(const struct map *m, const char *key);
/* Returns the value that was there, or NULL. */
void *map_set(struct map *m, const char *key, void *value);
void *map_del(struct map *m, const char *key);
/* struct map_iter it = { 0 }; while (map_next(m, &it, &key, &value)) ... ; deleting the current entry is allowed, nothing
 * else may change meanwhile. */
struct map_iter {
	size_t slot;
	struct map_entry *next;
	bool started;
};
bool map_next(const struct map *m, struct map_iter *it, const char **key, void **value);

#endif
