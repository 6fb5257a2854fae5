/* SPDX-License-Identifier: MPL-2.0
 *
 * log_store.h - which object store rotated logs are kept in: the LOG_ARCHIVE_ settings, and the URLs of objects. Pure, any
 * thread. Secrets are not here: they are in a file of the operator's (log-archive-key), which the archiver reads.
 */
#ifndef LIB_LOG_STORE_H
#define LIB_LOG_STORE_H

#include <stdbool.h>

#include "buf.h"
#include "conf.h"
#include "err.h"

struct log_store {
	bool manta;	   /* else S3 */
	bool tls;
	bool virtual_host; /* S3: the bucket is a part of the host's name, not of the path */
	char host[320];	   /* whom to connect to, the bucket included; no brackets */
	char port[6];
	char path[1024];   /* what every object's path begins with: "" or "/..." */
	char region[64];   /* S3 */
};

/* What operators write. ERR_BAD_PARAM, naming the setting. */
struct log_store_settings {
	const char *type;   /* s3 or manta */
	const char *url;    /* http[s]://host[:port][/path] */
	const char *bucket; /* bucket[/prefix]; with Manta login/stor[/...] */
	const char *style;  /* path or virtual-host */
	const char *region;
};
int log_store_parse(const struct log_store_settings *s, struct log_store *out, struct err *err);
/* Of the configuration. 1, or 0: none is configured (LOG_ARCHIVE_URL is empty). */
int log_store_of_conf(const struct conf *conf, struct log_store *out, struct err *err);
void log_store_settings_of_conf(const struct conf *conf, struct log_store_settings *out); /* borrowed from conf */

/* object begins with a slash. */
void log_store_url(const struct log_store *s, const char *object, struct buf *out);
/* "/owner/zones/uuid/name": only of characters that need no escaping in a URL and in a signature. -EINVAL. */
#define LOG_OBJECT_MAX 192
int log_store_object(char out[LOG_OBJECT_MAX], const char *owner, const char *uuid, const char *name);

#endif
