/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_spec.h - from a container's configuration to what the zone is made of. Worker.
 */
#ifndef APISERVER_OCI_SPEC_H
#define APISERVER_OCI_SPEC_H

#include <jansson.h>

#include "buf.h"
#include "container.h"
#include "err.h"
#include "image_store.h"

/* What only the start knows. */
struct oci_env {
	const struct image *image; /* for the layers */
	/* resolved for namespace sharing: pid of the other zone's init, 0 if unused */
	int net_pid, pid_pid, ipc_pid;
};

/* Writes config.json, zone.json, metadata.json and log.json below <zones>/UUID/config, everything
 * that zoneadmd and logsvc need for this run and for restarts without us. */
int oci_write(const struct ct_spec *spec, const struct oci_env *env, struct err *err);
/* metadata.json alone: when the endpoints have got their addresses. */
int oci_write_metadata(const struct ct_spec *spec, struct err *err);
/* The JSON that dockerinit gets for an exec (exec create body merged with the container's). */
int oci_exec_spec(const struct ct_spec *spec, const json_t *exec_config, struct buf *out,
		  struct err *err);
/* Docker's mount resolution at create: Binds, Volumes, Mounts, VolumesFrom, tmpfs -> spec->mounts;
 * creates volumes, copies image content up into new ones, makes the working directory (both need a
 * mounted root: zone_rootfs). Worker. from[] are specs of the --volumes-from containers;
 * ro_non_recursive: of read-only binds. */
int mounts_resolve(struct ct_spec *spec, const struct image *img, struct ct_spec *const *from,
		   size_t n_from, bool ro_non_recursive, struct err *err);
/* Worker. Nothing may hide /proc: runc's rule and words. */
int mounts_check_start(const struct ct_spec *spec, struct err *err);
/* log.json alone (create, update). */
int oci_write_log_json(const struct ct_spec *spec, struct err *err);
/* The same where the file says something else; *changed. */
int oci_refresh_log_json(const struct ct_spec *spec, bool *changed, struct err *err);

#endif
