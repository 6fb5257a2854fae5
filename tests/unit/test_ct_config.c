/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/ct_config.h"
#include "apiserver/engine_init.h"
#include "apiserver/host_cgroups.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static const struct host_cgroups all_limits = { true, true, true, true, true, true, true,
						true, true, true, true, true, true, true };

static int setup(void **state)
{
	struct engine *e = engine_mutable();

	(void)state;
	host_cgroups_set(&all_limits);
	e->ncpu = 4;
	e->swap_limit = true;
	e->cgroup_mode = CGROUP_V1;
	e->caps_bounding = ~(UINT64_C(1) << 24); /* all but SYS_RESOURCE */
	return 0;
}

#define OUTSIDE	      "{\"Image\":\"x\",\"Cmd\":[\"a\"]," /* members of Config follow */
#define HOST(members) OUTSIDE "\"HostConfig\":{" members "}}"

/* ---- what is refused ------------------------------------------------------------------------- */

struct refusal {
	const char *body;
	const char *text; /* the whole message */
	int version;	  /* 0: 151 */
};

static void check_refusals(const struct refusal *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct create_request cr = { 0 };
		struct err err = { 0 };
		int version = rows[i].version ? rows[i].version : 151;

		if (create_request_parse(rows[i].body, strlen(rows[i].body), version, &cr, &err) >=
		    0)
			fail_msg("accepted: %s", rows[i].body);
		if (strcmp(err.msg, rows[i].text) != 0)
			fail_msg("%s\n  got  %s\n  want %s", rows[i].body, err.msg, rows[i].text);
		assert_int_equal(err_http_status(err.kind), 400);
	}
}

#define REFUSED(rows) check_refusals(rows, ARRAY_SIZE(rows))

static void test_bad_json(void **state)
{
	static const struct refusal rows[] = {
		{ "", "invalid JSON: got EOF while reading request body", 0 },
		{ " \n", "invalid JSON: got EOF while reading request body", 0 },
		{ "{", "invalid JSON: unexpected EOF", 0 },
		{ "{\"Image\":\"x\"", "invalid JSON: unexpected EOF", 0 },
		{ "{\"Image\":\"x\",}",
		  "invalid JSON: invalid character '}' looking for beginning of object key string",
		  0 },
		{ "{\"Image\" \"x\"}", "invalid JSON: invalid character '\"' after object key", 0 },
		{ "{\"Image\":\"x\" \"Cmd\":1}",
		  "invalid JSON: invalid character '\"' after object key:value pair", 0 },
		{ "{\"Cmd\":[1 2]}", "invalid JSON: invalid character '2' after array element", 0 },
		{ "{\"Image\":x}",
		  "invalid JSON: invalid character 'x' looking for beginning of value", 0 },
		{ "{\"Tty\":tru}",
		  "invalid JSON: invalid character '}' in literal true (expecting 'e')", 0 },
		{ "{\"Image\":\"\\q\"}",
		  "invalid JSON: invalid character 'q' in string escape code", 0 },
		{ "{\"Image\":\"\n\"}", "invalid JSON: invalid character '\\n' in string literal",
		  0 },
		{ "{\"Image\":-}", "invalid JSON: invalid character '}' in numeric literal", 0 },
		{ "{\"Image\":\"x\"} y", "unexpected content after JSON", 0 },
		{ "{}", "config cannot be empty in order to create a container", 0 },
		{ "null", "config cannot be empty in order to create a container", 0 },
		{ "{\"HostConfig\":{}}", "config cannot be empty in order to create a container",
		  0 },
	};

	(void)state;
	REFUSED(rows);
}

#define UNMARSHAL(value, field, type)                                                              \
	"invalid JSON: json: cannot unmarshal " value " into Go struct field " field               \
	" of type " type

