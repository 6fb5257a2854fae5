/* SPDX-License-Identifier: MPL-2.0
 *
 * go_json.c - typed decoding by tables, with the errors of Go's encoding/json.
 *
 * Design: jansson parses; the tables say what each member must be. A member of a wrong type is an
 * error that names value, struct, path and type: "json: cannot unmarshal string into Go struct
 * field HostConfig.HostConfig.Resources.Memory of type int64" (the struct is the innermost one, the
 * path starts at the top and names embedded structs, as of Go 1.24). As Go does, the first such member in the order of the body is the one
 * reported. What is not well-formed goes through go_syntax.c for the text.
 */
#include "apiserver/go_json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/go_syntax.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define MAX_FIELDS 96
#define MAX_PATH   512

/* Where in the body a value stands; path is shared by all levels. */
struct place {
	const char *struct_name; /* NULL at the top */
	const char *path;
};

static int decode_struct(const struct go_struct *s, const json_t *in, const char *path,
			 json_t **out, struct err *err);

int go_json_parse(const char *body, size_t len, json_t **out, struct err *err)
{
	char why[160];
	int rc;

	while (len > 0 && strchr(" \t\r\n", body[0]) && body[0] != '\0') {
		body++;
		len--;
	}
	if (len == 0)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid JSON: got EOF while reading request body");
	if ((rc = jparse(body, len, out, err)) >= 0)
		return rc;
	switch (go_syntax_check(body, len, why)) {
	case GO_SYNTAX_BAD:
		return err_kind(err, ERR_BAD_PARAM, "invalid JSON: %s", why);
	case GO_SYNTAX_MORE:
		return err_kind(err, ERR_BAD_PARAM, "unexpected content after JSON");
	case GO_SYNTAX_OK: /* not for jansson: what it said stays */
		break;
	}
	return rc;
}

static const char *value_name(const json_t *v, char buf[64])
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	case JSON_NULL:
		return "null";
	}
	str_copy(buf, 64, "value");
	return buf;
}

static int err_type(const struct place *at, const char *value, const char *type_name,
		    struct err *err)
{
	if (!at->struct_name)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid JSON: json: cannot unmarshal %s into Go value of type %s",
				value, type_name);
	return err_kind(
		err, ERR_BAD_PARAM,
		"invalid JSON: json: cannot unmarshal %s into Go struct field %s.%s of type %s",
		value, at->struct_name, at->path, type_name);
}

static int err_value(const struct place *at, const json_t *v, const char *type_name,
		     struct err *err)
{
	char buf[64];

	return err_type(at, value_name(v, buf), type_name, err);
}

/* A number that is one, but not of the type: Go shows it. */
static int err_number(const struct place *at, const json_t *v, const char *type_name,
		      struct err *err)
{
	cleanup_free char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	cleanup_free char *value = xasprintf("number %s", text ? text : "?");

	return err_type(at, value, type_name, err);
}

static int decode_number(const struct place *at, const json_t *v, int64_t min, uint64_t max,
			 const char *type_name, json_t **out, struct err *err)
{
	json_int_t n;

	if (json_is_real(v))
		return err_number(at, v, type_name, err);
	if (!json_is_integer(v))
		return err_value(at, v, type_name, err);
	n = json_integer_value(v);
	if (n < min || (n > 0 && (uint64_t)n > max))
		return err_number(at, v, type_name, err);
	*out = json_integer(n);
	return 0;
}

static int decode_strs(const struct place *at, const json_t *v, json_t **out, struct err *err)
{
	cleanup_json json_t *list = NULL;
	json_t *item;
	size_t i;

	if (!json_is_array(v))
		return err_value(at, v, "[]string", err);
	list = json_array();
	json_array_foreach (v, i, item) {
		if (json_is_null(item))
			json_array_append_new(list, json_string(""));
		else if (json_is_string(item))
			json_array_append(list, item);
		else
			return err_value(at, item, "string", err);
	}
	*out = take_ptr(&list);
	return 0;
}

