/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_hostconfig.c - HostConfig but for its limits, mounts, ports and security: modes, policies,
 * lists, defaults.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "apiserver/ct_check.h"
#include "apiserver/engine.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define DEFAULT_SHM_SIZE 67108864

static int bad(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM, "%s", text);
}

int restart_policy_check(const json_t *host, struct err *err)
{
	const json_t *policy = jget_obj(host, "RestartPolicy");
	const char *name = jget_str(policy, "Name", "");
	int64_t max = jget_int(policy, "MaximumRetryCount", 0);

	if (name[0] == '\0')
		return 0;
	if (strcmp(name, "on-failure") == 0)
		return max < 0 ? bad(err, "invalid restart policy: maximum retry count cannot be "
					  "negative")
			       : 0;
	if (strcmp(name, "always") != 0 && strcmp(name, "unless-stopped") != 0 &&
	    strcmp(name, "no") != 0)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid restart policy: unknown policy '%s'; use one of 'no', "
				"'always', 'on-failure', or "
				"'unless-stopped'",
				name);
	if (max < 0)
		return bad(err, "invalid restart policy: maximum retry count can only be used with "
				"'on-failure' and cannot be "
				"negative");
	if (max > 0)
		return bad(err, "invalid restart policy: maximum retry count can only be used with "
				"'on-failure'");
	return 0;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static int check_modes(const json_t *host, struct err *err)
{
	static const char *const ipc[] = { "", "none", "private", "host", "shareable", NULL };
	static const char *const pid[] = { "", "host", NULL };
	static const char *const cgroupns[] = { "", "private", "host", NULL };
	static const char *const isolation[] = { "", "default", NULL };
	const char *mode;

	mode = jget_str(host, "Isolation", "");
	if (strcasecmp(mode, "default") != 0 && !is_one_of(mode, isolation))
		return err_kind(err, ERR_BAD_PARAM,
				"invalid isolation (%s): linux only supports 'default'", mode);
	mode = jget_str(host, "IpcMode", "");
	if (!is_one_of(mode, ipc) && (!str_starts(mode, "container:") || mode[10] == '\0'))
		return err_kind(err, ERR_BAD_PARAM, "invalid IPC mode: %s", mode);
	mode = jget_str(host, "PidMode", "");
	if (!is_one_of(mode, pid) && (!str_starts(mode, "container:") || mode[10] == '\0'))
		return err_kind(err, ERR_BAD_PARAM, "invalid PID mode: %s", mode);
	mode = jget_str(host, "UTSMode", "");
	if (!is_one_of(mode, pid))
		return err_kind(err, ERR_BAD_PARAM, "invalid UTS mode: %s", mode);
	mode = jget_str(host, "UsernsMode", "");
	if (!is_one_of(mode, pid))
		return err_kind(err, ERR_BAD_PARAM, "invalid user namespace mode: %s", mode);
	mode = jget_str(host, "CgroupnsMode", "");
	if (!is_one_of(mode, cgroupns))
		return err_kind(err, ERR_BAD_PARAM, "invalid cgroup namespace mode: %s", mode);
	mode = jget_str(host, "Cgroup", "");
	if (mode[0])
		return err_kind(err, ERR_BAD_PARAM,
				"invalid option: Cgroup \"%s\" is not supported", mode);
	return 0;
}

static bool is_ip(const char *s)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, s, addr) == 1 || inet_pton(AF_INET6, s, addr) == 1;
}

static int check_hosts(const json_t *host, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(host, "ExtraHosts"), i, item) {
		const char *entry = json_string_value(item);
		const char *colon = strchr(entry, ':');
		const char *ip = colon ? colon + 1 : "";
		cleanup_free char *bare = NULL;

		if (!colon || colon == entry)
			return err_kind(err, ERR_BAD_PARAM, "bad format for add-host: \"%s\"",
					entry);
		if (ip[0] == '[' && str_ends(ip, "]"))
			bare = xstrndup(ip + 1, strlen(ip) - 2);
		if (strcmp(ip, "host-gateway") != 0 && !is_ip(bare ? bare : ip))
			return err_kind(err, ERR_BAD_PARAM,
					"invalid IP address in add-host: \"%s\"", ip);
	}
	json_array_foreach (jget_arr(host, "Dns"), i, item)
		if (!is_ip(json_string_value(item)))
			return err_kind(err, ERR_BAD_PARAM,
					"IP address is not correctly formatted: %s",
					json_string_value(item));
	return 0;
}

