/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_endpoints.c - where a registry is reached, and whether without TLS.
 *
 * Design: loopback by address, and the name localhost, are insecure as with Docker. A name is not looked up for that:
 * whoever answers for it could so take TLS away. Names are looked up where the operator has named whole networks
 * in insecure-registries; then all their addresses have to be in one.
 */
#include "apiserver/registry.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/engine.h"
#include "apiserver/image_ref.h"
#include "apiserver/registry_http.h"
#include "cleanup.h"
#include "str.h"

#define HUB_HOST "registry-1.docker.io"

/* ---------------------------------------------------------------- networks */

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	return memcmp(a, b, bits / 8) == 0 && (!rest || !((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)));
}

bool registry_net_has(const char *net, const char *address)
{
	cleanup_free char *base = xstrndup(net, strcspn(net, "/"));
	const char *slash = strchr(net, '/');
	unsigned char a[16], b[16];
	int family = strchr(base, ':') ? AF_INET6 : AF_INET;
	int64_t bits;

	return slash && parse_i64(slash + 1, 0, family == AF_INET ? 32 : 128, &bits) == 0 &&
	       inet_pton(family, base, a) == 1 && inet_pton(family, address, b) == 1 &&
	       same_bits(a, b, (unsigned)bits);
}

static bool in_a_net(char *const *nets, const char *address)
{
	for (; *nets; nets++)
		if (registry_net_has(*nets, address))
			return true;
	return false;
}

static bool host_in_nets(char *const *nets, const char *host)
{
	cleanup_free char *name = http_host_name(host);
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	bool all;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	all = list != NULL;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		char text[NI_MAXHOST];

		all = all && getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 &&
		      in_a_net(nets, text);
	}
	freeaddrinfo(list);
	return all;
}

bool registry_is_insecure(const char *host)
{
	cleanup_strv char **list = strv_split(conf_str(engine->conf, "insecure-registries"), ',');
	cleanup_strv char **nets = strv_split("", ',');

	if (http_host_is_loopback(host) || conf_bool(engine->conf, "docker_registry_insecure"))
		return true;
	for (char **p = list; *p; p++) {
		char *s = *p + strspn(*p, " \t");

		s[strcspn(s, " \t")] = '\0';
		if (str_eq(s, host))
			return true;
		if (strchr(s, '/'))
			strv_add(&nets, s);
	}
	return nets[0] && host_in_nets(nets, host);
}

static void add_endpoint(struct reg_endpoint *out, size_t *n, const char *scheme, const char *rest,
			 bool insecure, bool mirror)
{
	struct reg_endpoint *ep = &out[*n];
	size_t len;

	if (*n == REG_ENDPOINTS_MAX ||
	    str_fmt(ep->base, sizeof(ep->base), "%s%s", scheme, rest) < 0)
		return;
	len = strlen(ep->base);
	while (len && ep->base[len - 1] == '/')
		ep->base[--len] = '\0';
	ep->insecure = insecure;
	ep->mirror = mirror;
	(*n)++;
}

size_t registry_endpoints(const char *domain, bool mirrors, struct reg_endpoint out[REG_ENDPOINTS_MAX])
{
	cleanup_strv char **list = NULL;
	bool hub = str_eq(domain, IMAGE_REF_DOMAIN), insecure;
	const char *host = hub ? HUB_HOST : domain;
	size_t n = 0;

	list = strv_split(hub && mirrors ? conf_str(engine->conf, "registry-mirrors") : "", ',');
	for (char **p = list; *p && n < REG_ENDPOINTS_MAX - 2; p++) {
		char *s = *p + strspn(*p, " \t");
		cleanup_free char *mirror_host = NULL;

		s[strcspn(s, " \t")] = '\0';
		mirror_host = http_host(s);
		if (*s)
			add_endpoint(out, &n, strstr(s, "://") ? "" : "https://", s,
				     registry_is_insecure(mirror_host), true);
	}
	insecure = registry_is_insecure(host);
	add_endpoint(out, &n, "https://", host, insecure, false);
	if (insecure)
		add_endpoint(out, &n, "http://", host, true, false);
	return n;
}
