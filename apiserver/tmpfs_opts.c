/* SPDX-License-Identifier: MPL-2.0
 *
 * tmpfs_opts.c - see tmpfs_opts.h. A later option takes the place of an earlier one of its group.
 */
#include "tmpfs_opts.h"

#include <string.h>

#include "cleanup.h"
#include "str.h"

/* Options of one group exclude each other. */
static const struct {
	const char *name;
	unsigned group;
} flags[] = {
	{ "ro", 1 },	     { "rw", 1 },	   { "suid", 2 },	   { "nosuid", 2 },
	{ "dev", 3 },	     { "nodev", 3 },	   { "exec", 4 },	   { "noexec", 4 },
	{ "sync", 5 },	     { "async", 5 },	   { "dirsync", 6 },	   { "mand", 7 },
	{ "nomand", 7 },     { "atime", 8 },	   { "noatime", 8 },	   { "diratime", 9 },
	{ "nodiratime", 9 }, { "bind", 10 },	   { "rbind", 10 },	   { "private", 11 },
	{ "rprivate", 11 },  { "shared", 11 },	   { "rshared", 11 },	   { "slave", 11 },
	{ "rslave", 11 },    { "unbindable", 11 }, { "runbindable", 11 },  { "relatime", 8 },
	{ "norelatime", 8 }, { "strictatime", 8 }, { "nostrictatime", 8 }, { "remount", 12 },
	{ "defaults", 13 },
};
static const char *const data_keys[] = { "size",      "mode",	   "uid", "gid",
					 "nr_inodes", "nr_blocks", "mpol" };

#define DATA_GROUP 100

/* 0: not an option of tmpfs. */
static unsigned group_of(const char *opt)
{
	size_t len = strcspn(opt, "="), i;

	if (opt[len] == '=') {
		for (i = 0; i < ARRAY_SIZE(data_keys); i++)
			if (strlen(data_keys[i]) == len && strncmp(opt, data_keys[i], len) == 0)
				return DATA_GROUP + (unsigned)i;
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(flags[i].name, opt) == 0)
			return flags[i].group;
	return 0;
}

int tmpfs_opts_merge(const char *user, char ***out, struct err *err)
{
	cleanup_strv char **all = strv_split("noexec,nosuid,nodev,rprivate", ',');
	cleanup_strv char **mine = strv_split(user ? user : "", ',');
	char **merged = NULL;
	size_t i, j, n;

	for (i = 0; mine && mine[i]; i++) {
		if (!mine[i][0])
			continue;
		if (group_of(mine[i]) == 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid tmpfs option [\"%s\"]",
					mine[i]);
		strv_add(&all, mine[i]);
	}
	n = strv_len(all);
	for (i = 0; i < n; i++) {
		for (j = i + 1; j < n && group_of(all[j]) != group_of(all[i]); j++)
			;
		if (j == n)
			strv_add(&merged, all[i]);
	}
	*out = merged;
	return 0;
}
