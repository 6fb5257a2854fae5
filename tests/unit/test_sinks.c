/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Byte-exact vectors of the three network drivers: what Docker's own senders put on the wire, and where we differ on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "../../logsvc/sink_fluentd.h"
#include "../../logsvc/sink_gelf.h"
#include "../../logsvc/sink_otlp.h"
#include "../../logsvc/sink_syslog.h"
#include "cleanup.h"
#include "otlp.pb-c.h"
#include "str.h"

#define T0 1787402096789012345LL /* 2026-08-22T12:34:56.789012345Z */
#define CID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct sink_source source = {
	.container_id = CID,
	.container_name = "web",
	.image_id = "sha256:abababababababababababababababababababababababababababababababab",
	.image_name = "nginx:1.27",
	.command = "nginx -g daemon off;",
	.tag = "0123456789ab",
	.hostname = "h1",
	.created_ns = 1787400000123456789LL,
	.pid = 4242,
};

static struct sink_msg msg(const char *line, bool is_stderr)
{
	return (struct sink_msg){ .line = line, .len = strlen(line), .time_ns = T0, .is_stderr = is_stderr };
}

static void test_syslog_forms(void **state)
{
	static const struct {
		enum syslog_format format;
		bool octet, is_stderr;
		const char *tz, *want;
		size_t bytes;
	} rows[] = {
		{ SYSLOG_DEFAULT, false, false, "UTC", "<30>Aug 22 12:34:56 0123456789ab[4242]: hello\n", 46 },
		{ SYSLOG_RFC3164, false, false, "UTC", "<30>Aug 22 12:34:56 h1 0123456789ab[4242]: hello\n", 49 },
		{ SYSLOG_RFC5424, false, true, "EST-2", "<27>1 2026-08-22T14:34:56+02:00 h1 0123456789ab 4242 0123456789ab - hello\n", 74 },
		{ SYSLOG_RFC5424, true, true, "EST-2", "74 <27>1 2026-08-22T14:34:56+02:00 h1 0123456789ab 4242 0123456789ab - hello\n", 77 },
		{ SYSLOG_RFC5424MICRO, false, false, "EST-2",
		  "<30>1 2026-08-22T14:34:56.789012+02:00 h1 0123456789ab 4242 0123456789ab - hello\n", 81 },
		{ SYSLOG_RFC5424, false, false, "UTC", "<30>1 2026-08-22T12:34:56Z h1 0123456789ab 4242 0123456789ab - hello\n", 69 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct sink_msg m = msg("hello", rows[i].is_stderr), empty = msg("", false);
		struct syslog_enc e;

		setenv("TZ", rows[i].tz, 1);
		tzset();
		syslog_enc_init(&e, rows[i].format, 3, rows[i].octet, &source);
		syslog_encode(&e, &m, &b);
		syslog_encode(&e, &empty, &b);
		assert_string_equal(buf_str(&b), rows[i].want);
		assert_int_equal(b.len, rows[i].bytes);
	}
	setenv("TZ", "UTC", 1);
	tzset();
}

static void test_syslog_names(void **state)
{
	struct sink_source bad = source;
	cleanup_buf struct buf b = BUF_INIT;
	struct sink_msg m = msg("x", false);
	struct syslog_enc e;

	(void)state;
	assert_int_equal(syslog_facility("local7"), 23);
	assert_int_equal(syslog_facility(""), 3);
	assert_int_equal(syslog_facility("13"), 13);
	assert_int_equal(syslog_facility("24"), -1);
	assert_int_equal(syslog_facility("nosuch"), -1);
	assert_int_equal(syslog_format("rfc5424micro"), SYSLOG_RFC5424MICRO);
	assert_int_equal(syslog_format("RFC5424"), -1);
	bad.tag = "a tag\x01 of more than forty-eight characters, which RFC 5424 forbids";
	syslog_enc_init(&e, SYSLOG_RFC5424, 3, false, &bad);
	syslog_encode(&e, &m, &b);
	assert_non_null(strstr(buf_str(&b), " a_tag__of_more_than_forty-eight_characters,_whic 4242 a_tag__of_more_than_forty-eight_ - x\n"));
}

static void test_gelf(void **state)
{
	static const char want[] =
		"{\"version\":\"1.1\",\"host\":\"h1\",\"short_message\":\"hello\",\"timestamp\":1787402096.789,\"level\":6,"
		"\"_command\":\"nginx -g daemon off;\",\"_container_id\":\"" CID "\",\"_container_name\":\"web\","
		"\"_created\":\"2026-08-22T12:00:00.123456789Z\",\"_image_id\":\"sha256:abababababababababababababababababababababababababababababababab\","
		"\"_image_name\":\"nginx:1.27\",\"_stream\":\"stdout\",\"_tag\":\"0123456789ab\"}";
	const char *attrs[] = { "_tag", "evil", "com.docker/x", "1", "id", "7", NULL };
	cleanup_buf struct buf b = BUF_INIT;
	struct sink_msg m = msg("hello", false);
	struct sink_source src = source;
	struct gelf_enc e;

	(void)state;
	gelf_enc_init(&e, &src);
	gelf_encode(&e, &m, &b);
	assert_string_equal(buf_str(&b), want);
	gelf_enc_fini(&e);
	src.attrs = attrs;
	gelf_enc_init(&e, &src);
	m.time_ns = 1787402096000000000LL;
	m.partial = true;
	m.partial_ordinal = 2;
	str_copy(m.partial_id, sizeof(m.partial_id), "ab");
	buf_reset(&b);
	gelf_encode(&e, &m, &b);
	assert_non_null(strstr(buf_str(&b), "\"timestamp\":1787402096,\"level\":6"));
	assert_non_null(strstr(buf_str(&b), "\"_tag\":\"0123456789ab\",\"_x_tag\":\"evil\",\"_com.docker_x\":\"1\",\"_x_id\":\"7\""));
	assert_non_null(strstr(buf_str(&b), "\"_partial_id\":\"ab\",\"_partial_last\":\"false\",\"_partial_ordinal\":\"2\"}"));
	gelf_enc_fini(&e);
}

struct grams {
	size_t n, last, total;
	unsigned char index[128], count, id[8];
};

static int take_gram(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct grams *g = arg;

	(void)body;
	if (head_len) {
		assert_memory_equal(head, "\x1e\x0f", 2);
		g->index[g->n] = ((const unsigned char *)head)[10];
		g->count = ((const unsigned char *)head)[11];
		assert_int_equal(head_len, 12);
		if (g->n)
			assert_memory_equal(g->id, (const char *)head + 2, 8);
		memcpy(g->id, (const char *)head + 2, 8);
	}
	g->n++;
	g->last = head_len + body_len;
	g->total += body_len;
	return 0;
}

static void test_gelf_chunks(void **state)
{
	static const struct {
		size_t len, datagrams, last;
		int rc;
	} rows[] = {
		{ 1420, 1, 1420, 0 },	     { 1421, 2, 12 + 13, 0 },	  { 2816, 2, 1420, 0 },
		{ 2817, 3, 13, 0 },	     { 180224, 128, 1420, 0 },	  { 180225, 0, 0, -90 },
	};
	cleanup_free char *p = xcalloc(1, 200000);
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct grams g = { 0 };

		assert_int_equal(gelf_datagrams(p, rows[i].len, take_gram, &g), rows[i].rc);
		assert_int_equal(g.n, rows[i].datagrams);
		assert_int_equal(g.last, rows[i].last);
		if (!rows[i].rc)
			assert_int_equal(g.total, rows[i].len);
		for (k = 0; g.n > 1 && k < g.n; k++)
			assert_int_equal(g.index[k], k);
		assert_int_equal(g.count, g.n > 1 ? g.n : 0);
	}
}

