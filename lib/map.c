/* SPDX-License-Identifier: MPL-2.0
 *
 * map.c - chained hash table; FNV-1a with a per-process seed, so that names chosen by a peer do not
 * collide on purpose.
 */
#include "map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	void *value;
	char key[];
};

static uint64_t hash_key(const char *key)
{
	static uint64_t seed;
	uint64_t h = __atomic_load_n(&seed, __ATOMIC_RELAXED);

	if (!h) {
		random_bytes(&h, sizeof(h));
		h |= 1;
		uint64_t expected = 0;

		if (!__atomic_compare_exchange_n(&seed, &expected, h, false, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
			h = expected;
	}
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

void map_init(struct map *m)
{
	memset(m, 0, sizeof(*m));
}

void map_fini(struct map *m, void (*free_value)(void *))
{
	struct map_entry *e, *next;
	size_t i;

	for (i = 0; i < m->n_slots; i++) {
		for (e = m->slots[i]; e; e = next) {
			next = e->next;
			if (free_value)
				free_value(e->value);
			free(e);
		}
	}
	free(m->slots);
	map_init(m);
}

static struct map_entry **find(const struct map *m, const char *key, uint64_t h)
{
	struct map_entry **pp;

	if (!m->n_slots)
		return NULL;
	for (pp = &m->slots[h & (m->n_slots - 1)]; *pp; pp = &(*pp)->next)
		if ((*pp)->hash == h && !strcmp((*pp)->key, key))
			return pp;
	return NULL;
}

void *map_get(const struct map *m, const char *key)
{
	struct map_entry **pp = find(m, key, hash_key(key));

	return pp ? (*pp)->value : NULL;
}

static void grow(struct map *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : 16, i;
	struct map_entry **slots = xcalloc(n, sizeof(*slots)), *e, *next;

	for (i = 0; i < m->n_slots; i++) {
		for (e = m->slots[i]; e; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n - 1)];
			slots[e->hash & (n - 1)] = e;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
}

void *map_set(struct map *m, const char *key, void *value)
{
	uint64_t h = hash_key(key);
	struct map_entry **pp = find(m, key, h), *e;
	size_t len = strlen(key) + 1;
	void *old;

	if (pp) {
		old = (*pp)->value;
		(*pp)->value = value;
		return old;
	}
	if (m->len >= m->n_slots)
		grow(m);
	e = xmalloc(sizeof(*e) + len);
	e->hash = h;
	e->value = value;
	memcpy(e->key, key, len);
	e->next = m->slots[h & (m->n_slots - 1)];
	m->slots[h & (m->n_slots - 1)] = e;
	m->len++;
	return NULL;
}

void *map_del(struct map *m, const char *key)
{
	struct map_entry **pp = find(m, key, hash_key(key)), *e;
	void *value;

	if (!pp)
		return NULL;
	e = *pp;
	*pp = e->next;
	value = e->value;
	free(e);
	m->len--;
	return value;
}

bool map_next(const struct map *m, struct map_iter *it, const char **key, void **value)
{
	struct map_entry *e;

	if (!it->started) {
		it->started = true;
		it->slot = 0;
		it->next = m->n_slots ? m->slots[0] : NULL;
	}
	while (!it->next) {
		if (it->slot + 1 >= m->n_slots)
			return false;
		it->next = m->slots[++it->slot];
	}
	e = it->next;
	it->next = e->next;
	if (key)
		*key = e->key;
	if (value)
		*value = e->value;
	return true;
}
