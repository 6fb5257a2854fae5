/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * test_cgroup.c - statistics in Docker's form from the kernel's files; and, as root, freezing,
 * limits and process lists of a real cgroup.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/cgroup_priv.h"
#include "apiserver/oci_priv.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static struct engine test_engine;

static int setup(void **state)
{
	struct err err = { 0 };

	(void)state;
	engine = &test_engine;
	test_engine.mem_total = 1 << 30;
	test_engine.cgroup_mode = (enum cgroup_mode)cgroup_detect();
	assert_int_equal(conf_load(&test_engine.conf, NULL, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	conf_free(test_engine.conf);
	return 0;
}

static void test_pairs(void **state)
{
	static const char text[] =
		"user 12\nsystem 34\nbad\nneg -1\nlong_key 18446744073709551615\nlast 5";

	(void)state;
	assert_true(cg_pair(text, "user") == 12);
	assert_true(cg_pair(text, "system") == 34);
	assert_true(cg_pair(text, "bad") == 0);
	assert_true(cg_pair(text, "neg") == 0);
	assert_true(cg_pair(text, "long_key") == UINT64_MAX);
	assert_true(cg_pair(text, "last") == 5);
	assert_true(cg_pair("", "x") == 0);
}

static void test_shapes(void **state)
{
	struct cg_cpu c = {
		.total_ns = 9, .user_ns = 3, .kernel_ns = 4, .periods = 1, .percpu = "4 5 \n"
	};
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	cg_write_cpu(&b, &c);
	assert_non_null(strstr(
		b.p, "{\"cpu_usage\":{\"total_usage\":9,\"percpu_usage\":[4,5],"
		     "\"usage_in_kernelmode\":4,\"usage_in_usermode\":3},\"system_cpu_usage\":"));
	assert_non_null(strstr(b.p, "\"throttling_data\":{\"periods\":1,\"throttled_periods\":0,"
				    "\"throttled_time\":0}}"));
	buf_reset(&b);
	cg_write_memory(&b, 7, 0, UINT64_MAX, 0, "cache 1\nrss 2\n");
	assert_string_equal(b.p,
			    "{\"usage\":7,\"stats\":{\"cache\":1,\"rss\":2},\"limit\":1073741824}");
	buf_reset(&b);
	cg_write_memory(&b, 7, 8, 4096, 3, "");
	assert_string_equal(
		b.p, "{\"usage\":7,\"max_usage\":8,\"stats\":{},\"failcnt\":3,\"limit\":4096}");
	buf_reset(&b);
	cg_write_pids(&b, 2, 0);
	assert_string_equal(b.p, "{\"current\":2}");
}

static const char *const controllers[] = { "memory", "cpu",	"cpuacct", "cpuset",
					   "pids",   "freezer", "blkio" };

static void each_dir(const char *cgpath, bool make)
{
	char path[2048];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(controllers); i++) {
		if (!cg_mount(controllers[i]))
			continue;
		snprintf(path, sizeof(path), "%s%s", cg_mount(controllers[i]), cgpath);
		if (make)
			(void)mkdir(path, 0755);
		else
			(void)rmdir(path);
	}
}

static pid_t child_in(const char *cgpath)
{
	struct err err = { 0 };
	pid_t pid = fork();
	size_t i;

	if (pid == 0) {
		for (;;)
			pause();
	}
	for (i = 0; i < ARRAY_SIZE(controllers); i++)
		if (!str_eq(controllers[i], "cpuset") && cg_mount(controllers[i]))
			(void)cg_write_int(controllers[i], cgpath, "cgroup.procs", pid, &err);
	return pid;
}

static void test_live(void **state)
{
	struct ct_spec s = { 0 };
	cleanup_cg_sample struct cg_sample sample = { 0 };
	cleanup_free int *pids = NULL;
	struct err err = { 0 };
	char cgpath[1024];
	uint64_t v = 0;
	pid_t pid;
	size_t n;

	(void)state;
	if (getuid() != 0 || test_engine.cgroup_mode == CGROUP_V2 || !cg_mount("freezer"))
		skip();
	id_generate(s.id);
	s.host_config = json_pack("{s:i,s:i,s:i,s:I}", "Memory", 33554432, "MemorySwap", 0,
				  "PidsLimit", 7, "NanoCpus", (json_int_t)500000000);
	oci_cgroup_path(&s, cgpath, sizeof(cgpath));
	each_dir(cgpath, true);
	pid = child_in(cgpath);
	assert_int_equal(cgroup_pids(&s, &pids, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], pid);
	assert_int_equal(cgroup_freeze(&s, true, &err), 0);
	assert_int_equal(cgroup_freeze(&s, true, &err), 0);
	assert_int_equal(cgroup_freeze(&s, false, &err), 0);
	if (cgroup_update(&s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(cg_read_u64("memory", cgpath, "memory.limit_in_bytes", &v), 0);
	assert_true(v == 33554432);
	assert_int_equal(cg_read_u64("pids", cgpath, "pids.max", &v), 0);
	assert_true(v == 7);
	assert_int_equal(cg_sample(cgpath, pid, false, &sample, &err), 0);
#ifndef __SANITIZE_THREAD__ /* which adds a thread to every process */
	assert_non_null(strstr(buf_str(&sample.pids), "\"current\":1,\"limit\":7"));
#endif
	assert_non_null(strstr(buf_str(&sample.memory), "\"limit\":33554432"));
	kill(pid, SIGKILL);
	assert_true(waitpid(pid, NULL, 0) == pid);
	each_dir(cgpath, false);
	/* gone */
	assert_true(cg_sample(cgpath, 0, true, &sample, &err) < 0);
	assert_true(cgroup_freeze(&s, true, &err) < 0);
	json_decref(s.host_config);
}

/* Nobody waits for it: a thousand grace periods, one after the other, would take longer by far. */
static void test_prewarm(void **state)
{
	int64_t began = mono_ns();
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		cgroup_prewarm();
	assert_true(mono_ns() - began < 5000000000LL);
}

/* The unified hierarchy, also where it has no controllers. `unshare -m` with it bound over
 * /sys/fs/cgroup tries this on a hybrid machine. */
static void test_live_v2(void **state)
{
	struct ct_spec s = { 0 };
	cleanup_cg_sample struct cg_sample sample = { 0 };
	cleanup_free int *pids = NULL;
	struct err err = { 0 };
	char cgpath[1024], path[2048];
	pid_t pid;
	size_t n;

	(void)state;
	if (getuid() != 0 || test_engine.cgroup_mode != CGROUP_V2)
		skip();
	id_generate(s.id);
	s.host_config = json_object();
	oci_cgroup_path(&s, cgpath, sizeof(cgpath));
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", cgpath);
	assert_int_equal(mkdir(path, 0755), 0);
	pid = child_in(cgpath);
	assert_int_equal(cgroup_pids(&s, &pids, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(cgroup_freeze(&s, true, &err), 0);
	assert_int_equal(cgroup_freeze(&s, false, &err), 0);
	assert_int_equal(cgroup_update(&s, &err), 0);
	assert_int_equal(cg_sample(cgpath, pid, false, &sample, &err), 0);
	assert_non_null(strstr(buf_str(&sample.cpu), "\"total_usage\":"));
	kill(pid, SIGKILL);
	assert_true(waitpid(pid, NULL, 0) == pid);
	assert_int_equal(rmdir(path), 0);
	json_decref(s.host_config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),	cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_live),	cmocka_unit_test(test_live_v2),
		cmocka_unit_test(test_prewarm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