static void test_wrong_types(void **state)
{
	static const struct refusal rows[] = {
		{ "[]",
		  "invalid JSON: json: cannot unmarshal array into Go value of type "
		  "container.CreateRequest",
		  0 },
		{ "{\"Hostname\":1}", UNMARSHAL("number", "CreateRequest.Config.Hostname", "string"), 0 },
		{ "{\"hostname\":1}", UNMARSHAL("number", "CreateRequest.Config.Hostname", "string"), 0 },
		{ "{\"Env\":\"A=b\"}", UNMARSHAL("string", "CreateRequest.Config.Env", "[]string"), 0 },
		{ "{\"Env\":[1]}", UNMARSHAL("number", "CreateRequest.Config.Env", "string"), 0 },
		{ "{\"Cmd\":1}", UNMARSHAL("number", "CreateRequest.Config.Cmd", "string"), 0 },
		{ "{\"Entrypoint\":[\"a\",1]}", UNMARSHAL("array", "CreateRequest.Config.Entrypoint", "string"), 0 },
		{ "{\"Tty\":\"yes\"}", UNMARSHAL("string", "CreateRequest.Config.Tty", "bool"), 0 },
		{ "{\"Labels\":[]}",
		  UNMARSHAL("array", "CreateRequest.Config.Labels", "map[string]string"), 0 },
		{ "{\"Labels\":{\"a\":1}}", UNMARSHAL("number", "CreateRequest.Config.Labels", "string"),
		  0 },
		{ "{\"StopTimeout\":1.5}",
		  UNMARSHAL("number 1.5", "CreateRequest.Config.StopTimeout", "int"), 0 },
		{ "{\"Healthcheck\":{\"Interval\":\"1s\"}}",
		  UNMARSHAL("string", "HealthcheckConfig.Config.Healthcheck.Interval", "time.Duration"),
		  0 },
		{ "{\"HostConfig\":[]}",
		  UNMARSHAL("array", "CreateRequest.HostConfig", "container.HostConfig"), 0 },
		{ HOST("\"Memory\":\"x\""),
		  UNMARSHAL("string", "HostConfig.HostConfig.Resources.Memory", "int64"), 0 },
		{ HOST("\"BlkioWeight\":70000"),
		  UNMARSHAL("number 70000", "HostConfig.HostConfig.Resources.BlkioWeight", "uint16"), 0 },
		{ HOST("\"BlkioWeight\":-1"),
		  UNMARSHAL("number -1", "HostConfig.HostConfig.Resources.BlkioWeight", "uint16"), 0 },
		{ HOST("\"NetworkMode\":1"),
		  UNMARSHAL("number", "HostConfig.HostConfig.NetworkMode", "container.NetworkMode"),
		  0 },
		{ HOST("\"PortBindings\":{\"80/tcp\":[{\"HostPort\":80}]}"),
		  UNMARSHAL("number", "PortBinding.HostConfig.PortBindings.HostPort", "string"),
		  0 },
		{ HOST("\"PortBindings\":{\"80/tcp\":{}}"),
		  UNMARSHAL("object", "HostConfig.HostConfig.PortBindings", "[]nat.PortBinding"),
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":1}]"),
		  UNMARSHAL("number", "Mount.HostConfig.Mounts.Type", "mount.Type"), 0 },
		{ HOST("\"LogConfig\":{\"Config\":{\"a\":true}}"),
		  UNMARSHAL("bool", "LogConfig.HostConfig.LogConfig.Config", "string"), 0 },
	};

	(void)state;
	REFUSED(rows);
}

static void test_config_checks(void **state)
{
	static const struct refusal rows[] = {
		{ OUTSIDE "\"WorkingDir\":\"rel\"}",
		  "the working directory 'rel' is invalid, it needs to be an absolute path", 0 },
		{ OUTSIDE "\"StopSignal\":\"NOPE\"}", "invalid signal: NOPE", 0 },
		{ OUTSIDE "\"StopSignal\":\"0\"}", "invalid signal: 0", 0 },
		{ OUTSIDE "\"Env\":[\"=x\"]}", "invalid environment variable: =x", 0 },
		{ OUTSIDE "\"Env\":[\"\"]}", "invalid environment variable: ", 0 },
		{ OUTSIDE "\"Healthcheck\":{\"Interval\":999}}",
		  "Interval in Healthcheck cannot be less than 1ms", 0 },
		{ OUTSIDE "\"Healthcheck\":{\"Timeout\":-5}}",
		  "Timeout in Healthcheck cannot be less than 1ms", 0 },
		{ OUTSIDE "\"Healthcheck\":{\"Retries\":-1}}",
		  "Retries in Healthcheck cannot be negative", 0 },
		{ OUTSIDE "\"Hostname\":\"a b\"}", "invalid hostname format: a b", 0 },
		{ OUTSIDE "\"ExposedPorts\":{\"99999/tcp\":{}}}",
		  "invalid port specification: \"99999\"", 0 },
		{ OUTSIDE "\"ExposedPorts\":{\"80/xyz\":{}}}", "invalid port specification: \"80\"",
		  0 },
	};

	(void)state;
	REFUSED(rows);
}

