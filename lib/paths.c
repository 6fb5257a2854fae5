/* SPDX-License-Identifier: MPL-2.0
 *
 * paths.c - the engine's folders and sockets.
 */
#include "paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

static int set(char *out, size_t size, const char *a, const char *b, struct err *err)
{
	if (str_fmt(out, size, "%s%s", a, b) < 0)
		return err_kind(err, ERR_BAD_PARAM, "the root path is too long: %s", a);
	return 0;
}

int paths_init(struct paths *p, const char *root, struct err *err)
{
	char real[512];
	uint32_t h = 2166136261u;
	const char *s;
	size_t n;
	int rc;

	memset(p, 0, sizeof(*p));
	if (str_empty(root)) {
		str_copy(p->zones, sizeof(p->zones), "/zones");
		str_copy(p->lib, sizeof(p->lib), "/var/lib/sdc-docker");
		str_copy(p->run, sizeof(p->run), "/run/sdc-docker");
		str_copy(p->api_sock, sizeof(p->api_sock), "/run/sdc-docker/docker.sock");
	} else {
		if (root[0] != '/')
			return err_kind(err, ERR_BAD_PARAM, "the root must be an absolute path: %s", root);
		if (strlen(root) >= sizeof(real) - 32)
			return err_kind(err, ERR_BAD_PARAM, "the root path is too long: %s", root);
		str_copy(real, sizeof(real), root);
		for (n = strlen(real); n > 1 && real[n - 1] == '/'; n--)
			real[n - 1] = '\0';
		str_copy(p->root, sizeof(p->root), real);
		if ((rc = set(p->zones, sizeof(p->zones), real, "/zones", err)) < 0 ||
		    (rc = set(p->lib, sizeof(p->lib), real, "/lib", err)) < 0 ||
		    (rc = set(p->run, sizeof(p->run), real, "/run", err)) < 0 ||
		    (rc = set(p->api_sock, sizeof(p->api_sock), real, "/docker.sock", err)) < 0)
			return rc;
		for (s = p->run; *s; s++)
			h = (h ^ (unsigned char)*s) * 16777619u;
		snprintf(p->tag, sizeof(p->tag), "%08x", h);
	}
	if ((rc = set(p->logsvc_sock, sizeof(p->logsvc_sock), p->run, "/logsvc.sock", err)) < 0)
		return rc;
	return set(p->admin_sock, sizeof(p->admin_sock), p->run, "/admin.sock", err);
}

char *paths_zone(const struct paths *p, const char *uuid, const char *rest, char out[1024])
{
	if (str_fmt(out, 1024, "%s/%s%s%s", p->zones, uuid, *rest ? "/" : "", rest) < 0)
		abort();
	return out;
}

char *paths_zone_run(const struct paths *p, const char *uuid, const char *rest, char out[1024])
{
	if (str_fmt(out, 1024, "%s/zones/%s%s%s", p->run, uuid, *rest ? "/" : "", rest) < 0)
		abort();
	return out;
}
