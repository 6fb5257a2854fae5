/* SPDX-License-Identifier: MPL-2.0
 *
 * image_users.c - see image_users.h.
 */
#include "apiserver/image_users.h"

#include <pthread.h>
#include <stdint.h>

#include "map.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map counts; /* image ID -> number, as a pointer */

/* lock held */
static uintptr_t count_of(const char *image_id)
{
	return (uintptr_t)map_get(&counts, image_id);
}

void image_user_add(const char *image_id)
{
	pthread_mutex_lock(&lock);
	map_set(&counts, image_id, (void *)(count_of(image_id) + 1));
	pthread_mutex_unlock(&lock);
}

void image_user_del(const char *image_id)
{
	uintptr_t n;

	pthread_mutex_lock(&lock);
	n = count_of(image_id);
	if (n > 1)
		map_set(&counts, image_id, (void *)(n - 1));
	else if (n)
		map_del(&counts, image_id);
	pthread_mutex_unlock(&lock);
}

bool image_has_users(const char *image_id)
{
	bool has;

	pthread_mutex_lock(&lock);
	has = count_of(image_id) > 0;
	pthread_mutex_unlock(&lock);
	return has;
}
