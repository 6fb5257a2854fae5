/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* The object store's pure parts: settings and URLs, credentials, HTTP signatures, the index, and what is read of a .gz. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "cleanup.h"
#include "fs.h"
#include "log_store.h"
#include "logsvc/archive_index.h"
#include "logsvc/archiver_intake.h"
#include "logsvc/store_key.h"
#include "logsvc/store_sign.h"
#include "str.h"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define OBJ  "/" UUID "/zones/" UUID "/stdio.log.20260822T123456Z.gz"

static void test_urls(void **state)
{
	static const struct {
		struct log_store_settings s;
		const char *want; /* of OBJ without its name; NULL: refused ... */
		const char *why;  /* ... naming this */
	} rows[] = {
		{ { "s3", "http://h", "b", "path", "r" }, "http://h/b", NULL },
		{ { "s3", "http://h:80", "b", "path", "r" }, "http://h/b", NULL },
		{ { "s3", "https://h:443/", "b/p/q", "path", "r" }, "https://h/b/p/q", NULL },
		{ { "s3", "https://h:9000/base", "b", "path", "r" }, "https://h:9000/base/b", NULL },
		{ { "s3", "https://s3.example:9000", "b/p", "virtual-host", "r" }, "https://b.s3.example:9000/p", NULL },
		{ { "s3", "http://[::1]:9000", "b", "path", "r" }, "http://[::1]:9000/b", NULL },
		{ { "manta", "https://manta.example", "op/stor/logs", "path", "r" }, "https://manta.example/op/stor/logs", NULL },
		{ { "s3", "http://[::1]", "b", "virtual-host", "r" }, NULL, "LOG_ARCHIVE_STYLE" },
		{ { "s3", "http://10.0.0.1", "b", "virtual-host", "r" }, NULL, "LOG_ARCHIVE_STYLE" },
		{ { "s3", "http://[::g]", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h:0", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h:", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h:123456", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://u:p@h", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h/?x", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h/a//b", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "ftp://h", "b", "path", "r" }, NULL, "LOG_ARCHIVE_URL" },
		{ { "s3", "http://h", "", "path", "r" }, NULL, "LOG_ARCHIVE_BUCKET" },
		{ { "s3", "http://h", "b/../c", "path", "r" }, NULL, "LOG_ARCHIVE_BUCKET" },
		{ { "s3", "http://h", "/b", "path", "r" }, NULL, "LOG_ARCHIVE_BUCKET" },
		{ { "s3", "http://h", "b%20", "path", "r" }, NULL, "LOG_ARCHIVE_BUCKET" },
		{ { "manta", "http://h", "b", "path", "r" }, NULL, "LOG_ARCHIVE_BUCKET" },
		{ { "s3", "http://h", "b", "dns", "r" }, NULL, "LOG_ARCHIVE_STYLE" },
		{ { "gcs", "http://h", "b", "path", "r" }, NULL, "LOG_ARCHIVE_TYPE" },
		{ { "s3", "http://h", "b", "path", "" }, NULL, "LOG_ARCHIVE_REGION" },
		{ { "s3", "http://h", "b", "path", "eu:s3" }, NULL, "LOG_ARCHIVE_REGION" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf url = BUF_INIT;
		cleanup_free char *want = rows[i].want ? xasprintf("%s%s", rows[i].want, OBJ) : NULL;
		struct log_store at;
		struct err err = { 0 };
		int rc = log_store_parse(&rows[i].s, &at, &err);

		if (!want) {
			assert_true(rc < 0);
			assert_memory_equal(err.msg, rows[i].why, strlen(rows[i].why));
			continue;
		}
		assert_int_equal(rc, 0);
		log_store_url(&at, OBJ, &url);
		assert_string_equal(buf_str(&url), want);
	}
}

static void test_object_names(void **state)
{
	char out[LOG_OBJECT_MAX];

	(void)state;
	assert_int_equal(log_store_object(out, UUID, UUID, "stdio.log.20260822T123456Z.gz"), 0);
	assert_string_equal(out, OBJ);
	assert_true(log_store_object(out, "a/..", UUID, "x") < 0);
	assert_true(log_store_object(out, "", UUID, "x") < 0);
	assert_true(log_store_object(out, "a b", UUID, "x") < 0);
}

static void test_keys(void **state)
{
	static const struct {
		const char *text;
		bool manta;
		const char *id, *secret, *token, *pem; /* id NULL: refused */
	} rows[] = {
		{ "access-key-id = AK\nsecret-access-key=S/K+=\n", false, "AK", "S/K+=", NULL, NULL },
		{ "# c\n\n access-key-id=AK\r\nsecret-access-key = S\r\nsession-token = T", false, "AK", "S", "T", NULL },
		{ "key-id = /l/keys/aa\nprivate-key = /k.pem\n", true, "/l/keys/aa", NULL, NULL, "/k.pem" },
		{ "access-key-id = AK\n", false, NULL, NULL, NULL, NULL },
		{ "secret-access-key = S\n", false, NULL, NULL, NULL, NULL },
		{ "key-id = x\nprivate-key = y\n", false, NULL, NULL, NULL, NULL },
		{ "key-id = x\n", true, NULL, NULL, NULL, NULL },
		{ "access-key-id = a b\nsecret-access-key = S\n", false, NULL, NULL, NULL, NULL },
		{ "access-key-id =\nsecret-access-key = S\n", false, NULL, NULL, NULL, NULL },
		{ "nonsense\n", false, NULL, NULL, NULL, NULL },
		{ "", false, NULL, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = xstrdup(rows[i].text), *pem = NULL;
		struct store_key key;
		struct err err = { 0 };
		int rc = store_key_parse(text, rows[i].manta, &key, &pem, &err);

		assert_int_equal(rc < 0, rows[i].id == NULL);
		if (rc < 0)
			continue;
		assert_string_equal(key.id, rows[i].id);
		assert_true(str_eq(key.secret, rows[i].secret));
		assert_true(str_eq(key.token, rows[i].token));
		assert_true(str_eq(pem, rows[i].pem));
		store_key_fini(&key);
	}
}

/* What the header says verifies with the public half, over "date: ...". */
static void check_signature(EVP_PKEY *key, const char *algorithm)
{
	static const char date[] = "Sat, 22 Aug 2026 12:34:56 GMT";
	cleanup_buf struct buf out = BUF_INIT;
	cleanup_free char *pem = NULL, *head = xasprintf("Signature keyId=\"/l/keys/aa\",algorithm=\"%s\",signature=\"", algorithm);
	unsigned char sig[1024];
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct err err = { 0 };
	char *p;
	long n;
	int len;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	pem = xstrndup(p, (size_t)n);
	assert_int_equal(http_signature("/l/keys/aa", pem, date, &out, &err), 0);
	assert_true(str_starts(buf_str(&out), head));
	assert_true(str_ends(buf_str(&out), "\""));
	p = out.p + strlen(head);
	out.p[out.len - 1] = '\0';
	len = EVP_DecodeBlock(sig, (unsigned char *)p, (int)strlen(p));
	assert_true(len > 0);
	while (p[0] && out.p[out.len - 2] == '=') { /* padding decodes to zeros */
		len--;
		out.len--;
	}
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, (size_t)len, (const unsigned char *)"date: Sat, 22 Aug 2026 12:34:56 GMT",
					  strlen("date: Sat, 22 Aug 2026 12:34:56 GMT")), 1);
	EVP_MD_CTX_free(ctx);
	BIO_free(bio);
	EVP_PKEY_free(key);
}

