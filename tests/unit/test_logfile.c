/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* The writer of a log: recovery, rotation, retention, and what people do to files by hand. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "logsvc/logfile.h"
#include "str.h"

#define T0 1787402096000000000LL /* 2026-08-22T12:34:56Z */

static char dir[64];

static int setup(void **state)
{
	(void)state;
	str_copy(dir, sizeof(dir), "/tmp/test_logfile.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct err err = { 0 };

	(void)state;
	return fs_remove_tree(AT_FDCWD, dir, &err);
}

static char *content(const char *name)
{
	static struct buf b;
	struct err err = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/logs/%s", dir, name);
	buf_reset(&b);
	if (fs_read_file(path, 1 << 20, &b, &err) < 0)
		return NULL;
	return (char *)(uintptr_t)buf_str(&b);
}

static void put(const char *name, const char *text)
{
	struct err err = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/logs", dir);
	assert_int_equal(fs_mkdir_p(path, 0700, &err), 0);
	snprintf(path, sizeof(path), "%s/logs/%s", dir, name);
	unlink(path);
	assert_int_equal(fs_write_replace(path, text, strlen(text), 0600, &err), 0);
}

static void open_log(struct logfile *lf, struct ring_slot *slot)
{
	struct err err = { 0 };
	struct logset *set;
	static char path[128]; /* outlives the log */

	snprintf(path, sizeof(path), "%s/logs", dir);
	set = logset_new("0123abcd-0123-4567-89ab-0123456789ab", path);
	memset(lf, 0, sizeof(*lf));
	assert_int_equal(logfile_open(lf, set, path, slot, &err), 0);
	logset_unref(set);
}

static void append(struct logfile *lf, const char *text, int64_t now)
{
	struct err err = { 0 };
	bool moved = false;

	assert_int_equal(logfile_append(lf, text, strlen(text), now, &moved, &err), 0);
}

static void test_new_and_again(void **state)
{
	struct ring_slot slot = { 0 };
	struct logfile lf;
	struct stat sb;
	char path[128];

	(void)state;
	open_log(&lf, &slot);
	append(&lf, "one\n", T0);
	slot.log_off = 4;
	append(&lf, "uncommitted\n", T0);
	logfile_close(&lf);
	assert_string_equal(content(LOG_LIVE), "one\nuncommitted\n");
	open_log(&lf, &slot);
	assert_string_equal(content(LOG_LIVE), "one\n");
	append(&lf, "two\n", T0);
	logfile_close(&lf);
	assert_string_equal(content(LOG_LIVE), "one\ntwo\n");
	snprintf(path, sizeof(path), "%s/logs", dir);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/logs/" LOG_LIVE, dir);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0600);
}

static void test_torn_end(void **state)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{ "one\ntwo\nto", "one\ntwo\n" },
		{ "torn", "" },
		{ "", "" },
		{ "whole\n", "whole\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ring_slot slot = { 0 };
		struct logfile lf;

		put(LOG_LIVE, rows[i].before);
		open_log(&lf, &slot);
		assert_string_equal(content(LOG_LIVE), rows[i].after);
		assert_int_equal(lf.off, strlen(rows[i].after));
		logfile_close(&lf);
	}
}

