/* SPDX-License-Identifier: MPL-2.0
 *
 * environ.c - see environ.h. The messages are what Docker's clients and users know: those of Go's
 * os/exec.LookPath.
 */
#include "environ.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Entries in their order, some of them taken out again (NULL), and a hash table of their places. */
struct table {
	char **entry;
	size_t len;
	size_t *slot; /* place + 1; 0: free */
	size_t mask;
};

static bool table_init(struct table *t, size_t max)
{
	t->len = 0;
	for (t->mask = 15; t->mask < max * 2; t->mask = t->mask * 2 + 1)
		;
	t->entry = calloc(max + 1, sizeof(*t->entry));
	t->slot = calloc(t->mask + 1, sizeof(*t->slot));
	return t->entry && t->slot;
}

/* The slot of key (n bytes): that of its entry, or the free one that it would take. */
static size_t *slot_of(const struct table *t, const char *key, size_t n)
{
	uint64_t h = 14695981039346656037u;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)key[i]) * 1099511628211u; /* FNV-1a */
	for (;; h++) {
		size_t *slot = &t->slot[h & t->mask];
		const char *e = *slot ? t->entry[*slot - 1] : NULL;

		if (!*slot || (e && strncmp(e, key, n) == 0 && e[n] == '='))
			return slot;
	}
}

static void table_set(struct table *t, char *entry)
{
	size_t *slot = slot_of(t, entry, strcspn(entry, "="));

	if (!*slot)
		*slot = ++t->len;
	t->entry[*slot - 1] = entry;
}

/* The entries without gaps; the table is no more. */
static char **table_end(struct table *t)
{
	size_t n = 0, i;

	for (i = 0; i < t->len; i++)
		if (t->entry[i])
			t->entry[n++] = t->entry[i];
	t->entry[n] = NULL;
	free(t->slot);
	return t->entry;
}

static char *join(const char *key, const char *value)
{
	size_t n = strlen(key) + strlen(value) + 1;
	char *s = malloc(n);

	if (s)
		snprintf(s, n, "%s%s", key, value);
	return s;
}

char **environ_build(char *const *user_env, const char *hostname, bool tty, const char *home)
{
	static char path[] = "PATH=" ENVIRON_PATH, term[] = "TERM=xterm";
	char *own_hostname = join("HOSTNAME=", hostname), *own_home;
	size_t n = 0, *slot, i;
	struct table t;

	while (user_env[n])
		n++;
	if (!own_hostname || !table_init(&t, n + 4))
		return NULL;
	table_set(&t, path);
	table_set(&t, own_hostname);
	if (tty)
		table_set(&t, term);
	for (i = 0; i < n; i++) {
		slot = slot_of(&t, user_env[i], strcspn(user_env[i], "="));
		if (*slot && t.entry[*slot - 1] == own_hostname)
			free(own_hostname);
		if (strchr(user_env[i], '='))
			table_set(&t, user_env[i]);
		else if (*slot)
			t.entry[*slot - 1] = NULL;
	}
	slot = slot_of(&t, "HOME", 4);
	if (!*slot || !t.entry[*slot - 1][5]) {
		if (!(own_home = join("HOME=", home)))
			return NULL;
		table_set(&t, own_home);
	}
	return table_end(&t);
}

const char *environ_get(char *const *env, const char *key)
{
	size_t n = strlen(key);

	for (; *env; env++)
		if (strncmp(*env, key, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

const char *environ_strerror(int errnum)
{
	static char text[64];
	size_t i;

	switch (errnum) {
	case ENOENT:
		return "no such file or directory";
	case EACCES:
		return "permission denied";
	case EPERM:
		return "operation not permitted";
	case ENOTDIR:
		return "not a directory";
	case EISDIR:
		return "is a directory";
	case ENOEXEC:
		return "exec format error";
	case ELOOP:
		return "too many levels of symbolic links";
	case ENAMETOOLONG:
		return "file name too long";
	case E2BIG:
		return "argument list too long";
	case EROFS:
		return "read-only file system";
	default:
		snprintf(text, sizeof(text), "%s", strerror(errnum));
		for (i = 0; text[i]; i++)
			text[i] = (char)tolower((unsigned char)text[i]);
		return text;
	}
}

int environ_exit_code(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR ? 127 : 126;
}

/* 0, or an errno. *why gets the text when it is more than the errno's. */
static int check_exec(const char *path, const char **why)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode)) {
		*why = "is a directory: permission denied";
		return EACCES;
	}
	return access(path, X_OK) < 0 ? errno : 0;
}

/* Go's %q for what commonly occurs. */
static void quote(char *out, size_t size, const char *s)
{
	size_t o = 0;

	for (; *s && o + 6 < size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			out[o++] = '\\';
			out[o++] = (char)c;
		} else if (c == '\n' || c == '\t' || c == '\r') {
			out[o++] = '\\';
			out[o++] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
		} else if (c < 0x20 || c == 0x7f) {
			o += (size_t)snprintf(out + o, size - o, "\\x%02x", c);
		} else {
			out[o++] = (char)c;
		}
	}
	out[o] = '\0';
}

static int fail(struct err *err, int errnum, const char *file, const char *fmt, const char *arg)
{
	char q[600], why[700];

	quote(q, sizeof(q), file);
	snprintf(why, sizeof(why), fmt, arg);
	err->code = -errnum;
	err->kind = ERR_BAD_PARAM;
	snprintf(err->msg, sizeof(err->msg), "exec: \"%.500s\": %.500s", q, why);
	return err->code;
}

int environ_find_exec(const char *file, const char *path, char out[PATH_MAX], struct err *err)
{
	const char *why = NULL, *p = path ? path : "";
	int rc, n;

	if (strchr(file, '/')) {
		char stat_text[600];

		rc = check_exec(file, &why);
		n = snprintf(out, PATH_MAX, "%s", file);
		if (rc == 0 && n < PATH_MAX)
			return 0;
		if (rc == 0 || rc == EACCES)
			return fail(err, rc ? rc : ENAMETOOLONG, file, "%s",
				    why ? why : environ_strerror(rc ? rc : ENAMETOOLONG));
		snprintf(stat_text, sizeof(stat_text), "stat %.450s: %s", file,
			 environ_strerror(rc));
		return fail(err, rc, file, "%s", stat_text);
	}
	while (*file) {
		size_t dir = strcspn(p, ":");

		/* an empty element is the current directory, which is refused as in Go */
		if (dir && dir < PATH_MAX &&
		    (n = snprintf(out, PATH_MAX, "%.*s/%s", (int)dir, p, file)) < PATH_MAX &&
		    check_exec(out, &why) == 0) {
			if (out[0] == '/')
				return 0;
			return fail(err, ENOENT, file, "%s",
				    "cannot run executable found relative to current directory");
		}
		if (!p[dir])
			break;
		p += dir + 1;
	}
	return fail(err, ENOENT, file, "%s", "executable file not found in $PATH");
}
