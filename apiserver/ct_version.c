/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_version.c - what a create body of an older API version means today.
 *
 * Design: a field that a version did not have is ignored for it, a default that has changed is
 * given its old value, and what moved (MAC address, per-interface sysctls) is moved. After this,
 * no other code asks for the version.
 */
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/engine.h"
#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define ENDPOINT_SYSCTLS "com.docker.network.endpoint.sysctls"

static bool is_empty_str(const json_t *o, const char *key)
{
	return str_empty(jget_str(o, key, ""));
}

static void set_str(json_t *o, const char *key, const char *s)
{
	json_object_set_new(o, key, json_string(s));
}

static int mounts_adapt(int v, json_t *host, struct err *err)
{
	json_t *m;
	size_t i;

	json_array_foreach (jget_arr(host, "Mounts"), i, m) {
		const char *type = jget_str(m, "Type", "");
		json_t *bind = jget_obj(m, "BindOptions");

		if (v < 140)
			json_object_del(bind, "NonRecursive");
		if (v < 142) {
			json_object_del(bind, "CreateMountpoint");
			if (strcmp(type, "volume") != 0)
				json_object_del(m, "VolumeOptions");
			if (strcmp(type, "tmpfs") != 0)
				json_object_del(m, "TmpfsOptions");
		} else {
			static const char *const options[][2] = { { "VolumeOptions", "volume" },
								  { "BindOptions", "bind" },
								  { "TmpfsOptions", "tmpfs" } };

			for (size_t k = 0; k < ARRAY_SIZE(options); k++)
				if (json_object_get(m, options[k][0]) &&
				    strcmp(type, options[k][1]) != 0)
					return err_kind(
						err, ERR_BAD_PARAM,
						"%s must not be specified on mount type \"%s\"",
						options[k][0], type);
		}
		if (v < 144 && jget_bool(bind, "ReadOnlyForceRecursive", false))
			return err_kind(
				err, ERR_BAD_PARAM,
				"BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
		if (v < 145 && !is_empty_str(jget_obj(m, "VolumeOptions"), "Subpath"))
			return err_kind(err, ERR_BAD_PARAM,
					"VolumeOptions.Subpath needs API v1.45 or newer");
		if (v < 148 && strcmp(type, "image") == 0)
			return err_kind(err, ERR_BAD_PARAM,
					"Mount type \"Image\" needs API v1.48 or newer");
	}
	return 0;
}

/* The endpoint of the network mode; made where there is none. */
static int main_endpoint(int v, const json_t *host, json_t *networking, json_t **out,
			 struct err *err)
{
	const char *mode = jget_str(host, "NetworkMode", "bridge");
	json_t *all = jget_obj(networking, "EndpointsConfig");
	json_t *ep;

	if (json_object_size(all) == 0) {
		json_object_set_new(networking, "EndpointsConfig", json_pack("{s:{}}", mode));
		ep = json_object_get(json_object_get(networking, "EndpointsConfig"), mode);
	} else if (v < 144) {
		ep = json_object_iter_value(json_object_iter(all));
	} else {
		ep = json_object_get(all, mode);
	}
	if (!json_is_object(ep))
		return err_kind(err, ERR_BAD_PARAM,
				"HostConfig.NetworkMode must match the identity of a network in "
				"NetworkSettings.Networks");
	*out = ep;
	return 0;
}

static int mac_adapt(int v, json_t *config, const json_t *host, json_t *networking,
		     char ***warnings, struct err *err)
{
	const char *mac = jget_str(config, "MacAddress", "");
	const char *mode = jget_str(host, "NetworkMode", "bridge");
	bool has_mac = strcmp(mode, "bridge") == 0 || netmode_is_user_defined(mode);
	const char *network;
	json_t *ep = NULL;
	int rc;

	if (mac[0] == '\0') {
		json_object_foreach (jget_obj(networking, "EndpointsConfig"), network, ep) {
			if (v < 144 && json_is_object(ep))
				set_str(ep, "MacAddress", "");
		}
		return 0;
	}
	if (v < 144 && !has_mac)
		return err_kind(err, ERR_BAD_PARAM,
				"conflicting options: mac-address and the network mode");
	if (has_mac) {
		if ((rc = main_endpoint(v, host, networking, &ep, err)) < 0)
			return v < 144 ? rc
				       : err_wrap(err, rc,
						  "unable to migrate container-wide MAC address to "
						  "a specific network");
		if (v >= 144 && !is_empty_str(ep, "MacAddress") &&
		    strcmp(jget_str(ep, "MacAddress", ""), mac) != 0)
			return err_kind(err, ERR_BAD_PARAM,
					"the container-wide MAC address must match the "
					"endpoint-specific MAC "
					"address for the main network, or be left empty");
		set_str(ep, "MacAddress", mac);
	}
	if (v >= 144) {
		strv_addf(warnings, "The container-wide MacAddress field is now deprecated. It "
				   "should be specified in "
				   "EndpointsConfig instead.");
		json_object_del(config, "MacAddress");
	}
	return 0;
}

/* "net.ipv4.conf.eth0.forwarding" belongs to an endpoint since 1.46. */
static bool is_interface_sysctl(const char *name, char ***parts)
{
	char **v = strv_split(name, '.');

	if (strv_len(v) >= 5 && strcmp(v[0], "net") == 0 && str_starts(v[3], "eth")) {
		*parts = v;
		return true;
	}
	strv_free(v);
	return false;
}

static int sysctl_adapt(int v, const json_t *host, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach (jget_obj(host, "Sysctls"), name, value) {
		cleanup_strv char **parts = NULL;

		if (!is_interface_sysctl(name, &parts))
			continue;
		if (v > 147)
			return err_kind(err, ERR_BAD_PARAM,
					"interface specific sysctl setting \"%s\" must be supplied "
					"using driver option '%s'",
					name, ENDPOINT_SYSCTLS);
		if (strcmp(parts[3], "eth0") != 0)
			return err_kind(err, ERR_BAD_PARAM,
					"unable to determine network endpoint for sysctl %s, use "
					"driver option '%s' to set "
					"per-interface sysctls",
					name, ENDPOINT_SYSCTLS);
	}
	return 0;
}

static int networks_adapt(int v, json_t *networking, struct err *err)
{
	json_t *all = jget_obj(networking, "EndpointsConfig");
	cleanup_buf struct buf names = BUF_INIT;
	const char *network;
	json_t *ep;

	json_object_foreach (all, network, ep) {
		buf_printf(&names, "%s%s", names.len ? ", " : "", network);
		if (v < 148 && json_is_object(ep))
			json_object_set_new(ep, "GwPriority", json_integer(0));
	}
	if (v < 144 && json_object_size(all) > 1)
		return err_kind(err, ERR_BAD_PARAM,
				"Container cannot be created with multiple network endpoints: %s",
				buf_str(&names));
	return 0;
}

static void fields_adapt(int v, json_t *config, json_t *host)
{
	if (v < 125)
		json_object_set_new(host, "AutoRemove", json_false());
	if (v < 140) {
		json_object_del(host, "KernelMemoryTCP");
		if (is_empty_str(host, "IpcMode"))
			set_str(host, "IpcMode", "shareable");
	}
	if (v < 141 && is_empty_str(host, "CgroupnsMode") && engine &&
	    engine->cgroup_mode != CGROUP_V2)
		set_str(host, "CgroupnsMode", "host");
	if (v < 142)
		json_object_set_new(host, "ConsoleSize", json_pack("[i,i]", 0, 0));
	else
		json_object_del(host, "KernelMemory");
	if (v < 143)
		json_object_del(host, "Annotations");
	if (v < 144)
		json_object_del(jget_obj(config, "Healthcheck"), "StartInterval");
}

static void volume_driver_adapt(int v, const json_t *host, char ***warnings)
{
	json_t *m;
	size_t i;

	if (v < 148 || is_empty_str(host, "VolumeDriver"))
		return;
	json_array_foreach (jget_arr(host, "Mounts"), i, m) {
		if (strcmp(jget_str(m, "Type", ""), "volume") != 0 ||
		    !is_empty_str(jget_obj(jget_obj(m, "VolumeOptions"), "DriverConfig"), "Name"))
			continue;
		strv_addf(warnings, "WARNING: the container-wide volume-driver configuration is "
				   "ignored for volumes specified via "
				   "'mount'. Use '--mount type=volume,volume-driver=...' instead");
		return;
	}
}

int version_adapt(int api_version, json_t *config, json_t *host, json_t *networking,
		  char ***warnings, struct err *err)
{
	json_t *all = jget_obj(networking, "EndpointsConfig");
	json_t *ep;
	int rc;

	if (is_empty_str(host, "NetworkMode") ||
	    strcmp(jget_str(host, "NetworkMode", ""), "default") == 0) {
		set_str(host, "NetworkMode", "bridge");
		if ((ep = json_object_get(all, "default"))) {
			json_object_set(all, "bridge", ep);
			json_object_del(all, "default");
		}
	}
	fields_adapt(api_version, config, host);
	if ((rc = mounts_adapt(api_version, host, err)) < 0 ||
	    (rc = networks_adapt(api_version, networking, err)) < 0)
		return rc;
	volume_driver_adapt(api_version, host, warnings);
	if ((rc = mac_adapt(api_version, config, host, networking, warnings, err)) < 0)
		return rc;
	if ((rc = sysctl_adapt(api_version, host, err)) < 0)
		return rc;
	/* neither 0 nor any negative number is a limit */
	if (jget_int(host, "PidsLimit", 0) <= 0)
		json_object_set_new(host, "PidsLimit", json_null());
	return 0;
}
