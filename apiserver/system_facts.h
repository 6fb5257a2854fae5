/* SPDX-License-Identifier: MPL-2.0
 *
 * system_facts.h - what /version and /info tell of the host and of the programs beside us. Found
 * out once, by a job, at the first need. Loop thread.
 */
#ifndef APISERVER_SYSTEM_FACTS_H
#define APISERVER_SYSTEM_FACTS_H

#include <stdint.h>

struct system_facts {
	char kernel[128], machine[64], go_arch[32], host_name[128];
	char os_name[128], os_version[64];
	char backing_fs[32];
	char crun_version[64], crun_commit[64], runc_version[64], runc_commit[64];
	char build_time[40];
	const char *http_proxy, *https_proxy, *no_proxy; /* passwords removed */
	int64_t (*n_threads)(void);
};

/* Valid inside and after fn of system_facts_ready. */
const struct system_facts *system_facts(void);
/* Calls fn(req) when the facts are there, at once if so. */
void system_facts_ready(uint64_t req, void (*fn)(uint64_t req));

#endif
