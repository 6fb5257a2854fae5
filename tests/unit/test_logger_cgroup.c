/* SPDX-License-Identifier: MPL-2.0
 *
 * test_logger_cgroup.c - a logger's group beside its zone's, as cgroup v2 has it: in a folder that looks like one, and in a real
 * hierarchy where there is one to be written.
 */
/* links: logsvc */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "logsvc/logger_cgroup.h"

#define CGROUP2_MAGIC 0x63677270

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void has(const char *dir, const char *name, const char *want)
{
	char path[256], got[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	(void)!fread(got, 1, sizeof(got) - 1, f);
	fclose(f);
	assert_string_equal(got, want);
}

static void share_of_the_zone(void **state)
{
	char root[] = "/tmp/cgXXXXXX", zone[64], beside[64], dir[LOGGER_CGROUP_MAX], cmd[128];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(zone, sizeof(zone), "%s/a", root);
	snprintf(beside, sizeof(beside), "%s/a.logger", root);
	assert_int_equal(mkdir(zone, 0700), 0);
	assert_int_equal(mkdir(beside, 0700), 0); /* one is there: the kernel makes its files */
	put(zone, "cpu.weight", "50\n");
	put(zone, "cpu.max", "20000 100000\n");
	put(zone, "memory.max", "33554432\n");
	put(beside, "cpu.weight", "");
	put(beside, "cpu.max", "");
	put(beside, "memory.max", "");
	put(beside, "cgroup.procs", "");
	assert_int_equal(logger_cgroup_beside(root, "/a", dir), 0);
	assert_string_equal(dir, beside);
	has(beside, "cpu.weight", "50\n");
	has(beside, "cpu.max", "20000 100000\n");
	has(beside, "memory.max", "");
	has(beside, "cgroup.procs", "0");
	snprintf(cmd, sizeof(cmd), "rm -r %s", root);
	assert_int_equal(system(cmd), 0);
}

static const char *real_root(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < 2; i++)
		if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_MAGIC && access(roots[i], W_OK) == 0)
			return roots[i];
	return NULL;
}

/* In a process of its own, which is in the group then: its status is 0 when all was well. */
static int in_and_out(const char *root, const char *path)
{
	char dir[LOGGER_CGROUP_MAX], want[128], got[4096] = "", procs[LOGGER_CGROUP_MAX];
	int fd;

	if (logger_cgroup_beside(root, path, dir) < 0)
		return 1;
	snprintf(want, sizeof(want), "0::%s" LOGGER_CGROUP_SUFFIX "\n", path);
	fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	if (read(fd, got, sizeof(got) - 1) <= 0 || !strstr(got, want))
		return 2;
	if (rmdir(dir) == 0) /* somebody is in it */
		return 3;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", root);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	return write(fd, "0", 1) == 1 && rmdir(dir) == 0 ? 0 : 4;
}

static void real(void **state)
{
	const char *root = real_root();
	char zone[128], path[64];
	int status;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "/sdctest%d", (int)getpid());
	snprintf(zone, sizeof(zone), "%s%s", root ? root : "", path);
	if (!root || mkdir(zone, 0755) < 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(in_and_out(root, path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(rmdir(zone), 0);
	assert_int_equal(status, 0);
}

static void none(void **state)
{
	char dir[LOGGER_CGROUP_MAX], path[LOGGER_CGROUP_MAX];

	(void)state;
	assert_true(logger_cgroup_beside("/proc/nowhere", "/a", dir) < 0);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_true(logger_cgroup_beside("/tmp", path, dir) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(share_of_the_zone), cmocka_unit_test(real), cmocka_unit_test(none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