static void test_resource_checks(void **state)
{
	static const struct refusal rows[] = {
		{ HOST("\"Memory\":1000000"), "Minimum memory limit allowed is 6MB", 0 },
		{ HOST("\"Memory\":-1"), "Minimum memory limit allowed is 6MB", 0 },
		{ HOST("\"Memory\":20000000,\"MemorySwap\":10000000"),
		  "Minimum memoryswap limit should be larger than memory limit, see usage", 0 },
		{ HOST("\"MemorySwap\":10000000"),
		  "You should always set the Memory limit when using Memoryswap limit, see usage",
		  0 },
		{ HOST("\"MemorySwappiness\":101"),
		  "Invalid value: 101, valid memory swappiness range is 0-100", 0 },
		{ HOST("\"MemoryReservation\":1"), "Minimum memory reservation allowed is 6MB", 0 },
		{ HOST("\"Memory\":10000000,\"MemoryReservation\":20000000"),
		  "Minimum memory limit can not be less than memory reservation limit, see usage",
		  0 },
		{ HOST("\"NanoCpus\":1,\"CpuPeriod\":1000"),
		  "Conflicting options: Nano CPUs and CPU Period cannot both be set", 0 },
		{ HOST("\"NanoCpus\":1,\"CpuQuota\":1000"),
		  "Conflicting options: Nano CPUs and CPU Quota cannot both be set", 0 },
		{ HOST("\"NanoCpus\":5000000000"),
		  "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available", 0 },
		{ HOST("\"CpuPeriod\":1"),
		  "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. "
		  "1000000)",
		  0 },
		{ HOST("\"CpuQuota\":1"), "CPU cfs quota can not be less than 1ms (i.e. 1000)", 0 },
		{ HOST("\"CpuShares\":-2"),
		  "invalid CPU shares (-2): value must be a positive integer", 0 },
		{ HOST("\"CpusetCpus\":\"a\""),
		  "Invalid value a for cpuset cpus: invalid format: a", 0 },
		{ HOST("\"CpusetCpus\":\"3-1\""),
		  "Invalid value 3-1 for cpuset cpus: invalid format: 3-1", 0 },
		{ HOST("\"BlkioWeight\":5"), "Range of blkio weight is from 10 to 1000", 0 },
		{ HOST("\"IOMaximumIOps\":1"),
		  "invalid option: QoS maximum IOPs configuration is not supported on linux", 0 },
		{ HOST("\"IOMaximumBandwidth\":1"),
		  "invalid option: QoS maximum bandwidth configuration is not supported on linux",
		  0 },
		{ HOST("\"CpuCount\":1"), "invalid option: CpuCount is not supported on linux", 0 },
		{ HOST("\"CpuRealtimePeriod\":1"),
		  "kernel does not support CPU real-time scheduler", 0 },
		{ HOST("\"Ulimits\":[{\"Name\":\"nope\"}]"), "invalid ulimit type: nope", 0 },
		{ HOST("\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":2,\"Hard\":1}]"),
		  "ulimit soft limit must be less than or equal to hard limit: 2 > 1", 0 },
	};

	(void)state;
	REFUSED(rows);
}

static void test_host_checks(void **state)
{
	static const struct refusal rows[] = {
		{ HOST("\"RestartPolicy\":{\"Name\":\"sometimes\"}"),
		  "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "
		  "'on-failure', or "
		  "'unless-stopped'",
		  0 },
		{ HOST("\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":3}"),
		  "invalid restart policy: maximum retry count can only be used with 'on-failure'",
		  0 },
		{ HOST("\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":-3}"),
		  "invalid restart policy: maximum retry count cannot be negative", 0 },
		{ HOST("\"AutoRemove\":true,\"RestartPolicy\":{\"Name\":\"always\"}"),
		  "can't create 'AutoRemove' container with restart policy", 0 },
		{ HOST("\"Isolation\":\"hyperv\""),
		  "invalid isolation (hyperv): linux only supports 'default'", 0 },
		{ HOST("\"IpcMode\":\"x\""), "invalid IPC mode: x", 0 },
		{ HOST("\"PidMode\":\"container:\""), "invalid PID mode: container:", 0 },
		{ HOST("\"UTSMode\":\"x\""), "invalid UTS mode: x", 0 },
		{ HOST("\"UsernsMode\":\"x\""), "invalid user namespace mode: x", 0 },
		{ HOST("\"CgroupnsMode\":\"x\""), "invalid cgroup namespace mode: x", 0 },
		{ HOST("\"ShmSize\":-1"), "SHM size can not be less than 0", 0 },
		{ HOST("\"OomScoreAdj\":-1001"),
		  "Invalid value -1001, range for oom score adj is [-1000, 1000]", 0 },
		{ HOST("\"Runtime\":\"kata\""), "unknown or invalid runtime name: kata", 0 },
		{ HOST("\"ExtraHosts\":[\"db\"]"), "bad format for add-host: \"db\"", 0 },
		{ HOST("\"ExtraHosts\":[\"db:1.2.3\"]"),
		  "invalid IP address in add-host: \"1.2.3\"", 0 },
		{ HOST("\"Dns\":[\"x\"]"), "IP address is not correctly formatted: x", 0 },
		{ HOST("\"Links\":[\"a:b:c\"]"), "bad format for links: a:b:c", 0 },
		{ HOST("\"CgroupParent\":\"/a\\tb\""), "invalid option: CgroupParent \"/a\tb\"", 0 },
		{ HOST("\"Annotations\":{\"\":\"x\"}"),
		  "invalid Annotations: the empty string is not permitted as an annotation key",
		  0 },
		{ HOST("\"StorageOpt\":{\"size\":\"1g\"}"),
		  "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
		  0 },
		{ HOST("\"CapAdd\":[\"FLY\"]"), "invalid CapAdd: unknown capability: \"CAP_FLY\"",
		  0 },
		{ HOST("\"CapDrop\":[\"cap_fly\"]"),
		  "invalid CapDrop: unknown capability: \"CAP_FLY\"", 0 },
		{ HOST("\"CapAdd\":[\"SYS_RESOURCE\"]"),
		  "invalid CapAdd: capability not supported by your kernel or not available in the "
		  "current environment: "
		  "\"CAP_SYS_RESOURCE\"",
		  0 },
		{ HOST("\"SecurityOpt\":[\"what\"]"), "invalid --security-opt 1: \"what\"", 0 },
		{ HOST("\"SecurityOpt\":[\"what=ever\"]"),
		  "invalid --security-opt 2: \"what=ever\"", 0 },
		{ HOST("\"SecurityOpt\":[\"no-new-privileges=perhaps\"]"),
		  "invalid --security-opt 2: \"no-new-privileges=perhaps\"", 0 },
		{ HOST("\"Sysctls\":{\"vm.swappiness\":\"1\"}"),
		  "sysctl \"vm.swappiness\" is not in a separate kernel namespace", 0 },
		{ HOST("\"NetworkMode\":\"host\",\"Sysctls\":{\"net.core.somaxconn\":\"1\"}"),
		  "sysctl \"net.core.somaxconn\" not allowed in host network namespace", 0 },
		{ HOST("\"IpcMode\":\"host\",\"Sysctls\":{\"kernel.shmmax\":\"1\"}"),
		  "sysctl \"kernel.shmmax\" is not allowed in the hosts ipc namespace", 0 },
		{ HOST("\"DeviceCgroupRules\":[\"x\"]"), "invalid device cgroup rule format: 'x'",
		  0 },
		{ HOST("\"PortBindings\":{\"x/tcp\":[]}"), "invalid port specification: \"x\"", 0 },
		{ HOST("\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"66666\"}]}"),
		  "invalid port specification: \"66666\"", 0 },
	};

	(void)state;
	REFUSED(rows);
}

