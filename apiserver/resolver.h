/* SPDX-License-Identifier: MPL-2.0
 *
 * resolver.h - 127.0.0.11, the name server inside every zone that is in a user-defined network. Own lock; any thread.
 */
#ifndef APISERVER_RESOLVER_H
#define APISERVER_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define RESOLVER_ADDRESS "127.0.0.11"

/* Serves the zone; upstreams: IPv4 addresses, asked in this order for names that no network has. One that
 * runs is replaced. netns_fd stays the caller's. Worker. */
int resolver_start(const char *ct_id, int netns_fd, char *const *upstreams, struct err *err);
void resolver_stop(const char *ct_id); /* none: fine */
void resolver_fini(void);

/* ---- what it asks (network_names.c) ---- */

/* Addresses of name as the zone sees it: the members of its user-defined networks by name, short id and alias, each also
 * with ".NETWORK". Returns how many are in ips; *known is true for a known name without an address too. */
size_t network_lookup(const char *ct_id, const char *name, uint32_t *ips, size_t max, bool *known);
bool network_lookup_ip(const char *ct_id, uint32_t ip, char *name, size_t size); /* "name.network" */

#endif
