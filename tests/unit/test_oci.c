/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * test_oci.c - config.json, zone.json, metadata.json and exec specs from container configurations,
 * below a temporary root; nothing is run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/caps.h"
#include "apiserver/engine.h"
#include "apiserver/native_layer.h"
#include "apiserver/oci_priv.h"
#include "apiserver/oci_spec.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HELD (caps_all() & ~CAP_BIT(24)) /* a machine without CAP_SYS_RESOURCE */

static struct engine test_engine;
static char root[64];

static int setup(void **state)
{
	struct err err = { 0 };
	struct engine *e = &test_engine;
	char path[128];

	(void)state;
	str_copy(root, sizeof(root), "/tmp/test-oci.XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(paths_init(&e->paths, root, &err), 0);
	assert_int_equal(conf_load(&e->conf, NULL, &err), 0);
	e->caps_bounding = HELD;
	e->cgroup_mode = CGROUP_V1;
	e->swap_limit = true;
	e->mem_total = 1LL << 34;
	str_copy(e->server_uuid, sizeof(e->server_uuid), "11111111-2222-3333-4444-555555555555");
	str_copy(e->owner_uuid, sizeof(e->owner_uuid), "66666666-2222-3333-4444-555555555555");
	str_copy(e->bin_dir, sizeof(e->bin_dir), root);
	snprintf(path, sizeof(path), "%s/dockerinit", root);
	assert_int_equal(fs_write_replace(path, "#!", 2, 0755, &err), 0);
	engine = e;
	return native_layer_init(e, &err);
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	conf_free(test_engine.conf);
	return fs_remove_tree(-100, root, &err);
}

static struct ct_spec make_spec(const char *config, const char *hc)
{
	struct ct_spec s = { .id = ID,
			     .image_id = "sha256:" ID,
			     .created_ns = 1500000000123456789LL };
	struct err err = { 0 };

	id_to_uuid(s.uuid, s.id);
	s.name = xstrdup("web");
	s.image_ref = xstrdup("busybox:1");
	assert_int_equal(jparse(config, strlen(config), &s.config, &err), 0);
	assert_int_equal(jparse(hc, strlen(hc), &s.host_config, &err), 0);
	return s;
}

static void spec_fini(struct ct_spec *s)
{
	free(s->name);
	free(s->image_ref);
	json_decref(s->config);
	json_decref(s->host_config);
	ct_mounts_fini(&s->mounts);
}

static json_t *read_json(const char *uuid, const char *name)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err err = { 0 };
	char path[1024], rel[64];
	struct stat st;
	json_t *o;

	snprintf(rel, sizeof(rel), "config/%s", name);
	paths_zone(&engine->paths, uuid, rel, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fs_read_file(path, 1 << 20, &b, &err) >= 0);
	assert_int_equal(jparse(b.p, b.len, &o, &err), 0);
	return o;
}

/* "linux.namespaces[2].type"; a number or string as text. */
static const char *at(json_t *o, const char *path)
{
	static char text[512];
	char key[64];
	size_t len;

	while (o && *path) {
		if (*path == '[') {
			o = json_array_get(o, strtoul(path + 1, NULL, 10));
			path = strchr(path, ']') + 1;
		} else {
			path += *path == '.';
			len = strcspn(path, ".[");
			snprintf(key, sizeof(key), "%.*s", (int)len, path);
			o = json_object_get(o, key);
			path += len;
		}
	}
	if (!o)
		return "(none)";
	if (json_is_string(o))
		return json_string_value(o);
	{
		cleanup_free char *dump = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);

		str_copy(text, sizeof(text), dump);
	}
	return text;
}

static json_t *mount_at(json_t *config, const char *dest)
{
	json_t *mounts = json_object_get(config, "mounts");
	size_t i;

	for (i = 0; i < json_array_size(mounts); i++)
		if (str_eq(jget_str(json_array_get(mounts, i), "destination", ""), dest))
			return json_array_get(mounts, i);
	return NULL;
}

static bool has_opt(json_t *mount, const char *opt)
{
	cleanup_strv char **v = jget_strv(mount, "options");

	return strv_has(v, opt);
}

