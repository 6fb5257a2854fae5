/* SPDX-License-Identifier: MPL-2.0
 *
 * body_fields.c - the tables of body_fields.h, field by field as in Docker's API types (v1.51).
 *
 * To extend: a row; a field that is not here is ignored, as Go does with one that it does not know.
 */
#include "apiserver/body_fields.h"

#include "apiserver/ct_fields.h"

/* clang-format off */

static const struct go_field ipam_config_fields[] = {
	{ "Subnet", GO_STR, true, NULL, NULL },
	{ "IPRange", GO_STR, true, NULL, NULL },
	{ "Gateway", GO_STR, true, NULL, NULL },
	{ "AuxiliaryAddresses", GO_STR_MAP, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct ipam_config = { "IPAMConfig", "network.IPAMConfig", ipam_config_fields };

static const struct go_field ipam_fields[] = {
	{ "Driver", GO_STR, false, NULL, NULL },
	{ "Options", GO_STR_MAP, false, NULL, NULL },
	{ "Config", GO_LIST, false, NULL, &ipam_config },
	{ .name = NULL },
};
static const struct go_struct ipam = { "IPAM", "network.IPAM", ipam_fields };

static const struct go_field config_reference_fields[] = {
	{ "Network", GO_STR, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct config_reference = { "ConfigReference", "network.ConfigReference",
						   config_reference_fields };

static const struct go_field network_create_fields[] = {
	{ "Name", GO_STR, false, NULL, NULL },
	{ "CheckDuplicate", GO_PTR_BOOL, true, NULL, NULL },
	{ "Driver", GO_STR, false, NULL, NULL, "CreateOptions" },
	{ "Scope", GO_STR, false, NULL, NULL, "CreateOptions" },
	{ "EnableIPv4", GO_PTR_BOOL, true, NULL, NULL, "CreateOptions" },
	{ "EnableIPv6", GO_PTR_BOOL, true, NULL, NULL, "CreateOptions" },
	{ "IPAM", GO_PTR_STRUCT, true, NULL, &ipam, "CreateOptions" },
	{ "Internal", GO_BOOL, false, NULL, NULL, "CreateOptions" },
	{ "Attachable", GO_BOOL, false, NULL, NULL, "CreateOptions" },
	{ "Ingress", GO_BOOL, false, NULL, NULL, "CreateOptions" },
	{ "ConfigOnly", GO_BOOL, false, NULL, NULL, "CreateOptions" },
	{ "ConfigFrom", GO_PTR_STRUCT, true, NULL, &config_reference, "CreateOptions" },
	{ "Options", GO_STR_MAP, true, NULL, NULL, "CreateOptions" },
	{ "Labels", GO_STR_MAP, true, NULL, NULL, "CreateOptions" },
	{ .name = NULL },
};
const struct go_struct body_network_create = { "CreateRequest", "network.CreateRequest", network_create_fields };

static const struct go_field network_connect_fields[] = {
	{ "Container", GO_STR, false, NULL, NULL },
	{ "EndpointConfig", GO_PTR_STRUCT, true, NULL, &ct_fields_endpoint },
	{ .name = NULL },
};
const struct go_struct body_network_connect = { "ConnectOptions", "network.ConnectOptions", network_connect_fields };

static const struct go_field network_disconnect_fields[] = {
	{ "Container", GO_STR, false, NULL, NULL },
	{ "Force", GO_BOOL, false, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct body_network_disconnect = { "DisconnectOptions", "network.DisconnectOptions",
						   network_disconnect_fields };

/* cluster volumes need a swarm: only whether one is asked for counts */
static const struct go_field cluster_volume_fields[] = {
	{ .name = NULL },
};
static const struct go_struct cluster_volume = { "ClusterVolumeSpec", "volume.ClusterVolumeSpec", cluster_volume_fields };

static const struct go_field volume_create_fields[] = {
	{ "ClusterVolumeSpec", GO_PTR_STRUCT, true, NULL, &cluster_volume },
	{ "Driver", GO_STR, true, NULL, NULL },
	{ "DriverOpts", GO_STR_MAP, false, NULL, NULL },
	{ "Labels", GO_STR_MAP, false, NULL, NULL },
	{ "Name", GO_STR, true, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct body_volume_create = { "CreateOptions", "volume.CreateOptions", volume_create_fields };

static const struct go_field exec_create_fields[] = {
	{ "User", GO_STR, false, NULL, NULL },
	{ "Privileged", GO_BOOL, false, NULL, NULL },
	{ "Tty", GO_BOOL, false, NULL, NULL },
	{ "ConsoleSize", GO_UINT_PAIR, true, NULL, NULL },
	{ "AttachStdin", GO_BOOL, false, NULL, NULL },
	{ "AttachStderr", GO_BOOL, false, NULL, NULL },
	{ "AttachStdout", GO_BOOL, false, NULL, NULL },
	{ "DetachKeys", GO_STR, false, NULL, NULL },
	{ "Env", GO_STRS, false, NULL, NULL },
	{ "WorkingDir", GO_STR, false, NULL, NULL },
	{ "Cmd", GO_STRS, false, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct body_exec_create = { "ExecOptions", "container.ExecOptions", exec_create_fields };

static const struct go_field exec_start_fields[] = {
	{ "Detach", GO_BOOL, false, NULL, NULL },
	{ "Tty", GO_BOOL, false, NULL, NULL },
	{ "ConsoleSize", GO_UINT_PAIR, true, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct body_exec_start = { "ExecStartOptions", "container.ExecStartOptions", exec_start_fields };

static const struct go_field auth_fields[] = {
	{ "username", GO_STR, true, NULL, NULL },
	{ "password", GO_STR, true, NULL, NULL },
	{ "auth", GO_STR, true, NULL, NULL },
	{ "email", GO_STR, true, NULL, NULL },
	{ "serveraddress", GO_STR, true, NULL, NULL },
	{ "identitytoken", GO_STR, true, NULL, NULL },
	{ "registrytoken", GO_STR, true, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct body_auth = { "AuthConfig", "registry.AuthConfig", auth_fields };

/* clang-format on */

int body_decode(const struct go_struct *s, const struct buf *body, json_t **out, struct err *err)
{
	json_t *raw = NULL;
	int rc;

	if (body->len && (rc = go_json_parse(body->p, body->len, &raw, err)) < 0)
		return rc;
	rc = go_json_decode(s, raw, out, err);
	json_decref(raw);
	return rc;
}
