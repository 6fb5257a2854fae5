/* SPDX-License-Identifier: MPL-2.0
 *
 * conf.c - sdc-docker.conf: reading, checking, looking up.
 *
 * To extend: a row in conf_keys.c, the same key in etc/sdc-docker.conf and sdc-docker.conf(5).
 */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define CONF_FILE_MAX (1024 * 1024)

struct conf {
	char **values; /* parallel to conf_keys; NULL: the default */
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

static int parse_line(struct conf *c, const char *path, int line, char *text, struct err *err)
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
	if (!find_key(key, &i))
		abort();
	free(c->values[i]);
	c->values[i] = xstrdup(value);
	return 0;
}

int conf_load(struct conf **out, const char *path, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct conf *c;
	char *p, *end;
	size_t n = 0;
	int line, rc = 0;

	while (conf_keys[n].name)
		n++;
	c = xcalloc(1, sizeof(*c));
	c->values = xcalloc(n + 1, sizeof(*c->values));
	if (path && (rc = fs_read_file(path, CONF_FILE_MAX, &text, err)) < 0) {
		conf_free(c);
		return rc;
	}
	for (p = text.p, line = 1; !rc && p && *p; p = end, line++) {
		end = strchrnul(p, '\n');
		if (*end)
			*end++ = '\0';
		rc = parse_line(c, path, line, p, err);
	}
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
	for (i = 0; conf_keys[i].name; i++)
		free(c->values[i]);
	free(c->values);
	free(c);
}

const char *conf_str(const struct conf *c, const char *key)
{
	size_t i;

	if (!find_key(key, &i))
		abort();
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
