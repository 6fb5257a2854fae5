/* SPDX-License-Identifier: MPL-2.0
 *
 * service_meta.h - the docker service's metadata: what operators set while the engine runs, under
 * SAPI's names (DEFAULT_MAX_LOG_SIZE ...; the upper-case keys of lib/conf_keys.c). Over the
 * configuration file, kept over restarts; read with conf_str as everything else.
 */
#ifndef APISERVER_SERVICE_META_H
#define APISERVER_SERVICE_META_H

#include <stddef.h>

#include "buf.h"
#include "conf.h"
#include "err.h"

/* Takes up what was set before. After store_open, before logsvc is asked for anything. */
int service_meta_init(struct err *err);
const char *service_meta_uuid(void); /* of the service; from service_meta_init on */

struct meta_change {
	const char *key;  /* of conf_keys */
	char *old, *value; /* what held and what holds; owned */
};
struct meta_changes {
	struct meta_change *v;
	size_t n;
};
void meta_changes_free(struct meta_changes *ch);

/* {"action": "update" | "delete", "metadata": {KEY: value, ...}}: all of it or, with the reason, nothing. Kept when
 * it returns, in force here and told to logsvc (or, should that be away, as soon as it is back). What
 * differs from before is in *out, also when it is less than was asked for. Blocks: a worker. */
int service_meta_change(const char *body, size_t len, struct meta_changes *out, struct err *err);

/* The service as SAPI shows it: uuid, name, metadata (what was set); and effective, with the
 * file's and the built-in values. Any thread. */
void service_meta_json(struct buf *out);

/* Whether a value can be this key's; the part of the check that looks at nothing else. Pure. */
int service_meta_check(const char *key, const char *value, struct err *err);

/* The same of all values that hold in a configuration, and of the object store's together. */
int service_meta_check_conf(const struct conf *c, struct err *err);

#endif
