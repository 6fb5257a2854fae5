/* SPDX-License-Identifier: MPL-2.0
 *
 * cgroup_v2.c - a zone's cgroup in the unified hierarchy.
 */
#define LOG_MODULE "cgroup"
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cgroup_priv.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define FREEZE_DEADLINE_NS 2000000000LL

int cg2_freeze(const char *cgpath, bool frozen, struct err *err)
{
	int64_t until = mono_ns() + FREEZE_DEADLINE_NS;
	cleanup_buf struct buf b = BUF_INIT;
	struct timespec pause = { 0, 50000 };
	struct err ignored = { 0 };
	int rc;

	if ((rc = cg_write("", cgpath, "cgroup.freeze", frozen ? "1" : "0", err)) < 0)
		return rc;
	while (mono_ns() < until) {
		if ((rc = cg_read("", cgpath, "cgroup.events", &b)) < 0)
			return err_sysnum(err, rc, "read cgroup.events of %s", cgpath);
		if (cg_pair(buf_str(&b), "frozen") == (frozen ? 1 : 0))
			return 0;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 5000000)
			pause.tv_nsec *= 2;
	}
	if (frozen)
		(void)cg_write("", cgpath, "cgroup.freeze", "0", &ignored);
	return err_kind(err, ERR_SYSTEM, "%s: timed out", frozen ? "freeze" : "thaw");
}

static int update_memory(const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t limit = jget_int(hc, "Memory", 0), swap = jget_int(hc, "MemorySwap", 0);
	int64_t low = jget_int(hc, "MemoryReservation", 0);
	int rc;

	if (limit > 0 && swap != 0) {
		rc = swap == -1 ? cg_write("", cgpath, "memory.swap.max", "max", err)
				: cg_write_int("", cgpath, "memory.swap.max",
					       swap > limit ? swap - limit : 0, err);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	if (limit > 0 && (rc = cg_write_int("", cgpath, "memory.max", limit, err)) < 0)
		return rc;
	return low > 0 ? cg_write_int("", cgpath, "memory.low", low, err) : 0;
}

static int update_cpu(const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t nano = jget_int(hc, "NanoCpus", 0), quota = jget_int(hc, "CpuQuota", 0);
	int64_t period = jget_int(hc, "CpuPeriod", 0), shares = jget_int(hc, "CpuShares", 0);
	char text[64];
	int rc;

	if (nano > 0) {
		period = 100000;
		quota = nano / 10000;
	}
	if (shares > 0) {
		shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
		/* [2-262144] to [1-10000], as the runtimes do */
		if ((rc = cg_write_int("", cgpath, "cpu.weight", 1 + (shares - 2) * 9999 / 262142,
				       err)) < 0)
			return rc;
	}
	if (quota != 0 || period > 0) {
		if (quota > 0)
			snprintf(text, sizeof(text), "%lld %lld", (long long)quota,
				 (long long)(period > 0 ? period : 100000));
		else
			snprintf(text, sizeof(text), "max %lld",
				 (long long)(period > 0 ? period : 100000));
		if ((rc = cg_write("", cgpath, "cpu.max", text, err)) < 0)
			return rc;
	}
	return cg_update_cpuset("", cgpath, hc, err);
}

int cg2_update(const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t v;
	int rc;

	if ((rc = update_memory(cgpath, hc, err)) < 0 || (rc = update_cpu(cgpath, hc, err)) < 0 ||
	    (rc = cg_update_pids("", cgpath, hc, err)) < 0)
		return rc;
	v = jget_int(hc, "BlkioWeight", 0);
	if (v > 0)
		return cg_write_int("", cgpath, "io.weight", 1 + (v - 10) * 9999 / 990, err);
	return 0;
}

/* io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static void io_list(const char *text, const char *rkey, const char *wkey, const char *key,
		    struct jw *w)
{
	cleanup_free char *copy = xstrdup(text);
	char *p = copy, *line, *at;
	const char *keys[2] = { rkey, wkey };
	static const char *const ops[2] = { "read", "write" };
	unsigned maj, min;
	int i;

	jw_arr(w, key);
	while (p && (line = strsep(&p, "\n"))) {
		if (sscanf(line, "%u:%u", &maj, &min) != 2)
			continue;
		for (i = 0; i < 2; i++) {
			at = strstr(line, keys[i]);
			if (!at)
				continue;
			jw_obj(w, NULL);
			jw_uint(w, "major", maj);
			jw_uint(w, "minor", min);
			jw_str(w, "op", ops[i]);
			jw_uint(w, "value", strtoull(at + strlen(keys[i]), NULL, 10));
			jw_end(w);
		}
	}
	jw_end(w);
}

static void sample_io(const char *cgpath, struct buf *out)
{
	static const char *const none[] = { "io_queue_recursive",     "io_service_time_recursive",
					    "io_wait_time_recursive", "io_merged_recursive",
					    "io_time_recursive",      "sectors_recursive" };
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(out);
	size_t i;

	(void)cg_read("", cgpath, "io.stat", &b);
	jw_obj(&w, NULL);
	io_list(buf_str(&b), " rbytes=", " wbytes=", "io_service_bytes_recursive", &w);
	io_list(buf_str(&b), " rios=", " wios=", "io_serviced_recursive", &w);
	for (i = 0; i < ARRAY_SIZE(none); i++)
		jw_null(&w, none[i]);
	jw_end(&w);
}

int cg2_sample(const char *cgpath, struct cg_sample *s, struct err *err)
{
	uint64_t usage = 0, limit = 0, fail;
	cleanup_buf struct buf stat = BUF_INIT;
	cleanup_buf struct buf events = BUF_INIT;
	struct cg_cpu c = { 0 };
	int rc;

	if ((rc = cg_read("", cgpath, "cpu.stat", &stat)) < 0)
		return err_sysnum(err, rc, "read cpu.stat of %s", cgpath);
	c.total_ns = cg_pair(buf_str(&stat), "usage_usec") * 1000;
	c.user_ns = cg_pair(buf_str(&stat), "user_usec") * 1000;
	c.kernel_ns = cg_pair(buf_str(&stat), "system_usec") * 1000;
	c.periods = cg_pair(buf_str(&stat), "nr_periods");
	c.throttled = cg_pair(buf_str(&stat), "nr_throttled");
	c.throttled_ns = cg_pair(buf_str(&stat), "throttled_usec") * 1000;
	cg_write_cpu(&s->cpu, &c);

	(void)cg_read_u64("", cgpath, "memory.current", &usage);
	(void)cg_read_u64("", cgpath, "memory.max", &limit);
	(void)cg_read("", cgpath, "memory.stat", &stat);
	(void)cg_read("", cgpath, "memory.events", &events);
	fail = cg_pair(buf_str(&events), "oom");
	cg_write_memory(&s->memory, usage, 0, limit, fail, buf_str(&stat));
	sample_io(cgpath, &s->blkio);
	usage = 0;
	limit = 0;
	(void)cg_read_u64("", cgpath, "pids.current", &usage);
	(void)cg_read_u64("", cgpath, "pids.max", &limit);
	cg_write_pids(&s->pids, usage, limit);
	return 0;
}