/* graygelf knows a message by the first six bytes of its id, and of those by seven bits */
static void test_gelf_ids(void **state)
{
	static unsigned char seen[2000][6];
	char p[1500] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		struct grams g = { 0 };

		assert_int_equal(gelf_datagrams(p, sizeof(p), take_gram, &g), 0);
		for (size_t k = 0; k < 6; k++)
			seen[i][k] = g.id[k] & 0x7f;
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[i], seen[k], 6);
	}
}

static void test_gelf_compression(void **state)
{
	static const struct {
		enum gelf_compression how;
		const char *magic;
		int window;
	} rows[] = { { GELF_GZIP, "\x1f\x8b\x08", 31 }, { GELF_ZLIB, "\x78\x01", 15 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		char back[64] = "";
		z_stream z = { 0 };

		assert_int_equal(gelf_compress(rows[i].how, 1, "{\"a\":1}", 7, &b), 0);
		assert_memory_equal(b.p, rows[i].magic, strlen(rows[i].magic));
		inflateInit2(&z, rows[i].window);
		z.next_in = (unsigned char *)b.p;
		z.avail_in = (unsigned)b.len;
		z.next_out = (unsigned char *)back;
		z.avail_out = sizeof(back);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		inflateEnd(&z);
		assert_string_equal(back, "{\"a\":1}");
	}
}

static void test_fluentd_bytes(void **state)
{
	/* the time and the record as Docker's bytes have them, with and without sub-second precision */
	static const char head[] = "92";
	static const char event_time[] = "d7006a8997702f075f79", seconds[] = "d26a899770";
	static const char rest[] = "84ac636f6e7461696e65725f6964d940"
				   "30313233343536373839616263646566303132333435363738396162636465663031323334353637383961626364656630313233"
				   "343536373839616263646566ae636f6e7461696e65725f6e616d65a42f776562a6736f75726365a67374646f7574a36c6f67a5"
				   "68656c6c6f";
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		cleanup_buf struct buf b = BUF_INIT;
		cleanup_free char *hex = NULL, *want = xasprintf("%s%s%s", head, i ? event_time : seconds, rest);
		struct sink_msg m = msg("hello", false);
		struct fluentd_enc e;

		fluentd_enc_init(&e, i == 1, &source);
		fluentd_entry(&e, &m, &b);
		hex = xmalloc(2 * b.len + 1);
		hex_encode(hex, b.p, b.len);
		assert_string_equal(hex, want);
		assert_int_equal(b.len, i ? 135 : 130);
		fluentd_enc_fini(&e);
	}
}