static void write_ok(const struct ct_spec *s)
{
	static char *layers[] = { (char *)"/layers/one", (char *)"/layers/two", NULL };
	static struct image img = { .layer_dirs = layers };
	struct oci_env env = { .image = &img };
	struct err err = { 0 };

	if (oci_write(s, &env, &err) < 0)
		fail_msg("oci_write: %s", err.msg);
}

static void test_defaults(void **state)
{
	struct ct_spec s = make_spec("{\"Hostname\":\"hh\",\"Env\":[\"A=b\"]}",
				     "{\"NetworkMode\":\"bridge\"}");
	cleanup_json json_t *c = NULL;
	cleanup_json json_t *z = NULL;

	(void)state;
	write_ok(&s);
	c = read_json(s.uuid, "config.json");
	assert_string_equal(at(c, "process.args[0]"), "/native/usr/sbin/dockerinit");
	assert_string_equal(at(c, "hostname"), "hh");
	assert_string_equal(at(c, "root.readonly"), "false");
	assert_string_equal(at(c, "linux.cgroupsPath"), strchr(at(c, "linux.cgroupsPath"), '/'));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(c, "linux"), "namespaces")), 5);
	assert_true(has_opt(mount_at(c, "/sys"), "ro"));
	assert_true(has_opt(mount_at(c, "/sys/fs/cgroup"), "ro"));
	assert_true(has_opt(mount_at(c, "/dev/shm"), "size=67108864"));
	assert_true(has_opt(mount_at(c, "/native/.zonecontrol"), "ro"));
	assert_non_null(mount_at(c, "/var/log/sdc-dockerinit.log"));
	assert_string_equal(at(c, "linux.maskedPaths[0]"), "/proc/asound");
	assert_string_equal(at(c, "linux.seccomp"), "(none)");
	assert_string_equal(at(c, "process.noNewPrivileges"), "false");
	z = read_json(s.uuid, "zone.json");
	assert_string_equal(at(z, "rootfs.lowers[1]"), "/layers/two");
	assert_string_equal(at(z, "rootfs.lowers[2]"), "/layers/one");
	assert_string_equal(at(z, "private_netns"), "true");
	assert_string_equal(at(z, "restart.name"), "no");
	spec_fini(&s);
}

static void test_resources(void **state)
{
	struct ct_spec s = make_spec(
		"{}",
		"{\"Memory\":67108864,\"MemorySwap\":-1,\"NanoCpus\":500000000,\"PidsLimit\":20,"
		"\"CpuShares\":1,\"CpusetCpus\":\"0-1\",\"MemorySwappiness\":0,\"CgroupParent\":\"/"
		"a/b/\","
		"\"Sysctls\":{\"net.ipv4.ip_default_ttl\":\"7\"},\"OomScoreAdj\":100}");
	cleanup_json json_t *c = NULL;

	(void)state;
	write_ok(&s);
	c = read_json(s.uuid, "config.json");
	assert_string_equal(at(c, "linux.resources.memory.limit"), "67108864");
	assert_string_equal(at(c, "linux.resources.memory.swap"), "-1");
	assert_string_equal(at(c, "linux.resources.memory.swappiness"), "0");
	assert_string_equal(at(c, "linux.resources.cpu.quota"), "50000");
	assert_string_equal(at(c, "linux.resources.cpu.period"), "100000");
	assert_string_equal(at(c, "linux.resources.cpu.shares"), "2");
	assert_string_equal(at(c, "linux.resources.cpu.cpus"), "0-1");
	assert_string_equal(at(c, "linux.resources.pids.limit"), "20");
	assert_string_equal(at(c, "linux.cgroupsPath"), "/a/b/" ID);
	assert_string_equal(at(c, "process.oomScoreAdj"), "100");
	assert_string_equal(jget_str(json_object_get(json_object_get(c, "linux"), "sysctl"),
				     "net.ipv4.ip_default_ttl", ""),
			    "7");
	spec_fini(&s);
}

