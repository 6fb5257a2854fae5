/* SPDX-License-Identifier: MPL-2.0
 *
 * engine.h - what main.c makes once and everyone may read: paths, configuration, host facts.
 * Read-only after start, any thread. Not a bag: nothing that changes belongs here.
 */
#ifndef APISERVER_ENGINE_H
#define APISERVER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "paths.h"

enum cgroup_mode { CGROUP_V1, CGROUP_HYBRID, CGROUP_V2 };

struct engine {
	struct paths paths;
	struct conf *conf;
	char conf_path[512];	/* of --conf, "" without: for the daemons that we start */
	char bin_dir[512];	/* where our programs are: zoneadmd, logsvc, dockerinit */
	char server_uuid[37];	/* of this node, made at the first start, kept in <lib> */
	char owner_uuid[37];	/* the one account there is */
	char engine_id[65];	/* for /info */
	char native_layer[1024]; /* top lower of every zone: /native */
	char base_layer[1024];	/* bottom lower of every zone: mount points */
	enum cgroup_mode cgroup_mode;
	int ncpu;
	int64_t mem_total;
	uint64_t caps_bounding; /* what we hold, so what a zone can get */
	bool seccomp_available;
	bool swap_limit; /* memory.memsw / memory.swap.max exist */
};

extern const struct engine *engine;

#endif