static void test_fluentd_attrs_and_pack(void **state)
{
	const char *attrs[] = { "foo", "bar", "log", "clobber", NULL };
	cleanup_buf struct buf entries = BUF_INIT;
	cleanup_buf struct buf b = BUF_INIT;
	struct sink_source src = source;
	struct sink_msg m = msg("x", true);
	struct fluentd_enc e;

	(void)state;
	src.attrs = attrs;
	fluentd_enc_init(&e, true, &src);
	fluentd_entry(&e, &m, &entries);
	assert_int_equal((unsigned char)entries.p[0], 0x92);
	assert_non_null(memmem(entries.p, entries.len, "\xa5x_log\xa7"
						       "clobber",
			       14));
	fluentd_pack(&e, &entries, 1, "c==", &b);
	assert_int_equal((unsigned char)b.p[0], 0x93);
	assert_memory_equal(b.p + b.len - 16, "\xa4size\x01\xa5"
						  "chunk\xa3"
						  "c==",
			    16);
	fluentd_enc_fini(&e);
}

static void test_fluentd_answers(void **state)
{
	static const char ack[] = "\x81\xa3"
				  "ack\xb8"
				  "cJeJagAAAABS/fwHIYJlTQ==";
	static const char helo[] = "\x92\xa4HELO\x82\xa5nonce\xc4\x04"
				   "abcd\xa4"
				   "auth\xa0";
	static const char pong_no[] = "\x95\xa4PONG\xc2\xa6wrong!\xa0\xa0";
	static const char pong_yes[] = "\x95\xa4PONG\xc3\xa0\xa0\xa0";
	struct err err = { 0 };
	char nonce[64];
	size_t n, i;

	(void)state;
	assert_int_equal(fluentd_ack(ack, sizeof(ack) - 1, "cJeJagAAAABS/fwHIYJlTQ=="), sizeof(ack) - 1);
	assert_int_equal(fluentd_ack(ack, sizeof(ack) - 1, "other"), -22);
	for (i = 0; i < sizeof(ack) - 1; i++)
		assert_int_equal(fluentd_ack(ack, i, "cJeJagAAAABS/fwHIYJlTQ=="), 0);
	assert_int_equal(fluentd_ack("\xc1", 1, "x"), -22);
	assert_int_equal(fluentd_ack("\xdd\xff\xff\xff\xff", 5, "x"), -22); /* room for four billion members */
	assert_int_equal(fluentd_ack("\xdb\xff\xff\xff\xff", 5, "x"), -22);
	assert_int_equal(fluentd_ack("\x81\xa3" "ack\xa1", 6, "x"), 0);
	assert_int_equal(fluentd_helo(helo, sizeof(helo) - 1, nonce, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(nonce, "abcd", 4);
	assert_int_equal(fluentd_helo(helo, 9, nonce, &n), -11);
	assert_int_equal(fluentd_pong(pong_yes, sizeof(pong_yes) - 1, &err), 0);
	assert_true(fluentd_pong(pong_no, sizeof(pong_no) - 1, &err) < 0);
	assert_non_null(strstr(err.msg, "wrong!"));
}

/* PING: the digest is SHA-512 of salt, host name, nonce and key, in hex (the Forward protocol; computed by Python's hashlib) */
static void test_fluentd_ping(void **state)
{
	static const char want[] = "\x96\xa4PING\xa2h1\xb0"
				   "0123456789abcdef\xd9\x80"
				   "d208f79966a75e6663fd55823dff0deea3cd36d78d0a8afd9ccec72eb42dcaee"
				   "2b5e4108b09d4727e19514a2cdb163fa8a400a02dba164cb01c2ab3f6ce9e39d\xa0\xa0";
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	fluentd_ping("h1", "key", "abcd", 4, "0123456789abcdef", &b);
	assert_int_equal(b.len, sizeof(want) - 1);
	assert_memory_equal(b.p, want, b.len);
}

/* the records of a split line: all values are strings, and the piece that ends it says so */
static void test_fluentd_pieces(void **state)
{
	static const char want[] = "\xafpartial_message\xa4true\xaapartial_id\xa2"
				   "ab\xafpartial_ordinal\xa2"
				   "12\xacpartial_last\xa4true";
	cleanup_buf struct buf b = BUF_INIT;
	struct sink_msg m = msg("", true);
	struct fluentd_enc e;

	(void)state;
	m.partial = m.partial_last = true;
	m.partial_ordinal = 12;
	str_copy(m.partial_id, sizeof(m.partial_id), "ab");
	fluentd_enc_init(&e, false, &source);
	fluentd_entry(&e, &m, &b);
	assert_int_equal((unsigned char)b.p[6], 0x88);
	assert_true(b.len > sizeof(want));
	assert_memory_equal(b.p + b.len - (sizeof(want) - 1), want, sizeof(want) - 1);
	fluentd_enc_fini(&e);
}

static void test_otlp(void **state)
{
	const char *attrs[] = { "container.id", "forged", "team", "a", NULL };
	cleanup_buf struct buf b = BUF_INIT;
	struct sink_source src = source;
	struct sink_msg m = msg("hello", false), m2 = msg("bad", true);
	Otlp__ExportLogsRequest *r;
	Otlp__ResourceLogs *rl;
	struct otlp_enc e;
	char text[256];
	int64_t rejected;

	(void)state;
	src.attrs = attrs;
	otlp_enc_init(&e, &src, NULL);
	otlp_record(&e, &m);
	otlp_record(&e, &m2);
	otlp_request(&e, &b);
	r = otlp__export_logs_request__unpack(NULL, b.len, (uint8_t *)b.p);
	assert_non_null(r);
	assert_int_equal(r->n_resource_logs, 1);
	rl = r->resource_logs[0];
	assert_int_equal(rl->resource->n_attributes, 7);
	assert_string_equal(rl->resource->attributes[0]->key, "container.id");
	assert_int_equal(rl->resource->attributes[0]->value->string_value.len, strlen(CID));
	assert_memory_equal(rl->resource->attributes[0]->value->string_value.data, CID, strlen(CID));
	assert_int_equal(rl->resource->attributes[5]->value->string_value.len, strlen("web"));
	assert_memory_equal(rl->resource->attributes[5]->value->string_value.data, "web", strlen("web"));
	assert_int_equal(rl->scope_logs[0]->n_log_records, 2);
	assert_true(rl->scope_logs[0]->log_records[0]->time_unix_nano == T0);
	assert_int_equal(rl->scope_logs[0]->log_records[0]->body->string_value.len, strlen("hello"));
	assert_memory_equal(rl->scope_logs[0]->log_records[0]->body->string_value.data, "hello", strlen("hello"));
	assert_int_equal(rl->scope_logs[0]->log_records[1]->severity_number, 17);
	otlp__export_logs_request__free_unpacked(r, NULL);
	otlp_reset(&e);
	assert_int_equal(e.n, 0);
	otlp_enc_fini(&e);
	assert_int_equal(otlp_response("", 0, &rejected, text), 0);
	assert_int_equal(rejected, 0);
	assert_int_equal(otlp_response("\x0a\x07\x08\x03\x12\x03why", 9, &rejected, text), 0);
	assert_int_equal(rejected, 3);
	assert_string_equal(text, "why");
	assert_int_equal(otlp_response("\xff\xff", 2, &rejected, text), -22);
	assert_true(otlp_retryable(503) && otlp_retryable(429) && !otlp_retryable(500) && !otlp_retryable(400));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syslog_forms),	 cmocka_unit_test(test_syslog_names),
		cmocka_unit_test(test_gelf),		 cmocka_unit_test(test_gelf_chunks),
		cmocka_unit_test(test_gelf_ids),
		cmocka_unit_test(test_gelf_compression), cmocka_unit_test(test_fluentd_bytes),
		cmocka_unit_test(test_fluentd_attrs_and_pack), cmocka_unit_test(test_fluentd_answers),
		cmocka_unit_test(test_fluentd_ping),	       cmocka_unit_test(test_fluentd_pieces),
		cmocka_unit_test(test_otlp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
