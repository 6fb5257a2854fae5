/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_netmode.c - a container's network mode and its endpoints, as a create body asks for them.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_check.h"
#include "cleanup.h"
#include "endpoint_opts.h"
#include "faults.h"
#include "jget.h"
#include "str.h"

static int bad(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM, "%s", text);
}

bool netmode_is_container(const char *mode)
{
	return str_starts(mode, "container:");
}

bool netmode_is_user_defined(const char *mode)
{
	return mode[0] && strcmp(mode, "default") != 0 && strcmp(mode, "bridge") != 0 &&
	       strcmp(mode, "host") != 0 && strcmp(mode, "none") != 0 &&
	       !netmode_is_container(mode);
}

/* The words are Docker's, docker run shows them as they are. */
static int check_container_mode(const json_t *config, const json_t *host, const char *mode,
				struct err *err)
{
	if (strcmp(mode, "container") == 0 || strcmp(mode, "container:") == 0)
		return bad(err,
			   "invalid network mode: invalid container format container:<name|id>");
	if (jhas(config, "Hostname"))
		return bad(err, "conflicting options: hostname and the network mode");
	if (jhas(host, "Links"))
		return bad(err, "conflicting options: container type network can't be used with "
				"links. This would result in "
				"undefined behavior");
	if (jhas(host, "Dns"))
		return bad(err, "conflicting options: dns and the network mode");
	if (jhas(host, "ExtraHosts"))
		return bad(err,
			   "conflicting options: custom host-to-IP mapping and the network mode");
	if (jhas(host, "PortBindings") || jget_bool(host, "PublishAllPorts", false))
		return bad(
			err,
			"conflicting options: port publishing and the container type network mode");
	if (jhas(config, "ExposedPorts"))
		return bad(
			err,
			"conflicting options: port exposing and the container type network mode");
	return 0;
}

int netmode_check(const json_t *config, const json_t *host, struct err *err)
{
	const char *mode = jget_str(host, "NetworkMode", "");
	int rc;

	if ((strcmp(mode, "container") == 0 || netmode_is_container(mode)) &&
	    (rc = check_container_mode(config, host, mode, err)) < 0)
		return rc;
	if (strcmp(jget_str(host, "UTSMode", ""), "host") == 0 && jhas(config, "Hostname"))
		return bad(err, "conflicting options: hostname and the UTS mode");
	if (strcmp(mode, "host") == 0 && jhas(host, "Links"))
		return bad(err, "conflicting options: host type networking can't be used with "
				"links. This would result in "
				"undefined behavior");
	return 0;
}

int netmode_check_join(const char *mode, const char *network, bool alone, struct err *err)
{
	if (netmode_is_container(mode) || str_eq(mode, "host"))
		return bad(err, "container sharing network namespace with another container or host cannot be "
				"connected to any other network");
	if (str_eq(network, "host"))
		return bad(err, "cannot connect container to host network - container must be created in host "
				"network mode");
	if (str_eq(network, "none") || (str_eq(mode, "none") && !alone))
		return bad(err, "container cannot be connected to multiple networks with one of the networks in "
				"private (none) mode");
	return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static bool is_mac(const char *s)
{
	if (strlen(s) != 17)
		return false;
	for (size_t i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != s[2] || (s[i] != ':' && s[i] != '-') : !isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* Of one family, not the unspecified address, and no IPv4 address in IPv6's clothes. */
static bool is_ip(int family, const char *s)
{
	struct in6_addr addr = { 0 };

	return inet_pton(family, s, &addr) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&addr) &&
	       !IN6_IS_ADDR_V4MAPPED(&addr);
}

static void link_local_faults(const json_t *ipam, char ***faults)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(ipam, "LinkLocalIPs"), i, item) {
		const char *s = json_string_value(item);

		if (!is_ip(AF_INET, s) && !is_ip(AF_INET6, s))
			strv_addf(faults, "invalid link-local IP address: %.100s", s);
	}
	if (i > ENDPOINT_LINK_LOCALS_MAX)
		strv_addf(faults, "invalid LinkLocalIPs: more than %d", ENDPOINT_LINK_LOCALS_MAX);
}

