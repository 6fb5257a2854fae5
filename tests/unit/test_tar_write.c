/* SPDX-License-Identifier: MPL-2.0
 *
 * test_tar_write.c - trees to tar: GNU tar reads what we write, and finds it to be the tree.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "apiserver/tar_header.h"
#include "apiserver/tar_write.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

static char dir[64];

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	{
		char *const argv[] = { (char *)"sh", (char *)"-c", cmd, NULL };
		int status = -1;
		pid_t pid;

		if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0 ||
		    waitpid(pid, &status, 0) != pid || status != 0)
			fail_msg("failed: %s", cmd);
	}
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-tarw-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	run("rm -rf %s", dir);
	return 0;
}

static void write_tree(const char *path, const char *as, const struct tar_write_opts *o,
		       const char *to)
{
	struct err err = { 0 };
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct tar_writer *w = tar_writer_new(tar_write_to_fd, &fd, o);

	if (tar_writer_add(w, dir_fd, path, as, &err) < 0 || tar_writer_end(w, &err) < 0)
		fail_msg("%s", err.msg);
	tar_writer_free(w);
	close(dir_fd);
	close(fd);
}

static void test_tree(void **state)
{
	const struct tar_write_opts o = { .sorted = true };
	char tar[128];

	(void)state;
	run("mkdir -p %s/t/a/b/c %s/t/$(printf 'd%%.0s' $(seq 120))/e", dir, dir);
	run("echo hello >%s/t/a/f; chmod 4755 %s/t/a/f; chown 3000000:7 %s/t/a/f", dir, dir, dir);
	run("ln %s/t/a/f %s/t/a/b/g; ln -s ../x %s/t/a/l; mkfifo %s/t/p", dir, dir, dir, dir);
	run("ln -s $(printf 'y%%.0s' $(seq 200)) %s/t/long; touch -d 1960-01-01 %s/t/old", dir, dir);
	run("echo 'umlaut' >\"%s/t/\xc3\xa4\xc3\xb6\"; head -c 300000 /dev/urandom >%s/t/big", dir, dir);
	run("echo x >%s/t/$(printf 'd%%.0s' $(seq 120))/e/$(printf 'n%%.0s' $(seq 150))", dir);
	run("find %s/t ! -name old -exec touch -hd @1700000000 {} +", dir); /* whole seconds */
	snprintf(tar, sizeof(tar), "%s/t.tar", dir);
	write_tree("t", "", &o, tar);
	run("cd %s/t && tar --xattrs -df ../t.tar", dir);
	run("test \"$(tar -tf %s/t.tar | wc -l)\" = \"$(find %s/t -mindepth 1 | wc -l)\"", dir, dir);
	write_tree("t/a", "z", &o, tar);
	run("tar -tf %s/t.tar | tr '\\n' ' ' | grep -qx 'z/ z/b/ z/b/c/ z/b/g z/f z/l '", dir);
}

static void test_overlay(void **state)
{
	const struct tar_write_opts o = { .sorted = true, .overlay = true };
	char tar[128], path[128];

	(void)state;
	run("mkdir -p %s/u/opq; mknod %s/u/gone c 0 0; echo 1 >%s/u/opq/f", dir, dir, dir);
	snprintf(path, sizeof(path), "%s/u/opq", dir);
	assert_int_equal(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
	snprintf(path, sizeof(path), "%s/u/opq/f", dir);
	assert_int_equal(setxattr(path, "user.x", "value", 5, 0), 0);
	snprintf(tar, sizeof(tar), "%s/u.tar", dir);
	write_tree("u", "", &o, tar);
	run("tar -tf %s | tr '\\n' ' ' | grep -qx '.wh.gone opq/ opq/.wh..wh..opq opq/f '", tar);
	run("tar --xattrs -tvvf %s | grep -q 'user.x'", tar);
}

static bool no_b(void *arg, const char *name, const struct stat *st)
{
	(void)arg;
	(void)st;
	return str_eq(name, "a/b");
}

static void test_exclude(void **state)
{
	const struct tar_write_opts o = { .sorted = true, .exclude = no_b };
	char tar[128];

	(void)state;
	run("mkdir -p %s/x/a/b/c %s/x/a/bb", dir, dir);
	snprintf(tar, sizeof(tar), "%s/x.tar", dir);
	write_tree("x", "", &o, tar);
	run("tar -tf %s | tr '\\n' ' ' | grep -qx 'a/ a/bb/ '", tar);
}

static void test_pax_length(void **state)
{
	struct buf b = BUF_INIT;
	char value[1200];

	(void)state;
	/* the record's length counts its own digits: around each power of ten */
	memset(value, 'v', sizeof(value));
	for (size_t n = 0; n < sizeof(value); n++) {
		buf_reset(&b);
		tar_pax_add(&b, "k", value, n);
		assert_int_equal(strtoul(b.p, NULL, 10), b.len);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exclude, setup, teardown),
		cmocka_unit_test(test_pax_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
