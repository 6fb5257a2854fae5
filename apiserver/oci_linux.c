/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_linux.c - the "linux" section of config.json: namespaces, resources, sysctls, masks.
 */
#define LOG_MODULE "oci"
#include <stdio.h>
#include <string.h>

#include "cgroup_priv.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "oci_priv.h"
#include "str.h"

static const char *const masked_paths[] = {
	"/proc/asound",	    "/proc/acpi",	 "/proc/interrupts",
	"/proc/kcore",	    "/proc/keys",	 "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi",	    "/sys/firmware",	 "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static void ns_add(struct jw *w, const char *type, const char *path)
{
	jw_obj(w, NULL);
	jw_str(w, "type", type);
	if (path)
		jw_str(w, "path", path);
	jw_end(w);
}

static void ns_add_pid(struct jw *w, const char *type, const char *link, int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, link);
	ns_add(w, type, path);
}

static void namespaces(const struct oci_ctx *o, struct jw *w)
{
	char path[1024];

	jw_arr(w, "namespaces");
	ns_add(w, "mount", NULL);
	if (o->env->net_pid > 0)
		ns_add_pid(w, "network", "net", o->env->net_pid);
	else if (!o->host_net)
		ns_add(w, "network", paths_zone_run(&engine->paths, o->spec->uuid, "netns", path));
	if (!o->host_uts)
		ns_add(w, "uts", NULL);
	if (o->env->pid_pid > 0)
		ns_add_pid(w, "pid", "pid", o->env->pid_pid);
	else if (!o->host_pid)
		ns_add(w, "pid", NULL);
	if (o->env->ipc_pid > 0)
		ns_add_pid(w, "ipc", "ipc", o->env->ipc_pid);
	else if (!o->host_ipc)
		ns_add(w, "ipc", NULL);
	if (!o->host_cgroupns)
		ns_add(w, "cgroup", NULL);
	jw_end(w);
}

static bool has_int(const json_t *o, const char *key, int64_t *v)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j))
		return false;
	*v = json_integer_value(j);
	return true;
}

static void memory(const json_t *hc, struct jw *w)
{
	int64_t v;

	jw_obj(w, "memory");
	if ((v = jget_int(hc, "Memory", 0)) > 0)
		jw_int(w, "limit", v);
	if ((v = jget_int(hc, "MemoryReservation", 0)) > 0)
		jw_int(w, "reservation", v);
	v = jget_int(hc, "MemorySwap", 0);
	if ((v > 0 || v == -1) && jget_int(hc, "Memory", 0) > 0 && engine->swap_limit)
		jw_int(w, "swap", v);
	if (has_int(hc, "MemorySwappiness", &v) && v >= 0 && engine->cgroup_mode != CGROUP_V2)
		jw_int(w, "swappiness", v);
	if (jget_bool(hc, "OomKillDisable", false) && engine->cgroup_mode != CGROUP_V2)
		jw_bool(w, "disableOOMKiller", true);
	jw_end(w);
}

static void cpu(const json_t *hc, struct jw *w)
{
	int64_t nano = jget_int(hc, "NanoCpus", 0), v;
	const char *s;

	jw_obj(w, "cpu");
	if ((v = jget_int(hc, "CpuShares", 0)) > 0)
		jw_int(w, "shares", v < 2 ? 2 : v > 262144 ? 262144 : v);
	if (nano > 0) {
		jw_int(w, "period", 100000);
		jw_int(w, "quota", nano / 10000);
	} else {
		if ((v = jget_int(hc, "CpuPeriod", 0)) > 0)
			jw_int(w, "period", v);
		if ((v = jget_int(hc, "CpuQuota", 0)) != 0)
			jw_int(w, "quota", v);
	}
	if (engine->cgroup_mode != CGROUP_V2) {
		if ((v = jget_int(hc, "CpuRealtimePeriod", 0)) > 0)
			jw_int(w, "realtimePeriod", v);
		if ((v = jget_int(hc, "CpuRealtimeRuntime", 0)) > 0)
			jw_int(w, "realtimeRuntime", v);
	}
	if (!str_empty(s = jget_str(hc, "CpusetCpus", "")))
		jw_str(w, "cpus", s);
	if (!str_empty(s = jget_str(hc, "CpusetMems", "")))
		jw_str(w, "mems", s);
	jw_end(w);
}

