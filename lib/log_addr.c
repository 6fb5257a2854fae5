/* SPDX-License-Identifier: MPL-2.0
 *
 * log_addr.c - [scheme://]host[:port], as Go's net/url sees it, so far as the drivers' messages show.
 */
#include "log_addr.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

struct url {
	char scheme[32]; /* lower case; "" */
	bool slashes;	 /* scheme:// */
	const char *rest; /* behind them */
};

static int split_scheme(const char *s, struct url *u, struct err *err)
{
	size_t n = 0;

	memset(u, 0, sizeof(*u));
	u->rest = s;
	if (*s == ':')
		return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": missing protocol scheme", s);
	while (isalnum((unsigned char)s[n]) || (n && strchr("+-.", s[n]) && s[n]))
		n++;
	if (s[n] != ':' || n == 0 || !isalpha((unsigned char)s[0])) {
		if (s[strcspn(s, ":/")] == ':')
			return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": first path segment in URL cannot contain colon", s);
		return 0;
	}
	for (size_t i = 0; i < n && i + 1 < sizeof(u->scheme); i++)
		u->scheme[i] = (char)tolower((unsigned char)s[i]);
	u->slashes = str_starts(s + n, "://");
	u->rest = s + n + (u->slashes ? 3 : 1);
	return 0;
}

/* host[:port] up to a slash; either may be missing. *path: what follows. */
static int split_host(const char *whole, const char *s, struct log_addr *out, const char **path, struct err *err)
{
	size_t len = strcspn(s, "/?#"), host_len;
	const char *host = s, *port = NULL;
	int64_t n;

	*path = s + len;
	if (*s == '[') {
		host = s + 1;
		host_len = strcspn(host, "]/");
		if (host[host_len] != ']')
			return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": missing ']' in host", whole);
		if (host[host_len + 1] == ':')
			port = host + host_len + 2;
		else if (host + host_len + 1 != s + len)
			return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": invalid port \"%.*s\" after host", whole,
					(int)(s + len - host - host_len - 1), host + host_len + 1);
	} else {
		host_len = strcspn(s, ":/?#");
		if (s[host_len] == ':')
			port = s + host_len + 1;
	}
	if (host_len >= sizeof(out->host))
		return err_kind(err, ERR_BAD_PARAM, "the host name is too long");
	memcpy(out->host, host, host_len);
	out->host[host_len] = '\0';
	for (size_t i = 0; i < host_len; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr(*s == '[' ? ":.%" : "-._", host[i]))
			return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": invalid character \"%c\" in host name", whole, host[i]);
	out->port[0] = '\0';
	if (!port || port == s + len)
		return 0;
	len = (size_t)(s + len - port);
	if (len < sizeof(out->port)) {
		memcpy(out->port, port, len);
		out->port[len] = '\0';
	}
	if (strspn(port, "0123456789") < len)
		return err_kind(err, ERR_BAD_PARAM, "parse \"%s\": invalid port \":%.*s\" after host", whole, (int)len, port);
	if (len >= sizeof(out->port) || parse_i64(out->port, 1, 65535, &n) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid port: strconv.ParseUint: parsing \"%.*s\": value out of range", (int)len, port);
	return 0;
}

