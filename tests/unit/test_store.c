/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "apiserver/store.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

static char dir[] = "/tmp/test_store.XXXXXX";
static char db_path[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(db_path, sizeof(db_path), "%s/state.db", dir);
	return 0;
}

static int teardown(void **state)
{
	char path[96];
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm" };

	(void)state;
	store_close();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void open_ok(void)
{
	struct err err = { 0 };

	if (store_open(db_path, &err) < 0)
		fail_msg("store_open: %s", err.msg);
}

static void value_is(enum store_kind kind, const char *key, const char *want)
{
	cleanup_free char *got = NULL;
	struct err err = { 0 };

	assert_int_equal(store_get(kind, key, &got, &err), 0);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void test_put_get_del(void **state)
{
	struct err err = { 0 };

	(void)state;
	open_ok();
	assert_int_equal(store_put(STORE_CONTAINER, "a", "{\"x\":1}", &err), 0);
	assert_int_equal(store_put(STORE_CONTAINER, "a", "{\"x\":2}", &err), 0);
	assert_int_equal(store_put(STORE_META, "a", "other", &err), 0);
	value_is(STORE_CONTAINER, "a", "{\"x\":2}");
	value_is(STORE_META, "a", "other");
	value_is(STORE_CONTAINER, "none", NULL);
	assert_int_equal(store_del(STORE_CONTAINER, "a", &err), 0);
	assert_int_equal(store_del(STORE_CONTAINER, "a", &err), 0);
	value_is(STORE_CONTAINER, "a", NULL);
	store_close();
	open_ok(); /* what was written is there after a restart */
	value_is(STORE_META, "a", "other");
	store_close();
}

static int collect(const char *key, const char *json, void *arg, struct err *err)
{
	char ***seen = arg;

	(void)json;
	if (strcmp(key, "stop") == 0)
		return err_kind(err, ERR_CONFLICT, "enough");
	strv_add(seen, key);
	return 0;
}

static void test_each(void **state)
{
	char **seen = NULL;
	struct err err = { 0 };

	(void)state;
	open_ok();
	assert_int_equal(store_put(STORE_VOLUME, "b", "1", &err), 0);
	assert_int_equal(store_put(STORE_VOLUME, "a", "1", &err), 0);
	assert_int_equal(store_each(STORE_VOLUME, collect, &seen, &err), 0);
	assert_int_equal(strv_len(seen), 2);
	assert_string_equal(seen[0], "a");
	assert_int_equal(store_put(STORE_VOLUME, "stop", "1", &err), 0);
	assert_true(store_each(STORE_VOLUME, collect, &seen, &err) < 0);
	assert_string_equal(err.msg, "enough");
	strv_free(seen);
	store_close();
}

static void *put_many(void *arg)
{
	const char *prefix = arg;
	struct err err = { 0 };
	char key[32];

	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%s%d", prefix, i);
		if (store_put(STORE_IMAGE, key, "{}", &err) < 0)
			return (void *)"failed";
	}
	return NULL;
}

static int count(const char *key, const char *json, void *arg, struct err *err)
{
	(void)key;
	(void)json;
	(void)err;
	++*(int *)arg;
	return 0;
}

static void test_threads(void **state)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	struct err err = { 0 };
	void *result;
	int n = 0;

	(void)state;
	open_ok();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_many, names[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_int_equal(store_each(STORE_IMAGE, count, &n, &err), 0);
	assert_int_equal(n, 400);
	store_close();
}

static void exec_sql(const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void expect_refused(const char *words)
{
	struct err err = { 0 };

	assert_true(store_open(db_path, &err) < 0);
	if (!strstr(err.msg, words))
		fail_msg("no '%s' in '%s'", words, err.msg);
	assert_true(store_put(STORE_META, "x", "y", &err) < 0); /* closed, and says so */
}

static void test_newer_schema_is_refused(void **state)
{
	(void)state;
	open_ok();
	store_close();
	exec_sql("PRAGMA user_version=99");
	expect_refused("has schema 99");
	exec_sql("PRAGMA user_version=1; PRAGMA application_id=7");
	expect_refused("database of another program");
	exec_sql("PRAGMA application_id=1935958884");
	open_ok();
	store_close();
}

static void test_damage_is_refused(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		fs_write_replace(db_path,
				 "this is no database, but it is long enough to be read as one", 60,
				 0600, &err),
		0);
	expect_refused("is damaged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get_del),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_newer_schema_is_refused),
		cmocka_unit_test(test_damage_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
