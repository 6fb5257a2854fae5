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
#include "dockerinit/user.h"

static char passwd[64], group[64];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	snprintf(passwd, sizeof(passwd), "/tmp/test_user.%d.passwd", getpid());
	snprintf(group, sizeof(group), "/tmp/test_user.%d.group", getpid());
	put(passwd, "root:x:0:0:root:/root:/bin/sh\n\n"
		    "  bob:x:1000:1001:Bob:/home/bob:/bin/sh  \n"
		    "42:x:7:8::/h42:\n"
		    "short:x:5\n"
		    "odd:x:abc:12:::\n"
		    "huge:x:4294967296:1::/:\n"
		    "last:x:99:99::/last:/bin/sh");
	put(group, "root:x:0:\nwheel:x:10:root,bob\nbob:x:1001:\nadm:x:4:syslog,bob\n"
		   "dup:x:10:bob\nnone\nstaff:x:50:notbob,bobby\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(passwd);
	unlink(group);
	return 0;
}

static void test_resolve(void **state)
{
	static const struct {
		const char *spec;
		const char *add;  /* one name, or NULL */
		const char *want; /* "uid gid home groups" or the error */
	} rows[] = {
		{ "", NULL, "0 0 /root 0 10" },
		{ "root", NULL, "0 0 /root 0 10" },
		{ "0", NULL, "0 0 /root 0 10" },
		{ "bob", NULL, "1000 1001 /home/bob 1001 10 4" },
		{ "1000", NULL, "1000 1001 /home/bob 1001 10 4" },
		{ "bob:adm", NULL, "1000 4 /home/bob 4" },
		{ "bob:77", NULL, "1000 77 /home/bob 77" },
		{ "bob:", NULL, "1000 1001 /home/bob 1001 10 4" },
		{ "1234", NULL, "1234 0 / 0" },
		{ "1234:5678", NULL, "1234 5678 / 5678" },
		{ ":adm", NULL, "0 4 /root 4" },
		{ "last", NULL, "99 99 /last 99" },
		{ "short", NULL, "5 0  0" },
		{ "odd", NULL, "0 12  12" },
		{ "42", NULL, "42 0 / 0" }, /* a number is never a name */
		{ "bob", "wheel", "1000 1001 /home/bob 1001 10 4" },
		{ "1234", "adm", "1234 0 / 0 4" },
		{ "1234", "77", "1234 0 / 0 77" },
		{ "nobody", NULL,
		  "unable to find user nobody: no matching entries in passwd file" },
		{ "bob:nog", NULL, "unable to find group nog: no matching entries in group file" },
		{ "bob", "nog", "Unable to find group nog: no matching entries in group file" },
		{ "2147483648", NULL, "uids and gids must be in range 0-2147483647" },
		{ "-1", NULL, "uids and gids must be in range 0-2147483647" },
		{ "1:2147483648", NULL, "uids and gids must be in range 0-2147483647" },
		{ "huge", NULL, "uids and gids must be in range 0-2147483647" },
		{ "99999999999999999999", NULL,
		  "unable to find user 99999999999999999999: no matching entries in passwd file" },
	};
	size_t i, g;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char *add[] = { (char *)(uintptr_t)rows[i].add, NULL }, got[2048];
		struct err err = { 0 };
		struct user u;
		int rc = user_resolve(rows[i].spec, add, passwd, group, &u, &err), n;

		n = snprintf(got, sizeof(got), "%u %u %s", u.uid, u.gid, u.home);
		for (g = 0; g < u.n_groups; g++)
			n += snprintf(got + n, sizeof(got) - (size_t)n, " %u", u.groups[g]);
		if (strcmp(rc < 0 ? err.msg : got, rows[i].want) != 0)
			fail_msg("%s: %s, not %s", rows[i].spec, rc < 0 ? err.msg : got,
				 rows[i].want);
	}
}

static void test_no_files(void **state)
{
	struct err err = { 0 };
	struct user u;

	(void)state;
	assert_int_equal(user_resolve("", NULL, "/nonexistent/p", "/nonexistent/g", &u, &err), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.home, "/");
	assert_int_equal(user_resolve("5:6", NULL, "/dev/zero", "/dev", &u, &err), 0);
	assert_int_equal(u.uid, 5);
	assert_int_equal(u.gid, 6);
	assert_true(user_resolve("root", NULL, "/nonexistent/p", "/nonexistent/g", &u, &err) < 0);
}

static void test_many_groups(void **state)
{
	struct err err = { 0 };
	struct user u;
	FILE *f = fopen(group, "w");
	int i;

	(void)state;
	assert_non_null(f);
	for (i = 0; i < USER_GROUPS_MAX + 10; i++)
		fprintf(f, "g%d:x:%d:bob\n", i, i + 5000);
	fclose(f);
	assert_true(user_resolve("bob", NULL, passwd, group, &u, &err) < 0);
	assert_non_null(strstr(err.msg, "supplementary"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_many_groups),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
