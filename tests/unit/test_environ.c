/* SPDX-License-Identifier: MPL-2.0 */
/* links: dockerinit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include <fcntl.h>
#include <sys/stat.h>

#include "dockerinit/environ.h"
#include "fs.h"

static char **kept[8]; /* never freed, as in dockerinit */
static size_t n_kept;

static void check_env(char **env, const char *const want[])
{
	size_t i;

	kept[n_kept++] = env;

	assert_non_null(env);
	for (i = 0; want[i]; i++) {
		if (!env[i])
			fail_msg("entry %zu is missing: %s", i, want[i]);
		assert_string_equal(env[i], want[i]);
	}
	assert_null(env[i]);
}

static void test_defaults(void **state)
{
	static const char *const want[] = { "PATH=" ENVIRON_PATH, "HOSTNAME=h", "HOME=/root",
					    NULL };
	static const char *const want_tty[] = { "PATH=" ENVIRON_PATH, "HOSTNAME=h", "TERM=xterm",
						"HOME=/", NULL };
	char *none[] = { NULL };

	(void)state;
	check_env(environ_build(none, "h", false, "/root"), want);
	check_env(environ_build(none, "h", true, "/"), want_tty);
}

static void test_replace(void **state)
{
	static const char *const want[] = { "PATH=/p", "TERM=vt100", "A=2",
					    "B=x=y",   "HOME=/root", NULL };
	char *user[] = { (char[]){ "A=1" },	(char[]){ "PATH=/p" },	(char[]){ "TERM=vt100" },
			 (char[]){ "A=2" },	(char[]){ "HOSTNAME" }, (char[]){ "B=x=y" },
			 (char[]){ "MISSING" }, (char[]){ "HOME=" },	NULL };

	(void)state;
	check_env(environ_build(user, "h", true, "/root"), want);
}

static void test_removed_and_back(void **state)
{
	static const char *const want[] = { "PATH=" ENVIRON_PATH, "HOSTNAME=h", "B=2", "A=3", "HOME=/", NULL };
	char *user[] = { (char[]){ "A=1" }, (char[]){ "B=2" }, (char[]){ "A" },
			 (char[]){ "A" },   (char[]){ "A=3" }, NULL };

	(void)state;
	check_env(environ_build(user, "h", false, "/"), want);
}

/* In a time that grows with the number: each looked for among all before took half a minute. */
static void test_many(void **state)
{
	enum { N = 200000 };
	static char text[N][24], *user[N + 1];
	char **env;

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "A%d=%d", i % (N / 2), i);
		user[i] = text[i];
	}
	env = kept[n_kept++] = environ_build(user, "h", false, "/");
	assert_string_equal(env[2], "A0=100000");
	assert_string_equal(env[N / 2 + 1], "A99999=199999");
	assert_string_equal(env[N / 2 + 2], "HOME=/");
	assert_null(env[N / 2 + 3]);
}

static void test_get(void **state)
{
	char *env[] = { (char[]){ "PATHX=1" }, (char[]){ "PATH=/b" }, NULL };

	(void)state;
	assert_string_equal(environ_get(env, "PATH"), "/b");
	assert_null(environ_get(env, "PAT"));
}

static char dir[64];

static int setup(void **state)
{
	char path[128];
	FILE *f;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_environ.%d", getpid());
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/prog", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	chmod(path, 0755);
	snprintf(path, sizeof(path), "%s/data", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	chmod(path, 0644);
	snprintf(path, sizeof(path), "%s/sub", dir);
	mkdir(path, 0755);
	return 0;
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	return fs_remove_tree(AT_FDCWD, dir, &err);
}

static void test_find(void **state)
{
	static const struct {
		const char *file;
		int code;
		const char *msg; /* of the failure, NULL: found; %s is the directory */
	} rows[] = {
		{ "prog", 0, NULL },
		{ "%s/prog", 0, NULL },
		{ "nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH" },
		{ "data", 127, "exec: \"data\": executable file not found in $PATH" },
		{ "sub", 127, "exec: \"sub\": executable file not found in $PATH" },
		{ "", 127, "exec: \"\": executable file not found in $PATH" },
		{ "/no/such", 127, "exec: \"/no/such\": stat /no/such: no such file or directory" },
		{ "%s/data", 126, "exec: \"%s/data\": permission denied" },
		{ "%s/sub", 126, "exec: \"%s/sub\": is a directory: permission denied" },
		{ "%s/data/x", 127, "exec: \"%s/data/x\": stat %s/data/x: not a directory" },
		{ "a\"b\n", 127, "exec: \"a\\\"b\\n\": executable file not found in $PATH" },
	};
	char search[160], out[PATH_MAX];
	size_t i;

	(void)state;
	snprintf(search, sizeof(search), "/nonexistent::%s/sub:%s", dir, dir);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char file[200], want[400] = "";
		struct err err = { 0 };
		int rc;

		snprintf(file, sizeof(file), rows[i].file, dir);
		if (rows[i].msg)
			snprintf(want, sizeof(want), rows[i].msg, dir, dir);
		rc = environ_find_exec(file, search, out, &err);
		if (rows[i].msg ? rc >= 0 || strcmp(err.msg, want) != 0 : rc < 0)
			fail_msg("%s: rc %d, %s, not %s", file, rc, err.msg, want);
		if (rc < 0)
			assert_int_equal(environ_exit_code(-rc), rows[i].code);
	}
	assert_true(environ_find_exec("prog", NULL, out, &(struct err){ 0 }) < 0);
}

static void test_relative(void **state)
{
	struct err err = { 0 };
	char out[PATH_MAX], cwd[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	assert_true(environ_find_exec("prog", ".", out, &err) < 0);
	assert_non_null(
		strstr(err.msg, "cannot run executable found relative to current directory"));
	assert_int_equal(environ_find_exec("./prog", "", out, &err), 0);
	assert_int_equal(chdir(cwd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_replace),
		cmocka_unit_test(test_removed_and_back), cmocka_unit_test(test_many),
		cmocka_unit_test(test_get),	 cmocka_unit_test(test_find),
		cmocka_unit_test(test_relative),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