/* What is no list of strings is then taken for a string, and the error is of that. */
static int decode_strslice(const struct place *at, const json_t *v, json_t **out, struct err *err)
{
	struct err ignored = { 0 };

	if (json_is_string(v)) {
		*out = json_pack("[O]", v);
		return 0;
	}
	return decode_strs(at, v, out, &ignored) < 0 ? err_value(at, v, "string", err) : 0;
}

static int decode_strs_list(const struct place *at, const json_t *v, json_t **out, struct err *err)
{
	cleanup_json json_t *list = NULL;
	json_t *item;
	size_t i;
	int rc;

	if (!json_is_array(v))
		return err_value(at, v, "[][]string", err);
	list = json_array();
	json_array_foreach (v, i, item) {
		json_t *one = NULL;

		if (json_is_null(item))
			one = json_null();
		else if ((rc = decode_strs(at, item, &one, err)) < 0)
			return rc;
		json_array_append_new(list, one);
	}
	*out = take_ptr(&list);
	return 0;
}

static int key_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *go_json_sorted(json_t *map)
{
	size_t n = json_object_size(map);
	cleanup_free const char **keys = n > 1 ? xcalloc(n, sizeof(*keys)) : NULL;
	json_t *sorted;
	const char *key;
	json_t *v;
	size_t i = 0;

	if (n < 2)
		return map;
	json_object_foreach (map, key, v)
		keys[i++] = key;
	qsort(keys, n, sizeof(*keys), key_cmp);
	sorted = json_object();
	for (i = 0; i < n; i++)
		json_object_set(sorted, keys[i], json_object_get(map, keys[i]));
	json_decref(map);
	return sorted;
}

static int decode_str_map(const struct place *at, const json_t *v, const char *type_name,
			  json_t **out, struct err *err)
{
	cleanup_json json_t *map = NULL;
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return err_value(at, v, type_name, err);
	map = json_object();
	json_object_foreach ((json_t *)v, key, item) {
		if (json_is_null(item))
			json_object_set_new(map, key, json_string(""));
		else if (json_is_string(item))
			json_object_set(map, key, item);
		else
			return err_value(at, item, "string", err);
	}
	*out = go_json_sorted(take_ptr(&map));
	return 0;
}

static int decode_set(const struct place *at, const json_t *v, const char *type_name, json_t **out,
		      struct err *err)
{
	cleanup_json json_t *map = NULL;
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return err_value(at, v, type_name, err);
	map = json_object();
	json_object_foreach ((json_t *)v, key, item) {
		if (!json_is_object(item) && !json_is_null(item))
			return err_value(at, item, "struct {}", err);
		json_object_set_new(map, key, json_object());
	}
	*out = go_json_sorted(take_ptr(&map));
	return 0;
}

/* [2]uint: too few are filled with 0, too many are ignored. */
static int decode_pair(const struct place *at, const json_t *v, json_t **out, struct err *err)
{
	cleanup_json json_t *list = NULL;
	int rc;

	if (!json_is_array(v))
		return err_value(at, v, "[2]uint", err);
	list = json_array();
	for (size_t i = 0; i < 2; i++) {
		json_t *item = json_array_get(v, i);
		json_t *n = NULL;

		if (!item || json_is_null(item))
			n = json_integer(0);
		else if ((rc = decode_number(at, item, 0, INT64_MAX, "uint", &n, err)) < 0)
			return rc;
		json_array_append_new(list, n);
	}
	*out = take_ptr(&list);
	return 0;
}

static int decode_list(const struct place *at, const struct go_field *f, const json_t *v,
		       json_t **out, struct err *err)
{
	cleanup_json json_t *list = NULL;
	bool pointers = f->type == GO_PTR_LIST;
	char type_name[96];
	json_t *item;
	size_t i;
	int rc;

	if (!json_is_array(v)) {
		if (str_fmt(type_name, sizeof(type_name), "[]%s%s", pointers ? "*" : "",
			    f->sub->type_name) < 0)
			abort();
		return err_value(at, v,
				 f->type_name && f->type != GO_MAP_LIST ? f->type_name : type_name,
				 err);
	}
	list = json_array();
	json_array_foreach (v, i, item) {
		json_t *one = NULL;

		if (pointers && json_is_null(item))
			continue; /* Go keeps a nil that its users trip over */
		if (!json_is_object(item) && !json_is_null(item))
			return err_value(at, item, f->sub->type_name, err);
		if ((rc = decode_struct(f->sub, item, at->path, &one, err)) < 0)
			return rc;
		json_array_append_new(list, one);
	}
	*out = take_ptr(&list);
	return 0;
}

