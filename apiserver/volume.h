/* SPDX-License-Identifier: MPL-2.0
 *
 * volume.h - named volumes, driver local: <lib>/volumes/NAME/_data. Own lock; any thread.
 *
 * Volumes with driver options (type, o, device) are never mounted in the host's namespace: nothing
 * of a zone may leak there.
 *	o=bind			volume_mount gives the device's path, a directory of the host, to
 *				bind as any other
 *	tmpfs, nfs, ext4 ...	volume_fs gives type, source and options, and the OCI spec mounts
 *				it at the destination, inside the zone. So two zones that share
 *				such a tmpfs volume have one each (Docker: one).
 */
#ifndef APISERVER_VOLUME_H
#define APISERVER_VOLUME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

int volume_init(struct err *err);
void volume_fini(void);
/* Existing one of that name is fine (same driver). name NULL or "": anonymous, 64 hex. labels,
 * opts: objects or NULL. *created tells whether it is new. out_name owned. */
int volume_create(const char *name, const char *driver, const json_t *labels, const json_t *opts,
		  char **out_name, bool *created, struct err *err);
/* Host path to bind: paired with volume_unmount. For one with a file system of its own, an empty
 * directory: see volume_fs. Worker. */
int volume_mount(const char *name, const char *ct_id, char **out_path, struct err *err);
void volume_unmount(const char *name, const char *ct_id);
/* What to mount in the zone in place of a bind: true and *out owned; false: bind volume_mount's
 * path. Looks the name of an NFS server up, so: worker. */
struct volume_fs {
	char *type, *source;
	char **options; /* never NULL; options of mount(8) and of the file system */
};
bool volume_fs(const char *name, struct volume_fs *out);
void volume_fs_fini(struct volume_fs *fs);
/* References of containers (running or not): a referenced one cannot be removed. */
void volume_ref(const char *name, const char *ct_id);
void volume_unref(const char *name, const char *ct_id);
/* Worker. 404 "get X: no such volume" (force: fine) / 409 "remove X: volume is in use - [ids]" */
int volume_remove(const char *name, bool force, struct err *err);
int volume_exists(const char *name);
int volume_path(const char *name, char **out_path, struct err *err); /* Mountpoint */
/* Bytes on disk of its directory. Worker. */
int64_t volume_size(const char *name);

struct volume_info {
	char *name;
	const char *driver; /* static */
	char *labels;	    /* JSON object, or NULL */
	bool anonymous;
	size_t n_refs;
	char *json; /* as GET /volumes/X shows it */
};
void volume_list(struct volume_info **out, size_t *n); /* by name */
void volume_info_free(struct volume_info *v, size_t n);
int volume_inspect(const char *name, struct buf *out,
		   struct err *err); /* appends the object; 404 */
/* Worker. Appends system df's array: the objects with UsageData. *total, if not NULL: bytes of all.
 */
void volume_df_json(struct buf *out, int64_t *total);

#endif