static void test_privileged(void **state)
{
	struct ct_spec s = make_spec("{}", "{\"Privileged\":true,\"NetworkMode\":\"host\","
					   "\"PidMode\":\"host\",\"UTSMode\":\"host\"}");
	cleanup_json json_t *c = NULL;
	cleanup_strv char **caps = NULL;

	(void)state;
	write_ok(&s);
	c = read_json(s.uuid, "config.json");
	caps = jget_strv(json_object_get(json_object_get(c, "process"), "capabilities"),
			 "bounding");
	assert_true(strv_has(caps, "CAP_SYS_ADMIN"));
	assert_false(strv_has(caps, "CAP_SYS_RESOURCE"));
	assert_true(has_opt(mount_at(c, "/sys"), "rw"));
	assert_string_equal(at(c, "linux.maskedPaths"), "(none)");
	assert_string_equal(at(c, "linux.resources.devices[0].access"), "rwm");
	assert_string_equal(at(c, "hostname"), "(none)");
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(c, "linux"), "namespaces")), 2);
	spec_fini(&s);
}

static void test_user_mounts(void **state)
{
	struct ct_spec s =
		make_spec("{}", "{\"Tmpfs\":{\"/t\":\"size=3m,exec\",\"/dev/shm\":\"size=1m\"}}");
	struct ct_mount *m = ct_mounts_add(&s.mounts);
	cleanup_json json_t *c = NULL;
	json_t *mounts;
	size_t i, deep = 0, shallow = 0;

	(void)state;
	m->type = xstrdup("bind");
	m->source = xstrdup("/tmp");
	m->destination = xstrdup("/a/b");
	m->propagation = xstrdup("rprivate");
	m = ct_mounts_add(&s.mounts);
	m->type = xstrdup("volume");
	m->name = xstrdup("v");
	m->source = xstrdup("/tmp");
	m->destination = xstrdup("/a");
	m->propagation = xstrdup("");
	m->rw = true;
	write_ok(&s);
	c = read_json(s.uuid, "config.json");
	assert_true(has_opt(mount_at(c, "/a/b"), "rro"));
	assert_false(has_opt(mount_at(c, "/a"), "rro"));
	assert_true(has_opt(mount_at(c, "/t"), "exec"));
	assert_false(has_opt(mount_at(c, "/t"), "noexec"));
	assert_true(has_opt(mount_at(c, "/dev/shm"), "size=1m"));
	mounts = json_object_get(c, "mounts");
	for (i = 0; i < json_array_size(mounts); i++) {
		const char *dest = jget_str(json_array_get(mounts, i), "destination", "");

		if (str_eq(dest, "/a"))
			shallow = i;
		else if (str_eq(dest, "/a/b"))
			deep = i;
	}
	assert_true(shallow < deep);
	spec_fini(&s);
}

static void test_metadata(void **state)
{
	struct ct_spec s = make_spec(
		"{\"Cmd\":[\"a\",\"b "
		"c\"],\"Entrypoint\":null,\"User\":\"u\",\"Labels\":{\"k\":\"v\"},\"Tty\":true,"
		"\"Env\":[\"PATH=/x\"]}",
		"{\"Memory\":134217728,\"RestartPolicy\":{\"Name\":\"on-failure\","
		"\"MaximumRetryCount\":3},"
		"\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"CHOWN\"],\"Init\":true,"
		"\"SecurityOpt\":[\"no-new-privileges\",\"seccomp=unconfined\"],\"GroupAdd\":["
		"\"5\"]}");
	cleanup_json json_t *m = NULL;
	cleanup_json json_t *p = NULL;
	struct err err = { 0 };
	const char *text;

	(void)state;
	write_ok(&s);
	m = read_json(s.uuid, "metadata.json");
	assert_string_equal(jget_str(m, "docker:cmd", ""), "[\"a\",\"b c\"]");
	assert_string_equal(jget_str(m, "docker:entrypoint", ""), "[]");
	assert_string_equal(jget_str(m, "docker:user", ""), "u");
	assert_string_equal(jget_str(m, "docker:env", ""),
			    "[\"PATH=/x\",\"HOSTNAME=\",\"TERM=xterm\"]");
	assert_string_equal(jget_str(m, "docker:label:k", ""), "v");
	assert_string_equal(jget_str(m, "sdc:tags.k", ""), "v");
	assert_string_equal(jget_str(m, "docker:restartpolicy", ""), "on-failure:3");
	assert_string_equal(jget_str(m, "sdc:max_physical_memory", ""), "128");
	assert_string_equal(jget_str(m, "sdc:uuid", ""), "01234567-89ab-cdef-0123-456789abcdef");
	assert_string_equal(jget_str(m, "sdc:server_uuid", ""), test_engine.server_uuid);
	text = jget_str(m, "docker:process", "");
	assert_int_equal(jparse(text, strlen(text), &p, &err), 0);
	assert_string_equal(at(p, "caps"), "[\"CAP_CHOWN\"]");
	assert_true(jget_bool(p, "no_new_privs", false));
	assert_true(jget_bool(p, "init", false));
	assert_string_equal(at(p, "group_add"), "[\"5\"]");
	assert_null(json_object_get(p, "seccomp"));
	spec_fini(&s);
}

