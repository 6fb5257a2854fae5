/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * test_seccomp_filter.c - profiles to filters; the filters are loaded in children and tried with a
 * call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/evp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/caps.h"
#include "apiserver/engine.h"
#include "apiserver/seccomp_filter.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

static struct engine test_engine;
static char root[64];

static int setup(void **state)
{
	struct err err = { 0 };

	(void)state;
	str_copy(root, sizeof(root), "/tmp/test-scf.XXXXXX");
	assert_non_null(mkdtemp(root));
	engine = &test_engine;
	assert_int_equal(conf_load(&test_engine.conf, NULL, &err), 0);
	return paths_init(&test_engine.paths, root, &err);
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	conf_free(test_engine.conf);
	return fs_remove_tree(-100, root, &err);
}

/* errno of setpriority(PRIO_PROCESS, arg, 0)'s raw call under the filter; 0 none. */
static int try_call(const char *b64, long nr, long arg)
{
	unsigned char bpf[65536];
	int len = EVP_DecodeBlock(bpf, (const unsigned char *)b64, (int)strlen(b64)), status;
	struct sock_fprog prog;
	pid_t pid;

	while (len % 8)
		len--; /* padding */
	prog.len = (unsigned short)(len / 8);
	prog.filter = (struct sock_filter *)(void *)bpf;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
			_exit(250);
		_exit(syscall(nr, arg, 0, 0) < 0 ? errno : 0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 300 + WTERMSIG(status);
}

static void test_filters(void **state)
{
	static const struct {
		const char *profile;
		uint64_t caps;
		long arg;
		int want;
	} rows[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\"}]}",
		  0, 0, EPERM },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"getpgid\","
		  "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77}]}",
		  0, 0, 77 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}",
		  0, 0, 0 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}",
		  CAP_BIT(21), 0, EPERM },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}",
		  CAP_BIT(21), 0, 0 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"includes\":{\"minKernel\":\"99.0\"}}]}",
		  0, 0, 0 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"includes\":{\"arches\":[\"s390x\"]}}]}",
		  0, 0, 0 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_"
		  "ARCH_X86_64\",\"subArchitectures\":"
		  "[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}],\"syscalls\":[{\"names\":[\"getpgid\","
		  "\"nosuchcall\"],\"action\":\"SCMP_ACT_ERRNO\","
		  "\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,"
		  "\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		  0, 1, EPERM },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		cleanup_buf struct buf again = BUF_INIT;
		struct err err = { 0 };
		int got;

		if (seccomp_filter_b64(rows[i].profile, rows[i].caps, &b, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		got = try_call(buf_str(&b), SYS_getpgid, rows[i].arg);
		if (got != rows[i].want)
			fail_msg("row %zu: errno %d", i, got);
		assert_int_equal(seccomp_filter_b64(rows[i].profile, rows[i].caps, &again, &err),
				 0);
		assert_string_equal(buf_str(&b), buf_str(&again));
	}
}

static void test_default_profile(void **state)
{
	cleanup_buf struct buf few = BUF_INIT;
	cleanup_buf struct buf many = BUF_INIT;
	struct err err = { 0 };

	(void)state;
	if (!fs_exists("/usr/share/containers/seccomp.json"))
		skip();
	assert_int_equal(seccomp_filter_b64(NULL, CAPS_DEFAULT, &few, &err), 0);
	assert_int_equal(seccomp_filter_b64(NULL, caps_all(), &many, &err), 0);
	assert_string_not_equal(buf_str(&few), buf_str(&many));
	assert_int_equal(try_call(buf_str(&few), SYS_getpid, 0), 0);
	/* not for a zone without CAP_SYS_ADMIN */
	assert_int_equal(try_call(buf_str(&few), SYS_bpf, -1), EPERM);
}

static void test_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "{", "Decoding seccomp profile failed" },
		{ "[]", "Decoding seccomp profile failed" },
		{ "{}", "unsupported action" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "unsupported action" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-4}", "bad errnoRet" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],"
		  "\"archMap\":[{}]}",
		  "use either 'architectures' or 'archMap'" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"args\":[{\"index\":9,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		  "bad argument comparison" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"args\":[{\"index\":0,\"value\":1,\"op\":\"x\"}]}]}",
		  "bad argument comparison" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 };

		if (seccomp_filter_b64(rows[i][0], 0, &b, &err) >= 0 ||
		    !strstr(err.msg, rows[i][1]))
			fail_msg("%s: '%s'", rows[i][0], err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_default_profile),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
