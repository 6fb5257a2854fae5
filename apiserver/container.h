/* SPDX-License-Identifier: MPL-2.0
 *
 * container.h - a container: its configuration, its state, and the index of all of them.
 *
 * Everything here is loop thread only, except where it says otherwise; jobs get a struct ct_spec, a copy.
 * One operation per container at a time: container_op_begin / _end.
 */
#ifndef APISERVER_CONTAINER_H
#define APISERVER_CONTAINER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "network.h"

enum container_status {
	CT_CREATED, /* "created" */
	CT_RUNNING,
	CT_PAUSED,
	CT_RESTARTING,
	CT_REMOVING,
	CT_EXITED,
	CT_DEAD,
};

/* One mount of a container, resolved: inspect's Mounts, and the OCI spec's. Owned by the container. */
struct ct_mount {
	char *type;	   /* bind volume tmpfs */
	char *name;	   /* volume's */
	char *source;	   /* host path; "" for tmpfs */
	char *destination; /* ct path */
	char *driver;	   /* "local" for volumes */
	char *mode;	   /* as inspect shows it: "z", "ro", "" */
	char *propagation; /* rprivate ... ; "" for volumes */
	char *subpath;	   /* volume subpath, or NULL */
	char *tmpfs_opts;  /* size=..,mode=.. or NULL */
	bool rw;
	bool no_copy;	  /* no copy-up of the image's content into a new volume */
	bool anonymous;	  /* volume made for this container: removed by rm -v, and by --rm */
	bool from_mounts; /* came by HostConfig.Mounts, not Binds */
	bool ro_non_recursive, ro_force_recursive, create_mountpoint, bind_non_recursive;
};

struct ct_mounts {
	struct ct_mount *v;
	size_t n;
};
void ct_mounts_fini(struct ct_mounts *m);
void ct_mounts_copy(struct ct_mounts *dst, const struct ct_mounts *src);
struct ct_mount *ct_mounts_add(struct ct_mounts *m); /* zeroed */

struct health_result {
	int64_t start_ns, end_ns;
	int exit_code;
	char *output; /* at most 4096 bytes */
};

enum health_status { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct container_state {
	enum container_status status;
	int pid;
	int exit_code;
	bool oom_killed;
	bool dead;
	bool stopped_by_user; /* stop or kill asked for: unless-stopped does not come back */
	bool started_once;
	char error[512];
	int64_t started_ns;  /* 0: never */
	int64_t finished_ns; /* 0: never */
	unsigned restart_count;
	enum health_status health;
	unsigned failing_streak;
	struct health_result health_log[5];
	size_t n_health_log;
};

enum container_op {
	OP_NONE, OP_START, OP_STOP, OP_RESTART, OP_PAUSE, OP_UNPAUSE, OP_RENAME, OP_UPDATE, OP_REMOVE,
	OP_EXPORT, OP_ARCHIVE, OP_COMMIT, OP_NETWORK,
};

struct zone;	   /* zone.h: the connection to its zoneadmd */
struct exec;	   /* exec.h */
struct ct_waiter;  /* waits for the end or the removal */

struct container {
	char id[65];
	char uuid[37];
	char *name; /* without a slash */
	unsigned refs;
	int64_t created_ns;
	char image_id[80]; /* sha256:... */
	char *image_ref;   /* as the user typed it */
	/* Docker's Config and HostConfig, canonical: every field that inspect shows is there. */
	json_t *config;
	json_t *host_config;
	char *platform_os;
	struct ct_mounts mounts;
	struct endpoint *endpoints; /* network.h; one per network */
	size_t n_endpoints;
	struct container_state st;
	char **exec_ids; /* running ones */
	/* operation in progress, and those that wait for it */
	enum container_op op;
	struct op_waiter *op_queue;
	bool op_dispatching; /* container.c: the line is being worked off */
	bool removing; /* accepted for removal: new operations are refused with 409 */
	bool auto_remove_done;
	struct zone *zone; /* while a zoneadmd runs, else NULL */
	struct ct_waiter *waiters;
	unsigned n_output_clients; /* attach_output.c */
	void *health_timer; /* health.c */
	json_t *extra; /* further persisted members by module (object), may be NULL */
	struct ct_text *text; /* ct_text.h: JSON texts made once; container_save drops them */
	struct container *next_by_age; /* container_first(): newest first */
	struct container *prev_by_age;
};

/* What a job may read of a container: a copy. */
struct ct_spec {
	char id[65];
	char uuid[37];
	char *name;
	char image_id[80];
	char *image_ref;
	int64_t created_ns;
	json_t *config;	     /* deep copies */
	json_t *host_config;
	struct ct_mounts mounts;
	struct endpoint *endpoints;
	size_t n_endpoints;
	struct container_state st; /* without health log */
	json_t *extra;
};
struct ct_spec *container_spec(const struct container *ct);
void ct_spec_free(struct ct_spec *s); /* any thread */

/* index */
void container_index_init(void);
struct container *container_new(const char *id); /* refs 1, not in the index */
struct container *container_ref(struct container *ct);
void container_unref(struct container *ct);
int container_add(struct container *ct, struct err *err); /* name or id taken: CONFLICT, Docker's words */
void container_del(struct container *ct);
struct container *container_by_id(const char *id); /* full ids only; borrowed */
/* Full id, name (with or without slash), unique id prefix, a link's name ("web/sql"). Docker's errors: 404 No such container: X; several: 400
 * "multiple IDs found with provided prefix: X". Borrowed. */
struct container *container_find(const char *ref, struct err *err);
struct container *container_first(void); /* newest first; ->next_by_age */
size_t container_count(void);
int container_reserve_name(const char *name, const char *for_id, struct err *err); /* before create's job */
void container_release_name(const char *name);
int container_rename(struct container *ct, const char *new_name, struct err *err);

/* Calls fn(ct, arg) when no other operation runs on ct, at once if so; ends with container_op_end. While it
 * is being removed: CONFLICT. fn gets cancelled = true when ct was removed meanwhile. */
typedef void op_fn(struct container *ct, void *arg, bool cancelled);
int container_op_begin(struct container *ct, enum container_op op, op_fn *fn, void *arg, struct err *err);
void container_op_end(struct container *ct);

const char *container_status_name(const struct container *ct); /* created running paused ... */
bool container_is_running(const struct container *ct);	       /* running, paused or restarting */

/* Persisted form: one JSON text per container (store.h). from: any thread at start; to: loop. */
char *container_to_json(const struct container *ct);
int container_from_json(const char *text, struct container **out, struct err *err);
/* Queues a write through a writer thread of its own: ordered, and only the newest text of a container is written. Also drops
 * the cached texts, so call it after every change of config, host_config, mounts, name or labels. */
void container_save(struct container *ct);
void container_save_flush(void); /* any thread: waits until all that is queued is written */
void container_save_stop(void);	 /* at the end: flushes, ends the thread */
/* Worker (create, start): written when it returns; supersedes what is queued for the id. */
int ct_spec_save(const struct ct_spec *spec, struct err *err);
/* Worker (remove): drops what is queued and deletes the record; container_del does it once more, asynchronously. */
int container_store_del(const char *id, struct err *err);

#endif
