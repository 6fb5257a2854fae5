/* SPDX-License-Identifier: MPL-2.0
 *
 * ipam6.c - addresses of one IPv6 subnet: a list of those in use, handed out round-robin.
 *
 * A list, where IPv4 has a bitmap: a /64 has no bits to spare, and an endpoint is found in a list
 * of some hundreds faster than its veth pair is made.
 */
#include "ipam6.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define PREFIX_MIN 16
#define PREFIX_MAX 126

static void mask(struct in6_addr *ip, int prefix)
{
	for (int i = 0; i < 16; i++) {
		int bits = prefix - i * 8;

		if (bits <= 0)
			ip->s6_addr[i] = 0;
		else if (bits < 8)
			ip->s6_addr[i] &= (uint8_t)(0xff << (8 - bits));
	}
}

static void fill_host_bits(struct in6_addr *ip, int prefix)
{
	for (int i = 0; i < 16; i++) {
		int bits = prefix - i * 8;

		if (bits <= 0)
			ip->s6_addr[i] = 0xff;
		else if (bits < 8)
			ip->s6_addr[i] |= (uint8_t)(0xff >> bits);
	}
}

int ip6_parse(const char *s, struct in6_addr *out)
{
	return s && inet_pton(AF_INET6, s, out) == 1 ? 0 : -EINVAL;
}

void ip6_format(const struct in6_addr *ip, char out[IP6_STR])
{
	inet_ntop(AF_INET6, ip, out, IP6_STR);
}

void ip6_net_format(const struct ip6_net *net, char out[IP6_NET_STR])
{
	char ip[IP6_STR];

	ip6_format(&net->base, ip);
	snprintf(out, IP6_NET_STR, "%s/%d", ip, net->prefix);
}

int ip6_net_parse(const char *s, struct ip6_net *out, struct in6_addr *addr)
{
	const char *slash = s ? strchr(s, '/') : NULL;
	char host[IP6_STR];
	struct in6_addr ip;
	int64_t prefix;

	if (!slash || (size_t)(slash - s) >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, (size_t)(slash - s));
	host[slash - s] = '\0';
	if (ip6_parse(host, &ip) < 0 || parse_i64(slash + 1, 0, 128, &prefix) < 0)
		return -EINVAL;
	if (addr)
		*addr = ip;
	mask(&ip, (int)prefix);
	*out = (struct ip6_net){ .base = ip, .prefix = (int)prefix };
	return 0;
}

bool ip6_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool ip6_is_zero(const struct in6_addr *ip)
{
	return ip6_equal(ip, &in6addr_any);
}

bool ip6_contains(const struct ip6_net *net, const struct in6_addr *ip)
{
	struct in6_addr base = *ip;

	mask(&base, net->prefix);
	return ip6_equal(&base, &net->base);
}

bool ip6_overlap(const struct ip6_net *a, const struct ip6_net *b)
{
	return a->prefix < b->prefix ? ip6_contains(a, &b->base) : ip6_contains(b, &a->base);
}

int ipam6_pick(const char *seed, const struct ip6_net *used, size_t n_used, struct ip6_net *out,
	       struct err *err)
{
	struct ip6_net net = { .prefix = 64 };
	uint8_t sum[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)seed, strlen(seed), sum);
	net.base.s6_addr[0] = 0xfd;
	memcpy(net.base.s6_addr + 1, sum, 5);
	for (unsigned i = 0; i < 65536; i++) {
		size_t hit = 0;

		net.base.s6_addr[6] = (uint8_t)(i >> 8);
		net.base.s6_addr[7] = (uint8_t)i;
		while (hit < n_used && !ip6_overlap(&net, &used[hit]))
			hit++;
		if (hit == n_used) {
			*out = net;
			return 0;
		}
	}
	return err_kind(err, ERR_NOT_FOUND,
			"all predefined address pools have been fully subnetted");
}

/* ---- one subnet ---- */

int ipam6_init(struct ipam6 *p, const struct ip6_net *net, const struct ip6_net *range,
	       struct err *err)
{
	if (net->prefix < PREFIX_MIN || net->prefix > PREFIX_MAX)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid subnet: prefix length /%d is not in /%d to /%d",
				net->prefix, PREFIX_MIN, PREFIX_MAX);
	if (range && (range->prefix < net->prefix || !ip6_contains(net, &range->base)))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid ip-range: it is not within the subnet");
	*p = (struct ipam6){ .net = *net, .range = range ? *range : *net };
	p->next = p->range.base;
	return 0;
}

void ipam6_fini(struct ipam6 *p)
{
	free(p->used);
	p->used = NULL;
	p->n_used = 0;
}

static size_t find(const struct ipam6 *p, const struct in6_addr *ip)
{
	size_t i = 0;

	while (i < p->n_used && !ip6_equal(&p->used[i], ip))
		i++;
	return i;
}

/* The one after ip, round the range. */
static struct in6_addr after(const struct ipam6 *p, const struct in6_addr *ip)
{
	struct in6_addr next = *ip, top = p->range.base;

	fill_host_bits(&top, p->range.prefix);
	if (ip6_equal(ip, &top))
		return p->range.base;
	for (int i = 15; i >= 0 && !++next.s6_addr[i]; i--)
		;
	return next;
}

/* Of n_used + 2 addresses in a row, one is free and not the subnet's first, or the range has fewer. */
static bool next_free(struct ipam6 *p, struct in6_addr *out)
{
	struct in6_addr ip = p->next;

	for (size_t i = 0; i < p->n_used + 2; i++, ip = after(p, &ip)) {
		if (find(p, &ip) < p->n_used || ip6_equal(&ip, &p->net.base))
			continue;
		*out = ip;
		p->next = after(p, &ip);
		return true;
	}
	return false;
}

int ipam6_alloc(struct ipam6 *p, const struct in6_addr *want, struct in6_addr *out, struct err *err)
{
	struct in6_addr ip;
	char text[IP6_STR];

	if (want) {
		ip = *want;
		ip6_format(&ip, text);
		if (!ip6_contains(&p->net, &ip) || ip6_equal(&ip, &p->net.base))
			return err_kind(err, ERR_BAD_PARAM,
					"no configured subnet contains IP address %s", text);
		if (find(p, &ip) < p->n_used)
			return err_kind(err, ERR_FORBIDDEN, "Address already in use");
	} else if (!next_free(p, &ip)) {
		return err_kind(err, ERR_SYSTEM,
				"no available IPv6 addresses on this network's address pools");
	}
	p->used = xrealloc(p->used, (p->n_used + 1) * sizeof(*p->used));
	p->used[p->n_used++] = ip;
	*out = ip;
	return 0;
}

void ipam6_release(struct ipam6 *p, const struct in6_addr *ip)
{
	size_t i = find(p, ip);

	if (i < p->n_used)
		p->used[i] = p->used[--p->n_used];
}
