/* SPDX-License-Identifier: MPL-2.0
 *
 * host_cgroups.c - the limits that this host's cgroups can keep, by the files and controllers that are there.
 */
#include "host_cgroups.h"

#include <pthread.h>
#include <stddef.h>

#include "buf.h"
#include "cgroup_priv.h"
#include "cleanup.h"
#include "engine.h"
#include "fs.h"
#include "str.h"

/* v1 has a file for each limit, in the top cgroup of its controller; v2 a controller, or nothing. */
static const struct {
	size_t offset;
	const char *v1_controller, *v1_file;
	const char *v2_controller;
} rows[] = {
#define FACT(name) offsetof(struct host_cgroups, name)
	{ FACT(memory), "memory", "memory.limit_in_bytes", "memory" },
	{ FACT(reservation), "memory", "memory.soft_limit_in_bytes", "memory" },
	{ FACT(swappiness), "memory", "memory.swappiness", NULL },
	{ FACT(oom_control), "memory", "memory.oom_control", NULL },
	{ FACT(cpu_shares), "cpu", "cpu.shares", "cpu" },
	{ FACT(cpu_cfs), "cpu", "cpu.cfs_quota_us", "cpu" },
	{ FACT(cpuset), "cpuset", "cpuset.cpus", "cpuset" },
	{ FACT(pids), "pids", "cgroup.procs", "pids" },
	{ FACT(blkio_weight), "blkio", "blkio.weight", "io" },
	{ FACT(blkio_weight_device), "blkio", "blkio.weight_device", "io" },
	{ FACT(read_bps), "blkio", "blkio.throttle.read_bps_device", "io" },
	{ FACT(write_bps), "blkio", "blkio.throttle.write_bps_device", "io" },
	{ FACT(read_iops), "blkio", "blkio.throttle.read_iops_device", "io" },
	{ FACT(write_iops), "blkio", "blkio.throttle.write_iops_device", "io" },
#undef FACT
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct host_cgroups found;
static const struct host_cgroups *instead;

static bool *fact_at(size_t row)
{
	return (bool *)((char *)&found + rows[row].offset);
}

static void find_v1(void)
{
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *mount = cg_mount(rows[i].v1_controller);

		if (mount && str_fmt(path, sizeof(path), "%s/%s", mount, rows[i].v1_file) >= 0)
			*fact_at(i) = fs_exists(path);
	}
}

static void find_v2(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_strv char **list = NULL;
	struct err ignored = { 0 };

	if (fs_read_file("/sys/fs/cgroup/cgroup.controllers", 4096, &b, &ignored) < 0)
		return;
	while (b.len > 0 && b.p[b.len - 1] == '\n')
		b.p[--b.len] = '\0';
	list = strv_split(buf_str(&b), ' ');
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		*fact_at(i) = rows[i].v2_controller && strv_has(list, rows[i].v2_controller);
}

static void find_out(void)
{
	if (engine->cgroup_mode == CGROUP_V2)
		find_v2();
	else
		find_v1();
}

const struct host_cgroups *host_cgroups(void)
{
	pthread_once(&once, find_out);
	return instead ? instead : &found;
}

void host_cgroups_set(const struct host_cgroups *facts)
{
	instead = facts;
}
