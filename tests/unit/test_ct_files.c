/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* test_ct_files.c - paths inside a container (ct_path.c), its users (zone_files.c), docker diff
 * (changes.c; needs root for whiteouts). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "apiserver/changes.h"
#include "apiserver/ct_path.h"
#include "apiserver/engine.h"
#include "apiserver/zone_files.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

static char root[] = "/tmp/ctfiles.XXXXXX";

static void test_paths(void **state)
{
	static const struct {
		const char *in, *abs, *base, *dir;
	} rows[] = {
		{ "", "/", "/", "/" },
		{ "/", "/", "/", "/" },
		{ ".", "/.", ".", "/" },
		{ "a", "/a", "a", "/" },
		{ "/a/b", "/a/b", "b", "/a" },
		{ "/a/b/", "/a/b/", "b", "/a" },
		{ "/a/b/.", "/a/b/.", ".", "/a/b" },
		{ "//a/./b//c/../d", "/a/b/d", "d", "/a/b" },
		{ "../../etc", "/etc", "etc", "/" },
		{ "a/..", "/", "/", "/" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *abs = ct_path_abs(rows[i].in), *base = ct_path_base(abs),
				  *dir = ct_path_dir(abs);

		assert_string_equal(abs, rows[i].abs);
		assert_string_equal(base, rows[i].base);
		assert_string_equal(dir, rows[i].dir);
	}
	assert_true(ct_path_within("/a/b", "/a"));
	assert_true(ct_path_within("/a", "/a/"));
	assert_true(ct_path_within("/a", "/"));
	assert_false(ct_path_within("/ab", "/a"));
}

static void test_mode(void **state)
{
	(void)state;
	assert_int_equal(go_file_mode(S_IFREG | 0644), 0644);
	assert_int_equal(go_file_mode(S_IFDIR | 0755), 2147484141u);
	assert_int_equal(go_file_mode(S_IFDIR | 01777), 2148532735u);
	assert_int_equal(go_file_mode(S_IFLNK | 0777), 134218239u);
	assert_int_equal(go_file_mode(S_IFCHR | 0666), 69206454u);
	assert_int_equal(go_file_mode(S_IFREG | 04755), 8389101u);
}

static char *at(const char *path)
{
	return xasprintf("%s/%s", root, path);
}

static void mkdirs(const char *path)
{
	cleanup_free char *p = at(path);
	struct err err = { 0 };

	assert_int_equal(fs_mkdir_p(p, 0755, &err), 0);
}

static void touch(const char *path)
{
	cleanup_free char *p = at(path);
	cleanup_fd int fd = open(p, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
}

static void whiteout(const char *path)
{
	cleanup_free char *p = at(path);

	assert_int_equal(mknod(p, S_IFCHR, makedev(0, 0)), 0);
}

static void opaque(const char *path)
{
	cleanup_free char *p = at(path);

	assert_int_equal(setxattr(p, "trusted.overlay.opaque", "y", 1, 0), 0);
}

static void sym(const char *target, const char *path)
{
	cleanup_free char *p = at(path);

	assert_int_equal(symlink(target, p), 0);
}

/* As overlayfs copies a directory up. */
static void copy_up_dir(const char *from, const char *to)
{
	cleanup_free char *f = at(from), *t = at(to);
	struct stat st;

	mkdirs(to);
	assert_int_equal(stat(f, &st), 0);
	assert_int_equal(utimensat(AT_FDCWD, t, (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
			 0);
}

static void test_resolve(void **state)
{
	cleanup_fd int fd = -1;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "/d/f", "/d/f" },	    { "/abs/f", "/d/f" }, { "/up", "/etc/passwd" },
		{ "/d/rel", "/d/f" },	    { "/chain", "/d/f" }, { "/gone/x/../y", "/gone/y" },
		{ "/dangling", "/no/way" }, { "/", "/" },
	};
	cleanup_free char *self = NULL;

	(void)state;
	mkdirs("r/d");
	touch("r/d/f");
	sym("/d", "r/abs");
	sym("../../../etc/passwd", "r/up");
	sym("f", "r/d/rel");
	sym("abs/rel", "r/chain");
	sym("/no/way", "r/dangling");
	sym("loop", "r/loop");
	self = at("r");
	fd = open(self, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got = ct_path_resolve(fd, rows[i].in);

		assert_string_equal(got, rows[i].want);
	}
	assert_null(ct_path_resolve(fd, "/loop"));
}

static void put_file(const char *path, const char *text)
{
	cleanup_free char *p = at(path);
	struct err err = { 0 };

	assert_int_equal(fs_write_replace(p, text, strlen(text), 0644, &err), 0);
}

static void test_users(void **state)
{
	static const struct {
		const char *user;
		int rc;
		uid_t uid;
		gid_t gid;
	} rows[] = {
		{ "root", 0, 0, 0 },	  { "web", 0, 33, 44 },	      { "33", 0, 33, 44 },
		{ "web:adm", 0, 33, 4 },  { "web:77", 0, 33, 77 },    { "1234", 0, 1234, 0 },
		{ "1234:5", 0, 1234, 5 }, { "nosuch", -1, 0, 0 },     { "web:nosuch", -1, 0, 0 },
		{ "bad", -1, 0, 0 },	  { "4294967295", -1, 0, 0 },
	};
	cleanup_free char *self = NULL;
	cleanup_fd int fd = -1;
	struct err err;

	(void)state;
	mkdirs("users/etc");
	put_file("users/etc/passwd",
		 "root:x:0:0:root:/root:/bin/sh\n\nweb:x:33:44::/:\nbad:x:notanumber:1\nshort");
	put_file("users/etc/group", "root:x:0:\nadm:x:4:web\n");
	self = at("users");
	fd = open(self, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uid_t uid = 9;
		gid_t gid = 9;
		int rc = zone_user_ids(fd, rows[i].user, &uid, &gid, &err);

		assert_int_equal(rc < 0 ? -1 : 0, rows[i].rc);
		if (rc < 0)
			continue;
		assert_int_equal(uid, rows[i].uid);
		assert_int_equal(gid, rows[i].gid);
	}
}

static void test_changes(void **state)
{
	static const struct change want[] = {
		{ (char *)"/a", CHANGE_MODIFIED },
		{ (char *)"/a/b", CHANGE_MODIFIED },
		{ (char *)"/a/b/c", CHANGE_MODIFIED },
		{ (char *)"/a/b/c/deep", CHANGE_MODIFIED },
		{ (char *)"/a/gone", CHANGE_DELETED },
		{ (char *)"/a/new", CHANGE_ADDED },
		{ (char *)"/a-b", CHANGE_ADDED },
		{ (char *)"/mode", CHANGE_MODIFIED },
		{ (char *)"/replaced", CHANGE_MODIFIED },
		{ (char *)"/replaced/old1", CHANGE_DELETED },
		{ (char *)"/replaced/old2", CHANGE_DELETED },
		{ (char *)"/replaced/same", CHANGE_MODIFIED },
		{ (char *)"/var", CHANGE_MODIFIED },
		{ (char *)"/var/x", CHANGE_ADDED },
	};
	char *lowers[] = { at("l1"), at("l2"), NULL };
	cleanup_free char *upper = at("u"), *mode = at("u/mode");
	struct err err = { 0 };
	struct change *v;
	size_t n;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* l2 is the bottom; l1 hides l2's /hidden */
	mkdirs("l2/a/b/c");
	touch("l2/a/b/c/deep");
	touch("l2/a/gone");
	mkdirs("l2/same");
	mkdirs("l2/mode");
	mkdirs("l2/hidden");
	mkdirs("l2/var/log");
	mkdirs("l2/replaced");
	touch("l2/replaced/old1");
	touch("l2/replaced/same");
	mkdirs("l1/replaced");
	touch("l1/replaced/old2");
	whiteout("l1/hidden");

	copy_up_dir("l2/a", "u/a");
	copy_up_dir("l2/a/b", "u/a/b");
	copy_up_dir("l2/a/b/c", "u/a/b/c");
	touch("u/a/b/c/deep");
	whiteout("u/a/gone");
	whiteout("u/a/never"); /* no lower has it */
	touch("u/a/new");
	touch("u/a-b");
	copy_up_dir("l2/same", "u/same");
	copy_up_dir("l2/mode", "u/mode");
	assert_int_equal(chmod(mode, 0700), 0);
	whiteout("u/hidden");
	mkdirs("u/replaced");
	opaque("u/replaced");
	touch("u/replaced/same");
	mkdirs("u/var/log");
	touch("u/var/log/sdc-dockerinit.log");
	touch("u/var/x");
	mkdirs("u/native/usr");
	mkdirs("u/dev");

	assert_int_equal(changes_find(upper, lowers, &v, &n, &err), 0);
	for (size_t i = 0; i < n && i < ARRAY_SIZE(want); i++) {
		assert_string_equal(v[i].path, want[i].path);
		assert_int_equal(v[i].kind, want[i].kind);
	}
	assert_int_equal(n, ARRAY_SIZE(want));
	changes_free(v, n);
	free(lowers[0]);
	free(lowers[1]);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	return fs_remove_tree(AT_FDCWD, root, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),	cmocka_unit_test(test_mode),
		cmocka_unit_test(test_resolve), cmocka_unit_test(test_users),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
