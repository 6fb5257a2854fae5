/* SPDX-License-Identifier: MPL-2.0
 *
 * store_key.h - the credentials of the object store, from the file that log-archive-key names. One thread.
 *
 *	S3:	access-key-id = ...		Manta:	key-id = /login/keys/FINGERPRINT
 *		secret-access-key = ...			private-key = /path/of/key.pem
 *		session-token = ...	(optional)
 *
 * Both files belong to root (or to who runs us) and are readable by nobody else, else they are refused.
 */
#ifndef LOGSVC_STORE_KEY_H
#define LOGSVC_STORE_KEY_H

#include <stdbool.h>

#include "err.h"

struct store_key {
	char *id;     /* access-key-id, key-id */
	char *secret; /* S3 */
	char *token;  /* S3; NULL: none */
	char *pem;    /* Manta */
};

int store_key_load(const char *path, bool manta, struct store_key *out, struct err *err);
/* The text of such a file, without its PEM (*pem_path: where that is, owned; NULL: not named). Pure. */
int store_key_parse(char *text, bool manta, struct store_key *out, char **pem_path, struct err *err);
void store_key_fini(struct store_key *key); /* overwrites the secrets */

#endif
