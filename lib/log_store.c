/* SPDX-License-Identifier: MPL-2.0
 *
 * log_store.c - the object store's settings taken apart.
 *
 * Design. Every part that goes into a path is of characters that RFC 3986 calls unreserved, so that what is asked for,
 * what is signed (SigV4's canonical URI) and what an operator reads are the same text, whoever escapes what.
 */
#include "log_store.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "str.h"

static bool is_unreserved(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !(s[i] && strchr("-._~", s[i])))
			return false;
	return true;
}

/* "a/b/c": no empty part, no dots that lead elsewhere. */
static bool is_clean_path(const char *s)
{
	for (const char *end; ; s = end + 1) {
		size_t len;

		end = strchrnul(s, '/');
		len = (size_t)(end - s);
		if (!len || !is_unreserved(s, len) || (len <= 2 && strspn(s, ".") >= len))
			return false;
		if (!*end)
			return true;
	}
}

/* DNS names and addresses; what is in brackets is IPv6. */
static int parse_host(const char *s, size_t len, struct log_store *out)
{
	unsigned char ip[16];

	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		if (len - 2 >= 64)
			return -EINVAL;
		memcpy(out->host, s + 1, len - 2);
		out->host[len - 2] = '\0';
		return inet_pton(AF_INET6, out->host, ip) == 1 ? 0 : -EINVAL;
	}
	if (!len || len > 253 || !is_unreserved(s, len))
		return -EINVAL;
	memcpy(out->host, s, len);
	out->host[len] = '\0';
	return 0;
}

static int parse_url(const char *url, struct log_store *out, struct err *err)
{
	const char *at = str_starts(url, "https://") ? url + 8 : str_starts(url, "http://") ? url + 7 : NULL;
	size_t len = at ? strcspn(at, "/") : 0, host_len;
	const char *port, *path;
	int64_t n;

	if (!at)
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_URL: must begin with http:// or https://: '%.200s'", url);
	out->tls = url[4] == 's';
	port = memrchr(at, ':', len);
	if (port && memchr(port, ']', len - (size_t)(port - at)))
		port = NULL;
	host_len = port ? (size_t)(port - at) : len;
	str_copy(out->port, sizeof(out->port), out->tls ? "443" : "80");
	if (port && (at + len - port - 1 < 1 || at + len - port - 1 > 5))
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_URL: no port: '%.200s'", url);
	if (port) {
		memcpy(out->port, port + 1, (size_t)(at + len - port - 1));
		out->port[at + len - port - 1] = '\0';
		if (parse_i64(out->port, 1, 65535, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_URL: no port: '%.200s'", url);
	}
	if (parse_host(at, host_len, out) < 0)
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_URL: no host's name or address: '%.200s'", url);
	path = at + len;
	if (*path && path[1]) {
		if (strlen(path) > 256 || !is_clean_path(path + 1))
			return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_URL: not a plain path: '%.200s'", path);
		str_copy(out->path, sizeof(out->path), path);
	}
	return 0;
}

static int add_path(struct log_store *out, const char *more, struct err *err)
{
	size_t len = strlen(out->path);

	if (str_fmt(out->path + len, sizeof(out->path) - len, "/%s", more) < 0)
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_BUCKET: too long");
	return 0;
}

/* bucket.host, and the rest of LOG_ARCHIVE_BUCKET as the prefix. */
static int put_bucket_first(struct log_store *out, const char *bucket, struct err *err)
{
	size_t len = strcspn(bucket, "/");
	unsigned char ip[16];
	char host[320];

	if (inet_pton(AF_INET, out->host, ip) == 1 || inet_pton(AF_INET6, out->host, ip) == 1)
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_STYLE: virtual-host needs a host's name in LOG_ARCHIVE_URL");
	if (len > 63 || str_fmt(host, sizeof(host), "%.*s.%s", (int)len, bucket, out->host) < 0)
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_BUCKET: too long");
	str_copy(out->host, sizeof(out->host), host);
	return bucket[len] ? add_path(out, bucket + len + 1, err) : 0;
}

int log_store_parse(const struct log_store_settings *s, struct log_store *out, struct err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	out->manta = str_eq(s->type, "manta");
	out->virtual_host = !out->manta && str_eq(s->style, "virtual-host");
	if (!out->manta && !str_eq(s->type, "s3"))
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_TYPE: must be s3 or manta: '%.64s'", s->type);
	if (!str_eq(s->style, "virtual-host") && !str_eq(s->style, "path"))
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_STYLE: must be path or virtual-host: '%.64s'", s->style);
	if (str_copy(out->region, sizeof(out->region), s->region) == 0 || strlen(s->region) >= sizeof(out->region) ||
	    !is_unreserved(s->region, strlen(s->region)))
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_REGION: not a region's name: '%.64s'", s->region);
	if ((rc = parse_url(s->url, out, err)) < 0)
		return rc;
	if (strlen(s->bucket) > 512 || !is_clean_path(s->bucket))
		return err_kind(err, ERR_BAD_PARAM,
				"LOG_ARCHIVE_BUCKET: must be names of letters, digits and -._~ with slashes between them: '%.200s'",
				s->bucket);
	if (out->manta && !strchr(s->bucket, '/'))
		return err_kind(err, ERR_BAD_PARAM, "LOG_ARCHIVE_BUCKET: Manta's folders are login/stor/...: '%.200s'", s->bucket);
	return out->virtual_host ? put_bucket_first(out, s->bucket, err) : add_path(out, s->bucket, err);
}

void log_store_settings_of_conf(const struct conf *conf, struct log_store_settings *out)
{
	out->type = conf_str(conf, "LOG_ARCHIVE_TYPE");
	out->url = conf_str(conf, "LOG_ARCHIVE_URL");
	out->bucket = conf_str(conf, "LOG_ARCHIVE_BUCKET");
	out->style = conf_str(conf, "LOG_ARCHIVE_STYLE");
	out->region = conf_str(conf, "LOG_ARCHIVE_REGION");
}

int log_store_of_conf(const struct conf *conf, struct log_store *out, struct err *err)
{
	struct log_store_settings s;
	int rc;

	log_store_settings_of_conf(conf, &s);
	if (!*s.url)
		return 0;
	rc = log_store_parse(&s, out, err);
	return rc < 0 ? rc : 1;
}

void log_store_url(const struct log_store *s, const char *object, struct buf *out)
{
	bool v6 = strchr(s->host, ':') != NULL;

	buf_printf(out, "%s://%s%s%s", s->tls ? "https" : "http", v6 ? "[" : "", s->host, v6 ? "]" : "");
	if (!str_eq(s->port, s->tls ? "443" : "80")) /* the Host header, which is signed, has none of the scheme's own */
		buf_printf(out, ":%s", s->port);
	buf_printf(out, "%s%s", s->path, object);
}

int log_store_object(char out[LOG_OBJECT_MAX], const char *owner, const char *uuid, const char *name)
{
	if (str_fmt(out, LOG_OBJECT_MAX, "/%s/zones/%s/%s", owner, uuid, name) < 0 || !is_clean_path(out + 1))
		return -EINVAL;
	return 0;
}
