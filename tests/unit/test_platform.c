/* SPDX-License-Identifier: MPL-2.0
 *
 * test_platform.c - parsing and comparing of platforms, by the examples of containerd's package and Docker's API.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/image_store.h"
#include "apiserver/platform.h"
#include "cleanup.h"
#include "str.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *result; /* NULL: refused */
		const char *words;
	} rows[] = {
		{ "linux/amd64", "linux/amd64", NULL },
		{ "Linux/AMD64/v1", "linux/amd64", NULL },
		{ "linux/x86_64", "linux/amd64", NULL },
		{ "linux/x86-64/v3", "linux/amd64/v3", NULL },
		{ "linux/i386", "linux/386", NULL },
		{ "linux/arm", "linux/arm/v7", NULL },
		{ "linux/arm/6", "linux/arm/v6", NULL },
		{ "armhf", "linux/arm/v7", NULL },
		{ "linux/armel", "linux/arm/v6", NULL },
		{ "aarch64", "linux/arm64", NULL },
		{ "linux/arm64/v8", "linux/arm64", NULL },
		{ "linux/arm64/9.0", "linux/arm64/v9", NULL },
		{ "macos/arm64", "darwin/arm64", NULL },
		{ "windows(10.0.17763)/amd64", "windows/amd64", NULL },
		{ "linux/wasm/x.y-z_1", "linux/wasm/x.y-z_1", NULL },
		{ "", NULL, "\"\" is an invalid OS component of \"\"" },
		{ "linux/", NULL, "\"\" is an invalid component of \"linux/\"" },
		{ "linux/a b", NULL, "\"a b\" is an invalid component of \"linux/a b\"" },
		{ "linux/amd64/v1/x", NULL, "\"linux/amd64/v1/x\": cannot parse platform specifier: invalid argument" },
		{ "bogus", NULL, "\"bogus\": unknown operating system or architecture: invalid argument" },
		{ "linux/*", NULL, "\"linux/*\": wildcards not yet supported: invalid argument" },
		{ "windows(10/amd64", NULL, "is an invalid OS component" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct platform p;
		struct err err = { 0 };
		int rc = platform_parse(rows[i].text, &p, &err);
		cleanup_free char *text = rc < 0 ? NULL : platform_text(&p);

		print_message("%s\n", rows[i].text);
		if (rows[i].result)
			assert_string_equal(text, rows[i].result);
		else
			assert_true(rc < 0 && err.kind == ERR_BAD_PARAM && strstr(err.msg, rows[i].words));
	}
}

static void test_json(void **state)
{
	static const struct {
		const char *text, *result, *words;
	} rows[] = {
		{ "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}", "linux/arm64", NULL },
		{ "{\"os\":\"linux\",\"architecture\":\"amd64\",\"os.version\":\"1\"}", "linux/amd64", NULL },
		{ "linux/amd64", NULL, "failed to parse platform" },
		{ "[]", NULL, "failed to parse platform" },
		{ "{\"os\":\"linux\"}", NULL, "both OS and Architecture must be provided" },
		{ "{\"os\":\"linux\",\"architecture\":\"ar/vm\"}", NULL, "failed to parse platform" },
		{ "{}", NULL, "both OS and Architecture must be provided" },
		{ "{\"variant\":\"v1\"}", NULL,
		  "optional platform fields provided, but OS and Architecture are missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct platform p;
		struct err err = { 0 };
		int rc = platform_parse_json(rows[i].text, &p, &err);
		cleanup_free char *text = rc < 0 ? NULL : platform_text(&p);

		print_message("%s\n", rows[i].text);
		if (rows[i].result)
			assert_string_equal(text, rows[i].result);
		else
			assert_true(rc < 0 && err.kind == ERR_BAD_PARAM && strstr(err.msg, rows[i].words));
	}
}

/* Best first; what follows "|" does not run there. */
static void test_order(void **state)
{
	static const struct {
		const char *want, *list;
	} rows[] = {
		{ "linux/amd64", "linux/amd64 linux/386 | linux/amd64/v2 linux/arm64 windows/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386 | linux/amd64/v4" },
		{ "linux/arm/v7", "linux/arm/v7 linux/arm/v6 linux/arm/v5 | linux/arm/v8 linux/arm64" },
		{ "linux/arm/v6", "linux/arm/v6 linux/arm/v5 | linux/arm/v7" },
		{ "linux/arm64", "linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v5 | linux/arm64/v8.1 linux/arm64/v9" },
		{ "linux/arm64/v8.2", "linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64 linux/arm/v8 | linux/arm64/v8.3" },
		{ "linux/arm64/v9.1",
		  "linux/arm64/v9.1 linux/arm64/v9 linux/arm64/v8.6 linux/arm64 linux/arm/v7 | linux/arm64/v8.7" },
		{ "linux/386", "linux/386 | linux/amd64" },
		{ "linux/s390x", "linux/s390x | linux/amd64 linux/s390" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_strv char **list = strv_split(rows[i].list, ' ');
		struct platform want, have;
		struct err err = { 0 };
		unsigned last = 1000;
		bool none = false;

		assert_int_equal(platform_parse(rows[i].want, &want, &err), 0);
		for (char **s = list; *s; s++) {
			unsigned f;

			if (str_eq(*s, "|")) {
				none = true;
				continue;
			}
			print_message("%s on %s\n", *s, rows[i].want);
			assert_int_equal(platform_parse(*s, &have, &err), 0);
			f = platform_fit(&want, &have);
			assert_true(none ? f == 0 : f > 0 && f < last);
			last = f;
		}
	}
}

static void test_image(void **state)
{
	static const struct {
		const char *want, *architecture, *variant;
		bool fits;
	} rows[] = {
		{ "linux/arm/v6", "arm", "", true }, /* the image does not tell its variant */
		{ "linux/arm/v6", "arm", "v7", false },
		{ "linux/arm64", "arm", "v7", true },
		{ "linux/amd64", "amd64", "", true },
		{ "linux/amd64", "arm64", "", false },
		{ "linux/amd64", "", "", true },
		{ "windows/amd64", "amd64", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char os[] = "linux", architecture[16], variant[16];
		const struct image img = { .os = os, .architecture = architecture, .variant = variant };
		struct platform want;
		struct err err = { 0 };

		str_copy(architecture, sizeof(architecture), rows[i].architecture);
		str_copy(variant, sizeof(variant), rows[i].variant);
		print_message("%s for %s\n", architecture, rows[i].want);
		assert_int_equal(platform_parse(rows[i].want, &want, &err), 0);
		assert_int_equal(platform_fits_image(&want, &img), rows[i].fits);
		assert_int_equal(platform_check_image(&want, &img, "docker.io/library/x:1", &err) == 0, rows[i].fits);
		if (!rows[i].fits)
			assert_non_null(strstr(err.msg, "image with reference x:1 was found but its platform (linux/"));
	}
}

static void test_host(void **state)
{
	struct platform host, plain;

	(void)state;
	platform_host(&host);
	platform_set(&plain, "linux", platform_host_arch(), "");
	assert_true(platform_fit(&host, &plain) > 0);
	assert_true(platform_fit(&host, &host) >= platform_fit(&host, &plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_json), cmocka_unit_test(test_order),
		cmocka_unit_test(test_image), cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
