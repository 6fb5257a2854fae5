/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_resources.c - limits of memory, CPU, block I/O and processes: ranges, conflicts, what this
 * host has.
 *
 * Design: the checks are Docker's, in its order and words, since scripts match them. What the host
 * lacks is discarded with a warning, as Docker does; what makes no sense is refused.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/ct_check.h"
#include "apiserver/engine.h"
#include "apiserver/host_cgroups.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

#define MIN_MEMORY (6 * 1024 * 1024)
#define MAX_CPUS   8192

static int bad(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM, "%s", text);
}

static int64_t num(const json_t *host, const char *key)
{
	return jget_int(host, key, 0);
}

static void set_num(json_t *host, const char *key, int64_t n)
{
	json_object_set_new(host, key, json_integer(n));
}

static bool is_set(const json_t *host, const char *key)
{
	const json_t *v = json_object_get(host, key);

	return v && !json_is_null(v);
}

/* Puts the zero value in place of a limit; whether there was one. */
static bool reset(json_t *host, const char *key)
{
	const json_t *v = json_object_get(host, key);

	if (json_is_array(v)	? json_array_size(v) == 0
	    : json_is_string(v) ? json_string_length(v) == 0
				: json_integer_value(v) <= 0)
		return false;
	if (json_is_array(v))
		json_object_set_new(host, key, json_array());
	else if (json_is_string(v))
		json_object_set_new(host, key, json_string(""));
	else if (strcmp(key, "PidsLimit") == 0)
		json_object_set_new(host, key, json_null());
	else
		set_num(host, key, 0);
	return true;
}

