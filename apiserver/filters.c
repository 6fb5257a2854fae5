/* SPDX-License-Identifier: MPL-2.0
 *
 * filters.c - the query parameter "filters" of lists, prunes and events.
 *
 * Design: two forms are in use, {"label":["a=b"]} and the older {"label":{"a=b":true}}; both
 * become an object of arrays of strings without doubles. Docker answers a text that is neither
 * with 500 on most lists (volumes and prunes: 400, their handlers change the kind), an unknown key
 * with 400.
 */
#include <string.h>

#include "apiserver/ct_json.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static bool has_str(const json_t *list, const char *s)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (strcmp(json_string_value(item), s) == 0)
			return true;
	return false;
}

static void add_unique(json_t *list, const char *s)
{
	if (!has_str(list, s))
		json_array_append_new(list, json_string(s));
}

/* NULL if it is neither form. Owned. */
static json_t *values_of(const json_t *v)
{
	json_t *list = json_array();
	const char *key;
	json_t *item;
	size_t i;
	bool ok = true;

	if (json_is_array(v)) {
		json_array_foreach (v, i, item) {
			if (json_is_string(item))
				add_unique(list, json_string_value(item));
			else
				ok = false;
		}
	} else if (json_is_object(v)) { /* Go looks at the keys, true or false */
		json_object_foreach ((json_t *)v, key, item) {
			add_unique(list, key);
			ok = ok && json_is_boolean(item);
		}
	} else {
		ok = false;
	}
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}

static bool is_allowed(const char *key, const char *const *allowed)
{
	for (; allowed && *allowed; allowed++)
		if (strcmp(key, *allowed) == 0)
			return true;
	return allowed == NULL;
}

static int err_malformed(struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "invalid filter");
}

int filters_parse(const char *text, const char *const *allowed, json_t **out, struct err *err)
{
	cleanup_json json_t *in = NULL;
	cleanup_json json_t *filters = json_object();
	struct err why = { 0 };
	const char *key;
	json_t *v;

	if (!str_empty(text) && (jparse(text, strlen(text), &in, &why) < 0 ||
				 !(json_is_object(in) || json_is_null(in))))
		return err_malformed(err);
	json_object_foreach (in, key, v) {
		json_t *values = values_of(v);

		if (!values)
			return err_malformed(err);
		json_object_set_new(filters, key, values);
	}
	json_object_foreach (filters, key, v)
		if (!is_allowed(key, allowed))
			return err_kind(err, ERR_BAD_PARAM, "invalid filter '%s'", key);
	*out = take_ptr(&filters);
	return 0;
}

int filter_bool(const json_t *filters, const char *key, bool *out, struct err *err)
{
	cleanup_strv char **v = jget_strv(filters, key);
	bool yes = strv_has(v, "1") || strv_has(v, "true"), no = strv_has(v, "0") || strv_has(v, "false");
	cleanup_buf struct buf all = BUF_INIT;

	if (!v[0])
		return 0;
	if (yes != no) {
		*out = yes;
		return 1;
	}
	for (char **s = v; *s; s++)
		buf_printf(&all, "%s%.100s", s > v ? " " : "", *s);
	return err_kind(err, ERR_BAD_PARAM, "invalid filter '%s=[%.400s]'", key, buf_str(&all));
}

/* "key" or "key=value" */
static bool label_has(const json_t *labels, const char *want)
{
	const char *eq = strchr(want, '=');
	cleanup_free char *key = eq ? xstrndup(want, (size_t)(eq - want)) : xstrdup(want);
	const char *value = json_string_value(json_object_get(labels, key));

	return value && (!eq || strcmp(value, eq + 1) == 0);
}

bool filter_label_match(const json_t *filters, const char *key, const json_t *labels)
{
	const json_t *wants = jget_arr(filters, key);
	bool negated = str_ends(key, "!");
	bool all = true;
	json_t *item;
	size_t i;

	if (json_array_size(wants) == 0)
		return true;
	json_array_foreach (wants, i, item)
		all = all && label_has(labels, json_string_value(item));
	return negated ? !all : all;
}

int filter_time_parse(const char *s, int64_t *out_ns, struct err *err)
{
	static const char *const tails[] = { "", "Z", ":00Z", ":00:00Z", "T00:00:00Z" };
	int64_t ns;

	if (parse_duration_ns(s, &ns) == 0) {
		*out_ns = now_ns() - ns;
		return 0;
	}
	if (parse_unix_time_ns(s, out_ns) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		cleanup_free char *t = xasprintf("%s%s", s, tails[i]);

		if (parse_rfc3339_ns(t, strlen(t), out_ns) == 0)
			return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "failed to parse value as time or duration: \"%s\"", s);
}

int filter_until(const json_t *filters, int64_t *out_ns, struct err *err)
{
	cleanup_strv char **v = jget_strv(filters, "until");

	*out_ns = INT64_MAX;
	if (!v[0])
		return 0;
	if (v[1])
		return err_kind(err, ERR_BAD_PARAM, "more than one until filter specified");
	return filter_time_parse(v[0], out_ns, err);
}
