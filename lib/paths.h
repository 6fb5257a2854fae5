/* SPDX-License-Identifier: MPL-2.0
 *
 * paths.h - where an engine keeps its things. Made once at start from --root and the config, then
 * read-only; any thread.
 *
 *			default				with --root DIR
 *	zones		/zones				DIR/zones
 *	lib		/var/lib/sdc-docker		DIR/lib
 *	run		/run/sdc-docker			DIR/run
 *	api_sock	/run/sdc-docker/docker.sock	DIR/docker.sock
 *
 * A zone: <zones>/UUID/{config,root,diff,work,logs,cores}, <run>/zones/UUID/.
 */
#ifndef LIB_PATHS_H
#define LIB_PATHS_H

#include "err.h"

struct paths {
	char root[512]; /* "" without --root */
	char zones[600];
	char lib[600];
	char run[600];
	char api_sock[600];
	char logsvc_sock[600]; /* <run>/logsvc.sock */
	char admin_sock[600];  /* <run>/admin.sock */
	char tag[9];	       /* 8 hex digits of the run path's hash, "" without --root: makes bridge,
				* table and cgroup names unique per engine */
};

int paths_init(struct paths *p, const char *root, struct err *err);
/* <zones>/UUID/<rest>; rest may be "". Returns out. Aborts when it does not fit (it always does). */
char *paths_zone(const struct paths *p, const char *uuid, const char *rest, char out[1024]);
char *paths_zone_run(const struct paths *p, const char *uuid, const char *rest, char out[1024]);

#endif