static void test_by_hand(void **state)
{
	struct ring_slot slot = { 0 };
	struct err err = { 0 };
	struct logfile lf;
	bool moved = false;
	char path[128], other[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/logs/" LOG_LIVE, dir);
	snprintf(other, sizeof(other), "%s/logs/moved", dir);
	open_log(&lf, &slot);
	append(&lf, "one\ntwo\n", T0);
	/* truncated: goes on at the new end, without a hole */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(logfile_append(&lf, "three\n", 6, T0, &moved, &err), 0);
	assert_true(moved);
	assert_string_equal(content(LOG_LIVE), "three\n");
	/* unlinked: a new file at once */
	assert_int_equal(unlink(path), 0);
	append(&lf, "four\n", T0);
	assert_string_equal(content(LOG_LIVE), "four\n");
	/* renamed: within a second */
	assert_int_equal(rename(path, other), 0);
	append(&lf, "five\n", T0 + 2000000000);
	assert_string_equal(content(LOG_LIVE), "five\n");
	assert_string_equal(content("moved"), "four\n");
	/* grown */
	put(LOG_LIVE, "six\nhalf");
	append(&lf, "ten\n", T0 + 4000000000);
	assert_string_equal(content(LOG_LIVE), "six\nten\n");
	/* the whole folder */
	snprintf(path, sizeof(path), "%s/logs", dir);
	assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
	append(&lf, "eleven\n", T0 + 6000000000);
	assert_string_equal(content(LOG_LIVE), "eleven\n");
	logfile_close(&lf);
	/* shorter than the ring says */
	slot.log_off = 100;
	slot.log_ino = lf.ino;
	slot.log_gen = 5;
	open_log(&lf, &slot);
	assert_int_equal(slot.log_off, 7);
	logfile_close(&lf);
}

static void test_rotation(void **state)
{
	struct ring_slot slot = { 0 };
	struct err err = { 0 };
	struct logfile lf;

	(void)state;
	put("stdio.log.20260822T123459Z.gz", "");
	open_log(&lf, &slot);
	lf.set->max_files = 4;
	for (int i = 0; i < 6; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d\n", i);
		append(&lf, text, T0);
		assert_int_equal(logfile_rotate(&lf, T0, &err), 0);
		slot.log_off = 0;
		slot.log_ino = lf.ino;
		slot.log_gen = lf.gen;
		logfile_retain(&lf);
	}
	/* behind the newest name that was there, a second each; three are kept beside the live one */
	assert_null(content("stdio.log.20260822T123456Z"));
	assert_null(content("stdio.log.20260822T123502Z"));
	assert_string_equal(content("stdio.log.20260822T123503Z"), "3\n");
	assert_string_equal(content("stdio.log.20260822T123505Z"), "5\n");
	assert_string_equal(content(LOG_LIVE), "");
	logfile_close(&lf);
}

/* Every step of a rotation at which one can die, as files and slot. */
static void test_rotation_interrupted(void **state)
{
	char live[128], rotated[128];

	(void)state;
	snprintf(live, sizeof(live), "%s/logs/" LOG_LIVE, dir);
	snprintf(rotated, sizeof(rotated), "%s/logs/stdio.log.20260822T123456Z", dir);
	for (int step = 1; step <= 4; step++) {
		struct ring_slot slot = { 0 };
		struct logfile lf;

		unlink(live);
		unlink(rotated);
		open_log(&lf, &slot);
		append(&lf, "old\n", T0);
		slot.log_off = 4;
		logfile_close(&lf);
		if (step >= 1)
			put(".stdio.log.new", "");
		if (step >= 2)
			assert_int_equal(rename(live, rotated), 0);
		if (step >= 3)
			put(LOG_LIVE, "");
		open_log(&lf, &slot);
		append(&lf, "new\n", T0);
		logfile_close(&lf);
		if (step == 1) {
			assert_string_equal(content(LOG_LIVE), "old\nnew\n");
		} else {
			assert_string_equal(content(LOG_LIVE), "new\n");
			assert_string_equal(content("stdio.log.20260822T123456Z"), "old\n");
		}
		assert_null(content(".stdio.log.new"));
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool good, gz;
	} rows[] = {
		{ "stdio.log.20260822T123456Z", true, false },
		{ "stdio.log.20260822T123456Z.gz", true, true },
		{ "stdio.log.20260822T123456Z.gz.tmp", false, false },
		{ "stdio.log.20260231T123456Z", false, false },
		{ "stdio.log.20260822T126056Z", false, false },
		{ "stdio.log", false, false },
		{ "stdio.log.1", false, false },
		{ "", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t t;
		bool gz = false;

		assert_int_equal(log_name_parse(rows[i].name, &t, &gz), rows[i].good);
		assert_int_equal(gz, rows[i].gz);
	}
}

/* Both forms of a file: the plain one is the truth. */
static void test_double_forms(void **state)
{
	struct ring_slot slot = { 0 };
	struct logfile lf;

	(void)state;
	put("stdio.log.20260822T123456Z", "plain\n");
	put("stdio.log.20260822T123456Z.gz", "half");
	open_log(&lf, &slot);
	assert_int_equal(lf.set->n_files, 1);
	assert_false(lf.set->files[0].gz);
	pthread_mutex_lock(&lf.set->lock);
	assert_int_equal(logset_unlink_locked(lf.set, 0), 0); /* both go, so that the half one never comes back */
	pthread_mutex_unlock(&lf.set->lock);
	assert_null(content("stdio.log.20260822T123456Z"));
	assert_null(content("stdio.log.20260822T123456Z.gz"));
	logfile_close(&lf);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_and_again), T(test_torn_end),
		T(test_by_hand),       T(test_rotation),
		T(test_rotation_interrupted), T(test_names),
		T(test_double_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