static int check_links(const json_t *host, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(host, "Links"), i, item) {
		const char *link = json_string_value(item);
		const char *colon = strchr(link, ':');

		if (link[0] == '\0')
			return bad(err, "empty string specified for links");
		if (colon && strchr(colon + 1, ':'))
			return err_kind(err, ERR_BAD_PARAM, "bad format for links: %s", link);
	}
	return 0;
}

/* Below the cgroups that we may use, and nowhere else. */
static int check_cgroup_parent(const json_t *host, struct err *err)
{
	const char *parent = jget_str(host, "CgroupParent", "");

	if (strlen(parent) > 500 || strpbrk(parent, "\n\r\t"))
		return err_kind(err, ERR_BAD_PARAM, "invalid option: CgroupParent \"%s\"", parent);
	return 0;
}

static int check_lists(const json_t *host, struct err *err)
{
	const char *key;
	json_t *item;
	size_t i;
	int rc;

	if ((rc = check_hosts(host, err)) < 0 || (rc = check_links(host, err)) < 0 ||
	    (rc = check_cgroup_parent(host, err)) < 0)
		return rc;
	json_object_foreach (jget_obj(host, "Annotations"), key, item)
		if (key[0] == '\0')
			return bad(err, "invalid Annotations: the empty string is not permitted as "
					"an annotation key");
	json_object_foreach (jget_obj(host, "StorageOpt"), key, item) {
		if (strcmp(key, "size") == 0)
			return bad(err, "--storage-opt is supported only for overlay over xfs with "
					"'pquota' mount option");
		return err_kind(err, ERR_BAD_PARAM, "Unknown option %s", key);
	}
	json_array_foreach (jget_arr(host, "GroupAdd"), i, item)
		if (json_string_length(item) == 0)
			return bad(err, "invalid option: GroupAdd must not have an empty group");
	return 0;
}

static int check_numbers(const json_t *host, struct err *err)
{
	int64_t adj = jget_int(host, "OomScoreAdj", 0);

	if (jget_int(host, "ShmSize", 0) < 0)
		return bad(err, "SHM size can not be less than 0");
	if (adj < -1000 || adj > 1000)
		return err_kind(
			err, ERR_BAD_PARAM,
			"Invalid value %" PRId64 ", range for oom score adj is [-1000, 1000]", adj);
	return 0;
}

static const char *conf_or(const char *key, const char *without)
{
	return engine && engine->conf ? conf_str(engine->conf, key) : without;
}

static bool is_runtime(const char *name)
{
	return strcmp(name, "crun") == 0 || strcmp(name, "runc") == 0;
}

static int check_runtime(json_t *host, struct err *err)
{
	const char *name = jget_str(host, "Runtime", "");

	if (name[0] == '\0')
		json_object_set_new(host, "Runtime",
				    json_string(conf_or("default-runtime", "crun")));
	else if (!is_runtime(name))
		return err_kind(err, ERR_BAD_PARAM, "unknown or invalid runtime name: %s", name);
	return 0;
}

int hostconfig_check_engine(struct err *err)
{
	const char *runtime = conf_or("default-runtime", "crun");
	const char *size = conf_or("default-shm-size", "64M");
	int64_t n;

	if (!is_runtime(runtime))
		return err_kind(err, ERR_BAD_PARAM,
				"default-runtime: unknown or invalid runtime name: %s", runtime);
	if (parse_size(size, 1024, &n) < 0 || n < 1)
		return err_kind(err, ERR_BAD_PARAM, "default-shm-size: invalid size: '%s'", size);
	return 0;
}

