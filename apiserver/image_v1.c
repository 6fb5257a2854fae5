/* SPDX-License-Identifier: MPL-2.0
 *
 * image_v1.c - a configuration out of the JSON of each layer.
 *
 *	{"id", "parent", "created", "author", "comment", "container_config": {"Cmd"}, "throwaway", ...}
 *
 * Design: as Docker did it: the top layer's fields but those that were about the layer, the diff
 * ids, and a history of one step per layer. The text is as Go writes a map: keys in byte order at the
 * top, < > & escaped, so that the ID is Docker's for what Docker 1.8.3 and later has made.
 */
#include "apiserver/image_v1.h"

#include <string.h>

#include "apiserver/go_json.h"
#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define DEPTH_MAX 60

bool image_v1_id_valid(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static void set_text(json_t *o, const char *key, const char *value)
{
	if (*value)
		json_object_set_new(o, key, json_string(value));
}

json_t *image_v1_history(const json_t *v1, bool empty)
{
	cleanup_strv char **cmd = jget_strv(jget_obj(v1, "container_config"), "Cmd");
	cleanup_buf struct buf by = BUF_INIT;
	json_t *h = json_object();

	for (char **s = cmd; *s; s++)
		buf_printf(&by, "%s%s", s == cmd ? "" : " ", *s);
	json_object_set_new(h, "created", json_string(jget_str(v1, "created", "0001-01-01T00:00:00Z")));
	set_text(h, "author", jget_str(v1, "author", ""));
	set_text(h, "created_by", buf_str(&by));
	set_text(h, "comment", jget_str(v1, "comment", ""));
	if (empty)
		json_object_set_new(h, "empty_layer", json_true());
	return h;
}

/* As Go's encoding/json, without spaces. False: not to be written (too deep, or a bad number). */
static bool write_value(struct buf *b, const json_t *v, unsigned depth)
{
	cleanup_free char *number = NULL;
	const char *key, *comma = "";
	const json_t *item;
	size_t i;

	if (depth > DEPTH_MAX)
		return false;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		buf_addch(b, '{');
		json_object_foreach((json_t *)v, key, item) {
			buf_addstr(b, comma);
			buf_json_str(b, key, strlen(key));
			buf_addch(b, ':');
			if (!write_value(b, item, depth + 1))
				return false;
			comma = ",";
		}
		buf_addch(b, '}');
		return true;
	case JSON_ARRAY:
		buf_addch(b, '[');
		json_array_foreach(v, i, item) {
			buf_addstr(b, comma);
			if (!write_value(b, item, depth + 1))
				return false;
			comma = ",";
		}
		buf_addch(b, ']');
		return true;
	case JSON_STRING:
		buf_json_str(b, json_string_value(v), json_string_length(v));
		return true;
	case JSON_INTEGER:
	case JSON_REAL:
		number = json_dumps(v, JSON_ENCODE_ANY);
		buf_addstr(b, number ? number : "0");
		return number != NULL;
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	buf_addstr(b, json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null");
	return true;
}

char *image_v1_config(const json_t *top, const json_t *diff_ids, const json_t *history)
{
	static const char *const dropped[] = { "id",	   "parent",   "Size",	     "parent_id",
					       "layer_id", "throwaway" };
	cleanup_json json_t *config = NULL;
	cleanup_buf struct buf b = BUF_INIT;

	if (!json_is_object(top))
		return NULL;
	config = json_copy((json_t *)top);
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		json_object_del(config, dropped[i]);
	json_object_set_new(config, "rootfs", json_pack("{s:s,s:O}", "type", "layers", "diff_ids", diff_ids));
	json_object_set(config, "history", (json_t *)history);
	config = go_json_sorted(take_ptr(&config));
	return write_value(&b, config, 0) ? buf_steal(&b) : NULL;
}