static void test_network_conflicts(void **state)
{
	static const struct refusal rows[] = {
		{ HOST("\"NetworkMode\":\"container:\""),
		  "invalid network mode: invalid container format container:<name|id>", 0 },
		{ OUTSIDE "\"Hostname\":\"h\",\"HostConfig\":{\"NetworkMode\":\"container:a\"}}",
		  "conflicting options: hostname and the network mode", 0 },
		{ OUTSIDE "\"Hostname\":\"h\",\"HostConfig\":{\"UTSMode\":\"host\"}}",
		  "conflicting options: hostname and the UTS mode", 0 },
		{ HOST("\"NetworkMode\":\"container:a\",\"Dns\":[\"1.1.1.1\"]"),
		  "conflicting options: dns and the network mode", 0 },
		{ HOST("\"NetworkMode\":\"container:a\",\"ExtraHosts\":[\"a:1.1.1.1\"]"),
		  "conflicting options: custom host-to-IP mapping and the network mode", 0 },
		{ HOST("\"NetworkMode\":\"container:a\",\"PublishAllPorts\":true"),
		  "conflicting options: port publishing and the container type network mode", 0 },
		{ OUTSIDE "\"ExposedPorts\":{\"1/"
			  "tcp\":{}},\"HostConfig\":{\"NetworkMode\":\"container:a\"}}",
		  "conflicting options: port exposing and the container type network mode", 0 },
		{ HOST("\"NetworkMode\":\"container:a\",\"Links\":[\"a\"]"),
		  "conflicting options: container type network can't be used with links. This "
		  "would result in undefined behavior",
		  0 },
		{ HOST("\"NetworkMode\":\"host\",\"Links\":[\"a\"]"),
		  "conflicting options: host type networking can't be used with links. This would "
		  "result in undefined behavior",
		  0 },
		{ OUTSIDE
		  "\"MacAddress\":\"02:42:ac:11:00:02\",\"HostConfig\":{\"NetworkMode\":\"host\"}}",
		  "conflicting options: mac-address and the network mode", 143 },
		{ OUTSIDE "\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"IPAMConfig\":{"
			  "\"IPv4Address\":\"1.2.3.4\"}}}}}",
		  "invalid config for network bridge: invalid endpoint settings:\n"
		  "user specified IP address is supported on user defined networks only",
		  0 },
		{ OUTSIDE
		  "\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"Aliases\":[\"x\"]}}}}",
		  "invalid config for network bridge: invalid endpoint settings:\n"
		  "network-scoped alias is supported only for containers in user defined networks",
		  0 },
		{ OUTSIDE "\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"IPAMConfig\":{"
			  "\"IPv4Address\":\"1.2.3\"}}}}}",
		  "invalid config for network n: invalid endpoint settings:\ninvalid IPv4 address: "
		  "1.2.3",
		  0 },
		{ OUTSIDE
		  "\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"MacAddress\":\"zz\"}}}}",
		  "invalid config for network n: invalid MAC address zz", 0 },
		{ OUTSIDE "\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":null}}}",
		  "invalid config for network n: EndpointsConfig is nil", 0 },
		{ OUTSIDE "\"NetworkingConfig\":{\"EndpointsConfig\":{\"a\":{},\"b\":{}}}}",
		  "Container cannot be created with multiple network endpoints: a, b", 143 },
	};

	(void)state;
	REFUSED(rows);
}