bool log_driver_forwards(const char *driver)
{
	static const char *const names[] = { "syslog", "fluentd", "gelf", "otlp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq(driver, names[i]))
			return true;
	return false;
}

static int set_unix(const char *path, enum log_addr_kind kind, struct log_addr *out, struct err *err)
{
	if (path[0] != '/')
		return err_kind(err, ERR_BAD_PARAM, "a unix socket needs an absolute path, not '%s'", path);
	if (strlen(path) > 107) /* sockaddr_un */
		return err_kind(err, ERR_BAD_PARAM, "the path of a unix socket is longer than 107 bytes");
	out->kind = kind;
	str_copy(out->host, sizeof(out->host), path);
	out->port[0] = '\0';
	return 0;
}

int log_addr_syslog(const char *value, struct log_addr *out, struct err *err)
{
	const char *path;
	struct url u;
	int rc;

	if (str_empty(value))
		return err_kind(err, ERR_BAD_PARAM, "missing required log opt 'syslog-address' for log driver: syslog");
	if ((rc = split_scheme(value, &u, err)) < 0)
		return rc;
	if (str_eq(u.scheme, "unix") || str_eq(u.scheme, "unixgram"))
		return set_unix(u.rest, str_eq(u.scheme, "unix") ? LOG_ADDR_UNIX : LOG_ADDR_UNIXGRAM, out, err);
	if (str_eq(u.scheme, "udp"))
		out->kind = LOG_ADDR_UDP;
	else if (str_eq(u.scheme, "tcp"))
		out->kind = LOG_ADDR_TCP;
	else if (str_eq(u.scheme, "tcp+tls"))
		out->kind = LOG_ADDR_TLS;
	else
		return err_kind(err, ERR_BAD_PARAM, "unsupported scheme: '%s'", u.scheme);
	if ((rc = split_host(value, u.slashes ? u.rest : "", out, &path, err)) < 0)
		return rc;
	if (!out->host[0])
		return err_kind(err, ERR_BAD_PARAM, "syslog-address: no host in '%s'", value);
	if (!out->port[0])
		str_copy(out->port, sizeof(out->port), "514");
	return 0;
}

static int fluentd(const char *value, struct log_addr *out, struct err *err)
{
	char with_scheme[1100];
	const char *path;
	struct url u;
	int rc;

	if (!strstr(value, "://")) {
		if (str_fmt(with_scheme, sizeof(with_scheme), "tcp://%s", value) < 0)
			return err_kind(err, ERR_BAD_PARAM, "too long");
		value = with_scheme;
	}
	if ((rc = split_scheme(value, &u, err)) < 0)
		return rc;
	if (str_eq(u.scheme, "unix"))
		return u.rest[0] ? set_unix(u.rest, LOG_ADDR_UNIX, out, err) : err_kind(err, ERR_BAD_PARAM, "path is empty");
	if (str_eq(u.scheme, "tcp"))
		out->kind = LOG_ADDR_TCP;
	else if (str_eq(u.scheme, "tls"))
		out->kind = LOG_ADDR_TLS;
	else
		return err_kind(err, ERR_BAD_PARAM, "unsupported scheme: '%s'", u.scheme);
	if ((rc = split_host(value, u.rest, out, &path, err)) < 0)
		return rc;
	if (*path == '/')
		return err_kind(err, ERR_BAD_PARAM, "should not contain a path element");
	if (!out->host[0])
		str_copy(out->host, sizeof(out->host), "127.0.0.1");
	if (!out->port[0])
		str_copy(out->port, sizeof(out->port), "24224");
	return 0;
}

int log_addr_fluentd(const char *value, struct log_addr *out, struct err *err)
{
	int rc = fluentd(value ? value : "", out, err);

	return rc < 0 ? err_wrap(err, rc, "invalid fluentd-address (%s)", value) : 0;
}

int log_addr_gelf(const char *value, struct log_addr *out, struct err *err)
{
	const char *path;
	struct url u;
	int rc;

	if (str_empty(value))
		return err_kind(err, ERR_BAD_PARAM, "gelf-address is a required parameter");
	if ((rc = split_scheme(value, &u, err)) < 0)
		return rc;
	if (!str_eq(u.scheme, "udp") && !str_eq(u.scheme, "tcp"))
		return err_kind(err, ERR_BAD_PARAM, "gelf: endpoint needs to be TCP or UDP");
	out->kind = str_eq(u.scheme, "udp") ? LOG_ADDR_UDP : LOG_ADDR_TCP;
	if ((rc = split_host(value, u.slashes ? u.rest : "", out, &path, err)) < 0)
		return rc;
	if (!out->host[0] || !out->port[0])
		return err_kind(err, ERR_BAD_PARAM, "gelf: please provide gelf-address as proto://host:port");
	return 0;
}

static int otlp(const char *value, struct log_addr *out, char **url, struct err *err)
{
	const char *path;
	size_t path_len;
	struct url u;
	int rc;

	if ((rc = split_scheme(value, &u, err)) < 0)
		return rc;
	if (!u.slashes || (!str_eq(u.scheme, "http") && !str_eq(u.scheme, "https")))
		return err_kind(err, ERR_BAD_PARAM, "must be http://host[:port][/path] or https://");
	out->kind = str_eq(u.scheme, "https") ? LOG_ADDR_TLS : LOG_ADDR_TCP;
	if ((rc = split_host(value, u.rest, out, &path, err)) < 0)
		return rc;
	if (!out->host[0])
		return err_kind(err, ERR_BAD_PARAM, "no host");
	if (!out->port[0])
		str_copy(out->port, sizeof(out->port), out->kind == LOG_ADDR_TLS ? "443" : "80");
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("?#\"<>\\^`{|}", *p))
			return err_kind(err, ERR_BAD_PARAM, "invalid character in the path");
	path_len = strlen(path);
	while (path_len > 0 && path[path_len - 1] == '/')
		path_len--;
	*url = xasprintf(strchr(out->host, ':') ? "%s://[%s]:%s%.*s%s" : "%s://%s:%s%.*s%s", u.scheme, out->host, out->port,
			 (int)path_len, path, path_len >= 8 && memcmp(path + path_len - 8, "/v1/logs", 8) == 0 ? "" : "/v1/logs");
	return 0;
}

int log_addr_otlp(const char *value, struct log_addr *out, char **url, struct err *err)
{
	int rc;

	if (str_empty(value))
		return err_kind(err, ERR_BAD_PARAM, "otlp-endpoint is a required parameter");
	rc = otlp(value, out, url, err);
	return rc < 0 ? err_wrap(err, rc, "invalid otlp-endpoint (%s)", value) : 0;
}