int endpoint_check(const char *network, const json_t *ep, struct err *err)
{
	const char *mac = jget_str(ep, "MacAddress", "");
	const json_t *ipam = jget_obj(ep, "IPAMConfig");
	const char *ip = jget_str(ipam, "IPv4Address", "");
	const char *ip6 = jget_str(ipam, "IPv6Address", "");
	cleanup_strv char **faults = NULL;

	if (mac[0] && !is_mac(mac))
		return err_kind(err, ERR_BAD_PARAM, "invalid MAC address %.100s", mac);
	if ((ip[0] || ip6[0]) && !netmode_is_user_defined(network))
		strv_add(&faults, "user specified IP address is supported on user defined networks only");
	if (jhas(ep, "Aliases") && !netmode_is_user_defined(network))
		strv_add(&faults, "network-scoped alias is supported only for containers in user defined networks");
	if (ip[0] && !is_ip(AF_INET, ip))
		strv_addf(&faults, "invalid IPv4 address: %.100s", ip);
	if (ip6[0] && !is_ip(AF_INET6, ip6))
		strv_addf(&faults, "invalid IPv6 address: %.100s", ip6);
	link_local_faults(ipam, &faults);
	network_address_faults(network, ip, ip6, &faults);
	endpoint_opts_faults(jget_obj(ep, "DriverOpts"), &faults);
	return faults_err(faults, "invalid endpoint settings:", err);
}

int endpoints_check(const json_t *networking, struct err *err)
{
	cleanup_strv char **faults = NULL;
	const char *network;
	json_t *ep;

	json_object_foreach (jget_obj(networking, "EndpointsConfig"), network, ep) {
		struct err one = { 0 };

		if (json_is_null(ep))
			strv_addf(&faults, "invalid config for network %.100s: EndpointsConfig is nil", network);
		else if (endpoint_check(network, ep, &one) < 0)
			strv_addf(&faults, "invalid config for network %.100s: %s", network, one.msg);
	}
	return faults_err(faults, NULL, err);
}

static char *str_or_null(const json_t *o, const char *key)
{
	const char *s = jget_str(o, key, "");

	return s[0] ? xstrdup(s) : NULL;
}

static char **strv_or_null(const json_t *o, const char *key)
{
	return json_is_array(json_object_get(o, key)) ? jget_strv(o, key) : NULL;
}

static void endpoint_fill(struct endpoint *ep, const char *network, const json_t *o)
{
	const json_t *ipam = jget_obj(o, "IPAMConfig");

	ep->network = xstrdup(network);
	ep->want_ip = str_or_null(ipam, "IPv4Address");
	ep->want_ip6 = str_or_null(ipam, "IPv6Address");
	ep->want_mac = str_or_null(o, "MacAddress");
	ep->link_locals = strv_or_null(ipam, "LinkLocalIPs");
	str_copy(ep->mac, sizeof(ep->mac), jget_str(o, "MacAddress", "")); /* shown from now on */
	ep->aliases = strv_or_null(o, "Aliases");
	ep->links = strv_or_null(o, "Links");
	ep->driver_opts = json_incref(jget_obj(o, "DriverOpts"));
	ep->gw_priority = (int)jget_int(o, "GwPriority", 0);
}

void endpoints_make(const json_t *config, const json_t *host, const json_t *networking,
		    struct endpoint **out, size_t *n)
{
	const char *mode = jget_str(host, "NetworkMode", "bridge");
	json_t *all = jget_obj(networking, "EndpointsConfig");
	const char *network;
	json_t *o;

	*out = NULL;
	*n = 0;
	if (jget_bool(config, "NetworkDisabled", false) || netmode_is_container(mode))
		return;
	*out = xcalloc(json_object_size(all) + 1, sizeof(**out));
	if (json_object_size(all) == 0) {
		endpoint_fill(&(*out)[(*n)++], mode, NULL);
		return;
	}
	/* the mode's own network comes first: it is eth0 */
	if ((o = json_object_get(all, mode)))
		endpoint_fill(&(*out)[(*n)++], mode, o);
	json_object_foreach (all, network, o) {
		if (strcmp(network, mode) != 0)
			endpoint_fill(&(*out)[(*n)++], network, o);
	}
}
