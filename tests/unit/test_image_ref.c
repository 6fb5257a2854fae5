/* SPDX-License-Identifier: MPL-2.0
 *
 * test_image_ref.c - Docker's reference grammar: what is taken, as what, and in which words the rest
 * is refused.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_ref.h"
#include "cleanup.h"
#include "str.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DG    "sha256:" HEX64
#define A250                                                                                       \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct row {
	const char *in, *canonical, *familiar;
} good[] = {
	{ "busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36" },
	{ "library/busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "library/4444444444444444444444444444444444444444444444444444444444444444:x",
	  "docker.io/library/4444444444444444444444444444444444444444444444444444444444444444:x",
	  "library/4444444444444444444444444444444444444444444444444444444444444444:x" },
	{ "docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "docker.io/library/foo/bar", "docker.io/library/foo/bar:latest", "library/foo/bar:latest" },
	{ "user/app:v1", "docker.io/user/app:v1", "user/app:v1" },
	{ "localhost/app", "localhost/app:latest", "localhost/app:latest" },
	{ "localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest" },
	{ "127.0.0.1:5055/a/b:t", "127.0.0.1:5055/a/b:t", "127.0.0.1:5055/a/b:t" },
	{ "[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest" },
	{ "quay.io/libpod/alpine", "quay.io/libpod/alpine:latest", "quay.io/libpod/alpine:latest" },
	{ "Host/app", "Host/app:latest", "Host/app:latest" },
	{ "my-host/app", "docker.io/my-host/app:latest", "my-host/app:latest" },
	{ "a_b__c-d---e/f.g", "docker.io/a_b__c-d---e/f.g:latest", "a_b__c-d---e/f.g:latest" },
	{ "busybox@" DG, "docker.io/library/busybox@" DG, "busybox@" DG },
	{ "busybox:tag@" DG, "docker.io/library/busybox:tag@" DG, "busybox:tag@" DG },
	{ "a:_T.-9", "docker.io/library/a:_T.-9", "a:_T.-9" },
	{ "deadbeef", "docker.io/library/deadbeef:latest", "deadbeef:latest" },
	{ "sha256:abcdef", "docker.io/library/sha256:abcdef", "sha256:abcdef" },
	{ "0123456789abcdef", "docker.io/library/0123456789abcdef:latest", "0123456789abcdef:latest" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cleanup_free char *canonical = NULL, *familiar = NULL, *again = NULL;
		struct image_ref r, r2;
		struct err err = { 0 };

		if (image_ref_parse(good[i].in, &r, &err) < 0)
			fail_msg("%s: %s", good[i].in, err.msg);
		image_ref_default_tag(&r);
		canonical = image_ref_canonical(&r);
		familiar = image_ref_familiar(&r);
		assert_string_equal(canonical, good[i].canonical);
		assert_string_equal(familiar, good[i].familiar);
		/* both forms mean the same again */
		assert_int_equal(image_ref_parse(familiar, &r2, &err), 0);
		again = image_ref_canonical(&r2);
		assert_string_equal(again, canonical);
	}
}

static const struct bad_row {
	const char *in, *msg;
} bad[] = {
	{ "", "invalid reference format" },
	{ "Foo", "invalid reference format: repository name (library/Foo) must be lowercase" },
	{ "user/Foo:x", "invalid reference format: repository name (user/Foo) must be lowercase" },
	{ "quay.io/A", "invalid reference format: repository name (A) must be lowercase" },
	{ "a b", "invalid reference format" },
	{ "a:", "invalid reference format" },
	{ "a:b:c", "invalid reference format" },
	{ "a:-b", "invalid reference format" },
	{ ":tag", "invalid reference format" },
	{ "/a", "invalid reference format" },
	{ "a/", "invalid reference format" },
	{ "a//b", "invalid reference format" },
	{ "-a", "invalid reference format" },
	{ "a-", "invalid reference format" },
	{ "a___b", "invalid reference format" },
	{ "a..b", "invalid reference format" },
	{ "a/../b", "invalid reference format" },
	{ "../a", "invalid reference format" },
	{ "a@b", "invalid reference format" },
	{ "a@sha256:", "invalid reference format" },
	{ "a@sha256:0123456789abcdef0123456789abcdef", "invalid checksum digest length" },
	{ "a@md5:0123456789abcdef0123456789abcdef", "unsupported digest algorithm" },
	{ "a@" DG "x", "invalid reference format" },
	{ "host:/a", "invalid reference format" },
	{ "host:80x/a", "invalid reference format" },
	{ "-host.com/a", "invalid reference format" },
	{ "[::1/a", "invalid reference format" },
	{ "\xc3\xa4", "invalid reference format" },
	{ "a\nb", "invalid reference format" },
	{ HEX64, "invalid repository name (" HEX64
		 "), cannot specify 64-byte hexadecimal strings" },
	{ A250, "repository name must not be more than 255 characters" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct image_ref r;
		struct err err = { 0 };

		if (image_ref_parse(bad[i].in, &r, &err) >= 0)
			fail_msg("'%s' was taken", bad[i].in);
		assert_int_equal(err.kind, ERR_BAD_PARAM);
		assert_string_equal(err.msg, bad[i].msg);
	}
}

static void test_ids(void **state)
{
	struct image_ref r;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(image_ref_parse_any(HEX64, &r, &err), 0);
	assert_true(image_ref_is_id(&r));
	assert_string_equal(r.digest, DG);
	assert_int_equal(image_ref_parse_any(DG, &r, &err), 0);
	assert_true(image_ref_is_id(&r));
	assert_int_equal(image_ref_parse_any("busybox", &r, &err), 0);
	assert_false(image_ref_is_id(&r));
	assert_true(image_id_valid(DG));
	assert_false(image_id_valid("sha256:../../../../../../../../../../../../../../../../../../../etc/x"));
	assert_false(image_id_valid(HEX64));
}

static void test_match(void **state)
{
	static const struct {
		const char *ref, *pattern;
		bool match;
	} rows[] = {
		{ "busybox:1", "busybox", true },	  { "busybox:1", "busybox:1", true },
		{ "busybox:1", "busybox:2", false },	  { "busybox:1", "busy*", true },
		{ "busybox:1", "*:1", true },		  { "user/app:1", "user/*", true },
		{ "user/app:1", "*", false },		  { "user/app:1", "*/*", true },
		{ "quay.io/a/b:1", "quay.io/*/b", true }, { "busybox:1", "docker.io/library/busybox", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct image_ref r;
		struct err err = { 0 };

		assert_int_equal(image_ref_parse(rows[i].ref, &r, &err), 0);
		if (image_ref_match(&r, rows[i].pattern) != rows[i].match)
			fail_msg("%s ~ %s", rows[i].ref, rows[i].pattern);
	}
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern;
		bool valid;
	} rows[] = {
		{ "busy*", true }, { "", true },     { "[a-z]", true },	 { "[^a-z0-9]x", true }, { "a\\[", true },	 { "[\\]]", true },
		{ "[", false },	   { "[]", false },  { "[]a]", false }, { "[a", false },	 { "[-z]", false }, { "[a-]", false },
		{ "[^]", false },  { "a\\", false }, { "[\\", false },  { "[a-\\", false },	 { "]", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (image_pattern_valid(rows[i].pattern) != rows[i].valid)
			fail_msg("%s", rows[i].pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
