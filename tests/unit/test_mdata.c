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
#include "dockerinit/json.h"
#include "dockerinit/mdata_store.h"
#include "dockerinit/mdata_wire.h"
#include "fs.h"

static void test_crc_and_base64(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "", "" },
		     { "f", "Zg==" },
		     { "fo", "Zm8=" },
		     { "foo", "Zm9v" },
		     { "foob", "Zm9vYg==" },
		     { "fooba", "Zm9vYmE=" },
		     { "\xff\xfe\xfd", "//79" } };
	static const char *const bad[] = { "Z",	   "Zg=",   "Zg=\n", "Z===",
					   "====", "Zm9v ", "Zm 9",  "=g==" };
	char out[64];
	size_t i;

	(void)state;
	assert_int_equal(mdata_crc32("123456789", 9), 0xcbf43926);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = base64_encode(out, rows[i].in, strlen(rows[i].in));

		assert_string_equal(out, rows[i].out);
		assert_int_equal(base64_decode(out, out, len), strlen(rows[i].in));
		assert_memory_equal(out, rows[i].in, strlen(rows[i].in));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (base64_decode(out, bad[i], strlen(bad[i])) >= 0)
			fail_msg("%s decoded", bad[i]);
}

static void test_frames(void **state)
{
	struct mdata_frame f;
	cleanup_free char *made = NULL, *none = NULL;
	/* as the protocol's description has it: GET sdc:uuid, checksummed by hand */
	char line[] = "V2 21 265ae1d8 dc4fae17 GET c2RjOnV1aWQ=";
	size_t len;

	(void)state;
	made = mdata_frame_make("dc4fae17", "GET", "sdc:uuid", 8, &len);
	assert_non_null(made);
	assert_int_equal(made[len - 1], '\n');
	made[len - 1] = '\0';
	assert_memory_equal(made + 15, line + 15, strlen(line + 15));
	assert_int_equal(mdata_frame_parse(made, len - 1, &f), 0);
	assert_string_equal(f.reqid, "dc4fae17");
	assert_string_equal(f.word, "GET");
	assert_string_equal(f.payload, "sdc:uuid");
	assert_int_equal(f.payload_len, 8);
	none = mdata_frame_make("00000001", "KEYS", NULL, 0, &len);
	none[--len] = '\0';
	assert_int_equal(mdata_frame_parse(none, len, &f), 0);
	assert_string_equal(f.word, "KEYS");
	assert_string_equal(f.payload, "");
	free(none);
	none = mdata_frame_make("00000001", "SUCCESS", "", 0, &len);
	assert_int_equal(none[len - 2], 'S'); /* nothing after the word, where nothing is to say */
}

static void test_bad_frames(void **state)
{
	char *good = NULL, copy[128];
	struct mdata_frame f;
	size_t len, i;

	(void)state;
	good = mdata_frame_make("0123abcd", "PUT", "payload", 7, &len);
	good[--len] = '\0';
	for (i = 0; i < len; i++) { /* any changed byte, and any cut */
		memcpy(copy, good, len + 1);
		copy[i] ^= 1;
		if (mdata_frame_parse(copy, len, &f) == 0)
			fail_msg("byte %zu may change", i);
		memcpy(copy, good, len + 1);
		copy[i] = '\0';
		assert_int_equal(mdata_frame_parse(copy, i, &f), -1);
	}
	free(good);
	snprintf(copy, sizeof(copy), "V2 99999999999999999999999999 00000000 x");
	assert_int_equal(mdata_frame_parse(copy, strlen(copy), &f), -1);
}

static void test_json(void **state)
{
	char text[] =
		" {\"a\":[1,-2.5,3e2,true,null,{\"x\":{}}],\"s\":\"q\\\"\\u00e9\\ud83d\\ude00\\n\","
		"\"n\":9223372036854775808,\"e\":[],\"t\":\"\"} ";
	const struct json_val *a, *e;
	cleanup_free char **v = NULL;
	struct json j;
	size_t n;

	(void)state;
	assert_int_equal(json_parse(&j, text, strlen(text), 100), 0);
	a = json_get(&j, j.v, "a");
	assert_int_equal(a->n, 6);
	e = json_first(&j, a);
	assert_int_equal(e->i, 1);
	e = json_next(&j, a, e);
	assert_int_equal(e->i, -2);
	assert_string_equal(json_str(&j, j.v, "s", ""), "q\"\xc3\xa9\xf0\x9f\x98\x80\n");
	assert_true(json_int(&j, j.v, "n", 0) == INT64_MAX);
	assert_string_equal(json_str(&j, j.v, "t", "x"), "");
	assert_string_equal(json_str(&j, j.v, "missing", "x"), "x");
	v = json_strv(&j, json_get(&j, j.v, "e"), &n);
	assert_int_equal(n, 0);
	json_fini(&j);
}

