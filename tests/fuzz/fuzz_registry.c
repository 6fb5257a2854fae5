/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_registry.c - what registries, token servers, indexes and clients send besides manifests: error bodies, tokens, lists of
 * tags and their Link, search results, upload ranges, X-Docker-Endpoints, X-Registry-Config, networks, patterns.
 * The first byte picks one; what is taken has to be safe to use.
 */
/* links: apiserver */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_ref.h"
#include "apiserver/push_upload.h"
#include "apiserver/registry.h"
#include "apiserver/registry_auth.h"
#include "apiserver/registry_pull.h"
#include "apiserver/registry_search.h"
#include "apiserver/registry_v1.h"
#include "cleanup.h"
#include "str.h"

#define BASE "https://registry.example:5000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refusal(const char *text, size_t len)
{
	struct http_answer a = { .status = 400 + len % 200, .challenges = strv_split("", ',') };
	enum reg_refusal why;
	struct err err = { 0 };

	buf_add(&a.body, text, len);
	assert(registry_refused(&a, &why, &err) < 0 && err.msg[0]);
	http_answer_fini(&a);
}

static void token(const char *text, size_t len)
{
	struct token t = { 0 };
	struct err err = { 0 };

	if (token_read(text, len, &t, &err) == 0)
		assert(t.text && *t.text && !strpbrk(t.text, "\r\n") && t.expires_s > 0);
	token_fini(&t);
}

static void tags(const char *text, size_t len)
{
	cleanup_strv char **v = strv_split("", ',');
	struct err err = { 0 };

	if (registry_read_tags(text, len, &v, &err) < 0)
		assert(err.msg[0]);
	for (char **s = v; *s; s++)
		assert(image_tag_valid(*s));
}

static void search(const char *text, size_t len)
{
	const struct registry_search s = { .limit = 25, .official = (int)(len % 3) - 1, .automated = -1, .stars = len % 5 };
	cleanup_buf struct buf out = BUF_INIT;
	struct err err = { 0 };

	if (registry_search_read(&s, text, len, &out, &err) == 0) {
		json_t *o = json_loads(buf_str(&out), 0, NULL);

		assert(json_is_array(o));
		json_decref(o);
	}
}

static void headers(const char *text)
{
	cleanup_free char *next = registry_next_page(BASE, text);
	cleanup_strv char **hosts = registry_v1_endpoints("http://registry.example", text);
	int64_t done = push_range_done(text);
	struct reg_creds c;

	assert(!next || str_starts(next, BASE "/"));
	assert(done >= 0);
	for (char **h = hosts; *h; h++)
		assert(str_starts(*h, "http://"));
	reg_creds_for(text, "registry.example", &c);
	assert(!c.registry_token || !strpbrk(c.registry_token, "\r\n"));
	reg_creds_fini(&c);
}

static void patterns(const char *text)
{
	const char *rest = strchr(text, '\n');
	cleanup_free char *net = xstrndup(text, rest ? (size_t)(rest - text) : strlen(text));
	struct image_ref ref = { .domain = "docker.io", .path = "library/x", .tag = "1" };

	(void)registry_net_has(net, rest ? rest + 1 : "10.0.0.1");
	if (image_pattern_valid(text))
		(void)image_ref_match(&ref, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = size ? xstrndup((const char *)data + 1, size - 1) : NULL;
	size_t len = size - 1;

	if (!size)
		return 0;
	switch (data[0] % 6) {
	case 0:
		refusal(text, len);
		break;
	case 1:
		token(text, len);
		break;
	case 2:
		tags(text, len);
		break;
	case 3:
		search(text, len);
		break;
	case 4:
		headers(text);
		break;
	default:
		patterns(text);
	}
	return 0;
}
