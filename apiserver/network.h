/* SPDX-License-Identifier: MPL-2.0
 *
 * network.h - networks, address management, and a zone's endpoint in one.
 *
 * Networks live in memory behind a lock of their own (network.c) and in the store. Functions marked
 * worker may block and are called by jobs; all are safe from any thread.
 */
#ifndef APISERVER_NETWORK_H
#define APISERVER_NETWORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

struct port_binding {
	uint16_t ct_port;
	char proto[5];		/* tcp udp sctp */
	char host_ip[46];	/* "": all; "0.0.0.0", "::": all of that family; as asked for */
	uint16_t host_port;	/* 0: any */
	uint16_t host_port_end; /* with a range "8000-8010:80": last; else == host_port */
	bool pair;		/* the same host port as the binding before, in the other family */
};

/* A container's place in one network. Plain data; copied with endpoint_copy. */
#define ENDPOINT_LINK_LOCALS_MAX 8
struct endpoint {
	char *network; /* name as given: "bridge", "host", "none", "container:ID", a network's name
			*/
	char network_id[65]; /* "" until connected */
	char endpoint_id[65];
	char ip[16], gateway[16]; /* dotted quads, "" if none */
	int prefix_len;
	char ip6[46], gateway6[46];
	int prefix_len6;
	char mac[18];
	char **aliases, **links, **dns_names;
	char *want_ip, *want_ip6, *want_mac; /* asked for by the user, or NULL */
	char **link_locals;		     /* further addresses, 169.254.0.0/16 and fe80::/64, or NULL */
	json_t *driver_opts;
	int gw_priority;
	bool connected;
	struct port_binding *ports; /* as published (actual host ports), while running */
	size_t n_ports;
};
void endpoint_fini(struct endpoint *ep);
void endpoint_copy(struct endpoint *dst, const struct endpoint *src);
/* dns_names: what others of a user-defined network find the container by, as Docker orders them:
 * name, aliases, short id, host name. */
void endpoint_set_names(struct endpoint *ep, const char *ct_id, const char *ct_name,
			const char *hostname);
/* The container has another name: among the names that others find it by, new_name takes old_name's
 * place. */
void endpoint_rename(struct endpoint *ep, const char *old_name, const char *new_name);
json_t *endpoint_to_json(const struct endpoint *ep); /* persisted form */
int endpoint_from_json(const json_t *o, struct endpoint *out, struct err *err);

/* At start: loads networks from the store, makes the default ones (bridge, host, none), the bridge
 * device and the nftables table, from the configuration. Blocking; before the loop runs. */
int network_init(struct err *err);
/* At stop (last == true: no zone runs any more): removes table and bridges. */
void network_fini(bool last);

/* Whether a network of this name or id exists; fills id (65 bytes). NOT_FOUND: "network X not
 * found". */
int network_resolve(const char *ref, char id[65], struct err *err);

/* Adds to the vector faults (faults.h) what is wrong with the fixed addresses ("" or NULL: none) in the network of that
 * name or id, which may not be there. */
void network_address_faults(const char *ref, const char *ip, const char *ip6, char ***faults);

/* Worker. Gives ep an address (want_ip or next free one), makes the veth pair with its peer in
 * netns_fd, named ifname (eth0, eth1 ...), with address, route and MAC; sets the published ports in
 * the one nftables table (picks free host ports, holds each by a listening socket so that others
 * get EADDRINUSE, Docker's message on conflict: "driver failed programming external connectivity on
 * endpoint NAME (ID): Bind for 0.0.0.0:80 failed: port is already allocated"). Undone wholly on
 * failure. netns_fd may be -1 only for host/none/container:. */
int network_attach(struct endpoint *ep, const char *ct_id, const char *ct_name, int netns_fd,
		   const char *ifname, bool default_route, const struct port_binding *want,
		   size_t n_want, struct err *err);
/* Worker. Releases address and ports; the veth goes with the netns (never deleted synchronously).
 * Idempotent. */
void network_detach(struct endpoint *ep, const char *ct_id);
/* Worker. A container's new name, for those in its networks. */
void network_rename(const char *ct_id, const char *old_name, const char *new_name);
/* After a restart of apiserver: marks address and ports of a live zone as used, re-adds missing nft
 * elements. */
int network_adopt(const struct endpoint *ep, const char *ct_id, struct err *err);
/* Once, when all live zones have been adopted: drops the redirections that nobody claimed. Before
 * the first attach. */
void network_adopt_end(void);

/* The name of a network by its id; owned. */
int network_name(const char *id, char **name, struct err *err);
/* Whether an endpoint in it can be the container's way out: a bridge that is not internal. */
bool network_gives_gateway(const char *ref);
bool network_is_user_defined(const char *ref);

/* Worker. For connect and disconnect of a running zone: the next free ethN inside; removal of ep's
 * device (before network_detach); the default route by ep's gateway (NULL: none). */
int network_free_ifname(int netns_fd, char name[16], struct err *err);
int network_unplug(const struct endpoint *ep, int netns_fd, struct err *err);
/* Publishes ports on an endpoint that is connected and has none. want is changed: what cannot be
 * published there is taken out. */
int network_publish(struct endpoint *ep, const char *ct_name, struct port_binding *want,
		    size_t n_want, struct err *err);
int network_set_gateway(const struct endpoint *ep, int netns_fd, struct err *err);

/* ---- the networks themselves (network_admin.c) ---- */

/* Worker. body: of POST /networks/create. name: owned. */
int network_create(const struct buf *body, char id[65], char **name, struct err *err);
/* Worker. id and name (owned) get the removed one's. Predefined ones and ones with running zones
 * are refused. */
int network_remove(const char *ref, char id[65], char **name, struct err *err);

/* What lists and filters need; owned, freed with network_info_free. */
struct network_info {
	char id[65];
	char *name;
	const char *driver; /* static */
	bool builtin;
	bool internal;
	size_t n_members; /* running zones */
	int64_t created_ns;
	char *labels; /* JSON object, or NULL */
	char *json;   /* as GET /networks shows it (without containers) */
};
void network_info_free(struct network_info *v, size_t n);
void network_list(struct network_info **out, size_t *n); /* oldest first */
/* Appends GET /networks/X's object. name_of gives a container's name of today (loop) or is NULL. */
typedef const char *net_name_fn(const char *ct_id);
int network_inspect(const char *ref, net_name_fn *name_of, struct buf *out, struct err *err);

/* Worker. Writes <zones>/UUID/config/{hosts,hostname,resolv.conf} from Docker's rules (--add-host,
 * host-gateway, --dns*, links, host's resolv.conf without loopback servers). */
struct ct_spec;
int network_write_files(const struct ct_spec *spec, struct err *err);
/* The same files of a running zone, changed in place, when ep has been added, or is about to go.
 * spec->endpoints is without and with it. */
int network_files_connect(const struct ct_spec *spec, const struct endpoint *ep, struct err *err);
int network_files_disconnect(const struct ct_spec *spec, const struct endpoint *ep,
			     struct err *err);
/* In the hosts file of a running zone: a link's alias gets the address of ep, or goes. */
int network_files_move_link(const char *uuid, const char *alias, const struct endpoint *ep,
			    struct err *err);
int network_files_drop_link(const char *uuid, const char *alias, struct err *err);

/* The docker name list of networks for events etc. lives in api_networks.c. */

#endif
