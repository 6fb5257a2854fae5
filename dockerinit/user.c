/* SPDX-License-Identifier: MPL-2.0
 *
 * user.c - see user.h. Docker's rules: a number is only ever compared with ids, never with names;
 * an unknown number is fine (group 0), an unknown name is not; with an explicit group there are no
 * supplementary ones; fields that are missing or no numbers count as empty or 0. The files belong
 * to the image: only regular files of a bounded size are read.
 */
#include "user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define FILE_MAX (16 * 1024 * 1024)
#define ID_MAX	 2147483647LL
#define N_FIELDS 7

struct text {
	char *p; /* NUL-terminated; NULL when there is no such file */
	size_t len;
};

static void text_fini(struct text *t)
{
	free(t->p);
}

static void text_read(struct text *t, const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return;
	t->p = malloc((size_t)st.st_size + 1);
	if (!t->p)
		return;
	while (t->len < (size_t)st.st_size &&
	       (n = read(fd, t->p + t->len, (size_t)st.st_size - t->len)) > 0)
		t->len += (size_t)n;
	t->p[t->len] = '\0';
}

struct span {
	const char *p;
	size_t len;
};

/* The next line, split at the colons; false at the end. Missing fields are empty. */
static bool next_line(const char **pos, struct span f[N_FIELDS])
{
	const char *p = *pos, *end;
	size_t i;

	while (p && *p) {
		const char *nl = strchr(p, '\n');

		end = nl ? nl : p + strlen(p);
		*pos = nl ? nl + 1 : end;
		while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
			p++;
		while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
			end--;
		if (p == end) {
			p = *pos;
			continue;
		}
		for (i = 0; i < N_FIELDS; i++) {
			const char *colon = p ? memchr(p, ':', (size_t)(end - p)) : NULL;

			f[i].p = p ? p : "";
			f[i].len = p ? (size_t)((colon ? colon : end) - p) : 0;
			p = colon ? colon + 1 : NULL;
		}
		return true;
	}
	return false;
}

static bool span_is(struct span s, const char *name)
{
	return strlen(name) == s.len && memcmp(s.p, name, s.len) == 0;
}

/* Decimal with an optional sign, all of it. */
static bool span_number(struct span s, int64_t *out)
{
	bool neg = s.len && *s.p == '-';
	size_t i = s.len && (*s.p == '-' || *s.p == '+');
	int64_t v = 0;

	if (i == s.len)
		return false;
	for (; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || v > INT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*out = neg ? -v : v;
	return true;
}

static int64_t span_id(struct span s)
{
	int64_t v;

	return span_number(s, &v) ? v : 0;
}

static struct span span_of(const char *s)
{
	return (struct span){ s, strlen(s) };
}

/* A comma-separated list of names. */
static bool list_has(struct span list, const char *name)
{
	const char *p = list.p, *end = list.p + list.len;

	while (p <= end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (span_is((struct span){ p, (size_t)(stop - p) }, name))
			return true;
		p = stop + 1;
	}
	return false;
}

static int id_range(struct err *err)
{
	return err_kind(err, ERR_SYSTEM, "uids and gids must be in range 0-2147483647");
}

static int add_group(struct user *u, int64_t gid)
{
	size_t i;

	if (gid < 0 || gid > ID_MAX)
		return 0;
	for (i = 0; i < u->n_groups; i++)
		if (u->groups[i] == (uint32_t)gid)
			return 0;
	if (u->n_groups == USER_GROUPS_MAX)
		return -1;
	u->groups[u->n_groups++] = (uint32_t)gid;
	return 0;
}

/* The user part. name gets the matched entry's name, "" without one. */
static int find_user(const struct text *passwd, const char *arg, struct user *u, char name[256],
		     struct err *err)
{
	const char *pos = passwd->p;
	struct span f[N_FIELDS];
	int64_t want = 0;
	bool number = !*arg || span_number(span_of(arg), &want);

	while (next_line(&pos, f)) {
		int64_t uid = span_id(f[2]), gid = span_id(f[3]);
		size_t n = f[0].len < 255 ? f[0].len : 255;

		if (number ? uid != want : !span_is(f[0], arg))
			continue;
		if (uid < 0 || uid > ID_MAX || gid < 0 || gid > ID_MAX)
			return id_range(err);
		u->uid = (uint32_t)uid;
		u->gid = (uint32_t)gid;
		memcpy(name, f[0].p, n);
		name[n] = '\0';
		n = f[5].len < sizeof(u->home) - 1 ? f[5].len : sizeof(u->home) - 1;
		memcpy(u->home, f[5].p, n);
		u->home[n] = '\0';
		return 0;
	}
	if (!number)
		return err_kind(err, ERR_SYSTEM,
				"unable to find user %s: no matching entries in passwd file", arg);
	if (want < 0 || want > ID_MAX)
		return id_range(err);
	u->uid = (uint32_t)want;
	return 0;
}

/* unable: the word as Docker writes it, which differs for additional groups. */
static int find_group(const struct text *group, const char *arg, const char *unable, int64_t *out, struct err *err)
{
	const char *pos = group->p;
	struct span f[N_FIELDS];
	int64_t want;
	bool number = span_number(span_of(arg), &want);

	while (next_line(&pos, f)) {
		if (number ? span_id(f[2]) != want : !span_is(f[0], arg))
			continue;
		*out = span_id(f[2]);
		return *out < 0 || *out > ID_MAX ? id_range(err) : 0;
	}
	if (!number)
		return err_kind(err, ERR_SYSTEM,
				"%s to find group %s: no matching entries in group file", unable, arg);
	if (want < 0 || want > ID_MAX)
		return id_range(err);
	*out = want;
	return 0;
}

static int too_many(struct err *err)
{
	return err_kind(err, ERR_SYSTEM, "more than %d supplementary groups", USER_GROUPS_MAX);
}

static int user_groups(const struct text *group, const char *name, struct user *u, struct err *err)
{
	const char *pos = group->p;
	struct span f[N_FIELDS];

	while (next_line(&pos, f))
		if (list_has(f[3], name) && add_group(u, span_id(f[2])) < 0)
			return too_many(err);
	return 0;
}

int user_resolve(const char *spec, char *const *group_add, const char *passwd_path,
		 const char *group_path, struct user *out, struct err *err)
{
	__attribute__((cleanup(text_fini))) struct text passwd = { 0 }, group = { 0 };
	const char *colon = strchr(spec, ':'), *group_arg = colon ? colon + 1 : "";
	cleanup_free char *user_arg = strndup(spec, colon ? (size_t)(colon - spec) : strlen(spec));
	char name[256] = "";
	int64_t gid;
	int rc;

	memset(out, 0, sizeof(*out));
	out->home[0] = '/';
	if (!user_arg)
		return err_sysnum(err, ENOMEM, "resolve user");
	text_read(&passwd, passwd_path);
	text_read(&group, group_path);
	if ((rc = find_user(&passwd, user_arg, out, name, err)) < 0)
		return rc;
	if (*group_arg) {
		if ((rc = find_group(&group, group_arg, "unable", &gid, err)) < 0)
			return rc;
		out->gid = (uint32_t)gid;
	}
	add_group(out, out->gid);
	if (!*group_arg && *name && (rc = user_groups(&group, name, out, err)) < 0)
		return rc;
	for (; group_add && *group_add; group_add++) {
		if ((rc = find_group(&group, *group_add, "Unable", &gid, err)) < 0)
			return rc;
		if (add_group(out, gid) < 0)
			return too_many(err);
	}
	return 0;
}
