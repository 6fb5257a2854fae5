/* SPDX-License-Identifier: MPL-2.0
 *
 * ipam6.h - addresses of one IPv6 subnet, and the choice of a free one. Pure: no I/O, no lock of its
 * own.
 */
#ifndef APISERVER_IPAM6_H
#define APISERVER_IPAM6_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct ip6_net {
	struct in6_addr base; /* host bits zero */
	int prefix;	      /* 0: no subnet */
};

#define IP6_STR	    INET6_ADDRSTRLEN
#define IP6_NET_STR (INET6_ADDRSTRLEN + 4)

/* "2001:db8::/64"; host bits are kept in *addr (may be NULL) and cleared in *out. -EINVAL. */
int ip6_net_parse(const char *s, struct ip6_net *out, struct in6_addr *addr);
int ip6_parse(const char *s, struct in6_addr *out);
void ip6_format(const struct in6_addr *ip, char out[IP6_STR]);
void ip6_net_format(const struct ip6_net *net, char out[IP6_NET_STR]);
bool ip6_is_zero(const struct in6_addr *ip);
bool ip6_equal(const struct in6_addr *a, const struct in6_addr *b);
bool ip6_overlap(const struct ip6_net *a, const struct ip6_net *b);
bool ip6_contains(const struct ip6_net *net, const struct in6_addr *ip);

/* The first /64 of the engine's own unique local prefix (RFC 4193, its global ID is made from seed)
 * that overlaps none of used. ERR_NOT_FOUND when there is none left. */
int ipam6_pick(const char *seed, const struct ip6_net *used, size_t n_used, struct ip6_net *out,
	       struct err *err);

struct ipam6 {
	struct ip6_net net, range; /* range: what next-free hands out */
	struct in6_addr next;	   /* where the next search begins: a freed address rests for a round */
	struct in6_addr *used;
	size_t n_used;
};

/* range, if not NULL, limits what ipam6_alloc chooses by itself; it lies within net. */
int ipam6_init(struct ipam6 *p, const struct ip6_net *net, const struct ip6_net *range,
	       struct err *err);
void ipam6_fini(struct ipam6 *p);
/* want NULL: the next free one; ERR_SYSTEM when all are taken. A wanted one that is taken: "Address
 * already in use"; one outside of net is refused. The subnet's first address, the routers' anycast
 * address (RFC 4291 2.6.1), is never given. */
int ipam6_alloc(struct ipam6 *p, const struct in6_addr *want, struct in6_addr *out,
		struct err *err);
void ipam6_release(struct ipam6 *p, const struct in6_addr *ip); /* a free one is ignored */

#endif
