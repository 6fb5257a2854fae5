/* SPDX-License-Identifier: MPL-2.0
 *
 * hosts_files.h - the pure parts of hosts_files.c. network_write_files is in network.h.
 */
#ifndef APISERVER_HOSTS_FILES_H
#define APISERVER_HOSTS_FILES_H

#include <stdbool.h>

#include "buf.h"

/* entry: "name:ip", "name=ip", ip may be in brackets or "host-gateway". What is no clean word is
 * left out. */
void hosts_add_extra(struct buf *b, const char *entry, const char *host_gateway);
void hosts_add_own(struct buf *b, const char *ip, const char *hostname, const char *domain);

void hosts_drop_ip(struct buf *b, const char *ip); /* its lines */
/* The lines that have name first among their names: they get the other address (of their kind; "" leaves them), or go. */
void hosts_move(struct buf *b, const char *name, const char *ip, const char *ip6);
void hosts_drop_name(struct buf *b, const char *name);

struct resolv {
	char **servers, **search, **options; /* owned vectors or NULL */
	bool given_servers;		     /* by --dns or the configuration */
};
void resolv_parse(const char *text, struct resolv *r); /* adds to r */
void resolv_fini(struct resolv *r);
/* Drops servers that a zone cannot reach; puts Docker's default ones where none is left. */
void resolv_for_zone(struct resolv *r);
void resolv_write(const struct resolv *r, struct buf *b);

#endif