static void test_bad_json(void **state)
{
	static const char *const bad[] = {
		"",    "{",    "[1,]",	    "{\"a\"}", "{\"a\":1,}",  "[1 2]",
		"\"x", "\"\\", "\"\\u12\"", "\"\\x\"", "01x",	      "-",
		"1.",  "1e",   "tru",	    "[]]",     "\"\\u0000\"", "{1:2}"
	};
	struct json j;
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "%s", bad[i]);
		if (json_parse(&j, text, strlen(text), 100) == 0)
			fail_msg("%s was read", bad[i]);
		assert_null(j.v);
	}
	memset(text, '[', 100);
	assert_true(json_parse(&j, text, 100, 1000) < 0);
	snprintf(text, sizeof(text), "[1,2,3,4]");
	assert_int_equal(json_parse(&j, text, strlen(text), 4), -E2BIG);
}

static void test_store(void **state)
{
	static const char text[] = "{\"sdc:uuid\":\"u\",\"docker:cmd\":\"[]\",\"x_pw\":\"p\"}";
	char path[64];
	struct mdata_store s = { .path = path };
	cleanup_buf struct buf keys = BUF_INIT;
	cleanup_free char *big = calloc(1, MDATA_VALUE_MAX + 2);
	struct err err = { 0 };
	char name[32];
	size_t len;
	int i;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_mdata.%d", getpid());
	assert_int_equal(fs_write_replace(path, text, sizeof(text) - 1, 0600, &err), 0);
	assert_int_equal(mdata_store_set(&s, "k", "v\n1", 3, true, &err), 0);
	assert_int_equal(mdata_store_load(&s, &err), 0);
	assert_string_equal(mdata_store_get(&s, "k", &len), "v\n1");
	assert_string_equal(mdata_store_get(&s, "sdc:uuid", &len), "u");
	mdata_store_keys(&s, &keys);
	assert_string_equal(buf_str(&keys), "k");
	assert_int_equal(mdata_store_set(&s, "k", NULL, 0, true, &err), 0);
	assert_int_equal(mdata_store_set(&s, "k", NULL, 0, true, &err), 0);
	assert_int_equal(mdata_store_load(&s, &err), 0);
	assert_null(mdata_store_get(&s, "k", &len));

	memset(big, 'x', MDATA_VALUE_MAX + 1);
	assert_true(mdata_store_set(&s, "k", big, MDATA_VALUE_MAX + 1, true, &err) < 0);
	assert_int_equal(mdata_store_set(&s, "k", big, MDATA_VALUE_MAX + 1, false, &err), 0);
	assert_true(mdata_store_set(&s, "", "v", 1, true, &err) < 0);
	assert_true(mdata_store_set(&s, "a\nb", "v", 1, true, &err) < 0);
	assert_true(mdata_store_set(&s, "nul", "a\0b", 3, true, &err) < 0);
	for (i = 0; i < MDATA_GUEST_KEYS + 5; i++) {
		snprintf(name, sizeof(name), "key%d", i);
		if (mdata_store_set(&s, name, "v", 1, true, &err) < 0)
			break;
	}
	assert_int_equal(i, MDATA_GUEST_KEYS - 2); /* k and x_pw are there */
	mdata_store_drop(&s);
	unlink(path);
	assert_true(mdata_is_readonly("sdc:x") && mdata_is_readonly("docker:x"));
	assert_false(mdata_is_readonly("user-script"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_and_base64), cmocka_unit_test(test_frames),
		cmocka_unit_test(test_bad_frames),     cmocka_unit_test(test_json),
		cmocka_unit_test(test_bad_json),       cmocka_unit_test(test_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
