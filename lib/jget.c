/* SPDX-License-Identifier: MPL-2.0
 *
 * jget.c - reading jansson objects, and parsing text that a stranger sent.
 */
#include "jget.h"

#include <string.h>

#include "str.h"

const char *jget_str(const json_t *o, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : def;
}

int64_t jget_int(const json_t *o, const char *key, int64_t def)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		return json_integer_value(v);
	if (json_is_real(v) && json_real_value(v) > -9e18 && json_real_value(v) < 9e18)
		return (int64_t)json_real_value(v);
	return def;
}

bool jget_bool(const json_t *o, const char *key, bool def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

json_t *jget_obj(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_object(v) ? v : NULL;
}

json_t *jget_arr(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_array(v) ? v : NULL;
}

char **jget_strv(const json_t *o, const char *key)
{
	json_t *a = jget_arr(o, key), *item;
	char **v = xcalloc(json_array_size(a) + 1, sizeof(*v));
	size_t i, n = 0;

	json_array_foreach(a, i, item) {
		if (json_is_string(item))
			v[n++] = xstrdup(json_string_value(item));
	}
	return v;
}

void jdecref_p(json_t **p)
{
	json_decref(*p);
}

int jparse(const char *text, size_t len, json_t **out, struct err *err)
{
	json_error_t je;
	/* jansson bounds nesting at JSON_PARSER_MAX_DEPTH (2048) itself */
	json_t *j = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);

	if (!j)
		return err_kind(err, ERR_BAD_PARAM, "invalid JSON: %s (line %d column %d)", je.text,
				je.line, je.column);
	*out = j;
	return 0;
}
