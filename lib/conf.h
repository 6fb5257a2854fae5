/* SPDX-License-Identifier: MPL-2.0
 *
 * conf.h - sdc-docker.conf: "key = value" lines, # comments; one table of keys with type, default
 * and help, which etc/sdc-docker.conf and the man page are checked against.
 */
#ifndef LIB_CONF_H
#define LIB_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum conf_type { CONF_STR, CONF_INT, CONF_SIZE, CONF_BOOL, CONF_LIST };

struct conf_key {
	const char *name;
	enum conf_type type;
	const char *def; /* as written in the file */
	const char *help;
};

struct conf;
extern const struct conf_key conf_keys[]; /* ends with name NULL */

/* path NULL: embedded defaults only. Unknown keys and bad values are errors with file:line. */
int conf_load(struct conf **out, const char *path, struct err *err);
void conf_free(struct conf *c);
/* Asking for a key that the table lacks aborts. Borrowed until conf_free. */
const char *conf_str(const struct conf *c, const char *key);
int64_t conf_int(const struct conf *c, const char *key); /* also sizes, in bytes */
bool conf_bool(const struct conf *c, const char *key);
/* Checks a value as the table has it; for metadata set. */
int conf_check(const char *key, const char *value, struct err *err);

/* Service metadata: the keys in upper case or with underscores, which may be set while the engine runs. */
bool conf_is_metadata(const char *key);
/* Sets a key over what the file says; value NULL: the file's again. Any thread, also while others
 * read; what they borrowed stays. */
int conf_override(struct conf *c, const char *key, const char *value, struct err *err);
const char *conf_overridden(const struct conf *c, const char *key); /* borrowed; NULL: it is not */
/* Overrides what the file at path has; none at all is fine. */
int conf_load_overrides(struct conf *c, const char *path, struct err *err);
struct conf *conf_dup(const struct conf *c); /* to try a change on */

#endif
