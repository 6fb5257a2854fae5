/* SPDX-License-Identifier: MPL-2.0
 *
 * test_forward.c - what forwarding is made of: addresses of sinks, the cursor file, lists of files.
 */
/* links: logsvc */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_addr.h"
#include "logsvc/cursor.h"
#include "logsvc/removed.h"
#include "fs.h"
#include "logsvc/logger_files.h"
#include "logsvc/logger_marks.h"
#include "logsvc/logger_policy.h"
#include "logsvc/logset.h"
#include "log_otlp.h"
#include "str.h"
#include "cleanup.h"

typedef int (*parse_fn)(const char *value, struct log_addr *out, struct err *err);

static void test_addresses(void **state)
{
	static const struct {
		parse_fn parse;
		const char *value, *want; /* kind host port, or the message */
	} rows[] = {
		{ log_addr_syslog, "udp://h", "1 h 514" },
		{ log_addr_syslog, "tcp://h:5", "0 h 5" },
		{ log_addr_syslog, "tcp+tls://H.x:6514", "2 H.x 6514" },
		{ log_addr_syslog, "udp://[::1]", "1 ::1 514" },
		{ log_addr_syslog, "udp://[::1]:9", "1 ::1 9" },
		{ log_addr_syslog, "http://h", "unsupported scheme: 'http'" },
		{ log_addr_syslog, "localhost:514", "unsupported scheme: 'localhost'" },
		{ log_addr_syslog, "1.2.3.4:514", "parse \"1.2.3.4:514\": first path segment in URL cannot contain colon" },
		{ log_addr_syslog, "unix:///no/such", "3 /no/such " },
		{ log_addr_syslog, "unixgram:///dev/log", "4 /dev/log " },
		{ log_addr_syslog, "unix://", "a unix socket needs an absolute path, not ''" },
		{ log_addr_fluentd, "unix:///f", "3 /f " },
		{ log_addr_syslog, "tcp://h:99999", "invalid port: strconv.ParseUint: parsing \"99999\": value out of range" },
		{ log_addr_syslog, "tcp://h:0", "invalid port: strconv.ParseUint: parsing \"0\": value out of range" },
		{ log_addr_syslog, "tcp://h:5x", "parse \"tcp://h:5x\": invalid port \":5x\" after host" },
		{ log_addr_syslog, "://h", "parse \"://h\": missing protocol scheme" },
		{ log_addr_fluentd, "h:123456",
		  "invalid fluentd-address (h:123456): invalid port: strconv.ParseUint: parsing \"123456\": value out of range" },
		{ log_addr_syslog, "", "missing required log opt 'syslog-address' for log driver: syslog" },
		{ log_addr_fluentd, "", "0 127.0.0.1 24224" },
		{ log_addr_fluentd, "h", "0 h 24224" },
		{ log_addr_fluentd, "h:1", "0 h 1" },
		{ log_addr_fluentd, "tls://h", "2 h 24224" },
		{ log_addr_fluentd, "udp://h", "invalid fluentd-address (udp://h): unsupported scheme: 'udp'" },
		{ log_addr_fluentd, "h/", "invalid fluentd-address (h/): should not contain a path element" },
		{ log_addr_fluentd, "unix://", "invalid fluentd-address (unix://): path is empty" },
		{ log_addr_gelf, "udp://h:1", "1 h 1" },
		{ log_addr_gelf, "tcp://h:1", "0 h 1" },
		{ log_addr_gelf, "", "gelf-address is a required parameter" },
		{ log_addr_gelf, "http://h:1", "gelf: endpoint needs to be TCP or UDP" },
		{ log_addr_gelf, "udp://h", "gelf: please provide gelf-address as proto://host:port" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct log_addr a = { 0 };
		struct err err = { 0 };
		char got[1200];

		if (rows[i].parse(rows[i].value, &a, &err) < 0)
			snprintf(got, sizeof(got), "%s", err.msg);
		else
			snprintf(got, sizeof(got), "%d %s %s", (int)a.kind, a.host, a.port);
		assert_string_equal(got, rows[i].want);
	}
}

static void test_cursor(void **state)
{
	struct cursor c = { .ino = 7, .off = 100, .delivered = 3 }, got;
	int fd = memfd_create("cursor", MFD_CLOEXEC);

	(void)state;
	assert_false(cursor_load(fd, &got));
	for (int i = 0; i < 5; i++) {
		c.off++;
		assert_int_equal(cursor_save(fd, &c), 0);
		assert_true(cursor_load(fd, &got));
		assert_int_equal(got.off, c.off);
	}
	/* the slot that was written last is torn: the one before holds */
	assert_int_equal(pwrite(fd, "torn", 4, 40), 4);
	assert_true(cursor_load(fd, &got));
	assert_int_equal(got.off, c.off - 1);
	assert_int_equal(cursor_save(fd, &c), 0);
	assert_true(cursor_load(fd, &got));
	assert_int_equal(got.off, c.off);
	close(fd);
}

static void remove_file(struct forward_commit *page, uint64_t ino, uint64_t lines)
{
	struct removed_file f = { .ino = ino, .born_ns = 1, .time_s = (int64_t)ino * 10, .lines = lines, .bytes = lines * 10 };

	removed_add(page, &f);
}

/* Files 1, 2, ... of 10 lines of 10 bytes are rotated at 10, 20, ... */
static void test_removed(void **state)
{
	static const struct {
		struct cursor at;
		unsigned removed; /* files 1 ... removed */
		uint64_t lost, bytes;
		int64_t file_s; /* and where it is then */
		bool there;
	} rows[] = {
		{ { .ino = 0 }, 0, 0, 0, 0, false },
		{ { .ino = 0 }, 3, 30, 300, 30, false },			 /* it never read any */
		{ { .ino = 2, .file_s = 20, .file_lines = 4, .off = 40 }, 3, 16, 160, 30, false },
		{ { .ino = 2, .file_s = 20, .file_lines = 10, .off = 100 }, 2, 0, 0, 20, false }, /* read to its end */
		{ { .ino = 2, .file_s = INT64_MAX, .file_lines = 4, .off = 40 }, 3, 16, 160, 30, false }, /* it was live then */
		{ { .ino = 2, .file_s = INT64_MAX, .file_lines = 4, .off = 40 }, 1, 0, 0, INT64_MAX, true },
		{ { .ino = 5, .file_s = 50, .file_lines = 4, .off = 40 }, 4, 0, 0, 50, true },
		{ { .ino = 0, .file_s = 20 }, 4, 20, 200, 40, false }, /* told twice: it has counted 1 and 2 */
		{ { .ino = 0 }, 200, 2000, 20000, 2000, false },	 /* more than the ring holds */
		{ { .ino = 2, .file_s = INT64_MAX, .file_lines = 4, .off = 40 }, 200, 1996 - 10, 19960 - 100, 2000, false },
		{ { .ino = 190, .file_s = 1900, .file_lines = 4, .off = 40 }, 200, 106, 1060, 2000, false },
		{ { .ino = 201, .file_s = INT64_MAX, .file_lines = 4, .off = 40 }, 200, 0, 0, INT64_MAX, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct forward_commit page = { 0 };
		struct cursor c = rows[i].at;
		int64_t time_s = 0;

		/* a ring that has lost file 1 cannot tell that the cursor was past it */
		for (unsigned k = rows[i].removed == 200 && c.ino == 2 ? 2 : 1; k <= rows[i].removed; k++)
			remove_file(&page, k, 10);
		assert_int_equal(removed_take(&page, &c, rows[i].there), rows[i].lost);
		assert_int_equal(c.untold_lines, rows[i].lost);
		assert_int_equal(c.dropped, rows[i].lost);
		assert_int_equal(c.untold_bytes, rows[i].bytes);
		assert_int_equal(c.file_s, rows[i].file_s);
		assert_int_equal(removed_take(&page, &c, rows[i].there), 0);
		c.ino = rows[i].removed;
		assert_int_equal(removed_when(&page, &c, &time_s), rows[i].removed > 0);
		assert_int_equal(time_s, rows[i].removed * 10);
		remove_file(&page, 1000, 7);
		assert_int_equal(removed_take(&page, &c, false), c.file_s == INT64_MAX ? 0 : 7);
	}
}

static void add(struct marks *m, uint64_t written, int64_t ms)
{
	struct cursor c = { .off = (int64_t)written };

	marks_add(m, written, &c, ms * 1000000, 10000000);
}

static void test_marks(void **state)
{
	static struct marks m;
	struct cursor c = { .off = 0 };

	(void)state;
	marks_reset(&m, &c);
	assert_null(marks_take(&m, INT64_MAX, INT64_MAX));
	assert_int_equal(marks_back(&m, INT64_MAX)->off, 0);
	add(&m, 100, 1);
	add(&m, 200, 2); /* the same span */
	add(&m, 300, 20);
	add(&m, 400, 40);
	assert_int_equal(marks_pending(&m), 3);
	assert_null(marks_take(&m, 199, INT64_MAX)); /* not all of it has arrived */
	assert_int_equal(marks_take(&m, 400, 20000000)->off, 300); /* the last one is too young */
	assert_int_equal(marks_back(&m, INT64_MAX)->off, 300);
	assert_int_equal(marks_back(&m, 299)->off, 200);
	assert_int_equal(marks_back(&m, 10)->off, 0);
	assert_int_equal(marks_back(&m, -5)->off, 0);
	for (int i = 0; i < 2000; i++) { /* nothing is taken: coarser, and never less certain */
		add(&m, (uint64_t)(500 + i), 100 + 20 * i);
		assert_int_equal(marks_back(&m, INT64_MAX)->off, 300);
	}
	assert_int_equal(marks_take(&m, 2498, INT64_MAX)->off, 500 + 252);
	assert_int_equal(marks_take(&m, 2499, INT64_MAX)->off, 2499);
	for (int i = 0; i < 2000; i++) { /* all is taken: the oldest are forgotten */
		add(&m, (uint64_t)(3000 + i), 50000 + 20 * i);
		assert_int_equal(marks_take(&m, INT64_MAX, INT64_MAX)->off, 3000 + i);
	}
	assert_int_equal(marks_back(&m, 4990)->off, 4990);
	assert_int_equal(marks_back(&m, 0)->off, 4999 - MARKS_MAX + 1);
	assert_int_equal(marks_pending(&m), 0);
}

static void test_policy(void **state)
{
	static const struct {
		const char *driver, *opts, *want; /* write read reconnect retries buffer block, waits */
	} rows[] = {
		{ "syslog", "{}", "10000 30000 0 -1 0 0: 250 500 1000 30000" },
		{ "syslog", "{\"max-buffer-size\":\"4m\",\"spool-full\":\"block\"}", "10000 30000 0 -1 4194304 1: 250 500 1000 30000" },
		{ "fluentd", "{\"fluentd-retry-wait\":\"1s\",\"fluentd-max-retries\":\"5\"}", "10000 30000 0 5 0 0: 1000 1500 2250 60000" },
		{ "fluentd", "{\"fluentd-max-retries\":\"0\",\"fluentd-buffer-limit\":\"1k\",\"max-buffer-size\":\"2k\"}",
		  "10000 30000 0 13 1024 0: 250 500 1000 30000" },
		{ "fluentd", "{\"fluentd-write-timeout\":\"1s\",\"fluentd-read-timeout\":\"100us\",\"fluentd-async-reconnect-interval\":\"250ms\"}",
		  "1000 1 250 -1 0 0: 250 500 1000 30000" },
		{ "gelf", "{\"gelf-tcp-max-reconnect\":\"0\",\"gelf-tcp-reconnect-delay\":\"2\"}", "10000 30000 0 0 0 0: 2000 2000 2000 2000" },
		{ "gelf", "{\"fluentd-max-retries\":\"1\",\"gelf-tcp-reconnect-delay\":\"x\"}", "10000 30000 0 -1 0 0: 250 500 1000 30000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *opts = json_loads(rows[i].opts, 0, NULL);
		struct sink_policy p;
		char got[200];

		assert_non_null(opts);
		policy_read(&p, rows[i].driver, opts);
		snprintf(got, sizeof(got), "%d %d %lld %lld %lld %d: %d %d %d %d", p.write_ms, p.read_ms, (long long)p.reconnect_ns / 1000000,
			 (long long)p.max_retries, (long long)p.buffer_bytes, p.block, policy_wait_ms(&p, 1), policy_wait_ms(&p, 2),
			 policy_wait_ms(&p, 3), policy_wait_ms(&p, 4000000000u));
		assert_string_equal(got, rows[i].want);
		json_decref(opts);
	}
}

static void test_otlp_options(void **state)
{
	static const struct {
		const char *value, *want; /* the address and the url, or the message behind "invalid otlp-endpoint (...): " */
	} urls[] = {
		{ "http://h", "0 h 80 http://h:80/v1/logs" },
		{ "https://H.x/", "2 H.x 443 https://H.x:443/v1/logs" },
		{ "http://[::1]:4318/otlp/", "0 ::1 4318 http://[::1]:4318/otlp/v1/logs" },
		{ "http://h:1/a/v1/logs", "0 h 1 http://h:1/a/v1/logs" },
		{ "h:4318", "must be http://host[:port][/path] or https://" },
		{ "http://", "no host" },
		{ "http://h/a b", "invalid character in the path" },
		{ "http://h?x=1", "invalid character in the path" },
		{ "http://u:p@h", "parse \"http://u:p@h\": invalid port \":p@h\" after host" },
	};
	static const struct {
		const char *value, *want; /* joined by |, or the message */
	} headers[] = {
		{ "", "" },
		{ "a=b, C-d = e%20f ,", "a: b|C-d: e f" },
		{ "a=x=y", "a: x=y" },
		{ "a", "otlp-headers: 'a' is not name=value" },
		{ "a b=c", "otlp-headers: 'a b' is no header's name" },
		{ "=c", "otlp-headers: '' is no header's name" },
		{ "content-TYPE=c", "otlp-headers: content-TYPE is not for you to set" },
		{ "a=%0d%0aX: y", "otlp-headers: the value of a is not percent-encoded text" },
		{ "a=%zz", "otlp-headers: the value of a is not percent-encoded text" },
		{ "a=%4", "otlp-headers: the value of a is not percent-encoded text" },
	};
	static const struct {
		const char *value;
		int want;
	} timeouts[] = { { "", 10000 }, { "500", 500 }, { "2s", 2000 }, { "1ms", -1 }, { "11m", -1 }, { "x", -1 }, { "-1", -1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		cleanup_free char *url = NULL;
		struct log_addr a = { 0 };
		struct err err = { 0 };
		char got[2000];

		if (log_addr_otlp(urls[i].value, &a, &url, &err) < 0)
			str_copy(got, sizeof(got), strstr(err.msg, "): ") ? strstr(err.msg, "): ") + 3 : err.msg);
		else
			snprintf(got, sizeof(got), "%d %s %s %s", a.kind, a.host, a.port, url);
		assert_string_equal(got, urls[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		cleanup_strv char **v = NULL;
		struct err err = { 0 };
		char got[2000] = "";

		if (log_otlp_headers(headers[i].value, &v, &err) < 0)
			str_copy(got, sizeof(got), err.msg);
		for (char **p = v; p && *p; p++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", p == v ? "" : "|", *p);
		assert_string_equal(got, headers[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		struct err err = { 0 };
		int ms = 0, rc = log_otlp_timeout(timeouts[i].value, &ms, &err);

		assert_int_equal(rc < 0 ? -1 : ms, timeouts[i].want);
	}
}

/* ---- the list of files ------------------------------------------------------------------------ */

static struct {
	int dir_fd, sv[2];
	atomic_int stop, rotations;
} files;

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void *serve(void *arg)
{
	(void)arg;
	files_serve(files.sv[0], files.dir_fd, always, NULL);
	return NULL;
}

/* As logfile.c does it; in bursts. */
static void *rotate(void *arg)
{
	(void)arg;
	for (int64_t k = 1; !atomic_load(&files.stop); k++) {
		char name[LOG_NAME_MAX];
		int fd = openat(files.dir_fd, ".new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		close(fd);
		log_name_format(name, 1000000000 + k);
		(void)renameat(files.dir_fd, LOG_LIVE, files.dir_fd, name);
		(void)renameat(files.dir_fd, ".new", files.dir_fd, LOG_LIVE);
		atomic_store(&files.rotations, (int)k);
		if (k > 300) /* more than one answer holds */
			usleep(k % 16 ? 150 : 20000);
	}
	return NULL;
}

/* Rotated files of successive seconds: each list has all of them, while they change. */
static void test_files_while_rotated(void **state)
{
	char dir[] = "/tmp/test_forward.XXXXXX";
	pthread_t server, rotator;

	(void)state;
	assert_non_null(mkdtemp(dir));
	files.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, files.sv), 0);
	pthread_create(&server, NULL, serve, NULL);
	pthread_create(&rotator, NULL, rotate, NULL);
	while (atomic_load(&files.rotations) < 300)
		usleep(1000);
	for (int lists = 0; lists < 100;) {
		cleanup_free struct log_item *items = NULL;
		int n = files_list(files.sv[1], INT64_MIN, &items);

		if (n == -EAGAIN)
			continue;
		lists++;
		assert_true(n >= 300);
		for (int k = 1; k < n; k++)
			if (items[k].time_s != INT64_MAX && items[k - 1].time_s + 1 != items[k].time_s)
				fail_msg("list %d: %lld follows %lld", lists, (long long)items[k].time_s, (long long)items[k - 1].time_s);
	}
	atomic_store(&files.stop, 1);
	pthread_join(rotator, NULL);
	close(files.sv[1]);
	pthread_join(server, NULL);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &(struct err){ 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_otlp_options),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_files_while_rotated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
