/* SPDX-License-Identifier: MPL-2.0
 *
 * links.h - legacy links: what --link means on the default bridge. "--link db:sql" of web makes db reachable as
 * sql in web, and gives it the further name "web/sql".
 *
 * Loop thread only, but for the two of struct link_move, which jobs use.
 */
#ifndef APISERVER_LINKS_H
#define APISERVER_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "container.h"
#include "err.h"

/* Borrowed from the record of the container that has the link. */
struct link {
	const char *alias;
	const char *name;	 /* the other's, when it was linked */
	struct container *other; /* NULL: it has been removed */
};

/* At create: looks up what HostConfig.Links ("name[:alias]") names and keeps it by id in *extra. In a network of the
 * user's own a link is a name for the resolver: nothing to do here. BAD_PARAM, Docker's words. */
int links_make(const json_t *host_config, json_t **extra, struct err *err);
/* The i-th link of ct; false past the last one. */
bool link_at(const struct container *ct, size_t i, struct link *out);
bool link_del(struct container *ct, const char *alias); /* the caller saves ct */
/* "web/sql" of parent web: the linked container, or NULL. */
struct container *link_find(const struct container *parent, const char *alias);
/* Docker's "/db:/web/sql" for each, as HostConfig.Links shows it; null where there is none. */
json_t *links_shown(const struct container *ct);

/* At each start: the variables of ct's links (link_env.h) go to "link_env" and the lines of its hosts file, as
 * arrays of words, to "link_hosts" in the extra of ct and of spec. SYSTEM where a linked one does not run, or not on the default bridge. */
int links_resolve(struct container *ct, struct ct_spec *spec, struct err *err);

/* Running containers whose links name one that starts: their hosts files get its address. */
struct link_move {
	char uuid[37];
	char *alias;
};
size_t links_to(const struct container *ct, struct link_move **out); /* owned: link_moves_free */
void link_moves_free(struct link_move *v, size_t n);

#endif
