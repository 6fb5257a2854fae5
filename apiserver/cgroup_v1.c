/* SPDX-License-Identifier: MPL-2.0
 *
 * cgroup_v1.c - a zone's cgroups in v1 hierarchies (also with an empty or partial unified one
 * beside them).
 */
#define LOG_MODULE "cgroup"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_priv.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define FREEZE_DEADLINE_NS 2000000000LL

/* FREEZING becomes FROZEN when each process has stopped; asked again, because a fork may have
 * raced. */
int cg1_freeze(const char *cgpath, bool frozen, struct err *err)
{
	const char *want = frozen ? "FROZEN" : "THAWED";
	int64_t until = mono_ns() + FREEZE_DEADLINE_NS;
	cleanup_buf struct buf b = BUF_INIT;
	struct timespec pause = { 0, 50000 };
	struct err ignored = { 0 };
	int rc;

	for (;;) {
		if ((rc = cg_write("freezer", cgpath, "freezer.state", want, err)) < 0)
			return rc;
		if ((rc = cg_read("freezer", cgpath, "freezer.state", &b)) < 0)
			return err_sysnum(err, rc, "read freezer.state of %s", cgpath);
		if (strncmp(buf_str(&b), want, 6) == 0)
			return 0;
		if (mono_ns() > until)
			break;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 5000000)
			pause.tv_nsec *= 2;
	}
	if (frozen)
		(void)cg_write("freezer", cgpath, "freezer.state", "THAWED", &ignored);
	return err_kind(err, ERR_SYSTEM, "%s: timed out", frozen ? "freeze" : "thaw");
}

/* memory and memory+swap bound each other, so that the order depends on which way they move. */
static int update_memory(const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t limit = jget_int(hc, "Memory", 0), swap = jget_int(hc, "MemorySwap", 0), v;
	uint64_t now = UINT64_MAX, usage = 0;
	bool swap_first;
	int rc;

	if (limit > 0) {
		(void)cg_read_u64("memory", cgpath, "memory.memsw.limit_in_bytes", &now);
		swap_first = swap == -1 || (swap > 0 && (uint64_t)swap > now);
		if (swap && swap_first && engine->swap_limit &&
		    (rc = cg_write_int("memory", cgpath, "memory.memsw.limit_in_bytes", swap,
				       err)) < 0)
			return rc;
		rc = cg_write_int("memory", cgpath, "memory.limit_in_bytes", limit, err);
		if (rc == -EBUSY &&
		    cg_read_u64("memory", cgpath, "memory.usage_in_bytes", &usage) == 0)
			return err_kind(err, ERR_SYSTEM,
					"unable to set memory limit to %lld (current usage: %llu)",
					(long long)limit, (unsigned long long)usage);
		if (rc < 0)
			return rc;
		if (swap && !swap_first && engine->swap_limit &&
		    (rc = cg_write_int("memory", cgpath, "memory.memsw.limit_in_bytes", swap,
				       err)) < 0)
			return rc;
	}
	if ((v = jget_int(hc, "MemoryReservation", 0)) > 0)
		return cg_write_int("memory", cgpath, "memory.soft_limit_in_bytes", v, err);
	return 0;
}

static int update_cpu(const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t nano = jget_int(hc, "NanoCpus", 0), quota = jget_int(hc, "CpuQuota", 0);
	int64_t period = jget_int(hc, "CpuPeriod", 0), v;
	int rc;

	if (nano > 0) {
		period = 100000;
		quota = nano / 10000;
	}
	if ((v = jget_int(hc, "CpuShares", 0)) > 0 &&
	    (rc = cg_write_int("cpu", cgpath, "cpu.shares", v, err)) < 0)
		return rc;
	if (period > 0 && (rc = cg_write_int("cpu", cgpath, "cpu.cfs_period_us", period, err)) < 0)
		return rc;
	if (quota != 0 && (rc = cg_write_int("cpu", cgpath, "cpu.cfs_quota_us", quota, err)) < 0)
		return rc;
	return cg_update_cpuset("cpuset", cgpath, hc, err);
}

int cg1_update(const char *cgpath, const json_t *hc, struct err *err)
{
	struct err ignored = { 0 };
	int64_t v;
	int rc;

	if ((rc = update_memory(cgpath, hc, err)) < 0 || (rc = update_cpu(cgpath, hc, err)) < 0 ||
	    (rc = cg_update_pids("pids", cgpath, hc, err)) < 0)
		return rc;
	v = jget_int(hc, "BlkioWeight", 0);
	if (v > 0 && cg_write_int("blkio", cgpath, "blkio.bfq.weight", v, &ignored) < 0)
		return cg_write_int("blkio", cgpath, "blkio.weight", v, err);
	return 0;
}

