/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_image_ref.c - names of images: what is taken must be stable (parsing what it prints gives the
 * same again) and safe to put in paths and URLs.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/dockerfile_words.h"
#include "apiserver/image_ref.h"
#include "cleanup.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const char *text)
{
	cleanup_free char *canonical = NULL, *familiar = NULL, *again = NULL, *key = NULL;
	struct image_ref r, r2;
	struct err err = { 0 };

	if (image_ref_parse_any(text, &r, &err) < 0) {
		assert(err.kind == ERR_BAD_PARAM && err.msg[0]);
		return;
	}
	if (image_ref_is_id(&r)) {
		assert(image_id_valid(r.digest));
		return;
	}
	canonical = image_ref_canonical(&r);
	familiar = image_ref_familiar(&r);
	key = image_ref_key(&r);
	assert(!strstr(r.path, "..") && !strstr(canonical, "//") && !strchr(canonical, ' '));
	assert(strlen(familiar) <= strlen(canonical));
	assert(image_ref_parse(familiar, &r2, &err) == 0);
	again = image_ref_canonical(&r2);
	assert(str_eq(canonical, again));
	(void)image_ref_match(&r, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size), *out = NULL;
	cleanup_strv char **words = NULL, **json = NULL;
	char *const env[] = { (char *)"A=1", (char *)"B=two words", NULL };
	struct err err = { 0 };

	look_at(text);
	(void)!dockerfile_expand(text, '\\', env, &out, &err);
	(void)!dockerfile_expand_words(text, '\\', env, &words, &err);
	(void)!dockerfile_json_form(text, &json, &err);
	return 0;
}
