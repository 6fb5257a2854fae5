/* SPDX-License-Identifier: MPL-2.0
 *
 * mountinfo.c - see mountinfo.h.
 *
 * A line: 36 35 98:0 /root /mount/point rw,noatime shared:1 master:2 - ext3 /dev/x rw; blanks in
 * paths are \040 and the like (proc(5)).
 */
#include "mountinfo.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "\040" and its like, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && is_octal(s[2]) && is_octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Whether path is at or below dir. */
static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1 && dir[0] == '/')
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The last line of the longest mount point above path: later mounts hide earlier ones. */
static int find(const char *path, char **out_at, bool *shared, bool *slave, struct err *err)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	cleanup_free char *best = NULL;
	size_t cap = 0;
	char *p, *at, *opts;
	int i;

	if (!f)
		return err_sys(err, "open /proc/self/mountinfo");
	while (getline(&line, &cap, f) > 0) {
		for (p = line, i = 0; i < 4 && p; i++)
			if ((p = strchr(p, ' ')))
				p++;
		if (!p)
			continue;
		at = strsep(&p, " ");
		if (!p)
			continue;
		unescape(at);
		if (!is_below(path, at) || (best && strlen(at) < strlen(best)))
			continue;
		opts = p;
		p = strstr(opts, " - ");
		if (p)
			*p = '\0';
		free(best);
		best = xstrdup(at);
		*shared = strstr(opts, " shared:") != NULL;
		*slave = strstr(opts, " master:") != NULL;
	}
	if (!best)
		return err_kind(err, ERR_SYSTEM, "no mount holds %s", path);
	*out_at = take_ptr(&best);
	return 0;
}

int mount_propagation(const char *path, char **out_at, bool *shared, bool *slave, struct err *err)
{
	char real[PATH_MAX];

	if (!realpath(path, real))
		return err_sys(err, "resolve %s", path);
	return find(real, out_at, shared, slave, err);
}