/* "8:0 Read 4096" lines to Docker's list; "Total 1" has no device. */
static void blkio_list(const char *cgpath, const char *file, const char *fallback, const char *key,
		       struct jw *w)
{
	cleanup_buf struct buf b = BUF_INIT;
	char *p, *line, op[16];
	unsigned maj, min;
	unsigned long long v;

	jw_arr(w, key);
	if (cg_read("blkio", cgpath, file, &b) >= 0 ||
	    (fallback && cg_read("blkio", cgpath, fallback, &b) >= 0)) {
		p = b.p;
		while (p && (line = strsep(&p, "\n"))) {
			op[0] = '\0';
			if (sscanf(line, "%u:%u %15[A-Za-z] %llu", &maj, &min, op, &v) != 4 &&
			    sscanf(line, "%u:%u %llu", &maj, &min, &v) != 3)
				continue;
			jw_obj(w, NULL);
			jw_uint(w, "major", maj);
			jw_uint(w, "minor", min);
			jw_str(w, "op", op);
			jw_uint(w, "value", v);
			jw_end(w);
		}
	}
	jw_end(w);
}

static void sample_blkio(const char *cgpath, struct buf *out)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	blkio_list(cgpath, "blkio.throttle.io_service_bytes_recursive",
		   "blkio.throttle.io_service_bytes", "io_service_bytes_recursive", &w);
	blkio_list(cgpath, "blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced",
		   "io_serviced_recursive", &w);
	blkio_list(cgpath, "blkio.io_queued_recursive", NULL, "io_queue_recursive", &w);
	blkio_list(cgpath, "blkio.io_service_time_recursive", NULL, "io_service_time_recursive",
		   &w);
	blkio_list(cgpath, "blkio.io_wait_time_recursive", NULL, "io_wait_time_recursive", &w);
	blkio_list(cgpath, "blkio.io_merged_recursive", NULL, "io_merged_recursive", &w);
	blkio_list(cgpath, "blkio.time_recursive", NULL, "io_time_recursive", &w);
	blkio_list(cgpath, "blkio.sectors_recursive", NULL, "sectors_recursive", &w);
	jw_end(&w);
}

int cg1_sample(const char *cgpath, struct cg_sample *s, struct err *err)
{
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK), usage = 0, max_usage = 0,
		 limit = 0, fail = 0;
	cleanup_buf struct buf percpu = BUF_INIT;
	cleanup_buf struct buf stat = BUF_INIT;
	struct cg_cpu c = { 0 };
	int rc;

	if ((rc = cg_read_u64("cpuacct", cgpath, "cpuacct.usage", &c.total_ns)) < 0)
		return err_sysnum(err, rc, "read cpuacct.usage of %s", cgpath);
	if (cg_read("cpuacct", cgpath, "cpuacct.stat", &stat) >= 0) {
		c.user_ns = cg_pair(buf_str(&stat), "user") * tick_ns;
		c.kernel_ns = cg_pair(buf_str(&stat), "system") * tick_ns;
	}
	if (cg_read("cpu", cgpath, "cpu.stat", &stat) >= 0) {
		c.periods = cg_pair(buf_str(&stat), "nr_periods");
		c.throttled = cg_pair(buf_str(&stat), "nr_throttled");
		c.throttled_ns = cg_pair(buf_str(&stat), "throttled_time");
	}
	if (cg_read("cpuacct", cgpath, "cpuacct.usage_percpu", &percpu) >= 0)
		c.percpu = buf_str(&percpu);
	cg_write_cpu(&s->cpu, &c);

	(void)cg_read_u64("memory", cgpath, "memory.usage_in_bytes", &usage);
	(void)cg_read_u64("memory", cgpath, "memory.max_usage_in_bytes", &max_usage);
	(void)cg_read_u64("memory", cgpath, "memory.limit_in_bytes", &limit);
	(void)cg_read_u64("memory", cgpath, "memory.failcnt", &fail);
	(void)cg_read("memory", cgpath, "memory.stat", &stat);
	cg_write_memory(&s->memory, usage, max_usage, limit, fail, buf_str(&stat));
	sample_blkio(cgpath, &s->blkio);
	usage = 0;
	limit = 0;
	(void)cg_read_u64("pids", cgpath, "pids.current", &usage);
	(void)cg_read_u64("pids", cgpath, "pids.max", &limit);
	cg_write_pids(&s->pids, usage, limit == UINT64_MAX ? 0 : limit);
	return 0;
}