int hostconfig_check(json_t *host, char ***warnings, struct err *err)
{
	const json_t *policy = jget_obj(host, "RestartPolicy");
	const char *name = jget_str(policy, "Name", "");
	int rc;

	if (jget_bool(host, "AutoRemove", false) && name[0] && strcmp(name, "no") != 0)
		return bad(err, "can't create 'AutoRemove' container with restart policy");
	if ((rc = check_lists(host, err)) < 0 || (rc = restart_policy_check(host, err)) < 0 ||
	    (rc = check_modes(host, err)) < 0 || (rc = check_numbers(host, err)) < 0 ||
	    (rc = check_runtime(host, err)) < 0)
		return rc;
	if (strcmp(jget_str(host, "NetworkMode", ""), "host") == 0 && jhas(host, "PortBindings"))
		strv_addf(warnings, "Published ports are discarded when using host network mode");
	return 0;
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void set_str_default(json_t *host, const char *key, const char *value)
{
	if (str_empty(jget_str(host, key, "")))
		json_object_set_new(host, key, json_string(value));
}

static void set_list_default(json_t *host, const char *key, const char *const *items)
{
	json_t *list;

	if (!json_is_null(json_object_get(host, key)))
		return;
	list = json_array();
	for (; *items; items++)
		json_array_append_new(list, json_string(*items));
	json_object_set_new(host, key, list);
}

/* label=disable is shown for what has no confinement of its own. */
static void set_label_default(json_t *host)
{
	json_t *opts = jget_arr(host, "SecurityOpt");
	json_t *item;
	size_t i;

	if (!jget_bool(host, "Privileged", false) &&
	    strcmp(jget_str(host, "IpcMode", ""), "host") != 0 &&
	    strcmp(jget_str(host, "PidMode", ""), "host") != 0)
		return;
	json_array_foreach (opts, i, item)
		if (str_starts(json_string_value(item), "label"))
			return;
	if (!opts) {
		json_object_set_new(host, "SecurityOpt", json_array());
		opts = jget_arr(host, "SecurityOpt");
	}
	json_array_append_new(opts, json_string("label=disable"));
}

static int64_t default_shm_size(void)
{
	int64_t n;

	if (parse_size(conf_or("default-shm-size", "64M"), 1024, &n) < 0 || n < 1)
		return DEFAULT_SHM_SIZE;
	return n;
}

void hostconfig_defaults(json_t *host)
{
	static const char *const masked[] = { "/proc/asound",
					      "/proc/acpi",
					      "/proc/interrupts",
					      "/proc/kcore",
					      "/proc/keys",
					      "/proc/latency_stats",
					      "/proc/timer_list",
					      "/proc/timer_stats",
					      "/proc/sched_debug",
					      "/proc/scsi",
					      "/sys/firmware",
					      "/sys/devices/virtual/powercap",
					      NULL };
	static const char *const readonly[] = { "/proc/bus",	       "/proc/fs",
						"/proc/irq",	       "/proc/sys",
						"/proc/sysrq-trigger", NULL };
	bool privileged = jget_bool(host, "Privileged", false);
	bool v2 = engine && engine->cgroup_mode == CGROUP_V2;
	int64_t memory = jget_int(host, "Memory", 0);

	if (memory > 0 && jget_int(host, "MemorySwap", 0) == 0)
		json_object_set_new(host, "MemorySwap",
				    json_integer(memory <= INT64_MAX / 2 ? memory * 2 : INT64_MAX));
	if (jget_int(host, "ShmSize", 0) == 0)
		json_object_set_new(host, "ShmSize", json_integer(default_shm_size()));
	set_str_default(host, "IpcMode", "private");
	set_str_default(host, "CgroupnsMode", v2 ? "private" : "host");
	set_str_default(jget_obj(host, "RestartPolicy"), "Name", "no");
	set_label_default(host);
	if (!v2 && json_is_null(json_object_get(host, "OomKillDisable")))
		json_object_set_new(host, "OomKillDisable", json_false());
	if (!privileged) {
		set_list_default(host, "MaskedPaths", masked);
		set_list_default(host, "ReadonlyPaths", readonly);
	}
}
