/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_ports.c - exposed and published ports: "80/tcp",
 * {"HostIp":"127.0.0.1","HostPort":"8000-8010"}.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_ports.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int port_range_parse(const char *text, uint16_t *first, uint16_t *last)
{
	cleanup_free char *copy = xstrdup(text);
	char *dash = strchr(copy, '-');
	int64_t a, b;

	if (dash)
		*dash++ = '\0';
	if (parse_i64(copy, 0, UINT16_MAX, &a) < 0 ||
	    parse_i64(dash ? dash : copy, 0, UINT16_MAX, &b) < 0 || b < a)
		return -EINVAL;
	*first = (uint16_t)a;
	*last = (uint16_t)b;
	return 0;
}

int port_spec_parse(const char *text, uint16_t *first, uint16_t *last, char proto[5])
{
	const char *slash = strchr(text, '/');
	cleanup_free char *number = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	const char *name = slash && slash[1] ? slash + 1 : "tcp";

	if (strcmp(name, "tcp") != 0 && strcmp(name, "udp") != 0 && strcmp(name, "sctp") != 0)
		return -EINVAL;
	if (port_range_parse(number, first, last) < 0 || *first == 0)
		return -EINVAL;
	str_copy(proto, 5, name);
	return 0;
}

static int check_bindings(const json_t *list, struct err *err)
{
	unsigned char addr[16];
	uint16_t first, last;
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *ip = jget_str(item, "HostIp", "");
		const char *port = jget_str(item, "HostPort", "");

		if (port[0] && port_range_parse(port, &first, &last) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid port specification: \"%s\"",
					port);
		if (ip[0] && inet_pton(AF_INET, ip, addr) != 1 &&
		    inet_pton(AF_INET6, ip, addr) != 1)
			return err_kind(err, ERR_BAD_PARAM, "invalid IP address: %s", ip);
	}
	return 0;
}

/* Docker names the number without the protocol. */
static int err_port(const char *port, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "invalid port specification: \"%.*s\"",
			(int)strcspn(port, "/"), port);
}

int ports_check(const json_t *config, const json_t *host, struct err *err)
{
	uint16_t first, last;
	const char *port;
	char proto[5];
	json_t *list;
	int rc;

	json_object_foreach (jget_obj(host, "PortBindings"), port, list) {
		if (port_spec_parse(port, &first, &last, proto) < 0 || first != last)
			return err_port(port, err);
		if ((rc = check_bindings(list, err)) < 0)
			return rc;
	}
	json_object_foreach (jget_obj(config, "ExposedPorts"), port, list)
		if (port_spec_parse(port, &first, &last, proto) < 0)
			return err_port(port, err);
	return 0;
}

static struct port_binding *add_binding(struct port_binding **v, size_t *n, uint16_t ct_port,
					const char *proto)
{
	struct port_binding *pb;

	*v = xrealloc(*v, (*n + 1) * sizeof(**v));
	pb = &(*v)[(*n)++];
	memset(pb, 0, sizeof(*pb));
	pb->ct_port = ct_port;
	str_copy(pb->proto, sizeof(pb->proto), proto);
	return pb;
}

static bool has_binding(const struct port_binding *v, size_t n, uint16_t ct_port, const char *proto)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].ct_port == ct_port && strcmp(v[i].proto, proto) == 0)
			return true;
	return false;
}

/* A stored configuration was checked when it came in; what no longer parses is an error all the
 * same. */
static int add_published(const json_t *host, struct port_binding **v, size_t *n, struct err *err)
{
	uint16_t first, last;
	const char *port;
	char proto[5];
	json_t *list, *item;
	size_t i;

	json_object_foreach (jget_obj(host, "PortBindings"), port, list) {
		if (port_spec_parse(port, &first, &last, proto) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid port specification: \"%s\"",
					port);
		json_array_foreach (list, i, item) {
			const char *host_port = jget_str(item, "HostPort", "");
			struct port_binding *pb = add_binding(v, n, first, proto);

			str_copy(pb->host_ip, sizeof(pb->host_ip), jget_str(item, "HostIp", ""));
			if (host_port[0] &&
			    port_range_parse(host_port, &pb->host_port, &pb->host_port_end) < 0)
				return err_kind(err, ERR_BAD_PARAM,
						"invalid port specification: \"%s\"", host_port);
		}
	}
	return 0;
}

int config_port_bindings(const json_t *config, const json_t *host_config, struct port_binding **out,
			 size_t *n, struct err *err)
{
	struct port_binding *v = NULL;
	uint16_t first, last;
	const char *port;
	size_t count = 0;
	char proto[5];
	json_t *item;
	int rc;

	if ((rc = add_published(host_config, &v, &count, err)) < 0) {
		free(v);
		return rc;
	}
	if (jget_bool(host_config, "PublishAllPorts", false)) {
		json_object_foreach (jget_obj(config, "ExposedPorts"), port, item) {
			if (port_spec_parse(port, &first, &last, proto) < 0)
				continue;
			for (unsigned p = first; p <= last; p++)
				if (!has_binding(v, count, (uint16_t)p, proto))
					add_binding(&v, &count, (uint16_t)p, proto);
		}
	}
	*out = v;
	*n = count;
	return 0;
}
