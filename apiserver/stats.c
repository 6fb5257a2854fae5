/* SPDX-License-Identifier: MPL-2.0
 *
 * stats.c - one sample of a zone's use of the machine, in Docker's form. Worker.
 */
#define LOG_MODULE "stats"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_priv.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "oci_priv.h"
#include "str.h"

#define NET_DEV_MAX (256 * 1024)

void cg_sample_fini(struct cg_sample *s)
{
	buf_fini(&s->cpu);
	buf_fini(&s->memory);
	buf_fini(&s->blkio);
	buf_fini(&s->pids);
	buf_fini(&s->networks);
}

/* user nice system idle iowait irq softirq, as Docker sums them. */
static uint64_t system_cpu_ns(void)
{
	unsigned long long v[7] = { 0 }, sum = 0;
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	int i;

	if (fs_read_file("/proc/stat", 1 << 20, &b, &ignored) < 0)
		return 0;
	if (sscanf(buf_str(&b), "cpu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
		   &v[3], &v[4], &v[5], &v[6]) != 7)
		return 0;
	for (i = 0; i < 7; i++)
		sum += v[i];
	return sum * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void write_percpu(struct jw *w, const char *list)
{
	const char *p = list;
	char *end;
	unsigned long long v;

	jw_arr(w, "percpu_usage");
	for (;;) {
		v = strtoull(p, &end, 10);
		if (end == p)
			break;
		jw_uint(w, NULL, v);
		p = end;
	}
	jw_end(w);
}

void cg_write_cpu(struct buf *out, const struct cg_cpu *c)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_obj(&w, "cpu_usage");
	jw_uint(&w, "total_usage", c->total_ns);
	if (c->percpu)
		write_percpu(&w, c->percpu);
	jw_uint(&w, "usage_in_kernelmode", c->kernel_ns);
	jw_uint(&w, "usage_in_usermode", c->user_ns);
	jw_end(&w);
	jw_uint(&w, "system_cpu_usage", system_cpu_ns());
	jw_int(&w, "online_cpus", sysconf(_SC_NPROCESSORS_ONLN));
	jw_obj(&w, "throttling_data");
	jw_uint(&w, "periods", c->periods);
	jw_uint(&w, "throttled_periods", c->throttled);
	jw_uint(&w, "throttled_time", c->throttled_ns);
	jw_end(&w);
	jw_end(&w);
}

static void write_stat(const char *key, uint64_t value, void *arg)
{
	jw_uint(arg, key, value);
}

void cg_write_memory(struct buf *out, uint64_t usage, uint64_t max_usage, uint64_t limit,
		     uint64_t failcnt, const char *stat)
{
	struct jw w = JW(out);

	/* without a limit of its own a zone is limited by the machine */
	if (limit == 0 || limit > (uint64_t)engine->mem_total)
		limit = (uint64_t)engine->mem_total;
	jw_obj(&w, NULL);
	jw_uint(&w, "usage", usage);
	if (max_usage)
		jw_uint(&w, "max_usage", max_usage);
	jw_obj(&w, "stats");
	cg_each_pair(stat, write_stat, &w);
	jw_end(&w);
	if (failcnt)
		jw_uint(&w, "failcnt", failcnt);
	jw_uint(&w, "limit", limit);
	jw_end(&w);
}

void cg_write_pids(struct buf *out, uint64_t current, uint64_t limit)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	if (current)
		jw_uint(&w, "current", current);
	if (limit)
		jw_uint(&w, "limit", limit);
	jw_end(&w);
}

/* /proc/PID/net/dev is the namespace that PID is in. */
static void write_networks(struct buf *out, int pid)
{
	static const char *const names[16] = {
		[0] = "rx_bytes", [1] = "rx_packets", [2] = "rx_errors",  [3] = "rx_dropped",
		[8] = "tx_bytes", [9] = "tx_packets", [10] = "tx_errors", [11] = "tx_dropped",
	};
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	struct jw w = JW(out);
	char path[64], *p, *line, *colon, *end;
	unsigned long long v;
	int i, n = 0;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	if (fs_read_file(path, NET_DEV_MAX, &b, &ignored) < 0)
		return;
	p = b.p;
	while (p && (line = strsep(&p, "\n"))) {
		colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = '\0';
		line += strspn(line, " ");
		if (strcmp(line, "lo") == 0)
			continue;
		if (n++ == 0)
			jw_obj(&w, NULL);
		jw_obj(&w, line);
		for (i = 0, end = colon + 1; i < 16; i++) {
			v = strtoull(end, &end, 10);
			if (names[i])
				jw_uint(&w, names[i], v);
		}
		jw_end(&w);
	}
	if (n)
		jw_end(&w);
}

int cg_sample(const char *cgpath, int pid, bool host_net, struct cg_sample *out, struct err *err)
{
	int rc;

	rc = engine->cgroup_mode == CGROUP_V2 ? cg2_sample(cgpath, out, err)
					      : cg1_sample(cgpath, out, err);
	if (rc == 0 && pid > 0 && !host_net)
		write_networks(&out->networks, pid);
	return rc;
}
