/* SPDX-License-Identifier: MPL-2.0
 *
 * endpoint_opts.c - see endpoint_opts.h.
 *
 * A sysctl becomes a path below /proc/sys/net, which is the one of the network that the reading thread is in. Its
 * parts are words of letters, digits, '-' and '_': none leads elsewhere.
 */
#include "endpoint_opts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cleanup.h"
#include "jget.h"
#include "netns.h"
#include "str.h"

#define OPT_IFNAME  "com.docker.network.endpoint.ifname"
#define OPT_SYSCTLS "com.docker.network.endpoint.sysctls"
#define WORD_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

static bool is_word(const char *s)
{
	return *s && !s[strspn(s, WORD_CHARS)];
}

/* "net.ipv4.conf.IFNAME.rp_filter" in parts; NULL: it is none. Owned. */
static char **sysctl_parts(const char *name)
{
	char **v = strv_split(name, '.');
	bool ok = strv_len(v) == 5 && str_eq(v[0], "net") &&
		  (str_eq(v[1], "ipv4") || str_eq(v[1], "ipv6") || str_eq(v[1], "mpls")) &&
		  strcasecmp(v[3], "ifname") == 0 && is_word(v[2]) && is_word(v[4]);

	if (ok)
		return v;
	strv_free(v);
	return NULL;
}

void endpoint_opts_faults(const json_t *driver_opts, char ***faults)
{
	const char *ifname = jget_str(driver_opts, OPT_IFNAME, "");
	cleanup_strv char **all = strv_split(jget_str(driver_opts, OPT_SYSCTLS, ""), ',');

	if (*ifname && (strlen(ifname) > 15 || ifname[strspn(ifname, WORD_CHARS ".")] || str_eq(ifname, ".") ||
			str_eq(ifname, "..") || str_eq(ifname, "lo")))
		strv_addf(faults, "invalid interface name '%.100s'", ifname);
	for (char **s = all; *s; s++) {
		cleanup_free char *name = xstrndup(*s, strcspn(*s, "="));
		cleanup_strv char **parts = **s ? sysctl_parts(name) : NULL;

		if (**s && !parts)
			strv_addf(faults,
				  "unrecognised network interface sysctl '%.200s'; represent 'net.X.Y.ethN.Z=V' as "
				  "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
				  *s);
		else if (**s && !strchr(*s, '='))
			strv_addf(faults, "expected sysctl '%.200s' to have format name=value", *s);
	}
}

const char *endpoint_ifname(const struct endpoint *ep)
{
	const char *name = jget_str(ep->driver_opts, OPT_IFNAME, "");

	return *name ? name : NULL;
}

static bool is_asked_for(const struct endpoint *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(endpoint_ifname(&v[i]), name))
			return true;
	return false;
}

void endpoint_name_at(const struct endpoint *v, size_t n, size_t i, char name[16])
{
	size_t before = 0, skip;

	if (endpoint_ifname(&v[i])) {
		str_copy(name, 16, endpoint_ifname(&v[i]));
		return;
	}
	for (size_t k = 0; k < i; k++)
		before += !endpoint_ifname(&v[k]);
	for (skip = 0;; skip++) { /* ethN for the before-th N that nobody asks for */
		if (str_fmt(name, 16, "eth%zu", skip) < 0)
			break;
		if (!is_asked_for(v, n, name) && before-- == 0)
			break;
	}
}

/* ---- sysctls ---- */

struct setting {
	char path[512];
	const char *value;
};

static int write_setting(void *arg, struct err *err)
{
	const struct setting *s = arg;
	cleanup_fd int fd = open(s->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = strlen(s->value);

	if (fd < 0)
		return errno == ENOENT ? err_kind(err, ERR_BAD_PARAM, "%s is not a sysctl file", s->path) :
					 err_sys(err, "open %s", s->path);
	return write(fd, s->value, len) == (ssize_t)len ? 0 : err_sys(err, "write '%s' to %s", s->value, s->path);
}

int endpoint_sysctls_set(const struct endpoint *ep, const char *ifname, int netns_fd, struct err *err)
{
	cleanup_strv char **all = strv_split(jget_str(ep->driver_opts, OPT_SYSCTLS, ""), ',');
	int rc = 0;

	for (char **s = all; *s && rc >= 0; s++) {
		cleanup_free char *name = xstrndup(*s, strcspn(*s, "="));
		cleanup_strv char **p = sysctl_parts(name);
		struct setting set = { .value = strchr(*s, '=') };

		if (!p || !set.value++)
			continue;
		if (str_fmt(set.path, sizeof(set.path), "/proc/sys/net/%s/%s/%s/%s", p[1], p[2], ifname, p[4]) < 0)
			return err_kind(err, ERR_BAD_PARAM, "sysctl name is too long");
		rc = netns_call(netns_fd, write_setting, &set, err);
	}
	return rc < 0 ? rc : 0;
}
