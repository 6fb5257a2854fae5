/* SPDX-License-Identifier: MPL-2.0
 *
 * endpoint_opts.h - the driver options of an endpoint that act inside the zone:
 *	com.docker.network.endpoint.ifname=NAME		the name of its interface
 *	com.docker.network.endpoint.sysctls=S,S...	S: net.ipv4|ipv6|mpls.X.IFNAME.Y=V
 */
#ifndef APISERVER_ENDPOINT_OPTS_H
#define APISERVER_ENDPOINT_OPTS_H

#include <jansson.h>

#include "err.h"
#include "network.h"

/* Pure. Adds what is wrong to the vector faults (faults.h). */
void endpoint_opts_faults(const json_t *driver_opts, char ***faults);
/* The name that was asked for, or NULL. Borrowed. */
const char *endpoint_ifname(const struct endpoint *ep);
/* Pure. The name of spec's i-th interface: what was asked for, else the first ethN that no other one has. */
void endpoint_name_at(const struct endpoint *v, size_t n, size_t i, char name[16]);
/* Worker. Sets the sysctls of ep's interface in its namespace. */
int endpoint_sysctls_set(const struct endpoint *ep, const char *ifname, int netns_fd, struct err *err);

#endif
