/* SPDX-License-Identifier: MPL-2.0
 *
 * http_name.c - getaddrinfo for libcurl.
 */
#include "http_name.h"

#include <arpa/inet.h>
#include <netdb.h>

#include "str.h"

int http_name_resolve(const char *host, const char *port, struct buf *out, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list = NULL;
	char address[NI_MAXHOST];
	unsigned char ip[16];
	int rc;

	if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
		return 0;
	if (str_ends(host, ".localhost")) /* RFC 6761: itself, without asking anybody */
		return 0;
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc)
		return err_kind(err, ERR_SYSTEM, "dial tcp: lookup %s: %s", host, rc == EAI_NONAME ? "no such host" : gai_strerror(rc));
	buf_printf(out, "%s:%s:", host, port);
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0)
			buf_printf(out, ai->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", ai == list ? "" : ",", address);
	freeaddrinfo(list);
	return 0;
}
