/* SPDX-License-Identifier: MPL-2.0
 *
 * cgroup_priv.h - what cgroup*.c and stats.c share: files of a zone's cgroup by controller. Any
 * thread after cgroup_detect.
 */
#ifndef APISERVER_CGROUP_PRIV_H
#define APISERVER_CGROUP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "cgroup.h"
#include "engine.h"
#include "err.h"
#include "jw.h"

/* Where a v1 controller's hierarchy is mounted, NULL where it is not; v2: "" names the unified one.
 */
const char *cg_mount(const char *controller);
/* cgpath: as oci_cgroup_path gives it. Reads fail with negative errno. */
int cg_read(const char *controller, const char *cgpath, const char *file, struct buf *out);
int cg_read_u64(const char *controller, const char *cgpath, const char *file,
		uint64_t *out); /* "max": UINT64_MAX */
int cg_write(const char *controller, const char *cgpath, const char *file, const char *text,
	     struct err *err);
int cg_write_int(const char *controller, const char *cgpath, const char *file, int64_t v,
		 struct err *err);

/* "key value" lines: calls fn for each. */
void cg_each_pair(const char *text, void (*fn)(const char *key, uint64_t value, void *arg),
		  void *arg);
uint64_t cg_pair(const char *text, const char *key); /* 0 where it is not */

/* What both versions call the same: CpusetCpus and CpusetMems, and PidsLimit (0 and less: none), where hc has them. */
int cg_update_cpuset(const char *controller, const char *cgpath, const json_t *hc, struct err *err);
int cg_update_pids(const char *controller, const char *cgpath, const json_t *hc, struct err *err);

/* back ends */
int cg1_freeze(const char *cgpath, bool frozen, struct err *err);
int cg2_freeze(const char *cgpath, bool frozen, struct err *err);
int cg1_update(const char *cgpath, const json_t *hc, struct err *err);
int cg2_update(const char *cgpath, const json_t *hc, struct err *err);

/* One sample's parts, each a JSON object; empty where the zone is gone. */
struct cg_sample {
	struct buf cpu, memory, blkio, pids, networks;
};
void cg_sample_fini(struct cg_sample *s);
#define cleanup_cg_sample __attribute__((cleanup(cg_sample_fini)))
int cg1_sample(const char *cgpath, struct cg_sample *s, struct err *err);
int cg2_sample(const char *cgpath, struct cg_sample *s, struct err *err);
/* stats.c: all of it; pid 0 or host_net: no networks. */
int cg_sample(const char *cgpath, int pid, bool host_net, struct cg_sample *out, struct err *err);

/* shared by the back ends */
struct cg_cpu {
	uint64_t total_ns, user_ns, kernel_ns, periods, throttled, throttled_ns;
	const char *percpu; /* blank-separated, or NULL */
};
void cg_write_cpu(struct buf *out, const struct cg_cpu *c);
void cg_write_memory(struct buf *out, uint64_t usage, uint64_t max_usage, uint64_t limit,
		     uint64_t failcnt, const char *stat);
void cg_write_pids(struct buf *out, uint64_t current, uint64_t limit);

#endif