static void test_signatures(void **state)
{
	cleanup_buf struct buf out = BUF_INIT;
	char date[HTTP_DATE_MAX];
	struct err err = { 0 };

	(void)state;
	http_date(date, 1787402096);
	assert_string_equal(date, "Sat, 22 Aug 2026 12:34:56 GMT");
	http_date(date, 0);
	assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
	check_signature(EVP_RSA_gen(2048), "rsa-sha256");
	check_signature(EVP_EC_gen("P-256"), "ecdsa-sha256");
	assert_true(http_signature("k", "no key", date, &out, &err) < 0);
	assert_true(http_signature("k", "", date, &out, &err) < 0);
}

static const struct archive_entry entry = {
	.name = "stdio.log.20260822T123456Z.gz",
	.object = OBJ,
	.sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	.size = 123,
	.bytes = 4567,
	.first_ns = 1787402096789012345LL,
	.last_ns = 1787402099000000000LL,
};

static bool count(void *arg, const struct archive_entry *e)
{
	assert_int_equal(e->bytes, entry.bytes);
	return ++*(int *)arg < 100;
}

static void test_index(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{}", "null", "{\"name\":\"x\"}",
		"{\"name\":\"a/b\",\"object\":\"/o\",\"size\":1,\"bytes\":1,\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
		"{\"name\":\"a\",\"object\":\"o\",\"size\":1,\"bytes\":1,\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
		"{\"name\":\"a\",\"object\":\"/o\",\"size\":-1,\"bytes\":1,\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
		"{\"name\":\"a\",\"object\":\"/o\",\"size\":1,\"bytes\":1,\"sha256\":\"0123\"}",
	};
	char dir[] = "/tmp/test_archive.XXXXXX", path[128];
	cleanup_buf struct buf line = BUF_INIT;
	struct archive_entry back;
	struct err err = { 0 };
	cleanup_fd int dir_fd = -1;
	FILE *f;
	int n = 0;

	(void)state;
	archive_index_format(&entry, &line);
	assert_true(archive_index_parse(line.p, line.len - 1, &back));
	assert_memory_equal(&back, &entry, sizeof(entry));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(archive_index_parse(bad[i], strlen(bad[i]), &back));
	for (size_t len = 0; len < line.len - 1; len++) /* a torn line is none */
		assert_false(archive_index_parse(line.p, len, &back));
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	archive_index_each(dir_fd, count, &n);
	assert_int_equal(n, 0);
	for (int i = 0; i < 300; i++) /* more than a block of them */
		assert_int_equal(archive_index_append(dir_fd, &entry, &err), 0);
	snprintf(path, sizeof(path), "%s/" ARCHIVE_INDEX_NAME, dir);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("{\"name\":\"torn", f);
	fclose(f);
	assert_int_equal(archive_index_append(dir_fd, &entry, &err), 0); /* is kept apart from the torn one */
	n = -1000;
	archive_index_each(dir_fd, count, &n);
	assert_int_equal(n, -1000 + 301);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

static size_t pack(const char *text, size_t len, unsigned char *out, size_t size)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)text;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return size - z.avail_out;
}

