/* SPDX-License-Identifier: MPL-2.0
 *
 * network_private.h - what network.c, network_attach.c, network_admin.c and network_json.c share.
 *
 * Two locks. net_lock guards the list and everything in it, and is never held over a call that
 * blocks. Those who make or remove networks hold admin_lock (network_admin.c) over the whole of
 * their work, so that a bridge and its record cannot be made and removed at once.
 */
#ifndef APISERVER_NETWORK_PRIVATE_H
#define APISERVER_NETWORK_PRIVATE_H

#include <pthread.h>

#include "buf.h"
#include "firewall.h"
#include "ipam.h"
#include "ipam6.h"
#include "network.h"

enum net_driver { NET_BRIDGE, NET_HOST, NET_NONE };

/* A zone's endpoint, as the network knows it. */
struct net_member {
	char ct_id[65];
	char *ct_name; /* "" after an adoption: names has it */
	char **names;  /* by which others in the network find it: name, short id, aliases */
	char **links;  /* "name:alias", seen by this member only */
	char endpoint_id[65];
	uint32_t ip;	     /* 0: none */
	struct in6_addr ip6; /* zeroes: none */
	char mac[18];
	bool stale; /* in the resolver's process only */
	struct net_member *next;
};

struct net {
	char id[65];
	char *name;
	enum net_driver driver;
	int64_t created_ns;
	bool builtin, internal, attachable;
	/* JSON objects as text, or NULL: labels, options as the user gave them */
	char *labels, *options, *ipam_options, *aux_addresses;

	/* NET_BRIDGE */
	char bridge[16];
	struct ip4_net subnet, range;
	uint32_t gateway;
	bool user_subnet; /* the user chose it: fixed addresses are allowed */
	bool has_range;
	bool icc, masquerade;
	int mtu;	  /* 0: the kernel's */
	char host_ip[46]; /* for published ports that name none */
	struct ipam ipam;
	/* NET_BRIDGE with IPv6: subnet6.prefix is not 0 */
	struct ip6_net subnet6, range6;
	struct in6_addr gateway6;
	bool user_subnet6; /* as user_subnet */
	char *aux6;	   /* JSON object, or NULL */
	struct ipam6 ipam6;

	struct net_member *members;
	struct net *next;
};

extern pthread_mutex_t net_lock;
extern struct net *net_list;

/* with net_lock */
int net_find(const char *ref, struct net **out, struct err *err);
struct net *net_by_id(const char *id);
void net_free(struct net *n);
void net_member_free(struct net_member *m);
struct net_member *net_member_copy(const struct net_member *m);
void net_link(struct net *n); /* into net_list, oldest first */
void net_unlink(struct net *n);
/* An endpoint's place in the list; the address is the caller's to have allocated. */
void net_member_add(struct net *n, const struct endpoint *ep, const char *ct_id,
		    const char *ct_name, uint32_t ip, const struct in6_addr *ip6);
/* Gives the addresses back. False: there was none of this id. */
bool net_member_del(struct net *n, const char *endpoint_id);
struct fw_net net_firewall(const struct net *n);
const char *net_driver_name(enum net_driver d);

/* takes net_lock: the endpoint leaves its network, and the resolver hears of it */
void net_leave(const struct endpoint *ep, const char *ct_id);
bool net_is_shared(const char *network); /* "container:ID": the namespace of another zone */
/* The first and the last step of network_detach: worker, no lock. */
void net_ports_release(const struct endpoint *ep);
void net_endpoint_reset(struct endpoint *ep);

/* network_options.c: of a create request (NULL: none): refuses what has no effect here; BAD_PARAM,
 * NOT_IMPLEMENTED. Any thread. */
int net_options_check(const json_t *options, struct err *err);

/* any thread, on a net that is not in the list yet (or with net_lock) */
int net_settings_apply(struct net *n,
		       struct err *err); /* options -> bridge, icc, mtu ...; range, aux -> ipam */
char *net_to_json(const struct net *n);	 /* persisted form, owned */
int net_from_json(const char *text, struct net **out, struct err *err);
/* Appends. name_of: a container's name of today, or NULL for the one it was attached by. */
void net_inspect_json(const struct net *n, bool with_members, net_name_fn *name_of,
		      struct buf *out);

/* Worker. Serves a zone's names, by its resolv.upstream; its namespace is there. */
int network_resolver_start(const char *ct_id, const char *uuid, struct err *err);
/* The order for it (resolver.h), and the namespace. */
int network_resolver_order(const char *ct_id, const char *uuid, struct buf *order, int *netns_fd,
			   struct err *err);

/* admin_lock held: brings bridge and rules into being. */
int net_bridge_up(const struct net *n, struct err *err);
void net_bridge_down(const struct net *n);

#endif
