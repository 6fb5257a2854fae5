/* SPDX-License-Identifier: MPL-2.0
 *
 * build_source.h - the sources of a COPY or ADD: found by name or pattern, downloaded, hashed.
 * Worker.
 */
#ifndef APISERVER_BUILD_SOURCE_H
#define APISERVER_BUILD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct build;

/* One file or directory. */
struct build_source {
	char *path; /* as it was named: its last part is the file's name in a directory */
	int dir_fd; /* a directory: itself; else the one that holds leaf */
	char *leaf; /* no symbolic link */
	bool is_dir, is_archive, fetched;
	char hash[80]; /* file:<hex> or dir:<hex> */
};
void build_source_fini(struct build_source *s);

/* "/a/../b/." -> "b": as text, without going above the root. Owned. Pure. */
char *build_path_clean(const char *path);
bool build_path_leads_out(const char *path); /* "../x", "x/../../y" */
/* Adds what name, a path or a pattern in root_fd, stands for. context: errors speak of it. */
int build_source_find(int root_fd, const char *name, bool context, struct build_source **v,
		      size_t *n, struct err *err);
/* Adds the body of a URL, put into root_fd. */
int build_source_fetch(struct build *b, int root_fd, const char *url, const char *dest,
		       struct build_source **v, size_t *n, struct err *err);
/* keep_owner: owners count. */
int build_source_hash(struct build *b, struct build_source *s, bool keep_owner, struct err *err);
/* The one hash, or "multi:" and a hash of them. Owned. */
char *build_source_hashes(const struct build_source *v, size_t n);

#endif