static void test_mount_checks(void **state)
{
	static const struct refusal rows[] = {
		{ HOST("\"Binds\":[\"\"]"), "invalid volume specification: ''", 0 },
		{ HOST("\"Binds\":[\"/a:ro\"]"), "invalid volume specification: '/a:ro'", 0 },
		{ HOST("\"Binds\":[\"/a:/b:ro:x\"]"), "invalid volume specification: '/a:/b:ro:x'",
		  0 },
		{ HOST("\"Binds\":[\"/a:/b\",\"/c:/b/\"]"), "Duplicate mount point: /b", 0 },
		{ HOST("\"Binds\":[\"/a:/b\"],\"Tmpfs\":{\"/b\":\"\"}"),
		  "Duplicate mount point: /b", 0 },
		{ HOST("\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/nope\",\"Target\":\"/x\"}]"),
		  "invalid mount config for type \"bind\": bind source path does not exist: /nope",
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":\"bind\",\"Target\":\"/x\"}]"),
		  "invalid mount config for type \"bind\": field Source must not be empty", 0 },
		{ HOST("\"Mounts\":[{\"Type\":\"volume\"}]"),
		  "invalid mount config for type \"volume\": field Target must not be empty", 0 },
		{ HOST("\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"/\"}]"),
		  "invalid mount config for type \"volume\": invalid specification: destination "
		  "can't be '/'",
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"x\"}]"),
		  "invalid mount config for type \"volume\": invalid mount path: 'x' mount path "
		  "must be absolute",
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/x\",\"Source\":\"y\"}]"),
		  "invalid mount config for type \"tmpfs\": field Source must not be specified",
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/x\",\"BindOptions\":{}}]"),
		  "BindOptions must not be specified on mount type \"tmpfs\"", 0 },
		{ HOST("\"Mounts\":[{\"Type\":\"npipe\",\"Target\":\"/x\",\"Source\":\"y\"}]"),
		  "invalid mount config for type \"npipe\": mount type unknown", 0 },
		{ HOST("\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"/x\",\"ReadOnly\":true}]"),
		  "invalid mount config for type \"volume\": must not set ReadOnly mode when using "
		  "anonymous volumes",
		  0 },
		{ HOST("\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/"
		       "x\",\"VolumeOptions\":{\"Subpath\":\"a\"}}]"),
		  "VolumeOptions.Subpath needs API v1.45 or newer", 144 },
		{ HOST("\"VolumesFrom\":[\"a:rslave\"]"), "invalid mode: rslave", 0 },
		{ HOST("\"VolumesFrom\":[\"\"]"),
		  "volumes-from specification cannot be an empty string", 0 },
	};

	(void)state;
	REFUSED(rows);
}

/* ---- what is made of the rest ---------------------------------------------------------------- */

static struct create_request parse_ok(const char *body, int version)
{
	struct create_request cr = { 0 };
	struct err err = { 0 };

	if (create_request_parse(body, strlen(body), version, &cr, &err) < 0)
		fail_msg("%s: %s", body, err.msg);
	return cr;
}

/* A member as JSON text: HostConfig's, or else Config's. */
static void member_is(const struct create_request *cr, const char *key, const char *want)
{
	json_t *v = json_object_get(cr->host_config, key);
	cleanup_free char *text = NULL;

	if (!v)
		v = json_object_get(cr->config, key);
	text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : xstrdup("absent");
	if (strcmp(text, want) != 0)
		fail_msg("%s: got %s, want %s", key, text, want);
}

static void test_defaults(void **state)
{
	static const char *const rows[][2] = {
		{ "ShmSize", "67108864" },
		{ "NetworkMode", "\"bridge\"" },
		{ "IpcMode", "\"private\"" },
		{ "CgroupnsMode", "\"host\"" },
		{ "LogConfig", "{\"Type\":\"json-file\",\"Config\":{}}" },
		{ "ConsoleSize", "[0,0]" },
		{ "OomKillDisable", "false" },
		{ "Runtime", "\"crun\"" },
		{ "RestartPolicy", "{\"Name\":\"no\",\"MaximumRetryCount\":0}" },
		{ "PidsLimit", "null" },
		{ "Binds", "null" },
		{ "PortBindings", "null" },
		{ "SecurityOpt", "null" },
		{ "MemorySwap", "0" },
		{ "MemorySwappiness", "null" },
		{ "Isolation", "\"\"" },
		{ "Init", "absent" },
		{ "Mounts", "absent" },
		{ "StorageOpt", "absent" },
		{ "Cmd", "[\"a\"]" },
		{ "Entrypoint", "null" },
		{ "Volumes", "null" },
		{ "Env", "null" },
		{ "ExposedPorts", "absent" },
		{ "Healthcheck", "absent" },
		{ "StopTimeout", "absent" },
		{ "ReadonlyPaths", "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/"
				   "proc/sysrq-trigger\"]" },
	};
	struct create_request cr =
		parse_ok("{\"Image\":\"x\",\"Cmd\":\"a\",\"Unknown\":{\"x\":1}}", 151);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		member_is(&cr, rows[i][0], rows[i][1]);
	assert_int_equal(json_array_size(json_object_get(cr.host_config, "MaskedPaths")), 12);
	assert_int_equal(cr.n_endpoints, 1);
	assert_string_equal(cr.endpoints[0].network, "bridge");
	assert_int_equal(strv_len(cr.warnings), 0);
	create_request_fini(&cr);
}

