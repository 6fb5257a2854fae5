/* SPDX-License-Identifier: MPL-2.0
 *
 * filter_regex.c - see filter_regex.h. Expressions are compiled once for a list: its length is the users' to choose.
 */
#include "filter_regex.h"

#include <stdlib.h>

#include "cleanup.h"
#include "go_regex.h"
#include "jget.h"
#include "str.h"

void filter_regex_init(struct filter_regex *f, const json_t *filters, const char *key)
{
	json_t *item;
	size_t i;

	f->values = jget_arr(filters, key);
	f->n = json_array_size(f->values);
	if (!f->n)
		return;
	f->v = xcalloc(f->n, sizeof(*f->v));
	json_array_foreach (f->values, i, item) {
		struct err ignored = { 0 };

		if (go_regex_compile(json_string_value(item), &f->v[i], &ignored) < 0)
			f->v[i] = NULL;
	}
}

void filter_regex_fini(struct filter_regex *f)
{
	for (size_t i = 0; i < f->n; i++)
		go_regex_free(f->v[i]);
	free(f->v);
	*f = (struct filter_regex){ 0 };
}

bool filter_regex_match(const struct filter_regex *f, const char *text)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(json_string_value(json_array_get(f->values, i)), text) ||
		    (f->v[i] && go_regex_match(f->v[i], text)))
			return true;
	return !f->n;
}