/* What the host cannot keep is not kept, and said so, as Docker does. */
static void discard(json_t *host, char ***warnings)
{
	const struct host_cgroups *have = host_cgroups();
	const struct {
		bool kept;
		const char *keys[2];
		const char *warning; /* the words in front of " or the cgroup is not mounted." */
		const char *what;
	} rows[] = {
		{ have->memory, { "Memory" }, "memory limit capabilities", "Limitation" },
		{ have->reservation,
		  { "MemoryReservation" },
		  "memory soft limit capabilities",
		  "Limitation" },
		{ have->pids, { "PidsLimit" }, "PIDs limit capabilities", "PIDs limit" },
		{ have->cpu_shares, { "CpuShares" }, "CPU shares", "Shares" },
		{ have->cpuset, { "CpusetCpus", "CpusetMems" }, "cpuset", "Cpuset" },
		{ have->blkio_weight, { "BlkioWeight" }, "Block I/O weight", "Weight" },
		{ have->blkio_weight_device,
		  { "BlkioWeightDevice" },
		  "Block I/O weight_device",
		  "Weight-device" },
		{ have->read_bps,
		  { "BlkioDeviceReadBps" },
		  "BPS Block I/O read limit",
		  "Block I/O BPS read limit" },
		{ have->write_bps,
		  { "BlkioDeviceWriteBps" },
		  "BPS Block I/O write limit",
		  "Block I/O BPS write limit" },
		{ have->read_iops,
		  { "BlkioDeviceReadIOps" },
		  "IOPS Block read limit",
		  "Block I/O IOPS read limit" },
		{ have->write_iops,
		  { "BlkioDeviceWriteIOps" },
		  "IOPS Block write limit",
		  "Block I/O IOPS write limit" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool asked = false;

		for (size_t k = 0; k < 2 && rows[i].keys[k] && !rows[i].kept; k++)
			asked = reset(host, rows[i].keys[k]) || asked;
		if (!asked)
			continue;
		strv_addf(warnings,
			 "Your kernel does not support %s or the cgroup is not mounted. %s "
			 "discarded.",
			 rows[i].warning, rows[i].what);
		if (i == 0) /* the memory limit */
			set_num(host, "MemorySwap", -1);
	}
}

static int check_swap(json_t *host, bool update, char ***warnings, struct err *err)
{
	int64_t memory = num(host, "Memory");
	int64_t swap = num(host, "MemorySwap");

	if (memory > 0 && swap != -1 && engine && !engine->swap_limit) {
		strv_addf(warnings, "Your kernel does not support swap limit capabilities or the "
				   "cgroup is not mounted. "
				   "Memory limited without swap.");
		set_num(host, "MemorySwap", swap = -1);
	}
	if (memory > 0 && swap > 0 && swap < memory)
		return bad(
			err,
			"Minimum memoryswap limit should be larger than memory limit, see usage");
	if (memory == 0 && swap > 0 && !update)
		return bad(err, "You should always set the Memory limit when using Memoryswap "
				"limit, see usage");
	return 0;
}

static int check_memory(json_t *host, bool update, char ***warnings, struct err *err)
{
	int64_t memory = num(host, "Memory");
	int64_t reservation = num(host, "MemoryReservation");
	int64_t swappiness = jget_int(host, "MemorySwappiness", -1);
	int rc;

	if (swappiness == -1) /* older clients' way to say that it is not set */
		json_object_set_new(host, "MemorySwappiness", json_null());
	if (memory != 0 && memory < MIN_MEMORY)
		return bad(err, "Minimum memory limit allowed is 6MB");
	if ((rc = check_swap(host, update, warnings, err)) < 0)
		return rc;
	if (is_set(host, "MemorySwappiness") && !host_cgroups()->swappiness) {
		strv_addf(warnings, "Your kernel does not support memory swappiness capabilities or "
				   "the cgroup is not mounted. "
				   "Memory swappiness discarded.");
		json_object_set_new(host, "MemorySwappiness", json_null());
	} else if (is_set(host, "MemorySwappiness") && (swappiness < 0 || swappiness > 100)) {
		return err_kind(err, ERR_BAD_PARAM,
				"Invalid value: %" PRId64
				", valid memory swappiness range is 0-100",
				swappiness);
	}
	if (reservation != 0 && reservation < MIN_MEMORY)
		return bad(err, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > 0 && memory < reservation)
		return bad(err, "Minimum memory limit can not be less than memory reservation "
				"limit, see usage");
	if (num(host, "KernelMemory") != 0) {
		strv_addf(warnings, "Your kernel does not support kernel memory limit capabilities "
				   "or the cgroup is not mounted. "
				   "Limitation discarded.");
		json_object_del(host, "KernelMemory");
	}
	if (num(host, "KernelMemoryTCP") != 0) {
		strv_addf(warnings, "Your kernel does not support kernel memory TCP limit "
				   "capabilities or the cgroup is not "
				   "mounted. Limitation discarded.");
		json_object_del(host, "KernelMemoryTCP");
	}
	return 0;
}

static void check_oom(json_t *host, char ***warnings)
{
	bool disable = jget_bool(host, "OomKillDisable", false);

	if (!host_cgroups()->oom_control) {
		if (disable)
			strv_addf(warnings, "Your kernel does not support OomKillDisable. "
					   "OomKillDisable discarded.");
		json_object_set_new(host, "OomKillDisable", json_null());
	} else if (disable && num(host, "Memory") == 0) {
		strv_addf(warnings, "OOM killer is disabled for the container, but no memory limit "
				   "is set, this can result in the "
				   "system running out of resources.");
	}
}

static int check_cpu(json_t *host, char ***warnings, struct err *err)
{
	int64_t nano = num(host, "NanoCpus");
	int64_t period = num(host, "CpuPeriod");
	int64_t quota = num(host, "CpuQuota");
	int ncpu = engine && engine->ncpu > 0 ? engine->ncpu : (int)sysconf(_SC_NPROCESSORS_ONLN);

	if (nano > 0 && period > 0)
		return bad(err, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (nano > 0 && quota > 0)
		return bad(err, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (nano < 0 || nano > (int64_t)ncpu * 1000000000)
		return err_kind(
			err, ERR_BAD_PARAM,
			"Range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available",
			ncpu, ncpu);
	if (nano > 0 && !host_cgroups()->cpu_cfs)
		return bad(err, "NanoCPUs can not be set, as your kernel does not support CPU CFS "
				"scheduler or "
				"the cgroup is not mounted");
	if (num(host, "CpuShares") < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid CPU shares (%" PRId64
				"): value must be a positive integer",
				num(host, "CpuShares"));
	if (period != 0 && (period < 1000 || period > 1000000))
		return bad(err, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger "
				"than 1s (i.e. 1000000)");
	if (quota > 0 && quota < 1000)
		return bad(err, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (num(host, "CpuRealtimePeriod") != 0 || num(host, "CpuRealtimeRuntime") != 0)
		return bad(err, "kernel does not support CPU real-time scheduler");
	if (num(host, "CpuPercent") > 0) {
		strv_addf(warnings, "linux does not support CPU percent. Percent discarded.");
		set_num(host, "CpuPercent", 0);
	}
	if (num(host, "CpuCount") != 0)
		return bad(err, "invalid option: CpuCount is not supported on linux");
	return 0;
}

/* "0-3,7" into a set; -EINVAL when it is no such list. */
static int parse_cpu_list(const char *text, bool set[MAX_CPUS])
{
	cleanup_strv char **parts = strv_split(text, ',');

	for (size_t i = 0; parts[i]; i++) {
		char *dash = strchr(parts[i], '-');
		int64_t first, last;

		if (dash)
			*dash++ = '\0';
		if (parse_i64(parts[i], 0, MAX_CPUS - 1, &first) < 0 ||
		    parse_i64(dash ? dash : parts[i], 0, MAX_CPUS - 1, &last) < 0 || last < first)
			return -EINVAL;
		for (int64_t n = first; n <= last; n++)
			set[n] = true;
	}
	return 0;
}

/* What the host has online, as the kernel lists it; "" when it does not tell (nothing is refused
 * then). */
static void host_list(const char *path, struct buf *out)
{
	struct err ignored = { 0 };

	if (fs_read_file(path, 4096, out, &ignored) < 0)
		buf_reset(out);
	while (out->len > 0 && out->p[out->len - 1] == '\n')
		out->p[--out->len] = '\0';
}

static int check_cpuset(const json_t *host, const char *key, const char *path, const char *what,
			const char *short_name, struct err *err)
{
	const char *want = jget_str(host, key, "");
	cleanup_buf struct buf have = BUF_INIT;
	bool wanted[MAX_CPUS] = { 0 };
	bool online[MAX_CPUS] = { 0 };

	if (want[0] == '\0')
		return 0;
	if (parse_cpu_list(want, wanted) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"Invalid value %s for cpuset %s: invalid format: %s", want,
				short_name, want);
	host_list(path, &have);
	if (have.len == 0 || parse_cpu_list(buf_str(&have), online) < 0)
		return 0;
	for (size_t i = 0; i < MAX_CPUS; i++)
		if (wanted[i] && !online[i])
			return err_kind(
				err, ERR_BAD_PARAM,
				"Requested %s are not available - requested %s, available: %s",
				what, want, buf_str(&have));
	return 0;
}

static int check_blkio(const json_t *host, struct err *err)
{
	static const char *const lists[] = { "BlkioDeviceReadBps", "BlkioDeviceWriteBps",
					     "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps" };
	int64_t weight = num(host, "BlkioWeight");
	json_t *item;
	size_t i;

	if (weight != 0 && (weight < 10 || weight > 1000))
		return bad(err, "Range of blkio weight is from 10 to 1000");
	if (num(host, "IOMaximumBandwidth") != 0)
		return bad(err, "invalid option: QoS maximum bandwidth configuration is not "
				"supported on linux");
	if (num(host, "IOMaximumIOps") != 0)
		return bad(
			err,
			"invalid option: QoS maximum IOPs configuration is not supported on linux");
	json_array_foreach (jget_arr(host, "BlkioWeightDevice"), i, item) {
		weight = jget_int(item, "Weight", 0);
		if (weight != 0 && (weight < 10 || weight > 1000))
			return bad(err, "Range of blkio weight is from 10 to 1000");
		if (jget_str(item, "Path", "")[0] != '/')
			return err_kind(err, ERR_BAD_PARAM, "bad format for device path: %s",
					jget_str(item, "Path", ""));
	}
	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		json_array_foreach (jget_arr(host, lists[l]), i, item) {
			if (jget_str(item, "Path", "")[0] != '/')
				return err_kind(err, ERR_BAD_PARAM,
						"bad format for device path: %s",
						jget_str(item, "Path", ""));
		}
	}
	return 0;
}

static int check_ulimits(const json_t *host, struct err *err)
{
	static const char *const names[] = {
		"core",	  "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
		"nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"
	};
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(host, "Ulimits"), i, item) {
		const char *name = jget_str(item, "Name", "");
		int64_t hard = jget_int(item, "Hard", 0);
		int64_t soft = jget_int(item, "Soft", 0);
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			known = known || strcmp(name, names[k]) == 0;
		if (!known)
			return err_kind(err, ERR_BAD_PARAM, "invalid ulimit type: %s", name);
		if (hard != -1 && (soft == -1 || soft > hard))
			return err_kind(err, ERR_BAD_PARAM,
					"ulimit soft limit must be less than or equal to hard "
					"limit: %" PRId64 " > %" PRId64,
					soft, hard);
	}
	return 0;
}

int resources_check(json_t *host, bool update, char ***warnings, struct err *err)
{
	int rc;

	discard(host, warnings);
	if ((rc = check_memory(host, update, warnings, err)) < 0)
		return rc;
	check_oom(host, warnings);
	if ((rc = check_cpu(host, warnings, err)) < 0 ||
	    (rc = check_cpuset(host, "CpusetCpus", "/sys/devices/system/cpu/online", "CPUs", "cpus",
			       err)) < 0 ||
	    (rc = check_cpuset(host, "CpusetMems", "/sys/devices/system/node/online",
			       "memory nodes", "mems", err)) < 0 ||
	    (rc = check_blkio(host, err)) < 0)
		return rc;
	return check_ulimits(host, err);
}
