/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_store.c - see mdata_store.h.
 */
#include "mdata_store.h"

#include <string.h>

#include "fs.h"
#include "jw.h"
#include "str.h"

#define FILE_MAX   (8 * 1024 * 1024)
#define VALUES_MAX 65536

bool mdata_is_readonly(const char *key)
{
	return str_starts(key, "sdc:") || str_starts(key, "docker:");
}

/* Neither the platform's nor internal (names that end in _pw): what mdata-list shows. */
static bool is_guests(const char *key)
{
	return !mdata_is_readonly(key) && !str_ends(key, "_pw");
}

int mdata_store_load(struct mdata_store *s, struct err *err)
{
	int rc;

	if (s->loaded)
		return 0;
	rc = fs_read_file(s->path, FILE_MAX, &s->text, err);
	if (rc == -ENOENT) {
		buf_reset(&s->text);
		buf_addstr(&s->text, "{}");
	} else if (rc < 0) {
		mdata_store_drop(s);
		return rc;
	}
	if (json_parse(&s->j, s->text.p ? s->text.p : (char[]){ "" }, s->text.len, VALUES_MAX) <
		    0 ||
	    s->j.v->type != JSON_OBJ) {
		mdata_store_drop(s);
		return err_kind(err, ERR_SYSTEM, "%s is not a JSON object", s->path);
	}
	s->loaded = true;
	return 0;
}

void mdata_store_drop(struct mdata_store *s)
{
	json_fini(&s->j);
	buf_fini(&s->text);
	s->loaded = false;
}

const char *mdata_store_get(const struct mdata_store *s, const char *key, size_t *len)
{
	const struct json_val *v = json_get(&s->j, s->j.v, key);

	if (!v || v->type != JSON_STR)
		return NULL;
	*len = v->n;
	return v->s;
}

/* Iterates keys; *v is the value. */
static const struct json_val *next_pair(const struct mdata_store *s, const struct json_val *v,
					const struct json_val **out)
{
	const struct json_val *k = v ? json_next(&s->j, s->j.v, v) : json_first(&s->j, s->j.v);

	if (k)
		*out = &s->j.v[k->next];
	return k;
}

void mdata_store_keys(const struct mdata_store *s, struct buf *out)
{
	const struct json_val *k, *v = NULL;

	while ((k = next_pair(s, v, &v)))
		if (is_guests(k->s))
			buf_printf(out, "%s%s", out->len ? "\n" : "", k->s);
}

static int check_limits(const struct mdata_store *s, const char *key, size_t len, struct err *err)
{
	size_t total = strlen(key) + len, n = 1;
	const struct json_val *k, *v = NULL;

	if (len > MDATA_VALUE_MAX)
		return err_kind(err, ERR_BAD_PARAM, "value is longer than %d bytes",
				MDATA_VALUE_MAX);
	while ((k = next_pair(s, v, &v))) {
		if (mdata_is_readonly(k->s) || strcmp(k->s, key) == 0)
			continue;
		total += k->n + v->n;
		n++;
	}
	if (n > MDATA_GUEST_KEYS || total > MDATA_GUEST_MAX)
		return err_kind(err, ERR_BAD_PARAM, "too much metadata");
	return 0;
}

int mdata_store_set(struct mdata_store *s, const char *key, const char *value, size_t len,
		    bool as_guest, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	const struct json_val *k, *v = NULL;
	int rc;

	if (!*key || strlen(key) > MDATA_KEY_MAX || strpbrk(key, "\n\r"))
		return err_kind(err, ERR_BAD_PARAM, "invalid key");
	if (value && memchr(value, '\0', len))
		return err_kind(err, ERR_BAD_PARAM, "value has a NUL byte");
	if ((rc = mdata_store_load(s, err)) < 0)
		return rc;
	if (as_guest && value && (rc = check_limits(s, key, len, err)) < 0)
		return rc;
	if (!value && !json_get(&s->j, s->j.v, key))
		return 0;
	jw_obj(&w, NULL);
	while ((k = next_pair(s, v, &v)))
		if (v->type == JSON_STR && strcmp(k->s, key) != 0)
			jw_strn(&w, k->s, v->s, v->n);
	if (value)
		jw_strn(&w, key, value, len);
	jw_end(&w);
	mdata_store_drop(s);
	return fs_write_replace(s->path, b.p, b.len, 0600, err);
}
