/* SPDX-License-Identifier: MPL-2.0
 *
 * ipam.c - addresses of one IPv4 subnet in a bitmap, handed out round-robin.
 *
 * Round-robin and not lowest-free: a client or a firewall that still knows the container which just
 * went must not find another one behind its address.
 */
#include "ipam.h"

#include <arpa/inet.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define PREFIX_MIN 8
#define PREFIX_MAX 30

static uint32_t mask_of(int prefix)
{
	return prefix ? ~(uint32_t)0 << (32 - prefix) : 0;
}

int ip4_parse(const char *s, uint32_t *out)
{
	struct in_addr a;

	if (!s || inet_pton(AF_INET, s, &a) != 1)
		return -EINVAL;
	*out = ntohl(a.s_addr);
	return 0;
}

void ip4_format(uint32_t ip, char out[IP4_STR])
{
	struct in_addr a = { .s_addr = htonl(ip) };

	inet_ntop(AF_INET, &a, out, IP4_STR);
}

int ip4_net_parse(const char *s, struct ip4_net *out, uint32_t *addr)
{
	char host[IP4_STR];
	const char *slash = s ? strchr(s, '/') : NULL;
	int64_t prefix;
	uint32_t ip;

	if (!slash || (size_t)(slash - s) >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, (size_t)(slash - s));
	host[slash - s] = '\0';
	if (ip4_parse(host, &ip) < 0 || parse_i64(slash + 1, 0, 32, &prefix) < 0)
		return -EINVAL;
	out->prefix = (int)prefix;
	out->base = ip & mask_of((int)prefix);
	if (addr)
		*addr = ip;
	return 0;
}

bool ip4_overlap(const struct ip4_net *a, const struct ip4_net *b)
{
	uint32_t mask = mask_of(a->prefix < b->prefix ? a->prefix : b->prefix);

	return (a->base & mask) == (b->base & mask);
}

bool ip4_contains(const struct ip4_net *net, uint32_t ip)
{
	return (ip & mask_of(net->prefix)) == net->base;
}

static bool is_free(const struct ip4_net *net, const struct ip4_net *used, size_t n_used)
{
	for (size_t i = 0; i < n_used; i++)
		if (ip4_overlap(net, &used[i]))
			return false;
	return true;
}

int ipam_pick(const struct ip4_net *used, size_t n_used, struct ip4_net *out, struct err *err)
{
	static const struct {
		uint32_t first, last;
		int prefix;
	} pools[] = {
		{ 0xac110000, 0xac1f0000, 16 }, /* 172.17.0.0 to 172.31.0.0 */
		{ 0xc0a80000, 0xc0a8f000, 20 }, /* 192.168.0.0 to 192.168.240.0 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(pools); i++) {
		uint32_t step = (uint32_t)1 << (32 - pools[i].prefix);

		for (uint32_t base = pools[i].first; base <= pools[i].last; base += step) {
			struct ip4_net net = { .base = base, .prefix = pools[i].prefix };

			if (is_free(&net, used, n_used)) {
				*out = net;
				return 0;
			}
		}
	}
	return err_kind(err, ERR_NOT_FOUND,
			"all predefined address pools have been fully subnetted");
}

/* ---- one subnet ---- */

static void bit_set(struct ipam *p, uint32_t ip, bool on)
{
	uint32_t i = ip - p->net.base;
	uint64_t bit = (uint64_t)1 << (i & 63);

	if (on)
		p->bits[i >> 6] |= bit;
	else
		p->bits[i >> 6] &= ~bit;
}

bool ipam_in_use(const struct ipam *p, uint32_t ip)
{
	uint32_t i = ip - p->net.base;

	return ip4_contains(&p->net, ip) && (p->bits[i >> 6] >> (i & 63) & 1);
}

int ipam_init(struct ipam *p, const struct ip4_net *net, const struct ip4_net *range,
	      struct err *err)
{
	uint32_t top;

	if (net->prefix < PREFIX_MIN || net->prefix > PREFIX_MAX)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid subnet: prefix length /%d is not in /%d to /%d",
				net->prefix, PREFIX_MIN, PREFIX_MAX);
	if (range && (range->prefix < net->prefix || !ip4_contains(net, range->base)))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid ip-range: it is not within the subnet");

	top = net->base | ~mask_of(net->prefix);
	*p = (struct ipam){ .net = *net, .first = net->base + 1, .last = top - 1 };
	if (range) {
		uint32_t range_top = range->base | ~mask_of(range->prefix);

		if (range->base > p->first)
			p->first = range->base;
		if (range_top < p->last)
			p->last = range_top;
	}
	p->next = p->first;
	p->bits = xcalloc(((size_t)(top - net->base) >> 6) + 1, sizeof(uint64_t));
	bit_set(p, net->base, true);
	bit_set(p, top, true);
	return 0;
}

void ipam_fini(struct ipam *p)
{
	free(p->bits);
	p->bits = NULL;
}

static int alloc_next(struct ipam *p, uint32_t *out)
{
	uint32_t n = p->last - p->first + 1;
	uint32_t ip = p->next;

	for (uint32_t i = 0; i < n; i++, ip++) {
		if (ip > p->last)
			ip = p->first;
		if (!ipam_in_use(p, ip)) {
			*out = ip;
			return 0;
		}
	}
	return -ENOSPC;
}

int ipam_alloc(struct ipam *p, uint32_t want, uint32_t *out, struct err *err)
{
	uint32_t ip = want;

	if (want) {
		if (!ip4_contains(&p->net, want))
			return err_kind(err, ERR_BAD_PARAM,
					"no configured subnet contains IP address %u.%u.%u.%u",
					want >> 24, want >> 16 & 255, want >> 8 & 255, want & 255);
		if (ipam_in_use(p, want))
			return err_kind(err, ERR_FORBIDDEN, "Address already in use");
	} else {
		if (alloc_next(p, &ip) < 0) {
			err_kind(err, ERR_SYSTEM,
				 "no available IPv4 addresses on this network's address pools");
			return err->code = -ENOSPC;
		}
		p->next = ip == p->last ? p->first : ip + 1;
	}
	bit_set(p, ip, true);
	*out = ip;
	return 0;
}

void ipam_release(struct ipam *p, uint32_t ip)
{
	uint32_t top = p->net.base | ~mask_of(p->net.prefix);

	if (ip4_contains(&p->net, ip) && ip != p->net.base && ip != top)
		bit_set(p, ip, false);
}