static void test_completed(void **state)
{
	static const struct {
		const char *body;
		const char *key, *want;
		int version;
	} rows[] = {
		{ HOST("\"Memory\":67108864"), "MemorySwap", "134217728", 151 },
		{ HOST("\"Memory\":67108864,\"MemorySwap\":-1"), "MemorySwap", "-1", 151 },
		{ HOST("\"MemorySwappiness\":-1"), "MemorySwappiness", "null", 151 },
		{ HOST("\"PidsLimit\":-1"), "PidsLimit", "null", 151 },
		{ HOST("\"PidsLimit\":7"), "PidsLimit", "7", 151 },
		{ HOST("\"NetworkMode\":\"default\""), "NetworkMode", "\"bridge\"", 151 },
		{ HOST("\"Privileged\":true"), "SecurityOpt", "[\"label=disable\"]", 151 },
		{ HOST("\"Privileged\":true"), "MaskedPaths", "null", 151 },
		{ HOST("\"MaskedPaths\":[]"), "MaskedPaths", "[]", 151 },
		{ HOST("\"PidMode\":\"host\",\"SecurityOpt\":[\"label=user:x\"]"), "SecurityOpt",
		  "[\"label=user:x\"]", 151 },
		{ HOST("\"ConsoleSize\":[5,6]"), "ConsoleSize", "[5,6]", 151 },
		{ HOST("\"ConsoleSize\":[5,6]"), "ConsoleSize", "[0,0]", 141 },
		{ HOST("\"AutoRemove\":true"), "AutoRemove", "false", 124 },
		{ HOST("\"KernelMemory\":9000000"), "KernelMemory", "absent", 151 },
		{ HOST("\"Annotations\":{\"a\":\"b\"}"), "Annotations", "absent", 142 },
		{ HOST("\"Annotations\":{\"a\":\"b\"}"), "Annotations", "{\"a\":\"b\"}", 143 },
		{ HOST("\"IpcMode\":\"\""), "IpcMode", "\"shareable\"", 139 },
		{ HOST("\"Init\":false"), "Init", "false", 151 },
		{ HOST("\"CapAdd\":\"NET_ADMIN\""), "CapAdd", "[\"NET_ADMIN\"]", 151 },
		{ HOST("\"CpuPercent\":5"), "CpuPercent", "0", 151 },
		{ HOST("\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":2}"),
		  "RestartPolicy", "{\"Name\":\"on-failure\",\"MaximumRetryCount\":2}", 151 },
		{ OUTSIDE "\"WorkingDir\":\"/a/../b//c/\"}", "WorkingDir", "\"/b/c\"", 151 },
		{ OUTSIDE "\"Labels\":{\"b\":\"1\",\"a\":null}}", "Labels",
		  "{\"a\":\"\",\"b\":\"1\"}", 151 },
		{ OUTSIDE "\"StopTimeout\":0}", "StopTimeout", "0", 151 },
		{ OUTSIDE "\"MacAddress\":\"02:42:ac:11:00:02\"}", "MacAddress", "absent", 151 },
		{ OUTSIDE "\"MacAddress\":\"02:42:ac:11:00:02\"}", "MacAddress",
		  "\"02:42:ac:11:00:02\"", 143 },
		{ HOST("\"LogConfig\":{\"Type\":\"none\",\"Config\":{\"any\":\"thing\"}}"),
		  "LogConfig", "{\"Type\":\"none\",\"Config\":{\"any\":\"thing\"}}", 151 },
		{ HOST("\"LogConfig\":{\"Config\":{\"max-size\":\"1.5m\",\"max-file\":\"3\","
		       "\"compress\":\"T\"}}"),
		  "LogConfig",
		  "{\"Type\":\"json-file\",\"Config\":{\"compress\":\"T\",\"max-file\":\"3\",\"max-"
		  "size\":\"1.5m\"}}",
		  151 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct create_request cr = parse_ok(rows[i].body, rows[i].version);

		member_is(&cr, rows[i].key, rows[i].want);
		create_request_fini(&cr);
	}
}

static void test_limits_the_host_lacks(void **state)
{
	static const struct host_cgroups none;
	struct create_request cr;

	(void)state;
	host_cgroups_set(&none);
	cr = parse_ok(
		HOST("\"Memory\":67108864,\"BlkioWeight\":5,\"PidsLimit\":9,\"CpusetCpus\":\"0\","
		     "\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/"
		     "x\",\"Rate\":1}],\"MemorySwappiness\":5"),
		151);
	member_is(&cr, "Memory", "0");
	member_is(&cr, "MemorySwap", "-1");
	member_is(&cr, "BlkioWeight", "0");
	member_is(&cr, "PidsLimit", "null");
	member_is(&cr, "CpusetCpus", "\"\"");
	member_is(&cr, "BlkioDeviceReadBps", "[]");
	member_is(&cr, "MemorySwappiness", "null");
	assert_int_equal(strv_len(cr.warnings), 6);
	assert_string_equal(cr.warnings[0],
			    "Your kernel does not support memory limit capabilities or the "
			    "cgroup is not mounted. Limitation discarded.");
	create_request_fini(&cr);
	host_cgroups_set(&all_limits);
}

static void test_endpoints(void **state)
{
	struct create_request cr;

	(void)state;
	cr = parse_ok(
		OUTSIDE
		"\"HostConfig\":{\"NetworkMode\":\"n2\"},\"NetworkingConfig\":{\"EndpointsConfig\":"
		"{\"n1\":{},"
		"\"n2\":{\"Aliases\":[\"a\"],\"MacAddress\":\"02:42:ac:11:00:02\",\"IPAMConfig\":"
		"{\"IPv4Address\":\"10.0.0.5\"},\"DriverOpts\":{\"k\":\"v\"},\"GwPriority\":3}}}}",
		151);
	assert_int_equal(cr.n_endpoints, 2);
	assert_string_equal(cr.endpoints[0].network, "n2");
	assert_string_equal(cr.endpoints[0].aliases[0], "a");
	assert_string_equal(cr.endpoints[0].want_ip, "10.0.0.5");
	assert_string_equal(cr.endpoints[0].want_mac, "02:42:ac:11:00:02");
	assert_int_equal(cr.endpoints[0].gw_priority, 3);
	assert_string_equal(cr.endpoints[1].network, "n1");
	create_request_fini(&cr);
	cr = parse_ok(HOST("\"NetworkMode\":\"container:x\""), 151);
	assert_int_equal(cr.n_endpoints, 0);
	create_request_fini(&cr);
	cr = parse_ok(OUTSIDE "\"MacAddress\":\"02:42:ac:11:00:02\"}", 151);
	assert_string_equal(cr.endpoints[0].want_mac, "02:42:ac:11:00:02");
	assert_int_equal(strv_len(cr.warnings), 1);
	create_request_fini(&cr);
}

/* ---- the image's part ------------------------------------------------------------------------ */

static void test_merge(void **state)
{
	static const char image[] =
		"{\"config\":{\"Env\":[\"PATH=/"
		"bin\",\"A=image\"],\"Cmd\":[\"sh\"],\"Entrypoint\":[\"/ep\"],\"User\":\"u\","
		"\"WorkingDir\":\"/"
		"w\",\"Labels\":{\"l\":\"image\",\"m\":\"image\"},\"ExposedPorts\":{\"80/tcp\":{}},"
		"\"Volumes\":{\"/"
		"v\":{}},\"StopSignal\":\"SIGINT\",\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],"
		"\"Interval\":1000000000}}}";
	static const struct {
		const char *body, *key, *want;
	} rows[] = {
		{ "{\"Image\":\"x\"}", "Cmd", "[\"sh\"]" },
		{ "{\"Image\":\"x\"}", "Entrypoint", "[\"/ep\"]" },
		{ "{\"Image\":\"x\",\"Cmd\":[\"mine\"]}", "Cmd", "[\"mine\"]" },
		{ "{\"Image\":\"x\",\"Cmd\":[\"mine\"]}", "Entrypoint", "[\"/ep\"]" },
		{ "{\"Image\":\"x\",\"Entrypoint\":[\"e\"]}", "Cmd", "null" },
		{ "{\"Image\":\"x\",\"Entrypoint\":[\"e\"]}", "Entrypoint", "[\"e\"]" },
		{ "{\"Image\":\"x\",\"Entrypoint\":[\"\"],\"Cmd\":[\"c\"]}", "Entrypoint", "null" },
		{ "{\"Image\":\"x\",\"Entrypoint\":[]}", "Entrypoint", "[]" },
		{ "{\"Image\":\"x\",\"Env\":[\"A=user\",\"B=1\"]}", "Env",
		  "[\"A=user\",\"B=1\",\"PATH=/bin\"]" },
		{ "{\"Image\":\"x\",\"Labels\":{\"l\":\"user\"}}", "Labels",
		  "{\"l\":\"user\",\"m\":\"image\"}" },
		{ "{\"Image\":\"x\",\"ExposedPorts\":{\"9/udp\":{}}}", "ExposedPorts",
		  "{\"80/tcp\":{},\"9/udp\":{}}" },
		{ "{\"Image\":\"x\"}", "Volumes", "{\"/v\":{}}" },
		{ "{\"Image\":\"x\"}", "StopSignal", "\"SIGINT\"" },
		{ "{\"Image\":\"x\",\"StopSignal\":\"9\"}", "StopSignal", "\"9\"" },
		{ "{\"Image\":\"x\",\"User\":\"me\"}", "User", "\"me\"" },
		{ "{\"Image\":\"x\",\"Healthcheck\":{\"Interval\":5000000}}", "Healthcheck",
		  "{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000000}" },
	};
	struct create_request cr;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr = parse_ok(rows[i].body, 151);
		if (create_request_merge_image(&cr, image, &err) < 0)
			fail_msg("%s: %s", rows[i].body, err.msg);
		member_is(&cr, rows[i].key, rows[i].want);
		create_request_fini(&cr);
	}
	cr = parse_ok("{\"Image\":\"x\"}", 151);
	assert_true(create_request_merge_image(&cr, "{\"config\":{}}", &err) < 0);
	assert_string_equal(err.msg, "no command specified");
	assert_int_equal(err.kind, ERR_BAD_PARAM);
	create_request_fini(&cr);
}

