/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_conf.h - config/zone.json as zoneadmd reads it, at each run; freed when the run is started.
 */
#ifndef DOCKERINIT_ZONE_CONF_H
#define DOCKERINIT_ZONE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "json.h"
#include "restart.h"

struct zone_conf {
	struct buf text; /* all strings below are inside */
	struct json j;
	const char *id, *uuid, *runtime, *runtime_root, *cgroup;
	const char *workdir; /* "" */
	const struct json_val *mountpoints; /* directories, as strings */
	const struct json_val *binds;	    /* {"source","at"}: binds without what is mounted below */
	bool tty, open_stdin, private_netns;
	int64_t oom_score_adj;
	int shm_pid;	    /* whose /dev/shm the zone shares; 0: none */
	const char *shm_at; /* the directory that config.json binds then */
	char **lowers;	    /* topmost first; lowers[0] is the native layer */
	size_t n_lowers;
	const char *upper, *work; /* NULL: read-only */
	const char *target;
	enum restart_policy policy;
	uint32_t max_retries, restart_count;
};

int zone_conf_read(struct zone_conf *c, const char *path, struct err *err);
void zone_conf_fini(struct zone_conf *c);
#define cleanup_zone_conf __attribute__((cleanup(zone_conf_fini)))

#endif