static int decode_map(const struct place *at, const struct go_field *f, const json_t *v,
		      json_t **out, struct err *err)
{
	cleanup_json json_t *map = NULL;
	const char *key;
	json_t *item;
	int rc = 0;

	if (!json_is_object(v))
		return err_value(at, v, f->type_name, err);
	map = json_object();
	json_object_foreach ((json_t *)v, key, item) {
		json_t *one = NULL;

		if (json_is_null(item))
			one = json_null();
		else if (f->type == GO_MAP_LIST)
			rc = decode_list(at, f, item, &one, err);
		else if (!json_is_object(item))
			rc = err_value(at, item, f->sub->type_name, err);
		else
			rc = decode_struct(f->sub, item, at->path, &one, err);
		if (!one)
			return rc;
		json_object_set_new(map, key, one);
	}
	*out = go_json_sorted(take_ptr(&map));
	return 0;
}

static int decode_field(const struct place *at, const struct go_field *f, const json_t *v,
			json_t **out, struct err *err)
{
	const char *tn = f->type_name;

	switch (f->type) {
	case GO_STR:
		if (!json_is_string(v))
			return err_value(at, v, tn ? tn : "string", err);
		*out = json_incref((json_t *)v);
		return 0;
	case GO_BOOL:
	case GO_PTR_BOOL:
		if (!json_is_boolean(v))
			return err_value(at, v, "bool", err);
		*out = json_incref((json_t *)v);
		return 0;
	case GO_INT:
	case GO_PTR_INT:
		return decode_number(at, v, INT64_MIN, INT64_MAX, "int", out, err);
	case GO_INT64:
	case GO_PTR_INT64:
		return decode_number(at, v, INT64_MIN, INT64_MAX, tn ? tn : "int64", out, err);
	case GO_UINT16:
		return decode_number(at, v, 0, UINT16_MAX, "uint16", out, err);
	case GO_UINT32:
		return decode_number(at, v, 0, UINT32_MAX, tn ? tn : "uint32", out, err);
	case GO_UINT64:
		return decode_number(at, v, 0, INT64_MAX, "uint64", out, err);
	case GO_STRS:
		return decode_strs(at, v, out, err);
	case GO_STRSLICE:
		return decode_strslice(at, v, out, err);
	case GO_STR_MAP:
		return decode_str_map(at, v, "map[string]string", out, err);
	case GO_SET:
		return decode_set(at, v, tn ? tn : "map[string]struct {}", out, err);
	case GO_STRUCT:
	case GO_PTR_STRUCT:
		if (!json_is_object(v))
			return err_value(at, v, f->sub->type_name, err);
		return decode_struct(f->sub, v, at->path, out, err);
	case GO_LIST:
	case GO_PTR_LIST:
		return decode_list(at, f, v, out, err);
	case GO_MAP_LIST:
	case GO_MAP_PTR:
		return decode_map(at, f, v, out, err);
	case GO_STRS_LIST:
		return decode_strs_list(at, v, out, err);
	case GO_UINT_PAIR:
		return decode_pair(at, v, out, err);
	}
	abort();
}

static json_t *zero_struct(const struct go_struct *s);

static json_t *zero_value(const struct go_field *f)
{
	switch (f->type) {
	case GO_STR:
		return json_string("");
	case GO_BOOL:
		return json_false();
	case GO_INT:
	case GO_INT64:
	case GO_UINT16:
	case GO_UINT32:
	case GO_UINT64:
		return json_integer(0);
	case GO_STRUCT:
		return zero_struct(f->sub);
	case GO_UINT_PAIR:
		return json_pack("[i,i]", 0, 0);
	case GO_PTR_INT:
	case GO_PTR_INT64:
	case GO_PTR_BOOL:
	case GO_STRS:
	case GO_STRSLICE:
	case GO_STR_MAP:
	case GO_SET:
	case GO_PTR_STRUCT:
	case GO_LIST:
	case GO_PTR_LIST:
	case GO_MAP_LIST:
	case GO_MAP_PTR:
	case GO_STRS_LIST:
		return json_null();
	}
	abort();
}