static void test_port_bindings(void **state)
{
	struct create_request cr = parse_ok(
		OUTSIDE "\"ExposedPorts\":{\"80/tcp\":{},\"90-91/"
			"udp\":{}},\"HostConfig\":{\"PublishAllPorts\":true,"
			"\"PortBindings\":{\"80/"
			"tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8000-8010\"},{}]}}}",
		151);
	struct port_binding *v = NULL;
	struct err err = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(config_port_bindings(cr.config, cr.host_config, &v, &n, &err), 0);
	assert_int_equal(n, 4);
	assert_string_equal(v[0].host_ip, "127.0.0.1");
	assert_int_equal(v[0].host_port, 8000);
	assert_int_equal(v[0].host_port_end, 8010);
	assert_int_equal(v[1].host_port, 0);
	assert_int_equal(v[2].ct_port, 90);
	assert_string_equal(v[3].proto, "udp");
	free(v);
	create_request_fini(&cr);
}

/* ---- update ---------------------------------------------------------------------------------- */

static void test_update(void **state)
{
	static const struct {
		const char *body, *key, *want; /* key NULL: refused, want is the text */
	} rows[] = {
		{ "{\"Memory\":33554432,\"MemorySwap\":67108864}", "Memory", "33554432" },
		{ "{\"CpuShares\":5}", "CpuShares", "5" },
		{ "{\"CpuShares\":5}", "Memory", "67108864" },
		{ "{\"PidsLimit\":-1}", "PidsLimit", "0" },
		{ "{\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}}",
		  "RestartPolicy", "{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}" },
		{ "{\"Memory\":999999999}", NULL,
		  "Memory limit should be smaller than already set memoryswap limit, update the "
		  "memoryswap at the same time" },
		{ "{\"Memory\":1}", NULL, "Minimum memory limit allowed is 6MB" },
		{ "{\"CpuQuota\":5000}", NULL,
		  "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been "
		  "set" },
		{ "{\"RestartPolicy\":{\"Name\":\"x\"}}", NULL,
		  "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', "
		  "'on-failure', or 'unless-stopped'" },
		{ "{\"Memory\":\"x\"}", NULL,
		  "invalid JSON: json: cannot unmarshal string into Go struct field "
		  "UpdateConfig.Resources.Memory of type int64" },
		{ " ", NULL, "invalid JSON: got EOF while reading request body" },
		{ "{\"CpuShares\":5}", "LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}}" },
		{ "{\"LogConfig\":{}}", "LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}}" },
		{ "{\"LogConfig\":{\"Config\":{\"max-file\":\"2\"}}}", "LogConfig",
		  "{\"Type\":\"json-file\",\"Config\":{\"max-file\":\"2\",\"max-size\":\"1m\"}}" },
		{ "{\"LogConfig\":{\"Config\":{\"max-size\":\"\"}}}", "LogConfig",
		  "{\"Type\":\"json-file\",\"Config\":{}}" },
		{ "{\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-file\":\"3\"}}}", "LogConfig",
		  "{\"Type\":\"local\",\"Config\":{\"max-file\":\"3\"}}" },
		{ "{\"LogConfig\":{\"Config\":{\"max-size\":\"x\"}}}", NULL, "invalid size: 'x'" },
		{ "{\"LogConfig\":{\"Config\":{\"a\":\"x\"}}}", NULL, "unknown log opt 'a' for json-file log driver" },
		{ "{\"LogConfig\":{\"Type\":\"gelf\",\"Config\":{\"gelf-address\":\"udp://h:1\"}}}", NULL,
		  "the log driver of a container cannot be changed from json-file to gelf" },
		{ "{\"LogConfig\":[]}", NULL,
		  "invalid JSON: json: cannot unmarshal array into Go struct field UpdateConfig.LogConfig of type "
		  "container.LogConfig" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct create_request cr = parse_ok(
			HOST("\"Memory\":67108864,\"NanoCpus\":1000000000,\"LogConfig\":{\"Config\":{\"max-size\":\"1m\"}}"),
			151);
		struct err err = { 0 };
		char **warnings = NULL;
		int rc = update_request_apply(rows[i].body, strlen(rows[i].body), 151, cr.host_config,
					      &warnings, &err);

		if (rows[i].key) {
			if (rc < 0)
				fail_msg("%s: %s", rows[i].body, err.msg);
			member_is(&cr, rows[i].key, rows[i].want);
		} else {
			assert_true(rc < 0);
			assert_string_equal(err.msg, rows[i].want);
		}
		strv_free(warnings);
		create_request_fini(&cr);
	}
}

static void test_start_checks(void **state)
{
	struct create_request cr = parse_ok(HOST("\"DeviceRequests\":[{\"Count\":-1,"
						 "\"Capabilities\":[[\"gpu\",\"x\"],[\"y\"]]}]"),
					    151);
	struct err err = { 0 };

	(void)state;
	assert_true(config_check_start(cr.host_config, &err) < 0);
	assert_string_equal(err.msg,
			    "could not select device driver \"\" with capabilities: [[gpu x] [y]]");
	create_request_fini(&cr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_json),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_config_checks),
		cmocka_unit_test(test_resource_checks),
		cmocka_unit_test(test_host_checks),
		cmocka_unit_test(test_network_conflicts),
		cmocka_unit_test(test_mount_checks),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_limits_the_host_lacks),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_port_bindings),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_start_checks),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
