/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Where --since begins in logs whose files were rotated faster than one a second: their names run ahead, and it is the records that
 * tell. In some rows the clock went back by a minute in the middle. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "logsvc/seek.h"
#include "str.h"

enum { FILES = 60, EACH = 3, RECORDS = FILES * EACH };

static char dir[64];

static void put(const char *name, const struct buf *text)
{
	struct err err = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(fs_write_replace(path, text->p, text->len, 0600, &err), 0);
}

static void put_gz(const char *name, const struct buf *text)
{
	char path[256];
	gzFile gz;

	snprintf(path, sizeof(path), "%s/%s.gz", dir, name);
	gz = gzopen(path, "wb");
	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, text->p, (unsigned)text->len), text->len);
	assert_int_equal(gzclose(gz), Z_OK);
}

/* Record k of file k / EACH; every other file is packed. */
static void make_log(int64_t t, int64_t step_ns, int64_t back_ns, int64_t times[RECORDS])
{
	cleanup_buf struct buf steps = BUF_INIT;
	int64_t name_s = t / 1000000000 + 7200;
	char stamp[RFC3339NANO_MAX], name[LOG_NAME_MAX];

	for (int f = 0; f < FILES; f++) {
		cleanup_buf struct buf b = BUF_INIT;

		for (int k = f * EACH; k < (f + 1) * EACH; k++) {
			if (k == RECORDS / 2 && back_ns) {
				buf_printf(&steps, "%lld %lld\n", (long long)(t + step_ns - back_ns), (long long)t);
				t -= back_ns;
			}
			times[k] = t += step_ns;
			fmt_rfc3339nano(stamp, t);
			buf_printf(&b, "{\"log\":\"%d\\n\",\"stream\":\"stdout\",\"time\":\"%s\"}\n", k, stamp);
		}
		log_name_format(name, name_s + f);
		if (f == FILES - 1)
			put(LOG_LIVE, &b);
		else if (f % 2)
			put(name, &b);
		else
			put_gz(name, &b);
	}
	if (back_ns)
		put(CLOCK_STEPS_NAME, &steps);
}

static void test_since(void **state)
{
	static const struct {
		int64_t step_ns; /* between records */
		int64_t back_ns; /* once, in the middle */
		int most_files;	 /* that are read for nothing */
	} rows[] = {
		{ 100000000, 0, 9 }, /* the margin is two seconds */
		{ 2500000000, 0, 2 },
		{ 100000000, 60000000000, FILES },
		{ 2500000000, 60000000000, FILES },
	};

	(void)state;
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
		int64_t times[RECORDS];
		struct logset *set;

		make_log(1787402096000000000LL, rows[row].step_ns, rows[row].back_ns, times);
		set = logset_new("0123abcd-0123-4567-89ab-0123456789ab", dir);
		for (int k = 0; k < RECORDS; k++) {
			struct seek_result at;
			int file, first = 0;

			while (times[first] < times[k])
				first++;
			assert_int_equal(seek_start(set, -1, times[k], true, &at), 0);
			assert_true(at.view.fd >= 0);
			file = at.view.live ? FILES - 1 : (int)(at.view.time_s - 1787402096 - 7200);
			assert_int_equal(at.off, 0); /* small files are read from their starts */
			assert_in_range(file, 0, first / EACH);
			assert_true(first / EACH - file <= rows[row].most_files);
			close(at.view.fd);
		}
		logset_unref(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_since) };
	struct err err = { 0 };
	int rc;

	str_copy(dir, sizeof(dir), "/tmp/test_seek.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)fs_remove_tree(AT_FDCWD, dir, &err);
	return rc;
}