static void test_exec(void **state)
{
	struct ct_spec s =
		make_spec("{\"User\":\"u\",\"WorkingDir\":\"/w\",\"Env\":[\"A=1\",\"B=2\"]}",
			  "{\"CapDrop\":[\"CHOWN\"]}");
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *x =
		json_pack("{s:[s,s],s:[s],s:b}", "Cmd", "ls", "-l", "Env", "A=9", "Privileged", 0);
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_exec_spec(&s, x, &b, &err), 0);
	assert_int_equal(jparse(b.p, b.len, &o, &err), 0);
	assert_string_equal(at(o, "argv"), "[\"ls\",\"-l\"]");
	assert_string_equal(at(o, "env[2]"), "A=9");
	assert_string_equal(at(o, "env[3]"), "B=2");
	assert_string_equal(at(o, "user"), "u");
	assert_string_equal(at(o, "cwd"), "/w");
	assert_null(strstr(b.p, "CAP_CHOWN"));
	json_object_set_new(x, "Privileged", json_true());
	buf_reset(&b);
	assert_int_equal(oci_exec_spec(&s, x, &b, &err), 0);
	assert_non_null(strstr(b.p, "CAP_SYS_ADMIN"));
	assert_null(strstr(b.p, "CAP_SYS_RESOURCE"));
	spec_fini(&s);
}

static void test_refused(void **state)
{
	static const struct {
		const char *hc, *text;
	} rows[] = {
		{ "{\"CapAdd\":[\"foo\"]}", "invalid CapAdd: unknown capability: \"CAP_FOO\"" },
		{ "{\"CapAdd\":[\"SYS_RESOURCE\"]}", "not available in the current environment" },
		{ "{\"Ulimits\":[{\"Name\":\"nofoo\",\"Soft\":1,\"Hard\":1}]}",
		  "invalid ulimit type: nofoo" },
		{ "{\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":-1,\"Hard\":-1}]}", "hard limit" },
		{ "{\"OomScoreAdj\":-999}", "oom-score-adj" },
		{ "{\"Devices\":[{\"PathOnHost\":\"/dev/nope\"}]}",
		  "error gathering device information while adding custom device \"/dev/nope\": no "
		  "such file or directory" },
		{ "{\"Devices\":[{\"PathOnHost\":\"/etc/passwd\"}]}", "not a device node" },
		{ "{\"DeviceCgroupRules\":[\"x 1:3 rwm\"]}",
		  "invalid device cgroup rule format: 'x 1:3 rwm'" },
		{ "{\"DeviceCgroupRules\":[\"c 1:3 rwmx\"]}", "invalid device cgroup rule format" },
		{ "{\"DeviceCgroupRules\":[\"\"]}", "invalid device cgroup rule format" },
		{ "{\"DeviceRequests\":[{\"Driver\":\"\",\"Capabilities\":[[\"gpu\"]]}]}",
		  "could not select device driver \"\" with capabilities: [[\"gpu\"]]" },
		{ "{\"Tmpfs\":{\"/t\":\"foo\"}}", "invalid tmpfs option [\"foo\"]" },
		{ "{\"NetworkMode\":\"host\",\"Sysctls\":{\"net.x\":\"1\"}}",
		  "not allowed in host network namespace" },
		{ "{\"SecurityOpt\":[\"no-new-privileges=maybe\"]}", "invalid --security-opt" },
	};
	struct oci_env env = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_spec s = make_spec("{}", rows[i].hc);
		struct err err = { 0 };

		if (oci_write(&s, &env, &err) >= 0 || !strstr(err.msg, rows[i].text))
			fail_msg("%s: '%s'", rows[i].hc, err.msg);
		spec_fini(&s);
	}
}

