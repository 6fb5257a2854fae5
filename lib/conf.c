/* SPDX-License-Identifier: MPL-2.0
 *
 * conf.c - sdc-docker.conf: reading, checking, looking up.
 *
 * Values of the file never change once loaded. Overrides (service metadata) do: the pointer is
 * swapped, and the old text kept until conf_free, for readers in other threads. Operators make few
 * changes.
 *
 * To extend: a row in conf_keys.c, the same key in etc/sdc-docker.conf and sdc-docker.conf(5).
 */
#include "conf.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define CONF_FILE_MAX (1024 * 1024)

struct conf {
	char **values;		  /* parallel to conf_keys; NULL: the default */
	_Atomic(char *) *over;	  /* the same, set while we run; NULL: it is not */
	pthread_mutex_t lock;	  /* of those who set */
	char **retired;		  /* earlier overrides: somebody may still read them */
};

static const struct conf_key *find_key(const char *name, size_t *index)
{
	size_t i;

	for (i = 0; conf_keys[i].name; i++) {
		if (!strcmp(conf_keys[i].name, name)) {
			*index = i;
			return &conf_keys[i];
		}
	}
	return NULL;
}

int conf_check(const char *key, const char *value, struct err *err)
{
	const struct conf_key *k;
	int64_t n;
	size_t i;
	bool b;

	k = find_key(key, &i);
	if (!k)
		return err_kind(err, ERR_NOT_FOUND, "unknown key %s", key);
	switch (k->type) {
	case CONF_INT:
		if (parse_i64(value, INT64_MIN, INT64_MAX, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s: not a whole number: '%s'", key, value);
		if (n < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s: must not be negative: '%s'", key, value);
		break;
	case CONF_SIZE:
		if (parse_size(value, 1000, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s: not a size: '%s'", key, value);
		break;
	case CONF_BOOL:
		if (parse_bool(value, &b) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s: not true or false: '%s'", key, value);
		break;
	case CONF_STR:
	case CONF_LIST:
		break;
	}
	return 0;
}

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

static int parse_line(struct conf *c, bool over, const char *path, int line, char *text,
		      struct err *err)
{
	char *eq, *key, *value;
	size_t i = 0, n;
	int rc;

	text = trim(text);
	if (!*text || *text == '#')
		return 0;
	eq = strchr(text, '=');
	if (!eq)
		return err_kind(err, ERR_BAD_PARAM, "%s:%d: expected key = value", path, line);
	*eq = '\0';
	key = trim(text);
	value = trim(eq + 1);
	n = strlen(value);
	if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
		value[n - 1] = '\0';
		value++;
	}
	if ((rc = conf_check(key, value, err)) < 0)
		return err_wrap(err, rc, "%s:%d", path, line);
	if (over)
		return conf_override(c, key, value, err);
	if (!find_key(key, &i))
		abort();
	free(c->values[i]);
	c->values[i] = xstrdup(value);
	return 0;
}

static int parse_text(struct conf *c, bool over, const char *path, char *p, struct err *err)
{
	char *end;
	int line, rc = 0;

	for (line = 1; !rc && p && *p; p = end, line++) {
		end = strchrnul(p, '\n');
		if (*end)
			*end++ = '\0';
		rc = parse_line(c, over, path, line, p, err);
	}
	return rc;
}

static struct conf *conf_new(void)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	size_t n = 0;

	while (conf_keys[n].name)
		n++;
	c->values = xcalloc(n + 1, sizeof(*c->values));
	c->over = xcalloc(n + 1, sizeof(*c->over));
	c->retired = xcalloc(1, sizeof(*c->retired));
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

int conf_load(struct conf **out, const char *path, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct conf *c = conf_new();
	int rc = 0;

	if (path && (rc = fs_read_file(path, CONF_FILE_MAX, &text, err)) == 0)
		rc = parse_text(c, false, path, text.p, err);
	if (rc < 0) {
		conf_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void conf_free(struct conf *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; conf_keys[i].name; i++) {
		free(c->values[i]);
		free(atomic_load(&c->over[i]));
	}
	strv_free(c->retired);
	pthread_mutex_destroy(&c->lock);
	free(c->over);
	free(c->values);
	free(c);
}

/* ---- overrides -------------------------------------------------------------------------------- */

bool conf_is_metadata(const char *key)
{
	size_t i;

	return (isupper((unsigned char)key[0]) || strchr(key, '_')) && find_key(key, &i);
}

static void retire(struct conf *c, char *text)
{
	size_t n = strv_len(c->retired);

	c->retired = xrealloc(c->retired, (n + 2) * sizeof(*c->retired));
	c->retired[n] = text;
	c->retired[n + 1] = NULL;
}

int conf_override(struct conf *c, const char *key, const char *value, struct err *err)
{
	char *old;
	size_t i;
	int rc;

	if (!conf_is_metadata(key))
		return err_kind(err, ERR_BAD_PARAM, "%s is not a key of the service's metadata", key);
	if (value && (rc = conf_check(key, value, err)) < 0)
		return rc;
	if (!find_key(key, &i))
		abort();
	pthread_mutex_lock(&c->lock);
	old = atomic_load(&c->over[i]);
	if (!str_eq(old, value)) {
		atomic_store(&c->over[i], xstrdup(value));
		if (old)
			retire(c, old);
	}
	pthread_mutex_unlock(&c->lock);
	return 0;
}

const char *conf_overridden(const struct conf *c, const char *key)
{
	size_t i;

	if (!find_key(key, &i))
		abort();
	return c ? atomic_load(&c->over[i]) : NULL;
}

int conf_load_overrides(struct conf *c, const char *path, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;

	if (!fs_exists(path))
		return 0;
	if (fs_read_file(path, CONF_FILE_MAX, &text, err) < 0)
		return err->code;
	return parse_text(c, true, path, text.p, err);
}

struct conf *conf_dup(const struct conf *c)
{
	struct conf *d = conf_new();

	for (size_t i = 0; c && conf_keys[i].name; i++) {
		d->values[i] = xstrdup(c->values[i]);
		atomic_store(&d->over[i], xstrdup(atomic_load(&c->over[i])));
	}
	return d;
}

const char *conf_str(const struct conf *c, const char *key)
{
	const char *over;
	size_t i;

	if (!find_key(key, &i))
		abort();
	if (c && (over = atomic_load(&c->over[i])) != NULL)
		return over;
	return c && c->values[i] ? c->values[i] : conf_keys[i].def;
}

int64_t conf_int(const struct conf *c, const char *key)
{
	const struct conf_key *k;
	int64_t n = 0;
	size_t i;

	k = find_key(key, &i);
	if (!k)
		abort();
	if (k->type == CONF_SIZE)
		parse_size(conf_str(c, key), 1000, &n);
	else
		parse_i64(conf_str(c, key), INT64_MIN, INT64_MAX, &n);
	return n;
}

bool conf_bool(const struct conf *c, const char *key)
{
	bool b = false;

	parse_bool(conf_str(c, key), &b);
	return b;
}