/* What omitempty leaves out: false, 0, "", nil, and maps and lists without members. */
static bool is_empty(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_NULL:
	case JSON_FALSE:
		return true;
	case JSON_STRING:
		return json_string_length(v) == 0;
	case JSON_INTEGER:
		return json_integer_value(v) == 0;
	case JSON_ARRAY:
		return json_array_size(v) == 0;
	case JSON_OBJECT:
		return json_object_size(v) == 0;
	case JSON_REAL:
	case JSON_TRUE:
		return false;
	}
	return false;
}

/* A pointer that is set is not empty, whatever it points to. */
static bool is_pointer(enum go_type type)
{
	return type == GO_PTR_INT || type == GO_PTR_INT64 || type == GO_PTR_BOOL ||
	       type == GO_PTR_STRUCT;
}

static json_t *zero_struct(const struct go_struct *s)
{
	json_t *o = json_object();

	for (const struct go_field *f = s->fields; f->name; f++)
		if (!f->omit_empty)
			json_object_set_new(o, f->name, zero_value(f));
	return o;
}

/* An exact match wins over one that differs in case. The hint is where the next member of a body
 * in the struct's own order is found at once. */
static size_t find_field(const struct go_struct *s, size_t n, const char *key, size_t hint)
{
	if (hint < n && strcmp(s->fields[hint].name, key) == 0)
		return hint;
	for (size_t i = 0; i < n; i++)
		if (strcmp(s->fields[i].name, key) == 0)
			return i;
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(s->fields[i].name, key) == 0)
			return i;
	return n;
}

static int decode_members(const struct go_struct *s, size_t n, const json_t *in, const char *path,
			  json_t **values, struct err *err)
{
	char sub_path[MAX_PATH];
	size_t hint = 0;
	const char *key;
	json_t *v;
	int rc;

	json_object_foreach ((json_t *)in, key, v) {
		struct place at = { s->name, sub_path };
		size_t i = find_field(s, n, key, hint);
		const char *in_struct = i < n ? s->fields[i].embedded : NULL;
		json_t *decoded = NULL;

		if (i == n)
			continue;
		hint = i + 1;
		if (json_is_null(v))
			continue; /* no effect in Go */
		if (str_fmt(sub_path, sizeof(sub_path), "%s%s%s%s%s", path, path[0] ? "." : "",
			    in_struct ? in_struct : "", in_struct ? "." : "", s->fields[i].name) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid JSON: nested too deeply");
		if ((rc = decode_field(&at, &s->fields[i], v, &decoded, err)) < 0)
			return rc;
		json_decref(values[i]);
		values[i] = decoded;
	}
	return 0;
}

static int decode_struct(const struct go_struct *s, const json_t *in, const char *path,
			 json_t **out, struct err *err)
{
	json_t *values[MAX_FIELDS] = { 0 };
	json_t *o;
	size_t n = 0;
	int rc;

	while (s->fields[n].name)
		n++;
	assert(n <= MAX_FIELDS);
	if ((rc = decode_members(s, n, in, path, values, err)) < 0) {
		for (size_t i = 0; i < n; i++)
			json_decref(values[i]);
		return rc;
	}
	o = json_object();
	for (size_t i = 0; i < n; i++) {
		const struct go_field *f = &s->fields[i];
		json_t *v = values[i];

		if (f->omit_empty && (!v || (!is_pointer(f->type) && is_empty(v)))) {
			json_decref(v);
			continue;
		}
		json_object_set_new(o, f->name, v ? v : zero_value(f));
	}
	*out = o;
	return 0;
}

int go_json_decode(const struct go_struct *s, const json_t *in, json_t **out, struct err *err)
{
	struct place top = { NULL, "" };

	if (!in || json_is_null(in)) {
		*out = zero_struct(s);
		return 0;
	}
	if (!json_is_object(in))
		return err_value(&top, in, s->type_name, err);
	return decode_struct(s, in, "", out, err);
}