/* Where a block device's number is asked for by its path. */
static int dev_number(const char *path, struct jw *w, struct err *err)
{
	unsigned maj, min;
	int rc;

	rc = oci_block_number(path, &maj, &min);
	if (rc == -ENOTBLK)
		return err_kind(err, ERR_SYSTEM, "%s: not a block device", path);
	if (rc < 0)
		return err_kind(err, ERR_SYSTEM, "stat %s: %s", path,
				rc == -ENOENT ? "no such file or directory" : strerror(-rc));
	jw_int(w, "major", maj);
	jw_int(w, "minor", min);
	return 0;
}

static int weight_devices(const json_t *hc, struct jw *w, struct err *err)
{
	const json_t *list = jget_arr(hc, "BlkioWeightDevice"), *d;
	size_t i;
	int rc;

	if (json_array_size(list) == 0)
		return 0;
	jw_arr(w, "weightDevice");
	for (i = 0; i < json_array_size(list); i++) {
		d = json_array_get(list, i);
		jw_obj(w, NULL);
		if ((rc = dev_number(jget_str(d, "Path", ""), w, err)) < 0)
			return rc;
		jw_int(w, "weight", jget_int(d, "Weight", 0));
		jw_end(w);
	}
	jw_end(w);
	return 0;
}

static int throttle(const json_t *hc, const char *key, const char *oci_key, struct jw *w,
		    struct err *err)
{
	const json_t *list = jget_arr(hc, key), *d;
	size_t i;
	int rc;

	if (json_array_size(list) == 0)
		return 0;
	jw_arr(w, oci_key);
	for (i = 0; i < json_array_size(list); i++) {
		d = json_array_get(list, i);
		jw_obj(w, NULL);
		if ((rc = dev_number(jget_str(d, "Path", ""), w, err)) < 0)
			return rc;
		jw_int(w, "rate", jget_int(d, "Rate", 0));
		jw_end(w);
	}
	jw_end(w);
	return 0;
}

/* Kernels without CFQ have no weight in v1; the runtimes fail where the file is missing. */
static bool has_weight(const struct oci_ctx *o)
{
	char path[512];

	if (engine->cgroup_mode == CGROUP_V2)
		return true;
	if (cg_mount("blkio") &&
	    str_fmt(path, sizeof(path), "%s/blkio.weight", cg_mount("blkio")) >= 0 &&
	    fs_exists(path))
		return true;
	log_warn("no block I/O weight on this machine", "ct=%.12s", o->spec->id);
	return false;
}

static int block_io(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	static const char *const throttles[][2] = {
		{ "BlkioDeviceReadBps", "throttleReadBpsDevice" },
		{ "BlkioDeviceWriteBps", "throttleWriteBpsDevice" },
		{ "BlkioDeviceReadIOps", "throttleReadIOPSDevice" },
		{ "BlkioDeviceWriteIOps", "throttleWriteIOPSDevice" },
	};
	const json_t *hc = o->hc;
	int64_t weight = jget_int(hc, "BlkioWeight", 0);
	size_t i;
	int rc;

	jw_obj(w, "blockIO");
	if ((weight > 0 || json_array_size(jget_arr(hc, "BlkioWeightDevice")) > 0) &&
	    has_weight(o)) {
		if (weight > 0)
			jw_int(w, "weight", weight);
		if ((rc = weight_devices(hc, w, err)) < 0)
			return rc;
	}
	for (i = 0; i < ARRAY_SIZE(throttles); i++)
		if ((rc = throttle(hc, throttles[i][0], throttles[i][1], w, err)) < 0)
			return rc;
	jw_end(w);
	return 0;
}

