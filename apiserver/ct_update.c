/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_update.c - POST /containers/X/update: which limits change, and what they must not contradict.
 *
 * Design: what the body leaves out or has as zero stays. The changed limits are checked twice, as
 * Docker does: by themselves, and against what the container has already.
 *
 * LogConfig, which Docker ignores here, changes options of the log driver: those named, an empty
 * value takes one away, and all together are checked as at create. Another driver comes with options of its
 * own, and must treat the host log as the one before: keep it for `docker logs` alone (json-file,
 * local) or forward it. Between the two kinds a cursor would have to be made or given up with what it
 * still owes; that is refused.
 */
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_fields.h"
#include "apiserver/engine.h"
#include "apiserver/log_opts.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static int conflict(struct err *err, const char *text)
{
	return err_kind(err, ERR_CONFLICT, "%s", text);
}

static int64_t num(const json_t *o, const char *key)
{
	return jget_int(o, key, 0);
}

static int check_against(const json_t *new, const json_t *host, struct err *err)
{
	if (num(new, "NanoCpus") > 0 && num(host, "CpuPeriod") > 0)
		return conflict(err, "Conflicting options: Nano CPUs cannot be updated as CPU "
				     "Period has already been set");
	if (num(new, "NanoCpus") > 0 && num(host, "CpuQuota") > 0)
		return conflict(err, "Conflicting options: Nano CPUs cannot be updated as CPU "
				     "Quota has already been set");
	if (num(new, "CpuPeriod") > 0 && num(host, "NanoCpus") > 0)
		return conflict(err, "Conflicting options: CPU Period cannot be updated as "
				     "NanoCPUs has already been set");
	if (num(new, "CpuQuota") > 0 && num(host, "NanoCpus") > 0)
		return conflict(err, "Conflicting options: CPU Quota cannot be updated as NanoCPUs "
				     "has already been set");
	/* also where there is no swap limit yet, or none at all: as Docker has it */
	if (num(new, "Memory") != 0 && num(new, "MemorySwap") == 0 &&
	    num(new, "Memory") > num(host, "MemorySwap"))
		return conflict(err, "Memory limit should be smaller than already set memoryswap "
				     "limit, update the memoryswap at "
				     "the same time");
	if (!str_empty(jget_str(jget_obj(new, "RestartPolicy"), "Name", "")) &&
	    strcmp(jget_str(jget_obj(new, "RestartPolicy"), "Name", ""), "no") != 0 &&
	    jget_bool(host, "AutoRemove", false))
		return conflict(err, "Restart policy cannot be updated because AutoRemove is "
				     "enabled for the container");
	return 0;
}

static void take_changes(const json_t *new, json_t *host)
{
	static const char *const numbers[] = { "BlkioWeight",	    "CpuShares",
					       "NanoCpus",	    "CpuPeriod",
					       "CpuQuota",	    "Memory",
					       "MemorySwap",	    "MemoryReservation",
					       "CpuRealtimePeriod", "CpuRealtimeRuntime" };
	static const char *const texts[] = { "CpusetCpus", "CpusetMems" };
	const json_t *pids = json_object_get(new, "PidsLimit");

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (num(new, numbers[i]) != 0)
			json_object_set(host, numbers[i], json_object_get(new, numbers[i]));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (jhas(new, texts[i]))
			json_object_set(host, texts[i], json_object_get(new, texts[i]));
	if (json_is_integer(pids)) /* neither 0 nor a negative number is a limit */
		json_object_set_new(
			host, "PidsLimit",
			json_integer(json_integer_value(pids) > 0 ? json_integer_value(pids) : 0));
	if (!str_empty(jget_str(jget_obj(new, "RestartPolicy"), "Name", "")))
		json_object_set(host, "RestartPolicy", json_object_get(new, "RestartPolicy"));
}

/* ---- logs ------------------------------------------------------------------------------------ */

enum log_kind { LOG_NONE, LOG_KEPT, LOG_FORWARDED };

static enum log_kind log_kind(const char *driver)
{
	if (str_eq(driver, "none"))
		return LOG_NONE;
	return str_eq(driver, "json-file") || str_eq(driver, "local") ? LOG_KEPT : LOG_FORWARDED;
}

static json_t *changed_options(const json_t *old, const json_t *changes)
{
	json_t *opts = old ? json_deep_copy(old) : json_object();
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)changes, name, value) {
		if (str_empty(json_string_value(value)))
			json_object_del(opts, name);
		else
			json_object_set(opts, name, value);
	}
	return go_json_sorted(opts);
}

static int check_log_config(const json_t *new, const json_t *host, json_t **out, struct err *err)
{
	const json_t *old = jget_obj(host, "LogConfig"), *change = jget_obj(new, "LogConfig");
	const json_t *changes = jget_obj(change, "Config");
	const char *was = jget_str(old, "Type", "json-file"), *type = jget_str(change, "Type", "");
	cleanup_json json_t *opts = NULL;
	bool same;
	int rc;

	if (str_empty(type) && json_object_size(changes) == 0)
		return 0;
	same = str_empty(type) || str_eq(type, was);
	type = same ? was : type;
	opts = changed_options(same ? jget_obj(old, "Config") : NULL, changes);
	if ((rc = log_opts_check(type, opts, err)) < 0)
		return rc;
	if (log_kind(type) != log_kind(was))
		return err_kind(err, ERR_BAD_PARAM,
				"the log driver of a container cannot be changed from %s to %s", was, type);
	*out = json_pack("{s:s,s:O}", "Type", type, "Config", opts);
	return 0;
}

int update_request_apply(const char *body, size_t len, int api_version, json_t *host_config,
			 char ***warnings, struct err *err)
{
	cleanup_json json_t *raw = NULL;
	cleanup_json json_t *new = NULL;
	cleanup_json json_t *log_config = NULL;
	char **warn = xcalloc(1, sizeof(*warn));
	int rc;

	if ((len && (rc = go_json_parse(body, len, &raw, err)) < 0) ||
	    (rc = go_json_decode(&ct_fields_update, raw, &new, err)) < 0) {
		strv_free(warn);
		return rc;
	}
	if (api_version < 140) /* it could not be updated then */
		json_object_set_new(new, "PidsLimit", json_null());
	if ((rc = resources_check(new, true, &warn, err)) < 0 ||
	    (rc = restart_policy_check(new, err)) < 0 ||
	    (rc = check_against(new, host_config, err)) < 0 ||
	    (rc = check_log_config(new, host_config, &log_config, err)) < 0) {
		strv_free(warn);
		return rc;
	}
	take_changes(new, host_config);
	if (log_config)
		json_object_set(host_config, "LogConfig", log_config);
	*warnings = warn;
	return 0;
}
