/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_security.c - capabilities, security options, sysctls and devices of a create body: what is
 * known, what is allowed, what this host has.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/caps.h"
#include "apiserver/ct_check.h"
#include "apiserver/engine.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

static int check_caps(const json_t *host, const char *key, bool must_have, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(host, key), i, item) {
		const char *name = json_string_value(item);
		bool prefixed = strncasecmp(name, "CAP_", 4) == 0;
		char upper[64];
		int n;

		if (strcasecmp(name, "ALL") == 0)
			continue;
		str_copy(upper, sizeof(upper), prefixed ? name + 4 : name);
		for (char *c = upper; *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
		if ((n = cap_number(name)) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid %s: unknown capability: \"CAP_%s\"", key, upper);
		if (must_have && engine && !(engine->caps_bounding & CAP_BIT(n)))
			return err_kind(err, ERR_BAD_PARAM,
					"invalid %s: capability not supported by your kernel or "
					"not available in the current "
					"environment: \"CAP_%s\"",
					key, upper);
	}
	return 0;
}

static bool apparmor_enabled(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	return fs_read_file("/sys/module/apparmor/parameters/enabled", 16, &b, &ignored) >= 0 &&
	       buf_str(&b)[0] == 'Y';
}

static int check_seccomp(const char *profile, struct err *err)
{
	cleanup_json json_t *o = NULL;
	struct err why = { 0 };

	if (strcmp(profile, "unconfined") == 0 || strcmp(profile, "builtin") == 0)
		return 0;
	if (jparse(profile, strlen(profile), &o, &why) < 0 || !json_is_object(o))
		return err_kind(err, ERR_BAD_PARAM, "Decoding seccomp profile failed: %s",
				o ? "json: cannot unmarshal into Go value of type seccomp.Seccomp"
				  : why.msg);
	return 0;
}

static int check_security_opt(const char *opt, struct err *err)
{
	const char *sep = strchr(opt, '=') ? strchr(opt, '=') : strchr(opt, ':');
	cleanup_free char *key = NULL;
	bool on;

	if (strcmp(opt, "no-new-privileges") == 0 || strcmp(opt, "disable") == 0)
		return 0;
	if (!sep)
		return err_kind(err, ERR_BAD_PARAM, "invalid --security-opt 1: \"%s\"", opt);
	key = xstrndup(opt, (size_t)(sep - opt));
	sep++;
	if (strcmp(key, "label") == 0) {
		if (strcmp(sep, "disable") == 0 || str_starts(sep, "user:") ||
		    str_starts(sep, "role:") || str_starts(sep, "type:") ||
		    str_starts(sep, "level:") || str_starts(sep, "filetype:") ||
		    str_starts(sep, "nested"))
			return 0; /* without SELinux there is nothing to label */
		return err_kind(err, ERR_BAD_PARAM,
				"Bad label option \"%s\", valid options 'disable, user, role, "
				"level, type, filetype'",
				sep);
	}
	if (strcmp(key, "apparmor") == 0) {
		if (strcmp(sep, "unconfined") == 0 || apparmor_enabled())
			return 0;
		return err_kind(
			err, ERR_BAD_PARAM,
			"invalid --security-opt: \"%s\": AppArmor is not enabled on this host",
			opt);
	}
	if (strcmp(key, "seccomp") == 0)
		return check_seccomp(sep, err);
	if (strcmp(key, "no-new-privileges") == 0 && parse_bool(sep, &on) == 0)
		return 0;
	return err_kind(err, ERR_BAD_PARAM, "invalid --security-opt 2: \"%s\"", opt);
}

static int check_sysctl(const json_t *host, const char *name, struct err *err)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb",
					   "kernel.msgmni", "kernel.sem",
					   "kernel.shmall", "kernel.shmmax",
					   "kernel.shmmni", "kernel.shm_rmid_forced" };
	bool is_ipc = str_starts(name, "fs.mqueue.");

	if (strchr(name, '/') || strstr(name, ".."))
		return err_kind(err, ERR_BAD_PARAM, "sysctl '%s' is not allowed", name);
	for (size_t i = 0; i < ARRAY_SIZE(ipc); i++)
		is_ipc = is_ipc || strcmp(name, ipc[i]) == 0;
	if (is_ipc) {
		if (strcmp(jget_str(host, "IpcMode", ""), "host") == 0)
			return err_kind(err, ERR_BAD_PARAM,
					"sysctl \"%s\" is not allowed in the hosts ipc namespace",
					name);
		return 0;
	}
	if (str_starts(name, "net.")) {
		if (strcmp(jget_str(host, "NetworkMode", ""), "host") == 0)
			return err_kind(err, ERR_BAD_PARAM,
					"sysctl \"%s\" not allowed in host network namespace",
					name);
		return 0;
	}
	if (strcmp(name, "kernel.domainname") == 0) {
		if (strcmp(jget_str(host, "UTSMode", ""), "host") == 0)
			return err_kind(err, ERR_BAD_PARAM,
					"sysctl \"%s\" is not allowed in the hosts UTS namespace",
					name);
		return 0;
	}
	if (strcmp(name, "kernel.hostname") == 0)
		return err_kind(err, ERR_BAD_PARAM,
				"sysctl \"%s\" conflicts with OCI field \"hostname\"", name);
	return err_kind(err, ERR_BAD_PARAM, "sysctl \"%s\" is not in a separate kernel namespace",
			name);
}

static int check_devices(const json_t *host, struct err *err)
{
	regex_t rule;
	json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach (jget_arr(host, "Devices"), i, item) {
		const char *perm = jget_str(item, "CgroupPermissions", "");

		if (jget_str(item, "PathOnHost", "")[0] != '/')
			return err_kind(err, ERR_BAD_PARAM, "bad format for path: %s",
					jget_str(item, "PathOnHost", ""));
		if (strspn(perm, "rwm") != strlen(perm) || strlen(perm) > 3)
			return err_kind(err, ERR_BAD_PARAM, "bad mode specified: %s", perm);
	}
	if (regcomp(&rule, "^([acb]) ([0-9]+|\\*):([0-9]+|\\*) ([rwm]{1,3})$",
		    REG_EXTENDED | REG_NOSUB) != 0)
		abort();
	json_array_foreach (jget_arr(host, "DeviceCgroupRules"), i, item) {
		if (rc == 0 && regexec(&rule, json_string_value(item), 0, NULL, 0) != 0)
			rc = err_kind(err, ERR_BAD_PARAM, "invalid device cgroup rule format: '%s'",
				      json_string_value(item));
	}
	regfree(&rule);
	return rc;
}

int security_check(json_t *host, struct err *err)
{
	const char *name;
	json_t *item;
	size_t i;
	int rc;

	if ((rc = check_caps(host, "CapAdd", true, err)) < 0 ||
	    (rc = check_caps(host, "CapDrop", false, err)) < 0)
		return rc;
	json_array_foreach (jget_arr(host, "SecurityOpt"), i, item)
		if ((rc = check_security_opt(json_string_value(item), err)) < 0)
			return rc;
	json_object_foreach (jget_obj(host, "Sysctls"), name, item)
		if ((rc = check_sysctl(host, name, err)) < 0)
			return rc;
	return check_devices(host, err);
}
