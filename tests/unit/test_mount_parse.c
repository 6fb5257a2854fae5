/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/mount_parse.h"
#include "apiserver/tmpfs_opts.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static void test_clean_path(void **state)
{
	static const char *const rows[][2] = {
		{ "/a/", "/a" },    { "/a//b/./c/..", "/a/b" },
		{ "/", "/" },	    { "/..", "/" },
		{ "", "." },	    { "a/..", "." },
		{ "../a", "../a" }, { "/a/../..", "/" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got = mount_clean_path(rows[i][0]);

		assert_string_equal(got, rows[i][1]);
	}
}

static void test_bind(void **state)
{
	static const struct {
		const char *in, *type, *name, *source, *dest, *mode, *prop;
		bool rw, no_copy;
	} rows[] = {
		{ "/a:/b", "bind", NULL, "/a", "/b", "", "rprivate", true, false },
		{ "/a/:/b/:ro", "bind", NULL, "/a", "/b", "ro", "rprivate", false, false },
		{ "/a:/b:ro,rslave,z", "bind", NULL, "/a", "/b", "ro,rslave,z", "rslave", false,
		  false },
		{ "v:/b:nocopy", "volume", "v", NULL, "/b", "nocopy", "", true, true },
		{ "/b", "volume", NULL, NULL, "/b", "", "", true, false },
	};
	struct err err = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_mount m = { 0 };

		assert_int_equal(mount_parse_bind(rows[i].in, &m, &err), 0);
		assert_string_equal(m.type, rows[i].type);
		assert_string_equal(m.destination, rows[i].dest);
		assert_string_equal(m.mode, rows[i].mode);
		assert_string_equal(m.propagation, rows[i].prop);
		assert_true(str_eq(m.name, rows[i].name));
		assert_true(str_eq(m.source, rows[i].source));
		assert_int_equal(m.rw, rows[i].rw);
		assert_int_equal(m.no_copy, rows[i].no_copy);
		ct_mount_clear(&m);
	}
}

static void test_bind_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "", "invalid volume specification: ''" },
		{ "a:b:c:d", "invalid volume specification: 'a:b:c:d'" },
		{ "/a:ro", "invalid volume specification: '/a:ro'" },
		{ "/a:b", "mount path must be absolute" },
		{ "/a:/", "destination can't be '/'" },
		{ "/a:/b:xx", "invalid mode: xx" },
		{ "/a:/b:ro,rw", "invalid mode: ro,rw" },
		{ "v:/b:shared", "field BindOptions must not be specified" },
		{ "/a:/b:nocopy", "field VolumeOptions must not be specified" },
		{ "/a:/b:copy", "invalid mode: copy" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_mount m = { 0 };
		struct err err = { 0 };

		if (mount_parse_bind(rows[i][0], &m, &err) >= 0 || !strstr(err.msg, rows[i][1]))
			fail_msg("%s: '%s'", rows[i][0], err.msg);
		assert_int_equal(err.kind, ERR_BAD_PARAM);
		ct_mount_clear(&m);
	}
}

static void test_api(void **state)
{
	static const char *const bad[][2] = {
		{ "{\"Type\":\"x\",\"Target\":\"/a\"}", "mount type unknown" },
		{ "{\"Type\":\"bind\",\"Source\":\"/nope/x\",\"Target\":\"/a\"}",
		  "invalid mount config for type \"bind\": bind source path does not exist: "
		  "/nope/x" },
		{ "{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/a\",\"BindOptions\":{"
		  "\"ReadOnlyForceRecursive\":true}}",
		  "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive" },
		{ "{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/a\",\"BindOptions\":{"
		  "\"ReadOnlyNonRecursive\":true}}",
		  "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive" },
		{ "{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/a\",\"ReadOnly\":true,\"BindOptions\":{"
		  "\"ReadOnlyNonRecursive\":true,\"ReadOnlyForceRecursive\":true}}",
		  "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive" },
		{ "{\"Type\":\"bind\",\"Target\":\"/a\"}", "field Source must not be empty" },
		{ "{\"Type\":\"volume\"}", "field Target must not be empty" },
		{ "{\"Type\":\"volume\",\"Target\":\"a\"}", "mount path must be absolute" },
		{ "{\"Type\":\"volume\",\"Target\":\"/a\",\"VolumeOptions\":{\"Subpath\":\"x\"}}",
		  "anonymous volumes" },
		{ "{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/"
		  "a\",\"VolumeOptions\":{\"Subpath\":\"../x\"}}",
		  "subpath must be a relative path" },
		{ "{\"Type\":\"tmpfs\",\"Source\":\"v\",\"Target\":\"/a\"}",
		  "field Source must not be specified" },
	};
	static const char good[] = "{\"Type\":\"tmpfs\",\"Target\":\"/t/\",\"ReadOnly\":true,"
				   "\"TmpfsOptions\":{\"SizeBytes\":1024,\"Mode\":448,\"Options\":["
				   "[\"exec\"],[\"uid\",\"5\"]]}}";
	cleanup_json json_t *o = json_loads(good, 0, NULL);
	struct ct_mount m = { 0 };
	struct err err = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(mount_parse_api(o, &m, &err), 0);
	assert_string_equal(m.destination, "/t");
	assert_string_equal(m.tmpfs_opts, "size=1024,mode=700,exec,uid=5,ro");
	assert_false(m.rw);
	ct_mount_clear(&m);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_json json_t *b = json_loads(bad[i][0], 0, NULL);

		memset(&err, 0, sizeof(err));
		if (mount_parse_api(b, &m, &err) >= 0 || !strstr(err.msg, bad[i][1]))
			fail_msg("%s: '%s'", bad[i][0], err.msg);
		ct_mount_clear(&m);
	}
}

static void test_tmpfs(void **state)
{
	static const char *const rows[][2] = {
		{ "", "noexec,nosuid,nodev,rprivate" },
		{ "exec", "nosuid,nodev,rprivate,exec" },
		{ "size=1m,size=2m,ro", "noexec,nosuid,nodev,rprivate,size=2m,ro" },
		{ "mode=1777,uid=5,rshared", "noexec,nosuid,nodev,mode=1777,uid=5,rshared" },
	};
	struct err err = { 0 };
	char **v;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;

		assert_int_equal(tmpfs_opts_merge(rows[i][0], &v, &err), 0);
		for (k = 0; v[k]; k++)
			buf_printf(&b, "%s%s", k ? "," : "", v[k]);
		assert_string_equal(buf_str(&b), rows[i][1]);
		strv_free(v);
	}
	assert_true(tmpfs_opts_merge("lowerdir=/x", &v, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_path),   cmocka_unit_test(test_bind),
		cmocka_unit_test(test_bind_refused), cmocka_unit_test(test_api),
		cmocka_unit_test(test_tmpfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