static void test_intake(void **state)
{
	static char text[300000];
	static unsigned char gz[300000];
	cleanup_fd int fd = memfd_create("t", MFD_CLOEXEC);
	struct intake_result r;
	struct err err = { 0 };
	struct intake *in;
	size_t len = 0, n;
	int sec;

	(void)state;
	for (sec = 0; len < sizeof(text) - 200; sec++)
		len += (size_t)snprintf(text + len, 200, "{\"log\":\"%d\\n\",\"stream\":\"stdout\",\"time\":\"2026-08-22T12:%02d:%02d.5Z\"}\n", sec,
					sec / 60 % 60, sec % 60);
	sec--;
	n = pack(text, len, gz, sizeof(gz));
	assert_int_equal(fs_write_all(fd, gz, n), 0);
	assert_int_equal(intake_file(fd, &r, &err), 0);
	assert_int_equal(r.size, n);
	assert_int_equal(r.bytes, len);
	assert_int_equal(r.first_ns, 1787400000500000000LL);
	assert_int_equal(r.last_ns, 1787400000500000000LL + (int64_t)(sec % 3600) * 1000000000);
	for (size_t block = 1; block < n; block = block * 7 + 1) { /* in pieces of any size */
		struct intake_result again;

		in = intake_new(-1, (int64_t)len);
		for (size_t at = 0; at < n; at += block)
			assert_int_equal(intake_add(in, gz + at, n - at < block ? n - at : block, &err), 0);
		assert_int_equal(intake_end(in, &again, &err), 0);
		assert_memory_equal(&again, &r, sizeof(r));
		intake_free(in);
	}
	in = intake_new(-1, (int64_t)len - 1); /* a bomb */
	assert_int_equal(intake_add(in, gz, n, &err), -EFBIG);
	intake_free(in);
	in = intake_new(-1, (int64_t)len);
	assert_int_equal(intake_add(in, gz, n - 1, &err), 0);
	assert_int_equal(intake_end(in, &r, &err), -EBADMSG);
	intake_free(in);
	gz[n / 2] ^= 1;
	in = intake_new(-1, (int64_t)len * 2);
	assert_true(intake_add(in, gz, n, &err) < 0 || intake_end(in, &r, &err) < 0);
	intake_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),	   cmocka_unit_test(test_object_names), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_signatures), cmocka_unit_test(test_index),	  cmocka_unit_test(test_intake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
