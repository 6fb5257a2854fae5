/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_fields.c - the fields of the API's container types (API 1.51), in Docker's order, with Go's
 * type names for errors.
 *
 * The order is the one in which inspect shows them. Fields that only Windows or swarm know are
 * here too: they are read, checked (ct_hostconfig.c) and shown.
 */
#include "apiserver/ct_fields.h"

/* clang-format off */
static const struct go_field health_fields[] = {
	{ "Test", GO_STRS, true, NULL, NULL },
	{ "Interval", GO_INT64, true, "time.Duration", NULL },
	{ "Timeout", GO_INT64, true, "time.Duration", NULL },
	{ "StartPeriod", GO_INT64, true, "time.Duration", NULL },
	{ "StartInterval", GO_INT64, true, "time.Duration", NULL },
	{ "Retries", GO_INT, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct health = { "HealthcheckConfig", "v1.HealthcheckConfig", health_fields };

static const struct go_field weight_device_fields[] = {
	{ "Path", GO_STR, false, NULL, NULL },
	{ "Weight", GO_UINT16, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct weight_device = { "WeightDevice", "blkiodev.WeightDevice", weight_device_fields };

static const struct go_field throttle_device_fields[] = {
	{ "Path", GO_STR, false, NULL, NULL },
	{ "Rate", GO_UINT64, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct throttle_device = { "ThrottleDevice", "blkiodev.ThrottleDevice", throttle_device_fields };

static const struct go_field device_mapping_fields[] = {
	{ "PathOnHost", GO_STR, false, NULL, NULL },
	{ "PathInContainer", GO_STR, false, NULL, NULL },
	{ "CgroupPermissions", GO_STR, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct device_mapping = { "DeviceMapping", "container.DeviceMapping", device_mapping_fields };

static const struct go_field device_request_fields[] = {
	{ "Driver", GO_STR, false, NULL, NULL },
	{ "Count", GO_INT, false, NULL, NULL },
	{ "DeviceIDs", GO_STRS, false, NULL, NULL },
	{ "Capabilities", GO_STRS_LIST, false, NULL, NULL },
	{ "Options", GO_STR_MAP, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct device_request = { "DeviceRequest", "container.DeviceRequest", device_request_fields };

static const struct go_field ulimit_fields[] = {
	{ "Name", GO_STR, false, NULL, NULL },
	{ "Hard", GO_INT64, false, NULL, NULL },
	{ "Soft", GO_INT64, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct ulimit = { "Ulimit", "units.Ulimit", ulimit_fields };

static const struct go_field log_config_fields[] = {
	{ "Type", GO_STR, false, NULL, NULL },
	{ "Config", GO_STR_MAP, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct log_config = { "LogConfig", "container.LogConfig", log_config_fields };

static const struct go_field port_binding_fields[] = {
	{ "HostIp", GO_STR, false, NULL, NULL },
	{ "HostPort", GO_STR, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct port_binding = { "PortBinding", "nat.PortBinding", port_binding_fields };

static const struct go_field restart_policy_fields[] = {
	{ "Name", GO_STR, false, "container.RestartPolicyMode", NULL },
	{ "MaximumRetryCount", GO_INT, false, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct restart_policy = { "RestartPolicy", "container.RestartPolicy", restart_policy_fields };

static const struct go_field bind_options_fields[] = {
	{ "Propagation", GO_STR, true, "mount.Propagation", NULL },
	{ "NonRecursive", GO_BOOL, true, NULL, NULL },
	{ "CreateMountpoint", GO_BOOL, true, NULL, NULL },
	{ "ReadOnlyNonRecursive", GO_BOOL, true, NULL, NULL },
	{ "ReadOnlyForceRecursive", GO_BOOL, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct bind_options = { "BindOptions", "mount.BindOptions", bind_options_fields };

static const struct go_field volume_driver_fields[] = {
	{ "Name", GO_STR, true, NULL, NULL },
	{ "Options", GO_STR_MAP, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct volume_driver = { "Driver", "mount.Driver", volume_driver_fields };

static const struct go_field volume_options_fields[] = {
	{ "NoCopy", GO_BOOL, true, NULL, NULL },
	{ "Labels", GO_STR_MAP, true, NULL, NULL },
	{ "Subpath", GO_STR, true, NULL, NULL },
	{ "DriverConfig", GO_PTR_STRUCT, true, NULL, &volume_driver },
	{ .name = NULL },
};
static const struct go_struct volume_options = { "VolumeOptions", "mount.VolumeOptions", volume_options_fields };

static const struct go_field image_options_fields[] = {
	{ "Subpath", GO_STR, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct image_options = { "ImageOptions", "mount.ImageOptions", image_options_fields };

static const struct go_field tmpfs_options_fields[] = {
	{ "SizeBytes", GO_INT64, true, NULL, NULL },
	{ "Mode", GO_UINT32, true, "fs.FileMode", NULL },
	{ "Options", GO_STRS_LIST, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct tmpfs_options = { "TmpfsOptions", "mount.TmpfsOptions", tmpfs_options_fields };

static const struct go_field cluster_options_fields[] = {
	{ .name = NULL },
};
static const struct go_struct cluster_options = { "ClusterOptions", "mount.ClusterOptions", cluster_options_fields };

static const struct go_field mount_fields[] = {
	{ "Type", GO_STR, true, "mount.Type", NULL },
	{ "Source", GO_STR, true, NULL, NULL },
	{ "Target", GO_STR, true, NULL, NULL },
	{ "ReadOnly", GO_BOOL, true, NULL, NULL },
	{ "Consistency", GO_STR, true, "mount.Consistency", NULL },
	{ "BindOptions", GO_PTR_STRUCT, true, NULL, &bind_options },
	{ "VolumeOptions", GO_PTR_STRUCT, true, NULL, &volume_options },
	{ "ImageOptions", GO_PTR_STRUCT, true, NULL, &image_options },
	{ "TmpfsOptions", GO_PTR_STRUCT, true, NULL, &tmpfs_options },
	{ "ClusterOptions", GO_PTR_STRUCT, true, NULL, &cluster_options },
	{ .name = NULL },
};
static const struct go_struct mount = { "Mount", "mount.Mount", mount_fields };

static const struct go_field ipam_config_fields[] = {
	{ "IPv4Address", GO_STR, true, NULL, NULL },
	{ "IPv6Address", GO_STR, true, NULL, NULL },
	{ "LinkLocalIPs", GO_STRS, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct ipam_config = { "EndpointIPAMConfig", "network.EndpointIPAMConfig", ipam_config_fields };

static const struct go_field endpoint_fields[] = {
	{ "IPAMConfig", GO_PTR_STRUCT, false, NULL, &ipam_config },
	{ "Links", GO_STRS, false, NULL, NULL },
	{ "Aliases", GO_STRS, false, NULL, NULL },
	{ "MacAddress", GO_STR, false, NULL, NULL },
	{ "DriverOpts", GO_STR_MAP, false, NULL, NULL },
	{ "GwPriority", GO_INT, false, NULL, NULL },
	{ "NetworkID", GO_STR, false, NULL, NULL },
	{ "EndpointID", GO_STR, false, NULL, NULL },
	{ "Gateway", GO_STR, false, NULL, NULL },
	{ "IPAddress", GO_STR, false, NULL, NULL },
	{ "IPPrefixLen", GO_INT, false, NULL, NULL },
	{ "IPv6Gateway", GO_STR, false, NULL, NULL },
	{ "GlobalIPv6Address", GO_STR, false, NULL, NULL },
	{ "GlobalIPv6PrefixLen", GO_INT, false, NULL, NULL },
	{ "DNSNames", GO_STRS, false, NULL, NULL },
	{ .name = NULL },
};
const struct go_struct ct_fields_endpoint = { "EndpointSettings", "network.EndpointSettings", endpoint_fields };

static const struct go_field networking_fields[] = {
	{ "EndpointsConfig", GO_MAP_PTR, false, "map[string]*network.EndpointSettings", &ct_fields_endpoint },
	{ .name = NULL },
};
static const struct go_struct networking = { "NetworkingConfig", "network.NetworkingConfig", networking_fields };

/* container.Resources, which HostConfig and UpdateConfig embed */
#define RESOURCES_FIELDS \
	{ "CpuShares", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "Memory", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "NanoCpus", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CgroupParent", GO_STR, false, NULL, NULL, "Resources" }, \
	{ "BlkioWeight", GO_UINT16, false, NULL, NULL, "Resources" }, \
	{ "BlkioWeightDevice", GO_PTR_LIST, false, NULL, &weight_device, "Resources" }, \
	{ "BlkioDeviceReadBps", GO_PTR_LIST, false, NULL, &throttle_device, "Resources" }, \
	{ "BlkioDeviceWriteBps", GO_PTR_LIST, false, NULL, &throttle_device, "Resources" }, \
	{ "BlkioDeviceReadIOps", GO_PTR_LIST, false, NULL, &throttle_device, "Resources" }, \
	{ "BlkioDeviceWriteIOps", GO_PTR_LIST, false, NULL, &throttle_device, "Resources" }, \
	{ "CpuPeriod", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CpuQuota", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CpuRealtimePeriod", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CpuRealtimeRuntime", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CpusetCpus", GO_STR, false, NULL, NULL, "Resources" }, \
	{ "CpusetMems", GO_STR, false, NULL, NULL, "Resources" }, \
	{ "Devices", GO_LIST, false, NULL, &device_mapping, "Resources" }, \
	{ "DeviceCgroupRules", GO_STRS, false, NULL, NULL, "Resources" }, \
	{ "DeviceRequests", GO_LIST, false, NULL, &device_request, "Resources" }, \
	{ "KernelMemory", GO_INT64, true, NULL, NULL, "Resources" }, \
	{ "KernelMemoryTCP", GO_INT64, true, NULL, NULL, "Resources" }, \
	{ "MemoryReservation", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "MemorySwap", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "MemorySwappiness", GO_PTR_INT64, false, NULL, NULL, "Resources" }, \
	{ "OomKillDisable", GO_PTR_BOOL, false, NULL, NULL, "Resources" }, \
	{ "PidsLimit", GO_PTR_INT64, false, NULL, NULL, "Resources" }, \
	{ "Ulimits", GO_PTR_LIST, false, NULL, &ulimit, "Resources" }, \
	{ "CpuCount", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "CpuPercent", GO_INT64, false, NULL, NULL, "Resources" }, \
	{ "IOMaximumIOps", GO_UINT64, false, NULL, NULL, "Resources" }, \
	{ "IOMaximumBandwidth", GO_UINT64, false, NULL, NULL, "Resources" },

static const struct go_field host_config_fields[] = {
	{ "Binds", GO_STRS, false, NULL, NULL },
	{ "ContainerIDFile", GO_STR, false, NULL, NULL },
	{ "LogConfig", GO_STRUCT, false, NULL, &log_config },
	{ "NetworkMode", GO_STR, false, "container.NetworkMode", NULL },
	{ "PortBindings", GO_MAP_LIST, false, "nat.PortMap", &port_binding },
	{ "RestartPolicy", GO_STRUCT, false, NULL, &restart_policy },
	{ "AutoRemove", GO_BOOL, false, NULL, NULL },
	{ "VolumeDriver", GO_STR, false, NULL, NULL },
	{ "VolumesFrom", GO_STRS, false, NULL, NULL },
	{ "ConsoleSize", GO_UINT_PAIR, false, NULL, NULL },
	{ "Annotations", GO_STR_MAP, true, NULL, NULL },
	{ "CapAdd", GO_STRSLICE, false, NULL, NULL },
	{ "CapDrop", GO_STRSLICE, false, NULL, NULL },
	{ "CgroupnsMode", GO_STR, false, "container.CgroupnsMode", NULL },
	{ "Dns", GO_STRS, false, NULL, NULL },
	{ "DnsOptions", GO_STRS, false, NULL, NULL },
	{ "DnsSearch", GO_STRS, false, NULL, NULL },
	{ "ExtraHosts", GO_STRS, false, NULL, NULL },
	{ "GroupAdd", GO_STRS, false, NULL, NULL },
	{ "IpcMode", GO_STR, false, "container.IpcMode", NULL },
	{ "Cgroup", GO_STR, false, "container.CgroupSpec", NULL },
	{ "Links", GO_STRS, false, NULL, NULL },
	{ "OomScoreAdj", GO_INT, false, NULL, NULL },
	{ "PidMode", GO_STR, false, "container.PidMode", NULL },
	{ "Privileged", GO_BOOL, false, NULL, NULL },
	{ "PublishAllPorts", GO_BOOL, false, NULL, NULL },
	{ "ReadonlyRootfs", GO_BOOL, false, NULL, NULL },
	{ "SecurityOpt", GO_STRS, false, NULL, NULL },
	{ "StorageOpt", GO_STR_MAP, true, NULL, NULL },
	{ "Tmpfs", GO_STR_MAP, true, NULL, NULL },
	{ "UTSMode", GO_STR, false, "container.UTSMode", NULL },
	{ "UsernsMode", GO_STR, false, "container.UsernsMode", NULL },
	{ "ShmSize", GO_INT64, false, NULL, NULL },
	{ "Sysctls", GO_STR_MAP, true, NULL, NULL },
	{ "Runtime", GO_STR, false, NULL, NULL },
	{ "Isolation", GO_STR, false, "container.Isolation", NULL },
	RESOURCES_FIELDS
	{ "Mounts", GO_LIST, true, NULL, &mount },
	{ "MaskedPaths", GO_STRS, false, NULL, NULL },
	{ "ReadonlyPaths", GO_STRS, false, NULL, NULL },
	{ "Init", GO_PTR_BOOL, true, NULL, NULL },
	{ .name = NULL },
};
static const struct go_struct host_config = { "HostConfig", "container.HostConfig", host_config_fields };

/* in: NULL, or the struct by which CreateRequest embeds it */
#define CONFIG_FIELDS(in) \
	{ "Hostname", GO_STR, false, NULL, NULL, in }, \
	{ "Domainname", GO_STR, false, NULL, NULL, in }, \
	{ "User", GO_STR, false, NULL, NULL, in }, \
	{ "AttachStdin", GO_BOOL, false, NULL, NULL, in }, \
	{ "AttachStdout", GO_BOOL, false, NULL, NULL, in }, \
	{ "AttachStderr", GO_BOOL, false, NULL, NULL, in }, \
	{ "ExposedPorts", GO_SET, true, "nat.PortSet", NULL, in }, \
	{ "Tty", GO_BOOL, false, NULL, NULL, in }, \
	{ "OpenStdin", GO_BOOL, false, NULL, NULL, in }, \
	{ "StdinOnce", GO_BOOL, false, NULL, NULL, in }, \
	{ "Env", GO_STRS, false, NULL, NULL, in }, \
	{ "Cmd", GO_STRSLICE, false, NULL, NULL, in }, \
	{ "Healthcheck", GO_PTR_STRUCT, true, NULL, &health, in }, \
	{ "ArgsEscaped", GO_BOOL, true, NULL, NULL, in }, \
	{ "Image", GO_STR, false, NULL, NULL, in }, \
	{ "Volumes", GO_SET, false, NULL, NULL, in }, \
	{ "WorkingDir", GO_STR, false, NULL, NULL, in }, \
	{ "Entrypoint", GO_STRSLICE, false, NULL, NULL, in }, \
	{ "NetworkDisabled", GO_BOOL, true, NULL, NULL, in }, \
	{ "MacAddress", GO_STR, true, NULL, NULL, in }, \
	{ "OnBuild", GO_STRS, false, NULL, NULL, in }, \
	{ "Labels", GO_STR_MAP, false, NULL, NULL, in }, \
	{ "StopSignal", GO_STR, true, NULL, NULL, in }, \
	{ "StopTimeout", GO_PTR_INT, true, NULL, NULL, in }, \
	{ "Shell", GO_STRSLICE, true, NULL, NULL, in },

static const struct go_field config_fields[] = {
	CONFIG_FIELDS(NULL)
	{ .name = NULL },
};
const struct go_struct ct_fields_config = { "Config", "container.Config", config_fields };

static const struct go_field create_fields[] = {
	CONFIG_FIELDS("Config")
	{ "HostConfig", GO_PTR_STRUCT, false, NULL, &host_config },
	{ "NetworkingConfig", GO_PTR_STRUCT, false, NULL, &networking },
	{ .name = NULL },
};
const struct go_struct ct_fields_create = { "CreateRequest", "container.CreateRequest", create_fields };

static const struct go_field update_fields[] = {
	RESOURCES_FIELDS
	{ "RestartPolicy", GO_STRUCT, false, NULL, &restart_policy },
	{ "LogConfig", GO_STRUCT, false, NULL, &log_config }, /* ours; Docker ignores it */
	{ .name = NULL },
};
const struct go_struct ct_fields_update = { "UpdateConfig", "container.UpdateConfig", update_fields };
