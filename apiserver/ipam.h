/* SPDX-License-Identifier: MPL-2.0
 *
 * ipam.h - addresses of one IPv4 subnet, and the choice of a free subnet. Pure: no I/O, no lock of
 * its own.
 *
 * Addresses are in host byte order.
 */
#ifndef APISERVER_IPAM_H
#define APISERVER_IPAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct ip4_net {
	uint32_t base; /* host bits zero */
	int prefix;
};

#define IP4_STR 16

/* "172.17.0.0/16"; host bits are kept in *addr (may be NULL) and cleared in *out. -EINVAL. */
int ip4_net_parse(const char *s, struct ip4_net *out, uint32_t *addr);
int ip4_parse(const char *s, uint32_t *out);
void ip4_format(uint32_t ip, char out[IP4_STR]);
bool ip4_overlap(const struct ip4_net *a, const struct ip4_net *b);
bool ip4_contains(const struct ip4_net *net, uint32_t ip);

/* The first of the default pools (172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 on) that
 * overlaps none of used. ERR_NOT_FOUND when there is none left. */
int ipam_pick(const struct ip4_net *used, size_t n_used, struct ip4_net *out, struct err *err);

struct ipam {
	struct ip4_net net;
	uint32_t first, last; /* what next-free hands out */
	uint32_t next;	      /* where the next search begins: a freed address rests for a round */
	uint64_t *bits;	      /* one for each address of net */
};

/* range, if not NULL, limits what ipam_alloc chooses by itself; it lies within net. */
int ipam_init(struct ipam *p, const struct ip4_net *net, const struct ip4_net *range,
	      struct err *err);
void ipam_fini(struct ipam *p);
/* want 0: the next free one; -ENOSPC when all are taken. A wanted one that is taken: "Address
 * already in use"; one outside of net is refused. */
int ipam_alloc(struct ipam *p, uint32_t want, uint32_t *out, struct err *err);
void ipam_release(struct ipam *p, uint32_t ip); /* a foreign or free one is ignored */
bool ipam_in_use(const struct ipam *p, uint32_t ip);

#endif