static void test_device_rules(void **state)
{
	struct ct_spec s = make_spec(
		"{}",
		"{\"DeviceCgroupRules\":[\"c 13:* rwm\",\"a *:* r\"],"
		"\"Devices\":[{\"PathOnHost\":\"/dev/null\",\"PathInContainer\":\"/dev/mine\","
		"\"CgroupPermissions\":\"r\"}]}");
	cleanup_json json_t *c = NULL;

	(void)state;
	write_ok(&s);
	c = read_json(s.uuid, "config.json");
	assert_string_equal(at(c, "linux.devices[0].path"), "/dev/mine");
	assert_string_equal(at(c, "linux.devices[0].minor"), "3");
	assert_string_equal(at(c, "linux.resources.devices[0].allow"), "false");
	assert_string_equal(at(c, "linux.resources.devices[8].access"), "r");
	assert_string_equal(at(c, "linux.resources.devices[9].major"), "13");
	assert_string_equal(at(c, "linux.resources.devices[9].minor"), "(none)");
	assert_string_equal(at(c, "linux.resources.devices[10].type"), "a");
	spec_fini(&s);
}

static void test_caps(void **state)
{
	static const struct {
		const char *add, *drop;
		bool privileged;
		uint64_t want;
	} rows[] = {
		{ "[]", "[]", false, CAPS_DEFAULT },
		{ "[\"NET_ADMIN\"]", "[]", false, CAPS_DEFAULT | CAP_BIT(12) },
		{ "[]", "[\"CHOWN\"]", false, CAPS_DEFAULT & ~CAP_BIT(0) },
		{ "[\"chown\"]", "[\"all\"]", false, CAP_BIT(0) },
		{ "[]", "[\"ALL\"]", false, 0 },
		{ "[\"ALL\"]", "[\"CAP_SYS_ADMIN\"]", false, 0 },
		{ "[]", "[\"ALL\"]", true, 0 },
	};
	struct err err = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json json_t *add = json_loads(rows[i].add, 0, NULL);
		cleanup_json json_t *drop = json_loads(rows[i].drop, 0, NULL);
		uint64_t got = 1, want = rows[i].want;

		if (rows[i].privileged)
			want = HELD;
		else if (i == 5)
			want = HELD & ~CAP_BIT(21);
		assert_int_equal(caps_compute(rows[i].privileged, add, drop, HELD, &got, &err), 0);
		if (got != want)
			fail_msg("row %zu: %#llx", i, (unsigned long long)got);
	}
}

static void test_native_layer(void **state)
{
	struct engine again = test_engine;
	struct err err = { 0 };
	char path[1200];
	struct stat a, b;

	(void)state;
	assert_int_equal(native_layer_init(&again, &err), 0);
	assert_string_equal(again.native_layer, test_engine.native_layer);
	snprintf(path, sizeof(path), "%s/native/usr/sbin/dockerinit", again.native_layer);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(a.st_mode & 0777, 0755);
	snprintf(path, sizeof(path), "%s/native/usr/sbin/mdata-get", again.native_layer);
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	snprintf(path, sizeof(path), "%s/etc/resolv.conf", again.base_layer);
	assert_int_equal(stat(path, &b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps),	     cmocka_unit_test(test_native_layer),
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_resources),
		cmocka_unit_test(test_privileged),   cmocka_unit_test(test_user_mounts),
		cmocka_unit_test(test_metadata),     cmocka_unit_test(test_exec),
		cmocka_unit_test(test_device_rules), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