static int resources(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	int64_t pids = jget_int(o->hc, "PidsLimit", 0);
	int rc;

	jw_obj(w, "resources");
	if ((rc = oci_device_rules(o, w, err)) < 0)
		return rc;
	memory(o->hc, w);
	cpu(o->hc, w);
	if (pids > 0) {
		jw_obj(w, "pids");
		jw_int(w, "limit", pids);
		jw_end(w);
	}
	if ((rc = block_io(o, w, err)) < 0)
		return rc;
	jw_end(w);
	return 0;
}

static bool sysctl_exists(const char *name)
{
	char path[256];
	size_t i;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	for (i = strlen("/proc/sys/"); path[i]; i++)
		if (path[i] == '.')
			path[i] = '/';
	return fs_exists(path);
}

/* Docker's two defaults in a network namespace of the zone's own, unless the user says otherwise.
 */
static int sysctls(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	static const char *const defaults[][2] = {
		{ "net.ipv4.ip_unprivileged_port_start", "0" },
		{ "net.ipv4.ping_group_range", "0 2147483647" },
	};
	const json_t *user = jget_obj(o->hc, "Sysctls");
	const char *key;
	json_t *val;
	size_t i;

	jw_obj(w, "sysctl");
	for (i = 0; i < ARRAY_SIZE(defaults) && !o->host_net; i++)
		if (!json_object_get(user, defaults[i][0]) && sysctl_exists(defaults[i][0]))
			jw_str(w, defaults[i][0], defaults[i][1]);
	/* setdomainname(2) by another name */
	if (!o->host_uts && !str_empty(jget_str(o->cfg, "Domainname", "")) &&
	    !json_object_get(user, "kernel.domainname"))
		jw_str(w, "kernel.domainname", jget_str(o->cfg, "Domainname", ""));
	json_object_foreach ((json_t *)user, key, val) {
		if (o->host_net && str_starts(key, "net."))
			return err_kind(err, ERR_BAD_PARAM,
					"sysctl \"%s\" not allowed in host network namespace", key);
		if (json_is_string(val))
			jw_str(w, key, json_string_value(val));
	}
	jw_end(w);
	return 0;
}

static void path_list(const struct oci_ctx *o, struct jw *w, const char *hc_key, const char *key,
		      const char *const *def, size_t n_def)
{
	const json_t *own = jget_arr(o->hc, hc_key);
	const char *s;
	size_t i;

	if (o->privileged)
		return;
	jw_arr(w, key);
	if (own) {
		for (i = 0; i < json_array_size(own); i++)
			if ((s = json_string_value(json_array_get(own, i))))
				jw_str(w, NULL, s);
	} else {
		for (i = 0; i < n_def; i++)
			jw_str(w, NULL, def[i]);
	}
	jw_end(w);
}

int oci_linux(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	const char *prop = oci_root_propagation(o);
	char path[1024];
	int rc;

	jw_obj(w, "linux");
	if ((rc = sysctls(o, w, err)) < 0 || (rc = resources(o, w, err)) < 0)
		return rc;
	oci_cgroup_path(o->spec, path, sizeof(path));
	jw_str(w, "cgroupsPath", path);
	namespaces(o, w);
	if ((rc = oci_devices(o, w, err)) < 0)
		return rc;
	path_list(o, w, "MaskedPaths", "maskedPaths", masked_paths, ARRAY_SIZE(masked_paths));
	path_list(o, w, "ReadonlyPaths", "readonlyPaths", readonly_paths,
		  ARRAY_SIZE(readonly_paths));
	if (prop)
		jw_str(w, "rootfsPropagation", prop);
	jw_end(w);
	return 0;
}
