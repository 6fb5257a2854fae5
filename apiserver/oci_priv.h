/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_priv.h - what the oci_*.c files share while they write one config.json. Worker.
 */
#ifndef APISERVER_OCI_PRIV_H
#define APISERVER_OCI_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "jw.h"
#include "oci_spec.h"

#define ZONE_INIT_PATH "/sbin/docker-init"

/* Facts drawn from a spec once, by oci_ctx_init; borrowed from the spec but for hostname and
 * seccomp. */
struct oci_ctx {
	const struct ct_spec *spec;
	const struct oci_env *env;
	const json_t *cfg, *hc;
	bool privileged, readonly_root, tty, init, no_new_privs;
	bool host_net, host_pid, host_ipc, host_uts, host_cgroupns;
	bool seccomp_unconfined;
	char net_uuid[37];	/* NetworkMode container:X: that zone, else "" */
	const char *init_path;	/* --init by this program, NULL: by dockerinit */
	uint64_t caps;		/* the user's process's set */
	char *hostname;		/* owned */
	const char *seccomp;	/* profile text of --security-opt, NULL: the default one */
	struct buf seccomp_b64; /* the compiled filter, base64; empty without one */
};
int oci_ctx_init(struct oci_ctx *o, const struct ct_spec *spec, const struct oci_env *env,
		 struct err *err);
void oci_ctx_fini(struct oci_ctx *o);
#define cleanup_oci_ctx __attribute__((cleanup(oci_ctx_fini)))

/* Members of config.json. */
int oci_process(const struct oci_ctx *o, struct jw *w, struct err *err); /* "process" */
int oci_mounts(const struct oci_ctx *o, struct jw *w, struct err *err);	 /* "mounts" */
/* "mountpoints", of zone.json: the folders in the root file system that the user's mounts are on. */
void oci_flat_binds(const struct oci_ctx *o, struct jw *w); /* zone.json's "binds" */
int oci_mountpoints(const struct oci_ctx *o, struct jw *w, struct err *err);
int oci_linux(const struct oci_ctx *o, struct jw *w, struct err *err);	 /* "linux" */
/* "devices" and the device rules of "resources" */
int oci_devices(const struct oci_ctx *o, struct jw *w, struct err *err);
int oci_device_rules(const struct oci_ctx *o, struct jw *w, struct err *err);
/* A block device's number by path; 0 or negative errno. */
int oci_block_number(const char *path, unsigned *maj, unsigned *min);
/* "shared" or "slave" where a bind's propagation needs the root's to be so, else NULL */
const char *oci_root_propagation(const struct oci_ctx *o);

/* The other files. */
int oci_metadata_json(const struct oci_ctx *o, struct buf *out, struct err *err);
int oci_log_json(const struct ct_spec *spec, struct buf *out, struct err *err);
/* The process object of metadata key docker:process; also the same members of an exec spec. */
void oci_process_members(const struct oci_ctx *o, struct jw *w);

/* <cgroup> of zone.json: absolute, in each hierarchy. */
void oci_cgroup_path(const struct ct_spec *spec, char *out, size_t size);
/* Environment: PATH, HOSTNAME, TERM, then the container's, then more's (NULL: none); of each key the last, in the first one's
 * place; a "K" without a value removes K. Owned vector. */
char **oci_env(const struct oci_ctx *o, const json_t *more);
/* A key of the configuration where the table has it. */
const char *oci_conf(const char *key, const char *def);

#endif
