/* SPDX-License-Identifier: MPL-2.0
 *
 * dns_msg.h - DNS messages (RFC 1035), as much as a zone's resolver needs. Pure, any thread.
 */
#ifndef APISERVER_DNS_MSG_H
#define APISERVER_DNS_MSG_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX  256
#define DNS_UDP_MAX   4096
#define DNS_REPLY_MAX 512

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28 };
enum dns_rcode { DNS_OK = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };

struct dns_query {
	uint16_t id, flags, type, class;
	char name[DNS_NAME_MAX]; /* dotted, lower case, without the last dot; "" is the root */
	size_t question_end;	 /* offset behind the question */
};

/* 0, or -EINVAL for what is no query with exactly one question. */
int dns_parse(const uint8_t *msg, size_t len, struct dns_query *q);
/* The reply to the query msg, with its question repeated; the length. out holds DNS_REPLY_MAX
 * bytes. */
size_t dns_reply(const uint8_t *msg, const struct dns_query *q, enum dns_rcode rcode, uint8_t *out);
/* Adds an answer for the question's name: an address (host byte order) or the name of a PTR.
 * Returns the new length; what does not fit is left out. */
size_t dns_add_a(uint8_t *reply, size_t len, uint32_t ip);
size_t dns_add_aaaa(uint8_t *reply, size_t len, const struct in6_addr *ip);
size_t dns_add_ptr(uint8_t *reply, size_t len, const char *name);
/* "4.3.2.1.in-addr.arpa" -> 1.2.3.4; -EINVAL. */
int dns_reverse_ip(const char *name, uint32_t *ip);
/* 32 digits, the last first (RFC 3596 2.5), "....ip6.arpa"; -EINVAL. */
int dns_reverse_ip6(const char *name, struct in6_addr *ip);

#endif
