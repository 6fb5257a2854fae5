/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* test_volume.c - named volumes: names, options, references, removal, and what a crash leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "apiserver/engine.h"
#include "apiserver/store.h"
#include "apiserver/volume.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

static char root[] = "/tmp/volume.XXXXXX";

static int setup(void **state)
{
	struct err err = {0};
	char db[1024];

	(void)state;
	if (!mkdtemp(root) || paths_init(&the_engine.paths, root, &err) < 0 ||
	    fs_mkdir_p(the_engine.paths.lib, 0700, &err) < 0 ||
	    str_fmt(db, sizeof(db), "%s/state.db", the_engine.paths.lib) < 0 ||
	    store_open(db, &err) < 0 || volume_init(&err) < 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	struct err err = {0};

	(void)state;
	volume_fini();
	store_close();
	fs_remove_tree(AT_FDCWD, root, &err);
	return 0;
}

static int create(const char *name, const char *opts_text, struct err *err)
{
	cleanup_json json_t *opts = opts_text ? json_loads(opts_text, 0, NULL) : NULL;
	cleanup_free char *out = NULL;
	bool created;

	return volume_create(name, "local", NULL, opts, &out, &created, err);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *text;
	} bad[] = {
		{"a", "create a: volume name is too short, names should be at least two "
		      "alphanumeric characters"},
		{"-ab",
		 "create -ab: \"-ab\" includes invalid characters for a local volume name, only "
		 "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
		 "directory, "
		 "use absolute path"},
		{"../x", "create ../x: \"../x\" includes"},
		{"a/b", "create a/b: \"a/b\" includes"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		assert_true(create(bad[i].name, NULL, &err) < 0);
		assert_int_equal(err.kind, ERR_BAD_PARAM);
		assert_true(str_starts(err.msg, bad[i].text));
	}
	assert_int_equal(create("ok_1.a-b", NULL, &err), 0);
	assert_int_equal(create("ok_1.a-b", NULL, &err), 0);
	assert_int_equal(volume_remove("ok_1.a-b", false, &err), 0);
}

static void test_options(void **state)
{
	struct err err = {0};
	struct volume_fs fs;
	char *path;

	(void)state;
	assert_true(create("oo", "{\"foo\":\"1\"}", &err) < 0);
	assert_string_equal(err.msg, "create oo: invalid option: \"foo\"");
	assert_true(create("oo", "{\"type\":\"tmpfs\"}", &err) < 0);
	assert_string_equal(err.msg, "create oo: missing required option: \"device\"");
	assert_int_equal(create("tt",
				"{\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"size=4m,uid=3\"}",
				&err),
			 0);
	assert_true(volume_fs("tt", &fs));
	assert_string_equal(fs.type, "tmpfs");
	assert_string_equal(fs.options[1], "uid=3");
	volume_fs_fini(&fs);
	assert_int_equal(
		create("bb", "{\"type\":\"none\",\"device\":\"/etc\",\"o\":\"bind\"}", &err), 0);
	assert_false(volume_fs("bb", &fs));
	assert_int_equal(volume_mount("bb", "ct", &path, &err), 0);
	assert_string_equal(path, "/etc");
	free(path);
	volume_unmount("bb", "ct");
	assert_int_equal(volume_remove("bb", false, &err), 0);
	assert_int_equal(volume_remove("tt", false, &err), 0);
	assert_true(fs_exists("/etc/passwd"));
}

static void test_references(void **state)
{
	cleanup_free char *name = NULL, *path = NULL;
	cleanup_buf struct buf b = BUF_INIT;
	struct err err = {0};
	bool created = false;

	(void)state;
	assert_int_equal(volume_create(NULL, NULL, NULL, NULL, &name, &created, &err), 0);
	assert_true(created && strlen(name) == 64);
	assert_int_equal(volume_inspect(name, &b, &err), 0);
	assert_non_null(strstr(buf_str(&b), "\"Labels\":{\"com.docker.volume.anonymous\":\"\"}"));
	volume_ref(name, "c1");
	volume_ref(name, "c2");
	volume_ref(name, "c1");
	assert_int_equal(volume_path(name, &path, &err), 0);
	assert_true(fs_exists(path));
	assert_true(volume_remove(name, true, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_non_null(strstr(err.msg, ": volume is in use - [c1, c2]"));
	volume_unref(name, "c1");
	volume_unref(name, "c2");
	assert_int_equal(volume_remove(name, false, &err), 0);
	assert_false(fs_exists(path));
	assert_true(volume_remove(name, false, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(volume_remove(name, true, &err), 0);
}

/* Died between renaming the directory and dropping the record; and one whose directory somebody
 * took away. */
static void test_crash(void **state)
{
	cleanup_free char *half = NULL, *away = NULL, *path = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(create("half", NULL, &err), 0);
	assert_int_equal(create("lost", NULL, &err), 0);
	half = xasprintf("%s/volumes/half", the_engine.paths.lib);
	away = xasprintf("%s/volumes/.removed-half", the_engine.paths.lib);
	assert_int_equal(rename(half, away), 0);
	assert_int_equal(volume_path("lost", &path, &err), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
	volume_fini();
	assert_int_equal(volume_init(&err), 0);
	assert_false(volume_exists("half"));
	assert_false(fs_exists(away));
	assert_true(volume_exists("lost"));
	assert_true(fs_exists(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_options),
		cmocka_unit_test(test_references), cmocka_unit_test(test_crash)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
