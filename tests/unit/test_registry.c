/* SPDX-License-Identifier: MPL-2.0
 *
 * test_registry.c - challenges, credentials, manifests, endpoints: what is taken from a registry or a
 * client, and as what.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/manifest.h"
#include "apiserver/push_upload.h"
#include "apiserver/registry.h"
#include "apiserver/registry_auth.h"
#include "apiserver/registry_http.h"
#include "apiserver/schema1.h"
#include "cleanup.h"
#include "str.h"

#define D1 "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D2 "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define D3 "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* ---------------------------------------------------------------- WWW-Authenticate */

static void test_challenges(void **state)
{
	static const struct {
		const char *header;
		size_t n;
		enum challenge_scheme scheme; /* of the last */
		const char *realm, *service, *scope, *error;
	} rows[] = {
		{ "Bearer realm=\"https://a/token\",service=\"s\",scope=\"repository:a/b:pull,push\"", 1,
		  CHALLENGE_BEARER, "https://a/token", "s", "repository:a/b:pull,push", "" },
		{ "bearer Realm = \"x\" , error=insufficient_scope", 1, CHALLENGE_BEARER, "x", "", "",
		  "insufficient_scope" },
		{ "Basic realm=\"a \\\"quoted\\\" name\"", 1, CHALLENGE_BASIC, "a \"quoted\" name", "", "", "" },
		{ "Basic", 1, CHALLENGE_BASIC, "", "", "", "" },
		{ "Negotiate, Basic realm=\"r\", Bearer realm=\"t\"", 3, CHALLENGE_BEARER, "t", "", "", "" },
		{ "Digest realm=\"r\", nonce=\"a,b\", qop=\"auth\"", 1, CHALLENGE_OTHER, "r", "", "", "" },
		{ "", 0, 0, "", "", "", "" },
		{ " , ,, ", 0, 0, "", "", "", "" },
		{ "Bearer realm=\"open", 1, CHALLENGE_BEARER, "open", "", "", "" },
		{ "Bearer realm=\"a\\", 1, CHALLENGE_BEARER, "a\\", "", "", "" },
		{ "\"\x01, Basic realm=z", 1, CHALLENGE_BASIC, "z", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct challenge v[CHALLENGES_MAX] = { 0 };
		size_t n = challenge_parse(rows[i].header, v, CHALLENGES_MAX);
		const struct challenge *c = n ? &v[n - 1] : &v[0];

		print_message("%s\n", rows[i].header);
		assert_int_equal(n, rows[i].n);
		assert_int_equal(c->scheme, rows[i].scheme);
		assert_string_equal(c->realm, rows[i].realm);
		assert_string_equal(c->service, rows[i].service);
		assert_string_equal(c->scope, rows[i].scope);
		assert_string_equal(c->error, rows[i].error);
	}
}

static void test_challenge_limits(void **state)
{
	cleanup_free char *huge = xcalloc(1, 9000);
	struct challenge v[CHALLENGES_MAX];

	(void)state;
	memset(huge, 'a', 8999);
	memcpy(huge, "Bearer realm=\"", 14);
	assert_int_equal(challenge_parse(huge, v, CHALLENGES_MAX), 1);
	assert_string_equal(v[0].realm, ""); /* cut values lead elsewhere: none is taken */
	assert_int_equal(challenge_parse("a, b, c, d, e, f, g, h, i, j, k", v, CHALLENGES_MAX), CHALLENGES_MAX);
}

static void test_choose(void **state)
{
	const char *basic_first[] = { "Basic realm=\"b\"", "Bearer realm=\"t\"", NULL };
	const char *none[] = { "Negotiate", NULL };
	struct challenge c;

	(void)state;
	assert_true(challenge_choose((char *const *)basic_first, &c));
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_false(challenge_choose((char *const *)none, &c));
}

/* ---------------------------------------------------------------- X-Registry-Auth */

static void test_creds(void **state)
{
	static const struct {
		const char *header, *user, *password, *identity, *registry;
	} rows[] = {
		/* {"username":"u","password":"p?>"} in both alphabets, with padding and without */
		{ "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA_PiJ9", "u", "p?>", NULL, NULL },
		{ "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA/PiJ9", "u", "p?>", NULL, NULL },
		/* {"auth":"dTpw"} */
		{ "eyJhdXRoIjoiZFRwdyJ9", "u", "p", NULL, NULL },
		/* {"identitytoken":"i"}, {"registrytoken":"r"} */
		{ "eyJpZGVudGl0eXRva2VuIjoiaSJ9", NULL, NULL, "i", NULL },
		{ "eyJyZWdpc3RyeXRva2VuIjoiciJ9", NULL, NULL, NULL, "r" },
		{ "e30=", NULL, NULL, NULL, NULL },
		{ "e30", NULL, NULL, NULL, NULL },
		{ "", NULL, NULL, NULL, NULL },
		{ NULL, NULL, NULL, NULL, NULL },
		{ "not base64!", NULL, NULL, NULL, NULL },
		{ "AAAA", NULL, NULL, NULL, NULL },
		{ "A", NULL, NULL, NULL, NULL },
		{ "====", NULL, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct reg_creds c;

		reg_creds_parse(rows[i].header, &c);
		assert_true(str_eq(c.user, rows[i].user));
		assert_true(str_eq(c.password, rows[i].password));
		assert_true(str_eq(c.identity_token, rows[i].identity));
		assert_true(str_eq(c.registry_token, rows[i].registry));
		reg_creds_fini(&c);
	}
}

static void test_basic(void **state)
{
	struct reg_creds c = { .user = xstrdup("u"), .password = xstrdup("p") }, none = { 0 };
	cleanup_free char *basic = reg_creds_basic(&c);

	(void)state;
	assert_string_equal(basic, "Basic dTpw");
	assert_null(reg_creds_basic(&none));
	reg_creds_fini(&c);
}

/* ---------------------------------------------------------------- manifests */

#define CONF "\"config\":{\"digest\":\"" D1 "\",\"size\":10,\"mediaType\":\"" MANIFEST_DOCKER_CONFIG "\"}"
#define LAYER "{\"digest\":\"" D2 "\",\"size\":20,\"mediaType\":\"" MANIFEST_DOCKER_LAYER "\"}"
#define ENTRY(d, arch, variant) \
	"{\"digest\":\"" d "\",\"size\":5,\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch \
	"\",\"variant\":\"" variant "\"}}"

static void test_manifests(void **state)
{
	static const struct {
		const char *text, *content_type, *refused; /* NULL: taken */
		const char *media_type;
		size_t n;
	} rows[] = {
		{ "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_DOCKER "\"," CONF ",\"layers\":[" LAYER "]}", NULL,
		  NULL, MANIFEST_DOCKER, 1 },
		{ "{" CONF ",\"layers\":[]}", MANIFEST_OCI "; charset=utf-8", NULL, MANIFEST_OCI, 0 },
		{ "{" CONF ",\"layers\":[" LAYER "," LAYER "]}", NULL, NULL, MANIFEST_OCI, 2 },
		{ "{\"manifests\":[" ENTRY(D1, "amd64", "") "]}", NULL, NULL, MANIFEST_OCI_INDEX, 1 },
		{ "{\"manifests\":[]," CONF ",\"layers\":[]}", NULL, "it is an index too", NULL, 0 },
		{ "{\"mediaType\":\"" MANIFEST_OCI_INDEX "\"," CONF ",\"layers\":[]}", NULL, "it is no", NULL, 0 },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, NULL, MANIFEST_SCHEMA1, 0 },
		{ "{\"schemaVersion\":1,\"fsLayers\":[],\"signatures\":[]}", "application/json", NULL,
		  MANIFEST_SCHEMA1_SIGNED, 0 },
		{ "{\"schemaVersion\":1,\"fsLayers\":[],\"layers\":[]}", NULL, "not one of schema 1 only", NULL, 0 },
		{ "{\"schemaVersion\":1}", NULL, "not one of schema 1 only", NULL, 0 },
		{ "{\"layers\":[]}", NULL, "no config", NULL, 0 },
		{ "{\"config\":{\"digest\":\"" D1 "\",\"size\":1,\"mediaType\":\"application/x-helm\"},\"layers\":[]}",
		  NULL, NULL, MANIFEST_OCI, 0 },
		{ "{" CONF ",\"layers\":[{\"digest\":\"sha256:../../x\",\"size\":1}]}", NULL, "bad digest", NULL, 0 },
		{ "{" CONF ",\"layers\":[{\"digest\":\"" D1 "\",\"size\":-1}]}", NULL, "bad size", NULL, 0 },
		{ "{" CONF ",\"layers\":[{\"digest\":\"" D1 "\",\"size\":9223372036854775807}]}", NULL, "bad size",
		  NULL, 0 },
		{ "{" CONF ",\"layers\":[7]}", NULL, "bad digest", NULL, 0 },
		{ "[]", NULL, "not an object", NULL, 0 },
		{ "{", NULL, "invalid manifest", NULL, 0 },
		{ "", NULL, "invalid manifest", NULL, 0 },
		{ "{\"mediaType\":\"text/html\"}", NULL, "unsupported manifest media type", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct manifest m = { 0 };
		struct err err = { 0 };
		int rc = manifest_parse(rows[i].text, strlen(rows[i].text), rows[i].content_type, &m, &err);

		print_message("%s\n", rows[i].text);
		if (rows[i].refused) {
			assert_true(rc < 0);
			assert_non_null(strstr(err.msg, rows[i].refused));
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(m.media_type, rows[i].media_type);
		assert_int_equal(m.n, rows[i].n);
		manifest_fini(&m);
	}
}

/* What is pulled as an image, and the words for what is not. */
static void test_artifacts(void **state)
{
	static const struct {
		const char *media_type, *config, *layer, *refused;
	} rows[] = {
		{ MANIFEST_DOCKER, MANIFEST_DOCKER_CONFIG, MANIFEST_DOCKER_LAYER, NULL },
		{ MANIFEST_DOCKER, "", "", NULL },
		{ MANIFEST_DOCKER, "application/octet-stream", "application/octet-stream", NULL },
		{ MANIFEST_OCI, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+zstd", NULL },
		{ MANIFEST_DOCKER, "application/vnd.docker.plugin.v1+json", "",
		  "Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching" },
		{ MANIFEST_DOCKER, "x/y", "", "Encountered remote \"x/y\"(unknown) when fetching" },
		{ MANIFEST_OCI, "application/vnd.docker.ai.model.config.v0.1+json", "", "AI models are not yet supported" },
		{ MANIFEST_OCI, "application/vnd.cncf.helm.config.v1+json", "",
		  "unsupported media type application/vnd.cncf.helm.config.v1+json" },
		{ MANIFEST_OCI, "", "application/vnd.oci.images_are_fun", "unsupported media type" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct descriptor layer = { .size = 1 };
		struct manifest m = { .v = &layer, .n = 1 };
		struct err err = { 0 };
		int rc;

		print_message("%s %s\n", rows[i].config, rows[i].layer);
		str_copy(m.media_type, sizeof(m.media_type), rows[i].media_type);
		str_copy(m.config.media_type, sizeof(m.config.media_type), rows[i].config);
		str_copy(layer.media_type, sizeof(layer.media_type), rows[i].layer);
		rc = manifest_check_image(&m, &err);
		assert_int_equal(rc < 0, rows[i].refused != NULL);
		if (rows[i].refused)
			assert_true(err.kind == ERR_BAD_PARAM && str_starts(err.msg, rows[i].refused));
	}
}

static void test_pick(void **state)
{
	static const char text[] = "{\"manifests\":[" ENTRY(D1, "arm", "v6") "," ENTRY(D2, "arm", "v7") "," ENTRY(
		D3, "arm64", "v8") "]}";
	static const struct {
		const char *platform, *digest;
	} rows[] = {
		{ "linux/arm/v7", D2 }, { "linux/arm/v6", D1 },	 { "linux/arm", D2 },	   { "linux/arm64", D3 },
		{ "linux/arm64/v8", D3 }, { "arm64", D3 }, { "linux/aarch64", D3 }, { "linux/s390x", NULL },
		{ "windows/amd64", NULL }, { "linux/arm/v5", NULL },
	};
	struct manifest m;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(manifest_parse(text, strlen(text), NULL, &m, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct descriptor *d;
		struct platform p;

		print_message("%s\n", rows[i].platform);
		assert_int_equal(platform_parse(rows[i].platform, &p, &err), 0);
		d = manifest_pick(&m, &p);
		assert_true(str_eq(d ? d->digest : NULL, rows[i].digest));
	}
	manifest_fini(&m);
}

static void test_write(void **state)
{
	struct descriptor c = { .media_type = MANIFEST_DOCKER_CONFIG, .digest = D1, .size = 7 };
	struct descriptor l[2] = { { .media_type = MANIFEST_DOCKER_LAYER, .digest = D2, .size = 8 },
				   { .media_type = MANIFEST_DOCKER_LAYER, .digest = D3, .size = 9 } };
	cleanup_buf struct buf b = BUF_INIT;
	struct manifest m;
	struct err err = { 0 };

	(void)state;
	for (size_t n = 0; n <= 2; n++) {
		buf_reset(&b);
		manifest_write(&c, l, n, &b);
		assert_int_equal(manifest_parse(b.p, b.len, NULL, &m, &err), 0);
		assert_string_equal(m.media_type, MANIFEST_DOCKER);
		assert_int_equal(m.config.size, 7);
		assert_int_equal(m.n, n);
		if (n)
			assert_string_equal(m.v[n - 1].digest, l[n - 1].digest);
		manifest_fini(&m);
	}
}

/* ---------------------------------------------------------------- hosts, refusals */

static void test_hosts(void **state)
{
	static const struct {
		const char *url, *host;
		bool loopback;
	} rows[] = {
		{ "https://registry-1.docker.io/v2/", "registry-1.docker.io", false },
		{ "http://127.0.0.1:5000/v2/", "127.0.0.1:5000", true },
		{ "http://localhost?x", "localhost", true },
		{ "http://[::1]:5000", "[::1]:5000", true },
		{ "http://localhost.evil.test/", "localhost.evil.test", false },
		{ "http://127.9.8.7", "127.9.8.7", true },
		{ "http://127.evil.test:5000/", "127.evil.test:5000", false },
		{ "http://127.0.0.1.evil.test/", "127.0.0.1.evil.test", false },
		{ "http://[fe80::1]:5000", "[fe80::1]:5000", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *host = http_host(rows[i].url);

		assert_string_equal(host, rows[i].host);
		assert_int_equal(http_host_is_loopback(host), rows[i].loopback);
	}
}

static void test_nets(void **state)
{
	static const struct {
		const char *net, *address;
		bool has;
	} rows[] = {
		{ "10.0.0.0/8", "10.1.2.3", true },	  { "10.0.0.0/8", "11.1.2.3", false },
		{ "10.1.2.128/25", "10.1.2.200", true },  { "10.1.2.128/25", "10.1.2.100", false },
		{ "10.1.2.3/32", "10.1.2.3", true },	  { "0.0.0.0/0", "10.1.2.3", true },
		{ "fd00::/8", "fd12::1", true },	  { "fd00::/8", "fe00::1", false },
		{ "fd00::/8", "10.1.2.3", false },	  { "10.0.0.0/33", "10.1.2.3", false },
		{ "10.0.0.0", "10.0.0.0", false },	  { "x/8", "10.1.2.3", false },
		{ "10.0.0.0/", "10.1.2.3", false },	  { "10.0.0.0/8", "name", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("%s in %s\n", rows[i].address, rows[i].net);
		assert_int_equal(registry_net_has(rows[i].net, rows[i].address), rows[i].has);
	}
}

/* X-Registry-Config: {"https://reg.example/v1/": ..., "127.0.0.1:5000": ..., "https://index.docker.io/v1/": ...} */
static void test_creds_for(void **state)
{
	static const char header[] =
		"eyJodHRwczovL3JlZy5leGFtcGxlL3YxLyI6eyJ1c2VybmFtZSI6Im9sZCJ9LCIxMjcuMC4wLjE6NTAwMCI6eyJ1c2VybmFtZSI6ImxvIn0sImh0dHB"
		"zOi8vaW5kZXguZG9ja2VyLmlvL3YxLyI6eyJ1c2VybmFtZSI6Imh1YiJ9fQ==";
	static const struct {
		const char *domain, *user;
	} rows[] = {
		{ "docker.io", "hub" }, { "127.0.0.1:5000", "lo" }, { "reg.example", "old" },
		{ "reg.exampl", NULL }, { "reg.example:443", NULL }, { "index.docker.io", "hub" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct reg_creds c;

		print_message("%s\n", rows[i].domain);
		reg_creds_for(header, rows[i].domain, &c);
		assert_true(str_eq(c.user, rows[i].user));
		reg_creds_fini(&c);
	}
}

static void test_upload_ranges(void **state)
{
	static const struct {
		const char *range;
		int64_t done;
	} rows[] = {
		{ "0-1023", 1024 }, { "0-1", 2 }, { "0-0", 0 }, { "1-5", 0 },  { "bytes=0-5", 0 },
		{ "0-", 0 },	    { "", 0 },	  { NULL, 0 },	{ "0--5", 0 }, { "0-99999999999999999999", 0 },
		{ "0-5x", 0 },	    { "0-9223372036854775807", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("%s\n", rows[i].range ? rows[i].range : "none");
		assert_int_equal(push_range_done(rows[i].range), rows[i].done);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		long status;
		const char *body, *challenge, *words;
		enum reg_refusal why;
	} rows[] = {
		{ 404, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}", NULL,
		  "manifest unknown: manifest unknown", REG_MANIFEST_UNKNOWN },
		{ 404, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}", NULL,
		  "name unknown: repository name not known to registry", REG_NAME_UNKNOWN },
		{ 403, "", NULL, "denied: requested access to the resource is denied", REG_DENIED },
		{ 401, "<html>", NULL, "unauthorized: authentication required", REG_UNAUTHORIZED },
		{ 401, "", "Bearer realm=\"x\",error=\"insufficient_scope\"",
		  "denied: requested access to the resource is denied", REG_DENIED },
		{ 429, "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down\"}]}", NULL,
		  "toomanyrequests: slow down", REG_OTHER },
		{ 400, "{\"errors\":[{\"code\":\"EVIL\",\"message\":\"m\"}]}", NULL, "unknown: m", REG_OTHER },
		{ 500, "", NULL, "received unexpected HTTP status: 500", REG_OTHER },
		{ 404, "{\"errors\":[]}", NULL, "error parsing HTTP 404 response body", REG_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_answer a = { .status = rows[i].status, .challenges = strv_split("", ',') };
		enum reg_refusal why;
		struct err err = { 0 };

		buf_addstr(&a.body, rows[i].body);
		if (rows[i].challenge)
			strv_add(&a.challenges, rows[i].challenge);
		assert_true(registry_refused(&a, &why, &err) < 0);
		assert_true(str_starts(err.msg, rows[i].words));
		assert_int_equal(why, rows[i].why);
		http_answer_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenges),   cmocka_unit_test(test_challenge_limits),
		cmocka_unit_test(test_choose),	     cmocka_unit_test(test_creds),
		cmocka_unit_test(test_basic),	     cmocka_unit_test(test_manifests),
		cmocka_unit_test(test_pick),	     cmocka_unit_test(test_write),
		cmocka_unit_test(test_hosts),	     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nets),	     cmocka_unit_test(test_creds_for),
		cmocka_unit_test(test_upload_ranges), cmocka_unit_test(test_artifacts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
