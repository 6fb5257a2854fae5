/* SPDX-License-Identifier: MPL-2.0
 *
 * env_merge.c - see env_merge.h.
 */
#include "apiserver/env_merge.h"

#include <string.h>

#include "cleanup.h"
#include "map.h"
#include "str.h"

static char *name_of(const json_t *item)
{
	const char *s = json_string_value(item);

	return xstrndup(s ? s : "", s ? strcspn(s, "=") : 0);
}

void env_merge(json_t *to, const json_t *from)
{
	struct map names;
	json_t *item;
	size_t i;

	map_init(&names);
	json_array_foreach(to, i, item) {
		cleanup_free char *name = name_of(item);

		map_set(&names, name, to);
	}
	json_array_foreach(from, i, item) {
		cleanup_free char *name = name_of(item);

		if (json_is_string(item) && !map_get(&names, name))
			json_array_append_new(to, json_string(json_string_value(item)));
	}
	map_fini(&names, NULL);
}
