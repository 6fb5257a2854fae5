/* SPDX-License-Identifier: MPL-2.0
 *
 * store_key.c - reads the store's credentials. No message of ours has a value out of these files.
 */
#include "store_key.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "str.h"

#define KEY_MAX (64 * 1024)

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void store_key_fini(struct store_key *key)
{
	wipe(key->id);
	wipe(key->secret);
	wipe(key->token);
	wipe(key->pem);
	memset(key, 0, sizeof(*key));
}

static int read_private(const char *path, char **out, struct err *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[KEY_MAX];
	struct stat sb;
	ssize_t n;

	if (fd < 0 || fstat(fd, &sb) < 0)
		return err_sys(err, "open %s", path);
	if (!S_ISREG(sb.st_mode) || (sb.st_uid != 0 && sb.st_uid != geteuid()) || (sb.st_mode & 077))
		return err_sysnum(err, EACCES, "%s must be a file of root's that nobody else may read", path);
	n = read(fd, text, sizeof(text));
	if (n < 0 || n == (ssize_t)sizeof(text))
		return n < 0 ? err_sys(err, "read %s", path) : err_sysnum(err, EFBIG, "%s", path);
	*out = xstrndup(text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	return 0;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* What goes into headers, or is signed with. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (!isgraph((unsigned char)*s))
			return false;
	return true;
}

static int take_line(char *line, int nr, bool manta, struct store_key *out, char **pem_path, struct err *err)
{
	const struct {
		const char *name;
		bool manta;
		char **to;
	} names[] = { { "access-key-id", false, &out->id },	{ "secret-access-key", false, &out->secret },
		      { "session-token", false, &out->token }, { "key-id", true, &out->id },
		      { "private-key", true, pem_path } };
	char *eq = strchr(line, '='), *name, *value;

	if (!eq)
		return err_kind(err, ERR_BAD_PARAM, "line %d: expected name = value", nr);
	*eq = '\0';
	name = trim(line);
	value = trim(eq + 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!str_eq(names[i].name, name) || names[i].manta != manta)
			continue;
		if (!*value || !is_plain(value))
			return err_kind(err, ERR_BAD_PARAM, "line %d: no value for %s that can be used", nr, names[i].name);
		wipe(*names[i].to);
		*names[i].to = xstrdup(value);
		return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "line %d: not a name that %s credentials have", nr, manta ? "Manta's" : "S3's");
}

int store_key_parse(char *text, bool manta, struct store_key *out, char **pem_path, struct err *err)
{
	char *end, *line;
	int nr = 1, rc = 0;

	memset(out, 0, sizeof(*out));
	*pem_path = NULL;
	for (char *p = text; rc == 0 && *p; p = end, nr++) {
		end = strchrnul(p, '\n');
		if (*end)
			*end++ = '\0';
		line = trim(p);
		if (*line && *line != '#')
			rc = take_line(line, nr, manta, out, pem_path, err);
	}
	if (rc == 0 && !out->id)
		rc = err_kind(err, ERR_BAD_PARAM, "no %s", manta ? "key-id" : "access-key-id");
	if (rc == 0 && (manta ? !*pem_path : !out->secret))
		rc = err_kind(err, ERR_BAD_PARAM, "no %s", manta ? "private-key" : "secret-access-key");
	if (rc < 0) {
		store_key_fini(out);
		free(take_ptr(pem_path));
	}
	return rc;
}

int store_key_load(const char *path, bool manta, struct store_key *out, struct err *err)
{
	cleanup_free char *pem_path = NULL;
	char *text = NULL;
	int rc;

	if ((rc = read_private(path, &text, err)) < 0)
		return rc;
	rc = store_key_parse(text, manta, out, &pem_path, err);
	wipe(text);
	if (rc < 0)
		return err_wrap(err, rc, "%s", path);
	if (pem_path && (rc = read_private(pem_path, &out->pem, err)) < 0)
		store_key_fini(out);
	return rc;
}
